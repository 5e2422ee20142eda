// SPDX-License-Identifier: GPL-2.0
// Validation of function bodies: typing rules, unreachable code, control structure, exact error positions.
#include "core/wasm/validate.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/wasm/instr.h"
#include "selftests/core/wasm/module_builder.h"

namespace wring {
namespace {

using namespace testing;

// One function with these parameters and results, in a module that also has: types 1: [] -> [],
// 2: [i32 i64] -> [i64 i32], 3: [] -> [i32 i32]; tables 0 (funcref) and 1 (externref); a memory; globals
// 0 (i32, mutable) and 1 (f32, immutable); function 1 (of type 2), declared in element segment 0 (funcref);
// element segment 1 (externref); data segment 0.
Bin module_with(const Bin& params, const Bin& results, const Bin& code, const Bin& locals = {0}) {
  return header() +
         types({func_type(params, results), func_type({}, {}),
                func_type({kI32, kI64}, {kI64, kI32}), func_type({}, {kI32, kI32})}) +
         section(3, {2, 0, 2}) + section(4, {2, kFuncRef, 0, 1, kExternRef, 0, 1}) +
         section(5, {1, 0, 1}) +
         section(6, {2, kI32, 1, 0x41, 0, 0x0b, kF32, 0, 0x43, 0, 0, 0, 0, 0x0b}) +
         section(9, vec({{3, 0, 1, 1}, {5, kExternRef, 0}})) + section(12, {1}) +
         section(10, vec({body(code, locals), body({0x00, 0x0b})})) + section(11, vec({{1, 0}}));
}

// Offset of the first instruction of a short body.
uint32_t code_offset(const Bin& params, const Bin& results, const Bin& locals = {0}) {
  return static_cast<uint32_t>(81 + params.size() + results.size() + locals.size());
}

void expect_valid(const Bin& params, const Bin& results, const Bin& code, const Bin& locals = {0}) {
  EXPECT_VALID(module_with(params, results, code, locals));
}

// Rejected at the instruction `at` bytes into the code, in function 0.
void expect_rejected(Err err, const Bin& params, const Bin& results, const Bin& code, uint32_t at,
                     const char* text, const Bin& locals = {0}) {
  const Decoded got = decode_bin(module_with(params, results, code, locals));
  EXPECT_EQ(static_cast<int>(got.err), static_cast<int>(err));
  EXPECT_EQ(got.diag.func, 0u);
  EXPECT_EQ(got.diag.offset, code_offset(params, results, locals) + at) << got.diag.message;
  EXPECT_EQ(std::string(got.diag.message).substr(0, strlen(text)), text);
}
void expect_invalid(const Bin& results, const Bin& code, uint32_t at, const char* text) {
  expect_rejected(Err::kInvalid, {}, results, code, at, text);
}
void expect_malformed(const Bin& code, uint32_t at, const char* text) {
  expect_rejected(Err::kMalformed, {}, {}, code, at, text);
}

TEST(Validate, Straight) {
  expect_valid({}, {}, {0x0b});
  expect_valid({}, {}, {0x01, 0x01, 0x0b});
  expect_valid({kI32, kI32}, {kI32}, {0x20, 0, 0x20, 1, 0x6a, 0x0b});
  expect_valid({kF64}, {kF64, kF64}, {0x20, 0, 0x20, 0, 0x0b});
  expect_valid({}, {kI32}, {0x41, 1, 0x0f, 0x0b});
}

TEST(Validate, TypeMismatches) {
  expect_invalid({kI32}, {0x0b}, 0, "type mismatch: expected i32, found nothing in end");
  expect_invalid({kI32}, {0x42, 0, 0x0b}, 2, "type mismatch: expected i32, found i64 in end");
  expect_invalid({}, {0x41, 0, 0x0b}, 2,
                 "type mismatch: expected 0 values at the end of the block, found 1");
  expect_invalid({kI32}, {0x41, 0, 0x6a, 0x0b}, 2,
                 "type mismatch: expected i32, found nothing in i32.add");
  expect_invalid({kI32}, {0x41, 0, 0x42, 0, 0x6a, 0x0b}, 4,
                 "type mismatch: expected i32, found i64 in i32.add");
  expect_invalid({kI64}, {0x42, 0, 0x41, 0, 0x7c, 0x0b}, 4,
                 "type mismatch: expected i64, found i32 in i64.add");
  expect_invalid({}, {0x1a, 0x0b}, 0, "type mismatch: expected a value, found nothing in drop");
  expect_invalid({kI32}, {0x42, 0, 0x0f, 0x0b}, 2,
                 "type mismatch: expected i32, found i64 in return");
}

TEST(Validate, Locals) {
  const Bin runs = {2, 2, kI64, 1, kV128};
  expect_valid({kI32}, {kI64}, {0x20, 1, 0x22, 2, 0x0b}, runs);
  expect_valid({kI32}, {kV128}, {0x20, 3, 0x21, 3, 0x20, 3, 0x0b}, runs);
  expect_rejected(Err::kInvalid, {kI32}, {}, {0x20, 4, 0x1a, 0x0b}, 0, "unknown local 4", runs);
  expect_rejected(Err::kInvalid, {kI32}, {}, {0x20, 0, 0x21, 1, 0x0b}, 2,
                  "type mismatch: expected i64, found i32 in local.set", runs);
  expect_rejected(Err::kInvalid, {}, {}, {0x41, 0, 0x22, 0, 0x1a, 0x0b}, 2, "type mismatch", runs);
  // A run of none is allowed and declares nothing.
  expect_valid({}, {kI32}, {0x20, 0, 0x0b}, {2, 0, kF32, 1, kI32});
}

TEST(Validate, MalformedLocals) {
  // Positions inside the declarations: before the code.
  const auto reject = [](const Bin& locals, uint32_t at, const char* text) {
    const Decoded got = decode_bin(module_with({}, {}, {0x0b}, locals));
    EXPECT_EQ(static_cast<int>(got.err), static_cast<int>(Err::kMalformed));
    EXPECT_EQ(got.diag.offset, code_offset({}, {}, {}) + at);
    EXPECT_EQ(std::string(got.diag.message).substr(0, strlen(text)), text);
  };
  reject({1, 1, 0x40}, 2, "malformed value type");
  reject({2, 0xff, 0xff, 0xff, 0xff, 0x0f, kI32, 1, kI64}, 0, "too many locals");
  reject({1, 0x80, 0x80, 0x80, 0x80, 0x10, kI32}, 1, "integer too large");
  reject({2, 1, kI32}, 4, "unexpected end of section or function");
}

TEST(Validate, Blocks) {
  expect_valid({}, {kI32}, {0x02, kI32, 0x41, 0, 0x0b, 0x0b});
  expect_valid({}, {}, {0x03, 0x40, 0x0c, 0, 0x0b, 0x0b});
  expect_valid({}, {kI64, kI32}, {0x41, 0, 0x42, 0, 0x02, 2, 0x00, 0x0b, 0x0b});
  expect_valid({kI32}, {kI32}, {0x20, 0, 0x04, kI32, 0x41, 1, 0x05, 0x41, 2, 0x0b, 0x0b});
  expect_valid({kI32}, {}, {0x20, 0, 0x04, 0x40, 0x01, 0x0b, 0x0b});
  // A block sees only its parameters.
  expect_invalid({}, {0x41, 0, 0x02, 0x40, 0x1a, 0x0b, 0x0b}, 4, "type mismatch");
  expect_invalid({}, {0x02, kI32, 0x0b, 0x1a, 0x0b}, 2, "type mismatch");
  expect_invalid({}, {0x02, 2, 0x0b, 0x0b}, 0, "type mismatch");
  expect_invalid({}, {0x02, 4, 0x0b, 0x0b}, 0, "unknown type 4");
  expect_invalid({}, {0x41, 0, 0x04, kI32, 0x41, 0, 0x0b, 0x1a, 0x0b}, 6,
                 "type mismatch: an if without else must return what it takes");
  expect_invalid({}, {0x41, 0, 0x04, kI32, 0x41, 0, 0x05, 0x42, 0, 0x0b, 0x1a, 0x0b}, 9,
                 "type mismatch: expected i32, found i64 in end");
  expect_invalid({}, {0x41, 0, 0x04, kI32, 0x05, 0x41, 0, 0x0b, 0x1a, 0x0b}, 4,
                 "type mismatch: expected i32, found nothing in else");
}

TEST(Validate, Structure) {
  expect_malformed({0x01}, 1, "END opcode expected");
  expect_malformed({0x02, 0x40, 0x0b}, 3, "END opcode expected");
  expect_malformed({0x0b, 0x0b}, 1, "section size mismatch");
  expect_malformed({0x0b, 0x01}, 1, "section size mismatch");
  expect_malformed({0x05, 0x0b}, 0, "misplaced ELSE opcode");
  expect_malformed({0x02, 0x40, 0x05, 0x0b, 0x0b}, 2, "misplaced ELSE opcode");
  expect_malformed({0x41, 0, 0x04, 0x40, 0x05, 0x05, 0x0b, 0x0b}, 5, "misplaced ELSE opcode");
  expect_malformed({0x41}, 1, "unexpected end of section or function");
  expect_malformed({0x27, 0x0b}, 0, "illegal opcode 0x27");
}

TEST(Validate, Branches) {
  expect_valid({}, {kI32}, {0x02, kI32, 0x41, 0, 0x0c, 0, 0x0b, 0x0b});
  expect_valid({}, {kI32}, {0x41, 0, 0x0c, 0, 0x0b});
  expect_valid({}, {kI32}, {0x02, kI32, 0x41, 0, 0x41, 1, 0x0d, 0, 0x0b, 0x0b});
  // A loop's label takes its parameters, not its results.
  expect_valid({}, {kI32}, {0x03, kI32, 0x0c, 0, 0x0b, 0x0b});
  expect_invalid({}, {0x0c, 1, 0x0b}, 0, "unknown label 1");
  expect_invalid({}, {0x41, 0, 0x0d, 1, 0x0b}, 2, "unknown label 1");
  expect_invalid({kI32}, {0x0c, 0, 0x0b}, 0, "type mismatch: expected i32, found nothing in br");
  expect_invalid({kI32}, {0x42, 0, 0x41, 0, 0x0d, 0, 0x0b}, 4, "type mismatch");
  expect_invalid({}, {0x0d, 0, 0x0b}, 0, "type mismatch: expected i32, found nothing in br_if");
}

TEST(Validate, BrTable) {
  expect_valid({}, {}, {0x41, 0, 0x0e, 2, 0, 0, 0, 0x0b});
  expect_valid({}, {kI32}, {0x02, kI32, 0x41, 0, 0x41, 0, 0x0e, 1, 0, 1, 0x0b, 0x0b});
  expect_invalid({}, {0x41, 0, 0x0e, 0, 1, 0x0b}, 2, "unknown label 1");
  expect_invalid({}, {0x41, 0, 0x0e, 1, 1, 0, 0x0b}, 2, "unknown label 1");
  expect_invalid({}, {0x02, kI32, 0x41, 0, 0x41, 0, 0x0e, 1, 0, 1, 0x0b, 0x1a, 0x0b}, 6,
                 "type mismatch: br_table to labels of 0 and 1 values");
  expect_invalid({kI32}, {0x02, kI64, 0x41, 0, 0x41, 0, 0x0e, 1, 0, 1, 0x0b, 0x1a, 0x41, 0, 0x0b},
                 6, "type mismatch: expected i64, found i32 in br_table");
  expect_invalid({}, {0x0e, 0, 0, 0x0b}, 0, "type mismatch");
  // In unreachable code labels of different types may meet, but not of different arity.
  expect_valid({}, {kI32}, {0x02, kI64, 0x00, 0x0e, 1, 0, 1, 0x0b, 0x1a, 0x41, 0, 0x0b});
  expect_invalid({}, {0x02, kI64, 0x00, 0x0e, 1, 0, 1, 0x0b, 0x1a, 0x0b}, 3, "type mismatch");
}

TEST(Validate, Unreachable) {
  expect_valid({}, {kI32}, {0x00, 0x0b});
  expect_valid({}, {kI32}, {0x00, 0x6a, 0x0b});
  expect_valid({}, {kI32}, {0x00, 0x41, 0, 0x6a, 0x0b});
  expect_valid({}, {kI32}, {0x00, 0x1b, 0x0b});
  expect_valid({}, {}, {0x00, 0x1a, 0x1a, 0x0b});
  expect_valid({}, {kI32}, {0x00, 0x1b, 0xd1, 0x0b});
  expect_valid({}, {kF32}, {0x00, 0x43, 0, 0, 0, 0, 0x41, 0, 0x1b, 0x0b});
  // What is pushed afterwards is checked.
  expect_invalid({kI32}, {0x00, 0x42, 0, 0x0b}, 3, "type mismatch: expected i32, found i64 in end");
  expect_invalid({kI32}, {0x00, 0x42, 0, 0x6a, 0x0b}, 3, "type mismatch");
  expect_invalid({}, {0x00, 0x41, 0, 0x0b}, 3, "type mismatch: expected 0 values");
  // A block inside does not see the stack's unknown part.
  expect_invalid({}, {0x00, 0x02, 0x40, 0x1a, 0x0b, 0x0b}, 3, "type mismatch");
  // br_if gives unknown operands the label's types.
  expect_invalid({}, {0x02, kI32, 0x00, 0x0d, 0, 0xa7, 0x1a, 0x00, 0x0b, 0x1a, 0x0b}, 5,
                 "type mismatch: expected i64, found i32 in i32.wrap_i64");
  // else starts reachable again.
  expect_invalid({kI32}, {0x41, 0, 0x04, kI32, 0x00, 0x05, 0x0b, 0x0b}, 6, "type mismatch");
}

TEST(Validate, Calls) {
  expect_valid({}, {kI64, kI32}, {0x41, 0, 0x42, 0, 0x10, 1, 0x0b});
  expect_valid({}, {kI64, kI32}, {0x41, 0, 0x42, 0, 0x41, 0, 0x11, 2, 0, 0x0b});
  expect_invalid({}, {0x10, 2, 0x0b}, 0, "unknown function 2");
  expect_invalid({}, {0x42, 0, 0x42, 0, 0x10, 1, 0x0b}, 4,
                 "type mismatch: expected i32, found i64 in call");
  expect_invalid({}, {0x41, 0, 0x11, 1, 2, 0x0b}, 2, "unknown table 2");
  expect_invalid({}, {0x41, 0, 0x11, 4, 0, 0x0b}, 2, "unknown type 4");
  expect_invalid({}, {0x41, 0, 0x11, 1, 1, 0x0b}, 2,
                 "type mismatch: expected funcref, found externref in call_indirect");
}

TEST(Validate, Select) {
  expect_valid({}, {kI64}, {0x42, 0, 0x42, 1, 0x41, 0, 0x1b, 0x0b});
  expect_valid({}, {kExternRef},
               {0xd0, kExternRef, 0xd0, kExternRef, 0x41, 0, 0x1c, 1, kExternRef, 0x0b});
  expect_invalid({}, {0x42, 0, 0x41, 1, 0x41, 0, 0x1b, 0x1a, 0x0b}, 6,
                 "type mismatch: expected i64, found i32 in select");
  expect_invalid({}, {0xd0, kExternRef, 0xd0, kExternRef, 0x41, 0, 0x1b, 0x1a, 0x0b}, 6,
                 "type mismatch: select of a reference needs a type");
  expect_invalid({}, {0x00, 0x1c, 0, 0x0b}, 1, "invalid result arity");
  expect_invalid({}, {0x00, 0x1c, 2, kI32, kI32, 0x0b}, 1, "invalid result arity");
}

TEST(Validate, Globals) {
  expect_valid({}, {kF32}, {0x41, 0, 0x24, 0, 0x23, 1, 0x0b});
  expect_invalid({}, {0x23, 2, 0x1a, 0x0b}, 0, "unknown global 2");
  expect_invalid({}, {0x42, 0, 0x24, 0, 0x0b}, 2, "type mismatch");
  expect_invalid({}, {0x43, 0, 0, 0, 0, 0x24, 1, 0x0b}, 5, "immutable global 1");
}

TEST(Validate, Memory) {
  expect_valid({}, {kI32}, {0x41, 0, 0x28, 2, 0, 0x0b});
  expect_valid({}, {}, {0x41, 0, 0x42, 0, 0x3e, 0, 9, 0x0b});
  expect_invalid({}, {0x41, 0, 0x28, 3, 0, 0x1a, 0x0b}, 2,
                 "alignment must not be larger than natural");
  expect_invalid({}, {0x41, 0, 0x2c, 1, 0, 0x1a, 0x0b}, 2,
                 "alignment must not be larger than natural");
  expect_invalid({}, {0x41, 0, 0x28, 31, 0, 0x1a, 0x0b}, 2,
                 "alignment must not be larger than natural");
  expect_valid({}, {kV128}, {0x41, 0, 0xfd, 0x00, 4, 0, 0x0b});
  expect_invalid({}, {0x41, 0, 0xfd, 0x00, 5, 0, 0x1a, 0x0b}, 2, "alignment");
  expect_valid({}, {}, {0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x08, 0, 0, 0xfc, 0x09, 0, 0x0b});
  expect_invalid({}, {0xfc, 0x09, 1, 0x0b}, 0, "unknown data segment 1");
  expect_valid({}, {}, {0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0a, 0, 0, 0x0b});
  expect_valid({}, {}, {0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0b, 0, 0x0b});

  for (const Bin& code : {Bin{0x41, 0, 0x28, 2, 0, 0x1a, 0x0b},
                          Bin{0x01, 0x01, 0x3f, 0, 0x1a, 0x0b}, Bin{0x41, 0, 0x40, 0, 0x1a, 0x0b}})
    EXPECT_INVALID(function_module(func_type({}, {}), code), 25, "unknown memory 0");
  EXPECT_VALID(memory_module({0x3f, 0, 0x40, 0, 0x1a, 0x0b}));
  // Without a data count section data segments cannot be named.
  EXPECT_MALFORMED(memory_module({0xfc, 0x09, 0, 0x0b}), 28, "data count section required");
}

TEST(Validate, Tables) {
  expect_valid({}, {kExternRef}, {0x41, 0, 0x25, 1, 0x0b});
  expect_valid({}, {}, {0x41, 0, 0xd0, kExternRef, 0x26, 1, 0x0b});
  expect_valid({}, {kI32}, {0xd0, kFuncRef, 0x41, 1, 0xfc, 0x0f, 0, 0x0b});
  expect_valid({}, {kI32}, {0xfc, 0x10, 1, 0x0b});
  expect_valid({}, {}, {0x41, 0, 0xd0, kFuncRef, 0x41, 1, 0xfc, 0x11, 0, 0x0b});
  const Bin three = {0x41, 0, 0x41, 0, 0x41, 0};
  expect_valid({}, {}, three + Bin{0xfc, 0x0c, 1, 1, 0x0b});
  expect_valid({}, {}, three + Bin{0xfc, 0x0e, 1, 1, 0xfc, 0x0d, 1, 0x0b});
  expect_invalid({}, three + Bin{0xfc, 0x0c, 0, 1, 0x0b}, 6,
                 "type mismatch: expected externref, found (ref func) in table.init");
  expect_invalid({}, three + Bin{0xfc, 0x0e, 0, 1, 0x0b}, 6,
                 "type mismatch: expected funcref, found externref in table.copy");
  expect_invalid({}, three + Bin{0xfc, 0x0c, 2, 0, 0x0b}, 6, "unknown elem segment 2");
  expect_invalid({}, three + Bin{0xfc, 0x0e, 0, 2, 0x0b}, 6, "unknown table 2");
  expect_invalid({}, {0xfc, 0x0d, 2, 0x0b}, 0, "unknown elem segment 2");
  expect_invalid({}, {0x41, 0, 0x25, 2, 0x1a, 0x0b}, 2, "unknown table 2");
  expect_invalid({}, {0x41, 0, 0xd0, kFuncRef, 0x26, 1, 0x0b}, 4,
                 "type mismatch: expected externref, found funcref in table.set");
}

TEST(Validate, References) {
  expect_valid({}, {kFuncRef}, {0xd2, 1, 0x0b});
  expect_valid({}, {kI32}, {0xd0, kFuncRef, 0xd1, 0x0b});
  expect_invalid({}, {0xd2, 0, 0x1a, 0x0b}, 0, "undeclared function reference");
  expect_invalid({}, {0xd2, 9, 0x1a, 0x0b}, 0, "unknown function 9");
  expect_invalid({}, {0x41, 0, 0xd1, 0x1a, 0x0b}, 2,
                 "type mismatch: expected a reference, found i32 in ref.is_null");
}

TEST(Validate, Vectors) {
  const Bin zero = Bin{0xfd, 0x0c} + Bin(16, 0);
  expect_valid({}, {kV128}, zero + zero + Bin{0xfd, 0x0d} + Bin(16, 31) + Bin{0x0b});
  expect_invalid({}, zero + zero + Bin{0xfd, 0x0d} + Bin(15, 0) + Bin{32, 0x1a, 0x0b}, 36,
                 "invalid lane index 32");
  expect_valid({}, {kI32}, zero + Bin{0xfd, 0x15, 15, 0x0b});
  expect_invalid({}, zero + Bin{0xfd, 0x15, 16, 0x1a, 0x0b}, 18, "invalid lane index 16");
  expect_invalid({}, zero + Bin{0xfd, 0x21, 2, 0x1a, 0x0b}, 18, "invalid lane index 2");
  expect_invalid({}, Bin{0x41, 0} + zero + Bin{0xfd, 0x57, 3, 0, 2, 0x1a, 0x0b}, 20,
                 "invalid lane index 2");
  expect_invalid({}, zero + zero + Bin{0x6a, 0x1a, 0x0b}, 36,
                 "type mismatch: expected i32, found v128 in i32.add");
}

TEST(Validate, EveryFixedSignature) {
  // Operands of the table's types are accepted, one of another type in any place is not.
  const auto constant = [](ValType type) -> Bin {
    switch (type) {
      case ValType::kI32: return {0x41, 0};
      case ValType::kI64: return {0x42, 0};
      case ValType::kF32: return Bin{0x43} + Bin(4, 0);
      case ValType::kF64: return Bin{0x44} + Bin(8, 0);
      default: return Bin{0xfd, 0x0c} + Bin(16, 0);
    }
  };
  u32 checked = 0;
  for (u32 i = 0; i < static_cast<u32>(Opcode::kCount); i++) {
    const OpcodeInfo& info = kOpcodes[i];
    if (!info.fixed || (info.imm != Imm::kNone && info.imm != Imm::kMemArg)) continue;
    Bin instr = info.prefix ? Bin{info.prefix} + uleb(info.code) : Bin{static_cast<u8>(info.code)};
    // Atomic accesses have the natural alignment and no other.
    if (info.imm == Imm::kMemArg && info.feature == Feature::kThreads)
      instr = instr + Bin{static_cast<u8>(__builtin_ctz(info.access)), 0};
    else if (info.imm == Imm::kMemArg)
      instr = instr + Bin{0, 0};
    const bool pushes = info.result != ValType::kBottom;
    const Bin results = pushes ? Bin{info.result.code} : Bin{};
    for (u32 wrong = 0; wrong <= info.operand_count; wrong++) {
      Bin code;
      for (u32 k = 0; k < info.operand_count; k++) {
        const ValType type = info.operands[k];
        code = code + constant(k != wrong              ? type
                               : type == ValType::kI32 ? ValType::kF64
                                                       : ValType::kI32);
      }
      const uint32_t at = static_cast<uint32_t>(code.size());
      code = code + instr + Bin{0x0b};
      if (wrong == info.operand_count)
        expect_valid({}, results, code);
      else
        expect_invalid(results, code, at, "type mismatch");
    }
    checked++;
  }
  EXPECT_GT(checked, 350u);
}

}  // namespace
}  // namespace wring
