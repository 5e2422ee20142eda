#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command line of wring-host: results, traps, errors and exit statuses.

set -u
: "${WRING_HOST:?names the wring-host to test}"
dir=$(mktemp -d)
trap 'rm -rf "$dir" "$dir.jsonl"' EXIT
count=0

# expect NAME STATUS OUTPUT ARGS...: standard output and status; an error message must be one line on stderr.
expect() {
	local name=$1 status=$2 output=$3 got got_status
	shift 3
	count=$((count + 1))
	got=$("$WRING_HOST" "$@" 2>"$dir/stderr")
	got_status=$?
	if [[ $got == "$output" && $got_status -eq $status ]] &&
		{ [[ $status -ne 1 ]] || [[ $(wc -l <"$dir/stderr") -eq 1 ]]; }; then
		echo "ok - $name"
	else
		printf '# status %d, output: %s\n' "$got_status" "$got"
		sed 's/^/# stderr: /' "$dir/stderr"
		echo "not ok - $name"
	fi
}

# expect_error NAME TEXT ARGS...: status 1 and TEXT in the message.
expect_error() {
	local name=$1 text=$2
	shift 2
	count=$((count + 1))
	if "$WRING_HOST" "$@" >"$dir/stdout" 2>"$dir/stderr"; then
		echo "not ok - $name (succeeds)"
	elif grep -qF -- "$text" "$dir/stderr"; then
		echo "ok - $name"
	else
		sed 's/^/# stderr: /' "$dir/stderr"
		echo "not ok - $name"
	fi
}

cat >"$dir/m.wat" <<'EOF'
(module
  (memory 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "swap") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
  (func (export "none"))
  (func (export "5") (result i32) (i32.const 55))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func $callee (param i32) (result i32) (i32.div_u (i32.const 100) (local.get 0)))
  (func (export "div") (param i32) (result i32) (call $callee (local.get 0)))
  (global (export "g") i32 (i32.const 1)))
EOF
echo '(module (func unreachable) (start 0))' >"$dir/start.wat"
echo '(module (import "env" "f" (func)))' >"$dir/import.wat"
echo '(module (import "spectest" "global_i32" (global i32)) (func (export "g") (result i32) (global.get 0)))' \
	>"$dir/spectest.wat"
cat >"$dir/values.wat" <<'EOF'
(module
  (func (export "f") (result f32) (f32.const 1.5))
  (func (export "d") (param f64) (result f64) (f64.sqrt (local.get 0)))
  (func (export "v") (param v128) (result v128) (i32x4.add (local.get 0) (local.get 0)))
  (func (export "x") (param externref) (result externref i32) (local.get 0) (ref.is_null (local.get 0))))
EOF
echo '(module (func $named (i32.add (i32.const 1))))' >"$dir/named.wat"
for name in m start import spectest values; do
	wat2wasm --debug-names "$dir/$name.wat" -o "$dir/$name.wasm" || exit 1
done
wat2wasm --no-check --debug-names "$dir/named.wat" -o "$dir/named.wasm" || exit 1
head -c 30 "$dir/m.wasm" >"$dir/truncated.wasm"
printf 'not wasm' >"$dir/garbage.wasm"
echo '(module (func $f (return_call $f)))' >"$dir/tail.wat"
wat2wasm --enable-tail-call "$dir/tail.wat" -o "$dir/tail.wasm" || exit 1
printf '\0asm\1\0\0\0\1\4\1\140\0\0\3\2\1\0\12\5\1\3\0\152\13' >"$dir/invalid.wasm"

echo '(module (func (try (do) (catch_all))))' >"$dir/legacy.wat"
wat2wasm --enable-exceptions "$dir/legacy.wat" -o "$dir/legacy.wasm" || exit 1
cat >"$dir/hosted.wat" <<'EOF'
(module
  (import "env" "f" (func $f (param i32) (result i32)))
  (import "env" "memory" (memory 1))
  (import "env" "g" (global $g i32))
  (func (export "call") (result i32)
    (i32.store (i32.const 0) (i32.add (i32.const 7) (i32.add (global.get $g) (call $f (i32.const 5)))))
    (i32.load (i32.const 0))))
EOF
wat2wasm "$dir/hosted.wat" -o "$dir/hosted.wasm" || exit 1

expect 'validate accepts' 0 '' validate "$dir/m.wasm"
expect 'validate rejects truncation' 1 '' validate "$dir/truncated.wasm"
expect 'validate rejects garbage' 1 '' validate "$dir/garbage.wasm"
expect 'validate rejects type errors' 1 '' validate "$dir/invalid.wasm"
expect_error 'type errors come with function and offset' 'at function 0 offset 23' validate "$dir/invalid.wasm"
expect 'validate rejects a missing file' 1 '' validate "$dir/missing.wasm"
expect_error '... and with the name of the function' 'at function 0 "named" offset' validate "$dir/named.wasm"
expect 'invoke prints a result' 0 'i32:0x1' invoke "$dir/m.wasm" add i32:ffffffff i32:0x2
expect 'invoke prints several results' 0 $'i64:0xffffffffffffffff\ni32:0x7' \
	invoke "$dir/m.wasm" swap i32:7 i64:ffffffffffffffff
expect 'invoke prints nothing for no result' 0 '' invoke "$dir/m.wasm" none
expect 'an export is found by index' 0 'i32:0x3' invoke "$dir/m.wasm" 0 i32:1 i32:2
expect 'a name that is a number comes first' 0 'i32:0x37' invoke "$dir/m.wasm" 5
expect 'a trap has a status of its own' 3 'trap: out of bounds memory access' invoke "$dir/m.wasm" load i32:10000
expect 'so is a trap in a callee' 3 'trap: integer divide by zero' invoke "$dir/m.wasm" div i32:0
expect 'and one in the start function' 3 'trap: unreachable' invoke "$dir/start.wasm" x
expect 'spectest can be imported' 0 'i32:0x29a' invoke "$dir/spectest.wasm" g
expect 'too few arguments' 2 '' invoke "$dir/m.wasm" add i32:1
expect 'an argument of another type' 2 '' invoke "$dir/m.wasm" add i32:1 i64:1
expect 'an argument with too many digits' 2 '' invoke "$dir/m.wasm" add i32:1 i32:123456789
expect 'an argument that is no number' 2 '' invoke "$dir/m.wasm" add i32:1 i32:zz
expect_error 'no such export' 'no exported function "nothing"' invoke "$dir/m.wasm" nothing
expect_error 'an export that is no function' 'no exported function "g"' invoke "$dir/m.wasm" g
expect_error 'an index beyond the exports' 'no exported function "99"' invoke "$dir/m.wasm" 99
expect_error 'an unknown import' 'unknown import "env" "f"' invoke "$dir/import.wasm" f
expect_error 'a trap names its functions' 'at function 5 "callee" offset' invoke "$dir/m.wasm" div i32:0
expect 'a float is printed with its value' 0 'f32:0x3fc00000 (1.5)' invoke "$dir/values.wasm" f
expect 'a double as well' 0 'f64:0x4000000000000000 (2)' invoke "$dir/values.wasm" d f64:4010000000000000
expect 'a vector is one value' 0 'v128:0x00000008000000060000000400000002' \
	invoke "$dir/values.wasm" v v128:00000004000000030000000200000001
expect 'a reference is its word' 0 $'externref:0x7b\ni32:0x0' invoke "$dir/values.wasm" x externref:7b
expect 'binaries are held to the features asked for' 1 '' validate --features 2.0 "$dir/tail.wasm"
expect 'which are all by default' 0 '' validate "$dir/tail.wasm"
expect_error 'dump of an unknown function' 'no such function: nobody' dump ir "$dir/m.wasm" nobody
expect_error 'dump of an invalid module' 'at function 0' dump asm "$dir/invalid.wasm"
expect_error 'spec of a file that is no script' 'not a converted conformance script' spec "$dir/m.wasm"
expect_error 'a refusal says how to do without' '-sWASM_LEGACY_EXCEPTIONS=0' validate "$dir/legacy.wasm"
expect_error 'and so it does of compilations' 'unsupported: legacy exception handling' compile "$dir/legacy.wasm"
count=$((count + 1))
if "$WRING_HOST" compile "$dir/m.wasm" | grep -qE '^\{"module":[0-9]+,"code":[1-9][0-9]*,"text":[1-9]'; then
	echo 'ok - compile says what it took'
else
	echo 'not ok - compile says what it took'
fi

# A plan's calls, and what comes of comparing with right and wrong records of them.
expect 'calls are planned' 0 \
	'{"calls":[{"args":[],"f":0,"fresh":true,"results":"i"}],"instantiate":"ok"}' \
	plan --calls 1 "$dir/hosted.wasm" "$dir/provider.wasm"
expect 'with a provider of the imports' 0 '' validate "$dir/provider.wasm"
state=$({ printf 'memory of 1:0=\7'; head -c 65535 /dev/zero; printf 'global 0;'; } | sha256sum | head -c 16)
record() {
	printf '{"module":"hosted.wasm","provider":"provider.wasm","instantiate":"ok","calls":[
		{"f":0,"fresh":true,"args":[],"ret":[["i32","%s"]],"state":"%s"}]}\n' "$1" "$2" |
		tr -d '\n' >"$dir.jsonl"
}
record 0x7 "$state"
expect 'a right record passes' 0 '3 passed, 0 failed, 0 skipped' fuzz-diff "$dir"
for wrong in "0x8 $state" "0x7 0123456789abcdef"; do
	# shellcheck disable=SC2086 # two words
	record $wrong
	count=$((count + 1))
	if "$WRING_HOST" fuzz-diff "$dir" | grep -qx '2 passed, 1 failed, 0 skipped'; then
		echo "ok - a wrong one fails: $wrong"
	else
		echo "not ok - a wrong one fails: $wrong"
	fi
done
expect 'no command' 2 ''
expect 'an unknown command' 2 '' frobnicate
expect 'dump of something else' 2 '' dump wat "$dir/m.wasm"
echo "1..$count"
