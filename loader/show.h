// SPDX-License-Identifier: GPL-2.0
// How programs and traps are shown, as text and as JSON.
#pragma once

#include <string>

#include "loader/device.h"
#include "loader/output.h"

namespace wring::loader {

Json program_json(const ProgramInfo& info);
void program_text(const ProgramInfo& info);

// The last trap.
Json trap_json(const ProgramInfo& info);
// Its `i`th frame: "read_option (function 3, offset 0x1d4) at packet.c:12"
std::string frame_text(const ProgramInfo& info, std::uint32_t i);

}  // namespace wring::loader
