// SPDX-License-Identifier: GPL-2.0
// The IR: SSA over a control-flow graph, one Function per Wasm function, everything in one arena.
//
// A Value is the index of the instruction that makes it. Each block lists its instructions in order: phis
// first, exactly one terminator last. Passes rewrite the lists; dead instructions simply leave them.
#pragma once

#include "core/base/vector.h"
#include "core/wasm/module.h"

namespace wring::ir {

enum class Op : u8 {
#define OP(name, text, args, effects) k##name,
#include "core/ir/ops.def"
#undef OP
  kCount
};

// Effects and argument counts, from ops.def.
constexpr u8 kPure = 1, kReads = 2, kWrites = 4, kTraps = 8, kCalls = 16, kEnds = 32;
constexpr u8 kVariadic = 0xff;  // arguments in the pool
struct OpInfo {
  u8 effects;
  u8 arg_count;
};
extern const OpInfo kOpInfo[static_cast<u32>(Op::kCount)];
inline const OpInfo& info_of(Op op) {
  WRING_ASSERT(op < Op::kCount);
  return kOpInfo[static_cast<u32>(op)];
}
inline u8 effects_of(Op op) { return info_of(op).effects; }
inline u8 arg_count_of(Op op) { return info_of(op).arg_count; }

enum class Type : u8 { kVoid, kI32, kI64, kF32, kF64, kV128 };

// Width and extension of a memory access. A load yields the instruction's type; a store takes the low bits.
// Floats use k32U and k64. The kinds from k128 on are V128's, all but k128 loads only: k8x8S.. widen each lane of 8
// bytes, k8Splat.. repeat one value in all lanes, k32Zero.. clear the rest.
enum class MemKind : u8 {
  k8U,
  k8S,
  k16U,
  k16S,
  k32U,
  k32S,
  k64,
  k128,
  k8x8S,
  k8x8U,
  k16x4S,
  k16x4U,
  k32x2S,
  k32x2U,
  k8Splat,
  k16Splat,
  k32Splat,
  k64Splat,
  k32Zero,
  k64Zero
};
constexpr u32 bytes_of(MemKind kind) {
  switch (kind) {
    case MemKind::k8U:
    case MemKind::k8S:
    case MemKind::k8Splat: return 1;
    case MemKind::k16U:
    case MemKind::k16S:
    case MemKind::k16Splat: return 2;
    case MemKind::k32U:
    case MemKind::k32S:
    case MemKind::k32Splat:
    case MemKind::k32Zero: return 4;
    case MemKind::k128: return 16;
    default: return 8;
  }
}

enum class AtomicOp : u8 { kAdd, kSub, kAnd, kOr, kXor, kXchg };

using Value = u32;  // kNone: no value

struct Inst {
  Op op;
  Type type;          // of the result; kVoid if there is none
  Type operand_type;  // comparisons: of the operands. Store*: of the stored value
  bool
      pinned;  // pure (or an invariant load), but must stay below a check in its block order: guarded
               // division, a load from an address that a check makes valid
  bool invariant;  // LoadRaw: the location does not change during an invocation
  u8 unused_;
  u16 aux;    // see ops.def
  u32 count;  // number of arguments
  union {
    Value arg[3];  // if the operation has a fixed number of arguments
    u32 pool;      // else where they start in Function::pool
  };
  i64 imm;
  u32 origin;  // byte offset in the module of the Wasm instruction it comes from
  u32 block;   // the block that lists it
};

using BlockId = u32;

struct Block {
  Vec<Value> insts;
  Vec<BlockId>
      preds;  // a predecessor that reaches the block by two edges appears twice, with the same phi
              // arguments (see also cfg.h, single_pred)
  Vec<BlockId> succs;  // meaning: the terminator's
  BlockId idom;        // cfg.h fills in what follows
  u32 loop_depth;
  BlockId
      loop_header;  // of the innermost loop around the block, itself if it is one; kNone outside loops
  bool is_loop_header;
  bool is_cold;      // leads only to a trap, or unlikely for another reason
  bool is_unlikely;  // set by who makes the block: it is cold wherever it leads
};

// One function in SSA form. Blocks are stored in reverse post-order once cfg.h has ordered them: block 0 is
// the entry, every block is reachable, and a back edge is an edge to a block of equal or lower number.
struct Function {
  explicit Function(Arena* a) : arena(a), insts(a), blocks(a), pool(a) {}

  Arena* arena;
  const Module* module = nullptr;
  u32 index = 0;  // function index
  u64 max_memory_bytes =
      u64{kMaxMemoryPages} * kWasmPageBytes;  // what linear memory 0 can at most have
  // Addresses depend on bounds checks by data, not only by branches (verify.h).
  bool clamps_speculation = false;
  u64 unpaid = 0;  // what a call costs besides what loops pay, in units of fuel; once that is known
  Vec<Inst> insts;
  Vec<Block> blocks;
  Vec<Value> pool;

  Span<Value> args(Value v) const {
    Inst& inst = insts[v];
    if (has_pool_args(inst.op)) return pool.span().slice(inst.pool, inst.count);
    return {inst.arg, inst.count};
  }
  // Calls f(arg) for each. There may be as many as a phi's block has predecessors.
  template <class F>
  void for_each_arg(Value v, F&& f) const {
    Inst& inst = insts[v];
    if (has_pool_args(inst.op)) {
      for (Value& arg : ticking(pool.span().slice(inst.pool, inst.count))) f(arg);
    } else {
      for (u32 i = 0; i < inst.count; i++) f(inst.arg[i]);
    }
  }
  static bool has_pool_args(Op op) { return arg_count_of(op) == kVariadic; }
};

// The value of a VConst, which keeps its low half in imm and its high half where arguments would be.
struct V128 {
  u64 low, high;
};
inline V128 v128_of(const Inst& inst) {
  WRING_ASSERT(inst.op == Op::kVConst);
  return {static_cast<u64>(inst.imm), inst.arg[0] | u64{inst.arg[1]} << 32};
}
inline void set_v128(Inst* inst, V128 value) {
  inst->imm = static_cast<i64>(value.low);
  inst->arg[0] = static_cast<u32>(value.high);
  inst->arg[1] = static_cast<u32>(value.high >> 32);
}

const char* name_of(Op op);
const char* name_of(Type type);
inline bool is_compare(Op op) { return op >= Op::kEq && op <= Op::kGeU; }
inline bool is_float_compare(Op op) { return op >= Op::kFEq && op <= Op::kFGe; }
// Computes with floats, conversions included; not a comparison.
inline bool is_float(Op op) {
  return op >= Op::kFAdd && op <= Op::kBitcast && !is_float_compare(op);
}
inline bool is_simd(Op op) { return op >= Op::kV1 && op <= Op::kVShuffle; }
inline bool is_terminator(Op op) { return op >= Op::kJump; }

Type type_of(ValType type);

}  // namespace wring::ir
