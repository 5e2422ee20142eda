// SPDX-License-Identifier: GPL-2.0
// Module: lookup of exports and custom sections, names of functions.
#include "core/wasm/module.h"

#include <gtest/gtest.h>

#include "selftests/core/wasm/module_builder.h"

namespace wring {
namespace {

using namespace testing;

Bin functions(uint32_t count) {
  return header() + types({func_type({}, {})}) + section(3, counted(count, repeat(count, Bin{0})));
}
Bin code(uint32_t count) { return section(10, counted(count, repeat(count, body({0x0b})))); }

TEST(Module, FindExport) {
  std::string names[300];
  Bin exports = uleb(300);
  for (uint32_t i = 0; i < 300; i++) {
    names[i] = "f" + std::to_string(i * 7919 % 300);
    exports = exports + str(names[i]) + Bin{0} + uleb(i % 3);
  }
  const Decoded got = decode_bin(functions(3) + section(7, exports) + code(3));
  ASSERT_EQ(got.err, Err::kOk) << got.diag.message;
  const Module& m = *got.module;
  for (uint32_t i = 0; i < 300; i++) {
    const Export* found = m.find_export(bytes_of(names[i].c_str()));
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found, &m.exports[i]);
    EXPECT_EQ(found->index, i % 3);
  }
  EXPECT_EQ(m.find_export(bytes_of("f300")), nullptr);
  EXPECT_EQ(m.find_export(bytes_of("")), nullptr);
  EXPECT_EQ(m.find_export(bytes_of("a long name that sorts last")), nullptr);
}

TEST(Module, NoExports) {
  const Decoded got = decode_bin(functions(1) + code(1));
  ASSERT_EQ(got.err, Err::kOk);
  EXPECT_EQ(got.module->find_export(bytes_of("f")), nullptr);
  EXPECT_TRUE(got.module->function_name(0).empty());
  EXPECT_TRUE(got.module->function_name(12345).empty());
}

TEST(Module, FindCustom) {
  const Decoded got = decode_bin(header() + custom("ab", {1}) + custom("abc", {2}) +
                                 custom("abc", {3}) + custom("", {4}));
  ASSERT_EQ(got.err, Err::kOk);
  EXPECT_EQ(got.module->find_custom("abc")->payload[0], 2);
  EXPECT_EQ(got.module->find_custom("ab")->payload[0], 1);
  EXPECT_EQ(got.module->find_custom("")->payload[0], 4);
  EXPECT_EQ(got.module->find_custom("a"), nullptr);
  EXPECT_EQ(got.module->find_custom("abcd"), nullptr);
}

// A name section whose subsections are `payload`, after three functions of which number 1 is exported.
Decoded with_names(const Bin& payload) {
  return decode_bin(functions(3) +
                    section(7, vec({str("first") + Bin{0, 1}, str("again") + Bin{0, 1}})) +
                    code(3) + custom("name", payload));
}
Bin subsection(uint8_t id, const Bin& payload) { return Bin{id} + uleb(payload.size()) + payload; }

TEST(Names, NameSectionThenExport) {
  const Decoded got =
      with_names(subsection(0, str("module")) +
                 subsection(1, vec({Bin{0} + str("zero"), Bin{2} + str("\xff two")})) +
                 subsection(9, {1, 2, 3}));
  ASSERT_EQ(got.err, Err::kOk);
  EXPECT_EQ(got.module->function_names.size(), 3u);
  EXPECT_EQ(text_of(got.module->function_name(0)), "zero");
  EXPECT_EQ(text_of(got.module->function_name(1)), "first");
  EXPECT_EQ(text_of(got.module->function_name(2)), "\xff two");
}

TEST(Names, BrokenSectionsAreIgnored) {
  const Bin zero = Bin{0} + str("zero");
  const Bin broken[] = {
      {1},                                              // no size
      {1, 0x80},                                        // half a size
      subsection(1, {}),                                // no count
      subsection(1, vec({zero, zero})),                 // an index twice
      subsection(1, vec({Bin{2} + str("two"), zero})),  // descending
      subsection(1, vec({Bin{3} + str("three")})),      // no such function
      subsection(1, vec({zero, {1, 100, 'x'}})),        // name beyond the subsection
      subsection(1, vec({zero}) + Bin{0}),              // left-over bytes
      subsection(1, counted(1000, zero)),               // count beyond the subsection
      subsection(1, vec({zero})) + Bin{2, 50},          // a later subsection is cut off
      subsection(1, {0xff, 0xff, 0xff, 0xff, 0x1f}),    // malformed count
  };
  for (const Bin& payload : broken) {
    const Decoded got = with_names(payload);
    ASSERT_EQ(got.err, Err::kOk) << got.diag.message;
    EXPECT_TRUE(got.module->function_names.empty());
    EXPECT_TRUE(got.module->function_name(0).empty());
    EXPECT_EQ(text_of(got.module->function_name(1)), "first");
  }
}

TEST(Names, EmptySection) {
  const Decoded got = with_names({});
  ASSERT_EQ(got.err, Err::kOk);
  EXPECT_TRUE(got.module->function_name(0).empty());
}

TEST(Names, OfImportedFunctions) {
  const Decoded got = decode_bin(header() + types({func_type({}, {})}) +
                                 section(2, vec({str("env") + str("log") + Bin{0, 0}})) +
                                 custom("name", subsection(1, vec({Bin{0} + str("log")}))));
  ASSERT_EQ(got.err, Err::kOk);
  EXPECT_EQ(text_of(got.module->function_name(0)), "log");
}

}  // namespace
}  // namespace wring
