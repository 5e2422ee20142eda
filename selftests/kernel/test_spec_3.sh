#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# All conformance scripts of WebAssembly 3.0 and of the threads proposal inside the kernel, through /dev/wring.
if [ ! -e "$WRING_TESTDATA/wasm-spec" ] || [ ! -x ./wring-spec ]; then
	echo '1..0 # SKIP no conformance vectors'
	exit 4
fi
exec ./wring-spec --strict --known "$WRING_TESTDATA/wasm-spec.known" \
	"$WRING_TESTDATA"/wasm-spec/w3-*/*/*.json "$WRING_TESTDATA"/wasm-spec/p-*/*/*.json
