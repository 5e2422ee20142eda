// SPDX-License-Identifier: GPL-2.0
// Modules as sequences of sections.
#include "selftests/host/sections.h"

namespace wring::host {

bool read_leb(std::string_view bytes, std::size_t* at, std::uint64_t* out) {
  *out = 0;
  for (unsigned shift = 0; shift < 64 && *at < bytes.size(); shift += 7) {
    auto byte = static_cast<unsigned char>(bytes[(*at)++]);
    *out |= std::uint64_t{byte & 0x7fu} << shift;
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

bool split_sections(std::string_view module, std::vector<Section>* out) {
  constexpr std::size_t kHeaderBytes = 8;
  if (module.size() < kHeaderBytes) return false;
  for (std::size_t at = kHeaderBytes; at < module.size();) {
    int id = static_cast<unsigned char>(module[at++]);
    std::uint64_t bytes;
    if (!read_leb(module, &at, &bytes) || bytes > module.size() - at) return false;
    out->push_back({id, module.substr(at, bytes)});
    at += bytes;
  }
  return true;
}

std::uint64_t code_bytes_of(std::string_view module) {
  std::vector<Section> sections;
  std::uint64_t bytes = 0;
  if (!split_sections(module, &sections)) return 0;
  for (const Section& section : sections)
    if (section.id == kCodeSection) bytes = section.payload.size();
  return bytes;
}

}  // namespace wring::host
