#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks that selftests/wasm-spec.list is complete: every file of the 2.0 suite in which nothing but the text format is
# skipped must be on it, and no file may fail.

set -u
: "${WRING_HOST:?names the wring-host to test}"
cd "$(dirname "$0")/../.." || exit 1

if [[ ! -d ${WRING_TESTDATA:-}/wasm-spec ]]; then
	echo '1..0 # SKIP no wasm-spec (WRING_TESTDATA)'
	exit 0
fi

count=0
for file in "$WRING_TESTDATA"/wasm-spec/w2-*/*/*.json; do
	name=${file#"$WRING_TESTDATA"/wasm-spec/}
	count=$((count + 1))
	output=$("$WRING_HOST" spec --features 2.0 "$file" 2>&1)
	status=$?
	last=$(tail -n 1 <<<"$output")
	if [[ $status -ne 0 || $last != *', 0 failed, '* ]]; then
		tail -n 10 <<<"$output" | sed 's/^/# /'
		echo "not ok - $name (status $status)"
	elif grep -qxF "$name" selftests/wasm-spec.list; then
		echo "ok - $name (listed)"
	elif grep -q ' skipped: not supported yet' <<<"$output"; then
		echo "ok - $name ($last) # SKIP needs what is not supported yet"
	else
		echo "not ok - $name passes, but is not in selftests/wasm-spec.list"
	fi
done
echo "1..$count"
