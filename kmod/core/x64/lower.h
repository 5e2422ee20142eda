// SPDX-License-Identifier: GPL-2.0
// Lowering: IR -> LIR in one backward pass over the blocks,
// choosing for each instruction that is still needed the largest tile of instructions that one
// machine instruction (or fixed sequence) can do.
//
// Going backward, all uses of a value are seen before its definition: a value has a virtual
// register exactly if something needs it in one, and an instruction that only ever became part of
// tiles is never emitted.
//
// A tile's pure parts may come from anywhere. A load may only join a tile if nothing else uses it
// and no write, call or check lies between the two (BlockEpochs).
#pragma once

#include "core/base/bitset.h"
#include "core/ir/ir.h"
#include "core/link/binding.h"
#include "core/x64/abi.h"
#include "core/x64/insts.h"
#include "core/x64/x64.h"

namespace wring::x64 {

// A constant that is a memory operand: its first `bytes` bytes.
struct PoolConstant {
  u64 low, high;
  u8 bytes;
};

struct LoweredFunction {
  explicit LoweredFunction(Arena* arena) : lir(arena), payloads(arena), constants(arena) {}
  ra::LirFunction lir;
  Vec<Payload> payloads;
  Vec<PoolConstant> constants;
  u32 outgoing_bytes = 0;  // the frame's area for stack arguments and results of calls
  bool has_calls = false;
  bool uses_vectors = false;  // vector registers
  bool has_wide = false;      // V128 in them
};

// f: optimized, critical edges split. Memory for *out comes from its arena and f's stays untouched.
Err lower(const ir::Function& f, const Bindings& bindings, const Target& target,
          const FunctionOptions& options, LoweredFunction* out, Diag* diag);

// How far a tile looks along a chain of instructions of one kind, so that long chains are not
// walked again and again.
constexpr u32 kMaxChain = 4;

inline bool is_load(ir::Op op) {
  return op == ir::Op::kLoad || op == ir::Op::kLoadMem || op == ir::Op::kLoadRaw ||
         op == ir::Op::kLoadGs;
}
inline bool is_vector(ir::Type type) { return type >= ir::Type::kF32; }
// Of a value of that type in a vector register.
inline u8 vector_bytes(ir::Type type) {
  return type == ir::Type::kF32 ? 4 : type == ir::Type::kF64 ? 8 : 16;
}

// Operands of an instruction under construction, in the order insts.def lists them.
class Operands {
 public:
  Operands& def(ra::VReg v) { return add(v, ra::OperandKind::kDef, ra::Constraint::kReg); }
  Operands& def_early(ra::VReg v) {
    return add(v, ra::OperandKind::kDef, ra::Constraint::kReg, kNoReg, true);
  }
  Operands& def_like(ra::VReg v, u8 operand) {
    return add(v, ra::OperandKind::kDef, ra::Constraint::kReuse, operand);
  }
  Operands& def_fixed(ra::VReg v, ra::PReg reg, bool early = false) {
    return add(v, ra::OperandKind::kDef, ra::Constraint::kFixed, reg, early);
  }
  Operands& use(ra::VReg v) { return add(v, ra::OperandKind::kUse, ra::Constraint::kReg); }
  Operands& use_late(ra::VReg v) {
    return add(v, ra::OperandKind::kUse, ra::Constraint::kReg, kNoReg, true);
  }
  Operands& use_any(ra::VReg v) { return add(v, ra::OperandKind::kUse, ra::Constraint::kAny); }
  Operands& use_fixed(ra::VReg v, ra::PReg reg) {
    return add(v, ra::OperandKind::kUse, ra::Constraint::kFixed, reg);
  }
  u8 count() const { return count_; }
  const ra::Operand& operator[](u8 i) const { return list_[i]; }

 private:
  Operands& add(ra::VReg v, ra::OperandKind kind, ra::Constraint constraint, u8 reg = kNoReg,
                bool other = false) {
    WRING_ASSERT(count_ < kMax);
    list_[count_++] = {v, kind, constraint, reg, other};
    return *this;
  }
  static constexpr u8 kMax = 32;  // a call: all argument and result registers, and the callee
  ra::Operand list_[kMax];
  u8 count_ = 0;
};

class Lowering {
 public:
  Lowering(const ir::Function& f, const Bindings& bindings, const Target& target,
           const FunctionOptions& options, LoweredFunction* out, Diag* diag);
  Err run();

 private:
  using Value = ir::Value;
  using VReg = ra::VReg;
  using Op = ir::Op;

  // A matched address: values, not registers yet.
  struct AddressMatch {
    Address address;
    Value base = kNone;       // if Base::kOperand
    Value index = kNone;      // if has_index, unless
    VReg index_vreg = kNone;  // it is this, set in this tile
  };
  // What an operand that may be anything turned out to be.
  struct Source {
    Src kind = Src::kOperand;
    Value value = kNone;  // if kOperand, unless
    VReg vreg = kNone;    // it is this, set in this tile
    i32 imm = 0;
    AddressMatch mem;
  };
  struct ConditionMatch {
    Condition cond;
    Value a = kNone, b = kNone;           // as far as they are operands
    VReg a_vreg = kNone, b_vreg = kNone;  // is_vector: these; is_float: b, unless kNone
    AddressMatch mem;                     // a or b
  };
  // What the uses seen so far read of a vector, as far as they said so.
  struct Demand {
    u32 uses = 0;
    u16 bytes = 0;
  };
  // A constant used inside a loop: its register is set just before the outermost loop.
  struct LoopConstant {
    u32 loop = kNone;  // outermost header
    VReg vreg = kNone;
  };
  struct PendingConstant {
    Value value;  // kNone: out_->constants[constant]
    VReg vreg;
    u32 next;
    u32 constant;
    bool is_chosen;
  };
  // A float or vector constant that stays in a register throughout a loop.
  struct LoopVector {
    ir::V128 bits;
    u8 bytes;
    VReg vreg;
  };
  static constexpr u32 kMaxLoopVectors = 8;

  // ---- lower.cc: blocks, registers, constants
  Err prepare();
  void compute_epochs();
  void compute_loops();
  void find_addresses();
  void lower_block(ir::BlockId b);
  void lower_inst(Value v);
  void flush_constants(ir::BlockId b);
  void set_pending(const PendingConstant& pending);
  // The register of a constant of 4, 8 or 16 bytes that is set before the outermost loop around this block; kNone
  // outside loops and if too many registers serve that already. is_chosen: as for set_vector.
  VReg loop_vector(ir::V128 bits, u8 bytes, bool is_chosen);
  void finish();
  const ir::Inst& at(Value v) const { return f_.insts[v]; }
  Value arg(Value v, u32 i) const { return f_.insts[v].arg[i]; }
  Size size_of(Value v) const { return at(v).type == ir::Type::kI64 ? Size::k64 : Size::k32; }
  VReg new_vreg(ir::Type type = ir::Type::kI64);
  void add_insn(Lir op, const Operands& operands, const Payload& payload = {});
  void end_tile();  // what was added since the last one is in order
  void fail_no_memory() { failed_ = true; }
  // Whether the value is made anew where it is needed, or once in front of a loop.
  bool is_constant(Value v) const {
    Op op = at(v).op;
    return op == Op::kConst || op == Op::kVConst || op == Op::kVmCtx || op == Op::kMemBase;
  }

  // The value's register; all 64 bits are right (I32: zero-extended).
  VReg reg(Value v);
  // What to ask reg() for if only `size` low bits matter.
  Value resolve(Value v, Size size) const;
  // A register of its own for the value's use in a fixed place, if it is a constant.
  VReg reg_at_use(Value v);
  VReg constant(i64 value);  // a fresh one, set here
  void set_constant(Value v, VReg vreg);
  void set_vector(VReg vreg, ir::V128 value, bool is_chosen);  // is_chosen: by the module's author
  VReg result(Value v);  // the register the instruction has to set: a fresh one if nothing reads it
  bool is_needed(Value v) const { return vreg_of_[v] != kNone; }
  // Whether the phi becomes a block parameter. Of a loop header's, not all uses were seen when a
  // latch asks.
  bool is_param(Value phi) const {
    return is_needed(phi) || (uses_[phi] && f_.blocks[at(phi).block].is_loop_header);
  }
  // Whether the value is made within the innermost loop around this block: if not, a tile that
  // takes its place would repeat its work, or keep two operands alive instead of one result.
  bool is_in_this_loop(Value v) const {
    u32 header = f_.blocks[block_].loop_header;
    return header == kNone || at(v).block >= header;
  }
  // Whether no later instruction reads the value's register, so that it may be overwritten.
  bool is_last_use(Value v) const;
  Value strip_zext(Value v) const;
  bool is_const(Value v, i64* value) const;
  // A constant that may be an immediate of an operation of that size.
  bool imm_of(Value v, Size size, i32* imm) const;
  bool may_inline(i64 imm) const;     // constant blinding
  bool may_displace(i64 disp) const;  // likewise, for displacements; they must fit i32 anyway
  u64 upper_bound(Value v, u32 depth = 0) const;

  // ---- lower_arith.cc
  void lower_arith(Value v);
  void lower_add(Value v);
  void lower_add_imm(Value v, Value a, i32 imm);
  void lower_sub(Value v);
  void lower_and(Value v);
  void lower_alu(Alu op, Value v);
  void lower_clamp(Value v);
  void lower_match_or_null(Value v);
  bool match_scaled(Value v, Value* index, u8* scale) const;
  bool match_not(Value v, Value* inverted) const;
  void emit_alu(Alu op, Size size, Value v, Value a, const Source& b);
  void emit_unary(Unary op, Value v, Value a);
  // v = op a, in a's register.
  void emit_in_place(Lir op, Value v, Value a, const Payload& p);
  // v = op s, in any register.
  void emit_from(Lir op, Value v, const Source& s, Payload p);
  void emit_lea(Value v, Value base, Value index, u8 scale, i32 disp);
  void emit_extend(Extend kind, Value v, Value a);
  // An operand that may be memory, but not an immediate.
  Source source(Value v, Size size);
  // Of two operands whose order does not matter: *a gets a register, the result may be memory.
  Source either_source(Value* a, Value b, Size size);
  void add_source(Operands* ops, Payload* p, const Source& s);

  // ---- lower_mul_shift.cc
  void lower_mul(Value v);
  void lower_mul_high(Value v);
  Value wide_partner(Value v) const;
  bool lower_mul_wide(Value v);
  void lower_div(Value v);
  void lower_shift(Value v);
  void lower_rotate(Value v);
  void shift_by_cl(Value v, Value by, const Payload& p);
  void lower_bits(Value v);

  // ---- lower_compare.cc
  bool may_repeat(Value v) const;
  ConditionMatch match_condition(Value v, bool exclusive);
  void match_compare(ConditionMatch* m, Value a, Value b, bool exclusive);
  void match_compare_imm(ConditionMatch* m, Value a, i32 imm, bool exclusive);
  bool match_narrow(ConditionMatch* m, Value a);
  Value next_counter(Value phi, i32* imm) const;
  void match_zero(ConditionMatch* m, Value a, bool exclusive);
  void match_test(ConditionMatch* m, Value a, Value b, bool exclusive);
  void add_condition(Operands* ops, Payload* p, const ConditionMatch& m);
  void lower_compare(Value v);
  void lower_select(Value v);
  void lower_trap_if(Value v);
  void lower_terminator(Value v);
  void pass_phis(ir::BlockId to);

  // ---- lower_memory.cc
  bool can_fold_load(Value v) const;
  // A load of exactly `size` bytes that may join the current tile; marks it as covered.
  bool fold_load(Value v, Size size, AddressMatch* mem);
  AddressMatch match_address(Value access);
  AddressMatch match_linear(Value index, i64 offset);
  AddressMatch match_raw(const ir::Inst& access);
  void set_index_sum(AddressMatch* m, i64 addend);
  void add_address(Operands* ops, Payload* p, const AddressMatch& mem);
  void lower_load(Value v);
  void lower_store(Value v);
  Value value_to_store(Value store) const;
  bool lower_modify(Value v);
  void lower_add_memory(Value v);
  Value stored_value(Value v, u32 bytes, bool exclusive) const;
  bool same_location(Value load, Value store) const;

  // ---- lower_atomic.cc
  void lower_atomic(Value v);
  void lower_atomic_rmw(Value v);

  // ---- lower_float.cc
  bool has_avx() const { return target_.cpu & kCpuAvx; }
  // The operands of a vector instruction begin with its result, which in SSE form is in the place of operand 1.
  Operands vec_operands(VReg dst) const {
    return has_avx() ? Operands().def(dst) : Operands().def_like(dst, 1);
  }
  // A memory operand with these bytes. Not for what the module's author chose, if constants are blinded.
  AddressMatch constant_operand(u64 low, u64 high, u8 bytes);
  // v as an operand of which an instruction reads `bytes` bytes; a load or constant becomes a memory operand.
  Source vec_source(Value v, u8 bytes);
  // Of two operands whose order does not matter: *a gets a register.
  Source either_vec_source(Value* a, Value b, u8 bytes);
  void emit_vec1(Value v, VecOp op, const Source& s, u8 imm8 = 0);
  void emit_vec2(Value v, VecOp op, Value a, const Source& b, u8 imm8 = 0);
  VReg vec2(VReg dst, VecOp op, VReg a, const Source& b, u8 imm8 = 0);
  Source mask_source(ir::Type type, u32 lane32, u64 lane64);
  void add_vec_source(Operands* ops, Payload* p, const Source& s);
  void lower_float(Value v);
  void lower_min_max(Value v);
  void lower_copysign(Value v);
  void lower_convert(Value v);
  void lower_truncate(Value v);
  void lower_bitcast(Value v);
  void lower_float_select(Value v);
  bool lower_select_min_max(Value v);
  bool lower_select_mask(Value v);
  bool is_quiet(Value v, u32 depth = 0) const;
  void match_float_compare(ConditionMatch* m, const ir::Inst& inst, bool exclusive);

  // ---- lower_simd.cc, lower_simd_lanes.cc
  friend class SimdLowering;
  void lower_simd(Value v);
  // lower_simd_demand.cc: which bytes of a vector are read at all, a bit each: once everything that uses it
  // was lowered.
  u32 demanded(Value v) const;
  void demand(Value v, u32 bytes);
  bool is_vector_test(Value v) const;
  void match_vector_test(ConditionMatch* m, Value v);

  // ---- lower_call.cc
  void lower_params();
  void pay_on_entry();
  void load_stack_params();
  void lower_call(Value v);
  void lower_host_call(Value v);
  void lower_return(Value v);
  void lower_tail_call(Value v);
  void store_arg(Value v, u32 offset);
  void store_outward(Value v, u32 offset);
  void fence_references(Span<const ValType> types, Span<const Place> places);
  void load_stack_results(Value first, const CallLayout& layout);
  void use_fixed_values(Operands* ops, Span<Value> values, Span<const Place> places);
  void link_results();
  const FuncType& callee_type(const ir::Inst& call) const;

  const ir::Function& f_;
  const Bindings& bindings_;
  const Target& target_;
  const FunctionOptions& options_;
  LoweredFunction* out_;
  Diag* diag_;
  Arena* arena_;
  ra::LirFunction& lir_;
  bool failed_ = false;

  Span<u32> uses_;      // by Value: uses in listed instructions
  Span<VReg> vreg_of_;  // by Value: kNone while nothing needs it
  Span<u32> epoch_;     // by Value: writes, calls and checks before it in its block
  Span<u32>
      next_result_;    // by Value: chain of Result instructions of a call; empty if there are none
  CallLayout layout_;  // of this function's own type
  bool keeps_params_ = true;  // stack parameters stay where the caller put them
  Span<Demand> demands_;      // by Value; empty in functions without vectors
  BitSet covered_;            // loads that joined a tile
  BitSet addresses_;          // Target::clamp_speculation: see find_addresses
  Span<u32> outermost_;       // by block: header of the outermost loop around it, or kNone
  Span<u32> pred_index_;  // by block with one successor: its number among that one's predecessors
  Span<LoopConstant> loop_constants_;  // by Value
  Span<u32> pending_at_;               // by block: chain of constants to set at its end
  Vec<PendingConstant> pending_;
  u32 vectors_loop_ = kNone;  // the loop that loop_vectors_ are for
  u32 loop_vector_count_ = 0;
  LoopVector loop_vectors_[kMaxLoopVectors];

  ir::BlockId block_ = 0;  // being lowered
  Value root_ = kNone;     // of the current tile
  u32 position_ = 0;       // of the root in its block
  u32 tile_begin_ = 0;     // in lir_.insts, which is in reverse until finish()
};

}  // namespace wring::x64
