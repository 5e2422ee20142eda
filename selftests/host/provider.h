// SPDX-License-Identifier: GPL-2.0
// Makes a module that satisfies another one's imports, so that modules can be instantiated without their host, alike
// in every engine: functions that return zeros, globals that are zero, memories and tables of the size asked for.
#pragma once

#include <string>

namespace wring::host {

// The n-th export of the answer is for the n-th import of `module`. Empty if `module` is not well-formed, or imports
// what has no zero (globals of references that cannot be null).
std::string make_provider(const std::string& module);

}  // namespace wring::host
