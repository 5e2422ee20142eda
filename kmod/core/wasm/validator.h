// SPDX-License-Identifier: GPL-2.0
// BodyValidator: one pass over a function's bytes with a stack of operand types and a stack of blocks; private to
// validate.cc and the files it names.
//
// Linear in the size of the body, up to a factor of kMaxParams: operand lists are compared as memory first and one by
// one only if that fails, a br_table checks each label once however often it is named, and everything else is
// constant per instruction.
#pragma once

#include "core/base/vector.h"
#include "core/wasm/instr.h"
#include "core/wasm/subtype.h"

namespace wring {

class BodyValidator {
 public:
  BodyValidator(const Module& module, Features features, bool has_data_count, Arena* scratch,
                Diag* diag)
      : m_(module),
        features_(features),
        has_data_count_(has_data_count),
        diag_(diag),
        frames_(scratch),
        stack_(scratch),
        locals_(scratch),
        initialized_(scratch) {}

  Err run(u32 func);

 private:
  using Types = Span<const ValType>;

  // An open block; frames_[0] is the function's body.
  struct Frame {
    BlockType type;
    u32 height;       // operands below the block's own
    u32 initialized;  // size of initialized_ at its start
    u32 checked_by;   // offset of the last br_table that checked this frame's label
    Opcode op;        // kBlock, kLoop, kTryTable, kIf, or kElse in an if's second half
    bool unreachable;
  };

  // validate.cc: the body, its locals, and fixed signatures
  Err read_locals(u32* offset);
  Err add_locals(u32 count, ValType type);
  Err step(const Instr& in);
  Err apply_fixed(const OpcodeInfo& info, const Instr& in);
  Err apply_local(const Instr& in);
  Err apply_unset_local(const Instr& in);

  // validate_immediates.cc
  Err check_immediates(const Instr& in, const OpcodeInfo& info);
  Err check_access(const MemArg& mem, const OpcodeInfo& info);
  Err check_shuffle(u32 list);
  Err check_lane(u32 lane, u32 lanes);
  Err check_data(u32 data);
  Err check_table_init(const Instr& in);
  Err check_table_copy(const Instr& in);
  Err check_val_type(ValType type);
  Err check_block_type(const BlockType& type);
  Err check_index(u32 index, u32 size, const char* what) {
    return index < size ? Err::kOk : invalid("unknown %s %u", what, index);
  }
  Err check_memory(u32 memory) { return check_index(memory, m_.memories.size(), "memory"); }
  Err check_table(u32 table) { return check_index(table, m_.tables.size(), "table"); }
  Err check_type(u32 type) { return check_index(type, m_.types.size(), "type"); }
  Err check_element(u32 element) {
    return check_index(element, m_.elements.size(), "elem segment");
  }

  // validate_instr.cc: instructions whose types depend on immediates or on the stack
  Err apply(const Instr& in);
  Err apply_reference(const Instr& in);
  Err apply_memory(const Instr& in);
  Err apply_table(const Instr& in);
  Err select();
  Err set_global(u32 global);
  Err pop_bulk(ValType destination, ValType source, ValType size);

  // validate_control.cc: blocks, branches, calls, exceptions
  Err apply_control(const Instr& in);
  Err enter(const Instr& in);
  Err finish_block(const Frame& frame);
  Err end();
  Err begin_else();
  Err br(u32 label);
  Err br_if(u32 label);
  Err br_table(const Instr& in);
  Err br_on_null(u32 label);
  Err br_on_non_null(u32 label);
  Err call(const FuncType& type, bool is_tail);
  Err check_catches(const Instr& in);
  Err check_catch(const CatchClause& clause);

  Types params_of(const BlockType& type) const {
    return type.type == kNone ? Types() : m_.types[type.type].params;
  }
  // May point into `type`.
  Types results_of(const BlockType& type) const {
    if (type.type != kNone) return m_.types[type.type].results;
    if (type.result == ValType::kBottom) return {};
    return {&type.result, 1};
  }
  // What a branch to the label takes.
  Types label_types(u32 label) const {
    const Frame& frame = frames_[frames_.size() - 1 - label];
    return frame.op == Opcode::kLoop ? params_of(frame.type) : results_of(frame.type);
  }
  ValType memory_index_type(u32 memory) const {
    return index_type(m_.memories[memory].type.limits);
  }
  ValType table_index_type(u32 table) const { return index_type(m_.tables[table].type.limits); }
  static ValType index_type(const Limits& limits) {
    return limits.is_64 ? ValType::kI64 : ValType::kI32;
  }

  // The operand stack (validate.cc).
  bool matches(ValType have, ValType want) const {
    return is_subtype(m_.type_canonical, have, want);
  }
  // Operands of the innermost block.
  u32 available() const { return stack_.size() - frames_.back().height; }
  Err push(ValType type) {
    if (stack_.size() == kMaxOperandDepth) return too_many_operands();
    return stack_.push(type) ? Err::kOk : diag_->no_memory();
  }
  Err pop(ValType want) {
    if (available() == 0) return pop_nothing(want);
    const ValType have = stack_.pop();
    return have == want ? Err::kOk : pop_other(want, have);
  }
  Err pop_nothing(ValType want);
  Err pop_other(ValType want, ValType have);
  Err pop_any(ValType* out);
  Err pop_ref(ValType* out);
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

  // In locals_: a local that has no value yet.
  static constexpr u32 kUnset = 1u << 30;
  static ValType with_unset(ValType type) {
    return static_cast<ValType>(static_cast<u32>(type) | kUnset);
  }
  static ValType without_unset(ValType type) {
    return static_cast<ValType>(static_cast<u32>(type) & ~kUnset);
  }
  static bool is_unset(ValType type) { return static_cast<u32>(type) & kUnset; }

  const Module& m_;
  const Features features_;
  const bool has_data_count_;
  Diag* const diag_;
  Vec<Frame> frames_;
  Vec<ValType> stack_;
  Vec<ValType> locals_;
  Vec<u32> initialized_;  // locals set in open blocks that were kUnset before, innermost last
  u32 func_ = kNone;
  u32 at_ = 0;  // offset of the current instruction
  Opcode op_ = Opcode::kEnd;
};

}  // namespace wring
