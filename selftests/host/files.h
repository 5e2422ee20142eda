// SPDX-License-Identifier: GPL-2.0
// Reading whole files.
#pragma once

#include <fstream>
#include <sstream>
#include <string>

namespace wring::host {

// False if the file cannot be opened or read to its end (a directory opens, too).
inline bool read_file(const std::string& path, std::string* out) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  if (in.peek() != std::ifstream::traits_type::eof()) bytes << in.rdbuf();
  *out = bytes.str();
  return in.is_open() && !in.bad() && bytes.good();
}

}  // namespace wring::host
