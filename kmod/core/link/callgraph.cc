// SPDX-License-Identifier: GPL-2.0
// The call graph: edges from one scan of the bodies, strongly connected components by Tarjan's algorithm with an
// explicit stack, in time and memory linear in the size of the code.
#include "core/link/callgraph.h"

#include "core/base/sort.h"
#include "core/wasm/instr.h"

namespace wring::link {

Err CallGraph::build(const Module& module, const Bindings& bindings, Span<const u32> type_ids,
                     Arena* arena, Diag* diag) {
  module_ = &module;
  bindings_ = &bindings;
  arena_ = arena;
  rows_.init(arena);
  edges_.init(arena);
  order_.init(arena);
  function_count_ = module.functions.size();
  u32 types = module.types.size();
  unknown_node_ = function_count_ + types;
  u32 nodes = unknown_node_ + 1;

  canonical_type_ = arena->make_array<u32>(types);
  last_caller_ = arena->make_array<u32>(nodes);
  taken_head_ = arena->make_array<u32>(types);
  taken_next_ = arena->make_array<u32>(function_count_);
  depth_ = arena->make_array<u64>(nodes);
  unpaid_ = arena->make_array<u64>(nodes);
  may_throw_ = arena->make_array<u8>(nodes);
  if (canonical_type_.size() != types || last_caller_.size() != nodes ||
      taken_head_.size() != types || taken_next_.size() != function_count_ ||
      depth_.size() != nodes || may_throw_.size() != nodes || unpaid_.size() != nodes ||
      !taken_.init(arena, function_count_) || !shared_tables_.init(arena, module.tables.size()) ||
      !growing_tables_.init(arena, module.tables.size()) ||
      !tail_called_types_.init(arena, types) || !depth_known_.init(arena, nodes) ||
      !recursive_.init(arena, function_count_) || !unpaid_known_.init(arena, nodes) ||
      !rows_.reserve(u64{nodes} + 1) || !order_.reserve(function_count_))
    return diag->no_memory();

  fill(unpaid_, 0);
  depth_[unknown_node_] = kUnknownDepth;
  depth_known_.set(unknown_node_);
  may_throw_[unknown_node_] = 1;

  Span<u32> by_id = arena->make_array<u32>(types);
  if (by_id.size() != types) return diag->no_memory();
  for (u32 i = 0; i < types; i++, tick()) {
    by_id[i] = i;
    taken_head_[i] = kNone;
  }
  sort_by(by_id, [&](u32 type) { return u64{type_ids[type]} << 32 | type; });
  for (u32 i = 0; i < types; i++, tick()) {
    bool repeats = i > 0 && type_ids[by_id[i]] == type_ids[by_id[i - 1]];
    canonical_type_[by_id[i]] = repeats ? canonical_type_[by_id[i - 1]] : by_id[i];
  }

  for (u32 i = 0; i < module.imported_tables; i++, tick()) shared_tables_.set(i);
  for (const Export& e : paced(module.exports))
    if (e.kind == ExternKind::kTable) shared_tables_.set(e.index);
  note_sources();

  TRY(stack_pointers_.begin(module, arena, diag));
  TRY(collect_expressions(diag));
  TRY(collect_edges(diag));
  TRY(stack_pointers_.finish());
  return order_components(diag);
}

namespace {

bool is_func_ref(ValType type) { return is_ref(type) && top_of(type) == ValType::kFuncRef; }
bool has_func_refs(Span<const ValType> types) {
  for (ValType type : types)
    if (is_func_ref(type)) return true;
  return false;
}

}  // namespace

// Every way in which references to functions reach the module from outside.
void CallGraph::note_sources() {
  const Module& module = *module_;
  for (u32 i = 0; i < module.tables.size(); i++, tick())
    has_foreign_refs_ |= shared_tables_.test(i) && is_func_ref(module.tables[i].type.elem);
  for (u32 i = 0; i < module.imported_globals; i++, tick())
    has_foreign_refs_ |= is_func_ref(module.globals[i].type.type);
  for (const Export& e : paced(module.exports))
    if (e.kind == ExternKind::kGlobal)
      has_foreign_refs_ |=
          module.globals[e.index].type.is_mutable && is_func_ref(module.globals[e.index].type.type);
  for (u32 i = 0; i < module.functions.size(); i++, tick()) {
    const FuncType& type = module.func_type(i);
    has_foreign_refs_ |= module.is_imported_function(i)
                             ? has_func_refs(type.results)
                             : module.functions[i].address_taken && has_func_refs(type.params);
  }
  for (u32 i = 0; i < module.tags.size(); i++, tick())
    has_foreign_refs_ |= has_func_refs(module.tag_type(i).params);
}

void CallGraph::take(u32 func) {
  if (taken_.test(func)) return;
  taken_.set(func);
  u32 type = canonical_type_[module_->functions[func].type];
  taken_next_[func] = taken_head_[type];
  taken_head_[type] = func;
}

Err CallGraph::collect_expression(Range range, Diag* diag) {
  Instr instr;
  for (u32 at = range.begin; at < range.end; at = instr.next, tick()) {
    TRY(decode_instr(module_->bytes, at, range.end, kNone, &instr, diag));
    if (instr.op == Opcode::kRefFunc) take(instr.index);
    if (instr.op == Opcode::kGlobalGet)
      moves_refs_ |= is_func_ref(module_->globals[instr.index].type.type);
  }
  return Err::kOk;
}

// Functions and references that may get into a table of this instance other than by its code or by being exported.
Err CallGraph::collect_expressions(Diag* diag) {
  for (const ElementSegment& segment : paced(module_->elements)) {
    for (u32 func : paced(segment.functions)) take(func);
    for (Range expression : paced(segment.expressions)) TRY(collect_expression(expression, diag));
  }
  for (const Table& table : paced(module_->tables)) TRY(collect_expression(table.init, diag));
  for (const Global& global : paced(module_->globals)) TRY(collect_expression(global.init, diag));
  return Err::kOk;
}

Err CallGraph::add_edge(u32 from, u32 to, Diag* diag) {
  if (last_caller_[to] == from + 1) return Err::kOk;
  last_caller_[to] = from + 1;
  return edges_.push(to) ? Err::kOk : diag->no_memory();
}

Err CallGraph::collect_calls_of(u32 func, Diag* diag) {
  const Module& module = *module_;
  if (module.is_imported_function(func)) {
    if (bindings_->functions[func].kind != BindingKind::kWasm) return Err::kOk;
    depth_[func] = kUnknownDepth;
    return add_edge(func, unknown_node_, diag);
  }
  Range body = module.functions[func].body;
  u32 at = body.begin;
  for (u32 runs = local_run_count(module.bytes, &at); runs > 0; runs--, tick())
    next_local_run(module.bytes, &at);
  TRY(stack_pointers_.enter(func));
  Instr instr;
  for (; at < body.end; at = instr.next, tick()) {
    TRY(decode_instr(module.bytes, at, body.end, func, &instr, diag));
    TRY(collect_call(func, instr, diag));
    TRY(stack_pointers_.step(instr));
  }
  stack_pointers_.leave();
  return Err::kOk;
}

Err CallGraph::collect_call(u32 func, const Instr& instr, Diag* diag) {
  const Module& module = *module_;
  switch (instr.op) {
    case Opcode::kReturnCall:
      tail_called_types_.set(module.functions[instr.index].type);
      [[fallthrough]];
    case Opcode::kCall: return add_edge(func, instr.index, diag);
    case Opcode::kReturnCallIndirect: tail_called_types_.set(instr.index); [[fallthrough]];
    case Opcode::kCallIndirect:
      TRY(add_edge(func, type_node(instr.index), diag));
      return is_shared_table(instr.index2) ? add_edge(func, unknown_node_, diag) : Err::kOk;
    case Opcode::kReturnCallRef: tail_called_types_.set(instr.index); [[fallthrough]];
    case Opcode::kCallRef: moves_refs_ = true; return add_edge(func, type_node(instr.index), diag);
    case Opcode::kRefFunc: take(instr.index); return Err::kOk;
    case Opcode::kTableGrow: growing_tables_.set(instr.index); [[fallthrough]];
    case Opcode::kTableGet:
    case Opcode::kTableSet:
    case Opcode::kTableFill: moves_refs_ = true; return Err::kOk;
    case Opcode::kTableCopy: moves_refs_ |= instr.index != instr.index2; return Err::kOk;
    case Opcode::kThrow: has_throw_ = true; [[fallthrough]];
    case Opcode::kThrowRef: may_throw_[func] = 1; return Err::kOk;
    default: return Err::kOk;
  }
}

Err CallGraph::collect_edges(Diag* diag) {
  for (u32 func = 0; func < function_count_; func++, tick()) {
    if (!rows_.push(edges_.size())) return diag->no_memory();
    TRY(collect_calls_of(func, diag));
  }
  for (u32 type = 0; type < module_->types.size(); type++, tick()) {
    if (!rows_.push(edges_.size())) return diag->no_memory();
    for (u32 func = taken_head_[type]; func != kNone; func = taken_next_[func], tick())
      TRY(add_edge(function_count_ + type, func, diag));
    // Any table may hold, and any reference be, one of another instance.
    if (has_foreign_refs_ && moves_refs_ && canonical_type_[type] == type)
      TRY(add_edge(function_count_ + type, unknown_node_, diag));
  }
  if (!rows_.push(edges_.size())) return diag->no_memory();
  for (u32 func = 0; func < function_count_; func++, tick())
    if (module_->functions[func].address_taken) TRY(add_edge(unknown_node_, func, diag));
  return rows_.push(edges_.size()) ? Err::kOk : diag->no_memory();
}

// Tarjan: components leave the stack in the order callees first.
Err CallGraph::order_components(Diag* diag) {
  struct Visit {
    u32 node;
    u32 next_edge;
  };
  u32 nodes = unknown_node_ + 1;
  Span<u32> number = arena_->make_array<u32>(nodes);  // order of discovery, from 1; 0: not yet
  Span<u32> low =
      arena_->make_array<u32>(nodes);  // the lowest number reachable within the component
  BitSet on_stack;
  Vec<u32> stack(arena_);
  Vec<Visit> visits(arena_);
  if (number.size() != nodes || low.size() != nodes || !on_stack.init(arena_, nodes))
    return diag->no_memory();
  u32 discovered = 0;

  for (u32 start = 0; start < nodes; start++, tick()) {
    if (number[start]) continue;
    if (!visits.push({start, rows_[start]})) return diag->no_memory();
    while (!visits.empty()) {
      tick();
      u32 node = visits.back().node;
      if (!number[node]) {
        number[node] = low[node] = ++discovered;
        on_stack.set(node);
        if (!stack.push(node)) return diag->no_memory();
      }
      if (visits.back().next_edge < rows_[node + 1]) {
        u32 callee = edges_[visits.back().next_edge++];
        if (!number[callee]) {
          if (!visits.push({callee, rows_[callee]})) return diag->no_memory();
        } else if (on_stack.test(callee)) {
          low[node] = min(low[node], number[callee]);
        }
        continue;
      }
      visits.pop();
      if (!visits.empty()) low[visits.back().node] = min(low[visits.back().node], low[node]);
      if (low[node] != number[node]) continue;
      bool is_cycle = stack.back() != node;
      u32 size = 1;
      for (; stack[stack.size() - size] != node; size++) tick();
      finish_component(stack.span().slice(stack.size() - size, size));
      for (u32 member = kNone; member != node; tick()) {
        member = stack.pop();
        on_stack.clear(member);
        if (member >= function_count_) continue;
        if (is_cycle) recursive_.set(member);
        if (!module_->is_imported_function(member) && !order_.push(member))
          return diag->no_memory();
      }
    }
  }
  for (u32 func = 0; func < function_count_; func++, tick())
    for (u32 callee : ticking(edges_of(func))) {
      if (callee == func) recursive_.set(func);
      indirect_may_throw_ |= callee >= function_count_ && may_throw_[callee];
      calls_outside_ |= callee == unknown_node_;
    }
  for (u32 type = function_count_; type < unknown_node_; type++, tick())
    for (u32 callee : ticking(edges_of(type))) calls_outside_ |= callee == unknown_node_;
  return Err::kOk;
}

// What the members of a component call, outside of it, is known already.
void CallGraph::finish_component(Span<const u32> members) {
  bool throws = false;
  for (u32 member : paced(members)) {
    throws |= may_throw_[member] != 0;
    for (u32 callee : ticking(edges_of(member))) throws |= may_throw_[callee] != 0;
  }
  for (u32 member : paced(members)) may_throw_[member] = throws;
}

bool CallGraph::note_cost(u32 func, u64 cost, u64 most) {
  bool pays = recursive_.test(func) || cost > most;
  unpaid_[func] = pays ? 0 : cost;
  return pays;
}

// As much as the dearest function there.
u64 CallGraph::unpaid_indirect(u32 type) {
  if (calls_outside_) return kMaxUnpaidOutside;
  u32 node = type_node(type);
  if (!unpaid_known_.test(node)) {
    for (u32 callee : ticking(edges_of(node))) unpaid_[node] = max(unpaid_[node], unpaid_[callee]);
    unpaid_known_.set(node);
  }
  return unpaid_[node];
}

Err CallGraph::find_hook_import(u32 func, u32* out, Diag* diag) const {
  BitSet seen;
  Vec<u32> pending(arena_);
  *out = kNone;
  if (!seen.init(arena_, function_count_) || !pending.push(func)) return diag->no_memory();
  seen.set(func);
  while (!pending.empty()) {
    tick();
    u32 caller = pending.pop();
    if (module_->is_imported_function(caller) && bindings_->functions[caller].needs_hook) {
      *out = caller;
      return Err::kOk;
    }
    for (u32 callee : ticking(edges_of(caller))) {
      if (callee >= function_count_ || seen.test(callee)) continue;
      seen.set(callee);
      if (!pending.push(callee)) return diag->no_memory();
    }
  }
  return Err::kOk;
}

u64 CallGraph::depth_of(u32 node) const {
  // Recursive functions check the stack themselves, wherever in their cycle the question comes from.
  if (node < function_count_ && recursive_.test(node) && !module_->is_imported_function(node))
    return kReturnAddressBytes;
  return depth_[node];
}

u64 CallGraph::callee_depth(u32 func) {
  u64 deepest = 0;
  for (u32 callee : ticking(edges_of(func))) {
    if (callee >= function_count_ && !depth_known_.test(callee)) {
      for (u32 target : ticking(edges_of(callee)))
        depth_[callee] = max(depth_[callee], depth_of(target));
      depth_known_.set(callee);
    }
    deepest = max(deepest, depth_of(callee));
  }
  return deepest;
}

void CallGraph::note(u32 func, u64 own_bytes, bool is_checked) {
  depth_[func] = is_checked ? kReturnAddressBytes : own_bytes + callee_depth(func);
}

}  // namespace wring::link
