// SPDX-License-Identifier: GPL-2.0
// Line lookups in DWARF with elfutils' libdw, for source_lines.cc, which calls this in a process that may crash.
#pragma once

#include <string>
#include <vector>

#include "loader/source_lines.h"

namespace wring::loader {

struct DebugSection {
  std::string name;  // ".debug_line" and so on
  const std::uint8_t* data;
  std::size_t size;
};

// Writes the sections to `file`, an empty file open for reading and writing, as an ELF file, which is what libdw reads;
// then looks up each address. Addresses that no compilation unit claims stay unknown.
std::vector<SourceLine> dwarf_lines(int file, const std::vector<DebugSection>& sections,
                                    const std::vector<std::uint32_t>& addresses);

}  // namespace wring::loader
