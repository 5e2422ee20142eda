// SPDX-License-Identifier: GPL-2.0
// What running code costs, and who pays for it.
//
// The unit is about what a simple instruction takes. Each way round a loop is paid at its header, which is charged the
// dearest way from there to the next iteration. What follows a loop is no part of that: whoever enters the loop pays
// for what is done when it is left. So all that a call does is paid at headers, but for the dearest way through the
// rest of the function: callers count that as the price of the call, or the function pays it on entry.
#include "core/opt/passes.h"
#include "core/wasm/instr.h"

namespace wring::opt {

namespace {

// Costs. An access of memory may miss all caches, and even then a unit is not to take more than some 30 ns.
constexpr u32 kAccess = 4;
constexpr u32 kLockedAccess = 12;
constexpr u32 kDivide64 = 16;  // on processors that divide slowly
constexpr u32 kDivide32 = 8;
constexpr u32 kFloatStep = 2;
constexpr u32 kFloatDivide = 8;
constexpr u32 kSequence = 4;  // operations that take several instructions
constexpr u32 kCall = 4;
constexpr u32 kIndirectCall = 8;
constexpr u32 kHostCall = 32;

// What one function's ways may add up to.
constexpr u64 kMaxCost = 0x7fff'ffff;

u32 cost_of_vector(u16 opcode) {
  switch (static_cast<Opcode>(opcode)) {
    case Opcode::kF32x4Sqrt:
    case Opcode::kF32x4Div:
    case Opcode::kF64x2Sqrt:
    case Opcode::kF64x2Div: return 2 * kFloatDivide;
    default: return kSequence;
  }
}

u64 cost_of(const Function& f, Value v, const CallCosts& calls) {
  const Inst& inst = f.insts[v];
  switch (inst.op) {
    case Op::kParam:
    case Op::kConst:
    case Op::kVConst:
    case Op::kResult:
    case Op::kVmCtx:
    case Op::kMemBase:
    case Op::kZExtI32: return 0;
    case Op::kDivS:
    case Op::kDivU:
    case Op::kRemS:
    case Op::kRemU: return inst.type == Type::kI64 ? kDivide64 : kDivide32;
    case Op::kFDiv:
    case Op::kFSqrt: return kFloatDivide;
    case Op::kFMin:
    case Op::kFMax:
    case Op::kFCopysign:
    case Op::kTruncS:
    case Op::kTruncU:
    case Op::kTruncSatS:
    case Op::kTruncSatU:
    case Op::kConvertS:
    case Op::kConvertU: return kSequence;
    case Op::kV1:
    case Op::kV2:
    case Op::kV3: return cost_of_vector(inst.aux);
    case Op::kVShift:
    case Op::kVSplat:
    case Op::kVTest:
    case Op::kVExtract:
    case Op::kVReplace:
    case Op::kVShuffle: return kSequence;
    case Op::kLoad:
    case Op::kStore:
    case Op::kLoadLane:
    case Op::kStoreLane:
    case Op::kLoadMem:
    case Op::kStoreMem:
    case Op::kLoadLaneMem:
    case Op::kStoreLaneMem:
    case Op::kLoadRaw:
    case Op::kStoreRaw:
    case Op::kAddRaw:
    case Op::kAtomicLoad: return kAccess;
    case Op::kAtomicStore:
    case Op::kAtomicRmw:
    case Op::kAtomicCas:
    case Op::kAtomicAddRaw:
    case Op::kFence: return kLockedAccess;
    case Op::kCall:
    case Op::kTailCall: return kCall + calls.of_function(static_cast<u32>(inst.imm));
    case Op::kCallPtr:
    case Op::kTailCallPtr: return kIndirectCall + calls.of_type(static_cast<u32>(inst.imm));
    case Op::kCallHost: return kHostCall + calls.of_host(static_cast<u32>(inst.imm));
    case Op::kCallLib: return kHostCall;
    case Op::kSwitch: return kIndirectCall;
    default: return is_float(inst.op) || is_float_compare(inst.op) ? kFloatStep : 1;
  }
}

class Charging {
 public:
  Charging(Function* f, const CallCosts& calls) : f_(f), calls_(calls) {}

  Err run(Arena* scratch, Diag* diag) {
    u32 count = f_->blocks.size(), deepest = 0;
    for (const Block& block : paced(f_->blocks)) deepest = max(deepest, block.loop_depth);
    rest_ = scratch->make_array<u64>(count);
    leaving_ = scratch->make_array<u64>(count);
    outer_ = scratch->make_array<BlockId>(count);
    around_ = scratch->make_array<BlockId>(u64{deepest} + 1);
    if (rest_.size() != count || leaving_.size() != count || outer_.size() != count ||
        around_.size() != u64{deepest} + 1)
      return diag->no_memory();
    fill(around_, kNone);
    for (BlockId b = 0; b < count; b++, tick()) {
      rest_[b] = leaving_[b] = 0;
      const Block& block = f_->blocks[b];
      if (!block.is_loop_header) continue;
      around_[block.loop_depth] = b;
      outer_[b] = around_[block.loop_depth - 1];
    }
    fill(around_, kNone);
    for (BlockId b = count; b-- > 0; tick()) visit(b);
    f_->unpaid = entering(0);
    return Err::kOk;
  }

 private:
  // In descending order all that a block leads to is known, but for the next iteration, which pays itself.
  void visit(BlockId b) {
    const Block& block = f_->blocks[b];
    note_loops(block);
    u64 cost = 0, after = 0;
    for (Value v : paced(block.insts)) cost += cost_of(*f_, v, calls_);
    for (BlockId succ : ticking(block.succs)) {
      if (succ <= b) continue;
      u64 from_there = entering(succ);
      const Block& next = f_->blocks[succ];
      u32 common = next.is_loop_header ? next.loop_depth - 1 : next.loop_depth;
      u64* pays = &after;
      // Of the loops that this edge leaves, who enters the outermost one pays.
      if (block.loop_depth > common) pays = &leaving_[around_[common + 1]];
      *pays = max(*pays, from_there);
    }
    rest_[b] = min(cost + after, kMaxCost);
    if (!block.is_loop_header) return;
    for (Value v : paced(block.insts))
      if (f_->insts[v].op == Op::kFuel) f_->insts[v].imm = static_cast<i64>(max<u64>(rest_[b], 1));
  }

  // What whoever goes to a block from outside of its loops has to pay.
  u64 entering(BlockId b) const { return f_->blocks[b].is_loop_header ? leaving_[b] : rest_[b]; }

  // Blocks of a loop are numbered in a row, so each loop is noted once.
  void note_loops(const Block& block) {
    BlockId header = block.loop_header;
    for (u32 depth = block.loop_depth; depth > 0 && around_[depth] != header; depth--) {
      around_[depth] = header;
      header = outer_[header];
    }
  }

  Function* f_;
  const CallCosts& calls_;
  Span<u64> rest_;        // by block: the dearest way from its beginning on
  Span<u64> leaving_;     // by loop header: the dearest way on from where the loop is left
  Span<BlockId> outer_;   // by loop header: that of the loop around it
  Span<BlockId> around_;  // by depth: the header of the loop around the block at hand; kNone at 0
};

}  // namespace

Err charge(Function* f, const CallCosts& calls, Arena* scratch, Diag* diag) {
  return Charging(f, calls).run(scratch, diag);
}

}  // namespace wring::opt
