// SPDX-License-Identifier: GPL-2.0
// Error reports: what is wrong, where, and in which function by name.
#include "selftests/core/runtime/engine_fixture.h"
#include "selftests/core/wasm/module_builder.h"

namespace wring::test {
namespace {

using namespace wring::testing;  // NOLINT(google-build-using-namespace)

using ErrorsTest = EngineTest;

std::string text_of(const Bin& bytes) { return std::string(bytes.begin(), bytes.end()); }

// Two functions () -> (), the second of which has that body; then whatever follows.
Bin module_with(const Bin& second, const Bin& rest) {
  return header() + types({func_type({}, {})}) + section(3, vec({{0}, {0}})) +
         section(10, vec({body({0x0b}), body(second)})) + rest;
}
const Bin kInvalid = {0x6a, 0x0b};  // i32.add of nothing

Bin names(const Bin& subsections) { return custom("name", subsections); }
Bin function_names(const Bin& map) { return Bin{1} + uleb(map.size()) + map; }
const Bin kTwoNames = function_names(vec({Bin{0} + str("one"), Bin{1} + str("t\x1b"
                                                                            "wo")}));

TEST_F(ErrorsTest, OfModulesThatCannotBeDecodedNameTheFunction) {
  const Bin module_name = Bin{0} + uleb(2) + str("m");
  const Bin cases[] = {names(kTwoNames), custom("other", {1, 2, 3}) + names(kTwoNames),
                       names(module_name + kTwoNames)};
  for (const Bin& rest : cases) {
    EXPECT_EQ(try_load_bytes(text_of(module_with(kInvalid, rest))), -WRING_ERR_INVALID);
    EXPECT_EQ(error.func, 1u);
    EXPECT_STREQ(error.function, "t?wo");
  }
}

TEST_F(ErrorsTest, DoNotNeedNames) {
  const Bin cases[] = {{},
                       names({}),
                       names(function_names(vec({Bin{0} + str("one")}))),
                       names({1, 100, 1}),
                       names(function_names({2, 0, 3, 'o'})),
                       {0, 100, 4, 'n', 'a', 'm', 'e'},
                       custom("nam", kTwoNames)};
  for (const Bin& rest : cases) {
    EXPECT_NE(try_load_bytes(text_of(module_with(kInvalid, rest))), 0);
    EXPECT_STREQ(error.function, "");
  }
}

TEST_F(ErrorsTest, CutLongNames) {
  const std::string name(1000, 'x');
  const Bin rest = names(function_names(vec({Bin{1} + str(name)})));
  EXPECT_EQ(try_load_bytes(text_of(module_with(kInvalid, rest))), -WRING_ERR_INVALID);
  EXPECT_EQ(std::string(error.function), name.substr(0, sizeof(error.function) - 1));
}

TEST_F(ErrorsTest, OfTheCompilerNameTheFunction) {
  std::string bytes = text_of(module_with({0x0b}, names(kTwoNames)));
  Loaded l;
  ASSERT_EQ(wring_module_new(store, bytes.data(), bytes.size(), &l.module, &error), 0);
  wring_target target = wring_posix_target();
  wring_hook_entry hook = {};
  hook.func = 1;  // not () -> i32
  wring_compile_options options = {};
  options.target = &target;
  options.hook = &hook;
  EXPECT_EQ(wring_compile(l.module, &options, &l.code, &error), -WRING_ERR_INVALID);
  EXPECT_EQ(error.func, 1u);
  EXPECT_STREQ(error.function, "t?wo");
  loaded.push_back(l);
}

}  // namespace
}  // namespace wring::test
