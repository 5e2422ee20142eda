// SPDX-License-Identifier: GPL-2.0
// Constant expressions of 3.0, and what they initialize: globals, tables, segments.
#include <gtest/gtest.h>

#include "selftests/core/wasm/module_builder.h"

namespace wring {
namespace {

using namespace testing;

const Bin kVoid = func_type({}, {});

Bin with_global(const Bin& type, const Bin& code) {
  return header() + types({kVoid, func_type({kI32}, {})}) + section(3, {1, 0}) +
         section(6, Bin{1} + type + Bin{0} + code + Bin{0x0b}) + section(10, vec({body({0x0b})}));
}

TEST(ConstExpr, Arithmetic) {
  EXPECT_VALID(with_global({kI32}, {0x41, 1, 0x41, 2, 0x6a, 0x41, 3, 0x6b, 0x41, 4, 0x6c}));
  EXPECT_VALID(with_global({kI64}, {0x42, 1, 0x42, 2, 0x42, 3, 0x7e, 0x7d, 0x42, 9, 0x7c}));
  EXPECT_INVALID(with_global({kI32}, {0x41, 1, 0x6a}), 29,
                 "type mismatch: expected i32, found nothing");
  EXPECT_INVALID(with_global({kI32}, {0x41, 1, 0x42, 1, 0x6a}), 31,
                 "type mismatch: expected i32, found i64");
  EXPECT_INVALID(with_global({kI64}, {0x41, 1, 0x41, 1, 0x6a}), 27,
                 "type mismatch: expected i64, found i32");
  EXPECT_INVALID(with_global({kI32}, {0x6a}), 27, "type mismatch");
  EXPECT_INVALID(with_global({kI32}, {0x41, 1, 0x41, 1, 0x6d}), 31, "constant expression required");
  EXPECT_INVALID(with_global({kI32}, {0x1f, 0x40, 0x00, 0x0b, 0x41, 1}), 27,
                 "constant expression required");
  EXPECT_REJECTED_AS(kWasm2, with_global({kI32}, {0x41, 1, 0x41, 2, 0x6a}), Err::kInvalid, 31,
                     "constant expression required");
}

TEST(ConstExpr, Depth) {
  const auto deep = [](uint32_t depth) {
    return with_global({kI32}, repeat(depth, {0x41, 1}) + Bin(depth - 1, 0x6a));
  };
  EXPECT_VALID(deep(kMaxConstDepth));
  EXPECT_LIMIT(deep(kMaxConstDepth + 1), 28 + 2 * kMaxConstDepth,
               "constant expression with more than 64 operands at once");
  // As long as one likes, if not deep.
  EXPECT_VALID(with_global({kI32}, Bin{0x41, 0} + repeat(100'000, {0x41, 1, 0x6a})));
}

TEST(ConstExpr, TypedReferences) {
  EXPECT_VALID(with_global({kRef, 0}, {0xd2, 0}));
  EXPECT_VALID(with_global({kRefNull, 0}, {0xd2, 0}));
  EXPECT_VALID(with_global({kRef, kFuncRef}, {0xd2, 0}));
  EXPECT_VALID(with_global({kRefNull, 1}, {0xd0, 1}));
  EXPECT_VALID(with_global({kRefNull, 1}, {0xd0, 0x73}));  // nofunc
  EXPECT_VALID(with_global({kExnRef}, {0xd0, kExnRef}));
  EXPECT_INVALID(with_global({kRef, 1}, {0xd2, 0}), 28, "type mismatch");
  EXPECT_INVALID(with_global({kRef, 0}, {0xd0, 0}), 28, "type mismatch");
  EXPECT_INVALID(with_global({kRefNull, 2}, {0xd0, 1}), 25, "unknown type 2");
  EXPECT_INVALID(with_global({kRefNull, 1}, {0xd0, 2}), 28, "unknown type 2");
  EXPECT_INVALID(with_global({kExternRef}, {0xd0, 0x73}), 27, "type mismatch");
}

// A function named only by an initializer may be referred to in bodies.
TEST(ConstExpr, ReferencesAreDeclarations) {
  const auto module = [](const Bin& init) {
    return header() + types({kVoid}) + section(3, {1, 0}) + section(4, Bin{1} + init) +
           section(10, vec({body({0xd2, 0, 0x1a, 0x0b})}));
  };
  EXPECT_VALID(module({0x40, 0, kFuncRef, 0, 1, 0xd2, 0, 0x0b}));
  EXPECT_INVALID(module({0x40, 0, kFuncRef, 0, 1, 0xd0, kFuncRef, 0x0b}), 34,
                 "undeclared function reference");
}

TEST(ConstExpr, TableInitializers) {
  const auto table = [](const Bin& rest) {
    return header() + types({kVoid}) + section(2, vec({str("a") + str("g") + Bin{3, kRef, 0, 0}})) +
           section(4, Bin{1} + rest);
  };
  const Decoded got = decode_bin(table({0x40, 0, kRef, 0, 0, 1, 0x23, 0, 0x0b}));
  ASSERT_EQ(got.err, Err::kOk) << got.diag.message;
  EXPECT_EQ(got.module->tables[0].type.elem, ref_to(0, false));
  EXPECT_EQ(got.module->tables[0].init.size(), 3u);
  EXPECT_EQ(decode_bin(table({kFuncRef, 0, 1})).module->tables[0].init.size(), 0u);

  EXPECT_INVALID(table({kRef, 0, 0, 1}), 28, "type mismatch");
  EXPECT_INVALID(table({0x40, 0, kRef, 0, 0, 1, 0xd0, 0, 0x0b}), 34, "type mismatch");
  EXPECT_INVALID(table({0x40, 0, kExternRef, 0, 1, 0x23, 0, 0x0b}), 33, "type mismatch");
  EXPECT_INVALID(table({0x40, 0, kFuncRef, 0, 1, 0x23, 1, 0x0b}), 33, "unknown global 1");
  EXPECT_MALFORMED(table({0x40, 1, kFuncRef, 0, 1, 0x23, 0, 0x0b}), 29, "zero byte expected");
  EXPECT_REJECTED_AS(kWasm2,
                     (header() + section(4, {1, 0x40, 0, kFuncRef, 0, 1, 0xd0, kFuncRef, 0x0b})),
                     Err::kMalformed, 11, "malformed reference type");
  // Imported tables bring their contents along.
  EXPECT_VALID(header() + types({kVoid}) +
               section(2, vec({str("a") + str("t") + Bin{1, kRef, 0, 0, 1}})));
}

TEST(ConstExpr, ElementTypes) {
  const auto elements = [](const Bin& table, const Bin& segment) {
    return header() + types({kVoid}) + section(3, {1, 0}) + section(4, Bin{1} + table) +
           section(9, Bin{1} + segment) + section(10, vec({body({0x0b})}));
  };
  const Bin any = {kFuncRef, 0, 1}, exact = {0x40, 0, kRef, 0, 0, 1, 0xd2, 0, 0x0b};
  EXPECT_VALID(elements(any, {0, 0x41, 0, 0x0b, 1, 0}));
  EXPECT_VALID(elements(any, Bin{6, 0, 0x41, 0, 0x0b, kRef, 0, 1, 0xd2, 0, 0x0b}));
  EXPECT_VALID(elements(exact, Bin{6, 0, 0x41, 0, 0x0b, kRef, 0, 1, 0xd2, 0, 0x0b}));
  // Function indices are of the type (ref func), which says nothing of the signature.
  EXPECT_INVALID(elements(exact, {0, 0x41, 0, 0x0b, 1, 0}), 33, "type mismatch");
  EXPECT_INVALID(elements(exact, Bin{6, 0, 0x41, 0, 0x0b, kRefNull, 0, 1, 0xd0, 0, 0x0b}), 33,
                 "type mismatch");
  EXPECT_VALID(elements({0x40, 0, kRef, kFuncRef, 0, 1, 0xd2, 0, 0x0b}, {0, 0x41, 0, 0x0b, 1, 0}));
  const Decoded got = decode_bin(elements(any, {1, 0, 1, 0}));
  EXPECT_EQ(got.module->elements[0].type, as_non_null(ValType::kFuncRef));
}

}  // namespace
}  // namespace wring
