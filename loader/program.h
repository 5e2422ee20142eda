// SPDX-License-Identifier: GPL-2.0
// Finding loaded programs by what users type: "id N", "name NAME", or just N or NAME.
#pragma once

#include "loader/device.h"
#include "loader/words.h"

namespace wring::loader {

// What the user named, before anybody has looked for it.
struct ProgramRef {
  std::uint32_t id = 0;  // 0: by name
  std::string name;
};

struct FoundProgram {
  Fd fd;
  ProgramInfo info;
};

// Consumes a PROG from the words.
ProgramRef take_program(Words* words);
// Opens it. A name that no program has, or several, is a Failure.
FoundProgram find_program(const Fd& device, const ProgramRef& ref);

// All programs that are loaded at the moment, in order of their ids.
std::vector<FoundProgram> all_programs(const Fd& device);

}  // namespace wring::loader
