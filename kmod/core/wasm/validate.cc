// SPDX-License-Identifier: GPL-2.0
// Validation of function bodies: one pass over the bytes with a stack of operand types and a stack of blocks.
//
// Linear in the size of the body: operand lists are compared and copied as bytes, a br_table checks each label
// once however often it is named, and everything else is constant per instruction.
#include "core/wasm/validate.h"

#include "core/base/vector.h"
#include "core/wasm/instr.h"
#include "core/wasm/reader.h"

namespace wring {

namespace {

using Types = Span<const ValType>;

// One-element lists of each type: kSingle[t] == t.
struct Singles {
  ValType types[0x80];
};
constexpr Singles make_singles() {
  Singles singles{};
  for (u32 i = 0; i < 0x80; i++) singles.types[i] = static_cast<ValType>(i);
  return singles;
}
constexpr Singles kSingles = make_singles();

class BodyValidator {
 public:
  BodyValidator(const Module& module, bool has_data_count, Arena* scratch, Diag* diag)
      : m_(module),
        has_data_count_(has_data_count),
        diag_(diag),
        frames_(scratch),
        stack_(scratch),
        locals_(scratch) {}

  Err run(u32 func);

 private:
  // An open block; frames_[0] is the function's body.
  struct Frame {
    BlockType type;
    u32 height;      // operands below the block's own
    u32 checked_by;  // offset of the last br_table that checked this frame's label
    Opcode op;       // kBlock, kLoop, kIf, or kElse in an if's second half
    bool unreachable;
  };

  Err read_locals(u32* offset);
  Err add_locals(u64 count, ValType type);
  Err step(const Instr& in);
  Err check_immediates(const Instr& in, const OpcodeInfo& info);
  Err check_memory(u32 memory);
  Err check_access(const MemArg& mem, const OpcodeInfo& info);
  Err check_lane(u32 lane, u32 lanes);
  Err check_data(u32 data);
  Err check_table(u32 table);
  Err check_element(u32 element);
  Err check_table_type(u32 table, ValType found);
  Err check_block_type(const BlockType& type);
  Err apply_fixed(const OpcodeInfo& info);
  Err apply(const Instr& in);
  Err apply_table(const Instr& in);
  Err enter(const Instr& in);
  Err finish_block(const Frame& frame);
  Err end();
  Err begin_else();
  Err br_if(const Instr& in);
  Err br_table(const Instr& in);
  Err select();

  Types params_of(const BlockType& type) const {
    return type.type == kNone ? Types() : m_.types[type.type].params;
  }
  Types results_of(const BlockType& type) const {
    if (type.type != kNone) return m_.types[type.type].results;
    if (type.result == ValType::kBottom) return {};
    return {&kSingles.types[static_cast<u8>(type.result)], 1};
  }
  // What a branch to the label takes.
  Types label_types(u32 label) const {
    const Frame& frame = frames_[frames_.size() - 1 - label];
    return frame.op == Opcode::kLoop ? params_of(frame.type) : results_of(frame.type);
  }

  // Operands of the innermost block.
  u32 available() const { return stack_.size() - frames_.back().height; }
  Err push(ValType type) {
    if (stack_.size() == kMaxOperandDepth) return too_many_operands();
    return stack_.push(type) ? Err::kOk : diag_->no_memory();
  }
  Err pop_any(ValType* out);
  Err pop(ValType want);
  Err push_all(Types types);
  Err pop_all(Types want);
  Err check_top(Types want);
  void set_unreachable() {
    truncate(frames_.back().height);
    frames_.back().unreachable = true;
  }
  void truncate(u32 size) {
    const bool shrunk = stack_.resize(size);
    WRING_ASSERT(shrunk);
  }

  Err invalid(const char* fmt, ...) __attribute__((format(printf, 2, 3)));
  Err mismatch(ValType want, const char* found) {
    return invalid("type mismatch: expected %s, found %s in %s", name_of(want), found,
                   info_of(op_).text);
  }
  Err too_many_operands() {
    return diag_->fail(Err::kLimit, func_, at_, "operand stack deeper than %u", kMaxOperandDepth);
  }

  const Module& m_;
  const bool has_data_count_;
  Diag* const diag_;
  Vec<Frame> frames_;
  Vec<ValType> stack_;
  Vec<ValType> locals_;
  u32 func_ = kNone;
  u32 at_ = 0;  // offset of the current instruction
  Opcode op_ = Opcode::kEnd;
  u32 work_ = 0;  // since the last yield
};

constexpr u32 kWorkPerYield = 1u << 16;

Err BodyValidator::invalid(const char* fmt, ...) {
  __builtin_va_list args;
  __builtin_va_start(args, fmt);
  const Err err = diag_->vfail(Err::kInvalid, func_, at_, fmt, args);
  __builtin_va_end(args);
  return err;
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
  at_ = offset;
  if (!locals_.resize(type.params.size())) return diag_->no_memory();
  if (!type.params.empty())
    __builtin_memcpy(locals_.data(), type.params.data(), type.params.size());
  TRY(read_locals(&offset));

  const BlockType body{function.type, ValType::kBottom};
  if (!frames_.push({body, 0, kNone, Opcode::kBlock, false})) return diag_->no_memory();
  Instr in;
  while (!frames_.empty()) {
    if (offset == end)
      return diag_->fail(Err::kMalformed, func, offset, "END opcode expected: %u blocks are open",
                         frames_.size());
    TRY(decode_instr(m_.bytes, offset, end, func, &in, diag_));
    TRY(step(in));
    offset = in.next;
    if (++work_ >= kWorkPerYield) {
      work_ = 0;
      if (wring_os_yield()) return diag_->fail(Err::kInterrupted, kNone, kNone, "interrupted");
    }
  }
  if (offset != end)
    return diag_->fail(Err::kMalformed, func, offset,
                       "section size mismatch: %u bytes after the end of the function",
                       end - offset);
  return Err::kOk;
}

Err BodyValidator::read_locals(u32* offset) {
  const u32 start = *offset;
  Reader r(m_.bytes, start, m_.functions[func_].body.end, func_, diag_);
  u32 runs = 0;
  TRY(r.read_u32(&runs));
  u64 declared = 0;
  for (u32 i = 0; i < runs; i++) {
    u32 count = 0;
    ValType type;
    TRY(r.read_u32(&count));
    TRY(r.read_val_type(&type));
    declared += count;
    // Above the limit the sum alone matters: whether the format's own bound is exceeded as well.
    if (locals_.size() + u64{count} <= kMaxLocals) {
      const u32 old = locals_.size();
      if (!locals_.resize(old + count)) return diag_->no_memory();
      if (count) __builtin_memset(locals_.data() + old, static_cast<u8>(type), count);
    }
  }
  if (declared > ~u32{0}) return r.malformed(start, "too many locals");
  const u64 all = declared + m_.types[m_.functions[func_].type].params.size();
  if (all > kMaxLocals)
    return diag_->fail(Err::kLimit, func_, start, "too many locals: %llu, the limit is %u",
                       static_cast<unsigned long long>(all), kMaxLocals);
  work_ += static_cast<u32>(all) / 64;
  *offset = r.offset();
  return Err::kOk;
}

// Operands.

Err BodyValidator::pop_any(ValType* out) {
  if (available() > 0) {
    *out = stack_.pop();
    return Err::kOk;
  }
  *out = ValType::kBottom;
  if (frames_.back().unreachable) return Err::kOk;
  return invalid("type mismatch: expected a value, found nothing in %s", info_of(op_).text);
}

Err BodyValidator::pop(ValType want) {
  if (available() == 0) {
    if (frames_.back().unreachable) return Err::kOk;
    return mismatch(want, "nothing");
  }
  const ValType have = stack_.pop();
  if (have == want || have == ValType::kBottom) return Err::kOk;
  return mismatch(want, name_of(have));
}

Err BodyValidator::push_all(Types types) {
  const u32 count = types.size();
  if (count == 0) return Err::kOk;
  const u32 old = stack_.size();
  if (count > kMaxOperandDepth - old) return too_many_operands();
  if (!stack_.resize(old + count)) return diag_->no_memory();
  __builtin_memcpy(stack_.data() + old, types.data(), count);
  return Err::kOk;
}

// The operands on top are of the types `want`; in unreachable code missing ones are.
Err BodyValidator::check_top(Types want) {
  const u32 present = min(available(), want.size());
  const u32 missing = want.size() - present;
  const ValType* have = stack_.data() + (stack_.size() - present);
  if (missing && !frames_.back().unreachable) return mismatch(want[missing - 1], "nothing");
  if (present == 0 || __builtin_memcmp(have, want.data() + missing, present) == 0) return Err::kOk;
  for (u32 i = present; i-- > 0;)
    if (have[i] != want[missing + i] && have[i] != ValType::kBottom)
      return mismatch(want[missing + i], name_of(have[i]));
  return Err::kOk;
}

Err BodyValidator::pop_all(Types want) {
  TRY(check_top(want));
  truncate(stack_.size() - min(available(), want.size()));
  return Err::kOk;
}

// Immediates.

Err BodyValidator::check_memory(u32 memory) {
  return memory < m_.memories.size() ? Err::kOk : invalid("unknown memory %u", memory);
}

Err BodyValidator::check_access(const MemArg& mem, const OpcodeInfo& info) {
  TRY(check_memory(mem.memory));
  if (u64{1} << mem.align > info.access)
    return invalid("alignment must not be larger than natural");
  return Err::kOk;
}

Err BodyValidator::check_lane(u32 lane, u32 lanes) {
  return lane < lanes ? Err::kOk : invalid("invalid lane index %u", lane);
}

Err BodyValidator::check_data(u32 data) {
  if (!has_data_count_)
    return diag_->fail(Err::kMalformed, func_, at_, "data count section required");
  return data < m_.datas.size() ? Err::kOk : invalid("unknown data segment %u", data);
}

Err BodyValidator::check_table(u32 table) {
  return table < m_.tables.size() ? Err::kOk : invalid("unknown table %u", table);
}

Err BodyValidator::check_element(u32 element) {
  return element < m_.elements.size() ? Err::kOk : invalid("unknown elem segment %u", element);
}

// What is copied into the table has its type.
Err BodyValidator::check_table_type(u32 table, ValType found) {
  const ValType elem = m_.tables[table].type.elem;
  return elem == found ? Err::kOk : mismatch(elem, name_of(found));
}

Err BodyValidator::check_block_type(const BlockType& type) {
  if (type.type != kNone && type.type >= m_.types.size())
    return invalid("unknown type %u", type.type);
  return Err::kOk;
}

Err BodyValidator::check_immediates(const Instr& in, const OpcodeInfo& info) {
  switch (info.imm) {
    case Imm::kNone:
    case Imm::kLabels:  // checked one by one in br_table()
    case Imm::kI32:
    case Imm::kI64:
    case Imm::kF32:
    case Imm::kF64:
    case Imm::kRefType: return Err::kOk;
    case Imm::kBlock: return check_block_type(in.block);
    case Imm::kLabel:
      return in.index < frames_.size() ? Err::kOk : invalid("unknown label %u", in.index);
    case Imm::kFunc:
      return in.index < m_.functions.size() ? Err::kOk : invalid("unknown function %u", in.index);
    case Imm::kLocal:
      return in.index < locals_.size() ? Err::kOk : invalid("unknown local %u", in.index);
    case Imm::kGlobal:
      return in.index < m_.globals.size() ? Err::kOk : invalid("unknown global %u", in.index);
    case Imm::kTypeTable:
      TRY(check_table(in.index2));
      return in.index < m_.types.size() ? Err::kOk : invalid("unknown type %u", in.index);
    case Imm::kTable: return check_table(in.index);
    case Imm::kTableTable:
      TRY(check_table(in.index));
      TRY(check_table(in.index2));
      return check_table_type(in.index, m_.tables[in.index2].type.elem);
    case Imm::kElemTable:
      TRY(check_table(in.index2));
      TRY(check_element(in.index));
      return check_table_type(in.index2, m_.elements[in.index].type);
    case Imm::kElem: return check_element(in.index);
    case Imm::kMemory: return check_memory(in.index);
    case Imm::kMemoryMemory: TRY(check_memory(in.index)); return check_memory(in.index2);
    case Imm::kDataMemory: TRY(check_memory(in.index2)); return check_data(in.index);
    case Imm::kData: return check_data(in.index);
    case Imm::kMemArg: return check_access(in.mem, info);
    case Imm::kMemArgLane: TRY(check_access(in.mem, info)); return check_lane(in.lane, info.lanes);
    case Imm::kLane: return check_lane(in.lane, info.lanes);
    case Imm::kV128:
      if (in.op == Opcode::kI8x16Shuffle)
        for (u32 i = 0; i < 16; i++) TRY(check_lane(m_.bytes[in.list + i], 32));
      return Err::kOk;
    case Imm::kTypes:
      return in.index == 1 ? Err::kOk : invalid("invalid result arity %u in select", in.index);
  }
  WRING_UNREACHABLE();
}

// Instructions.

Err BodyValidator::step(const Instr& in) {
  const OpcodeInfo& info = info_of(in.op);
  at_ = in.offset;
  op_ = in.op;
  if (info.imm != Imm::kNone) TRY(check_immediates(in, info));
  return info.fixed ? apply_fixed(info) : apply(in);
}

Err BodyValidator::apply_fixed(const OpcodeInfo& info) {
  for (u32 i = info.operand_count; i-- > 0;) TRY(pop(info.operands[i]));
  return info.result == ValType::kBottom ? Err::kOk : push(info.result);
}

Err BodyValidator::apply(const Instr& in) {
  switch (in.op) {
    case Opcode::kUnreachable: set_unreachable(); return Err::kOk;
    case Opcode::kBlock:
    case Opcode::kLoop:
    case Opcode::kIf: return enter(in);
    case Opcode::kElse: return begin_else();
    case Opcode::kEnd: return end();
    case Opcode::kBr:
      TRY(check_top(label_types(in.index)));
      set_unreachable();
      return Err::kOk;
    case Opcode::kBrIf: return br_if(in);
    case Opcode::kBrTable: return br_table(in);
    case Opcode::kReturn:
      TRY(check_top(label_types(frames_.size() - 1)));
      set_unreachable();
      return Err::kOk;
    case Opcode::kCall: {
      const FuncType& type = m_.func_type(in.index);
      TRY(pop_all(type.params));
      return push_all(type.results);
    }
    case Opcode::kCallIndirect: {
      const ValType elem = m_.tables[in.index2].type.elem;
      if (elem != ValType::kFuncRef) return mismatch(ValType::kFuncRef, name_of(elem));
      const FuncType& type = m_.types[in.index];
      TRY(pop(ValType::kI32));
      TRY(pop_all(type.params));
      return push_all(type.results);
    }
    case Opcode::kDrop: {
      ValType dropped;
      return pop_any(&dropped);
    }
    case Opcode::kSelect: return select();
    case Opcode::kSelectT:
      TRY(pop(ValType::kI32));
      TRY(pop(in.type));
      TRY(pop(in.type));
      return push(in.type);
    case Opcode::kLocalGet: return push(locals_[in.index]);
    case Opcode::kLocalSet: return pop(locals_[in.index]);
    case Opcode::kLocalTee: TRY(pop(locals_[in.index])); return push(locals_[in.index]);
    case Opcode::kGlobalGet: return push(m_.globals[in.index].type.type);
    case Opcode::kGlobalSet:
      if (!m_.globals[in.index].type.is_mutable)
        return invalid("global is immutable: global %u", in.index);
      return pop(m_.globals[in.index].type.type);
    case Opcode::kRefNull: return push(in.type);
    case Opcode::kRefIsNull: {
      ValType have;
      TRY(pop_any(&have));
      if (!is_ref(have) && have != ValType::kBottom)
        return invalid("type mismatch: expected a reference, found %s in ref.is_null",
                       name_of(have));
      return push(ValType::kI32);
    }
    case Opcode::kRefFunc:
      if (!m_.functions[in.index].address_taken)
        return invalid("undeclared function reference to function %u", in.index);
      return push(ValType::kFuncRef);
    default: return apply_table(in);
  }
}

Err BodyValidator::apply_table(const Instr& in) {
  const ValType elem = m_.tables[in.index].type.elem;
  switch (in.op) {
    case Opcode::kTableGet: TRY(pop(ValType::kI32)); return push(elem);
    case Opcode::kTableSet: TRY(pop(elem)); return pop(ValType::kI32);
    case Opcode::kTableGrow:
      TRY(pop(ValType::kI32));
      TRY(pop(elem));
      return push(ValType::kI32);
    case Opcode::kTableFill:
      TRY(pop(ValType::kI32));
      TRY(pop(elem));
      return pop(ValType::kI32);
    default: WRING_UNREACHABLE();
  }
}

// Control.

Err BodyValidator::enter(const Instr& in) {
  const Types params = params_of(in.block);
  if (in.op == Opcode::kIf) TRY(pop(ValType::kI32));
  TRY(pop_all(params));
  if (frames_.size() > kMaxBlockDepth)
    return diag_->fail(Err::kLimit, func_, at_, "blocks nested deeper than %u", kMaxBlockDepth);
  if (!frames_.push({in.block, stack_.size(), kNone, in.op, false})) return diag_->no_memory();
  return push_all(params);
}

// The innermost block's operands are exactly its results.
Err BodyValidator::finish_block(const Frame& frame) {
  const Types results = results_of(frame.type);
  if (available() > results.size())
    return invalid("type mismatch: expected %u values at the end of the block, found %u",
                   results.size(), available());
  TRY(check_top(results));
  truncate(frame.height);
  return Err::kOk;
}

Err BodyValidator::end() {
  const Frame frame = frames_.back();
  TRY(finish_block(frame));
  const Types results = results_of(frame.type);
  if (frame.op == Opcode::kIf && !equal(params_of(frame.type), results))
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

Err BodyValidator::br_if(const Instr& in) {
  const Types types = label_types(in.index);
  TRY(pop(ValType::kI32));
  // Replaces unknown types of unreachable code by the label's.
  TRY(pop_all(types));
  return push_all(types);
}

Err BodyValidator::br_table(const Instr& in) {
  TRY(pop(ValType::kI32));
  if (in.index >= frames_.size()) return invalid("unknown label %u", in.index);
  const Types default_types = label_types(in.index);
  TRY(check_top(default_types));
  u32 next = in.list;
  for (u32 i = 0; i < in.index2; i++) {
    const u32 label = next_label(m_.bytes, &next);
    if (label >= frames_.size()) return invalid("unknown label %u", label);
    Frame& frame = frames_[frames_.size() - 1 - label];
    if (frame.checked_by == in.offset) continue;
    frame.checked_by = in.offset;
    const Types types = label_types(label);
    if (types.size() != default_types.size())
      return invalid("type mismatch: br_table to labels of %u and %u values", default_types.size(),
                     types.size());
    TRY(check_top(types));
  }
  work_ += in.index2;
  set_unreachable();
  return Err::kOk;
}

Err BodyValidator::select() {
  ValType second, first;
  TRY(pop(ValType::kI32));
  TRY(pop_any(&second));
  TRY(pop_any(&first));
  if (is_ref(first) || is_ref(second))
    return invalid("type mismatch: select of a reference needs a type");
  if (first == ValType::kBottom) first = second;
  if (second != first && second != ValType::kBottom) return mismatch(first, name_of(second));
  return push(first);
}

}  // namespace

Err validate_bodies(const Module& module, bool has_data_count, Arena* scratch, Diag* diag) {
  BodyValidator validator(module, has_data_count, scratch, diag);
  for (u32 f = module.imported_functions; f < module.functions.size(); f++) TRY(validator.run(f));
  return Err::kOk;
}

}  // namespace wring
