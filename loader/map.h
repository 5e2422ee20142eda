// SPDX-License-Identifier: GPL-2.0
// BPF maps as the loader sees them: descriptions, creation for a program, lookup by what users type.
#pragma once

#include <linux/bpf.h>

#include <map>

#include "loader/device.h"
#include "loader/guest.h"
#include "loader/words.h"

namespace wring::loader {

struct Map {
  Fd fd;
  bpf_map_info info;
  // Per-CPU maps hold one value, rounded up to 8 bytes, per possible CPU.
  bool per_cpu() const;
  std::size_t value_stride() const { return (info.value_size + std::size_t{7}) & ~std::size_t{7}; }
  std::size_t value_bytes_all_cpus() const;
};

unsigned possible_cpus();

Map map_from_id(std::uint32_t id);
Map map_from_path(const std::string& path);
Map create_map(const GuestMap& wanted);

// What the user named: an id, a path, or the name of a map of a loaded program.
struct MapRef {
  std::uint32_t id = 0;
  std::string path;
  std::string name;
};

// Consumes a MAP: "id N", "name NAME", "pinned PATH", N or NAME.
MapRef take_map(Words* words);
// Opens it. A name that no map of a loaded program has, or several, is a Failure.
Map find_map(const Fd& device, const MapRef& ref);

// The ids of all maps that loaded programs use, each with the ids of these programs.
std::map<std::uint32_t, std::vector<std::uint32_t>> maps_in_use(const Fd& device);

}  // namespace wring::loader
