// SPDX-License-Identifier: GPL-2.0
// Validation of function bodies: the loop over instructions, locals, and the operand stack.
#include "core/wasm/validate.h"

#include "core/wasm/reader.h"
#include "core/wasm/validator.h"

namespace wring {

Err BodyValidator::invalid(const char* fmt, ...) {
  __builtin_va_list args;
  __builtin_va_start(args, fmt);
  const Err err = diag_->vfail(Err::kInvalid, func_, at_, fmt, args);
  __builtin_va_end(args);
  return err;
}

inline Err BodyValidator::apply_fixed(const OpcodeInfo& info, const Instr& in) {
  u32 count = info.operand_count;
  if (info.access) {
    // The first operand is an address.
    while (count-- > 1) TRY(pop(info.operands[count]));
    TRY(pop(memory_index_type(in.mem.memory)));
  } else {
    while (count-- > 0) TRY(pop(info.operands[count]));
  }
  return info.result == ValType::kBottom ? Err::kOk : push(info.result);
}

inline Err BodyValidator::apply_local(const Instr& in) {
  TRY(check_index(in.index, locals_.size(), "local"));
  const ValType type = locals_[in.index];
  if (is_unset(type)) return apply_unset_local(in);
  if (in.op == Opcode::kLocalGet) return push(type);
  TRY(pop(type));
  return in.op == Opcode::kLocalTee ? push(type) : Err::kOk;
}

Err BodyValidator::apply_unset_local(const Instr& in) {
  if (in.op == Opcode::kLocalGet) return invalid("uninitialized local %u", in.index);
  const ValType type = without_unset(locals_[in.index]);
  TRY(pop(type));
  locals_[in.index] = type;
  if (!initialized_.push(in.index)) return diag_->no_memory();
  return in.op == Opcode::kLocalTee ? push(type) : Err::kOk;
}

// The most frequent instructions take short ways.
inline Err BodyValidator::step(const Instr& in) {
  const OpcodeInfo& info = info_of(in.op);
  at_ = in.offset;
  op_ = in.op;
  switch (info.imm) {
    case Imm::kNone:
    case Imm::kI32: break;
    case Imm::kLocal: return apply_local(in);
    default: TRY(check_immediates(in, info));
  }
  return info.fixed ? apply_fixed(info, in) : apply(in);
}

Err BodyValidator::run(u32 func) {
  const Function& function = m_.functions[func];
  const FuncType& type = m_.types[function.type];
  const u32 end = function.body.end;
  u32 offset = function.body.begin;
  func_ = func;
  frames_.clear();
  stack_.clear();
  locals_.clear();
  initialized_.clear();
  at_ = offset;
  if (!locals_.resize(type.params.size())) return diag_->no_memory();
  if (!type.params.empty())
    __builtin_memcpy(locals_.data(), type.params.data(), type.params.size() * sizeof(ValType));
  TRY(read_locals(&offset));

  const BlockType body{function.type, ValType::kBottom};
  if (!frames_.push({body, 0, 0, kNone, Opcode::kBlock, false})) return diag_->no_memory();
  Instr in;
  while (!frames_.empty()) {
    tick();
    if (offset == end)
      return diag_->fail(Err::kMalformed, func, offset, "END opcode expected: %u blocks are open",
                         frames_.size());
    TRY(decode_instr(m_.bytes, offset, end, func, &in, diag_, features_));
    TRY(step(in));
    offset = in.next;
  }
  if (offset != end)
    return diag_->fail(Err::kMalformed, func, offset,
                       "section size mismatch: %u bytes after the end of the function",
                       end - offset);
  return Err::kOk;
}

Err BodyValidator::add_locals(u32 count, ValType type) {
  const u32 old = locals_.size();
  if (!locals_.resize(old + count)) return diag_->no_memory();
  // References that cannot be null have no default value.
  if (is_ref(type) && !is_nullable(type)) type = with_unset(type);
  for (u32 i = 0; i < count; i++, tick()) locals_[old + i] = type;
  return Err::kOk;
}

Err BodyValidator::read_locals(u32* offset) {
  const u32 start = *offset;
  Reader r(m_.bytes, start, m_.functions[func_].body.end, func_, diag_, features_);
  u32 runs = 0;
  TRY(r.read_u32(&runs));
  u64 declared = 0;
  for (u32 i = 0; i < runs; i++, tick()) {
    u32 count = 0;
    ValType type;
    TRY(r.read_u32(&count));
    at_ = r.offset();
    TRY(r.read_val_type(&type));
    TRY(check_val_type(type));
    declared += count;
    // Above the limit the sum alone matters: whether the format's own bound is exceeded as well.
    if (locals_.size() + u64{count} <= kMaxLocals) TRY(add_locals(count, type));
  }
  if (declared > ~u32{0}) return r.malformed(start, "too many locals");
  const u64 all = declared + m_.types[m_.functions[func_].type].params.size();
  if (all > kMaxLocals)
    return diag_->fail(Err::kLimit, func_, start, "too many locals: %llu, the limit is %u",
                       static_cast<unsigned long long>(all), kMaxLocals);
  tick(static_cast<u32>(all) / 64);
  *offset = r.offset();
  return Err::kOk;
}

// The operand stack.

Err BodyValidator::pop_nothing(ValType want) {
  return frames_.back().unreachable ? Err::kOk : mismatch(want, "nothing");
}

Err BodyValidator::pop_other(ValType want, ValType have) {
  return matches(have, want) ? Err::kOk : mismatch(want, name_of(have));
}

Err BodyValidator::pop_any(ValType* out) {
  if (available() > 0) {
    *out = stack_.pop();
    return Err::kOk;
  }
  *out = ValType::kBottom;
  if (frames_.back().unreachable) return Err::kOk;
  return invalid("type mismatch: expected a value, found nothing in %s", info_of(op_).text);
}

// Any reference; kBottomRef if nothing is known of it.
Err BodyValidator::pop_ref(ValType* out) {
  TRY(pop_any(out));
  if (*out == ValType::kBottom) *out = kBottomRef;
  if (is_ref(*out) || *out == kBottomRef) return Err::kOk;
  return invalid("type mismatch: expected a reference, found %s in %s", name_of(*out),
                 info_of(op_).text);
}

Err BodyValidator::push_all(Types types) {
  const u32 count = types.size();
  if (count == 0) return Err::kOk;
  const u32 old = stack_.size();
  if (count > kMaxOperandDepth - old) return too_many_operands();
  if (!stack_.resize(old + count)) return diag_->no_memory();
  __builtin_memcpy(stack_.data() + old, types.data(), count * sizeof(ValType));
  tick(count / 64);
  return Err::kOk;
}

// The operands on top are of the types `want`; in unreachable code missing ones are.
Err BodyValidator::check_top(Types want) {
  const u32 present = min(available(), want.size());
  const u32 missing = want.size() - present;
  if (missing && !frames_.back().unreachable) return mismatch(want[missing - 1], "nothing");
  if (present == 0) return Err::kOk;
  const ValType* have = stack_.data() + (stack_.size() - present);
  if (__builtin_memcmp(have, want.data() + missing, present * sizeof(ValType)) == 0)
    return Err::kOk;
  tick(present / 4);
  for (u32 i = present; i-- > 0;)
    if (!matches(have[i], want[missing + i])) return mismatch(want[missing + i], name_of(have[i]));
  return Err::kOk;
}

Err BodyValidator::pop_all(Types want) {
  TRY(check_top(want));
  truncate(stack_.size() - min(available(), want.size()));
  return Err::kOk;
}

Err validate_bodies(const Module& module, Features features, bool has_data_count, Arena* scratch,
                    Diag* diag) {
  BodyValidator validator(module, features, has_data_count, scratch, diag);
  for (u32 f = module.imported_functions; f < module.functions.size(); f++) {
    diag->working_on = f;
    TRY(validator.run(f));
  }
  diag->working_on = kNone;
  return Err::kOk;
}

}  // namespace wring
