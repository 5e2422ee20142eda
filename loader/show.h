// SPDX-License-Identifier: GPL-2.0
// How programs and traps are shown, as text and as JSON.
#pragma once

#include <string>

#include "loader/device.h"
#include "loader/output.h"

namespace wring::loader {

Json program_json(const ProgramInfo& info);
void program_text(const ProgramInfo& info);

Json trap_json(const wring_trap_info& trap);
// "read_option (function 3, offset 0x1d4)"
std::string frame_text(const wring_frame& frame);

}  // namespace wring::loader
