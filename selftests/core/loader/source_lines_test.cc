// SPDX-License-Identifier: GPL-2.0
// Lines from debug information, sound and broken: of selftests/kernel/guest/cli_lines.c as the build leaves it.
#include "loader/source_lines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

namespace wring::loader {
namespace {

using Module = std::vector<std::uint8_t>;

Module built_module() {
  const char* build = std::getenv("WRING_BUILD");
  std::ifstream file(std::string(build ? build : "build") + "/guest/cli_lines.wasm",
                     std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Where the module has this text for the first time, from there on.
std::size_t find(const Module& module, const std::string& text, std::size_t from = 0) {
  auto at = std::search(module.begin() + static_cast<std::ptrdiff_t>(from), module.end(),
                        text.begin(), text.end());
  return static_cast<std::size_t>(at - module.begin());
}

// The only division of the module: local.get of the second parameter, i32.div_u, end.
std::uint32_t division(const Module& module) {
  return static_cast<std::uint32_t>(find(module, std::string("\x20\x01\x6e\x0b", 4)) + 2);
}

TEST(SourceLines, OfAnInstruction) {
  Module module = built_module();
  std::uint32_t at = division(module);
  ASSERT_LT(at, module.size());
  std::vector<SourceLine> lines =
      source_lines(module, {at, 0, static_cast<std::uint32_t>(module.size()), at});
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0].line, 12u);
  EXPECT_EQ(line_text(lines[0]), "selftests/kernel/guest/cli_lines.c:12");
  EXPECT_EQ(line_text(lines[1]), "");
  EXPECT_EQ(line_text(lines[2]), "");
  EXPECT_EQ(line_text(lines[3]), line_text(lines[0]));
}

TEST(SourceLines, NoneWithoutDebugInformation) {
  Module module = built_module();
  std::uint32_t at = division(module);
  for (std::size_t name = 0; (name = find(module, ".debug_", name)) < module.size();)
    module[name] = '_';
  EXPECT_EQ(line_text(source_lines(module, {at})[0]), "");
  EXPECT_EQ(line_text(source_lines({}, {at})[0]), "");
  module.resize(module.size() / 2);
  EXPECT_EQ(line_text(source_lines(module, {at})[0]), "");
  EXPECT_TRUE(source_lines(built_module(), {}).empty());
}

// Whatever the sections hold, we get an answer: a line or none.
TEST(SourceLines, SurvivesBrokenDebugInformation) {
  const Module sound = built_module();
  std::uint32_t at = division(sound);
  std::size_t begin = find(sound, ".debug_");
  ASSERT_LT(begin, sound.size());
  std::mt19937 random(1);
  unsigned different = 0;
  for (int round = 0; round < 150; round++) {
    Module module = sound;
    unsigned changes = 1u << round % 7;
    for (unsigned i = 0; i < changes; i++)
      module[begin + random() % (module.size() - begin)] = static_cast<std::uint8_t>(random());
    std::vector<SourceLine> lines = source_lines(module, {at, at + 1});
    ASSERT_EQ(lines.size(), 2u);
    different += lines[0].line != 12;
  }
  EXPECT_GT(different, 10u);
}

}  // namespace
}  // namespace wring::loader
