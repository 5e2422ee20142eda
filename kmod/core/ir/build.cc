// SPDX-License-Identifier: GPL-2.0
// SSA construction: the walk over a body, control flow and locals.
#include "core/ir/builder.h"
#include "core/ir/cfg.h"

namespace wring::ir {

Err build(const BuildContext& context, u32 func, Function* out, Diag* diag) {
  Arena scratch(out->arena->budget());
  void* place = scratch.alloc(sizeof(Builder));  // too large for a kernel stack's frame
  if (!place) return diag->no_memory();
  return (new (place) Builder(context, func, out, &scratch, diag))->run();
}

Builder::Builder(const BuildContext& context, u32 func, Function* out, Arena* scratch, Diag* diag)
    : context_(context),
      module_(*context.module),
      f_(out),
      scratch_(scratch),
      diag_(diag),
      func_(func),
      frames_(scratch),
      stack_(scratch),
      values_(scratch),
      branches_(scratch),
      loop_phis_(scratch),
      dispatches_(scratch),
      row_(scratch),
      states_(scratch) {}

Err Builder::run() {
  TRY(begin());
  Instr in;
  while (!frames_.empty()) {
    tick(4);
    TRY(decode_instr(module_.bytes, pos_, end_, func_, &in, diag_));
    origin_ = in.offset;
    pos_ = in.next;
    if (!live_) {
      // Only the structure matters until a label makes code reachable again.
      if (in.op == Opcode::kBlock || in.op == Opcode::kLoop || in.op == Opcode::kIf ||
          in.op == Opcode::kTryTable) {
        dead_depth_++;
        continue;
      }
      if (in.op != Opcode::kEnd && (in.op != Opcode::kElse || dead_depth_)) continue;
      if (dead_depth_) {
        dead_depth_--;
        continue;
      }
    }
    TRY(instruction(in));
    if (failed_) return diag_->no_memory();
    if (work_ + locals_.work() > kMaxSsaWork) return too_much_ssa_work(func_, in.offset, diag_);
  }
  if (consts_.flush() != Err::kOk) return diag_->no_memory();
  return analyze_cfg(f_, diag_);
}

// Constants of an entry block, parameters and locals of the function itself.
Err Builder::begin() {
  const wring::Function& function = module_.functions[func_];
  const FuncType& type = module_.types[function.type];
  f_->module = &module_;
  f_->index = func_;
  f_->clamps_speculation = context_.clamp_speculation;
  if (!module_.memories.empty()) {
    const Limits& limits = module_.memories[0].type.limits;
    u64 pages = context_.max_memory_pages;
    if (module_.imported_memories == 0)
      pages = most_pages(limits, pages);
    else if (limits.has_max)
      pages = min(pages, limits.max);
    f_->max_memory_bytes = pages * kWasmPageBytes;
  }
  origin_ = function.body.begin;
  // One instruction per two or three bytes of code is usual.
  if (!f_->insts.reserve(function.body.size() / 3 + 64) || !locals_.init(scratch_) ||
      add_block(f_) == kNone || consts_.init(f_, scratch_) != Err::kOk || consts_.vmctx() == kNone)
    return diag_->no_memory();
  loops_.init(scratch_, &module_, func_);
  for (u32 i = 0; i < type.params.size(); i++) {
    Inst param = make_inst(Op::kParam, type_of(type.params[i]));
    param.aux = static_cast<u16>(i);
    failed_ |= !locals_.add_local(emit(param));
  }
  TRY(push_frame(FrameKind::kFunction, 0, type.results.size()));
  if (module_.is_imported_function(func_)) return adapter(type);
  TRY(begin_locals(func_, type.params.size()));
  own_locals_ = locals_.size();
  return Err::kOk;
}

// The whole of an imported function's adapter: passes its parameters on and returns what comes back.
Err Builder::adapter(const FuncType& type) {
  for (u32 i = 0; i < type.params.size(); i++) push(local(i));
  TRY(call_import(func_, false));
  do_return();
  frames_.pop();
  return failed_ ? diag_->no_memory() : Err::kOk;
}

// Reads the local declarations of `func` and starts reading its body. Locals start out as zero.
Err Builder::begin_locals(u32 func, u32 params) {
  const Range& body = module_.functions[func].body;
  func_ = func;
  pos_ = body.begin;
  end_ = body.end;
  u32 index = local_base_ + params;
  u32 runs = local_run_count(module_.bytes, &pos_);
  for (u32 i = 0; i < runs; i++) {
    LocalRun run = next_local_run(module_.bytes, &pos_);
    if (run.count == 0) continue;
    // A local that may not be null has been assigned before it is read.
    Value start = zero(type_of(run.type));
    for (u32 j = 0; j < run.count; j++, index++, tick()) {
      bool ok = index < locals_.size() ? locals_.set(index, start) : locals_.add_local(start);
      if (!ok) return diag_->no_memory();
    }
  }
  return failed_ ? diag_->no_memory() : Err::kOk;
}

void Builder::block_arity(const BlockType& type, u32* params, u32* results) const {
  *params = 0;
  *results = type.result != ValType::kBottom;
  if (type.type == kNone) return;
  *params = module_.types[type.type].params.size();
  *results = module_.types[type.type].results.size();
}

Err Builder::instruction(const Instr& in) {
  switch (in.op) {
    case Opcode::kUnreachable:
    case Opcode::kBlock:
    case Opcode::kLoop:
    case Opcode::kIf:
    case Opcode::kElse:
    case Opcode::kEnd:
    case Opcode::kBr:
    case Opcode::kBrIf:
    case Opcode::kBrTable:
    case Opcode::kReturn:
    case Opcode::kTryTable: return control(in);
    case Opcode::kNop: return Err::kOk;
    case Opcode::kDrop: pop(); return Err::kOk;
    case Opcode::kLocalGet: push(local(in.index)); return Err::kOk;
    case Opcode::kLocalSet: failed_ |= !locals_.set(local_base_ + in.index, pop()); return Err::kOk;
    case Opcode::kLocalTee:
      failed_ |= !locals_.set(local_base_ + in.index, stack_.back());
      return Err::kOk;
    default: return operation(in);
  }
}

Err Builder::control(const Instr& in) {
  u32 params, results;
  switch (in.op) {
    case Opcode::kUnreachable: trap(TrapReason::kUnreachable); return Err::kOk;
    case Opcode::kBlock:
      block_arity(in.block, &params, &results);
      return push_frame(FrameKind::kBlock, params, results);
    case Opcode::kLoop:
      block_arity(in.block, &params, &results);
      return do_loop(in, params, results);
    case Opcode::kIf: block_arity(in.block, &params, &results); return do_if(params, results);
    case Opcode::kTryTable:
      block_arity(in.block, &params, &results);
      return do_try(in, params, results);
    case Opcode::kElse: return do_else();
    case Opcode::kEnd: return do_end();
    case Opcode::kBr:
      if (frame_at(in.index).kind == FrameKind::kFunction) {
        do_return();
      } else {
        branch_to(in.index);
      }
      return Err::kOk;
    case Opcode::kBrIf: do_br_if(pop(), in.index); return Err::kOk;
    case Opcode::kBrTable: return do_br_table(in);
    default:  // kReturn
      leave();
      return Err::kOk;
  }
}

// Returns from the body being read.
void Builder::leave() {
  if (body_frame_ == 0)
    do_return();
  else
    branch_to(frames_.size() - 1 - body_frame_);
}

// A branch that carries what is on top of the stack now.
void Builder::do_br_if(Value condition, u32 depth) {
  // The block that follows in the source gets the lower number.
  BlockId next = new_block();
  Frame& frame = frame_at(depth);
  BlockId from = block_;
  BlockId label = label_of(&frame);
  if (failed_) return;
  emit(make_inst(Op::kBranch, Type::kVoid, condition));
  edge(from, label);
  record_branch(&frame);
  edge(from, next);
  start_block(next);
}

Err Builder::push_frame(FrameKind kind, u32 params, u32 results) {
  Frame frame = {};
  frame.kind = kind;
  frame.params = params;
  frame.results = results;
  frame.height = stack_.size() - params;
  frame.label = frame.first = frame.last = frame.else_block = frame.landing = kNone;
  frame.dispatch = kNone;
  frame.state = locals_.current();
  return frames_.push(frame) ? Err::kOk : diag_->no_memory();
}

Builder::Frame& Builder::frame_at(u32 depth) { return frames_[frames_.size() - 1 - depth]; }

void Builder::start_block(BlockId block) {
  block_ = block;
  live_ = true;
}

// Ends the current block with a terminator that leads nowhere, or whose edges exist already.
void Builder::end_with(const Inst& inst) {
  emit(inst);
  live_ = false;
}

BlockId Builder::label_of(Frame* frame) {
  if (frame->label == kNone) frame->label = new_block();
  return frame->label;
}

u32 Builder::save_values(u32 from) {
  u32 start = values_.size();
  for (u32 i = from; i < stack_.size(); i++, tick()) failed_ |= !values_.push(stack_[i]);
  work_ += stack_.size() - from;
  return start;
}

// Notes what the edge just added to the frame's label carries: its operands are on top of the stack.
void Builder::record_branch(Frame* frame) {
  bool is_loop = frame->kind == FrameKind::kLoop;
  u32 arity = is_loop ? frame->params : frame->results;
  u32 start = save_values(stack_.size() - arity);
  if (is_loop) {
    for (const LoopPhi& p : paced(loop_phis_.span().slice(frame->phis, frame->phi_count)))
      failed_ |= !values_.push(locals_.get(p.local));
    work_ += frame->phi_count;
  }
  u32 index = branches_.size();
  failed_ |= !branches_.push({kNone, locals_.current(), start});
  if (failed_) return;
  if (frame->first == kNone)
    frame->first = index;
  else
    branches_[frame->last].next = index;
  frame->last = index;
  frame->branches++;
}

// An unconditional branch: ends the current block.
void Builder::branch_to(u32 depth) {
  Frame& frame = frame_at(depth);
  BlockId label = label_of(&frame);
  if (failed_) return;
  edge(block_, label);
  record_branch(&frame);
  end_with(make_inst(Op::kJump, Type::kVoid));
}

void Builder::do_return() {
  u32 results = frames_[0].results;
  emit_pool(make_inst(Op::kReturn, Type::kVoid),
            stack_.span().slice(stack_.size() - results, results));
  live_ = false;
}

Err Builder::do_br_table(const Instr& in) {
  Value index = pop();
  if (in.index2 == 0) {
    branch_to(in.index);
    return Err::kOk;
  }
  // Edges to the same label share a landing block, so that the label's phis have one argument for all.
  u32 offset = in.list;
  for (u32 i = 0; i <= in.index2; i++, tick()) {
    u32 depth = i < in.index2 ? next_label(module_.bytes, &offset) : in.index;
    frame_at(depth).edges++;
  }
  BlockId from = block_;
  emit(make_inst(Op::kSwitch, Type::kVoid, index));
  offset = in.list;
  for (u32 i = 0; i <= in.index2; i++, tick()) {
    u32 depth = i < in.index2 ? next_label(module_.bytes, &offset) : in.index;
    Frame& frame = frame_at(depth);
    if (frame.edges > 1 && frame.landing == kNone) {
      frame.landing = new_block();
      block_ = frame.landing;
      BlockId label = label_of(&frame);
      if (failed_) return Err::kOk;
      emit(make_inst(Op::kJump, Type::kVoid));
      edge(block_, label);
      record_branch(&frame);
    }
    if (frame.landing != kNone) {
      edge(from, frame.landing);
    } else {
      edge(from, label_of(&frame));
      record_branch(&frame);
    }
    if (failed_) return Err::kOk;
  }
  offset = in.list;
  for (u32 i = 0; i <= in.index2; i++, tick()) {
    u32 depth = i < in.index2 ? next_label(module_.bytes, &offset) : in.index;
    frame_at(depth).edges = 0;
    frame_at(depth).landing = kNone;
  }
  live_ = false;
  return Err::kOk;
}

Err Builder::do_if(u32 params, u32 results) {
  Value condition = pop();
  TRY(push_frame(FrameKind::kIf, params, results));
  Frame& frame = frames_.back();
  frame.saved = save_values(frame.height);
  BlockId from = block_;
  BlockId then_block = new_block();
  frame.else_block = new_block();
  if (failed_) return Err::kOk;
  emit(make_inst(Op::kBranch, Type::kVoid, condition));
  edge(from, then_block);
  edge(from, frame.else_block);
  start_block(then_block);
  return Err::kOk;
}

Err Builder::do_else() {
  if (live_) branch_to(0);
  Frame& frame = frames_.back();
  frame.kind = FrameKind::kElse;
  if (!stack_.resize(frame.height) || !locals_.move_to(frame.state)) return diag_->no_memory();
  for (u32 i = 0; i < frame.params; i++) push(values_[frame.saved + i]);
  start_block(frame.else_block);
  return Err::kOk;
}

Err Builder::do_end() {
  if (frames_.back().kind == FrameKind::kIf)
    TRY(do_else());  // empty: the parameters are the results
  if (failed_) return Err::kOk;
  if (frames_.back().kind == FrameKind::kTry) return end_try();
  Frame frame = frames_.back();
  if (frame.kind == FrameKind::kLoop) {
    TRY(finish_loop(&frame));
  } else if (frame.branches) {
    if (live_) {
      branch_to(0);
      frame = frames_.back();
    }
    if (failed_) return Err::kOk;
    TRY(start_label(&frame));
  }
  if (frame.kind == FrameKind::kFunction && live_) do_return();
  if (frame.kind == FrameKind::kInline) {
    // The callee's locals are of no use to the caller, whose own have not changed.
    if (!locals_.move_to(frame.state)) return diag_->no_memory();
    func_ = frame.func;
    pos_ = frame.pos;
    end_ = frame.end;
    local_base_ = 0;
    body_frame_ = 0;
    try_ = frame.outer_try;
  }
  frames_.pop();
  if (frame.kind == FrameKind::kInline && frame.is_tail && live_) do_return();
  return Err::kOk;
}

// A phi of the values if they differ, else their common value. They are in the order of the predecessors.
Value Builder::merge_phi(BlockId block, Span<const Value> values) {
  bool differ = false;
  for (Value v : ticking(values)) differ |= v != values[0];
  if (!differ) return values[0];
  Inst phi = make_inst(Op::kPhi, type_of_value(values[0]));
  work_ += kSsaPhiWork;
  block_ = block;
  return emit_pool(phi, values);
}

// Starts the block at the label of a frame that has ended: merges what the branches to it carry.
Err Builder::start_label(Frame* frame) {
  u32 n = frame->branches;
  BlockId label = frame->label;
  start_block(label);
  states_.clear();
  for (u32 i = frame->first; i != kNone; i = branches_[i].next, tick())
    failed_ |= !states_.push(branches_[i].state);
  // Exceptions lead out of inlined bodies, whose locals end there.
  u32 scope = body_frame_ == 0 ? own_locals_ : locals_.size();
  State common;
  if (failed_ || !locals_.find_merge(states_.span(), scope, &common)) return diag_->no_memory();

  // One row per changed local, then one per result; columns are branches.
  u32 changed = locals_.changed().size();
  u64 cells = u64{n} * (changed + frame->results);
  work_ += cells;
  if (work_ > kMaxSsaWork) return Err::kOk;  // run() reports it
  if (!row_.resize(cells)) return diag_->no_memory();
  u32 column = 0;
  for (u32 i = frame->first; i != kNone; i = branches_[i].next, column++, tick()) {
    if (changed && !locals_.move_to(branches_[i].state)) return diag_->no_memory();
    for (u32 row = 0; row < changed; row++, tick())
      row_[usize{row} * n + column] = locals_.get(locals_.changed()[row]);
    for (u32 row = 0; row < frame->results; row++, tick())
      row_[usize{changed + row} * n + column] = values_[branches_[i].values + row];
  }
  if (!locals_.move_to(common)) return diag_->no_memory();
  for (u32 row = 0; row < changed; row++, tick()) {
    Value v = merge_phi(label, row_.span().slice(usize{row} * n, n));
    failed_ |= !locals_.set(locals_.changed()[row], v);
  }
  if (!stack_.resize(frame->height)) return diag_->no_memory();
  for (u32 row = 0; row < frame->results; row++, tick())
    push(merge_phi(label, row_.span().slice(usize{changed + row} * n, n)));
  return Err::kOk;
}

Err Builder::do_loop(const Instr& in, u32 params, u32 results) {
  Span<const u32> assigned;
  TRY(loops_.assigned(in.offset, in.next, end_, &assigned, diag_));
  TRY(push_frame(FrameKind::kLoop, params, results));
  Frame& frame = frames_.back();
  BlockId from = block_;
  BlockId header = frame.label = new_block();
  if (failed_) return Err::kOk;
  emit(make_inst(Op::kJump, Type::kVoid));
  edge(from, header);
  start_block(header);

  frame.saved = save_values(frame.height);
  frame.phis = loop_phis_.size();
  frame.phi_count = assigned.size();
  work_ += assigned.size() * u64{kSsaPhiWork};
  if (work_ > kMaxSsaWork) return Err::kOk;
  for (u32 i = frame.height; i < stack_.size(); i++, tick())
    stack_[i] = emit(make_inst(Op::kPhi, type_of_value(stack_[i])));
  for (u32 local : paced(assigned)) {
    Value entry = locals_.get(local);
    failed_ |= !values_.push(entry);
    Value phi = emit(make_inst(Op::kPhi, type_of_value(entry)));
    failed_ |= !loop_phis_.push({local, phi}) || !locals_.set(local, phi);
  }
  if (context_.metered) {
    Inst fuel = make_inst(Op::kFuel, Type::kVoid);
    fuel.imm = 1;
    emit(fuel);
  }
  return Err::kOk;
}

// Gives the header's phis their arguments: the entry's, then one per back edge.
Err Builder::finish_loop(Frame* frame) {
  Vec<Value>& list = f_->blocks[frame->label].insts;
  u32 phis = frame->params + frame->phi_count;
  for (u32 i = 0; i < phis; i++, tick()) {
    Inst& phi = f_->insts[list[i]];
    phi.pool = f_->pool.size();
    phi.count = 1 + frame->branches;
    bool ok = f_->pool.push(values_[frame->saved + i]);
    for (u32 b = frame->first; b != kNone; b = branches_[b].next, tick())
      ok &= f_->pool.push(values_[branches_[b].values + i]);
    if (!ok) return diag_->no_memory();
  }
  if (frame->branches == 0 && context_.metered) {
    // Not a loop after all: nothing to meter.
    for (u32 i = phis + 1; i < list.size(); i++, tick()) list[i - 1] = list[i];
    list.pop();
  }
  loop_phis_.resize(frame->phis) ? void() : WRING_UNREACHABLE();
  return Err::kOk;
}

Value Builder::emit(const Inst& inst) {
  Inst copy = inst;
  copy.block = block_;
  copy.origin = origin_;
  if (!f_->insts.push(copy) || !f_->blocks[block_].insts.push(f_->insts.size() - 1)) {
    failed_ = true;
    return 0;
  }
  return f_->insts.size() - 1;
}

Value Builder::emit_pool(Inst inst, Span<const Value> args) {
  inst.pool = f_->pool.size();
  inst.count = args.size();
  for (Value v : ticking(args)) failed_ |= !f_->pool.push(v);
  return emit(inst);
}

}  // namespace wring::ir
