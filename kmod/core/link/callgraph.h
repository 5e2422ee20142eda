// SPDX-License-Identifier: GPL-2.0
// The call graph of a module: who may recurse, who may throw, and in which order to compile so that callees come first.
//
// Nodes are the functions, one node per function type (what call_indirect and call_ref of that type may reach:
// functions in element segments, in the initial values of tables and globals, and in ref.func) and one for code
// outside the module (imports bound to other instances, shared tables, references from elsewhere), which may call any
// address-taken function. Tail calls count as calls.
#pragma once

#include "core/base/bitset.h"
#include "core/base/vector.h"
#include "core/link/binding.h"
#include "core/link/stack_pointers.h"
#include "core/wasm/instr.h"

namespace wring::link {

class CallGraph {
 public:
  // Reads every function body once. Memory comes from the arena and stays there. type_ids: Store-wide signature
  // id per module type.
  Err build(const Module& module, const Bindings& bindings, Span<const u32> type_ids, Arena* arena,
            Diag* diag);

  // The functions defined in the module, callees before callers (except around cycles).
  Span<const u32> bottom_up() const { return order_.span(); }
  // Whether the function is part of a cycle.
  bool is_recursive(u32 func) const { return recursive_.test(func); }

  // What a call costs that the callee does not pay, in units of fuel; of a type: through tables and references. Loops
  // pay per iteration, but without recursion or loops a program of a few hundred bytes can still make more calls than
  // it will ever finish: functions beyond kMaxUnpaid have to pay on entry. To be asked in the order of bottom_up(),
  // after note_cost() has been called for all functions before.
  u64 unpaid(u32 func) const { return unpaid_[func]; }
  u64 unpaid_indirect(u32 type);
  static constexpr u64 kMaxUnpaid = 1024;
  // The same of functions that code of other instances can call, which does not know what they cost.
  static constexpr u64 kMaxUnpaidOutside = 64;
  // Records what a call of the function costs; whether it has to pay that on entry, because it is more than `most`.
  bool note_cost(u32 func, u64 cost, u64 most = kMaxUnpaid);

  // By function: whether a call of it may return with an exception.
  Span<const u8> may_throw() const { return may_throw_.slice(0, function_count_); }
  // Likewise of calls through tables and references.
  bool indirect_may_throw() const { return indirect_may_throw_; }
  // Whether there is a `throw`.
  bool has_throw() const { return has_throw_; }
  // By type index: whether there are tail calls of functions of that type.
  const BitSet& tail_called_types() const { return tail_called_types_; }
  // Whether code outside the module may be called.
  bool calls_outside() const { return calls_outside_; }
  // What the scan of the bodies finds besides.
  Span<const StackPointer> stack_pointers() const { return stack_pointers_.found(); }
  // An imported function whose binding needs a hook and that direct calls lead to from `func`; kNone: there is none.
  // Calls through tables and references do not count: by type they may reach about anything, and it is better to let
  // the one trap that is made than to refuse all that might be.
  Err find_hook_import(u32 func, u32* out, Diag* diag) const;
  // By table index: whether there is a table.grow of it.
  const BitSet& growing_tables() const { return growing_tables_; }

  // The most stack an unchecked chain of calls below the function uses; kUnknownDepth if it may get into another
  // instance. To be asked in the order of bottom_up(), after note() has been called for all functions before.
  static constexpr u64 kUnknownDepth = u64{1} << 62;
  u64 callee_depth(u32 func);
  // Records what the function itself uses, return address included; and whether its prologue checks the stack, so
  // that callers need not account for it.
  void note(u32 func, u64 own_bytes, bool is_checked);

 private:
  static constexpr u64 kReturnAddressBytes = 8;

  Err collect_edges(Diag* diag);
  Err collect_calls_of(u32 func, Diag* diag);
  Err collect_call(u32 func, const Instr& instr, Diag* diag);
  Err collect_expressions(Diag* diag);
  void note_sources();
  void finish_component(Span<const u32> members);
  Err collect_expression(Range range, Diag* diag);
  Err order_components(Diag* diag);
  Err add_edge(u32 from, u32 to, Diag* diag);
  void take(u32 func);
  bool is_shared_table(u32 table) const { return shared_tables_.test(table); }
  u32 type_node(u32 type) const { return function_count_ + canonical_type_[type]; }
  Span<const u32> edges_of(u32 node) const {
    return edges_.span().slice(rows_[node], rows_[node + 1] - rows_[node]);
  }
  u64 depth_of(u32 node) const;

  const Module* module_ = nullptr;
  const Bindings* bindings_ = nullptr;
  Arena* arena_ = nullptr;

  // Edges in compressed rows: of node n, edges_[rows_[n] .. rows_[n + 1]). Functions come first, then one node per
  // type, then the unknown code.
  Vec<u32> rows_;
  Vec<u32> edges_;
  Span<u64> unpaid_;  // by node; of types when first asked for
  BitSet unpaid_known_;
  u32 function_count_ = 0;
  u32 unknown_node_ = 0;
  Span<u32> canonical_type_;  // by type index: the first type with the same id
  Span<u32>
      last_caller_;  // by node: 1 + the last node an edge was added from; keeps rows free of repetitions
  Span<u32> taken_head_;  // by canonical type: list of taken functions
  Span<u32> taken_next_;  // by function
  BitSet taken_;
  BitSet shared_tables_;
  BitSet growing_tables_;
  BitSet tail_called_types_;
  // Whether references to functions of other instances may come in, and whether code or constant expressions move
  // references around, so that such may get into any table.
  bool has_foreign_refs_ = false;
  bool moves_refs_ = false;
  bool has_throw_ = false;
  bool indirect_may_throw_ = false;
  bool calls_outside_ = false;
  Span<u8> may_throw_;  // by node
  StackPointers stack_pointers_;

  Vec<u32> order_;
  Span<u64> depth_;  // by node
  BitSet depth_known_;
  BitSet recursive_;
};

}  // namespace wring::link
