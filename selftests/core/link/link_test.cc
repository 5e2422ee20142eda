// SPDX-License-Identifier: GPL-2.0
// The linker: layout, relocation, islands, tables and lookups.
#include "core/link/link.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace wring::test {
namespace {

class LinkTest : public ::testing::Test {
 protected:
  LinkTest() : code(&builder_arena) {}

  // A function of `bytes` bytes at the end of the code.
  void add_function(u32 index, u32 bytes) {
    functions.resize(std::max<size_t>(functions.size(), index + 1));
    functions[index].entry = code.bytes.size();
    ASSERT_TRUE(code.bytes.resize(code.bytes.size() + bytes));
    functions[index].end = code.bytes.size();
  }
  void add_reloc(RelocKind kind, u32 at, u32 index, u64 address = 0) {
    ASSERT_TRUE(code.relocs.push({kind, at, index, address}));
  }
  Err link(const Target& target = {}, u32 max_bytes = kMaxCodeBytes) {
    code.functions = {functions.data(), functions.size()};
    array_entries.assign(functions.size(), kNone);
    code.array_entries = {array_entries.data(), array_entries.size()};
    return link::link(code, target, max_bytes, &scratch, &tables, &image, &diag);
  }
  Err place(u64 address) {
    memory.assign(image.bytes + 8, 0x5a);
    Err err = link::place(&image, memory.data(), address, &diag);
    EXPECT_EQ(memory[image.bytes], 0x5a) << "written beyond the image";
    return err;
  }
  // Where the rel32 at `at` leads, as an address.
  u64 target_of(u32 at, u64 address) {
    i32 distance;
    std::memcpy(&distance, memory.data() + at, 4);
    return address + at + 4 + static_cast<u64>(i64{distance});
  }

  static constexpr u64 kAddress = 0x7000'0000'0000;
  static constexpr usize kMaxCodeBytes = 1 << 20;
  Arena builder_arena{1 << 24}, scratch{1 << 24}, tables{1 << 24};
  CodeBuilder code;
  std::vector<FunctionCode> functions;
  std::vector<u32> array_entries;
  link::CodeImage image;
  Diag diag;
  std::vector<u8> memory;
};

TEST_F(LinkTest, ResolvesFunctionsStubsAndConstants) {
  add_function(0, 20);
  add_function(1, 13);
  code.stubs[static_cast<u32>(StubId::kFuel)] = 27;
  ASSERT_TRUE(code.rodata.resize(24));
  code.rodata[8] = 0xab;
  add_reloc(RelocKind::kFunction, 1, 1);
  add_reloc(RelocKind::kFunction, 29, 0);
  add_reloc(RelocKind::kStub, 5, static_cast<u32>(StubId::kFuel));
  add_reloc(RelocKind::kRodata, 9, 8);
  ASSERT_EQ(link(), Err::kOk) << diag.message;
  ASSERT_EQ(place(kAddress), Err::kOk) << diag.message;
  EXPECT_EQ(target_of(1, kAddress), kAddress + functions[1].entry);
  EXPECT_EQ(target_of(29, kAddress), kAddress + functions[0].entry);
  EXPECT_EQ(target_of(5, kAddress), kAddress + 27);
  u64 constant = target_of(9, kAddress);
  EXPECT_EQ(constant % 8, 0u);
  EXPECT_EQ(memory[constant - kAddress], 0xab);
  EXPECT_EQ(image.rodata_offset % 16, 0u);
}

TEST_F(LinkTest, GapsAreBreakpoints) {
  add_function(0, 5);
  ASSERT_TRUE(code.rodata.resize(1));
  ASSERT_EQ(link(), Err::kOk);
  ASSERT_EQ(place(kAddress), Err::kOk);
  EXPECT_EQ(memory[5], 0xcc);
  EXPECT_EQ(memory[15], 0xcc);
}

TEST_F(LinkTest, NearAddressesAreReachedDirectly) {
  add_function(0, 16);
  add_reloc(RelocKind::kAddress, 0, 0, kAddress + 0x7000'0000);
  add_reloc(RelocKind::kAddress, 4, 0, kAddress - 0x7000'0000);
  Target target;
  target.far_calls = true;
  ASSERT_EQ(link(target), Err::kOk);
  ASSERT_EQ(place(kAddress), Err::kOk);
  EXPECT_EQ(target_of(0, kAddress), kAddress + 0x7000'0000);
  EXPECT_EQ(target_of(4, kAddress), kAddress - 0x7000'0000);
}

TEST_F(LinkTest, FarAddressesGoThroughOneIslandEach) {
  add_function(0, 32);
  u64 far = kAddress + 0x10'0000'0000, farther = kAddress + 0x20'0000'0000;
  add_reloc(RelocKind::kAddress, 0, 0, farther);
  add_reloc(RelocKind::kAddress, 8, 0, far);
  add_reloc(RelocKind::kAddress, 16, 0, farther);
  Target target;
  target.far_calls = true;
  ASSERT_EQ(link(target), Err::kOk);
  ASSERT_EQ(place(kAddress), Err::kOk);
  EXPECT_EQ(target_of(0, kAddress), target_of(16, kAddress));
  for (auto [at, expected] : {std::pair<u32, u64>{0, farther}, {8, far}}) {
    u64 island = target_of(at, kAddress) - kAddress;
    ASSERT_LE(island + 16, image.bytes);
    const u8 jump[] = {0xff, 0x25};  // jmp [rip + disp32]
    EXPECT_EQ(std::memcmp(&memory[island], jump, 2), 0);
    i32 displacement;
    std::memcpy(&displacement, &memory[island + 2], 4);
    u64 target_address;
    std::memcpy(&target_address, &memory[island + 6 + static_cast<u64>(i64{displacement})], 8);
    EXPECT_EQ(target_address, expected);
  }
}

TEST_F(LinkTest, FarAddressesWithoutIslandsAreAnError) {
  add_function(0, 16);
  add_reloc(RelocKind::kAddress, 0, 0, kAddress + 0x10'0000'0000);
  ASSERT_EQ(link(), Err::kOk);
  EXPECT_EQ(place(kAddress), Err::kLimit);
}

TEST_F(LinkTest, ReachEndsExactlyAtTwoGigabytes) {
  add_function(0, 16);
  add_reloc(RelocKind::kAddress, 0, 0, kAddress + 4 + 0x7fff'ffff);
  ASSERT_EQ(link(), Err::kOk);
  EXPECT_EQ(place(kAddress), Err::kOk);
}

TEST_F(LinkTest, BeyondReachByOneByteIsAnError) {
  add_function(0, 16);
  add_reloc(RelocKind::kAddress, 0, 0, kAddress + 4 + 0x8000'0000);
  ASSERT_EQ(link(), Err::kOk);
  EXPECT_EQ(place(kAddress), Err::kLimit);
}

TEST_F(LinkTest, CodeBytesAreLimited) {
  add_function(0, 100);
  EXPECT_EQ(link({}, 64), Err::kLimit);
  EXPECT_NE(std::string(diag.message).find("64"), std::string::npos);
}

TEST_F(LinkTest, TablesAreSortedAndFound) {
  add_function(0, 64);
  // The out-of-line code of a function may come in any order.
  for (u32 pc : {40u, 8u, 63u, 16u}) {
    ASSERT_TRUE(code.traps.push({pc, 0, pc * 10, TrapReason::kUnreachable}));
    ASSERT_TRUE(code.calls.push({pc + 1, 0, pc * 10 + 1}));
    ASSERT_TRUE(code.faults.push({pc + 2, pc}));
  }
  ASSERT_EQ(link(), Err::kOk);
  for (u32 i = 1; i < 4; i++) {
    EXPECT_LT(image.traps[i - 1].pc, image.traps[i].pc);
    EXPECT_LT(image.calls[i - 1].pc, image.calls[i].pc);
    EXPECT_LT(image.faults[i - 1].pc, image.faults[i].pc);
  }
  for (u32 pc : {8u, 16u, 40u, 63u}) {
    ASSERT_TRUE(link::find_trap(image, pc));
    EXPECT_EQ(link::find_trap(image, pc)->origin, pc * 10);
    ASSERT_TRUE(link::find_call(image, pc + 1));
    EXPECT_EQ(link::find_call(image, pc + 1)->origin, pc * 10 + 1);
    EXPECT_FALSE(link::find_trap(image, pc + 2));
  }
  EXPECT_FALSE(link::find_trap(image, 0));
  EXPECT_FALSE(link::find_call(image, 100));
}

TEST_F(LinkTest, FunctionsAreFoundByAddress) {
  // Compiled in another order than numbered, and the landing pad comes before the entry.
  functions.resize(4);
  ASSERT_TRUE(code.bytes.resize(7));  // a stub
  add_function(2, 10);
  add_function(0, 20);
  functions[0].indirect_entry = functions[0].entry;
  functions[0].entry += 4;
  ASSERT_EQ(link(), Err::kOk);
  EXPECT_EQ(link::find_function(image, 6), kNone);
  EXPECT_EQ(link::find_function(image, 7), 2u);
  EXPECT_EQ(link::find_function(image, 16), 2u);
  EXPECT_EQ(link::find_function(image, 17), 0u);
  EXPECT_EQ(link::find_function(image, 36), 0u);
  EXPECT_EQ(link::find_function(image, 37), kNone);
}

TEST_F(LinkTest, RunsOutOfMemoryCleanly) {
  add_function(0, 64);
  ASSERT_TRUE(code.traps.push({1, 0, 0, TrapReason::kUnreachable}));
  Arena none(0);
  code.functions = {functions.data(), functions.size()};
  EXPECT_EQ(link::link(code, {}, 1 << 20, &none, &none, &image, &diag), Err::kNoMemory);
}

}  // namespace
}  // namespace wring::test
