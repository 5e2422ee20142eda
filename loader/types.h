// SPDX-License-Identifier: GPL-2.0
// Names of program types and of their verdicts.
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

}  // namespace wring::loader
