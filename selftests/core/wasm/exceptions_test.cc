// SPDX-License-Identifier: GPL-2.0
// Exception handling: tags, try_table and its catch clauses, throw.
#include <gtest/gtest.h>

#include <cstring>

#include "selftests/core/wasm/module_builder.h"

namespace wring {
namespace {

using namespace testing;

const Bin kVoid = func_type({}, {});

// Type 0: the function's; 1: [] -> []; 2: [i32 i64] -> []; 3: [] -> [i32 i64]; 4: [] -> [i32 i64 exnref]. Tag 0 is of
// type 1, tag 1 of type 2.
Bin module_with(const Bin& type, const Bin& code) {
  return header() +
         types({type, kVoid, func_type({kI32, kI64}, {}), func_type({}, {kI32, kI64}),
                func_type({}, {kI32, kI64, kExnRef})}) +
         section(3, {1, 0}) + section(13, {2, 0, 1, 0, 2}) + section(10, vec({body(code)}));
}
void expect_valid(const Bin& type, const Bin& code) { EXPECT_VALID(module_with(type, code)); }
void expect_invalid(const Bin& type, const Bin& code, const char* text) {
  const Decoded got = decode_bin(module_with(type, code));
  EXPECT_EQ(static_cast<int>(got.err), static_cast<int>(Err::kInvalid));
  EXPECT_EQ(std::string(got.diag.message).substr(0, strlen(text)), text);
}

TEST(Exceptions, Tags) {
  const Decoded got = decode_bin(header() + types({kVoid, func_type({kI32}, {})}) +
                                 section(2, vec({str("a") + str("t") + Bin{4, 0, 1}})) +
                                 section(13, {1, 0, 0}) + section(7, vec({str("x") + Bin{4, 1}})));
  ASSERT_EQ(got.err, Err::kOk) << got.diag.message;
  EXPECT_EQ(got.module->imported_tags, 1u);
  ASSERT_EQ(got.module->tags.size(), 2u);
  EXPECT_EQ(got.module->tag_type(0).params.size(), 1u);
  EXPECT_EQ(got.module->tag_type(1).params.size(), 0u);
  EXPECT_EQ(got.module->imports[0].kind, ExternKind::kTag);
  EXPECT_EQ(got.module->exports[0].kind, ExternKind::kTag);

  const auto tags = [](const Bin& tag) {
    return header() + types({kVoid, func_type({}, {kI32})}) + section(13, Bin{1} + tag);
  };
  EXPECT_INVALID(tags({0, 1}), 22, "non-empty tag result type");
  EXPECT_INVALID(tags({0, 2}), 22, "unknown type 2");
  EXPECT_MALFORMED(tags({1, 0}), 21, "malformed tag attribute");
  EXPECT_INVALID(tags({0, 0}) + section(7, vec({str("x") + Bin{4, 1}})), 29, "unknown tag 1");
  EXPECT_REJECTED_AS(kWasm2, tags({0, 0}), Err::kMalformed, 18, "malformed section id 13");
  EXPECT_REJECTED_AS(
      kWasm2, header() + types({kVoid}) + section(2, vec({str("a") + str("t") + Bin{4, 0, 0}})),
      Err::kMalformed, 21, "malformed import kind");
}

TEST(Exceptions, Throw) {
  expect_valid(kVoid, {0x08, 0, 0x0b});
  expect_valid(kVoid, {0x41, 1, 0x42, 2, 0x08, 1, 0x6a, 0x1a, 0x0b});
  expect_invalid(kVoid, {0x08, 1, 0x0b}, "type mismatch: expected i64, found nothing");
  expect_invalid(kVoid, {0x08, 2, 0x0b}, "unknown tag 2");
  expect_valid(func_type({kExnRef}, {kI32}), {0x20, 0, 0x0a, 0x0b});
  expect_valid(kVoid, {0xd0, 0x74, 0x0a, 0x0b});  // noexn
  expect_invalid(kVoid, {0x0a, 0x0b}, "type mismatch: expected exnref, found nothing");
  expect_invalid(kVoid, {0xd0, kExternRef, 0x0a, 0x0b}, "type mismatch: expected exnref");
}

TEST(Exceptions, TryTable) {
  expect_valid(kVoid, {0x1f, 0x40, 0x00, 0x0b, 0x0b});
  expect_valid(func_type({}, {kI32}), {0x1f, kI32, 0x00, 0x41, 1, 0x0b, 0x0b});
  // The body's own label is not what clauses count from.
  expect_valid(func_type({}, {kI32}), {0x1f, kI32, 0x00, 0x41, 1, 0x0c, 0, 0x0b, 0x0b});
  // Label 0 of a clause is what surrounds the try_table: here the function.
  expect_valid(kVoid, {0x1f, kI32, 0x01, 0x02, 0, 0x41, 1, 0x0b, 0x1a, 0x0b});
  expect_invalid(kVoid, {0x1f, kI32, 0x01, 0x02, 1, 0x41, 1, 0x0b, 0x1a, 0x0b}, "unknown label 1");
  expect_invalid(kVoid, {0x1f, 5, 0x00, 0x0b, 0x0b}, "unknown type 5");
  expect_invalid(kVoid, {0x1f, kI32, 0x00, 0x0b, 0x1a, 0x0b}, "type mismatch");
}

TEST(Exceptions, CatchClauses) {
  // Each kind to a block of its type, from inside it.
  const auto within = [](const Bin& block, const Bin& clause) {
    return Bin{0x02} + block + Bin{0x1f, 0x40, 0x01} + clause + Bin{0x0b, 0x00, 0x0b, 0x00, 0x0b};
  };
  expect_valid(kVoid, within({0x40}, {0x00, 0, 0}));
  expect_valid(kVoid, within({3}, {0x00, 1, 0}));
  expect_valid(kVoid, within({kExnRef}, {0x01, 0, 0}));
  expect_valid(kVoid, within({4}, {0x01, 1, 0}));
  expect_valid(kVoid, within({0x40}, {0x02, 0}));
  expect_valid(kVoid, within({kExnRef}, {0x03, 0}));
  // The exception is there: not null.
  expect_valid(kVoid, within({kRef, kExnRef}, {0x03, 0}));
  expect_invalid(kVoid, within({kRef, 0x74}, {0x03, 0}), "type mismatch");
  expect_invalid(kVoid, within({kExternRef}, {0x03, 0}), "type mismatch");
  expect_invalid(kVoid, within({kExnRef}, {0x02, 0}),
                 "type mismatch: a catch clause brings 0 values to a label of 1");
  expect_invalid(kVoid, within({0x40}, {0x03, 0}), "type mismatch");
  expect_invalid(kVoid, within({3}, {0x00, 0, 0}), "type mismatch");
  expect_invalid(kVoid, within({3}, {0x01, 1, 0}), "type mismatch");
  expect_invalid(kVoid, within({0x40}, {0x00, 2, 0}), "unknown tag 2");
  expect_invalid(kVoid, within({0x40}, {0x02, 2}), "unknown label 2");
  const Bin other = Bin{0x60, 0, 2, kI64, kI32};  // values in another order
  EXPECT_INVALID(
      (header() + types({kVoid, func_type({kI32, kI64}, {}), other}) + section(3, {1, 0}) +
       section(13, {1, 0, 1}) + section(10, vec({body(within({2}, {0x00, 0, 0}))}))),
      40, "type mismatch: a catch clause and its label differ");
}

// Labels of loops take parameters.
TEST(Exceptions, CatchToALoop) {
  EXPECT_VALID(header() + types({kVoid, func_type({kI32}, {})}) + section(3, {1, 0}) +
               section(13, {1, 0, 1}) +
               section(10, vec({body({0x41, 0, 0x03, 1, 0x1a, 0x1f, 0x40, 0x01, 0x00, 0, 0, 0x0b,
                                      0x0b, 0x0b})})));
}

// The most clauses, each with a thousand values, to labels at every depth; and many such try_tables.
TEST(Exceptions, ManyClauses) {
  const Bin values(kMaxParams, kI64);
  const auto with = [&](uint32_t tables, uint32_t clauses) {
    Bin list = uleb(clauses);
    for (uint32_t i = 0; i < clauses; i++) {
      const Bin clause = Bin{0x00, 0} + uleb(i % 1000);
      list.insert(list.end(), clause.begin(), clause.end());
    }
    const Bin code = repeat(1000, {0x02, 2}) + repeat(tables, Bin{0x1f, 0x40} + list + Bin{0x0b}) +
                     repeat(kMaxParams, {0x42, 0}) + Bin(1000, 0x0b) + Bin{0x00, 0x0b};
    return header() + types({kVoid, func_type(values, {}), func_type({}, values)}) +
           section(3, {1, 0}) + section(13, {1, 0, 1}) + section(10, vec({body(code)}));
  };
  EXPECT_VALID(with(20, kMaxCatchClauses));
  EXPECT_EQ(static_cast<int>(decode_bin(with(1, kMaxCatchClauses + 1)).err),
            static_cast<int>(Err::kLimit));
}

TEST(Exceptions, DeepTryTables) {
  const uint32_t depth = 100'000;
  Bin code;
  for (uint32_t i = 0; i < depth; i++) {
    const Bin level = Bin{0x1f, 0x40, 0x02, 0x02} + uleb(i) + Bin{0x00, 0, 0};
    code.insert(code.end(), level.begin(), level.end());
  }
  EXPECT_VALID(module_with(kVoid, code + Bin(depth + 1, 0x0b)));
}

}  // namespace
}  // namespace wring
