// SPDX-License-Identifier: GPL-2.0
// The `spectest` host module that conformance scripts import, as a Wasm module of its own.
#pragma once

#include <string>
#include <vector>

namespace wring::host {

// The binaries, which export what scripts import: the first is of WebAssembly 2.0, each of the others needs some
// feature beyond it, and may be left out where that is not accepted.
std::vector<std::string> spectest_modules();

}  // namespace wring::host
