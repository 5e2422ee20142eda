// SPDX-License-Identifier: GPL-2.0
// The LIR verifier: see verify.h.
#include "core/regalloc/verify.h"

#include "core/base/limits.h"

namespace wring::ra {
namespace {

RegClass class_of(PReg reg) { return reg < 16 ? RegClass::kInt : RegClass::kVec; }

class Verifier {
 public:
  Verifier(const LirFunction& f, Diag* diag) : f_(f), diag_(diag), arena_(kMaxCompileBytes) {}
  Err run();

 private:
  Err expect(bool ok, u32 inst, const char* what) {
    if (ok) return Err::kOk;
    return diag_->fail(Err::kInvalid, kNone, inst < f_.insts.size() ? f_.insts[inst].origin : kNone,
                       "LIR: instruction %u: %s", inst, what);
  }
  Err define(VReg v, u32 inst);
  Err definitions();
  Err edges(BlockIndex b);
  Err instruction(u32 inst);
  Err fixed(u32 inst);
  Err reuse(u32 inst, const Operand& def, u32* reused);
  Err recomputed(VReg v);

  const LirFunction& f_;
  Diag* diag_;
  Arena arena_;
  Span<u8> defined_;  // by vreg
  Span<BlockIndex> only_pred_;
};

Err Verifier::define(VReg v, u32 inst) {
  TRY(expect(v < f_.vregs.size() && !defined_[v], inst, "a second definition"));
  defined_[v] = 1;
  const VRegInfo& info = f_.vregs[v];
  bool fits = info.slot_bytes == 8 || (info.slot_bytes == 16 && info.cls == RegClass::kVec);
  return expect(fits, inst, "a value of a strange width");
}

Err Verifier::definitions() {
  u32 at = 0;
  for (const LirBlock& block : paced(f_.blocks)) {
    TRY(expect(block.begin == at && block.begin < block.end && block.end <= f_.insts.size(), at,
               "not where its block begins"));
    at = block.end;
    for (VReg param : ticking(block.params)) TRY(define(param, block.begin));
    for (u32 i = block.begin; i < block.end; i++, tick())
      for (const Operand& op : f_.operands_of(i))
        if (op.kind == OperandKind::kDef) TRY(define(op.vreg, i));
  }
  return expect(at == f_.insts.size(), at, "in no block");
}

Err Verifier::edges(BlockIndex b) {
  const LirBlock& block = f_.blocks[b];
  u32 end = block.end - 1;
  bool one_way = block.succs.size() == 1 && f_.insts[end].operand_count == 0;
  for (BlockIndex s : ticking(block.succs)) {
    TRY(expect(s < f_.blocks.size(), end, "a successor out of range"));
    const LirBlock& succ = f_.blocks[s];
    TRY(expect(one_way || only_pred_[s] == b, end, "a critical edge"));
    TRY(expect(one_way || succ.params.empty(), end, "no place to pass arguments"));
    if (succ.params.empty()) continue;
    TRY(expect(block.args.size() == succ.params.size(), end, "arguments and parameters differ"));
    for (u32 i = 0; i < succ.params.size(); i++, tick()) {
      TRY(expect(block.args[i] < f_.vregs.size(), end, "an argument out of range"));
      const VRegInfo &from = f_.vregs[block.args[i]], &to = f_.vregs[succ.params[i]];
      TRY(expect(from.cls == to.cls && from.slot_bytes == to.slot_bytes, end,
                 "an argument of another kind"));
    }
  }
  // What is defined last could not be stored. (A temporary takes the place of nothing that is read.)
  for (const Operand& op : f_.operands_of(end))
    TRY(expect(op.kind != OperandKind::kDef || op.other, end, "a terminator with a result"));
  return Err::kOk;
}

Err Verifier::fixed(u32 inst) {
  VReg read[32];
  RegMask defs = 0, uses = 0;
  for (const Operand& op : f_.operands_of(inst)) {
    if (op.constraint != Constraint::kFixed) continue;
    TRY(expect(op.reg < 32 && class_of(op.reg) == f_.vregs[op.vreg].cls, inst,
               "a fixed register of another class"));
    RegMask* taken = op.kind == OperandKind::kDef ? &defs : &uses;
    bool again = (*taken & bit(op.reg)) != 0;
    if (op.kind == OperandKind::kUse) {
      again = again && read[op.reg] != op.vreg;
      read[op.reg] = op.vreg;
    }
    TRY(expect(!again, inst, "two values in one fixed register"));
    *taken |= bit(op.reg);
  }
  return Err::kOk;
}

// *reused: the operands that some result takes the place of.
Err Verifier::reuse(u32 inst, const Operand& def, u32* reused) {
  Span<Operand> operands = f_.operands_of(inst);
  TRY(expect(def.kind == OperandKind::kDef && def.reg < operands.size() && def.reg < 32 &&
                 operands[def.reg].kind == OperandKind::kUse,
             inst, "reuse of what is not read"));
  TRY(expect(f_.vregs[operands[def.reg].vreg].cls == f_.vregs[def.vreg].cls, inst,
             "reuse of another class"));
  TRY(expect(!(*reused >> def.reg & 1), inst, "reused twice"));
  *reused |= 1u << def.reg;
  return Err::kOk;
}

Err Verifier::instruction(u32 inst) {
  u32 reused = 0;
  for (const Operand& op : f_.operands_of(inst)) {
    TRY(expect(op.vreg < f_.vregs.size() && defined_[op.vreg], inst, "reads what is not defined"));
    if (op.constraint == Constraint::kReuse) TRY(reuse(inst, op, &reused));
  }
  return fixed(inst);
}

Err Verifier::recomputed(VReg v) {
  u32 inst = f_.vregs[v].remat;
  if (inst == kNone) return Err::kOk;
  TRY(expect(inst < f_.insts.size(), inst, "recomputes out of range"));
  bool is_only_def = f_.insts[inst].operand_count == 1 && f_.operands_of(inst)[0].vreg == v &&
                     f_.operands_of(inst)[0].kind == OperandKind::kDef;
  return expect(is_only_def && !f_.insts[inst].is_call && !f_.insts[inst].clobbers, inst,
                "recomputes more than a value");
}

Err Verifier::run() {
  u32 blocks = f_.blocks.size();
  defined_ = arena_.make_array<u8>(usize{f_.vregs.size()} + 1);
  only_pred_ = arena_.make_array<BlockIndex>(blocks);
  if (!defined_.data() || (blocks && !only_pred_.data())) return diag_->no_memory();
  for (BlockIndex b = 0; b < blocks; b++, tick()) only_pred_[b] = only_pred(f_.blocks[b]);
  TRY(definitions());
  for (BlockIndex b = 0; b < blocks; b++, tick()) TRY(edges(b));
  for (u32 i = 0; i < f_.insts.size(); i++, tick()) TRY(instruction(i));
  for (VReg v = 0; v < f_.vregs.size(); v++, tick()) TRY(recomputed(v));
  return Err::kOk;
}

}  // namespace

Err verify(const LirFunction& f, Diag* diag) { return Verifier(f, diag).run(); }

}  // namespace wring::ra
