// SPDX-License-Identifier: GPL-2.0
// Validation of function bodies, continued: what instructions say besides their operands.
#include "core/wasm/validator.h"

namespace wring {

Err BodyValidator::check_access(const MemArg& mem, const OpcodeInfo& info) {
  TRY(check_memory(mem.memory));
  const bool is_atomic = info.feature == Feature::kThreads;
  if (u64{1} << mem.align > info.access)
    return invalid("alignment must not be larger than natural");
  if (is_atomic && u64{1} << mem.align != info.access)
    return invalid("atomic alignment must be natural");
  if (mem.offset > ~u32{0} && memory_index_type(mem.memory) == ValType::kI32)
    return invalid("offset out of range");
  return Err::kOk;
}

Err BodyValidator::check_lane(u32 lane, u32 lanes) {
  return lane < lanes ? Err::kOk : invalid("invalid lane index %u", lane);
}

Err BodyValidator::check_shuffle(u32 list) {
  for (u32 i = 0; i < 16; i++) TRY(check_lane(m_.bytes[list + i], 32));
  return Err::kOk;
}

Err BodyValidator::check_data(u32 data) {
  if (!has_data_count_)
    return diag_->fail(Err::kMalformed, func_, at_, "data count section required");
  return check_index(data, m_.datas.size(), "data segment");
}

Err BodyValidator::check_table_init(const Instr& in) {
  TRY(check_table(in.index2));
  TRY(check_element(in.index));
  const ValType to = m_.tables[in.index2].type.elem, from = m_.elements[in.index].type;
  return matches(from, to) ? Err::kOk : mismatch(to, name_of(from));
}

Err BodyValidator::check_table_copy(const Instr& in) {
  TRY(check_table(in.index));
  TRY(check_table(in.index2));
  const ValType to = m_.tables[in.index].type.elem, from = m_.tables[in.index2].type.elem;
  return matches(from, to) ? Err::kOk : mismatch(to, name_of(from));
}

Err BodyValidator::check_val_type(ValType type) {
  return is_concrete(type) ? check_type(type_index_of(type)) : Err::kOk;
}

Err BodyValidator::check_block_type(const BlockType& type) {
  return type.type != kNone ? check_type(type.type) : check_val_type(type.result);
}

Err BodyValidator::check_immediates(const Instr& in, const OpcodeInfo& info) {
  switch (info.imm) {
    case Imm::kNone:
    case Imm::kLabels:  // checked one by one in br_table()
    case Imm::kLocal:   // checked in apply_local()
    case Imm::kI32:
    case Imm::kI64:
    case Imm::kF32:
    case Imm::kF64:
    case Imm::kFence: return Err::kOk;
    case Imm::kBlock: return check_block_type(in.block);
    case Imm::kTryTable: TRY(check_block_type(in.block)); return check_catches(in);
    case Imm::kLabel: return check_index(in.index, frames_.size(), "label");
    case Imm::kFunc: return check_index(in.index, m_.functions.size(), "function");
    case Imm::kGlobal: return check_index(in.index, m_.globals.size(), "global");
    case Imm::kTypeTable: TRY(check_table(in.index2)); return check_type(in.index);
    case Imm::kType: return check_type(in.index);
    case Imm::kTag: return check_index(in.index, m_.tags.size(), "tag");
    case Imm::kTable: return check_table(in.index);
    case Imm::kTableTable: return check_table_copy(in);
    case Imm::kElemTable: return check_table_init(in);
    case Imm::kElem: return check_element(in.index);
    case Imm::kMemory: return check_memory(in.index);
    case Imm::kMemoryMemory: TRY(check_memory(in.index)); return check_memory(in.index2);
    case Imm::kDataMemory: TRY(check_memory(in.index2)); return check_data(in.index);
    case Imm::kData: return check_data(in.index);
    case Imm::kMemArg: return check_access(in.mem, info);
    case Imm::kMemArgLane: TRY(check_access(in.mem, info)); return check_lane(in.lane, info.lanes);
    case Imm::kLane: return check_lane(in.lane, info.lanes);
    case Imm::kV128: return in.op == Opcode::kI8x16Shuffle ? check_shuffle(in.list) : Err::kOk;
    case Imm::kTypes:
      if (in.index != 1) return invalid("invalid result arity %u in select", in.index);
      return check_val_type(in.type);
    case Imm::kRefType: return check_val_type(in.type);
  }
  WRING_UNREACHABLE();
}

}  // namespace wring
