#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# All conformance scripts of WebAssembly 2.0 inside the kernel, through /dev/wring.
if [ ! -e "$WRING_TESTDATA/wasm-spec" ] || [ ! -x ./wring-spec ]; then
	echo '1..0 # SKIP no conformance vectors'
	exit 4
fi
exec ./wring-spec --strict --known "$WRING_TESTDATA/wasm-spec.known" "$WRING_TESTDATA"/wasm-spec/w2-*/*/*.json
