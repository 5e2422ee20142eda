// SPDX-License-Identifier: GPL-2.0
// SSA construction: exceptions (spec, section 4.6.8.10).
//
// Whoever throws leaves the exception in the vmctx and returns, with any results; a call that may come back so is
// followed by a test. Within a function an exception goes to the dispatch of the innermost try_table around: a label
// like any other, whose branches carry nothing but the state of the locals. It compares tags in the order of the
// clauses and passes on what none of them catches.
#include "core/ir/builder.h"

namespace wring::ir {

namespace {

constexpr i64 kTagOffset = __builtin_offsetof(wring_exception, tag);
constexpr i64 kEscapedOffset = __builtin_offsetof(wring_exception, is_escaped);
constexpr i64 kValuesOffset = __builtin_offsetof(wring_exception, values);

MemKind raw_kind(Type type) {
  switch (type) {
    case Type::kI32:
    case Type::kF32: return MemKind::k32U;
    case Type::kV128: return MemKind::k128;
    default: return MemKind::k64;
  }
}
i64 slot_bytes(Type type) { return type == Type::kV128 ? 16 : 8; }

}  // namespace

BlockId Builder::unlikely_block() {
  BlockId block = new_block();
  if (!failed_) f_->blocks[block].is_unlikely = true;
  return block;
}

// Returns with results that nobody looks at.
BlockId Builder::unwind_block() {
  if (unwind_block_ != kNone) return unwind_block_;
  BlockId block = unlikely_block();
  if (failed_) return 0;
  BlockId here = block_;
  block_ = block;
  row_.clear();
  for (ValType type : module_.func_type(f_->index).results)
    failed_ |= !row_.push(zero(type_of(type)));
  if (!failed_) emit_pool(make_inst(Op::kReturn, Type::kVoid), row_.span());
  block_ = here;
  return unwind_block_ = block;
}

// An edge to where the exception in the vmctx is looked at next.
void Builder::unwind_edge(BlockId from) {
  if (try_ == kNone) return edge(from, unwind_block());
  Frame& frame = frames_[try_];
  if (frame.dispatch == kNone) {
    Frame handler = {};
    handler.kind = FrameKind::kBlock;
    handler.height = frame.height;
    handler.first = handler.last = kNone;
    handler.label = unlikely_block();
    if (!dispatches_.push(handler)) failed_ = true;
    if (failed_) return;
    frame.dispatch = dispatches_.size() - 1;
  }
  Frame& handler = dispatches_[frame.dispatch];
  edge(from, handler.label);
  if (!failed_) record_branch(&handler);
}

// Ends the current block with the exception in the vmctx on its way.
void Builder::unwind() {
  emit(make_inst(Op::kJump, Type::kVoid));
  unwind_edge(block_);
  live_ = false;
}

// After a call that may come back with an exception.
void Builder::check_exception() {
  if (module_.is_imported_function(f_->index)) return;  // an adapter returns in any case
  Value exception =
      load_vmctx(Type::kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, exception), false);
  BlockId from = block_;
  BlockId next = new_block();
  if (failed_) return;
  emit(make_inst(Op::kBranch, Type::kVoid,
                 emit_compare(Op::kNe, Type::kI64, exception, constant(Type::kI64, 0))));
  unwind_edge(from);
  edge(from, next);
  start_block(next);
}

void Builder::do_throw(u32 tag) {
  Span<const ValType> types = module_.tag_type(tag).params;
  Value args[] = {constant(Type::kI32, tag), constant(Type::kI32, func_),
                  constant(Type::kI32, origin_)};
  Value exception = libcall(Libcall::kExnNew, args, Type::kI64);
  i64 at = kValuesOffset;
  for (u32 i = 0; i < types.size(); i++, tick()) {
    Value value = stack_[stack_.size() - types.size() + i];
    Type type = type_of_value(value);
    store_raw(Op::kStoreRaw, raw_kind(type), exception, at, value);
    at += slot_bytes(type);
  }
  if (!stack_.resize(stack_.size() - types.size())) failed_ = true;
  store_raw(Op::kStoreRaw, MemKind::k64, vmctx(), __builtin_offsetof(wring_vmctx, exception),
            exception);
  unwind();
}

void Builder::throw_ref() {
  Value exception = pop();
  check_null(exception, TrapReason::kNullReference);
  store_raw(Op::kStoreRaw, MemKind::k64, vmctx(), __builtin_offsetof(wring_vmctx, exception),
            exception);
  unwind();
}

Err Builder::do_try(const Instr& in, u32 params, u32 results) {
  TRY(push_frame(FrameKind::kTry, params, results));
  Frame& frame = frames_.back();
  frame.clauses = in.list;
  frame.clause_count = in.index2;
  frame.outer_try = try_;
  try_ = frames_.size() - 1;
  return Err::kOk;
}

Err Builder::end_try() {
  Frame frame = frames_.back();
  try_ = frame.outer_try;
  if (frame.dispatch == kNone && frame.branches == 0) {
    frames_.pop();
    return Err::kOk;
  }
  if (live_) {
    branch_to(0);
    frame = frames_.back();
  }
  frames_.pop();  // the clauses' labels count from outside
  if (failed_) return Err::kOk;
  if (frame.dispatch != kNone) {
    Frame handler = dispatches_[frame.dispatch];
    TRY(start_label(&handler));
    if (work_ > kMaxSsaWork || failed_) return Err::kOk;
    dispatch(frame, load_vmctx(Type::kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, exception),
                               false));
  }
  if (work_ > kMaxSsaWork || failed_) return Err::kOk;
  return frame.branches ? start_label(&frame) : Err::kOk;
}

// What a clause's label gets of the exception: its values in order.
void Builder::catch_values(u32 tag, Value exception) {
  i64 at = kValuesOffset;
  Span<const ValType> types = module_.tag_type(tag).params;
  for (ValType t : ticking(types)) {
    Type type = type_of(t);
    push(load_raw(type, raw_kind(type), exception, at, false));
    at += slot_bytes(type);
  }
  work_ += types.size() * u64{kSsaPhiWork};  // a few bytes of code make many instructions
}

// Branches to the first clause that catches the exception, else passes it on.
void Builder::dispatch(const Frame& frame, Value exception) {
  Value tag = kNone;
  u32 at = frame.clauses;
  for (u32 i = 0; i < frame.clause_count; i++, tick(32)) {
    CatchClause clause = next_catch(module_.bytes, &at);
    bool has_tag = clause.kind == CatchClause::kCatch || clause.kind == CatchClause::kCatchRef;
    bool has_ref =
        clause.kind == CatchClause::kCatchRef || clause.kind == CatchClause::kCatchAllRef;
    BlockId next = kNone;
    Value caught = exception;
    if (has_tag) {
      if (tag == kNone) tag = load_raw(Type::kI64, MemKind::k64, exception, kTagOffset, false);
      Value tags =
          load_vmctx(Type::kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, tags), true);
      Value mine = load_raw(Type::kI64, MemKind::k64, tags, i64{clause.tag} * 8, true);
      BlockId from = block_;
      BlockId match = unlikely_block();
      next = unlikely_block();
      if (failed_) return;
      emit(make_inst(Op::kBranch, Type::kVoid, emit_compare(Op::kEq, Type::kI64, tag, mine)));
      edge(from, match);
      edge(from, next);
      start_block(match);
      // Other tags have numbers where this one has references.
      caught = match_or_null(exception, tag, mine);
    }
    store_raw(Op::kStoreRaw, MemKind::k64, vmctx(), __builtin_offsetof(wring_vmctx, exception),
              constant(Type::kI64, 0));
    u32 height = stack_.size();
    if (has_tag) catch_values(clause.tag, caught);
    if (has_ref) {
      store_raw(Op::kStoreRaw, MemKind::k32U, caught, kEscapedOffset, constant(Type::kI32, 1));
      push(caught);
    } else {
      libcall(Libcall::kExnFree, {&caught, 1}, Type::kVoid);
    }
    if (failed_ || work_ > kMaxSsaWork) return;  // run() reports it
    branch_to(clause.label);
    failed_ |= !stack_.resize(height);
    if (!has_tag || failed_) return;
    start_block(next);
  }
  unwind();
}

}  // namespace wring::ir
