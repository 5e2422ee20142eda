// SPDX-License-Identifier: GPL-2.0
// Values, memory and calls of generated bodies: biased towards what optimizers have rules for and away from traps.
#include "selftests/fuzz/generate_body.h"

namespace wring::test {

namespace {

using O = Opcode;

char letter(ValType type) { return type == ValType::kI32 ? 'i' : 'l'; }
bool is_int(ValType type) { return type == ValType::kI32 || type == ValType::kI64; }

bool is_division(Opcode op) {
  return (op >= O::kI32DivS && op <= O::kI32RemU) || (op >= O::kI64DivS && op <= O::kI64RemU);
}

// Integer instructions without immediates or traps, loads, and stores, from the opcode table.
struct OpcodeLists {
  std::vector<Opcode> simple, loads, stores;
  OpcodeLists() {
    for (u32 i = 0; i < static_cast<u32>(O::kCount); i++) {
      auto op = static_cast<Opcode>(i);
      const OpcodeInfo& info = info_of(op);
      bool ints = info.fixed;
      for (u32 j = 0; ints && j < info.operand_count; j++) ints = is_int(info.operands[j]);
      if (!ints || (info.result != ValType::kBottom && !is_int(info.result))) continue;
      if (info.imm == Imm::kMemArg)
        (info.operand_count == 2 ? stores : loads).push_back(op);
      else if (info.imm == Imm::kNone && info.operand_count > 0 && !is_division(op))
        simple.push_back(op);
    }
  }
};

const OpcodeLists& lists() {
  static const OpcodeLists all;
  return all;
}

}  // namespace

void BodyGenerator::constant(char type, i64 value) {
  if (type == 'i')
    code_.i32(static_cast<wring::i32>(value));
  else
    code_.i64(value);
  push(type);
}

void BodyGenerator::constant(char type) { constant(type, interesting()); }

i64 BodyGenerator::interesting() {
  static const i64 kSmall[] = {0,   1,   2,   3,   4,   5,    6,      7,      8,      9,      10,
                               12,  15,  16,  24,  31,  32,   33,     48,     56,     63,     64,
                               100, 127, 128, 255, 256, 1000, 0x7fff, 0x8000, 0xffff, 0x10000};
  static const i64 kEdges[] = {0x7fff'ffff,
                               0x8000'0000,
                               0xffff'ffff,
                               0x1'0000'0000,
                               0x7fff'ffff'ffff'ffff,
                               static_cast<i64>(0x8000'0000'0000'0000),
                               0x80,
                               0x100,
                               0xff00,
                               0xff'0000,
                               0xff00'0000,
                               0x00ff'00ff,
                               static_cast<i64>(0xffff'ffff'0000'0000),
                               0x5555'5555,
                               0x3333'3333};
  switch (c_.below(7)) {
    case 0:
    case 1: return c_.pick(kSmall);
    case 2: return -c_.pick(kSmall);
    case 3: return static_cast<i64>(static_cast<u64>(c_.pick(kEdges)) + c_.below(3) - 1);
    case 4: return static_cast<i64>((u64{1} << c_.below(64)) + c_.below(3) - 1);
    case 5: return static_cast<i64>(~u64{0} << c_.below(64));
    default: return static_cast<i64>(c_.bits() >> c_.below(64));
  }
}

u32 BodyGenerator::local_of(char type, bool writable) {
  u32 count = writable ? writable_ : static_cast<u32>(locals_.size());
  // There is one of each type among the writable ones.
  u32 start = c_.below(count);
  for (u32 i = 0;; i++)
    if (locals_[(start + i) % count] == type) return (start + i) % count;
}

bool BodyGenerator::has(const std::string& types) const {
  return stack_.size() >= frames_.back().height + types.size() &&
         stack_.compare(stack_.size() - types.size(), types.size(), types) == 0;
}

void BodyGenerator::pop(size_t count) {
  size_t height = frames_.back().height;
  stack_.resize(stack_.size() >= height + count ? stack_.size() - count : height);
}

// Makes the stack end in `types`: with what is there already, or with new values.
void BodyGenerator::operands(const std::string& types, u32 depth) {
  if (has(types) && c_.chance(60)) return;
  // Dead code may take any operands from below.
  if (frame().is_dead && stack_.size() == frame().height && c_.chance(50)) return push(types);
  for (char type : types) value(type, depth);
}

void BodyGenerator::value(char type, u32 depth) {
  if (depth == 0 || c_.is_exhausted()) {
    if (c_.chance(45)) return constant(type);
    if (c_.chance(8)) {
      u32 global = c_.below(static_cast<u32>(shape_.globals.size()));
      if (shape_.globals[global].type == type) {
        code_.op(O::kGlobalGet, global);
        return push(type);
      }
    }
    code_.op(O::kLocalGet, local_of(type, false));
    return push(type);
  }
  switch (c_.below(16)) {
    case 0: return value(type, 0);
    case 1: return divide(type, depth - 1);
    case 2:
      value(type, depth - 1);
      value(type, depth - 1);
      return select(type, depth - 1);
    case 3: return byte_idiom(type);
    case 4:
    case 5:
      if (shape_.has_memory) return load(type, depth - 1);
      break;
    case 6:
      value(type, depth - 1);
      code_.op(O::kLocalTee, local_of(type, true));
      return;
    case 7:  // halves
      if (type == 'l') {
        value('i', depth - 1);
        code_.op(c_.chance(50) ? O::kI64ExtendI32U : O::kI64ExtendI32S);
      } else {
        value('l', depth - 1);
        code_.op(O::kI32WrapI64);
      }
      pop(1);
      return push(type);
    case 8:  // and-not
      value(type, depth - 1);
      value(type, depth - 1);
      constant(type, -1);
      code_.op(type == 'i' ? O::kI32Xor : O::kI64Xor).op(type == 'i' ? O::kI32And : O::kI64And);
      return pop(2);
    default: break;
  }
  // An instruction with this result.
  const std::vector<Opcode>& all = lists().simple;
  u32 start = c_.below(static_cast<u32>(all.size()));
  for (u32 i = 0;; i++) {
    Opcode op = all[(start + i) % all.size()];
    const OpcodeInfo& info = info_of(op);
    if (letter(info.result) != type) continue;
    value(letter(info.operands[0]), depth - 1);
    if (info.operand_count == 2) {
      if (c_.chance(40))
        constant(letter(info.operands[1]));
      else
        value(letter(info.operands[1]), depth - 1);
    }
    code_.op(op);
    pop(info.operand_count);
    return push(type);
  }
}

// One instruction on what the stack ends in, if possible.
void BodyGenerator::simple_op() {
  Opcode op = lists().simple[c_.below(static_cast<u32>(lists().simple.size()))];
  const OpcodeInfo& info = info_of(op);
  std::string types;
  for (u32 i = 0; i < info.operand_count; i++) types += letter(info.operands[i]);
  operands(types, 1);
  code_.op(op);
  pop(info.operand_count);
  push(letter(info.result));
}

void BodyGenerator::divide(char type, u32 depth) {
  static const O kDivide32[] = {O::kI32DivS, O::kI32DivU, O::kI32RemS, O::kI32RemU};
  static const O kDivide64[] = {O::kI64DivS, O::kI64DivU, O::kI64RemS, O::kI64RemU};
  value(type, depth);
  if (c_.chance(55)) {
    i64 divisor = interesting();
    if (type == 'i') divisor = static_cast<wring::i32>(divisor);
    constant(type, divisor == 0 || (divisor == -1 && c_.chance(90)) ? 7 : divisor);
  } else {
    value(type, depth);
    // Neither zero nor -1, or just not zero.
    if (!c_.chance(2)) {
      if (c_.chance(60)) {
        constant(type, 0xffff);
        code_.op(type == 'i' ? O::kI32And : O::kI64And);
        pop(1);
      }
      constant(type, 1);
      code_.op(type == 'i' ? O::kI32Or : O::kI64Or);
      pop(1);
    }
  }
  code_.op(type == 'i' ? c_.pick(kDivide32) : c_.pick(kDivide64));
  pop(1);
}

// Of two values that are on the stack.
void BodyGenerator::select(char type, u32 depth) {
  condition(depth);
  if (c_.chance(80)) {
    code_.op(O::kSelect);
  } else {
    code_.op(O::kSelectT, 1);
    code_.bytes.push_back(type == 'i' ? 0x7f : 0x7e);
  }
  pop(3);
  push(type);
}

void BodyGenerator::condition(u32 depth) {
  static const O kCompare32[] = {O::kI32Eq,  O::kI32Ne,  O::kI32LtS, O::kI32LtU, O::kI32GtS,
                                 O::kI32GtU, O::kI32LeS, O::kI32LeU, O::kI32GeS, O::kI32GeU};
  static const O kCompare64[] = {O::kI64Eq,  O::kI64Ne,  O::kI64LtS, O::kI64LtU, O::kI64GtS,
                                 O::kI64GtU, O::kI64LeS, O::kI64LeU, O::kI64GeS, O::kI64GeU};
  if (c_.chance(25)) return value('i', depth);
  if (depth > 0 && c_.chance(8)) return choice_of_constants(depth - 1);
  if (depth > 0 && c_.chance(12)) {  // several at once
    condition(depth - 1);
    condition(depth - 1);
    code_.op(c_.pick({O::kI32And, O::kI32Or, O::kI32And, O::kI32Xor}));
    return pop(1);
  }
  char type = any_type();
  // Conditions on locals again and again: what the first ones say decides the later ones.
  value(type, c_.chance(60) ? 0 : depth);
  if (c_.chance(15)) {
    code_.op(type == 'i' ? O::kI32Eqz : O::kI64Eqz);
    pop(1);
    return push('i');
  }
  if (c_.chance(60))
    constant(type);
  else
    value(type, depth);
  code_.op(type == 'i' ? c_.pick(kCompare32) : c_.pick(kCompare64));
  pop(2);
  push('i');
}

// Short-circuit conditions as compilers write them: one branch decides what another one tests.
void BodyGenerator::choice_of_constants(u32 depth) {
  condition(depth);
  code_.block(O::kIf, -1);
  code_.i32(static_cast<wring::i32>(c_.below(3)));
  code_.op(O::kElse);
  if (c_.chance(60)) {
    code_.i32(static_cast<wring::i32>(c_.below(3)));
  } else {
    value('i', depth);
    pop(1);
  }
  code_.end();
  switch (c_.below(3)) {
    case 0:
      code_.i32(static_cast<wring::i32>(c_.below(3))).op(c_.chance(50) ? O::kI32Eq : O::kI32Ne);
      break;
    case 1: code_.op(O::kI32Eqz); break;
    default: break;
  }
}

// Mostly in bounds.
void BodyGenerator::address(u32 depth) {
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
}

u32 BodyGenerator::offset() {
  static const u32 kHuge[] = {0xffff,      0x10000,     0x7fff'fff8, 0x7fff'ffff,
                              0x8000'0000, 0xffff'fff8, 0xffff'ffff};
  return c_.below(600) == 599 ? c_.pick(kHuge) : c_.chance(10) ? c_.below(1000) : c_.below(24);
}

void BodyGenerator::memarg(Opcode opcode, u32 access_bytes) {
  u32 align = 0;
  while (2u << align <= access_bytes && c_.chance(50)) align++;
  code_.op(opcode, align, offset());
}

void BodyGenerator::load(char type, u32 depth) {
  address(depth);
  const std::vector<Opcode>& all = lists().loads;
  u32 start = c_.below(static_cast<u32>(all.size()));
  for (u32 i = 0;; i++) {
    Opcode op = all[(start + i) % all.size()];
    if (letter(info_of(op).result) != type) continue;
    memarg(op, info_of(op).access);
    pop(1);
    return push(type);
  }
}

void BodyGenerator::store() {
  Opcode op = lists().stores[c_.below(static_cast<u32>(lists().stores.size()))];
  address(2);
  value(letter(info_of(op).operands[1]), c_.below(kExpressionDepth));
  memarg(op, info_of(op).access);
  pop(2);
}

// Accesses near each other, of different widths: what one stores another loads, in part.
void BodyGenerator::adjacent_accesses() {
  for (u32 i = 2 + c_.below(4); i > 0; i--) {
    bool is_load = c_.chance(50);
    const std::vector<Opcode>& all = is_load ? lists().loads : lists().stores;
    Opcode op = all[c_.below(static_cast<u32>(all.size()))];
    code_.op(O::kLocalGet, address_local_);
    push('i');
    if (!is_load) value(letter(info_of(op).operands[1]), c_.below(2));
    code_.op(op, 0, c_.below(12));
    pop(is_load ? 1 : 2);
    if (is_load) push(letter(info_of(op).result));
  }
}

// An operation on what is in memory.
void BodyGenerator::update_memory() {
  Opcode op = lists().stores[c_.below(static_cast<u32>(lists().stores.size()))];
  const OpcodeInfo& info = info_of(op);
  char type = letter(info.operands[1]);
  static const O kUpdate32[] = {O::kI32Add, O::kI32Sub, O::kI32And, O::kI32Or,
                                O::kI32Xor, O::kI32Shl, O::kI32Mul};
  static const O kUpdate64[] = {O::kI64Add, O::kI64Sub, O::kI64And, O::kI64Or,
                                O::kI64Xor, O::kI64Shl, O::kI64Mul};
  static const O kLoad32[] = {O::kI32Load8U, O::kI32Load16U, O::kI32Load};
  static const O kLoad64[] = {O::kI64Load8U, O::kI64Load16U, O::kI64Load32U, O::kI64Load};
  u32 log = static_cast<u32>(__builtin_ctz(info.access)), at = c_.below(16);
  code_.op(O::kLocalGet, address_local_).op(O::kLocalGet, address_local_);
  push("ii");
  code_.op(type == 'i' ? kLoad32[log] : kLoad64[log], 0, at);
  pop(1);
  push(type);
  value(type, c_.below(2));
  code_.op(type == 'i' ? c_.pick(kUpdate32) : c_.pick(kUpdate64));
  pop(1);
  code_.op(op, 0, c_.chance(95) ? at : at + 1);
  pop(2);
}

// Bytes shifted, masked and put together: swaps, extensions, wide loads.
void BodyGenerator::byte_idiom(char type) {
  bool wide = type == 'l';
  u32 width = wide ? 64 : 32, local = local_of(type, false);
  O shl = wide ? O::kI64Shl : O::kI32Shl, shr = wide ? O::kI64ShrU : O::kI32ShrU,
    sar = wide ? O::kI64ShrS : O::kI32ShrS;
  O either = c_.chance(80) ? wide ? O::kI64Or : O::kI32Or : wide ? O::kI64Add : O::kI32Add;
  if (c_.chance(25)) {  // extension by shifts, or a rotation
    u32 by = c_.chance(70) ? 8 * (1 + c_.below(width / 8 - 1)) : 1 + c_.below(width - 1);
    code_.op(O::kLocalGet, local);
    push(type);
    constant(type, by);
    code_.op(shl);
    pop(1);
    if (c_.chance(50)) {
      constant(type, by);
      code_.op(c_.chance(50) ? sar : shr);
      return pop(1);
    }
    code_.op(O::kLocalGet, local);
    push(type);
    constant(type, width - by);
    code_.op(shr).op(either);
    return pop(2);
  }
  // Each part: a byte of the local, or of memory, moved to some place; mostly those of a swap or of a wide load.
  bool loads = shape_.has_memory && c_.chance(50);
  bool swaps = c_.chance(50);
  u32 parts = c_.pick({2u, 4u, wide ? 8u : 4u}), base = c_.below(16);
  for (u32 i = 0; i < parts; i++) {
    u32 from = c_.chance(3) ? c_.below(width / 8) : swaps ? parts - 1 - i : i;
    if (loads) {
      code_.op(O::kLocalGet, address_local_)
          .op(wide ? O::kI64Load8U : O::kI32Load8U, 0, base + from);
      push(type);
    } else {
      code_.op(O::kLocalGet, local);
      push(type);
      if (from > 0) {
        constant(type, 8 * from);
        code_.op(shr);
        pop(1);
      }
      constant(type, c_.chance(2) ? 0x1ff : 0xff);
      code_.op(wide ? O::kI64And : O::kI32And);
      pop(1);
    }
    if (i > 0) {
      constant(type, 8 * i);
      code_.op(shl).op(either);
      pop(2);
    }
  }
}

void BodyGenerator::store_local() {
  char type = stack_.size() > frame().height && c_.chance(70) ? stack_.back() : any_type();
  operands(std::string(1, type), c_.below(kExpressionDepth + 1));
  if (c_.chance(20)) {
    code_.op(O::kLocalTee, local_of(type, true));
    return;
  }
  u32 global = 1 + c_.below(static_cast<u32>(shape_.globals.size()) - 1);
  if (c_.chance(20) && shape_.globals[global].is_mutable && shape_.globals[global].type == type)
    code_.op(O::kGlobalSet, global);
  else
    code_.op(O::kLocalSet, local_of(type, true));
  pop(1);
}

void BodyGenerator::call() {
  u32 callee = c_.below(static_cast<u32>(shape_.functions.size()));
  const Signature& s = shape_.signature(callee);
  operands(s.params, 1);
  code_.op(O::kCall, callee);
  pop(s.params.size());
  push(s.results);
}

void BodyGenerator::call_indirect() {
  if (shape_.tables == 0) return call();
  u32 callee = c_.below(static_cast<u32>(shape_.functions.size()));
  u32 type =
      c_.chance(1) ? c_.below(static_cast<u32>(shape_.types.size())) : shape_.functions[callee];
  const Signature& s = shape_.types[type];
  operands(s.params, 1);
  // Mostly the entries that hold the callee, if the table still is what it was.
  u32 functions = static_cast<u32>(shape_.functions.size());
  u32 rounds = shape_.table_size / functions;
  if (rounds == 0 || c_.chance(2)) {
    value('i', 1);
    constant('i', c_.chance(90) ? shape_.table_size : 64);
    code_.op(O::kI32RemU);
    pop(1);
  } else if (c_.chance(30)) {
    constant('i', callee + functions * c_.below(rounds));
  } else {
    value('i', 1);
    code_.i32(static_cast<wring::i32>(rounds)).op(O::kI32RemU);
    code_.i32(static_cast<wring::i32>(functions)).op(O::kI32Mul);
    code_.i32(static_cast<wring::i32>(callee)).op(O::kI32Add);
  }
  code_.op(O::kCallIndirect, type, c_.chance(98) ? 0 : shape_.tables - 1);
  pop(s.params.size() + 1);
  push(s.results);
}

void BodyGenerator::bulk() {
  u32 length = c_.chance(90) ? c_.below(80) : c_.below(5000);
  u32 kind = c_.below(6);
  if (kind < 2 && !shape_.data.empty()) {
    u32 segment = c_.below(static_cast<u32>(shape_.data.size()));
    if (c_.chance(5)) {
      code_.op(O::kDataDrop, segment);
      return;
    }
    bool fits = shape_.data[segment].is_passive;
    length = fits ? c_.below(shape_.data[segment].bytes + 1) : c_.chance(2);
    address(1);
    constant('i', fits ? c_.below(shape_.data[segment].bytes - length + 1) : 0);
    constant('i', length);
    code_.op(O::kMemoryInit, segment, 0);
    return pop(3);
  }
  switch (kind) {
    case 2:
    case 3:
      address(1);
      if (kind == 2)
        address(1);
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
      if (kind == 2)
        code_.op(O::kMemoryCopy, 0, 0);
      else
        code_.op(O::kMemoryFill, 0);
      return pop(3);
    case 4:
      constant('i', c_.chance(80) ? c_.below(2) : interesting());
      code_.op(O::kMemoryGrow, 0);
      return;
    default: code_.op(O::kMemorySize, 0); return push('i');
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

// Many values alive at once.
void BodyGenerator::pressure() {
  std::string types;
  for (u32 i = 10 + c_.below(25); i > 0; i--) {
    types += any_type();
    value(types.back(), c_.below(2));
  }
  if (c_.chance(30)) call();
  if (c_.chance(40)) return;
  while (stack_.size() > frame().height + 1) {
    simple_op();
    if (c_.is_exhausted() || c_.chance(3)) return;
  }
}

}  // namespace wring::test
