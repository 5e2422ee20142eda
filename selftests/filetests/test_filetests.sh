#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Compiler listings against what the .wat files here expect. A file says with ";; dump: ARGUMENTS" which listing
# (wring-host dump ARGUMENTS, the module after the first of them) and ends with the expected text as ";; | " lines.
# BLESS=1 rewrites the expectations to what comes out; read the difference before committing it.

set -u
: "${WRING_HOST:?names the wring-host to test}"
cd "$(dirname "$0")" || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
count=0

for file in *.wat; do
	count=$((count + 1))
	read -r kind arguments < <(sed -n 's/^;; dump: //p' "$file")
	if ! wat2wasm --debug-names --enable-tail-call --enable-multi-memory --enable-memory64 --enable-exceptions \
		"$file" -o "$dir/m.wasm" 2>"$dir/error"; then
		sed 's/^/# /' "$dir/error"
		echo "not ok - $file"
		continue
	fi
	# shellcheck disable=SC2086 # arguments are several words
	"$WRING_HOST" dump "$kind" "$dir/m.wasm" $arguments 2>&1 | sed -e 's/ *$//' -e '$!b' -e '/^$/d' >"$dir/actual"
	if [[ ${BLESS:-} ]]; then
		grep -v '^;; |' "$file" >"$dir/blessed"
		sed -e 's/^/;; | /' -e 's/ *$//' "$dir/actual" >>"$dir/blessed"
		cp "$dir/blessed" "$file"
	fi
	if grep '^;; |' "$file" | sed -e 's/^;; | \{0,1\}//' | diff -u - "$dir/actual" >"$dir/diff"; then
		echo "ok - $file"
	else
		sed 's/^/# /' "$dir/diff"
		echo "not ok - $file"
	fi
done
echo "1..$count"
