// SPDX-License-Identifier: GPL-2.0
// Validation of function bodies, continued: blocks, branches, calls and exceptions.
#include "core/wasm/validator.h"

namespace wring {

Err BodyValidator::apply_control(const Instr& in) {
  switch (in.op) {
    case Opcode::kUnreachable: set_unreachable(); return Err::kOk;
    case Opcode::kBlock:
    case Opcode::kLoop:
    case Opcode::kTryTable:
    case Opcode::kIf: return enter(in);
    case Opcode::kElse: return begin_else();
    case Opcode::kEnd: return end();
    case Opcode::kBr: return br(in.index);
    case Opcode::kBrIf: return br_if(in.index);
    case Opcode::kBrTable: return br_table(in);
    case Opcode::kBrOnNull: return br_on_null(in.index);
    case Opcode::kBrOnNonNull: return br_on_non_null(in.index);
    case Opcode::kReturn: return br(frames_.size() - 1);
    case Opcode::kCall:
    case Opcode::kReturnCall: return call(m_.func_type(in.index), in.op == Opcode::kReturnCall);
    case Opcode::kCallIndirect:
    case Opcode::kReturnCallIndirect: {
      const ValType elem = m_.tables[in.index2].type.elem;
      if (!matches(elem, ValType::kFuncRef)) return mismatch(ValType::kFuncRef, name_of(elem));
      TRY(pop(table_index_type(in.index2)));
      return call(m_.types[in.index], in.op == Opcode::kReturnCallIndirect);
    }
    case Opcode::kCallRef:
    case Opcode::kReturnCallRef:
      TRY(pop(ref_to(in.index, true)));
      return call(m_.types[in.index], in.op == Opcode::kReturnCallRef);
    case Opcode::kThrow:
      TRY(pop_all(m_.tag_type(in.index).params));
      set_unreachable();
      return Err::kOk;
    case Opcode::kThrowRef:
      TRY(pop(ValType::kExnRef));
      set_unreachable();
      return Err::kOk;
    default: WRING_UNREACHABLE();
  }
}

// Blocks.

Err BodyValidator::enter(const Instr& in) {
  const Types params = params_of(in.block);
  if (in.op == Opcode::kIf) TRY(pop(ValType::kI32));
  TRY(pop_all(params));
  if (frames_.size() > kMaxBlockDepth)
    return diag_->fail(Err::kLimit, func_, at_, "blocks nested deeper than %u", kMaxBlockDepth);
  if (!frames_.push({in.block, stack_.size(), initialized_.size(), kNone, in.op, false}))
    return diag_->no_memory();
  return push_all(params);
}

// The innermost block's operands are exactly its results. Locals it has initialized are so no longer.
Err BodyValidator::finish_block(const Frame& frame) {
  const Types results = results_of(frame.type);
  if (available() > results.size())
    return invalid("type mismatch: expected %u values at the end of the block, found %u",
                   results.size(), available());
  TRY(check_top(results));
  truncate(frame.height);
  while (initialized_.size() > frame.initialized) {
    tick();
    ValType& local = locals_[initialized_.pop()];
    local = with_unset(local);
  }
  return Err::kOk;
}

Err BodyValidator::end() {
  const Frame frame = frames_.back();
  TRY(finish_block(frame));
  const Types results = results_of(frame.type);
  if (frame.op == Opcode::kIf && !is_subtype(m_.type_canonical, params_of(frame.type), results))
    return invalid("type mismatch: an if without else must return what it takes");
  frames_.pop();
  return push_all(results);
}

Err BodyValidator::begin_else() {
  Frame& frame = frames_.back();
  if (frame.op != Opcode::kIf)
    return diag_->fail(Err::kMalformed, func_, at_, "misplaced ELSE opcode");
  TRY(finish_block(frame));
  frame.op = Opcode::kElse;
  frame.unreachable = false;
  return push_all(params_of(frame.type));
}

// Branches.

Err BodyValidator::br(u32 label) {
  TRY(check_top(label_types(label)));
  set_unreachable();
  return Err::kOk;
}

Err BodyValidator::br_if(u32 label) {
  const Types types = label_types(label);
  TRY(pop(ValType::kI32));
  // Replaces the operands' own types by the label's.
  TRY(pop_all(types));
  return push_all(types);
}

Err BodyValidator::br_table(const Instr& in) {
  TRY(pop(ValType::kI32));
  TRY(check_index(in.index, frames_.size(), "label"));
  const Types default_types = label_types(in.index);
  TRY(check_top(default_types));
  u32 next = in.list;
  for (u32 i = 0; i < in.index2; i++, tick()) {
    const u32 label = next_label(m_.bytes, &next);
    TRY(check_index(label, frames_.size(), "label"));
    Frame& frame = frames_[frames_.size() - 1 - label];
    if (frame.checked_by == in.offset) continue;
    frame.checked_by = in.offset;
    const Types types = label_types(label);
    if (types.size() != default_types.size())
      return invalid("type mismatch: br_table to labels of %u and %u values", default_types.size(),
                     types.size());
    TRY(check_top(types));
  }
  set_unreachable();
  return Err::kOk;
}

// Branches without the reference if it is null; goes on with it otherwise.
Err BodyValidator::br_on_null(u32 label) {
  const Types types = label_types(label);
  ValType type;
  TRY(pop_ref(&type));
  TRY(pop_all(types));
  TRY(push_all(types));
  return push(as_non_null(type));
}

// Branches with the reference unless it is null; goes on without it otherwise.
Err BodyValidator::br_on_non_null(u32 label) {
  const Types types = label_types(label);
  ValType type;
  TRY(pop_ref(&type));
  if (types.empty())
    return invalid("type mismatch: br_on_non_null to a label that takes no reference");
  const ValType last = types[types.size() - 1];
  if (!matches(as_non_null(type), last)) return mismatch(last, name_of(as_non_null(type)));
  const Types rest = types.slice(0, types.size() - 1);
  TRY(pop_all(rest));
  return push_all(rest);
}

// Calls and exceptions.

Err BodyValidator::call(const FuncType& type, bool is_tail) {
  TRY(pop_all(type.params));
  if (!is_tail) return push_all(type.results);
  const Types wanted = label_types(frames_.size() - 1);
  tick(wanted.size() / 4);
  if (!is_subtype(m_.type_canonical, type.results, wanted))
    return invalid("type mismatch: results of the %s are not those of the caller",
                   info_of(op_).text);
  set_unreachable();
  return Err::kOk;
}

Err BodyValidator::check_catches(const Instr& in) {
  u32 next = in.list;
  for (u32 i = 0; i < in.index2; i++, tick()) TRY(check_catch(next_catch(m_.bytes, &next)));
  return Err::kOk;
}

// The label, seen from outside the try_table, takes the tag's values and then the exception, as far as the clause
// has them.
Err BodyValidator::check_catch(const CatchClause& clause) {
  Types values;
  if (clause.kind == CatchClause::kCatch || clause.kind == CatchClause::kCatchRef) {
    TRY(check_index(clause.tag, m_.tags.size(), "tag"));
    values = m_.tag_type(clause.tag).params;
  }
  const bool has_exception =
      clause.kind == CatchClause::kCatchRef || clause.kind == CatchClause::kCatchAllRef;
  TRY(check_index(clause.label, frames_.size(), "label"));
  const Types wanted = label_types(clause.label);
  tick(wanted.size() / 4);
  if (wanted.size() != values.size() + has_exception)
    return invalid("type mismatch: a catch clause brings %u values to a label of %u",
                   values.size() + has_exception, wanted.size());
  if (!is_subtype(m_.type_canonical, values, wanted.slice(0, values.size())))
    return invalid("type mismatch: a catch clause and its label differ in the values of tag %u",
                   clause.tag);
  const ValType exception = as_non_null(ValType::kExnRef);
  if (has_exception && !matches(exception, wanted[values.size()]))
    return mismatch(wanted[values.size()], name_of(exception));
  return Err::kOk;
}

}  // namespace wring
