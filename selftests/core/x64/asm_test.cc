// SPDX-License-Identifier: GPL-2.0
// The assembler against Zydis: every instruction form over many operands, decoded and compared.
#include "core/x64/asm.h"

#include <Zydis/Zydis.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace wring::x64 {
namespace {

constexpr usize kArenaBytes = 256 << 20;

std::vector<Reg> all_regs() {
  std::vector<Reg> regs;
  for (int i = 0; i < 16; i++) regs.push_back(static_cast<Reg>(i));
  return regs;
}

// Address forms that exercise every special case of ModRM and SIB.
std::vector<Mem> all_mems() {
  std::vector<Mem> mems;
  const i32 disps[] = {0, 1, -128, 127, 128, -129, 0x12345678, -0x12345678};
  for (Reg base : all_regs())
    for (i32 disp : disps) mems.push_back({base, kNoReg, 0, false, disp});
  for (Reg base : {kRax, kRsp, kRbp, kR8, kR12, kR13, kR15})
    for (Reg index : all_regs())
      if (index != kRsp)
        for (u8 scale = 0; scale < 4; scale++)
          for (i32 disp : {0, -1, 4096}) mems.push_back({base, index, scale, scale == 1, disp});
  for (Reg index : {kRax, kRbp, kR12, kR13}) mems.push_back({kNoReg, index, 3, false, 64});
  for (i32 disp : {0, 16, -5}) mems.push_back({kNoReg, kNoReg, 0, true, disp});
  return mems;
}

ZydisRegister zreg(Reg reg, u32 bytes) {
  switch (bytes) {
    case 1:
      // Zydis numbers ah..bh between bl and spl.
      return static_cast<ZydisRegister>(ZYDIS_REGISTER_AL + u32{reg} + (reg >= 4 ? 4 : 0));
    case 2: return static_cast<ZydisRegister>(ZYDIS_REGISTER_AX + u32{reg});
    case 4: return static_cast<ZydisRegister>(ZYDIS_REGISTER_EAX + u32{reg});
    default: return static_cast<ZydisRegister>(ZYDIS_REGISTER_RAX + u32{reg});
  }
}

// An operand as the test wants to see it decoded.
struct Want {
  enum Kind { kReg, kMem, kImm } kind;
  Reg reg = kNoReg;
  Mem mem;
  i64 imm = 0;
  u32 bytes = 0;
};
Want R(Reg reg, u32 bytes) { return {Want::kReg, reg, {}, 0, bytes}; }
Want R(Reg reg, Size size) { return R(reg, static_cast<u32>(size)); }
Want M(const Mem& mem, u32 bytes) { return {Want::kMem, kNoReg, mem, 0, bytes}; }
Want M(const Mem& mem, Size size) { return M(mem, static_cast<u32>(size)); }
Want I(i64 value) { return {Want::kImm, kNoReg, {}, value, 0}; }
i64 truncated(Size size, i32 v) {
  return size == Size::k8 ? static_cast<i8>(v) : size == Size::k16 ? static_cast<i16>(v) : v;
}
Want RM(const Rm& rm, Size size) { return rm.is_mem() ? M(rm.mem, size) : R(rm.reg, size); }

class AsmTest : public ::testing::Test {
 protected:
  AsmTest() : arena_(kArenaBytes), code_(&arena_), as_(&arena_, &code_) {
    ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisFormatterInit(&formatter_, ZYDIS_FORMATTER_STYLE_INTEL);
  }

  // Decodes the instruction that `emit` appends.
  template <class Emit>
  void check(ZydisMnemonic mnemonic, std::initializer_list<Want> wants, Emit emit) {
    checked_++;
    code_.bytes.clear();
    emit(as_);
    ASSERT_FALSE(as_.out_of_memory());
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ASSERT_TRUE(ZYAN_SUCCESS(
        ZydisDecoderDecodeFull(&decoder_, code_.bytes.data(), code_.bytes.size(), &insn, ops)))
        << bytes();
    ASSERT_EQ(insn.length, code_.bytes.size()) << text(insn, ops);
    ASSERT_EQ(insn.mnemonic, mnemonic) << text(insn, ops);
    ASSERT_EQ(insn.operand_count_visible, wants.size()) << text(insn, ops);
    u32 i = 0;
    for (const Want& want : wants) {
      ASSERT_TRUE(matches(want, ops[i])) << "operand " << i << ": " << text(insn, ops);
      i++;
    }
    last_ = insn;
  }

  static bool matches(const Want& want, const ZydisDecodedOperand& op) {
    switch (want.kind) {
      case Want::kReg:
        return op.type == ZYDIS_OPERAND_TYPE_REGISTER && op.reg.value == zreg(want.reg, want.bytes);
      case Want::kImm:
        return op.type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
               (op.imm.is_signed ? op.imm.value.s : static_cast<i64>(op.imm.value.u)) == want.imm;
      case Want::kMem: {
        const Mem& m = want.mem;
        auto reg = [](Reg r) { return r == kNoReg ? ZYDIS_REGISTER_NONE : zreg(r, 8); };
        return op.type == ZYDIS_OPERAND_TYPE_MEMORY && op.mem.base == reg(m.base) &&
               op.mem.index == reg(m.index) &&
               (m.index == kNoReg || op.mem.scale == 1 << m.scale) && op.mem.disp.value == m.disp &&
               (op.mem.segment == ZYDIS_REGISTER_GS) == m.gs &&
               (want.bytes == 0 || op.size == want.bytes * 8);
      }
    }
    return false;
  }

  std::string bytes() const {
    std::string out;
    char buf[4];
    for (u8 b : code_.bytes) {
      snprintf(buf, sizeof(buf), "%02x ", b);
      out += buf;
    }
    return out;
  }
  std::string text(const ZydisDecodedInstruction& insn, const ZydisDecodedOperand* ops) const {
    char buf[128];
    ZydisFormatterFormatInstruction(&formatter_, &insn, ops, insn.operand_count_visible, buf,
                                    sizeof(buf), 0, nullptr);
    return std::string(buf) + " <- " + bytes();
  }

  // Every register pair, every register with every address form.
  template <class F>
  void for_reg_rm(F&& f) {
    for (Reg a : all_regs())
      for (Reg b : all_regs()) f(a, Rm(b));
    for (Reg a : {kRax, kRsp, kRsi, kR8, kR15})
      for (const Mem& m : all_mems()) f(a, Rm(m));
  }
  template <class F>
  void for_rm(F&& f) {
    for (Reg a : all_regs()) f(Rm(a));
    for (const Mem& m : all_mems()) f(Rm(m));
  }

  Arena arena_;
  CodeBuilder code_;
  Assembler as_;
  ZydisDecoder decoder_;
  ZydisFormatter formatter_;
  ZydisDecodedInstruction last_{};
  u32 checked_ = 0;
};

constexpr Size kSizes[] = {Size::k8, Size::k16, Size::k32, Size::k64};
constexpr Size kWide[] = {Size::k32, Size::k64};
constexpr i32 kImms[] = {0, 1, -1, 127, -128, 128, -129, 0x7fffffff, static_cast<i32>(0x80000000)};

constexpr ZydisMnemonic kCmovs[] = {
    ZYDIS_MNEMONIC_CMOVO, ZYDIS_MNEMONIC_CMOVNO, ZYDIS_MNEMONIC_CMOVB,  ZYDIS_MNEMONIC_CMOVNB,
    ZYDIS_MNEMONIC_CMOVZ, ZYDIS_MNEMONIC_CMOVNZ, ZYDIS_MNEMONIC_CMOVBE, ZYDIS_MNEMONIC_CMOVNBE,
    ZYDIS_MNEMONIC_CMOVS, ZYDIS_MNEMONIC_CMOVNS, ZYDIS_MNEMONIC_CMOVP,  ZYDIS_MNEMONIC_CMOVNP,
    ZYDIS_MNEMONIC_CMOVL, ZYDIS_MNEMONIC_CMOVNL, ZYDIS_MNEMONIC_CMOVLE, ZYDIS_MNEMONIC_CMOVNLE};
constexpr ZydisMnemonic kSets[] = {
    ZYDIS_MNEMONIC_SETO, ZYDIS_MNEMONIC_SETNO, ZYDIS_MNEMONIC_SETB,  ZYDIS_MNEMONIC_SETNB,
    ZYDIS_MNEMONIC_SETZ, ZYDIS_MNEMONIC_SETNZ, ZYDIS_MNEMONIC_SETBE, ZYDIS_MNEMONIC_SETNBE,
    ZYDIS_MNEMONIC_SETS, ZYDIS_MNEMONIC_SETNS, ZYDIS_MNEMONIC_SETP,  ZYDIS_MNEMONIC_SETNP,
    ZYDIS_MNEMONIC_SETL, ZYDIS_MNEMONIC_SETNL, ZYDIS_MNEMONIC_SETLE, ZYDIS_MNEMONIC_SETNLE};
constexpr ZydisMnemonic kJccs[] = {
    ZYDIS_MNEMONIC_JO, ZYDIS_MNEMONIC_JNO, ZYDIS_MNEMONIC_JB,  ZYDIS_MNEMONIC_JNB,
    ZYDIS_MNEMONIC_JZ, ZYDIS_MNEMONIC_JNZ, ZYDIS_MNEMONIC_JBE, ZYDIS_MNEMONIC_JNBE,
    ZYDIS_MNEMONIC_JS, ZYDIS_MNEMONIC_JNS, ZYDIS_MNEMONIC_JP,  ZYDIS_MNEMONIC_JNP,
    ZYDIS_MNEMONIC_JL, ZYDIS_MNEMONIC_JNL, ZYDIS_MNEMONIC_JLE, ZYDIS_MNEMONIC_JNLE};
constexpr ZydisMnemonic kAlus[] = {ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_OR,  ZYDIS_MNEMONIC_ADC,
                                   ZYDIS_MNEMONIC_SBB, ZYDIS_MNEMONIC_AND, ZYDIS_MNEMONIC_SUB,
                                   ZYDIS_MNEMONIC_XOR, ZYDIS_MNEMONIC_CMP};

TEST_F(AsmTest, Moves) {
  for (Size size : kWide)
    for_reg_rm([&](Reg r, const Rm& rm) {
      check(ZYDIS_MNEMONIC_MOV, {R(r, size), RM(rm, size)},
            [&](Assembler& a) { a.mov(size, r, rm); });
      if (rm.is_mem() ||
          (r != kRax && rm.reg != kRax))  // xchg rax, r has a form of its own in text
        check(ZYDIS_MNEMONIC_XCHG, {RM(rm, size), R(r, size)},
              [&](Assembler& a) { a.xchg(size, r, rm); });
    });
  for (int cc = 0; cc < 16; cc++) {
    for (Reg r : all_regs()) {
      check(kSets[cc], {R(r, 1)}, [&](Assembler& a) { a.setcc(static_cast<Cc>(cc), r); });
      for (Size size : kWide)
        check(kCmovs[cc], {R(r, size), R(kR9, size)},
              [&](Assembler& a) { a.cmov(static_cast<Cc>(cc), size, r, kR9); });
    }
    for (const Mem& m : all_mems())
      check(kCmovs[cc], {R(kR12, 8), M(m, 8)},
            [&](Assembler& a) { a.cmov(static_cast<Cc>(cc), Size::k64, kR12, m); });
  }
  for (Size size : kSizes) {
    for (Reg r : all_regs())
      for (const Mem& m : all_mems())
        check(ZYDIS_MNEMONIC_MOV, {M(m, size), R(r, size)},
              [&](Assembler& a) { a.mov_store(size, m, r); });
    for (const Mem& m : all_mems())
      for (i32 imm : kImms)
        check(ZYDIS_MNEMONIC_MOV, {M(m, size), I(truncated(size, imm))},
              [&](Assembler& a) { a.mov_store_imm(size, m, imm); });
  }
  for (Reg r : all_regs()) {
    check(ZYDIS_MNEMONIC_PUSH, {R(r, 8)}, [&](Assembler& a) { a.push(r); });
    check(ZYDIS_MNEMONIC_POP, {R(r, 8)}, [&](Assembler& a) { a.pop(r); });
    check(ZYDIS_MNEMONIC_XOR, {R(r, 4), R(r, 4)}, [&](Assembler& a) { a.zero(r); });
    for (u64 v : {u64{0}, u64{1}, u64{0x7fffffff}, u64{0x80000000}, u64{0xffffffff}})
      check(ZYDIS_MNEMONIC_MOV, {R(r, 4), I(static_cast<i32>(v))},
            [&](Assembler& a) { a.mov_imm(r, v); });
    for (u64 v : {~u64{0}, u64{0xffffffff80000000}, u64{0x100000000}, u64{0x123456789abcdef0}})
      check(ZYDIS_MNEMONIC_MOV, {R(r, 8), I(static_cast<i64>(v))},
            [&](Assembler& a) { a.mov_imm(r, v); });
    for (const Mem& m : all_mems()) {
      check(ZYDIS_MNEMONIC_LEA, {R(r, 8), M({m.base, m.index, m.scale, false, m.disp}, 0)},
            [&](Assembler& a) {
              a.lea(Size::k64, r, {m.base, m.index, m.scale, false, m.disp});
            });
      check(ZYDIS_MNEMONIC_LEA, {R(r, 4), M({m.base, m.index, m.scale, false, m.disp}, 0)},
            [&](Assembler& a) {
              a.lea(Size::k32, r, {m.base, m.index, m.scale, false, m.disp});
            });
    }
  }
  for (const Mem& m : all_mems()) {
    check(ZYDIS_MNEMONIC_PUSH, {M(m, 8)}, [&](Assembler& a) { a.push(m); });
    check(ZYDIS_MNEMONIC_POP, {M(m, 8)}, [&](Assembler& a) { a.pop(m); });
  }
}

TEST_F(AsmTest, Extensions) {
  for (Size size : kWide)
    for_reg_rm([&](Reg r, const Rm& rm) {
      auto src = [&](u32 bytes) { return rm.is_mem() ? M(rm.mem, bytes) : R(rm.reg, bytes); };
      check(ZYDIS_MNEMONIC_MOVZX, {R(r, 4), src(1)},
            [&](Assembler& a) { a.extend(Extend::k8U, size, r, rm); });
      check(ZYDIS_MNEMONIC_MOVZX, {R(r, 4), src(2)},
            [&](Assembler& a) { a.extend(Extend::k16U, size, r, rm); });
      check(ZYDIS_MNEMONIC_MOV, {R(r, 4), src(4)},
            [&](Assembler& a) { a.extend(Extend::k32U, size, r, rm); });
      check(ZYDIS_MNEMONIC_MOVSX, {R(r, size), src(1)},
            [&](Assembler& a) { a.extend(Extend::k8S, size, r, rm); });
      check(ZYDIS_MNEMONIC_MOVSX, {R(r, size), src(2)},
            [&](Assembler& a) { a.extend(Extend::k16S, size, r, rm); });
      check(size == Size::k64 ? ZYDIS_MNEMONIC_MOVSXD : ZYDIS_MNEMONIC_MOV, {R(r, size), src(4)},
            [&](Assembler& a) { a.extend(Extend::k32S, size, r, rm); });
    });
}

TEST_F(AsmTest, Alu) {
  for (int i = 0; i < 8; i++) {
    Alu op = static_cast<Alu>(i);
    for (Size size : kSizes) {
      for_reg_rm([&](Reg r, const Rm& rm) {
        check(kAlus[i], {R(r, size), RM(rm, size)}, [&](Assembler& a) { a.alu(op, size, r, rm); });
        if (rm.is_mem())
          check(kAlus[i], {RM(rm, size), R(r, size)},
                [&](Assembler& a) { a.alu_store(op, size, rm.mem, r); });
      });
      for_rm([&](const Rm& rm) {
        for (i32 imm : kImms) {
          ZydisMnemonic mnemonic = kAlus[i];
          i64 value = truncated(size, imm);
          if (imm == 128 && size != Size::k8 && (op == Alu::kAdd || op == Alu::kSub)) {
            mnemonic = op == Alu::kAdd ? ZYDIS_MNEMONIC_SUB : ZYDIS_MNEMONIC_ADD;
            value = -128;
          }
          check(mnemonic, {RM(rm, size), I(value)},
                [&](Assembler& a) { a.alu_imm(op, size, rm, imm); });
        }
      });
      if (op != Alu::kCmp)
        for (const Mem& m : all_mems()) {
          i32 imm = size == Size::k8 ? 100 : 1000;
          check(kAlus[i], {M(m, size), R(kR13, size)},
                [&](Assembler& a) { a.lock_alu_store(op, size, m, kR13); });
          ASSERT_TRUE(last_.attributes & ZYDIS_ATTRIB_HAS_LOCK);
          check(kAlus[i], {M(m, size), I(imm)},
                [&](Assembler& a) { a.lock_alu_imm(op, size, m, imm); });
          ASSERT_TRUE(last_.attributes & ZYDIS_ATTRIB_HAS_LOCK);
        }
    }
  }
  for (Size size : kSizes)
    for_reg_rm([&](Reg r, const Rm& rm) {
      check(ZYDIS_MNEMONIC_TEST, {RM(rm, size), R(r, size)},
            [&](Assembler& a) { a.test(size, rm, r); });
      check(ZYDIS_MNEMONIC_TEST, {RM(rm, size), I(0x21)},
            [&](Assembler& a) { a.test_imm(size, rm, 0x21); });
    });
  for (const Mem& m : all_mems())
    check(ZYDIS_MNEMONIC_BTS, {M(m, 4), I(5)}, [&](Assembler& a) { a.bit_test_set(m, 5); });
}

TEST_F(AsmTest, MultiplyDivideShift) {
  for (Size size : kWide) {
    for_reg_rm([&](Reg r, const Rm& rm) {
      check(ZYDIS_MNEMONIC_IMUL, {R(r, size), RM(rm, size)},
            [&](Assembler& a) { a.imul(size, r, rm); });
      for (i32 imm : {7, -128, 1000})
        check(ZYDIS_MNEMONIC_IMUL, {R(r, size), RM(rm, size), I(imm)},
              [&](Assembler& a) { a.imul_imm(size, r, rm, imm); });
      const struct {
        Scan op;
        ZydisMnemonic mnemonic;
      } kScans[] = {{Scan::kBsf, ZYDIS_MNEMONIC_BSF},
                    {Scan::kBsr, ZYDIS_MNEMONIC_BSR},
                    {Scan::kTzcnt, ZYDIS_MNEMONIC_TZCNT},
                    {Scan::kLzcnt, ZYDIS_MNEMONIC_LZCNT},
                    {Scan::kPopcnt, ZYDIS_MNEMONIC_POPCNT}};
      for (const auto& scan : kScans)
        check(scan.mnemonic, {R(r, size), RM(rm, size)},
              [&](Assembler& a) { a.scan(scan.op, size, r, rm); });
      const struct {
        Shift op;
        ZydisMnemonic mnemonic;
      } kShiftX[] = {{Shift::kShl, ZYDIS_MNEMONIC_SHLX},
                     {Shift::kShr, ZYDIS_MNEMONIC_SHRX},
                     {Shift::kSar, ZYDIS_MNEMONIC_SARX}};
      for (const auto& shift : kShiftX)
        for (Reg count : {kRax, kR9, kR15})
          check(shift.mnemonic, {R(r, size), RM(rm, size), R(count, size)},
                [&](Assembler& a) { a.shiftx(shift.op, size, r, rm, count); });
      check(ZYDIS_MNEMONIC_RORX, {R(r, size), RM(rm, size), I(13)},
            [&](Assembler& a) { a.rorx(size, r, rm, 13); });
      for (Reg lo : {kRcx, kR8})
        check(ZYDIS_MNEMONIC_MULX, {R(r, size), R(lo, size), RM(rm, size)},
              [&](Assembler& a) { a.mulx(size, r, lo, rm); });
      for (Reg inverted : {kRdi, kR14})
        check(ZYDIS_MNEMONIC_ANDN, {R(r, size), R(inverted, size), RM(rm, size)},
              [&](Assembler& a) { a.andn(size, r, inverted, rm); });
    });
    for_rm([&](const Rm& rm) {
      const struct {
        Unary op;
        ZydisMnemonic mnemonic;
      } kUnaries[] = {{Unary::kNot, ZYDIS_MNEMONIC_NOT}, {Unary::kNeg, ZYDIS_MNEMONIC_NEG},
                      {Unary::kMul, ZYDIS_MNEMONIC_MUL}, {Unary::kImul, ZYDIS_MNEMONIC_IMUL},
                      {Unary::kDiv, ZYDIS_MNEMONIC_DIV}, {Unary::kIdiv, ZYDIS_MNEMONIC_IDIV}};
      for (const auto& unary : kUnaries)
        check(unary.mnemonic, {RM(rm, size)}, [&](Assembler& a) { a.unary(unary.op, size, rm); });
    });
    for (Reg r : all_regs())
      check(ZYDIS_MNEMONIC_BSWAP, {R(r, size)}, [&](Assembler& a) { a.bswap(size, r); });
  }
  const struct {
    Shift op;
    ZydisMnemonic mnemonic;
  } kShifts[] = {{Shift::kRol, ZYDIS_MNEMONIC_ROL},
                 {Shift::kRor, ZYDIS_MNEMONIC_ROR},
                 {Shift::kShl, ZYDIS_MNEMONIC_SHL},
                 {Shift::kShr, ZYDIS_MNEMONIC_SHR},
                 {Shift::kSar, ZYDIS_MNEMONIC_SAR}};
  for (Size size : {Size::k16, Size::k32, Size::k64})
    for_rm([&](const Rm& rm) {
      for (const auto& shift : kShifts) {
        for (u8 count : {1, 2, 31})
          check(shift.mnemonic, {RM(rm, size), I(count)},
                [&](Assembler& a) { a.shift_imm(shift.op, size, rm, count); });
        check(shift.mnemonic, {RM(rm, size), R(kRcx, 1)},
              [&](Assembler& a) { a.shift_cl(shift.op, size, rm); });
      }
    });
  for (Size size : kSizes)
    for (const Mem& m : all_mems())
      for (Reg r : {kRax, kRsi, kR10}) {
        check(ZYDIS_MNEMONIC_XCHG, {M(m, size), R(r, size)},
              [&](Assembler& a) { a.xchg(size, r, m); });
        check(ZYDIS_MNEMONIC_XADD, {M(m, size), R(r, size)},
              [&](Assembler& a) { a.lock_xadd(size, m, r); });
        ASSERT_TRUE(last_.attributes & ZYDIS_ATTRIB_HAS_LOCK);
        check(ZYDIS_MNEMONIC_CMPXCHG, {M(m, size), R(r, size)},
              [&](Assembler& a) { a.lock_cmpxchg(size, m, r); });
        ASSERT_TRUE(last_.attributes & ZYDIS_ATTRIB_HAS_LOCK);
      }
  check(ZYDIS_MNEMONIC_MFENCE, {}, [](Assembler& a) { a.mfence(); });
  for (Size size : {Size::k16, Size::k32, Size::k64})
    for (const Mem& m : all_mems()) {
      check(ZYDIS_MNEMONIC_MOVBE, {R(kR10, size), M(m, size)},
            [&](Assembler& a) { a.movbe_load(size, kR10, m); });
      check(ZYDIS_MNEMONIC_MOVBE, {M(m, size), R(kRsi, size)},
            [&](Assembler& a) { a.movbe_store(size, m, kRsi); });
    }
  check(ZYDIS_MNEMONIC_CDQ, {}, [](Assembler& a) { a.sign_extend_rax(Size::k32); });
  check(ZYDIS_MNEMONIC_CQO, {}, [](Assembler& a) { a.sign_extend_rax(Size::k64); });
}

TEST_F(AsmTest, Control) {
  for_rm([&](const Rm& rm) {
    check(ZYDIS_MNEMONIC_JMP, {RM(rm, Size::k64)}, [&](Assembler& a) { a.jmp(rm); });
    check(ZYDIS_MNEMONIC_CALL, {RM(rm, Size::k64)}, [&](Assembler& a) { a.call(rm); });
  });
  check(ZYDIS_MNEMONIC_RET, {}, [](Assembler& a) { a.ret(); });
  check(ZYDIS_MNEMONIC_INT3, {}, [](Assembler& a) { a.int3(); });
  check(ZYDIS_MNEMONIC_UD2, {}, [](Assembler& a) { a.ud2(); });
  check(ZYDIS_MNEMONIC_ENDBR64, {}, [](Assembler& a) { a.endbr64(); });
  check(ZYDIS_MNEMONIC_MOVSQ, {}, [](Assembler& a) { a.rep_movsq(); });
  ASSERT_TRUE(last_.attributes & ZYDIS_ATTRIB_HAS_REP);
}

TEST_F(AsmTest, Relocations) {
  as_.call_function(7);
  as_.jmp_stub(StubId::kFuel);
  as_.call_address(0x1234);
  as_.lea_rodata(kR9, 24);
  as_.load_rodata(Size::k32, kRbp, 32);
  Diag diag;
  ASSERT_EQ(as_.finish(&diag), Err::kOk);
  ASSERT_EQ(code_.relocs.size(), 5u);
  EXPECT_EQ(code_.relocs[0].kind, RelocKind::kFunction);
  EXPECT_EQ(code_.relocs[0].index, 7u);
  EXPECT_EQ(code_.relocs[1].kind, RelocKind::kStub);
  EXPECT_EQ(code_.relocs[2].address, 0x1234u);
  const u32 ats[] = {1, 6, 11, 18, 25};
  for (int i = 0; i < 5; i++) EXPECT_EQ(code_.relocs[i].at, ats[i]);
  EXPECT_EQ(code_.bytes.size(), 29u);
}

// Random jumps over random gaps: every displacement must lead to its label, and no jump may be
// longer than needed once the passes have settled (allowing the few that a further pass would
// find).
TEST_F(AsmTest, Relaxation) {
  for (u32 seed = 1; seed <= 60; seed++) {
    Arena arena(kArenaBytes);
    CodeBuilder code(&arena);
    Assembler as(&arena, &code);
    u32 state = seed * 2654435761u;
    auto next = [&](u32 bound) {
      state = state * 1664525 + 1013904223;
      return (state >> 8) % bound;
    };
    constexpr u32 kJumps = 300;
    std::vector<Label> labels, sites;
    std::vector<std::pair<Label, Label>> jumps;  // where, whereto
    std::vector<bool> bound(kJumps);
    for (u32 i = 0; i < kJumps; i++) labels.push_back(as.new_label());
    u32 spread = 1 + next(30);
    for (u32 i = 0; i < kJumps; i++) {
      as.bind(labels[i]);
      u32 target = min(kJumps - 1,
                       i + next(2 * spread) > spread ? i + next(spread) : i - min(i, next(spread)));
      Label at = as.here();
      jumps.push_back({at, labels[target]});
      if (next(2))
        as.jmp(labels[target]);
      else
        as.jcc(static_cast<Cc>(next(16)), labels[target]);
      for (u32 pad = next(12); pad; pad--) as.data8(0x90);
      sites.push_back(as.here());
      as.trap_site(i, i, TrapReason::kUnreachable);
    }
    Diag diag;
    ASSERT_EQ(as.finish(&diag), Err::kOk);
    u32 loose = 0;
    for (auto [at, to] : jumps) {
      ZydisDecodedInstruction insn;
      ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
      u32 offset = as.offset_of(at);
      ASSERT_TRUE(ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder_, code.bytes.data() + offset,
                                                      code.bytes.size() - offset, &insn, ops)));
      i64 distance = ops[0].imm.value.s;
      ASSERT_EQ(offset + insn.length + distance, as.offset_of(to)) << "seed " << seed;
      if (insn.length > 2 && fits_i8(distance)) loose++;
    }
    EXPECT_LE(loose, kJumps / 20) << "seed " << seed;
    for (u32 i = 0; i < kJumps; i++) ASSERT_EQ(code.traps[i].pc, as.offset_of(sites[i]));
  }
}

// Loops at random places, with jumps that shrink before and in them: each lies in as few lines of 64 bytes as
// it can, what is in front of it is nops, and jumps over the padding arrive.
TEST_F(AsmTest, LoopsAreKeptTogether) {
  constexpr u32 kLine = 64;
  for (u32 seed = 1; seed <= 200; seed++) {
    Arena arena(kArenaBytes);
    CodeBuilder code(&arena);
    Assembler as(&arena, &code);
    u32 state = seed * 2654435761u;
    auto next = [&](u32 bound) {
      state = state * 1664525 + 1013904223;
      return (state >> 8) % bound;
    };
    std::vector<std::pair<Label, Label>> loops;
    std::vector<Label> before;
    Label out = as.new_label();
    for (u32 i = 0; i < 12; i++) {
      for (u32 bytes = next(50); bytes; bytes--) as.data8(0xf8);
      as.jcc(kCcE, out);
      before.push_back(as.here());
      Label end = as.new_label(), inside = as.new_label();
      as.keep_together(end);
      Label begin = as.here();
      as.jcc(kCcB, inside);
      for (u32 bytes = next(120); bytes; bytes--) as.data8(0xf8);
      as.bind(inside);
      as.jmp(begin);
      as.bind(end);
      loops.push_back({begin, end});
    }
    as.bind(out);
    Diag diag;
    ASSERT_EQ(as.finish(&diag), Err::kOk);
    for (u32 i = 0; i < loops.size(); i++) {
      u32 begin = as.offset_of(loops[i].first), end = as.offset_of(loops[i].second);
      u32 lines = (end - 1) / kLine - begin / kLine + 1;
      EXPECT_EQ(lines, (end - begin + kLine - 1) / kLine) << "seed " << seed;
      u32 at = as.offset_of(before[i]);
      EXPECT_LT(begin - at, end - begin) << "seed " << seed;
      while (at < begin) {
        ZydisDecodedInstruction insn;
        ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
        ASSERT_TRUE(ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder_, code.bytes.data() + at, begin - at, &insn, ops)));
        ASSERT_EQ(insn.mnemonic, ZYDIS_MNEMONIC_NOP);
        at += insn.length;
      }
      // The jump back, of either length, arrives.
      const u8* bytes = code.bytes.data();
      bool is_short = bytes[end - 2] == 0xeb && end - begin <= 128;
      i32 distance = static_cast<i8>(bytes[end - 1]);
      if (!is_short) memcpy(&distance, bytes + end - 4, 4);
      EXPECT_EQ(end + static_cast<u32>(distance), begin) << "seed " << seed;
    }
  }
}

TEST_F(AsmTest, LabelsInDataAndLea) {
  Label table = as_.new_label(), far = as_.new_label(), base = as_.here();
  as_.lea_label(kR11, table);
  as_.jmp(far);
  as_.bind(table);
  as_.data_distance(base, far);
  as_.bind(far);
  as_.ret();
  Diag diag;
  ASSERT_EQ(as_.finish(&diag), Err::kOk);
  // lea (7), jmp short (2), distance (4), ret
  ASSERT_EQ(code_.bytes.size(), 14u) << bytes();
  EXPECT_EQ(code_.bytes[3], 2);  // over the jump
  EXPECT_EQ(code_.bytes[8], 4);  // over the table
  EXPECT_EQ(code_.bytes[9], 13);
}

TEST_F(AsmTest, OutOfMemoryIsReported) {
  Arena small(20'000);
  CodeBuilder code(&small);
  Assembler as(&small, &code);
  Label label = as.here();
  for (int i = 0; i < 10'000; i++) {
    as.jmp(label);
    as.trap_site(0, 0, TrapReason::kUnreachable);
  }
  Diag diag;
  EXPECT_EQ(as.finish(&diag), Err::kNoMemory);
}

}  // namespace
}  // namespace wring::x64
