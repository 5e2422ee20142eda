// SPDX-License-Identifier: GPL-2.0
// Names of program types, of their verdicts, and of what becomes of them after a trap.
#pragma once

#include <cstdint>
#include <string>

namespace wring::loader {

// "xdp" and so on; an unknown number becomes "type N".
std::string type_name(std::uint32_t type);
// The type (enum wring_prog_type) of that name or unique prefix of it; a usage error if there is none.
std::uint32_t type_from_name(const std::string& name);

// A verdict with its name if it has one: "2 (pass)".
std::string verdict_text(std::uint32_t type, std::uint32_t verdict);
// A verdict by number or by name; a usage error if it is neither.
std::uint32_t verdict_from_text(std::uint32_t type, const std::string& text);

// What becomes of a program after a trap, enum wring_on_trap; a usage error if there is none of that name.
std::string on_trap_name(std::uint32_t on_trap);
std::uint32_t on_trap_from_name(const std::string& name);

}  // namespace wring::loader
