// SPDX-License-Identifier: GPL-2.0
// A module's sections, for tools that take binaries apart or put them together without the engine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wring::host {

enum SectionId : int {
  kTypeSection = 1,
  kImportSection = 2,
  kFunctionSection = 3,
  kTableSection = 4,
  kMemorySection = 5,
  kGlobalSection = 6,
  kExportSection = 7,
  kCodeSection = 10,
  kTagSection = 13,
};

struct Section {
  int id;
  std::string_view payload;  // in the module's bytes
};

// Whether `module` is a sequence of sections; what they contain is not looked at.
bool split_sections(std::string_view module, std::vector<Section>* out);

// The size of the code section's contents; 0 if there is none.
std::uint64_t code_bytes_of(std::string_view module);

// Unsigned LEB128. read_leb advances *at and answers whether a number of at most 64 bits is there.
bool read_leb(std::string_view bytes, std::size_t* at, std::uint64_t* out);
std::string to_leb(std::uint64_t value);

}  // namespace wring::host
