// SPDX-License-Identifier: GPL-2.0
// Guest: a .wasm file and what it says about itself in the sections wring_wasm.h writes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/wasm/module.h"
#include "loader/error.h"

namespace wring::loader {

// Section wring.progs: an exported function and the hook it is for: "xdp", "netfilter", "raw_tp/NAME".
struct GuestProgram {
  std::string entry;
  std::string hook;
};

// Section wring.maps: a map the program imports as ("wring_map", name).
struct GuestMap {
  std::uint32_t type, key_bytes, value_bytes, entries, flags;
  std::string name;
};

struct Guest {
  std::vector<std::uint8_t> bytes;
  std::vector<GuestProgram> programs;
  std::vector<GuestMap> maps;
};

// Reads, decodes and validates `path`.
Guest read_guest(const std::string& path);

// The bytes of a regular file or pipe, at most `limit` of them; more is a Failure.
std::vector<std::uint8_t> read_file(const std::string& path, std::size_t limit);

}  // namespace wring::loader
