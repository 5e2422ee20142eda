// SPDX-License-Identifier: GPL-2.0
// LirBuilder: hand-made LIR for tests, over the register file of x86-64.
#pragma once

#include <cstdlib>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/regalloc/allocate.h"

namespace wring::ra::testing {

enum : PReg {
  kRax,
  kRcx,
  kRdx,
  kRbx,
  kRsp,
  kRbp,
  kRsi,
  kRdi,
  kR8,
  kR9,
  kR10,
  kR11,
  kR12,
  kR13,
  kR14,
  kR15,
  kXmm0,
  kXmm15 = 31
};

inline constexpr PReg kIntRegs[] = {kRax, kRcx, kRdx, kRsi, kRdi, kR8, kR9, kR10, kRbx, kRbp, kR12};
inline constexpr PReg kVecRegs[] = {16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30};
constexpr RegMask kCalleeSaved = bit(kRbx) | bit(kRbp) | bit(kR12);
constexpr RegMask kCallClobbers = 0xffff0000 | bit(kRax) | bit(kRcx) | bit(kRdx) | bit(kRsi) |
                                  bit(kRdi) | bit(kR8) | bit(kR9) | bit(kR10) | bit(kR11);

inline RegEnv x64_env(bool scratch = false) {
  RegEnv env = {Span<const PReg>(kIntRegs), Span<const PReg>(kVecRegs), kCalleeSaved};
  if (scratch) env.scratch[0] = kR11, env.scratch[1] = kXmm15;
  return env;
}

// Operands.
inline Operand use(VReg v) { return {v, OperandKind::kUse, Constraint::kReg, 0, false}; }
inline Operand use_any(VReg v) { return {v, OperandKind::kUse, Constraint::kAny, 0, false}; }
inline Operand use_fixed(VReg v, PReg r) {
  return {v, OperandKind::kUse, Constraint::kFixed, r, false};
}
inline Operand def(VReg v) { return {v, OperandKind::kDef, Constraint::kReg, 0, false}; }
inline Operand def_any(VReg v) { return {v, OperandKind::kDef, Constraint::kAny, 0, false}; }
inline Operand def_fixed(VReg v, PReg r) {
  return {v, OperandKind::kDef, Constraint::kFixed, r, false};
}
inline Operand def_reuse(VReg v, PReg use_index) {
  return {v, OperandKind::kDef, Constraint::kReuse, use_index, false};
}
inline Operand other(Operand op) {  // a late use or an early def
  op.other = true;
  return op;
}

constexpr u16 kOpPlain = 1, kOpConst = 2, kOpCall = 3, kOpBranch = 4, kOpReturn = 5;

class LirBuilder {
 public:
  LirBuilder() : arena_(kMaxCompileBytes), f_(&arena_) {}

  VReg vreg(RegClass cls = RegClass::kInt, u8 bytes = 8) {
    check(f_.vregs.push({cls, bytes, kNone}));
    return f_.vregs.size() - 1;
  }
  VReg vec(u8 bytes = 16) { return vreg(RegClass::kVec, bytes); }
  // Starts a block; blocks are laid out in the order of these calls.
  BlockIndex block(std::vector<VReg> params = {}) {
    LirBlock block = {};
    block.begin = block.end = f_.insts.size();
    block.params = copy(params);
    block.loop_header = kNone;
    check(f_.blocks.push(block));
    successors_.emplace_back();
    return f_.blocks.size() - 1;
  }
  u32 inst(std::initializer_list<Operand> operands, RegMask clobbers = 0, u16 op = kOpPlain) {
    return inst(std::vector<Operand>(operands), clobbers, op);
  }
  u32 inst(const std::vector<Operand>& operands, RegMask clobbers = 0, u16 op = kOpPlain) {
    LirInst inst = {};
    inst.op = op;
    inst.operand_count = static_cast<u8>(operands.size());
    inst.is_call = op == kOpCall;
    inst.operands = f_.operands.size();
    inst.clobbers = clobbers;
    for (const Operand& operand : operands) check(f_.operands.push(operand));
    check(f_.insts.push(inst));
    f_.blocks.back().end = f_.insts.size();
    return f_.insts.size() - 1;
  }
  u32 call(std::vector<Operand> operands) {
    RegMask clobbers = kCallClobbers;
    for (const Operand& op : operands)
      if (op.kind == OperandKind::kDef) clobbers &= ~bit(op.reg);
    return inst(operands, clobbers, kOpCall);
  }
  VReg constant() {
    VReg v = vreg();
    f_.vregs[v].remat = inst({def(v)}, 0, kOpConst);
    return v;
  }
  VReg value() {
    VReg v = vreg();
    inst({def(v)});
    return v;
  }
  void jump(BlockIndex to, std::vector<VReg> args = {}) {
    inst(std::vector<Operand>(), 0, kOpBranch);
    f_.blocks.back().args = copy(args);
    successors_.back() = {to};
  }
  void branch(std::initializer_list<Operand> operands, std::vector<BlockIndex> to) {
    inst(operands, 0, kOpBranch);
    successors_.back() = to;
  }
  void ret(std::initializer_list<Operand> operands) { inst(operands, 0, kOpReturn); }

  // Marks [header, end) as a loop; inner loops after outer ones.
  void loop(BlockIndex header, BlockIndex end) {
    f_.blocks[header].loop_end = end;
    for (BlockIndex b = header; b < end; b++) in_loop(b, header);
  }
  void in_loop(BlockIndex b, BlockIndex header) {
    f_.blocks[b].loop_header = header;
    f_.blocks[b].loop_depth++;
  }
  void cold(BlockIndex b) { f_.blocks[b].is_cold = true; }

  // For code that lays out blocks after making their instructions.
  void reset_blocks() {
    f_.blocks.clear();
    successors_.clear();
  }
  void append(const LirInst& inst) {
    check(f_.insts.push(inst));
    f_.blocks.back().end = f_.insts.size();
  }
  void edges(const std::vector<BlockIndex>& succs, const std::vector<VReg>& args) {
    f_.blocks.back().args = copy(args);
    successors_.back() = succs;
  }

  // Completes the edges.
  LirFunction& finish() {
    std::vector<std::vector<BlockIndex>> preds(f_.blocks.size());
    for (BlockIndex b = 0; b < f_.blocks.size(); b++)
      for (BlockIndex succ : successors_[b]) preds[succ].push_back(b);
    for (BlockIndex b = 0; b < f_.blocks.size(); b++) {
      f_.blocks[b].succs = copy(successors_[b]);
      f_.blocks[b].preds = copy(preds[b]);
    }
    return f_;
  }
  LirFunction& function() { return f_; }

 private:
  static void check(bool ok) {
    if (!ok) abort();
  }
  Span<u32> copy(const std::vector<u32>& values) {
    Span<u32> span = arena_.make_array<u32>(values.size());
    for (u32 i = 0; i < span.size(); i++) span[i] = values[i];
    return span;
  }

  Arena arena_;
  LirFunction f_;
  std::vector<std::vector<BlockIndex>> successors_;
};

inline std::string name(Allocation a) {
  static const char* const kNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                       "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
  if (a.kind == Allocation::kSlot) return "[" + std::to_string(a.index) + "]";
  if (a.kind == Allocation::kNone) return "none";
  return a.index < 16 ? kNames[a.index] : "xmm" + std::to_string(a.index - 16);
}

// Text of an allocated function, for failing tests and for looking at the allocator's work.
inline std::string dump(const LirFunction& f, const AllocationResult& result) {
  std::string text;
  u32 e = 0;
  for (BlockIndex b = 0; b < f.blocks.size(); b++) {
    const LirBlock& block = f.blocks[b];
    text += "b" + std::to_string(b) + "(";
    for (VReg p : block.params) text += " v" + std::to_string(p);
    text += " ) depth " + std::to_string(block.loop_depth) + (block.is_cold ? " cold" : "") + "\n";
    for (u32 i = block.begin; i < block.end; i++) {
      for (; e < result.edits.size() && result.edits[e].inst == i; e++) {
        const Edit& edit = result.edits[e];
        const char* kind = edit.kind == Edit::kMove   ? "move"
                           : edit.kind == Edit::kSwap ? "swap"
                                                      : "remat";
        text +=
            std::string("        ") + kind + " " + name(edit.to) + " <- " + name(edit.from) + "\n";
      }
      text += "  " + std::to_string(i) + ": op" + std::to_string(f.insts[i].op);
      for (u32 k = 0; k < f.insts[i].operand_count; k++) {
        const Operand& op = f.operands_of(i)[k];
        const char* constraint = op.constraint == Constraint::kAny     ? "?"
                                 : op.constraint == Constraint::kFixed ? "="
                                 : op.constraint == Constraint::kReuse ? "^"
                                                                       : "";
        text += std::string(op.kind == OperandKind::kDef ? "  def v" : "  v") +
                std::to_string(op.vreg) + constraint + (op.other ? "!" : "") + ":" +
                name(result.operands[f.insts[i].operands + k]);
      }
      text += "\n";
    }
    text += "    ->";
    for (BlockIndex s : block.succs) text += " b" + std::to_string(s);
    for (VReg a : block.args) text += " v" + std::to_string(a);
    text += "\n";
  }
  return text;
}

}  // namespace wring::ra::testing
