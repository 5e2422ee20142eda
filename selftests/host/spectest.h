// SPDX-License-Identifier: GPL-2.0
// The `spectest` host module that conformance scripts import, as a Wasm module of its own.
#pragma once

#include <string>

namespace wring::host {

// The binary. Its float functions are left out on request, for an engine that does not compile floats yet.
std::string spectest_module(bool with_float_functions);
// Whether spectest_module(false) lacks the export.
bool is_spectest_float_function(const std::string& name);

}  // namespace wring::host
