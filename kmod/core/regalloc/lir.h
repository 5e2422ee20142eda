// SPDX-License-Identifier: GPL-2.0
// LIR: machine instructions over virtual registers, the interface between lowering, register allocation and
// emission. The allocator knows nothing of the opcodes: only operands, clobbers and the flags below.
#pragma once

#include "core/base/vector.h"

namespace wring::ra {

// Physical registers: 0-15 general purpose, 16-31 vector, numbered as the machine encodes them.
using PReg = u8;
constexpr PReg kNoPReg = 0xff;
using RegMask = u32;  // bit per PReg
constexpr RegMask bit(PReg reg) { return RegMask{1} << reg; }

enum class RegClass : u8 { kInt, kVec };

using VReg = u32;

struct VRegInfo {
  RegClass cls;
  u8 slot_bytes;  // 8 or 16: what a spill slot needs
  // If not kNone: the LIR instruction (a constant: no uses, one def, no effects) that recomputes the value
  // anywhere; such a value is never stored to a slot.
  u32 remat;
  // The upper half of the value's 64 bits is 0. Moves keep it so whatever they load: a processor that runs ahead of the
  // store to the slot finds there what has been there before.
  bool is_narrow = false;
  // Part of an address: not even speculatively may anything else be taken for it.
  bool is_address = false;
};

enum class OperandKind : u8 { kUse, kDef };

enum class Constraint : u8 {
  kAny,    // register or spill slot (the instruction can take a memory operand there)
  kReg,    // any register of the class
  kFixed,  // exactly Operand::reg
  kReuse,  // defs only: the register of use operand number Operand::reg (two-address form)
};

// When an operand is live: uses are read early, defs written late, unless the other is asked for. A late use
// conflicts with the instruction's defs; an early def (a temporary, or a result written before all inputs are
// read) conflicts with its uses. A temporary is an early def that nothing uses.
struct Operand {
  VReg vreg;
  OperandKind kind;
  Constraint constraint;
  PReg reg;    // kFixed: the register; kReuse: the operand's index
  bool other;  // late use / early def
};

struct LirInst {
  u16 op;  // the target's opcode (x64/insts.def)
  u8 operand_count;
  bool is_call;  // nothing may stay in a clobbered register across it (clobbers says which)
  u32 operands;  // index of the first in LirFunction::operands
  RegMask
      clobbers;  // registers written besides the defs; uses may sit in them, values live across may not
  u32 data;    // the target's: index of immediates, addressing mode, callee ... (target side table)
  u32 origin;  // Wasm byte offset
};

using BlockIndex = u32;

struct LirBlock {
  u32 begin;  // instructions [begin, end) of LirFunction::insts; the last is the terminator (is a branch)
  u32 end;
  // Block parameters (phis): VRegs defined at the start of the block.
  Span<VReg> params;
  Span<BlockIndex> preds;
  Span<BlockIndex> succs;
  // For each successor with parameters (then it is the only successor: critical edges are split, and a block
  // with several successors leads only to blocks without parameters): the values passed.
  Span<VReg> args;
  u32 loop_depth;
  BlockIndex
      loop_header;  // kNone outside loops; the innermost loop's header block, itself if a header
  u32 loop_end;     // headers: one past the last block of the loop (loops are contiguous), else 0
  bool is_cold;
};

// The predecessor that all edges come from, or kNone.
inline BlockIndex only_pred(const LirBlock& block) {
  if (block.preds.empty()) return kNone;
  for (u32 i = 1; i < block.preds.size(); i++, tick())
    if (block.preds[i] != block.preds[0]) return kNone;
  return block.preds[0];
}

// Blocks are in emission order, which is a reverse post-order with contiguous loops (each of whose blocks can get back
// to the header), cold blocks last.
// VRegs are in SSA form: one def each (an instruction's def, a block parameter).
struct LirFunction {
  explicit LirFunction(Arena* a) : arena(a), insts(a), operands(a), blocks(a), vregs(a) {}
  Arena* arena;
  Vec<LirInst> insts;
  Vec<Operand> operands;
  Vec<LirBlock> blocks;
  Vec<VRegInfo> vregs;

  Span<Operand> operands_of(u32 inst) const {
    return operands.span().slice(insts[inst].operands, insts[inst].operand_count);
  }
};

// The registers the allocator may use, in order of preference, and which of them calls preserve.
struct RegEnv {
  Span<const PReg> int_regs;
  Span<const PReg> vec_regs;
  RegMask
      callee_saved;  // using one costs a save and restore in the prologue: prefer others off call paths
  // Per class: a register that is never live between instructions, to break cycles of moves with (a move to it
  // and one from it; no move between slots comes in between), or kNoPReg: then with kSwap edits.
  PReg scratch[2] = {kNoPReg, kNoPReg};
};

}  // namespace wring::ra
