// SPDX-License-Identifier: GPL-2.0
// Instruction decoding: every opcode of the table, every kind of immediate, and what is not an instruction.
#include "core/wasm/instr.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "selftests/core/wasm/module_builder.h"

namespace wring {
namespace {

using namespace testing;

struct Result {
  Err err;
  Instr in;
  Diag diag;
};

Result decode_one(const Bin& bin, Features features = Features()) {
  std::unique_ptr<u8[]> exact(new u8[bin.size()]);
  for (size_t i = 0; i < bin.size(); i++) exact[i] = bin[i];
  Result out{};
  out.err = decode_instr(Bytes(exact.get(), bin.size()), 0, static_cast<u32>(bin.size()), 9,
                         &out.in, &out.diag, features);
  return out;
}

Bin encoding(Opcode op) {
  const OpcodeInfo& info = info_of(op);
  if (info.prefix == 0) return {static_cast<u8>(info.code)};
  return Bin{info.prefix} + uleb(info.code);
}

// Some immediates of that kind.
Bin immediates(Imm imm) {
  switch (imm) {
    case Imm::kNone: return {};
    case Imm::kBlock: return {0x40};
    case Imm::kLabel:
    case Imm::kFunc:
    case Imm::kLocal:
    case Imm::kGlobal:
    case Imm::kTable:
    case Imm::kElem:
    case Imm::kType:
    case Imm::kTag:
    case Imm::kData: return {0x85, 0x01};
    case Imm::kLabels: return {0x02, 0x01, 0x80, 0x00, 0x03};
    case Imm::kTypeTable:
    case Imm::kTableTable:
    case Imm::kElemTable: return {0x04, 0x83, 0x00};
    case Imm::kMemory: return {0x00};
    case Imm::kMemoryMemory: return {0x00, 0x00};
    case Imm::kDataMemory: return {0x07, 0x00};
    case Imm::kMemArg: return {0x02, 0x90, 0x01};
    case Imm::kMemArgLane: return {0x00, 0x90, 0x01, 0x03};
    case Imm::kI32: return {0xff, 0x7e};
    case Imm::kI64: return {0x80, 0x7f};
    case Imm::kF32: return {0x00, 0x00, 0x80, 0xff};
    case Imm::kF64: return {1, 2, 3, 4, 5, 6, 7, 0x88};
    case Imm::kV128: return Bin(16, 0xaa);
    case Imm::kLane: return {0x01};
    case Imm::kTypes: return {0x01, 0x7e};
    case Imm::kRefType: return {0x6f};
    case Imm::kTryTable: return {0x40, 0x02, 0x01, 0x03, 0x00, 0x02, 0x81, 0x00};
    case Imm::kFence: return {0x00};
  }
  return {};
}

TEST(Instr, EveryOpcodeDecodesToItself) {
  for (u32 i = 0; i < static_cast<u32>(Opcode::kCount); i++) {
    const Opcode op = static_cast<Opcode>(i);
    const Bin bin = encoding(op) + immediates(info_of(op).imm);
    const Result got = decode_one(bin);
    EXPECT_EQ(got.err, Err::kOk) << info_of(op).text << ": " << got.diag.message;
    EXPECT_EQ(got.in.op, op) << info_of(op).text;
    EXPECT_EQ(got.in.offset, 0u);
    EXPECT_EQ(got.in.next, bin.size()) << info_of(op).text;
    for (size_t size = 0; size < bin.size(); size++) {
      const Result cut = decode_one(Bin(bin.begin(), bin.begin() + static_cast<long>(size)));
      EXPECT_EQ(cut.err, Err::kMalformed) << info_of(op).text << " cut to " << size;
      EXPECT_EQ(cut.diag.offset, size);
      EXPECT_EQ(cut.diag.func, 9u);
      EXPECT_STREQ(cut.diag.message, "unexpected end of section or function");
    }
  }
}

TEST(Instr, TableHasEveryInstructionOnce) {
  u32 plain = 0, fc = 0, fd = 0, fe = 0;
  std::set<std::pair<u32, u32>> codes;
  std::set<std::string> texts;
  for (const OpcodeInfo& info : kOpcodes) {
    (info.prefix == 0 ? plain : info.prefix == 0xfc ? fc : info.prefix == 0xfd ? fd : fe)++;
    EXPECT_TRUE(codes.emplace(info.prefix, info.code).second) << info.text;
    texts.insert(info.text);
  }
  // The spec's index of instructions: 193 with one byte but for ref.eq, 18 after 0xfc, 256 vector instructions, 20
  // of them relaxed; and 67 of the threads proposal.
  EXPECT_EQ(plain, 193u);
  EXPECT_EQ(fc, 18u);
  EXPECT_EQ(fd, 256u);
  EXPECT_EQ(fe, 67u);
  EXPECT_EQ(texts.size(), codes.size() - 1);  // both selects have one name
}

TEST(Instr, Signatures) {
  const OpcodeInfo& add = info_of(Opcode::kI32Add);
  EXPECT_TRUE(add.fixed);
  EXPECT_EQ(add.operand_count, 2);
  EXPECT_EQ(add.operands[0], ValType::kI32);
  EXPECT_EQ(add.result, ValType::kI32);
  EXPECT_EQ(add.access, 0);

  const OpcodeInfo& store = info_of(Opcode::kI64Store16);
  EXPECT_EQ(store.operands[0], ValType::kI32);
  EXPECT_EQ(store.operands[1], ValType::kI64);
  EXPECT_EQ(store.result, ValType::kBottom);
  EXPECT_EQ(store.access, 2);

  const OpcodeInfo& load = info_of(Opcode::kV128Load16Lane);
  EXPECT_EQ(load.operand_count, 2);
  EXPECT_EQ(load.result, ValType::kV128);
  EXPECT_EQ(load.access, 2);
  EXPECT_EQ(load.lanes, 8);

  EXPECT_EQ(info_of(Opcode::kI8x16ExtractLaneS).lanes, 16);
  EXPECT_EQ(info_of(Opcode::kF64x2ReplaceLane).lanes, 2);
  EXPECT_EQ(info_of(Opcode::kF64x2ReplaceLane).operands[1], ValType::kF64);
  EXPECT_EQ(info_of(Opcode::kV128Bitselect).operand_count, 3);
  EXPECT_EQ(info_of(Opcode::kF64PromoteF32).operands[0], ValType::kF32);
  EXPECT_EQ(info_of(Opcode::kV128Load).access, 16);
  EXPECT_FALSE(info_of(Opcode::kCall).fixed);
  EXPECT_EQ(info_of(Opcode::kI32Extend8S).feature, Feature::kSignExt);
}

TEST(Instr, Immediates) {
  EXPECT_EQ(decode_one({0x41, 0xff, 0x7e}).in.value, -129);
  EXPECT_EQ(decode_one({0x42, 0x80, 0x7f}).in.value, -128);
  EXPECT_EQ(decode_one({0x43, 0x00, 0x00, 0x80, 0xff}).in.value, 0xff800000);
  EXPECT_EQ(static_cast<u64>(decode_one({0x44, 1, 2, 3, 4, 5, 6, 7, 0x88}).in.value),
            0x8807060504030201u);

  const Instr load = decode_one({0x28, 0x02, 0x90, 0x01}).in;
  EXPECT_EQ(load.mem.align, 2u);
  EXPECT_EQ(load.mem.offset, 0x90u);
  EXPECT_EQ(load.mem.memory, 0u);

  const Instr call = decode_one({0x11, 0x85, 0x01, 0x02}).in;
  EXPECT_EQ(call.index, 0x85u);
  EXPECT_EQ(call.index2, 2u);

  const Instr lane = decode_one({0xfd, 0x54, 0x00, 0x07, 0x0f}).in;
  EXPECT_EQ(lane.op, Opcode::kV128Load8Lane);
  EXPECT_EQ(lane.lane, 15);
  EXPECT_EQ(lane.mem.offset, 7u);

  const Instr select = decode_one({0x1c, 0x02, 0x7e, 0x7f}).in;
  EXPECT_EQ(select.index, 2u);
  EXPECT_EQ(select.type, ValType::kI64);
  EXPECT_EQ(select.list, 2u);

  EXPECT_EQ(decode_one(Bin{0xfd, 0x0c} + Bin(16, 1)).in.list, 2u);
  EXPECT_EQ(decode_one({0xd0, 0x6f}).in.type, ValType::kExternRef);
}

TEST(Instr, BlockTypes) {
  const Instr empty = decode_one({0x02, 0x40}).in;
  EXPECT_EQ(empty.block.type, kNone);
  EXPECT_EQ(empty.block.result, ValType::kBottom);
  const Instr single = decode_one({0x03, 0x7b}).in;
  EXPECT_EQ(single.block.type, kNone);
  EXPECT_EQ(single.block.result, ValType::kV128);
  const Instr index = decode_one({0x04, 0xc0, 0x00}).in;
  EXPECT_EQ(index.block.type, 0x40u);
  EXPECT_EQ(decode_one({0x02, 0xff, 0xff, 0xff, 0xff, 0x0f}).in.block.type, 0xffffffffu);
  // Negative, but no value type; and one that is, in two bytes.
  EXPECT_STREQ(decode_one({0x02, 0x41}).diag.message, "malformed value type");
  EXPECT_STREQ(decode_one({0x02, 0x7a}).diag.message, "malformed value type");
  EXPECT_STREQ(decode_one({0x02, 0xff, 0x7f}).diag.message, "malformed block type");
  EXPECT_EQ(decode_one({0x02, 0xff, 0x7f}).diag.offset, 1u);
  const Instr typed = decode_one({0x02, kRefNull, 0x90, 0x01}).in;
  EXPECT_EQ(typed.block.type, kNone);
  EXPECT_EQ(typed.block.result, ref_to(0x90, true));
  EXPECT_EQ(typed.next, 4u);
}

TEST(Instr, BrTableTargets) {
  const Bin bin = {0x0e, 0x03, 0x05, 0x86, 0x01, 0x80, 0x00, 0x09, 0x0b};
  const Instr in = decode_one(bin).in;
  EXPECT_EQ(in.index2, 3u);
  EXPECT_EQ(in.index, 9u);
  EXPECT_EQ(in.next, 8u);
  u32 offset = in.list;
  const Bytes bytes(bin.data(), bin.size());
  EXPECT_EQ(next_label(bytes, &offset), 5u);
  EXPECT_EQ(next_label(bytes, &offset), 0x86u);
  EXPECT_EQ(next_label(bytes, &offset), 0u);
  EXPECT_EQ(next_label(bytes, &offset), 9u);
  EXPECT_EQ(offset, in.next);
}

TEST(Instr, BrTableLimit) {
  const Bin most = Bin{0x0e} + uleb(kMaxBrTableTargets) + Bin(kMaxBrTableTargets + 1, 0);
  EXPECT_EQ(decode_one(most).err, Err::kOk);
  const Bin more = Bin{0x0e} + uleb(kMaxBrTableTargets + 1) + Bin(kMaxBrTableTargets + 2, 0);
  const Result got = decode_one(more);
  EXPECT_EQ(got.err, Err::kLimit);
  EXPECT_EQ(got.diag.offset, 1u);
  // A count that the bytes do not back is malformed, not too large.
  EXPECT_EQ(decode_one({0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x00}).err, Err::kMalformed);
}

TEST(Instr, IllegalOpcodes) {
  const auto expect_illegal = [](const Bin& bin, const char* message) {
    const Result got = decode_one(bin);
    EXPECT_EQ(got.err, Err::kMalformed);
    EXPECT_EQ(got.diag.offset, 0u);
    EXPECT_STREQ(got.diag.message, message);
  };
  expect_illegal({0x16}, "illegal opcode 0x16");
  expect_illegal({0x1d, 0x00}, "illegal opcode 0x1d");
  expect_illegal({0xff}, "illegal opcode 0xff");
  expect_illegal({0xfe, 0x05}, "illegal opcode 0xfe 0x05");
  expect_illegal({0xfe, 0x73}, "illegal opcode 0xfe 0x73");
  expect_illegal({0xfc, 0x17}, "illegal opcode 0xfc 0x17");
  expect_illegal({0xfd, 0x9a, 0x01}, "illegal opcode 0xfd 0x9a");
  expect_illegal({0xfd, 0x94, 0x02}, "illegal opcode 0xfd 0x114");
  expect_illegal({0xfd, 0xff, 0xff, 0xff, 0xff, 0x0f}, "illegal opcode 0xfd 0xffffffff");
}

TEST(Instr, PrefixedCodesMayBeOverlong) {
  EXPECT_EQ(decode_one({0xfc, 0x87, 0x80, 0x80, 0x80, 0x00}).in.op, Opcode::kI64TruncSatF64U);
  EXPECT_STREQ(decode_one({0xfc, 0x87, 0x80, 0x80, 0x80, 0x80, 0x00}).diag.message,
               "integer representation too long");
}

TEST(Instr, MalformedImmediates) {
  for (Features features : {Features(), kWasm2}) {
    EXPECT_STREQ(decode_one({0x28, 0x80, 0x01, 0x00}, features).diag.message,
                 "malformed memop flags");
    EXPECT_STREQ(decode_one({0xd0, 0x40}, features).diag.message,
                 features.wasm3 ? "malformed heap type" : "malformed reference type");
    EXPECT_STREQ(decode_one({0x1c, 0x01, 0x40}, features).diag.message, "malformed value type");
  }
  EXPECT_STREQ(decode_one({0x1f, 0x40, 0x01, 0x04, 0x00}).diag.message, "malformed catch clause");
  EXPECT_STREQ(decode_one({0x1f, 0x40, 0x02, 0x02, 0x00}).diag.message,
               "unexpected end of section or function");
  EXPECT_STREQ(decode_one({0xfe, 0x03, 0x01}).diag.message, "zero byte expected");
  EXPECT_STREQ(decode_one({0x28, 0x02, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02})
                   .diag.message,
               "integer too large");
  // Heap types are single bytes unless they are type indices.
  EXPECT_STREQ(decode_one({0xd0, 0xf0, 0x7f}).diag.message, "malformed heap type");
}

TEST(Instr, WithoutLaterFeatures) {
  const auto message = [](const Bin& bin, Features features = kWasm2) {
    return std::string(decode_one(bin, features).diag.message);
  };
  EXPECT_EQ(message({0x3f, 0x01}), "zero byte expected");
  EXPECT_EQ(message({0x40, 0x80, 0x00}), "zero byte expected");
  EXPECT_EQ(message({0xfc, 0x0a, 0x00, 0x01}), "zero byte expected");
  EXPECT_EQ(decode_one({0xfc, 0x0a, 0x00, 0x01}, kWasm2).diag.offset, 3u);
  EXPECT_EQ(message({0x28, 0x20, 0x00}), "malformed memop flags");
  EXPECT_EQ(message({0x28, 0x02, 0x80, 0x80, 0x80, 0x80, 0x10}), "integer too large");
  EXPECT_EQ(message({0xd0, 0x69}), "malformed reference type");
  EXPECT_EQ(message({0x02, kRefNull, 0x00}), "malformed value type");
  for (u32 i = 0; i < static_cast<u32>(Opcode::kCount); i++) {
    const Opcode op = static_cast<Opcode>(i);
    const Feature feature = info_of(op).feature;
    const Bin bin = encoding(op) + immediates(info_of(op).imm);
    const bool is_old = feature <= Feature::kSimd, is_threads = feature == Feature::kThreads;
    EXPECT_EQ(message(bin).empty(), is_old) << info_of(op).text;
    EXPECT_EQ(message(bin, {true, false}).empty(), is_old || !is_threads) << info_of(op).text;
    EXPECT_EQ(message(bin, {false, true}).empty(), is_old || is_threads) << info_of(op).text;
  }
}

// What the proposals the engine lacks are called, and what compilers have against them.
TEST(Instr, LackingProposalsAreNamed) {
  const std::string gc = "garbage-collected types are not supported: ",
                    legacy = "legacy exception handling is not supported: opcode ",
                    half = "half precision is not supported: ";
  const struct {
    Bin bin;
    std::string text, advice;
  } cases[] = {
      {{0xfb, 0x00, 0x00}, gc + "opcode 0xfb 0x00", ""},
      {{0xd3}, gc + "opcode 0xd3", ""},
      {{0xd0, 0x6e}, gc + "heap type 0x6e", ""},
      {{0x02, 0x6d}, gc + "heap type 0x6d", ""},
      {{0x1c, 0x01, kRef, 0x6b}, gc + "heap type 0x6b", ""},
      {{0x06, 0x40}, legacy + "0x06", "-sWASM_LEGACY_EXCEPTIONS=0"},
      {{0x07, 0x00}, legacy + "0x07", "-wasm-use-legacy-eh=false"},
      {{0x09, 0x00}, legacy + "0x09", "-sWASM_LEGACY_EXCEPTIONS=0"},
      {{0x18, 0x00}, legacy + "0x18", "-sWASM_LEGACY_EXCEPTIONS=0"},
      {{0x19}, legacy + "0x19", "-sWASM_LEGACY_EXCEPTIONS=0"},
      {{0xfb, 0x80, 0x01}, "string references are not supported: opcode 0xfb 0x80", ""},
      {{0xd0, 0x67}, "string references are not supported: heap type 0x67", ""},
      {{0xe0, 0x00}, "stack switching is not supported: opcode 0xe0", ""},
      {{0xd0, 0x68}, "stack switching is not supported: heap type 0x68", ""},
      {{0xfe, 0x4f, 0x00}, "shared-everything threads are not supported: opcode 0xfe 0x4f", ""},
      {{0xd0, 0x65}, "shared-everything threads are not supported: heap type 0x65", ""},
      {{0xfc, 0x13}, "wide arithmetic is not supported: opcode 0xfc 0x13", "-mno-wide-arithmetic"},
      {{0xfc, 0x12, 0x00}, "memory control is not supported: opcode 0xfc 0x12", ""},
      {{0xfc, 0x30, 0x00, 0x00}, half + "opcode 0xfc 0x30", "-mno-fp16"},
      {{0xfd, 0xa0, 0x02}, half + "opcode 0xfd 0x120", "-mno-fp16"},
  };
  for (const auto& c : cases) {
    const Result got = decode_one(c.bin);
    const std::string message = got.diag.message;
    EXPECT_EQ(got.err, Err::kUnsupported) << c.text;
    EXPECT_EQ(message.rfind(c.text, 0), 0u) << message;
    EXPECT_NE(message.find(c.advice), std::string::npos) << message;
    EXPECT_EQ(decode_one(c.bin, kWasm2).err, Err::kMalformed) << c.text;
  }
}

TEST(Instr, MemoryIndicesAndLongOffsets) {
  const Instr load = decode_one({0x28, 0x42, 0x85, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}).in;
  EXPECT_EQ(load.mem.align, 2u);
  EXPECT_EQ(load.mem.memory, 0x85u);
  EXPECT_EQ(load.mem.offset, 0xfffffffffu);
  EXPECT_EQ(decode_one({0x29, 0x03, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
                .in.mem.offset,
            ~u64{0});
  EXPECT_EQ(decode_one({0x3f, 0x85, 0x01}).in.index, 0x85u);
  const Instr copy = decode_one({0xfc, 0x0a, 0x02, 0x01}).in;
  EXPECT_EQ(copy.index, 2u);
  EXPECT_EQ(copy.index2, 1u);
}

TEST(Instr, TryTable) {
  const Bin bin = {0x1f, 0x7e, 0x04, 0x00, 0x85, 0x01, 0x02, 0x01,
                   0x06, 0x83, 0x00, 0x02, 0x04, 0x03, 0x05, 0x0b};
  const Result got = decode_one(bin);
  ASSERT_EQ(got.err, Err::kOk);
  EXPECT_EQ(got.in.block.result, ValType::kI64);
  EXPECT_EQ(got.in.index2, 4u);
  EXPECT_EQ(got.in.next, bin.size() - 1);
  const CatchClause want[] = {{CatchClause::kCatch, 0x85, 2},
                              {CatchClause::kCatchRef, 6, 3},
                              {CatchClause::kCatchAll, 0, 4},
                              {CatchClause::kCatchAllRef, 0, 5}};
  u32 offset = got.in.list;
  for (const CatchClause& clause : want) {
    const CatchClause found = next_catch(Bytes(bin.data(), bin.size()), &offset);
    EXPECT_EQ(found.kind, clause.kind);
    EXPECT_EQ(found.tag, clause.tag);
    EXPECT_EQ(found.label, clause.label);
  }
  EXPECT_EQ(offset, got.in.next);
}

TEST(Instr, CatchClausesLimit) {
  const auto with = [](u32 count) {
    return decode_one(Bin{0x1f, 0x40} + uleb(count) + repeat(count, {0x02, 0x00}));
  };
  EXPECT_EQ(with(kMaxCatchClauses).err, Err::kOk);
  EXPECT_EQ(with(kMaxCatchClauses + 1).err, Err::kLimit);
}

TEST(Instr, LocalRuns) {
  const Bin bin = {0x03, 0xac, 0x02, 0x7f, 0x01, 0x7b, 0x02, kRef, 0x85, 0x01};
  const Bytes bytes(bin.data(), bin.size());
  u32 offset = 0;
  EXPECT_EQ(local_run_count(bytes, &offset), 3u);
  LocalRun run = next_local_run(bytes, &offset);
  EXPECT_EQ(run.count, 300u);
  EXPECT_EQ(run.type, ValType::kI32);
  run = next_local_run(bytes, &offset);
  EXPECT_EQ(run.count, 1u);
  EXPECT_EQ(run.type, ValType::kV128);
  run = next_local_run(bytes, &offset);
  EXPECT_EQ(run.count, 2u);
  EXPECT_EQ(run.type, ref_to(0x85, false));
  EXPECT_EQ(offset, bin.size());
}

}  // namespace
}  // namespace wring
