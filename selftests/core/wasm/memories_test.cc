// SPDX-License-Identifier: GPL-2.0
// Several memories, 64-bit memories and tables, shared memories and atomics.
#include <gtest/gtest.h>

#include <cstring>

#include "core/wasm/instr.h"
#include "selftests/core/wasm/module_builder.h"

namespace wring {
namespace {

using namespace testing;

// Memories 0 (32-bit), 1 (64-bit), 2 (shared); tables 0 (32-bit funcref), 1 (64-bit funcref); data and element
// segment 0, passive.
Bin module_with(const Bin& code, const Bin& results = {}) {
  return header() + types({func_type({}, results)}) + section(3, {1, 0}) +
         section(4, {2, kFuncRef, 0, 1, kFuncRef, 4, 1}) + section(5, {3, 0, 1, 4, 1, 3, 1, 1}) +
         section(9, vec({{1, 0, 0}})) + section(12, {1}) + section(10, vec({body(code)})) +
         section(11, vec({{1, 0}}));
}
void expect_valid(const Bin& code, const Bin& results = {}) {
  EXPECT_VALID(module_with(code, results));
}
void expect_invalid(const Bin& code, const char* text, const Bin& results = {}) {
  const Decoded got = decode_bin(module_with(code, results));
  EXPECT_EQ(static_cast<int>(got.err), static_cast<int>(Err::kInvalid));
  EXPECT_EQ(std::string(got.diag.message).substr(0, strlen(text)), text);
}

TEST(Memories, Types) {
  const auto memory = [](const Bin& limits) { return header() + section(5, Bin{1} + limits); };
  const Decoded big = decode_bin(memory(Bin{5} + uleb(2) + uleb(uint64_t{1} << 48)));
  ASSERT_EQ(big.err, Err::kOk) << big.diag.message;
  EXPECT_TRUE(big.module->memories[0].type.limits.is_64);
  EXPECT_FALSE(big.module->memories[0].type.is_shared);
  EXPECT_EQ(big.module->memories[0].type.limits.max, u64{1} << 48);
  EXPECT_TRUE(decode_bin(memory({3, 1, 2})).module->memories[0].type.is_shared);
  EXPECT_TRUE(decode_bin(memory({7, 1, 2})).module->memories[0].type.is_shared);

  EXPECT_INVALID(memory(Bin{4} + uleb((uint64_t{1} << 48) + 1)), 11,
                 "memory size must be at most 2^48 pages");
  EXPECT_INVALID(memory(Bin{5, 0} + uleb(~uint64_t{0})), 11, "memory size must be at most");
  EXPECT_INVALID(memory(Bin{0} + uleb(uint64_t{1} << 32)), 11, "memory size must be at most 65536");
  EXPECT_INVALID(memory({2, 1}), 11, "shared memory must have maximum");
  EXPECT_INVALID(memory({6, 1}), 11, "shared memory must have maximum");
  EXPECT_MALFORMED(memory({8, 1, 0}), 11,
                   "malformed limits flags: custom page sizes are not supported");
  EXPECT_MALFORMED(memory({16, 1}), 11, "malformed limits flags");
  EXPECT_MALFORMED(memory(Bin{4} + Bin(9, 0xff) + Bin{0x02}), 12, "integer too large");

  EXPECT_REJECTED_AS((Features{true, false}), memory({3, 1, 1}), Err::kMalformed, 11,
                     "malformed limits flags");
  EXPECT_REJECTED_AS((Features{false, true}), memory({4, 1}), Err::kMalformed, 11,
                     "integer too large");
  EXPECT_VALID_AS((Features{false, true}), memory({3, 1, 1}));
  EXPECT_REJECTED_AS(kWasm2, memory({3, 1, 1}), Err::kMalformed, 11, "integer too large");
  EXPECT_REJECTED_AS(kWasm2, memory(Bin{0} + uleb(uint64_t{1} << 32)), Err::kMalformed, 12,
                     "integer too large");
}

TEST(Memories, TableTypes) {
  const auto table = [](const Bin& limits) {
    return header() + section(4, Bin{1, kFuncRef} + limits);
  };
  const Decoded big = decode_bin(table(Bin{5, 1} + uleb(~uint64_t{0})));
  ASSERT_EQ(big.err, Err::kOk) << big.diag.message;
  EXPECT_TRUE(big.module->tables[0].type.limits.is_64);
  EXPECT_EQ(big.module->tables[0].type.limits.max, ~u64{0});
  EXPECT_VALID(table(Bin{0} + uleb(0xffffffff)));
  EXPECT_INVALID(table(Bin{0} + uleb(uint64_t{1} << 32)), 11, "table size must be at most 2^32-1");
  EXPECT_INVALID(table(Bin{1, 0} + uleb(uint64_t{1} << 32)), 11, "table size must be");
  EXPECT_REJECTED_AS(kWasm2, table({4, 1}), Err::kMalformed, 12, "integer too large");
}

TEST(Memories, IndicesAndAddresses) {
  expect_valid({0x41, 0, 0x28, 2, 0, 0x0b}, {kI32});
  expect_valid({0x42, 0, 0x28, 0x42, 1, 0, 0x0b}, {kI32});
  expect_valid({0x41, 0, 0x41, 0, 0x36, 0x42, 2, 0, 0x0b});
  expect_invalid({0x42, 0, 0x28, 2, 0, 0x0b}, "type mismatch: expected i32, found i64", {kI32});
  expect_invalid({0x41, 0, 0x28, 0x42, 1, 0, 0x0b}, "type mismatch: expected i64", {kI32});
  expect_invalid({0x41, 0, 0x28, 0x42, 3, 0, 0x0b}, "unknown memory 3", {kI32});
  expect_invalid({0x41, 0, 0x28, 0x43, 1, 0, 0x0b}, "alignment must not be larger than natural",
                 {kI32});
  expect_invalid({0x41, 0, 0x28, 0x3f, 0, 0x0b}, "alignment must not be larger than natural",
                 {kI32});
  // A lane after a memory index.
  const Bin zero = Bin{0xfd, 0x0c} + Bin(16, 0);
  expect_valid(Bin{0x42, 0} + zero + Bin{0xfd, 0x54, 0x40, 1, 0, 15, 0x0b}, {kV128});
  expect_invalid(Bin{0x42, 0} + zero + Bin{0xfd, 0x54, 0x40, 1, 0, 16, 0x0b},
                 "invalid lane index 16", {kV128});
}

TEST(Memories, Offsets) {
  const Bin most = uleb(0xffffffff), more = uleb(uint64_t{1} << 32), all = uleb(~uint64_t{0});
  expect_valid(Bin{0x41, 0, 0x2d, 0} + most + Bin{0x0b}, {kI32});
  expect_invalid(Bin{0x41, 0, 0x2d, 0} + more + Bin{0x0b}, "offset out of range", {kI32});
  expect_valid(Bin{0x42, 0, 0x2d, 0x40, 1} + more + Bin{0x0b}, {kI32});
  expect_valid(Bin{0x42, 0, 0x2d, 0x40, 1} + all + Bin{0x0b}, {kI32});
  expect_invalid(Bin{0x41, 0, 0x2d, 0x40, 2} + all + Bin{0x0b}, "offset out of range", {kI32});
}

TEST(Memories, SizeGrowAndBulk) {
  expect_valid({0x3f, 0, 0x0b}, {kI32});
  expect_valid({0x3f, 1, 0x0b}, {kI64});
  expect_valid({0x42, 1, 0x40, 1, 0x0b}, {kI64});
  expect_invalid({0x3f, 1, 0x0b}, "type mismatch", {kI32});
  expect_invalid({0x41, 1, 0x40, 1, 0x0b}, "type mismatch", {kI64});
  expect_invalid({0x3f, 3, 0x0b}, "unknown memory 3", {kI32});
  // Fill: address, byte, size. Copy: the size is 64-bit only between two 64-bit memories. Init: 32-bit but for the
  // address.
  expect_valid({0x42, 0, 0x41, 0, 0x42, 0, 0xfc, 0x0b, 1, 0x0b});
  expect_valid({0x42, 0, 0x42, 0, 0x42, 0, 0xfc, 0x0a, 1, 1, 0x0b});
  expect_valid({0x42, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0a, 1, 0, 0x0b});
  expect_valid({0x41, 0, 0x42, 0, 0x41, 0, 0xfc, 0x0a, 2, 1, 0x0b});
  expect_valid({0x42, 0, 0x41, 0, 0x41, 0, 0xfc, 0x08, 0, 1, 0x0b});
  expect_invalid({0x42, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0b, 1, 0x0b}, "type mismatch");
  expect_invalid({0x42, 0, 0x41, 0, 0x42, 0, 0xfc, 0x0a, 1, 0, 0x0b}, "type mismatch");
  expect_invalid({0x42, 0, 0x42, 0, 0x42, 0, 0xfc, 0x08, 0, 1, 0x0b}, "type mismatch");
}

TEST(Memories, Tables64) {
  expect_valid({0x42, 0, 0x25, 1, 0x1a, 0x0b});
  expect_valid({0x42, 0, 0xd0, kFuncRef, 0x26, 1, 0x0b});
  expect_valid({0xfc, 0x10, 1, 0x0b}, {kI64});
  expect_valid({0xd0, kFuncRef, 0x42, 1, 0xfc, 0x0f, 1, 0x0b}, {kI64});
  expect_valid({0x42, 0, 0xd0, kFuncRef, 0x42, 1, 0xfc, 0x11, 1, 0x0b});
  expect_valid({0x42, 0, 0x41, 0, 0x41, 1, 0xfc, 0x0e, 1, 0, 0x0b});
  expect_valid({0x42, 0, 0x41, 0, 0x41, 1, 0xfc, 0x0c, 0, 1, 0x0b});
  expect_valid({0x42, 0, 0x11, 0, 1, 0x0b});
  expect_invalid({0x41, 0, 0x11, 0, 1, 0x0b}, "type mismatch: expected i64");
  expect_invalid({0x41, 0, 0x25, 1, 0x1a, 0x0b}, "type mismatch: expected i64");
  expect_invalid({0x42, 0, 0x42, 0, 0x42, 1, 0xfc, 0x0e, 1, 0, 0x0b}, "type mismatch");
}

TEST(Memories, SegmentOffsets) {
  const auto data = [](const Bin& memory, const Bin& offset) {
    return header() + section(5, Bin{1} + memory) +
           section(11, vec({Bin{0} + offset + Bin{0x0b, 0}}));
  };
  EXPECT_VALID(data({4, 1}, {0x42, 0}));
  EXPECT_INVALID(data({4, 1}, {0x41, 0}), 17, "type mismatch: expected i64, found i32");
  EXPECT_INVALID(data({0, 1}, {0x42, 0}), 17, "type mismatch: expected i32, found i64");
  const auto elements = [](const Bin& offset) {
    return header() + section(4, {1, kFuncRef, 4, 1}) +
           section(9, vec({Bin{0} + offset + Bin{0x0b, 0}}));
  };
  EXPECT_VALID(elements({0x42, 0}));
  EXPECT_INVALID(elements({0x41, 0}), 18, "type mismatch: expected i64, found i32");
}

TEST(Memories, Atomics) {
  // Any memory will do, shared or not; the alignment must be the natural one.
  for (uint8_t memory : {0, 2}) {
    const Bin at = {0x42, memory, 0};
    expect_valid(Bin{0x41, 0, 0xfe, 0x10} + at + Bin{0x0b}, {kI32});
    expect_valid(Bin{0x41, 0, 0x41, 1, 0xfe, 0x00} + at + Bin{0x0b}, {kI32});
    expect_valid(Bin{0x41, 0, 0x41, 1, 0x42, 2, 0xfe, 0x01} + at + Bin{0x0b}, {kI32});
    expect_valid(Bin{0x41, 0, 0x41, 1, 0x41, 2, 0xfe, 0x48} + at + Bin{0x0b}, {kI32});
  }
  expect_valid({0x42, 0, 0x42, 1, 0xfe, 0x1f, 0x43, 1, 0, 0x0b}, {kI64});
  expect_valid({0xfe, 0x03, 0, 0x0b});
  expect_invalid({0x41, 0, 0xfe, 0x10, 1, 0, 0x0b}, "atomic alignment must be natural", {kI32});
  expect_invalid({0x41, 0, 0xfe, 0x10, 3, 0, 0x0b}, "alignment must not be larger than natural",
                 {kI32});
  expect_invalid({0x41, 0, 0xfe, 0x10, 0x42, 1, 0, 0x0b}, "type mismatch: expected i64", {kI32});
  const Bin none = function_module(func_type({}, {}), {0x41, 0, 0xfe, 0x10, 2, 0, 0x1a, 0x0b});
  EXPECT_INVALID(none, 25, "unknown memory 0");
  EXPECT_REJECTED_AS((Features{true, false}), none, Err::kMalformed, 25,
                     "illegal opcode 0xfe 0x10");
}

// An access of every kind, with the alignments up to the natural one, to each memory.
TEST(Memories, EveryAccess) {
  uint32_t checked = 0;
  for (u32 i = 0; i < static_cast<u32>(Opcode::kCount); i++) {
    const OpcodeInfo& info = kOpcodes[i];
    if (!info.access) continue;
    for (u32 align = 0; align < 6; align++) {
      for (u8 memory = 0; memory < 4; memory++) {
        // Unreachable code supplies the operands.
        Bin code = Bin{0x00, info.prefix} + uleb(info.code);
        if (!info.prefix) code = Bin{0x00, static_cast<u8>(info.code)};
        code = code + Bin{static_cast<u8>(0x40 | align), memory, 0};
        if (info.imm == Imm::kMemArgLane) code.push_back(0);
        const Err err = decode_bin(module_with(code + Bin{0x00, 0x0b})).err;
        const bool is_atomic = info.feature == Feature::kThreads;
        const bool fits = is_atomic ? 1u << align == info.access : 1u << align <= info.access;
        EXPECT_EQ(static_cast<int>(err),
                  static_cast<int>(fits && memory < 3 ? Err::kOk : Err::kInvalid))
            << info.text << " " << align << " " << +memory;
        checked++;
      }
    }
  }
  EXPECT_GT(checked, 2000u);
}

}  // namespace
}  // namespace wring
