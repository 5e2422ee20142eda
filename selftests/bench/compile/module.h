// SPDX-License-Identifier: GPL-2.0
// Modules of any size, made from a small one.
#pragma once

#include <cstdint>
#include <string>

namespace wring::bench {

// The module with the functions it defines repeated until its code section has about `code_bytes` bytes, and without
// its custom sections. Copies call the functions the originals call. Empty if `module` is not well-formed.
std::string repeat_functions(const std::string& module, std::uint64_t code_bytes);

// The size of the code section's contents; 0 if there is none.
std::uint64_t code_bytes_of(const std::string& module);

}  // namespace wring::bench
