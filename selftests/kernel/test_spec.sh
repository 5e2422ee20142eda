#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The conformance scripts of selftests/wasm-spec.list inside the kernel, through /dev/wring.
if [ ! -e "$WRING_TESTDATA/wasm-spec.list" ] || [ ! -x ./wring-spec ]; then
	echo '1..0 # SKIP no conformance vectors'
	exit 4
fi
exec ./wring-spec --strict --list "$WRING_TESTDATA/wasm-spec.list" --dir "$WRING_TESTDATA/wasm-spec"
