// SPDX-License-Identifier: GPL-2.0
// Repeats the functions of a module: the bodies refer to others by index, so copies need no change.
#include "selftests/bench/compile/module.h"

#include <algorithm>
#include <vector>

namespace wring::bench {

namespace {

constexpr std::size_t kHeaderBytes = 8;
constexpr int kCustom = 0, kFunctions = 3, kCode = 10;

struct Section {
  int id;
  std::string payload;
};

bool read_u32(const std::string& bytes, std::size_t* at, std::uint32_t* out) {
  *out = 0;
  for (unsigned shift = 0; shift < 35 && *at < bytes.size(); shift += 7) {
    auto byte = static_cast<unsigned char>(bytes[(*at)++]);
    *out |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

std::string to_leb(std::uint64_t value) {
  std::string out;
  do {
    out += static_cast<char>((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>= 7;
  } while (value);
  return out;
}

bool split(const std::string& module, std::vector<Section>* out) {
  if (module.size() < kHeaderBytes) return false;
  for (std::size_t at = kHeaderBytes; at < module.size();) {
    int id = static_cast<unsigned char>(module[at++]);
    std::uint32_t bytes;
    if (!read_u32(module, &at, &bytes) || bytes > module.size() - at) return false;
    out->push_back({id, module.substr(at, bytes)});
    at += bytes;
  }
  return true;
}

}  // namespace

std::string repeat_functions(const std::string& module, std::uint64_t code_bytes) {
  std::vector<Section> sections;
  if (!split(module, &sections)) return {};
  std::string out = module.substr(0, kHeaderBytes);
  std::uint64_t copies = 1;
  for (const Section& section : sections)
    if (section.id == kCode && !section.payload.empty())
      copies = std::max<std::uint64_t>(
          1, (code_bytes + section.payload.size() / 2) / section.payload.size());
  for (Section& section : sections) {
    if (section.id == kCustom) continue;
    if (section.id == kFunctions || section.id == kCode) {
      std::size_t at = 0;
      std::uint32_t count;
      if (!read_u32(section.payload, &at, &count)) return {};
      std::string items = section.payload.substr(at);
      section.payload = to_leb(count * copies);
      for (std::uint64_t i = 0; i < copies; i++) section.payload += items;
    }
    out += static_cast<char>(section.id) + to_leb(section.payload.size()) + section.payload;
  }
  return out;
}

std::uint64_t code_bytes_of(const std::string& module) {
  std::vector<Section> sections;
  std::uint64_t bytes = 0;
  if (!split(module, &sections)) return 0;
  for (const Section& section : sections)
    if (section.id == kCode) bytes = section.payload.size();
  return bytes;
}

}  // namespace wring::bench
