// SPDX-License-Identifier: GPL-2.0
// The assembler's vector instructions against Zydis: every line of vec.def in both encodings, over
// register and memory operands.
#include <Zydis/Zydis.h>
#include <gtest/gtest.h>

#include <cctype>
#include <string>
#include <vector>

#include "core/x64/asm.h"

namespace wring::x64 {
namespace {

constexpr usize kArenaBytes = 64 << 20;
constexpr u8 kImm = 0x5a;

// The mnemonic of a VecOp in lower case, without the V of the VEX encoding.
std::string mnemonic_of(std::string name) {
  auto strip = [&](const char* suffix) {
    usize n = strlen(suffix);
    if (name.size() > n && name.compare(name.size() - n, n, suffix) == 0)
      name.resize(name.size() - n);
  };
  strip("Imm");
  strip("Store");
  for (const char* wide : {"Cvtsi2ssq", "Cvtsi2sdq", "Cvttss2siq", "Cvttsd2siq"})
    if (name == wide) name.pop_back();
  for (char& c : name) c = static_cast<char>(tolower(c));
  return name;
}
const std::string kNames[] = {
#define VEC(name, prefix, map, byte, w, form, memory, other, needs) mnemonic_of(#name),
#include "core/x64/vec.def"
#undef VEC
};

std::vector<Reg> regs() { return {kRax, kRsi, kRdi, kR8, kR12, kR13, kR15}; }

std::vector<Mem> mems() {
  std::vector<Mem> out;
  for (Reg base : {kRax, kRsp, kRbp, kRdi, kR8, kR12, kR13, kR15})
    for (i32 disp : {0, 1, -128, 127, 128, 0x12345678}) {
      out.push_back({base, kNoReg, 0, false, disp});
      for (Reg index : {kRcx, kRbp, kR9, kR12})
        out.push_back({base, index, static_cast<u8>(disp & 3), disp == 1, disp});
    }
  out.push_back(rodata_mem(0));
  out.push_back(rodata_mem(4096));
  return out;
}

struct Want {
  ZydisRegister reg = ZYDIS_REGISTER_NONE;  // else
  const Mem* mem = nullptr;                 // else an immediate
  u32 bytes = 0;
  i64 imm = 0;
};
Want xmm(Reg reg) { return {static_cast<ZydisRegister>(ZYDIS_REGISTER_XMM0 + u32{reg})}; }
Want gpr(Reg reg, bool wide) {
  return {static_cast<ZydisRegister>((wide ? ZYDIS_REGISTER_RAX : ZYDIS_REGISTER_EAX) + u32{reg})};
}
Want imm(i64 value) { return {ZYDIS_REGISTER_NONE, nullptr, 0, value}; }
Want memory(const Mem& mem, u32 bytes) { return {ZYDIS_REGISTER_NONE, &mem, bytes}; }

class VecAsm : public ::testing::TestWithParam<bool> {
 protected:
  VecAsm() { ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64); }

  template <class Emit>
  void check(const std::string& name, const std::vector<Want>& wants, Emit emit) {
    Arena arena(kArenaBytes);
    CodeBuilder code(&arena);
    Assembler as(&arena, &code);
    as.set_avx(GetParam());
    emit(as);
    ASSERT_FALSE(as.out_of_memory());
    std::string bytes = name + ":";
    for (u8 b : code.bytes) {
      char hex[4];
      snprintf(hex, sizeof(hex), " %02x", b);
      bytes += hex;
    }
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ASSERT_TRUE(ZYAN_SUCCESS(
        ZydisDecoderDecodeFull(&decoder_, code.bytes.data(), code.bytes.size(), &insn, ops)))
        << bytes;
    ASSERT_EQ(insn.length, code.bytes.size()) << bytes;
    ASSERT_EQ(insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX, GetParam()) << bytes;
    std::string mnemonic = ZydisMnemonicGetString(insn.mnemonic);
    std::string want = name[0] == 'v' || !GetParam() ? name : "v" + name;
    ASSERT_EQ(mnemonic, want) << bytes;
    ASSERT_EQ(insn.operand_count_visible, wants.size()) << bytes;
    for (u32 i = 0; i < wants.size(); i++) expect_operand(wants[i], ops[i], code, insn, bytes, i);
    count_++;
  }

  void expect_operand(const Want& want, const ZydisDecodedOperand& op, const CodeBuilder& code,
                      const ZydisDecodedInstruction& insn, const std::string& bytes, u32 i) {
    if (want.reg != ZYDIS_REGISTER_NONE) {
      ASSERT_EQ(op.type, ZYDIS_OPERAND_TYPE_REGISTER) << bytes << " operand " << i;
      ASSERT_EQ(op.reg.value, want.reg) << bytes << " operand " << i;
    } else if (!want.mem) {
      ASSERT_EQ(op.type, ZYDIS_OPERAND_TYPE_IMMEDIATE) << bytes << " operand " << i;
      ASSERT_EQ(static_cast<i64>(op.imm.value.u), want.imm) << bytes;
    } else {
      ASSERT_EQ(op.type, ZYDIS_OPERAND_TYPE_MEMORY) << bytes << " operand " << i;
      ASSERT_EQ(op.size, want.bytes * 8) << bytes;
      const Mem& m = *want.mem;
      if (m.rodata) {
        ASSERT_EQ(op.mem.base, ZYDIS_REGISTER_RIP) << bytes;
        ASSERT_EQ(code.relocs.size(), 1u);
        // What the relocation computes, counted from the instruction's end.
        u32 field_end = insn.raw.disp.offset + 4;
        ASSERT_EQ(code.relocs[0].index + (insn.length - field_end), static_cast<u32>(m.disp));
        return;
      }
      auto reg = [](Reg r) {
        return r == kNoReg ? ZYDIS_REGISTER_NONE
                           : static_cast<ZydisRegister>(ZYDIS_REGISTER_RAX + u32{r});
      };
      ASSERT_EQ(op.mem.base, reg(m.base)) << bytes;
      ASSERT_EQ(op.mem.index, reg(m.index)) << bytes;
      if (m.index != kNoReg) {
        ASSERT_EQ(op.mem.scale, 1 << m.scale) << bytes;
      }
      ASSERT_EQ(op.mem.disp.value, m.disp) << bytes;
      ASSERT_EQ(op.mem.segment == ZYDIS_REGISTER_GS, m.gs) << bytes;
    }
  }

  void check_op(VecOp op);
  void check_vec(VecOp op, Reg dst, Reg a, const Rm& b);

  ZydisDecoder decoder_;
  u32 count_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Encodings, VecAsm, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Vex" : "Sse"; });

void VecAsm::check_vec(VecOp op, Reg dst, Reg a, const Rm& b) {
  const VecInfo& info = info_of(op);
  const std::string& name = kNames[static_cast<u32>(op)];
  bool to_int = info.other == VecInfo::kToInt;
  std::vector<Want> wants = {to_int ? gpr(dst, info.w) : xmm(dst)};
  if (GetParam() && (info.is_binary() || info.is_merge())) wants.push_back(xmm(a));
  if (b.is_mem())
    wants.push_back(memory(b.mem, info.memory));
  else if (info.other == VecInfo::kFromInt)
    wants.push_back(gpr(b.reg, info.w));
  else
    wants.push_back(xmm(b.reg));
  if (info.form == VecInfo::kBlend) {
    wants.push_back(xmm(kR9));
    return check(name, wants, [&](Assembler& as) { as.vec_blend(op, dst, a, b, kR9); });
  }
  if (info.has_imm()) wants.push_back(imm(kImm));
  check(name, wants, [&](Assembler& as) { as.vec(op, dst, a, b, kImm); });
}

void VecAsm::check_op(VecOp op) {
  const VecInfo& info = info_of(op);
  const std::string& name = kNames[static_cast<u32>(op)];
  if (info.needs != VecInfo::kSse && !GetParam()) return;
  for (Reg dst : regs()) {
    for (Reg a : regs()) {
      if (info.form == VecInfo::kShiftImm) {
        if (!GetParam() && a != dst) continue;
        std::vector<Want> wants = {xmm(dst)};
        if (GetParam()) wants.push_back(xmm(a));
        wants.push_back(imm(kImm));
        check(name, wants, [&](Assembler& as) { as.vec_shift(op, dst, a, kImm); });
      } else if (info.form == VecInfo::kStore || info.form == VecInfo::kStoreImm) {
        if (info.other == VecInfo::kMemOnly) continue;
        check(name, {gpr(dst, info.w), xmm(a), imm(kImm)},
              [&](Assembler& as) { as.vec_extract(op, dst, a, kImm); });
      } else if (info.other != VecInfo::kMemOnly) {
        for (Reg b : {kRax, kRdi, kR8, kR15}) check_vec(op, dst, GetParam() ? a : dst, b);
      }
    }
    if (info.memory == 0) continue;
    for (const Mem& m : mems()) {
      if (info.form == VecInfo::kStore || info.form == VecInfo::kStoreImm) {
        std::vector<Want> wants = {memory(m, info.memory), xmm(dst)};
        if (info.has_imm()) wants.push_back(imm(kImm));
        check(name, wants, [&](Assembler& as) { as.vec_extract(op, m, dst, kImm); });
      } else {
        check_vec(op, dst, GetParam() ? kR10 : dst, m);
      }
    }
  }
}

TEST_P(VecAsm, EveryInstruction) {
  for (u32 i = 0; i < static_cast<u32>(VecOp::kCount); i++) {
    count_ = 0;
    ASSERT_NO_FATAL_FAILURE(check_op(static_cast<VecOp>(i)));
    if (GetParam() || info_of(static_cast<VecOp>(i)).needs == VecInfo::kSse) {
      ASSERT_GE(count_, regs().size()) << kNames[i];
    }
  }
}

TEST_P(VecAsm, Moves) {
  for (Reg a : regs()) {
    for (Reg b : regs()) {
      check("movaps", {xmm(a), xmm(b)}, [&](Assembler& as) { as.vec_move(a, b); });
      for (Size size : {Size::k32, Size::k64}) {
        bool wide = size == Size::k64;
        const char* name = wide ? "movq" : "movd";
        check(name, {xmm(a), gpr(b, wide)}, [&](Assembler& as) { as.vec_from_int(size, a, b); });
        check(name, {gpr(a, wide), xmm(b)}, [&](Assembler& as) { as.vec_to_int(size, a, b); });
      }
    }
    for (const Mem& m : mems()) {
      check("movss", {xmm(a), memory(m, 4)}, [&](Assembler& as) { as.vec_load(4, a, m); });
      check("movsd", {xmm(a), memory(m, 8)}, [&](Assembler& as) { as.vec_load(8, a, m); });
      check("movups", {xmm(a), memory(m, 16)}, [&](Assembler& as) { as.vec_load(16, a, m); });
      check("movss", {memory(m, 4), xmm(a)}, [&](Assembler& as) { as.vec_store(4, m, a); });
      check("movsd", {memory(m, 8), xmm(a)}, [&](Assembler& as) { as.vec_store(8, m, a); });
      check("movups", {memory(m, 16), xmm(a)}, [&](Assembler& as) { as.vec_store(16, m, a); });
      check("movd", {xmm(a), memory(m, 4)},
            [&](Assembler& as) { as.vec_from_int(Size::k32, a, m); });
    }
    Reg source = GetParam() ? kRax : a;
    std::vector<Want> wants = {xmm(a), xmm(source)};
    if (GetParam()) wants.push_back(xmm(source));
    check("xorps", wants, [&](Assembler& as) { as.vec_zero(a); });
  }
}

}  // namespace
}  // namespace wring::x64
