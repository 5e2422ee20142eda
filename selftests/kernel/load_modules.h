// SPDX-License-Identifier: GPL-2.0
// wring-spec --modules: real modules into the kernel.
#pragma once

#include <string>
#include <vector>

namespace wring::kernel {

// Loads each file through an open /dev/wring of its own, its imports satisfied by its provider (../host/provider.h),
// and prints TAP: whether it was compiled and instantiated, and how long that took. A trap of an initializer or of the
// start function is an end like any other. Returns whether all were.
bool load_modules(const std::vector<std::string>& files);

}  // namespace wring::kernel
