#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Every command of `wring`, with good and bad arguments: output, JSON, exit status, one-line errors, nothing left over.
# shellcheck disable=SC3043 # dash and busybox have local

guest=${WRING_GUEST:-/guest}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
count=0
failed=0

if ! [ -e /sys/module/wring ] || ! command -v wring >/dev/null; then
	echo '1..0 # SKIP no wring, or no module'
	exit 4
fi

# check NAME COMMAND...
check() {
	local name=$1
	shift
	count=$((count + 1))
	if "$@"; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		echo "#   $*"
		[ ! -s "$tmp/out" ] || sed 's/^/#   out: /' "$tmp/out"
		[ ! -s "$tmp/err" ] || sed 's/^/#   err: /' "$tmp/err"
		failed=1
	fi
}

# try ARGS...: runs wring; leaves out, err, status.
try() {
	status=0
	wring "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
}

# json_matches PATTERN: stdout is one JSON document (RFC 8259) in printable ASCII, and matches the pattern.
json_matches() {
	pattern=$1 awk '
	function fail() { bad = 1; at = length(text) + 2 }
	function blank(	c) { while (index(" \t\n\r", c = substr(text, at, 1)) && c != "") at++ }
	function take(what) { if (substr(text, at, length(what)) != what) fail(); else at += length(what) }
	function string(	c) {
		take("\"")
		while (!bad && (c = substr(text, at, 1)) != "\"") {
			if (c == "" || c < " " || c > "~") return fail()
			if (c == "\\") {
				if (match(substr(text, at, 6), /^\\u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]/))
					at += 4
				else if (!index("\"\\/bfnrt", substr(text, at + 1, 1)))
					return fail()
				at++
			}
			at++
		}
		at++
	}
	function list(end, keyed) {
		at++
		blank()
		if (substr(text, at, 1) == end) { at++; return }
		while (!bad) {
			if (keyed) { blank(); string(); blank(); take(":") }
			value()
			if (substr(text, at, 1) == end) { at++; return }
			take(",")
		}
	}
	function value(	c) {
		if (bad) return
		blank()
		c = substr(text, at, 1)
		if (c == "{") list("}", 1)
		else if (c == "[") list("]", 0)
		else if (c == "\"") string()
		else if (c == "t") take("true")
		else if (c == "f") take("false")
		else if (c == "n") take("null")
		else if (match(substr(text, at), /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/)) at += RLENGTH
		else fail()
		blank()
	}
	$0 ~ ENVIRON["pattern"] { hit = 1 }
	{ text = text $0 "\n" }
	END { at = 1; value(); exit bad || !hit || at != length(text) + 1 }' "$tmp/out"
}

# matches PATTERN FILE LINES: some line matches, no line holds anything unprintable, there are at most so many lines.
matches() {
	pattern=$1 lines=$3 awk '
		$0 ~ ENVIRON["pattern"] { hit = 1 }
		/[^\t -~]/ { bad = 1 }
		END { exit bad || !hit || NR > ENVIRON["lines"] }' "$2"
}

# fails STATUS PATTERN ARGS...: one printable line "Error: ..." that matches, on stderr.
fails() {
	local expected=$1 pattern=$2
	shift 2
	try "$@"
	check "wring $* fails" failed_with "$expected" "$pattern"
}

# fails_json STATUS PATTERN ARGS...: the same, and also as JSON under -j.
fails_json() {
	fails "$@"
	local expected=$1
	shift 2
	try -j "$@"
	check "... and with JSON under -j" failed_json "$expected"
}
failed_with() {
	[ "$status" -eq "$1" ] && [ ! -s "$tmp/out" ] && matches "^Error: .*($2)" "$tmp/err" 1
}
failed_json() {
	[ "$status" -eq "$1" ] && [ ! -s "$tmp/err" ] && json_matches '^\{"error":"'
}

# works PATTERN ARGS...: exit 0, nothing on stderr, printable output that matches.
works() {
	local pattern=$1
	shift
	try "$@"
	check "wring $*" worked "$pattern"
}
worked() {
	[ "$status" -eq 0 ] && [ ! -s "$tmp/err" ] && matches "$1" "$tmp/out" 100000
}

# json PATTERN ARGS...: exit 0, nothing on stderr, JSON that matches.
json() {
	local pattern=$1
	shift
	try -j "$@"
	check "wring -j $*" worked_json "$pattern"
}
worked_json() {
	[ "$status" -eq 0 ] && [ ! -s "$tmp/err" ] && json_matches "$1"
}

# settled: waits for deferred frees; nothing is loaded, no code and no memory in use.
settled() {
	local i=0
	while [ $i -lt 50 ]; do
		wring -j feature >"$tmp/out"
		grep -q '"progs":0,"reservations":0,.*"bytes_code":0' "$tmp/out" && return 0
		usleep 100000
		i=$((i + 1))
	done
	return 1
}
nothing_loaded() {
	[ -z "$(wring prog show)$(wring link show)" ]
}
id_of() {
	wring -j prog show name "$1" | sed 's/^\[{"id":\([0-9]*\),.*/\1/'
}
link_ids() {
	wring link show | cut -d: -f1
}

packet=$tmp/packet
printf '\1\2\3\4\5\6\7\10\11\12\13\14\10\0\105payload and some more of it' >"$packet"

# ---- help and usage ----

works 'Usage: wring .*' --help
works '^[0-9]+\.[0-9]+' --version
for words in prog link map feature 'prog load' 'prog show' 'prog run' 'prog unload' 'link attach' 'link show' \
	'link detach' 'map show' 'map dump'; do
	# shellcheck disable=SC2086
	works "Usage: wring.*${words##* }" $words --help
done
works 'Usage: wring' help
works 'Usage: wring prog' prog help
fails_json 2 'subcommand is required'
fails_json 2 "unknown command 'frob'" frob
fails 2 "'l' is ambiguous: .*load" prog l
fails 2 'frobnicate' prog show --frobnicate
fails 2 'expected FILE' prog load
fails 2 "unknown word 'colour', expected one of: name" prog load "$guest/xdp_pass.wasm" colour red
fails 2 "'m' is ambiguous|unknown word" prog load "$guest/xdp_pass.wasm" x 1
fails 2 'not a number' prog load "$guest/xdp_pass.wasm" fuel lots
fails_json 2 'not between' prog load "$guest/xdp_pass.wasm" memory 65537
fails 2 'unknown program type' prog load "$guest/xdp_pass.wasm" type frob
fails 2 'longer than 63' prog load "$guest/xdp_pass.wasm" name "$(printf %064d 0)"
fails 2 'not a number' link detach id x
fails 2 "expected dev|expected one of: dev" link attach 1 xdp
fails 2 'not between' link attach 1 netfilter input prio 99999999999
fails 2 "unexpected 'extra'" prog unload 1 extra
fails 2 'expected MAP' map dump

# ---- load ----

works '^[0-9]+: xdp  name pass  tag [0-9a-f]{16}' prog load "$guest/xdp_pass.wasm"
works 'name pass' prog show
works 'name pass' p s name pass
works 'name pass' prog list pass
works 'default verdict 2 \(pass\)' prog show id "$(id_of pass)"
json '^\[\{"id":[0-9]+,"type":"xdp","name":"pass","tag":"[0-9a-f]{16}","entry":"pass",' prog show
json '"run_cnt":0,"fuel_used":0,"traps":0,"misses":0' prog show pass
works '^    \{$' prog show --pretty
check '... is JSON too' json_matches '"type": "xdp",'
works '"name": "pass",' -p prog show pass
try -j prog load "$guest/xdp_pass.wasm" name other default drop fuel 0x1000 memory 2 on_trap reset timeout_limit 5
check 'wring -j prog load with every option' \
	worked_json '"name":"other".*"fuel":4096,.*"default_verdict":1,"on_trap":"reset",.*"timeout_limit":5,'
works 'on_trap reset, detach \(5 timeouts\)' prog show other
works 'name other' prog show other
try prog unload pass
check 'wring prog unload' [ "$status-$(wc -c <"$tmp/out")" = 0-0 ]
try -j prog unload other
check 'wring -j prog unload' worked_json '^\{\}$'
fails 1 "no program is named 'pass'" prog unload pass
fails_json 1 'no program has the id 4000000000' prog show id 4000000000

printf '\0asm\1\0\0\0' >"$tmp/empty.wasm"
printf '\0asm\1\0\0' >"$tmp/short.wasm"
printf '#!/bin/sh\n' >"$tmp/script.wasm"
: >"$tmp/nothing.wasm"
head -c 300 "$guest/xdp_block.wasm" >"$tmp/cut.wasm"
# One function whose body adds an i64 to an i32.
printf '\0asm\1\0\0\0\1\5\1\140\0\1\177\3\2\1\0\12\11\1\7\0\101\1\102\2\152\13' >"$tmp/invalid.wasm"
# A memory of 65537 pages; one of 300 pages, more than hook programs get; an import nobody has; one of a wrong type.
printf '\0asm\1\0\0\0\5\5\1\0\201\200\4' >"$tmp/memory.wasm"
printf '\0asm\1\0\0\0\1\5\1\140\0\1\177\3\2\1\0\5\4\1\0\254\2\7\5\1\1f\0\0\12\6\1\4\0\101\1\13' >"$tmp/pages.wasm"
printf '\0asm\1\0\0\0\1\4\1\140\0\0\2\16\1\5wring\4nope\0\0' >"$tmp/import.wasm"
printf '\0asm\1\0\0\0\1\4\1\140\0\0\2\20\1\5wring\6cpu_id\0\0' >"$tmp/type.wasm"
# A start function that traps; sections wring.progs and wring.maps whose records are cut off.
printf '\0asm\1\0\0\0\1\4\1\140\0\0\3\2\1\0\10\1\0\12\5\1\3\0\0\13' >"$tmp/start.wasm"
printf '\0asm\1\0\0\0\0\16\13wring.progsab' >"$tmp/progs.wasm"
printf '\0asm\1\0\0\0\0\17\12wring.maps\1\0\0\0' >"$tmp/maps.wasm"

fails_json 1 'nosuch.wasm: No such file' prog load "$tmp/nosuch.wasm"
fails 1 'Is a directory' prog load "$tmp"
fails 1 'nothing.wasm: .*' prog load "$tmp/nothing.wasm"
fails 1 'short.wasm: .*offset 0x' prog load "$tmp/short.wasm"
fails 1 'script.wasm: magic header .*offset 0x0' prog load "$tmp/script.wasm"
fails_json 1 'cut.wasm: .*offset 0x' prog load "$tmp/cut.wasm"
fails_json 1 'invalid.wasm: type mismatch.* \(function 0, offset 0x' prog load "$tmp/invalid.wasm"
check '... JSON has function and offset' grep -qE '"func":0,"offset":[0-9]+\}' "$tmp/out"
fails 1 'memory.wasm: .*offset 0x' prog load "$tmp/memory.wasm"
fails 1 'pages.wasm: .*300|pages.wasm: .*memory' prog load "$tmp/pages.wasm" type xdp entry f
fails 1 '"wring" "nope": unknown import' prog load "$tmp/import.wasm"
fails 1 'incompatible import type' prog load "$tmp/type.wasm"
fails_json 134 'start.wasm: trap: unreachable \(function 0, offset 0x' prog load "$tmp/start.wasm"
fails 1 'section wring.progs: a record is cut short' prog load "$tmp/progs.wasm"
fails 1 'section wring.maps: a record is cut short' prog load "$tmp/maps.wasm"
fails 1 'no export "nosuch"' prog load "$guest/xdp_pass.wasm" type xdp entry nosuch
fails 1 "program '.*' is of type xdp, not netfilter" prog load "$guest/xdp_pass.wasm" type netfilter
fails 1 "no program 'nosuch', it has: pass" prog load "$guest/xdp_pass.wasm" entry nosuch
fails 1 'several programs, choose one with entry: first, second' prog load "$guest/cli_programs.wasm"
fails 1 'name: 1 to 63 letters' prog load "$guest/xdp_pass.wasm" name 'not nice'
fails 1 'default_verdict: not one of' prog load "$guest/xdp_pass.wasm" default 17
try prog load "$guest/xdp_pass.wasm" name limited trap_limit 3
works 'on_trap detach \(3 traps\)' prog show limited
try prog unload limited
fails 1 'trap_limit without' prog load "$guest/xdp_pass.wasm" on_trap keep trap_limit 3
fails 1 'fuel: the most is' prog load "$guest/xdp_pass.wasm" fuel 0x100000000000
fails 1 "no map 'nosuch'" prog load "$guest/xdp_block.wasm" map name nosuch id 1
check 'none of that is left' settled

# ---- run ----

try prog load "$guest/cli_programs.wasm" entry second
works 'Return value: 3, duration: [0-9]+ns, fuel: [0-9]+' prog run second data_in "$packet"
works 'Return value: 3, duration \(average\): [0-9]+ns' prog run second data_in "$packet" repeat 1000
works 'Return value: 3' prog run second data_in "$packet" data_out "$tmp/after"
check '... writes the packet' \
	[ "$(od -An -tx1 "$tmp/after" | head -n 1)" = ' 42 02 03 04 05 06 07 08 09 0a 0b 0c 08 00 45 70' ]
json '^\{"retval":3,"duration":[0-9]+,"fuel_used":[0-9]+\}$' prog run second data_in "$packet"
fails 1 'data_in: a packet of 14 to' prog run second
fails 1 'No such file' prog run second data_in "$tmp/nosuch"
fails 1 'larger than' prog run second data_in /dev/zero
fails 1 'No such file|Is a directory' prog run second data_in "$packet" data_out "$tmp/no/such/place"
fails 1 'run as a whole' prog run second export second
try prog unload second

try prog load "$guest/hostile_oob.wasm"
try prog run out_of_bounds data_in "$packet"
check 'wring prog run of a program that traps' [ "$status" -eq 134 ]
check '... says so, and where' matches \
	'^Trapped: out of bounds memory access, in read_option \(function [0-9]+, offset 0x' "$tmp/out" 2
try -j prog run out_of_bounds data_in "$packet"
check '... and in JSON' [ "$status" -eq 134 ]
check '... the same' json_matches \
	'"retval":2,.*"last_trap":\{"reason":"out of bounds memory access",.*"frames":\[\{"name":"read_option","func":'
works 'traps 2 ' prog show out_of_bounds
works '#0 read_option \(function [0-9]+, offset 0x' prog show out_of_bounds
json '"traps":2,.*"last_trap":\{"reason":"out of bounds memory access"' prog show out_of_bounds
try prog unload out_of_bounds

works '^[0-9]+: module  name cli_module' prog load "$guest/cli_module.wasm"
works '^i32:5$' prog run cli_module export add args i32:2 i32:3
works '^i64:8000000000000000$' prog run cli_module export widen args i64:1 i32:3f
try prog run cli_module export nothing
check 'wring prog run of an export without results' [ "$status-$(wc -c <"$tmp/out")" = 0-0 ]
json '^\{"results":\["i32:fffffffe"\],"fuel_used":[0-9]+\}$' \
	prog run cli_module export add args i32:ffffffff i32:ffffffff
name=$(printf 'of\033[5mname\n.')
works '^i32:7$' prog run cli_module export "${name%.}"
fails_json 134 'trap: integer divide by zero \(in in.\[31mred\) \(function [0-9]+, offset 0x' \
	prog run cli_module export divide args i32:0
fails 134 'trap: all fuel consumed' prog run cli_module export spin args i32:400 fuel 1000
works 'last_trap: all fuel consumed' prog show cli_module
try prog run cli_module export divide args i32:0
works '#0 in.*\[31mred \(function' prog show cli_module
json '\[31mred' prog show cli_module
fails 1 "no export 'nosuch'" prog run cli_module export nosuch
fails 1 "export 'memory' is not a function" prog run cli_module export memory
fails 1 'takes 2 arguments, not 1' prog run cli_module export add args i32:1
fails 1 'another type' prog run cli_module export add args i32:1 i64:1
fails 1 'another type' prog run cli_module export add args f32:1 i32:1
fails 2 'expected i32:HEX' prog run cli_module export add args u32:1 i32:1
works 'name fpu_module' prog load "$guest/fpu_module.wasm"
works '^f64:4000000000000000$' prog run fpu_module export average args f32:3f800000 f64:4008000000000000
fails 1 'only integers and floats' prog run fpu_module export swap
try prog unload fpu_module
fails 2 'not between|not a number' prog run cli_module export add args i32:1ffffffff i32:1
fails 2 'not a number' prog run cli_module export add args i32:x i32:1
fails 1 'name one of its exports' prog run cli_module
fails 1 'type module, not xdp' link attach cli_module xdp dev lo
works 'name cli_module' prog load "$guest/cli_module.wasm" type module
fails_json 1 "several programs are named 'cli_module'" prog show cli_module
for id in $(wring prog show | sed -n 's/^\([0-9]*\): .*/\1/p'); do
	try prog unload id "$id"
done
check 'nothing is left of the runs' settled

# ---- lines of the source ----

{ printf '\0'; tail -c +2 "$packet"; } >"$tmp/zero"
lines='selftests/kernel/guest/cli_lines\.c'
works 'name lines' prog load "$guest/cli_lines.wasm"
try prog run lines data_in "$tmp/zero"
check 'wring prog run says which line trapped' [ "$status" -eq 134 ]
check '... as text' matches "^Trapped: integer divide by zero, in .*offset 0x[0-9a-f]*\) at $lines:12\$" "$tmp/out" 2
try -j prog run lines data_in "$tmp/zero"
check '... and as JSON' json_matches "\"file\":\"$lines\",\"line\":12\\}"
works "#0 divide .* at $lines:12\$" prog show lines
works "#1 lines .* at $lines:19\$" prog show lines
json "\"file\":\"$lines\",\"line\":19\\}" prog show lines
try prog unload lines
works 'name cli_divide' prog load "$guest/cli_divide.wasm" type module
fails_json 134 'trap: .* at selftests/kernel/guest/cli_divide\.c:7' \
	prog run cli_divide export divide args i32:0
try prog unload cli_divide
fails 1 'not available to this type of program' prog load "$guest/cli_lines.wasm" type module

# Debug information is the guest's: broken, it leads to any line or to none, and never takes the loader down.
size=$(wc -c <"$guest/cli_lines.wasm")
start=$(strings -t d "$guest/cli_lines.wasm" | awk '/\.debug_/ { print $1; exit }')
survivors=0
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
	cp "$guest/cli_lines.wasm" "$tmp/broken.wasm"
	for j in 1 2 3 4 5 6 7 8; do
		at=$((start + 40 + (i * 7919 + j * 104729) % (size - start - 40)))
		printf "\\$(printf %o $((i * 37 + j * 59 & 255)))" |
			dd of="$tmp/broken.wasm" bs=1 seek=$at conv=notrunc 2>/dev/null
	done
	# Where it hits the header of a section, the module is malformed.
	wring prog load "$tmp/broken.wasm" name broken >"$tmp/out" 2>&1 || continue
	try prog run broken data_in "$tmp/zero"
	[ "$status" -eq 134 ] && grep -q '^Trapped: integer divide by zero, in ' "$tmp/out" &&
		survivors=$((survivors + 1))
	wring prog show broken >"$tmp/out" 2>&1 || check "show $i" false
	wring prog unload broken
done
check "broken debug information is survived ($survivors times)" [ "$survivors" -gt 3 ]

# ---- maps ----

works 'name block' prog load "$guest/xdp_block.wasm" name block
works 'percpu_array  name counters' map show
works 'wring_prog_ids' map show config
json '\{"id":[0-9]+,"type":"percpu_array","name":"counters","flags":0,"bytes_key":4,"bytes_value":8,"max_entries":6,' \
	map show
map=$(wring -j map show config | sed 's/^\[{"id":\([0-9]*\),.*/\1/')
counters=$(wring -j map show counters | sed 's/^\[{"id":\([0-9]*\),.*/\1/')
bpftool map update id "$map" key 0 0 0 0 value hex 61 1e 0 0 0 0 0 0
works '^key: 00 00 00 00 \(0\)  value: 61 1e 00 00 00 00 00 00 \(7777\)' map dump config
works 'Found 1 element$' map dump id "$map"
works 'Found 0 elements' map dump counters nonzero
works 'value \(CPU 00\): 00 00 00 00 00 00 00 00 \(0\)' map dump "$counters"
json '^\[\{"key":\["0x00","0x00","0x00","0x00"\],"values":\[\{"cpu":0,"value":\["0x00"' map dump counters
for id in "$map" "$counters"; do
	try -j map dump id "$id"
	check "wring -j map dump id $id prints what bpftool does" \
		[ "$(cat "$tmp/out")" = "$(bpftool -j map dump id "$id")" ]
done
bpftool map pin id "$map" /sys/fs/bpf/cli_map
works '7777' map dump pinned /sys/fs/bpf/cli_map
works 'name config' map show pinned /sys/fs/bpf/cli_map
works 'name sharer' prog load "$guest/xdp_block.wasm" name sharer map name config pinned /sys/fs/bpf/cli_map \
	map name counters id "$counters"
works "map_ids $counters,$map" prog show sharer
fails 2 'given twice' prog load "$guest/xdp_block.wasm" map name config id "$map" map name config id "$map"
fails 1 'another type, key size or value size' prog load "$guest/xdp_block.wasm" map name config id "$counters"
fails_json 1 'no BPF map has the id 4000000000' map dump id 4000000000
fails 1 "no map of a loaded program is named 'nosuch'" map dump nosuch
fails 1 '/sys/fs/bpf/nosuch: No such file' map dump pinned /sys/fs/bpf/nosuch
rm /sys/fs/bpf/cli_map
try prog unload sharer

# ---- links ----

ip link add cli0 type veth peer name cli1
works '^[0-9]+: xdp  prog [0-9]+  dev cli0\([0-9]+\)  stub [0-9]+' link attach block xdp dev cli0
check 'ip link shows it' sh -c "ip link show cli0 | grep -q 'prog/xdp id [0-9]* name block'"
json '^\[\{"id":[0-9]+,"type":"xdp","prog_id":[0-9]+,"ifindex":[0-9]+,"devname":"cli0","stub_id":[0-9]+\}\]' link show
works 'links 1' prog show block
fails 1 'already has an XDP program' link attach block xdp dev cli0
check '... and leaves nothing' [ "$(wring link show | wc -l)" -eq 1 ]
fails_json 1 'program block is attached: detach it first' prog unload block
fails 1 "interface 'nosuch': No such device" link attach block xdp dev nosuch
fails 1 'program block is of type xdp, not netfilter' link attach block netfilter input
fails 1 'no link has the id 4000000000' link detach id 4000000000
fails 1 'no link has the id 4000000000' link show id 4000000000
try link detach "$(link_ids)"
check 'wring link detach' [ "$status-$(ip link show cli0 | grep -c xdp)" = 0-0 ]
for mode in native skb; do
	generic=0
	[ $mode = native ] || generic=1
	works 'dev cli0' link attach block xdp dev cli0 mode $mode
	check "... mode $mode" [ "$(ip link show cli0 | grep -c xdpgeneric)" -eq $generic ]
	try -j link detach id "$(link_ids)"
	check 'wring -j link detach' worked_json '^\{\}$'
	check '... takes it off the interface' [ "$(ip link show cli0 | grep -c xdp)" -eq 0 ]
done

ip netns add cli
ip link set cli1 netns cli
ip netns exec cli wring link attach block xdp dev cli1 >"$tmp/out"
check 'wring link attach in a network namespace' sh -c 'ip -n cli link show cli1 | grep -q prog/xdp'
try link detach "$(link_ids)"
check 'wring link detach from outside of it' [ "$status-$(ip -n cli link show cli1 | grep -c xdp)" = 0-0 ]
works 'dev cli0' link attach block xdp dev cli0
ip link del cli0
check 'an interface that goes takes its link along' [ -z "$(wring link show)" ]
ip netns del cli

works '^[0-9]+: netfilter' prog load "$guest/nf_filter.wasm" name nf
for hook in prerouting input forward output postrouting; do
	works "^[0-9]+: netfilter  prog [0-9]+  ipv4 $hook  prio 0  netns [0-9]+" link attach nf netfilter $hook
done
works 'ipv6 output  prio -10' link attach nf netfilter output family ipv6 prio -10
works 'inet input  prio 2147483647' link attach nf netfilter input family inet prio 2147483647
json '"type":"netfilter","prog_id":[0-9]+,"pf":"ipv4","hook":"prerouting","prio":0,"netns_ino":[0-9]+' link show
fails 2 "expected one of: ipv4" link attach nf netfilter input family ipx
fails 2 'expected one of: prerouting' link attach nf netfilter sideways
works 'name count' prog load "$guest/syscall_count.wasm"
works '^[0-9]+: raw_tracepoint  prog [0-9]+  sys_enter' link attach count raw_tracepoint sys_enter
works 'sys_enter' link attach count raw_tp sys_enter
json '"type":"raw_tracepoint","prog_id":[0-9]+,"tp_name":"sys_enter"' link show
works 'total: [0-9]+' map dump syscalls nonzero
fails 1 'no tracepoint "nosuch"' link attach count raw_tracepoint nosuch
for id in $(link_ids); do
	try link detach "$id"
	check "wring link detach $id" [ "$status" -eq 0 ]
done
check 'no link is left' [ -z "$(wring link show)" ]

ip link add cli0 type dummy
for i in 1 2 3; do
	works '^[0-9]+: netfilter' link attach nf netfilter input prio $i
done
works '^[0-9]+: raw_tracepoint' link attach count raw_tracepoint sys_enter
works '^[0-9]+: xdp' link attach block xdp dev cli0
works '^Detached 5 links$' link detach all
check 'no link is left' [ -z "$(wring link show)" ]
check '... nor a stub at the interface' [ "$(ip link show cli0 | grep -c xdp)" -eq 0 ]
json '^\{"detached":0\}$' link detach all
fails 2 "unexpected 'links'" link detach all links
ip link del cli0

# ---- failures on the way out, deaths on the way in ----

ip link add cli0 type dummy
status=0
wring prog load "$guest/xdp_pass.wasm" name full >/dev/full 2>"$tmp/err" || status=$?
check 'a load that cannot be reported is undone' [ "$status-$(wring prog show | grep -c 'name full')" = 1-0 ]
status=0
wring prog load "$guest/xdp_pass.wasm" name closed >&- 2>"$tmp/err" || status=$?
check '... also when stdout is closed' [ "$status-$(wring prog show | grep -c 'name closed')" = 1-0 ]
status=0
wring link attach block xdp dev cli0 >/dev/full 2>"$tmp/err" || status=$?
check 'an attachment that cannot be reported is undone' \
	[ "$status-$(wring link show)-$(ip link show cli0 | grep -c xdp)" = 1--0 ]
status=0
wring prog show >/dev/full 2>"$tmp/err" || status=$?
check 'a full disk is an error' [ "$status-$(grep -c 'No space left' "$tmp/err")" = 1-1 ]

# killed DELAY COMMAND...: SIGKILL after so many microseconds.
killed() {
	local delay=$1
	shift
	"$@" >/dev/null 2>&1 &
	usleep "$delay"
	kill -9 $! 2>/dev/null
	wait $! 2>/dev/null
}
# A loader that dies may or may not have finished: what it finished is whole, what it did not is gone.
for delay in 1000 20000 40000 60000 80000 100000 130000 160000 200000; do
	killed $delay wring prog load "$guest/xdp_block.wasm" name victim
	killed $delay wring link attach block xdp dev cli0
	# The module looks for what dead loaders left once a second, and whenever it is asked.
	attached=$(ip link show cli0 | grep -c prog/xdp)
	links=$(wring link show | wc -l)
	[ "$attached" -eq "$links" ] || check "killed after $delay us: $attached attached, $links links" false
	for id in $(link_ids); do
		wring link detach "$id" || check "detach $id" false
	done
done
check 'links agree with interfaces whenever a loader is killed' [ "$(ip link show cli0 | grep -c prog/xdp)" -eq 0 ]
for id in $(wring prog show | sed -n 's/^\([0-9]*\): .*/\1/p'); do
	try prog unload id "$id"
	[ "$status" -eq 0 ] || check "unload $id" false
done
ip link del cli0
check 'nothing is loaded' nothing_loaded
check 'nothing is left in the kernel' settled

# ---- what programs log ----

# A packet that asks hook_packet.c to log its argument.
{ head -c 14 /dev/zero; printf '\007\000\052'; head -c 47 /dev/zero; } >"$tmp/logging"
works 'name logger' prog load "$guest/hook_packet.wasm" name logger
for format in '' -j; do
	wring $format prog tracelog timeout 3 >"$tmp/log" 2>&1 &
	sleep 1
	try prog run logger data_in "$tmp/logging"
	check "tracelog $format ends with its timeout" wait $!
	check "tracelog $format shows what was logged" grep -q 'logger: argument 42 is 2a, 1099511627776' "$tmp/log"
done
wring prog tracelog >"$tmp/log" 2>&1 &
sleep 1
kill -TERM $!
check 'a signal ends tracelog' wait $!
fails 2 'is not a number' prog tracelog timeout soon
try prog unload logger

# ---- without privilege, without module ----

status=0
su -s /bin/sh nobody -c 'wring prog show' >"$tmp/out" 2>"$tmp/err" || status=$?
check 'an unprivileged user is refused' failed_with 1 'permission denied'
works 'mitigations in generated code' feature
works 'faults of the engine itself: 0' feature
json '"internal_errors":0,"loads":"allowed"' feature
works 'sysctl wring.loads\): allowed$' feature
echo refused >/proc/sys/wring/loads
works 'sysctl wring.loads\): refused$' feature
json '"loads":"refused"' feature
fails_json 1 'xdp_pass.wasm: the administrator refuses loads \(wring.loads = refused\)' prog load "$guest/xdp_pass.wasm"
echo allowed >/proc/sys/wring/loads
json '"abi":1,"prog_types":\["module","xdp","raw_tracepoint","netfilter"\]' feature
if [ -e /wring.ko ] && rmmod wring; then
	fails_json 1 'the wring module is not loaded' prog show
	fails 1 'the wring module is not loaded' feature
	insmod /wring.ko
	works 'loaded: 0 programs' feature
fi

echo "1..$count"
exit $failed
