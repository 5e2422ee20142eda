// SPDX-License-Identifier: GPL-2.0
// Test support: WebAssembly text to binary, with wabt's wat2wasm.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace wring::test {

inline std::string wat(const std::string& text) {
  char dir[] = "/tmp/wring-wat-XXXXXX";
  if (!mkdtemp(dir)) {
    ADD_FAILURE() << "mkdtemp failed";
    return "";
  }
  std::string in = std::string(dir) + "/m.wat", out = std::string(dir) + "/m.wasm";
  std::ofstream(in) << text;
  const char* features =
      " --enable-tail-call --enable-multi-memory --enable-memory64 --enable-threads"
      " --enable-extended-const --enable-exceptions";
  int status = std::system(("wat2wasm --debug-names -o " + out + features + " " + in).c_str());
  std::ifstream file(out, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  unlink(in.c_str());
  unlink(out.c_str());
  rmdir(dir);
  EXPECT_EQ(status, 0) << text;
  return bytes;
}

}  // namespace wring::test
