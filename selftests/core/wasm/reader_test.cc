// SPDX-License-Identifier: GPL-2.0
// Reader: widths, unused bits and bounds of the binary format's primitives.
#include "core/wasm/reader.h"

#include <gtest/gtest.h>

#include "selftests/core/wasm/module_builder.h"

namespace wring {
namespace {

using namespace testing;

enum class Kind { kU32, kS32, kS33, kS64 };

struct Read {
  Err err = Err::kOk;
  i64 value = 0;
  u32 offset = 0;
  Diag diag;
};

Read read(Kind kind, const Bin& bin) {
  std::unique_ptr<u8[]> exact(new u8[bin.size()]);
  for (size_t i = 0; i < bin.size(); i++) exact[i] = bin[i];
  Read out;
  Reader r(Bytes(exact.get(), bin.size()), 0, static_cast<u32>(bin.size()), 5, &out.diag);
  u32 word = 0;
  switch (kind) {
    case Kind::kU32:
      out.err = r.read_u32(&word);
      out.value = word;
      break;
    case Kind::kS32: out.err = r.read_s32(&out.value); break;
    case Kind::kS33: out.err = r.read_s33(&out.value); break;
    case Kind::kS64: out.err = r.read_s64(&out.value); break;
  }
  out.offset = r.offset();
  return out;
}

void expect_value(Kind kind, const Bin& bin, i64 value) {
  const Read got = read(kind, bin);
  EXPECT_EQ(got.err, Err::kOk) << got.diag.message;
  EXPECT_EQ(got.value, value);
  EXPECT_EQ(got.offset, bin.size());
}

void expect_error(Kind kind, const Bin& bin, u32 offset, const char* message) {
  const Read got = read(kind, bin);
  EXPECT_EQ(got.err, Err::kMalformed);
  EXPECT_EQ(got.diag.offset, offset);
  EXPECT_EQ(got.diag.func, 5u);
  EXPECT_STREQ(got.diag.message, message);
}

constexpr const char* kTooLong = "integer representation too long";
constexpr const char* kTooLarge = "integer too large";

TEST(Reader, U32) {
  expect_value(Kind::kU32, {0x00}, 0);
  expect_value(Kind::kU32, {0x7f}, 127);
  expect_value(Kind::kU32, {0x80, 0x01}, 128);
  expect_value(Kind::kU32, {0x80, 0x00}, 0);
  expect_value(Kind::kU32, {0x80, 0x80, 0x80, 0x80, 0x00}, 0);
  expect_value(Kind::kU32, {0xff, 0xff, 0xff, 0xff, 0x0f}, 0xffffffff);
  expect_error(Kind::kU32, {0xff, 0xff, 0xff, 0xff, 0x1f}, 0, kTooLarge);
  expect_error(Kind::kU32, {0x80, 0x80, 0x80, 0x80, 0x70}, 0, kTooLarge);
  expect_error(Kind::kU32, {0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, 0, kTooLong);
  expect_error(Kind::kU32, {0x80, 0x80, 0x80, 0x80, 0x80}, 0, kTooLong);
  expect_error(Kind::kU32, {}, 0, "unexpected end of section or function");
  expect_error(Kind::kU32, {0x80, 0x80}, 2, "unexpected end of section or function");
}

TEST(Reader, S32) {
  expect_value(Kind::kS32, {0x3f}, 63);
  expect_value(Kind::kS32, {0x40}, -64);
  expect_value(Kind::kS32, {0x7f}, -1);
  expect_value(Kind::kS32, {0xff, 0x7f}, -1);
  expect_value(Kind::kS32, {0xff, 0x00}, 127);
  expect_value(Kind::kS32, {0xff, 0xff, 0xff, 0xff, 0x07}, 0x7fffffff);
  expect_value(Kind::kS32, {0x80, 0x80, 0x80, 0x80, 0x78}, -0x80000000ll);
  expect_value(Kind::kS32, {0xff, 0xff, 0xff, 0xff, 0x7f}, -1);
  // The unused bits must repeat the sign.
  expect_error(Kind::kS32, {0x80, 0x80, 0x80, 0x80, 0x08}, 0, kTooLarge);
  expect_error(Kind::kS32, {0x80, 0x80, 0x80, 0x80, 0x70}, 0, kTooLarge);
  expect_error(Kind::kS32, {0xff, 0xff, 0xff, 0xff, 0x0f}, 0, kTooLarge);
  expect_error(Kind::kS32, {0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 0, kTooLong);
}

TEST(Reader, S33) {
  expect_value(Kind::kS33, {0x40}, -64);
  expect_value(Kind::kS33, {0xff, 0xff, 0xff, 0xff, 0x0f}, 0xffffffff);
  expect_value(Kind::kS33, {0x80, 0x80, 0x80, 0x80, 0x70}, -0x100000000ll);
  expect_error(Kind::kS33, {0x80, 0x80, 0x80, 0x80, 0x10}, 0, kTooLarge);
  expect_error(Kind::kS33, {0x80, 0x80, 0x80, 0x80, 0x60}, 0, kTooLarge);
  expect_error(Kind::kS33, {0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, 0, kTooLong);
}

TEST(Reader, S64) {
  const Bin nine(9, 0x80), full(9, 0xff);
  expect_value(Kind::kS64, nine + Bin{0x00}, 0);
  expect_value(Kind::kS64, full + Bin{0x00}, 0x7fffffffffffffff);
  expect_value(Kind::kS64, nine + Bin{0x7f}, static_cast<i64>(u64{1} << 63));
  expect_value(Kind::kS64, full + Bin{0x7f}, -1);
  expect_error(Kind::kS64, nine + Bin{0x01}, 0, kTooLarge);
  expect_error(Kind::kS64, nine + Bin{0x7e}, 0, kTooLarge);
  expect_error(Kind::kS64, full + Bin{0x41}, 0, kTooLarge);
  expect_error(Kind::kS64, nine + Bin{0x80, 0x00}, 0, kTooLong);
}

TEST(Reader, FixedWordsAndRanges) {
  const u8 bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  Diag diag;
  Reader r(Bytes(bytes), 1, 9, kNone, &diag);
  u32 word = 0;
  EXPECT_EQ(r.read_fixed32(&word), Err::kOk);
  EXPECT_EQ(word, 0x05040302u);
  u64 wide = 0;
  EXPECT_EQ(r.read_fixed64(&wide), Err::kMalformed);
  EXPECT_EQ(diag.offset, 9u);
  EXPECT_EQ(r.remaining(), 4u);
}

TEST(Reader, EndOfASection) {
  const u8 bytes[] = {0x80, 0x80, 0x00};
  Diag diag;
  Reader r(Bytes(bytes), 0, 2, kNone, &diag);
  u32 value = 0;
  EXPECT_EQ(r.read_u32(&value), Err::kMalformed);
  EXPECT_EQ(diag.offset, 2u);
  EXPECT_STREQ(diag.message, "unexpected end of section or function");
}

TEST(Reader, Names) {
  const auto read_name = [](const Bin& bin, Diag* diag) {
    Reader r(Bytes(bin.data(), bin.size()), 0, static_cast<u32>(bin.size()), kNone, diag);
    Bytes name;
    const Err err = r.read_name(&name);
    return err == Err::kOk ? testing::text_of(name) : std::string("error");
  };
  Diag diag;
  EXPECT_EQ(read_name({3, 'a', 'b', 'c', 'd'}, &diag), "abc");
  EXPECT_EQ(read_name({0}, &diag), "");
  EXPECT_EQ(read_name({4, 'a', 'b', 'c'}, &diag), "error");
  EXPECT_STREQ(diag.message, "length out of bounds");
  EXPECT_EQ(diag.offset, 0u);
  Diag utf8;
  EXPECT_EQ(read_name({2, 'a', 0xff}, &utf8), "error");
  EXPECT_STREQ(utf8.message, "malformed UTF-8 encoding");
  EXPECT_EQ(utf8.offset, 1u);
}

bool utf8(const Bin& bin) { return is_utf8(Bytes(bin.data(), bin.size())); }

TEST(Utf8, WellFormed) {
  EXPECT_TRUE(utf8({}));
  EXPECT_TRUE(utf8({0x00, 0x7f}));
  EXPECT_TRUE(utf8({0xc2, 0x80, 0xdf, 0xbf}));
  EXPECT_TRUE(utf8({0xe0, 0xa0, 0x80, 0xef, 0xbf, 0xbf}));
  EXPECT_TRUE(utf8({0xed, 0x9f, 0xbf, 0xee, 0x80, 0x80}));
  EXPECT_TRUE(utf8({0xf0, 0x90, 0x80, 0x80, 0xf4, 0x8f, 0xbf, 0xbf}));
}

TEST(Utf8, IllFormed) {
  EXPECT_FALSE(utf8({0x80}));
  EXPECT_FALSE(utf8({0xc0, 0x80}));
  EXPECT_FALSE(utf8({0xc1, 0xbf}));
  EXPECT_FALSE(utf8({0xc2}));
  EXPECT_FALSE(utf8({0xc2, 'a'}));
  EXPECT_FALSE(utf8({0xe0, 0x9f, 0xbf}));
  EXPECT_FALSE(utf8({0xe1, 0x80}));
  EXPECT_FALSE(utf8({0xe1, 0x80, 0xc0}));
  EXPECT_FALSE(utf8({0xed, 0xa0, 0x80}));
  EXPECT_FALSE(utf8({0xf0, 0x8f, 0xbf, 0xbf}));
  EXPECT_FALSE(utf8({0xf1, 0x80, 0x80}));
  EXPECT_FALSE(utf8({0xf1, 0x80, 0x80, 0x00}));
  EXPECT_FALSE(utf8({0xf4, 0x90, 0x80, 0x80}));
  EXPECT_FALSE(utf8({0xf5, 0x80, 0x80, 0x80}));
  EXPECT_FALSE(utf8({0xff}));
}

}  // namespace
}  // namespace wring
