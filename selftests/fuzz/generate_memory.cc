// SPDX-License-Identifier: GPL-2.0
// Memories and tables of generated bodies: mostly in bounds, with accesses that overlap in all ways.
#include "selftests/fuzz/generate_body.h"

namespace wring::test {

namespace {

using O = Opcode;

}  // namespace

// Mostly the first.
u32 BodyGenerator::any_memory() {
  const u32 count = static_cast<u32>(shape_.memory_64.size());
  return c_.chance(70) ? 0 : c_.below(count);
}

// Makes the i32 on top of the stack an index of that memory.
void BodyGenerator::to_index(u32 memory) {
  if (!shape_.memory_64[memory]) return;
  code_.op(O::kI64ExtendI32U);
  pop(1);
  push('l');
  if (c_.below(1000) < 999) return;
  code_.i64(c_.pick({wring::i64{1} << 32, wring::i64{1} << 63, wring::i64{-1}})).op(O::kI64Add);
}

// Where many accesses go.
void BodyGenerator::near_address(u32 memory) {
  code_.op(O::kLocalGet, address_local_);
  push('i');
  to_index(memory);
}

// Mostly in bounds.
void BodyGenerator::address(u32 depth, u32 memory) {
  if (c_.chance(45)) {
    code_.op(O::kLocalGet, address_local_);
    push('i');
  } else if (c_.chance(20)) {
    constant('i', c_.below(shape_.memory_bytes + 1) & 0xfff8);
  } else {
    value('i', depth);
    if (c_.below(300) != 299) {
      constant('i', c_.pick({0xffu, 0xfffu, 0xfff8u, 0x7ff0u}));
      code_.op(O::kI32And);
      pop(1);
    }
  }
  if (c_.chance(25)) {
    constant('i', c_.chance(80) ? c_.below(64) : -static_cast<i64>(c_.below(16)));
    code_.op(O::kI32Add);
    pop(1);
  }
  to_index(memory);
}

u32 BodyGenerator::offset() {
  static const u32 kHuge[] = {0xffff,      0x10000,     0x7fff'fff8, 0x7fff'ffff,
                              0x8000'0000, 0xffff'fff8, 0xffff'ffff};
  return c_.below(600) == 599 ? c_.pick(kHuge) : c_.chance(10) ? c_.below(1000) : c_.below(24);
}

void BodyGenerator::memarg(Opcode opcode, u32 align, u32 memory, u32 at) {
  if (memory == 0)
    code_.op(opcode, align, at);
  else
    code_.access(opcode, align, memory, at);
}

// With any alignment that is allowed.
void BodyGenerator::access(Opcode opcode, u32 memory) {
  u32 align = 0;
  while (2u << align <= info_of(opcode).access && c_.chance(50)) align++;
  memarg(opcode, align, memory, offset());
}

void BodyGenerator::load(char type, u32 depth) {
  const u32 memory = any_memory();
  address(depth, memory);
  const std::vector<Opcode>& all = lists_.loads;
  u32 start = c_.below(static_cast<u32>(all.size()));
  for (u32 i = 0;; i++) {
    Opcode op = all[(start + i) % all.size()];
    if (letter(info_of(op).result) != type) continue;
    access(op, memory);
    pop(1);
    return push(type);
  }
}

void BodyGenerator::store() {
  Opcode op = lists_.stores[c_.below(static_cast<u32>(lists_.stores.size()))];
  const u32 memory = any_memory();
  const char type = letter(info_of(op).operands[1]);
  address(2, memory);
  value(type, c_.below(depth_));
  if (type == 'f' || type == 'd') canonicalize(type);
  access(op, memory);
  pop(2);
}

// Accesses near each other, of different widths: what one stores another loads, in part.
void BodyGenerator::adjacent_accesses() {
  const u32 memory = any_memory();
  for (u32 i = 2 + c_.below(4); i > 0; i--) {
    bool is_load = c_.chance(50);
    const std::vector<Opcode>& all = is_load ? lists_.loads : lists_.stores;
    Opcode op = all[c_.below(static_cast<u32>(all.size()))];
    near_address(memory);
    const char type = is_load ? letter(info_of(op).result) : letter(info_of(op).operands[1]);
    if (!is_load) value(type, c_.below(2));
    if (!is_load && (type == 'f' || type == 'd')) canonicalize(type);
    memarg(op, 0, memory, c_.below(12));
    pop(is_load ? 1 : 2);
    if (is_load) push(type);
  }
}

// One lane of a vector, in or out.
void BodyGenerator::lane_access() {
  Opcode op = lists_.lane_accesses[c_.below(static_cast<u32>(lists_.lane_accesses.size()))];
  const u32 memory = any_memory();
  if (c_.chance(50))
    near_address(memory);
  else
    address(1, memory);
  value('v', 1);
  access(op, memory);
  code_.bytes.push_back(static_cast<u8>(c_.below(info_of(op).lanes)));
  pop(2);
  if (info_of(op).result != ValType::kBottom) push('v');
}

// Mostly aligned.
void BodyGenerator::atomic() {
  if (c_.chance(5)) {
    code_.op(O::kAtomicFence, 0);
    return;
  }
  Opcode op = lists_.atomics[c_.below(static_cast<u32>(lists_.atomics.size()))];
  const OpcodeInfo& info = info_of(op);
  const u32 memory = any_memory(), align = static_cast<u32>(__builtin_ctz(info.access));
  near_address(memory);
  for (u32 i = 1; i < info.operand_count; i++) value(letter(info.operands[i]), 1);
  u32 at = c_.below(3) * info.access;
  if (c_.below(200) == 199) at++;
  memarg(op, align, memory, at);
  pop(info.operand_count);
  if (info.result != ValType::kBottom) push(letter(info.result));
}

// An operation on what is in memory.
void BodyGenerator::update_memory() {
  Opcode op;
  do op = lists_.stores[c_.below(static_cast<u32>(lists_.stores.size()))];
  while (letter(info_of(op).operands[1]) != 'i' && letter(info_of(op).operands[1]) != 'l' &&
         !c_.is_exhausted());
  const OpcodeInfo& info = info_of(op);
  char type = letter(info.operands[1]);
  if (type != 'i' && type != 'l') return;
  static const O kUpdate32[] = {O::kI32Add, O::kI32Sub, O::kI32And, O::kI32Or,
                                O::kI32Xor, O::kI32Shl, O::kI32Mul};
  static const O kUpdate64[] = {O::kI64Add, O::kI64Sub, O::kI64And, O::kI64Or,
                                O::kI64Xor, O::kI64Shl, O::kI64Mul};
  static const O kLoad32[] = {O::kI32Load8U, O::kI32Load16U, O::kI32Load};
  static const O kLoad64[] = {O::kI64Load8U, O::kI64Load16U, O::kI64Load32U, O::kI64Load};
  u32 log = static_cast<u32>(__builtin_ctz(info.access)), at = c_.below(16);
  const u32 memory = any_memory();
  near_address(memory);
  near_address(memory);
  memarg(type == 'i' ? kLoad32[log] : kLoad64[log], 0, memory, at);
  pop(1);
  push(type);
  value(type, c_.below(2));
  code_.op(type == 'i' ? c_.pick(kUpdate32) : c_.pick(kUpdate64));
  pop(1);
  memarg(op, 0, memory, c_.chance(95) ? at : at + 1);
  pop(2);
}

// The data segment into memory 0.
void BodyGenerator::init_memory(u32 length) {
  u32 segment = c_.below(static_cast<u32>(shape_.data.size()));
  if (c_.chance(5)) {
    code_.op(O::kDataDrop, segment);
    return;
  }
  const u32 memory = any_memory();
  bool fits = shape_.data[segment].is_passive;
  length = fits ? c_.below(shape_.data[segment].bytes + 1) : c_.chance(2);
  address(1, memory);
  constant('i', fits ? c_.below(shape_.data[segment].bytes - length + 1) : 0);
  constant('i', length);
  code_.op(O::kMemoryInit, segment, memory);
  pop(3);
}

void BodyGenerator::bulk() {
  u32 length = c_.chance(90) ? c_.below(80) : c_.below(5000);
  const u32 kind = c_.below(6), memory = any_memory(), from = any_memory();
  if (kind < 2 && !shape_.data.empty()) return init_memory(length);
  const bool both_64 = shape_.memory_64[memory] && shape_.memory_64[from];
  switch (kind) {
    case 2:
    case 3:
      address(1, memory);
      if (kind == 2)
        address(1, from);
      else
        value('i', 1);
      if (c_.chance(50)) {
        constant('i', length);
      } else {
        value('i', 1);
        constant('i', 0x7f);
        code_.op(O::kI32And);
        pop(1);
      }
      if (kind == 3 || both_64) to_index(memory);
      if (kind == 2)
        code_.op(O::kMemoryCopy, memory, from);
      else
        code_.op(O::kMemoryFill, memory);
      return pop(3);
    case 4:
      constant(shape_.memory_64[memory] ? 'l' : 'i', c_.chance(80) ? c_.below(2) : interesting());
      code_.op(O::kMemoryGrow, memory);
      return;
    default: code_.op(O::kMemorySize, memory); return push(shape_.memory_64[memory] ? 'l' : 'i');
  }
}

void BodyGenerator::table_op() {
  u32 table = c_.below(shape_.tables), segment = c_.below(static_cast<u32>(shape_.elements.size()));
  switch (c_.below(20)) {
    case 0:
    case 1: {
      const ModuleShape::ElementSegment& from = shape_.elements[segment];
      u32 length = from.is_passive ? c_.below(from.entries + 1) : 0;
      constant('i', c_.below(shape_.table_size - length + 1));
      constant('i', c_.below(from.is_passive ? from.entries - length + 1 + c_.chance(2) : 1));
      constant('i', length);
      code_.op(O::kTableInit, segment, table);
      return pop(3);
    }
    case 2: {
      u32 length = c_.below(shape_.table_size + 1);
      constant('i', c_.below(shape_.table_size - length + 1 + c_.chance(2)));
      constant('i', c_.below(shape_.table_size - length + 1));
      constant('i', length);
      code_.op(O::kTableCopy, table, c_.below(shape_.tables));
      return pop(3);
    }
    case 3: code_.op(O::kElemDrop, segment); return;
    default: code_.op(O::kTableSize, table); return push('i');
  }
}

}  // namespace wring::test
