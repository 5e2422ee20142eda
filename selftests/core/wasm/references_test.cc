// SPDX-License-Identifier: GPL-2.0
// Typed function references: instructions, locals without a default value, calls and tail calls.
#include <gtest/gtest.h>

#include <cstring>

#include "selftests/core/wasm/module_builder.h"

namespace wring {
namespace {

using namespace testing;

// Types 0 and 1: [] -> []; 2: [i32] -> [i64]; 3: like 2; 4: [] -> [(ref 2)]; 5: the function's. Function 1, of type 2,
// is declared. Tables 0 (funcref), 1 (externref), 2 ((ref null 2)).
Bin module_with(const Bin& type, const Bin& code, const Bin& locals = {0}) {
  return header() +
         types({func_type({}, {}), func_type({}, {}), func_type({kI32}, {kI64}),
                func_type({kI32}, {kI64}), Bin{0x60, 0, 1, kRef, 2}, type}) +
         section(3, {2, 5, 2}) +
         section(4, {3, kFuncRef, 0, 1, kExternRef, 0, 1, kRefNull, 2, 0, 1}) +
         section(9, vec({{3, 0, 1, 1}})) +
         section(10, vec({body(code, locals), body({0x00, 0x0b})}));
}
const Bin kVoid = func_type({}, {});

void expect_valid(const Bin& type, const Bin& code, const Bin& locals = {0}) {
  const Decoded got = decode_bin(module_with(type, code, locals));
  EXPECT_EQ(static_cast<int>(got.err), 0) << got.diag.message << " at " << got.diag.offset;
}
void expect_invalid(const Bin& type, const Bin& code, const char* text, const Bin& locals = {0}) {
  const Decoded got = decode_bin(module_with(type, code, locals));
  EXPECT_EQ(static_cast<int>(got.err), static_cast<int>(Err::kInvalid));
  EXPECT_EQ(got.diag.func, 0u);
  EXPECT_EQ(std::string(got.diag.message).substr(0, strlen(text)), text);
}
Bin takes(std::initializer_list<Bin> params, std::initializer_list<Bin> results = {}) {
  return Bin{0x60} + vec(params) + vec(results);
}
const Bin kRef2 = {kRef, 2}, kRefNull2 = {kRefNull, 2}, kRefNull1 = {kRefNull, 1};

TEST(References, RefFuncHasTheFunctionsType) {
  expect_valid(takes({}, {kRef2}), {0xd2, 1, 0x0b});
  expect_valid(takes({}, {{kRef, 3}}), {0xd2, 1, 0x0b});  // an equal type
  expect_valid(takes({}, {{kFuncRef}}), {0xd2, 1, 0x0b});
  expect_invalid(takes({}, {{kRef, 1}}), {0xd2, 1, 0x0b}, "type mismatch");
  expect_invalid(takes({}, {kRef2}), {0xd0, 2, 0x0b}, "type mismatch");
  expect_invalid(kVoid, {0xd0, 6, 0x1a, 0x0b}, "unknown type 6");
}

TEST(References, CallRef) {
  const Bin type = takes({kRefNull2}, {{kI64}});
  expect_valid(type, {0x41, 7, 0x20, 0, 0x14, 2, 0x0b});
  expect_valid(type, {0x41, 7, 0x20, 0, 0x14, 3, 0x0b});
  expect_valid(type, {0x41, 7, 0xd2, 1, 0x15, 2, 0x0b});
  expect_valid(type, {0x41, 7, 0xd0, 0x73, 0x14, 2, 0x0b});  // nofunc
  expect_valid(type, {0x00, 0x14, 2, 0x0b});
  expect_invalid(type, {0x41, 7, 0x20, 0, 0x14, 1, 0x0b}, "type mismatch");
  expect_invalid(type, {0x20, 0, 0x14, 2, 0x0b}, "type mismatch: expected i32, found nothing");
  expect_invalid(type, {0x41, 7, 0xd0, kFuncRef, 0x14, 2, 0x0b}, "type mismatch");
  expect_invalid(type, {0x41, 7, 0x20, 0, 0x14, 6, 0x0b}, "unknown type 6");
  // The results of a tail call are the caller's.
  expect_invalid(takes({kRefNull2}, {{kI32}}), {0x41, 7, 0x20, 0, 0x15, 2, 0x0b}, "type mismatch");
}

TEST(References, TailCalls) {
  expect_valid(takes({}, {{kI64}}), {0x41, 7, 0x12, 1, 0x0b});
  expect_valid(takes({}, {{kI64}}), {0x41, 7, 0x41, 0, 0x13, 2, 0, 0x0b});
  expect_valid(takes({}, {{kI64}}), {0x41, 7, 0x41, 0, 0x13, 3, 2, 0x0b});
  // What follows is unreachable.
  expect_valid(takes({}, {{kI64}}), {0x41, 7, 0x12, 1, 0x6a, 0x1a, 0x0b});
  expect_invalid(kVoid, {0x41, 7, 0x12, 1, 0x0b}, "type mismatch: results of the return_call");
  expect_invalid(takes({}, {{kI64}, {kI64}}), {0x41, 7, 0x12, 1, 0x0b}, "type mismatch");
  expect_invalid(takes({}, {{kI64}}), {0x41, 7, 0x41, 0, 0x13, 2, 1, 0x0b},
                 "type mismatch: expected funcref, found externref");
  expect_invalid(takes({}, {{kI64}}), {0x12, 1, 0x0b}, "type mismatch: expected i32");
  expect_invalid(kVoid, {0x12, 9, 0x0b}, "unknown function 9");
  // Subtypes will do.
  const Bin type = takes({}, {{kFuncRef}});
  const Bin bin = header() + types({type, takes({}, {{kRef, 0}})}) + section(3, {2, 0, 1}) +
                  section(10, vec({body({0x12, 1, 0x0b}), body({0x00, 0x0b})}));
  EXPECT_VALID(bin);
}

TEST(References, AsNonNull) {
  expect_valid(takes({kRefNull2}, {kRef2}), {0x20, 0, 0xd4, 0x0b});
  expect_valid(takes({{kExternRef}}, {{kRef, kExternRef}}), {0x20, 0, 0xd4, 0x0b});
  expect_invalid(takes({kRefNull2}, {kRef2}), {0x20, 0, 0x0b}, "type mismatch");
  expect_invalid(kVoid, {0x41, 0, 0xd4, 0x1a, 0x0b}, "type mismatch: expected a reference");
  // Of unknown type, but a reference all the same.
  expect_valid(takes({}, {kRef2}), {0x00, 0xd4, 0x0b});
  expect_valid(takes({}, {{kRef, kExternRef}}), {0x00, 0xd4, 0x0b});
  expect_invalid(takes({}, {{kI32}}), {0x00, 0xd4, 0x0b}, "type mismatch");
  expect_invalid(kVoid, {0x00, 0xd4, 0xd4, 0x45, 0x1a, 0x0b}, "type mismatch");
  expect_invalid(kVoid, {0x00, 0xd4, 0x41, 0, 0x41, 0, 0x1b, 0x1a, 0x0b}, "type mismatch");
}

TEST(References, BrOnNull) {
  const Bin type = takes({kRefNull2}, {{kI32}});
  // block (result i32) i32.const 1 local.get 0 br_on_null 0 (ref 2 goes on) drop end
  expect_valid(type, {0x02, kI32, 0x41, 1, 0x20, 0, 0xd5, 0, 0x1a, 0x0b, 0x0b});
  expect_valid(takes({kRefNull2}, {kRef2}), {0x02, 0x40, 0x20, 0, 0xd5, 0, 0x0f, 0x0b, 0x00, 0x0b});
  expect_invalid(type, {0x02, kI32, 0x20, 0, 0xd5, 0, 0x1a, 0x41, 1, 0x0b, 0x0b}, "type mismatch");
  expect_invalid(kVoid, {0x41, 0, 0xd5, 0, 0x1a, 0x0b}, "type mismatch: expected a reference");
  expect_invalid(kVoid, {0xd0, 1, 0xd5, 1, 0x1a, 0x0b}, "unknown label 1");
  expect_valid(kVoid, {0x00, 0xd5, 0, 0x1a, 0x0b});
}

TEST(References, BrOnNonNull) {
  const Bin type = takes({kRefNull2}, {kRef2});
  // block (result (ref 2)) local.get 0 br_on_non_null 0 unreachable end
  expect_valid(type, {0x02, kRef, 2, 0x20, 0, 0xd6, 0, 0x00, 0x0b, 0x0b});
  expect_valid(type, {0x20, 0, 0xd6, 0, 0x00, 0x0b});
  expect_valid(takes({{kFuncRef}}, {{kRef, kFuncRef}}), {0x20, 0, 0xd6, 0, 0x00, 0x0b});
  expect_invalid(type, {0x02, 0x40, 0x20, 0, 0xd6, 0, 0x0b, 0x00, 0x0b},
                 "type mismatch: br_on_non_null to a label that takes no reference");
  expect_invalid(takes({{kFuncRef}}, {kRef2}), {0x20, 0, 0xd6, 0, 0x00, 0x0b}, "type mismatch");
  expect_invalid(takes({}, {{kI32}}), {0xd0, 1, 0xd6, 0, 0x00, 0x0b}, "type mismatch");
  expect_valid(type, {0x00, 0xd6, 0, 0x0b});
  // The rest of the label's operands stays.
  expect_valid(takes({kRefNull2}, {{kI32}, kRef2}),
               {0x41, 5, 0x20, 0, 0xd6, 0, 0x1a, 0x41, 6, 0xd2, 1, 0x0b});
}

TEST(References, Subsumption) {
  // br_if gives the operands the label's types.
  expect_invalid(takes({}, {kRef2}),
                 {0x02, kFuncRef, 0xd2, 1, 0x41, 0, 0x0d, 0, 0xd4, 0x0b, 0xd4, 0x0b},
                 "type mismatch");
  // A branch table's targets may differ in type; the operand suits both.
  expect_valid(kVoid, {0x02, kFuncRef, 0x02, kRefNull, 2, 0xd2, 1, 0x41, 0, 0x0e, 1, 0, 1, 0x0b,
                       0x0b, 0x1a, 0x0b});
  expect_valid(kVoid, {0xd2, 1, 0xd2, 1, 0x41, 0, 0x1c, 1, kRefNull, 3, 0x1a, 0x0b});
  expect_invalid(kVoid, {0xd2, 1, 0xd2, 1, 0x41, 0, 0x1b, 0x1a, 0x0b},
                 "type mismatch: select of a reference needs a type");
  expect_invalid(kVoid, {0xd2, 1, 0xd2, 1, 0x41, 0, 0x1c, 1, kRefNull, 9, 0x1a, 0x0b},
                 "unknown type 9");
  expect_valid(kVoid, {0x41, 0, 0xd2, 1, 0x26, 2, 0x0b});
  expect_invalid(kVoid, {0x41, 0, 0xd0, kFuncRef, 0x26, 2, 0x0b}, "type mismatch");
  // table.copy and table.init into a table of a supertype only.
  expect_valid(kVoid, {0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0e, 0, 2, 0x0b});
  expect_invalid(kVoid, {0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0e, 2, 0, 0x0b}, "type mismatch");
  // An if without else whose parameter is a subtype of its result.
  const Bin shape = Bin{0x60, 1, kRef, 0, 1, kRefNull, 0};
  EXPECT_VALID(header() + types({kVoid, shape}) + section(3, {1, 0}) +
               section(10, vec({body({0x00, 0x41, 1, 0x04, 1, 0x0b, 0x1a, 0x0b})})));
}

TEST(References, LocalsWithoutDefault) {
  const Bin one = {1, 1, kRef, 2};
  expect_valid(kVoid, {0xd2, 1, 0x21, 0, 0x20, 0, 0x1a, 0x0b}, one);
  expect_valid(kVoid, {0xd2, 1, 0x22, 0, 0x1a, 0x20, 0, 0x1a, 0x0b}, one);
  expect_invalid(kVoid, {0x20, 0, 0x1a, 0x0b}, "uninitialized local 0", one);
  // Parameters have values.
  expect_valid(takes({kRef2}), {0x20, 0, 0x1a, 0x0b});
  // Set in a block: no longer after it, though still inside and in blocks within.
  expect_invalid(kVoid, {0x02, 0x40, 0xd2, 1, 0x21, 0, 0x0b, 0x20, 0, 0x1a, 0x0b},
                 "uninitialized local 0", one);
  expect_valid(kVoid, {0xd2, 1, 0x21, 0, 0x02, 0x40, 0x20, 0, 0x1a, 0x0b, 0x20, 0, 0x1a, 0x0b},
               one);
  // Set in one arm of an if: not in the other.
  expect_invalid(kVoid, {0x41, 0, 0x04, 0x40, 0xd2, 1, 0x21, 0, 0x05, 0x20, 0, 0x1a, 0x0b, 0x0b},
                 "uninitialized local 0", one);
  expect_invalid(
      kVoid,
      {0x41, 0, 0x04, 0x40, 0xd2, 1, 0x21, 0, 0x05, 0xd2, 1, 0x21, 0, 0x0b, 0x20, 0, 0x1a, 0x0b},
      "uninitialized local 0", one);
  // Unreachable code sets nothing by itself.
  expect_invalid(kVoid, {0x00, 0x20, 0, 0x1a, 0x0b}, "uninitialized local 0", one);
  expect_invalid(kVoid, {0xd0, 2, 0x21, 0, 0x0b}, "type mismatch", one);
  expect_invalid(kVoid, {0x0b}, "unknown type 6", {1, 1, kRef, 6});
  // Set again after the block that set it: the first set is forgotten once only.
  expect_valid(kVoid, {0x02, 0x40, 0xd2, 1,    0x21, 0, 0xd2, 1,    0x21, 0, 0x0b, 0xd2, 1,
                       0x21, 0,    0x03, 0x40, 0x20, 0, 0x1a, 0x0b, 0x20, 0, 0x1a, 0x0b},
               one);
}

// Fifty thousand locals without a value, set in ten thousand nested blocks, ten thousand times over.
TEST(References, ManyUnsetLocals) {
  const Bin locals = Bin{1} + uleb(kMaxLocals) + Bin{kRef, 2};
  Bin code;
  for (uint32_t i = 0; i < 10'000; i++) {
    const Bin level = Bin{0x02, 0x40, 0xd2, 1, 0x21} + uleb(i) + Bin{0x20} + uleb(i) + Bin{0x1a};
    code.insert(code.end(), level.begin(), level.end());
  }
  expect_valid(kVoid, code + Bin(10'001, 0x0b), locals);
  Bin again;
  for (uint32_t i = 0; i < kMaxLocals; i++) {
    const Bin set = Bin{0x02, 0x40, 0xd2, 1, 0x21} + uleb(i) + Bin{0x0b};
    again.insert(again.end(), set.begin(), set.end());
  }
  expect_valid(kVoid, again + again + Bin{0x0b}, locals);
}

}  // namespace
}  // namespace wring
