// SPDX-License-Identifier: GPL-2.0
// Builder: the state of SSA construction, shared by the build*.cc files.
//
// One pass over the body. A control frame per open block collects the branches to its label: the operands they
// carry and the state of the locals. Where a label ends, values that differ between the branches become phis.
// Loop headers get a phi for each local assigned in the loop. Code that cannot be reached is skipped.
//
// Allocation failures set failed_ and are looked at once per Wasm instruction; until then helpers return
// value 0, which always exists.
#pragma once

#include "core/abi/libcalls.h"
#include "core/ir/build.h"
#include "core/ir/edit.h"
#include "core/ir/locals.h"
#include "core/ir/loop_scan.h"

namespace wring::ir {

class Builder {
 public:
  Builder(const BuildContext& context, u32 func, Function* out, Arena* scratch, Diag* diag);
  Err run();

 private:
  enum class FrameKind : u8 { kFunction, kInline, kBlock, kLoop, kIf, kElse, kTry };
  struct Frame {
    FrameKind kind;
    u32 height;  // of the stack below the parameters
    u32 params, results;
    BlockId label;    // where branches go; kNone while there is none
    u32 first, last;  // branches_: the branches to the label, in the order of its predecessors
    u32 branches;
    // kIf: what the else branch starts from. Loops: the header's entry values.
    BlockId else_block;
    State state;
    u32 saved;            // in values_
    u32 phis, phi_count;  // loops: in loop_phis_; of the locals
    // kInline: the caller, to return to; whether it returns what the callee does.
    u32 func, pos, end;
    bool is_tail;
    // kTry: its catch clauses, and where exceptions are dispatched to them (in dispatches_; kNone while nothing
    // throws).
    u32 clauses, clause_count, dispatch;
    u32 outer_try;  // kInline, kTry: the try around it
    // br_table in progress: number of edges to the label, and the block they share.
    u32 edges;
    BlockId landing;
  };
  struct Branch {
    u32 next;
    State state;
    u32 values;  // in values_: the operands; loops: then the values of the locals that have phis
  };
  struct LoopPhi {
    u32 local;
    Value phi;
  };
  // Where a linear memory access goes. base: kNone for memory 0, whose base is pinned.
  struct Address {
    Value index, base;
    u64 offset;
  };

  // build.cc
  Err begin();
  Err begin_locals(u32 func, u32 first_param);
  Err adapter(const FuncType& type);
  void block_arity(const BlockType& type, u32* params, u32* results) const;
  Err instruction(const Instr& in);
  Err control(const Instr& in);
  Err variable(const Instr& in);
  Err push_frame(FrameKind kind, u32 params, u32 results);
  Frame& frame_at(u32 depth);
  Err do_loop(const Instr& in, u32 params, u32 results);
  Err do_if(u32 params, u32 results);
  Err do_else();
  Err do_end();
  Err do_br_table(const Instr& in);
  void do_return();
  void leave();
  void do_br_if(Value condition, u32 depth);
  void branch_to(u32 depth);
  void record_branch(Frame* frame);
  BlockId label_of(Frame* frame);
  Err start_label(Frame* frame);
  Err finish_loop(Frame* frame);
  Value merge_phi(BlockId block, Span<const Value> values);
  void start_block(BlockId block);
  void end_with(const Inst& inst);
  void seal_dead();

  // build_ops.cc
  Err operation(const Instr& in);
  bool integer_operation(Opcode op);
  void binary(Op op, Type type);
  void unary(Op op, Type type);
  void compare(Op op, Type operand_type);
  void divide(Op op, Type type);
  void select();
  void global_get(u32 index);
  void global_set(u32 index);
  Value global_cell(u32 index);
  Value constant_global(u32 index);

  // build_float.cc
  bool float_operation(const Instr& in);
  void convert(Op op, Type to, Type from);

  // build_simd.cc
  bool vector_operation(const Instr& in);
  bool relaxed_operation(Opcode op);
  void vector_memory(const Instr& in);
  Value vector_constant(u32 offset);
  Value vector(Opcode op, Value a);
  Value vector(Opcode op, Value a, Value b);
  Value vector(Opcode op, Value a, Value b, Value c);
  Value low_word(Value vector);
  Value high_word(Value vector);
  Value vector_of_words(Value low, Value high);

  // build_memory.cc
  bool memory_operation(const Instr& in);
  void load(const Instr& in, Type type, MemKind kind);
  void store(const Instr& in, MemKind kind);
  Value memory_view(u32 memory);
  bool narrow_index(Value* index);
  bool address_of(Value index, const MemArg& arg, Address* out);
  Value access(Op op, Type type, u32 aux, const Address& address, Value value);
  void grow_memory(u32 memory);
  void bulk_memory(const Instr& in);
  bool small_fill(u32 memory, Value to, Value byte, Value size);
  bool small_copy(u32 to_memory, u32 from_memory, Value to, Value from, Value size);
  Value wide(Value v);

  // build_atomic.cc
  bool atomic_operation(const Instr& in);
  void check_alignment(const Address& address, u32 bytes);
  void atomic_wait(const Instr& in);

  // build_ref.cc
  Err reference(const Instr& in);
  Value function_ref(u32 func);
  Value code_of_ref(Value ref);
  void check_null(Value ref, TrapReason reason);
  bool holds_functions(u32 table) const {
    return top_of(module_.tables[table].type.elem) == ValType::kFuncRef;
  }
  Value table_view(u32 table);
  Value table_size(u32 table);
  Value table_slot(u32 table, Value index, TrapReason reason);
  void table_get(u32 table);
  void table_set(u32 table);
  void bulk_table(const Instr& in);

  // build_exception.cc
  void do_throw(u32 tag);
  void throw_ref();
  Err do_try(const Instr& in, u32 params, u32 results);
  Err end_try();
  void dispatch(const Frame& frame, Value exception);
  void catch_values(u32 tag, Value exception);
  void unwind();
  void unwind_edge(BlockId from);
  BlockId unwind_block();
  BlockId unlikely_block();
  void check_exception();

  // build_call.cc
  Err call(u32 func, bool is_tail);
  void call_indirect(const Instr& in, bool is_tail);
  void call_ref(u32 type, bool is_tail);
  Err call_import(u32 func, bool is_tail);
  Err call_host(u32 func, bool may_trap);
  void call_code(Value code, u32 type, bool may_throw, bool is_tail);
  void take_arguments(Value first, u32 count);
  void push_results(Value call, Span<const ValType> types);
  void tail_call(Op op, i64 imm, Value first, u32 params);
  bool may_throw(u32 func) const { return !context_.may_throw.empty() && context_.may_throw[func]; }
  bool inlinable(u32 func);
  Err begin_inline(u32 func, bool is_tail);
  Value libcall(Libcall call, Span<const Value> args, Type result);
  void check_host_error();

  // build_intrinsic.cc
  Value clamp_index(Value index, Value bound, u32 harmless = 0);
  Value match_or_null(Value address, Value found, Value wanted);
  Err intrinsic(u32 func, const FunctionBinding& binding);
  void packet_load(Type type, MemKind kind);
  void packet_store(MemKind kind);
  Value packet_address(Value offset, u32 bytes, i64* displacement);
  void hook_arg();
  bool map_access(Intrinsic intrinsic);

  // Emission helpers.
  Value emit(const Inst& inst);
  Value emit_pool(Inst inst, Span<const Value> args);
  Value constant(Type type, u64 bits) { return keep(consts_.get(type, bits)); }
  Value zero(Type type) { return keep(consts_.zero(type)); }
  Value vmctx() { return keep(consts_.vmctx()); }
  Value emit1(Op op, Type type, Value a) { return emit(make_inst(op, type, a)); }
  Value emit2(Op op, Type type, Value a, Value b) { return emit(make_inst(op, type, a, b)); }
  Value emit_compare(Op op, Type type, Value a, Value b) {
    return emit(make_compare(op, type, a, b));
  }
  Value load_raw(Type type, MemKind kind, Value address, i64 displacement, bool invariant);
  Value load_vmctx(Type type, MemKind kind, usize offset, bool invariant);
  void store_raw(Op op, MemKind kind, Value address, i64 displacement, Value value);
  void trap_if(Value condition, TrapReason reason);
  void trap(TrapReason reason);
  BlockId new_block() { return keep(add_block(f_)); }
  void edge(BlockId from, BlockId to) { failed_ |= !add_edge(f_, from, to); }
  u32 keep(u32 value_or_none) {
    failed_ |= value_or_none == kNone;
    return value_or_none == kNone ? 0 : value_or_none;
  }
  bool is_const(Value v, u64* bits) const {
    if (f_->insts[v].op != Op::kConst) return false;
    *bits = static_cast<u64>(f_->insts[v].imm);
    return true;
  }
  Type type_of_value(Value v) const { return f_->insts[v].type; }

  void push(Value v) { failed_ |= !stack_.push(v); }
  Value pop() { return stack_.pop(); }
  u32 save_values(u32 from_stack);  // copies the stack from there on to values_
  Value local(u32 index) { return locals_.get(local_base_ + index); }

  const BuildContext& context_;
  const Module& module_;
  Function* f_;
  Arena* scratch_;  // for all that is not the result
  Diag* diag_;
  u32 func_;  // the function whose body is read: f_'s or an inlined one
  u32 pos_ = 0, end_ = 0;
  u32 local_base_ = 0;            // of func_'s locals in locals_
  u32 own_locals_ = 0;            // number of f_'s locals
  u32 body_frame_ = 0;            // frame of the body being read: not 0 while inlining
  u32 inlined_bytes_ = 0;         // of code, so far
  u32 try_ = kNone;               // frame of the innermost try
  BlockId unwind_block_ = kNone;  // returns to a caller that looks for an exception
  u32 origin_ = 0;
  BlockId block_ = 0;   // being filled, if live_
  bool live_ = true;    // whether the current point can be reached
  u32 dead_depth_ = 0;  // blocks opened since it cannot
  bool failed_ = false;
  u64 work_ = 0;

  Vec<Frame> frames_;
  Vec<Value> stack_;
  Vec<Value> values_;  // operands and locals that branches carry
  Vec<Branch> branches_;
  Vec<LoopPhi> loop_phis_;
  Vec<Frame> dispatches_;
  Vec<Value> row_;  // one call's arguments, or the values that meet at a label
  Vec<State> states_;
  LocalState locals_;
  LoopScan loops_;
  ConstPool consts_;
};

}  // namespace wring::ir
