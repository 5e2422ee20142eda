// SPDX-License-Identifier: GPL-2.0
// SourceLines: from byte offsets in a module to lines of its source, by the DWARF in its custom sections.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wring::loader {

struct SourceLine {
  std::string
      file;  // guest-controlled bytes; relative to the directory of compilation where it lies below that
  std::uint32_t line = 0;  // 0: unknown, then file is empty
};

// The place in the source of each of `offsets`, all unknown if the module has no debug information or a broken one. The
// work is done by a child process without privileges, files or much time, because the bytes are the guest's and DWARF
// readers trust them more than they should.
std::vector<SourceLine> source_lines(const std::vector<std::uint8_t>& module,
                                     const std::vector<std::uint32_t>& offsets);

// "file.c:12", or "" if that is unknown. Not safe to print as it is.
std::string line_text(const SourceLine& line);

}  // namespace wring::loader
