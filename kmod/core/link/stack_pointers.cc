// SPDX-License-Identifier: GPL-2.0
// Shadow stack pointers: an abstract interpretation of each body as its instructions pass by. What is said of control
// flow is exact up to kMaxSlots globals; what is said of locals forgets at the end of a block what was set inside.
// Constant time per instruction, but for locals, which are forgotten once for each time they are set.
#include "core/link/stack_pointers.h"

#include "core/wasm/names.h"

namespace wring::link {

namespace {

// Beyond, nothing is known of an amount: sums of those within never overflow.
constexpr i64 kMaxAmount = i64{1} << 40;

// LLVM and what is built on it say `__stack_pointer`, AssemblyScript "~lib/memory/__stack_pointer".
bool is_stack_pointer_name(Bytes name) {
  constexpr char kName[] = "__stack_pointer";
  constexpr u32 kLength = sizeof(kName) - 1;
  if (name.size() < kLength) return false;
  u32 before = name.size() - kLength;
  return __builtin_memcmp(name.data() + before, kName, kLength) == 0 &&
         (before == 0 || name[before - 1] == '/');
}

}  // namespace

Err StackPointers::begin(const Module& module, Arena* arena, Diag* diag) {
  module_ = &module;
  diag_ = diag;
  u32 globals = module.globals.size();
  findings_ = arena->make_array<u8>(globals);
  written_in_ = arena->make_array<u32>(globals);
  if (findings_.size() != globals || written_in_.size() != globals) return diag->no_memory();
  found_.init(arena);
  frames_.init(arena);
  locals_.init(arena);
  set_locals_.init(arena);
  for (const Memory& memory : paced(module.memories)) has_memory64_ |= memory.type.limits.is_64;
  note_names();
  return Err::kOk;
}

// And which globals other instances may write.
void StackPointers::note_names() {
  for (const Import& import : paced(module_->imports)) {
    if (import.kind != ExternKind::kGlobal) continue;
    findings_[import.index] |= kUnproven;
    if (is_stack_pointer_name(import.name)) findings_[import.index] |= kNamed;
  }
  for (const Export& e : paced(module_->exports)) {
    if (e.kind != ExternKind::kGlobal) continue;
    findings_[e.index] |= kUnproven;
    if (is_stack_pointer_name(e.name)) findings_[e.index] |= kNamed;
  }
  GlobalNames names(*module_);
  u32 global = 0;
  Bytes name;
  while (names.next(&global, &name))
    if (global < findings_.size() && is_stack_pointer_name(name)) findings_[global] |= kNamed;
}

bool StackPointers::is_candidate(u32 global) const {
  const GlobalType& type = module_->globals[global].type;
  return type.is_mutable &&
         (type.type == ValType::kI32 || (type.type == ValType::kI64 && has_memory64_));
}

Err StackPointers::finish() {
  for (u32 i = 0; i < findings_.size() && found_.size() < kMaxStackPointers; i++, tick()) {
    u8 finding = findings_[i];
    bool keeps_convention = (finding & kFramed) && !(finding & kMovedForGood);
    if (!(finding & kWritten) || !(keeps_convention || (finding & kNamed))) continue;
    if (!found_.push({i, !(finding & kUnproven) && !catches_})) return diag_->no_memory();
  }
  return Err::kOk;
}

// ---- functions ----

Err StackPointers::enter(u32 func) {
  func_ = func;
  is_unclear_ = false;
  slot_count_ = 0;
  now_ = State();
  depth_ = 0;
  frames_.clear();
  set_locals_.clear();
  Frame body = {Opcode::kBlock, false, 0, kNone, kNone, now_, now_};
  body.end.reach = Reach::kLeft;
  return frames_.push(body) ? Err::kOk : diag_->no_memory();
}

void StackPointers::leave() {
  for (u32 i = 0; i < slot_count_; i++) {
    const Slot& slot = slots_[i];
    u8& finding = findings_[slot.global];
    if (is_unclear_ || slot.is_unclear)
      finding |= kUnproven;
    else if (slot.returns_moved)
      finding |= kMovedForGood | kUnproven;
    else if (slot.is_lowered && slot.is_put_back && slot.returns &&
             (slot.is_kept || slot.is_addressed))
      finding |= kFramed;
  }
}

Err StackPointers::step(const Instr& in) {
  switch (in.op) {
    case Opcode::kGlobalGet: push(read_global(in.index)); return Err::kOk;
    case Opcode::kGlobalSet: write_global(in.offset, in.index, pop()); return Err::kOk;
    case Opcode::kLocalGet: push(read_local(in.index)); return Err::kOk;
    case Opcode::kLocalSet: return write_local(in.offset, in.index, pop());
    case Opcode::kLocalTee: return write_local(in.offset, in.index, peek(0));
    case Opcode::kDrop: pop(); return Err::kOk;
    case Opcode::kI32Const:
    case Opcode::kI64Const: {
      Value value;
      if (in.value > -kMaxAmount && in.value < kMaxAmount) value.kind = Value::kConst;
      value.amount = in.value;
      push(value);
      return Err::kOk;
    }
    case Opcode::kI32Add:
    case Opcode::kI64Add:
    case Opcode::kI32Sub:
    case Opcode::kI64Sub:
    case Opcode::kI32And:
    case Opcode::kI64And: combine(in.op); return Err::kOk;
    case Opcode::kMemoryFill: note_address(peek(2)); break;
    default: break;
  }
  const OpcodeInfo& info = info_of(in.op);
  if (!info.fixed) {
    depth_ = 0;  // of operands that it leaves nothing is known, nor how many it takes
    return control(in);
  }
  if (info.access) note_address(peek(info.operand_count - 1u));
  for (u32 i = 0; i < info.operand_count; i++) pop();
  if (info.result != ValType::kBottom) push({});
  return Err::kOk;
}

// ---- values ----

void StackPointers::push(const Value& value) {
  values_[top_++ % kMaxDepth] = value;
  depth_ = min(depth_ + 1, kMaxDepth);
}

StackPointers::Value StackPointers::pop() {
  if (depth_ == 0) return {};
  depth_--;
  return values_[--top_ % kMaxDepth];
}

StackPointers::Value StackPointers::peek(u32 depth) const {
  return depth < depth_ ? values_[(top_ - 1 - depth) % kMaxDepth] : Value();
}

void StackPointers::note_address(const Value& value) {
  if (value.kind != Value::kMoved && value.kind != Value::kLowered) return;
  if (Slot* slot = slot_of(value.global)) slot->is_addressed = true;
}

// Constants come second, so that the result is what the first operand is.
void StackPointers::combine(Opcode op) {
  Value b = pop(), a = pop(), result;
  bool is_difference = op == Opcode::kI32Sub || op == Opcode::kI64Sub;
  if (!is_difference && a.kind == Value::kConst) swap(a, b);
  bool is_relative = a.kind == Value::kMoved || a.kind == Value::kLowered;
  if (b.kind == Value::kConst && (op == Opcode::kI32And || op == Opcode::kI64And)) {
    // Aligned downward.
    if (is_relative && b.amount < 0) {
      result = a;
      result.kind = Value::kLowered;
    }
  } else if (b.kind == Value::kConst && a.kind != Value::kNothing) {
    result = a;
    result.amount += is_difference ? -b.amount : b.amount;
    if (op == Opcode::kI32Add || op == Opcode::kI32Sub)
      result.amount = static_cast<i32>(result.amount);
    if (result.amount <= -kMaxAmount || result.amount >= kMaxAmount) result = Value();
  } else if (is_difference && is_relative && b.kind == Value::kNothing) {
    // Room for as much as is known when it runs.
    result = a;
    result.kind = Value::kLowered;
  }
  push(result);
}

// ---- globals ----

StackPointers::Slot* StackPointers::slot_of(u32 global) {
  for (u32 i = 0; i < slot_count_; i++)
    if (slots_[i].global == global) return &slots_[i];
  return nullptr;
}

// nullptr: it cannot be followed any more. All states have 0 for slots that are free: so far it is as it was.
StackPointers::Slot* StackPointers::track(u32 global) {
  if (slot_count_ == kMaxSlots || written_in_[global] == func_ + 1) return nullptr;
  slots_[slot_count_] = Slot();
  slots_[slot_count_].global = global;
  return &slots_[slot_count_++];
}

StackPointers::Value StackPointers::read_global(u32 global) {
  Value value;
  if (!is_candidate(global)) return value;
  value.global = global;
  const Slot* slot = slot_of(global);
  if (slot) value.amount = now_.amounts[slot - slots_];
  if (value.amount != kUnknown && (slot || written_in_[global] != func_ + 1))
    value.kind = Value::kMoved;
  return value;
}

void StackPointers::write_global(u32 offset, u32 global, const Value& value) {
  if (!is_candidate(global)) return;
  findings_[global] |= kWritten;
  bool is_own =
      (value.kind == Value::kMoved || value.kind == Value::kLowered) && value.global == global;
  bool is_back = is_own && value.kind == Value::kMoved && value.amount == 0;
  Slot* slot = slot_of(global);
  if (!slot && is_own && !is_back) slot = track(global);
  if (!slot) {
    if (is_back && written_in_[global] != func_ + 1) return;  // it has never been anything else
    written_in_[global] = func_ + 1;
    findings_[global] |= kUnproven;
    return;
  }
  if (is_own) note_use(offset, value.local);
  i64& now = now_.amounts[slot - slots_];
  if (is_back && now != 0) {
    slot->is_put_back = true;
    slot->is_kept |= value.local != kNone;
  }
  now = is_own && value.kind == Value::kMoved ? value.amount : kUnknown;
  slot->is_lowered |= is_own && (value.kind == Value::kLowered || value.amount < 0);
}

// ---- locals ----

StackPointers::Value StackPointers::read_local(u32 local) const {
  Value value;
  if (local >= locals_.size() || locals_[local].func != func_) return value;
  value = locals_[local].value;
  value.local = local;
  return value;
}

void StackPointers::note_use(u32 offset, u32 local) {
  if (local != kNone) locals_[local].used_at = offset;
}

Err StackPointers::write_local(u32 offset, u32 local, const Value& value) {
  bool was_known = local < locals_.size() && locals_[local].func == func_ &&
                   locals_[local].value.kind != Value::kNothing;
  if (!was_known && value.kind == Value::kNothing) return Err::kOk;
  if (value.local != local) note_use(offset, value.local);
  if (local >= locals_.size() && !locals_.resize(local + 1)) return diag_->no_memory();
  Local& entry = locals_[local];
  const Frame& frame = frames_.back();
  // Set outside of a loop, used and set anew in it: the use was not always of what has been assumed.
  if (was_known && frame.innermost_loop != kNone && entry.set_at < frame.innermost_loop &&
      entry.used_at > max(entry.set_at, frame.outermost_loop))
    is_unclear_ = true;
  entry = {value, func_, offset, 0};
  return set_locals_.push(local) ? Err::kOk : diag_->no_memory();
}

void StackPointers::forget_locals(u32 down_to) {
  for (; set_locals_.size() > down_to; tick()) locals_[set_locals_.pop()].value = Value();
}

// ---- control flow ----

Err StackPointers::control(const Instr& in) {
  switch (in.op) {
    case Opcode::kBlock:
    case Opcode::kLoop:
    case Opcode::kIf:
    case Opcode::kTryTable: return open(in);
    case Opcode::kElse: begin_else(); break;
    case Opcode::kEnd: close(); break;
    case Opcode::kBrIf:
    case Opcode::kBrOnNull:
    case Opcode::kBrOnNonNull: branch(in.index); break;
    case Opcode::kBrTable: {
      u32 at = in.list;
      for (u32 i = 0; i < in.index2; i++, tick()) branch(next_label(module_->bytes, &at));
      [[fallthrough]];
    }
    case Opcode::kBr:
      branch(in.index);
      now_.reach = Reach::kLeft;
      break;
    case Opcode::kReturn:
    case Opcode::kReturnCall:
    case Opcode::kReturnCallIndirect:
    case Opcode::kReturnCallRef:
      note_return();
      now_.reach = Reach::kLeft;
      break;
    case Opcode::kThrow:
    case Opcode::kThrowRef: now_.reach = Reach::kLeft; break;
    case Opcode::kUnreachable: now_.reach = min(now_.reach, Reach::kTrapped); break;
    default: break;
  }
  return Err::kOk;
}

Err StackPointers::open(const Instr& in) {
  const Frame& parent = frames_.back();
  Frame frame = {in.op, false, set_locals_.size(), parent.outermost_loop, parent.innermost_loop,
                 now_,  now_};
  frame.end = State();
  frame.end.reach = Reach::kLeft;
  if (in.op == Opcode::kLoop) {
    frame.innermost_loop = in.offset;
    if (frame.outermost_loop == kNone) frame.outermost_loop = in.offset;
  }
  if (in.op == Opcode::kTryTable) catch_at(in);
  return frames_.push(frame) ? Err::kOk : diag_->no_memory();
}

// What is thrown may come from anywhere inside, and from functions that have not put anything back.
void StackPointers::catch_at(const Instr& in) {
  u32 at = in.list;
  for (u32 i = 0; i < in.index2; i++, tick()) {
    Frame& target = frames_[frames_.size() - 1 - next_catch(module_->bytes, &at).label];
    target.is_caught = true;
    is_unclear_ |= target.op == Opcode::kLoop;
    catches_ = true;
  }
}

void StackPointers::begin_else() {
  Frame& frame = frames_.back();
  merge(&frame.end, now_);
  forget_locals(frame.locals);
  frame.op = Opcode::kElse;
  now_ = frame.entry;
}

void StackPointers::close() {
  Frame frame = frames_.pop();
  forget_locals(frame.locals);
  if (frame.op != Opcode::kLoop) {
    if (frame.op == Opcode::kIf) merge(&frame.end, frame.entry);
    merge(&frame.end, now_);
    now_ = frame.end;
  }
  if (frame.is_caught) {
    now_.reach = Reach::kLive;
    for (u32 i = 0; i < slot_count_; i++) now_.amounts[i] = kUnknown;
  }
  if (frames_.empty()) note_return();
}

void StackPointers::branch(u32 label) {
  if (label == frames_.size() - 1) return note_return();
  Frame& target = frames_[frames_.size() - 1 - label];
  if (target.op != Opcode::kLoop) return merge(&target.end, now_);
  if (now_.reach != Reach::kLive) return;
  for (u32 i = 0; i < slot_count_; i++)
    slots_[i].is_unclear |= now_.amounts[i] != target.entry.amounts[i];
}

void StackPointers::merge(State* into, const State& from) const {
  if (from.reach == Reach::kLeft || from.reach < into->reach) return;
  if (from.reach > into->reach) {
    *into = from;
    return;
  }
  for (u32 i = 0; i < slot_count_; i++)
    if (into->amounts[i] != from.amounts[i]) into->amounts[i] = kUnknown;
}

void StackPointers::note_return() {
  if (now_.reach == Reach::kLeft) return;
  for (u32 i = 0; i < slot_count_; i++) {
    if (now_.amounts[i] == 0)
      slots_[i].returns = true;
    else if (now_.reach == Reach::kLive)
      (now_.amounts[i] == kUnknown ? slots_[i].is_unclear : slots_[i].returns_moved) = true;
  }
}

}  // namespace wring::link
