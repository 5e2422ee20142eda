#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What `wring` says before it needs a module: help, usage errors, modules it refuses; all without /dev/wring.
set -uo pipefail

# Sanitized if there is one: what is decoded here are hostile files.
wring=${WRING_BUILD:-build}/asan/wring
[[ -x $wring ]] || wring=${WRING_BUILD:-build}/host/wring
if [[ ! -x $wring ]]; then
	echo '1..0 # SKIP wring is not built'
	exit 0
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
count=0
failed=0

check() {
	local name=$1
	shift
	count=$((count + 1))
	if "$@"; then
		printf 'ok %d - %s\n' "$count" "$name"
	else
		printf 'not ok %d - %s\n' "$count" "$name"
		sed 's/^/# out: /' "$tmp/out"
		sed 's/^/# err: /' "$tmp/err"
		failed=1
	fi
}

try() {
	status=0
	"$wring" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
}

# fails STATUS PATTERN ARGS...: exactly one line on stderr, which matches; under -j the same as JSON on stdout.
fails() {
	local expected=$1 pattern=$2
	shift 2
	try "$@"
	check "wring $*" one_line "$expected" "^Error: .*($pattern)"
	try --json "$@"
	check "wring --json $*" one_json "$expected" "^\{\"error\":\".*\}$"
}
one_line() {
	[[ $status -eq $1 && ! -s $tmp/out && $(wc -l <"$tmp/err") -eq 1 ]] && grep -qE "$2" "$tmp/err"
}
one_json() {
	[[ $status -eq $1 && ! -s $tmp/err && $(wc -l <"$tmp/out") -eq 1 ]] && grep -qE "$2" "$tmp/out"
}

# helps PATTERN ARGS...
helps() {
	local pattern=$1
	shift
	try "$@"
	check "wring $*" [ "$status" -eq 0 ]
	check '... prints help, on stdout' grep -qE "$pattern" "$tmp/out"
	check '... and nothing else' [ ! -s "$tmp/err" ]
}

helps '^Usage: wring' --help
helps '^Usage: wring' -h
helps '^Usage: wring' help
helps '^Usage: wring prog' prog --help
helps 'unload +Unload a program' pr help
helps '^Usage: wring .*prog load FILE \[name NAME\]' prog load --help
helps '^Usage: wring .*prog load FILE' p lo -h
helps 'Exit status 134' prog run --help
helps 'raw_tracepoint NAME' link attach --help
helps 'nonzero' map dump --help
helps '^[0-9]+\.[0-9]+\.[0-9]+$' --version

fails 2 'subcommand is required'
fails 2 'subcommand is required' prog
fails 2 "unknown command 'programs'" programs
fails 2 "unknown command 'erase'" prog erase
fails 2 "'l' is ambiguous: list, load" prog l
fails 2 'not expected' --frob prog show
fails 2 'not expected' prog show --frob
fails 2 "unexpected 'now'" feature now
fails 2 'expected PROG' prog unload
fails 2 "expected a program's id" prog unload id
fails 2 "'x' is not a number" prog unload id x
fails 2 'program id: 0 is not between' prog unload id 0
fails 2 'program id: 4294967296 is not between' prog unload 4294967296
fails 2 "unexpected 'b'" prog unload a b
fails 2 "unknown word 'y'" prog run x y
fails 2 'expected an argument' prog run x export f args
fails 2 "'-1' is not a number" prog run x repeat -1
fails 2 'expected one of: xdp, raw_tracepoint, netfilter' link attach x
fails 2 "unknown word 'tc'" link attach x tc
fails 2 'expected a network interface' link attach x xdp dev
fails 2 "unknown word 'fast', expected one of: native, skb" link attach x xdp dev lo mode fast
fails 2 "priority: '1x' is not a number" link attach x netfilter input prio 1x
fails 2 'priority: -2147483649 is not between' link attach x netfilter input prio -2147483649
fails 2 'link id' link detach
fails 2 'expected MAP' map dump
fails 2 "unknown program type 'frob'" prog load x type frob
fails 2 "map 'm' is given twice" prog load x map name m id 1 map name m id 2
fails 2 'an empty name' prog load x name ''

# What the engine refuses, with the place.
printf '\0asm\1\0\0\0\1\5\1\x60\0\1\x7f\3\2\1\0\12\11\1\7\0\x41\1\x42\2\x6a\13' >"$tmp/invalid.wasm"
fails 1 'type mismatch.* \(function 0, offset 0x' prog load "$tmp/invalid.wasm"
printf '\0asm\2\0\0\0' >"$tmp/version.wasm"
fails 1 'unknown binary version.*offset 0x4' prog load "$tmp/version.wasm"
printf '\0asm\1\0\0\0\0\17\12wring.maps\1\0\0\0' >"$tmp/maps.wasm"
fails 1 'section wring.maps: a record is cut short' prog load "$tmp/maps.wasm"
fails 1 'No such file' prog load "$tmp/nosuch.wasm"
fails 1 'Is a directory' prog load "$tmp"
fails 1 'exceeds|larger than' prog load /dev/zero
mkdir "$tmp/"$'esc\e[31m'
fails 1 'esc\\x1b\[31m' prog load "$tmp/"$'esc\e[31m'

# Options of one letter may be given together.
for options in -jp -pj '-j -p'; do
	# shellcheck disable=SC2086
	try $options prog load
	check "wring $options" [ "$status" -eq 2 ]
	check '... prints indented JSON' grep -qE '^ +"error": ' "$tmp/out"
done

# Every prefix of a good module is refused, one line each, and none of them crashes the decoder.
good=${WRING_BUILD:-build}/guest/xdp_pass.wasm
if [[ -e $good ]]; then
	bad=0
	size=$(stat -c %s "$good")
	for ((n = 0; n < size; n += 7)); do
		head -c "$n" "$good" >"$tmp/prefix.wasm"
		try prog load "$tmp/prefix.wasm"
		# A cut between two sections leaves a valid module: that gets as far as the missing device.
		one_line 1 '^Error: ' || bad=$((bad + 1))
	done
	check "prefixes of a module end in one error each" [ "$bad" -eq 0 ]
fi

if [[ ! -e /dev/wring ]]; then
	for words in 'prog show' 'link show' 'map show' feature 'prog run x' 'link detach 1' 'map dump x'; do
		# shellcheck disable=SC2086
		fails 1 'cannot open /dev/wring: the wring module is not loaded' $words
	done
fi

printf '1..%d\n' "$count"
exit "$failed"
