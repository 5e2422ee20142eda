// SPDX-License-Identifier: GPL-2.0
// Values, memory and calls of generated bodies: biased towards what optimizers have rules for and away from traps.
#include <string>

#include "selftests/fuzz/generate_body.h"

namespace wring::test {

namespace {

using O = Opcode;

bool is_division(Opcode op) {
  return (op >= O::kI32DivS && op <= O::kI32RemU) || (op >= O::kI64DivS && op <= O::kI64RemU);
}
bool is_trapping_truncation(Opcode op) {
  return (op >= O::kI32TruncF32S && op <= O::kI32TruncF64U) ||
         (op >= O::kI64TruncF32S && op <= O::kI64TruncF64U);
}

bool begins_with(const char* text, const char* prefix) {
  return std::string(text).rfind(prefix, 0) == 0;
}

// The bits of a NaN in the result are the engine's choice.
bool chooses_nan(Opcode op) {
  const std::string text = info_of(op).text;
  if (text[0] != 'f') return false;
  static const char* const kWords[] = {"add",     "sub",    "mul",     "div",    "sqrt",
                                       "min",     "max",    "ceil",    "floor",  "trunc",
                                       "nearest", "demote", "promote", "relaxed"};
  const std::string rest = text.substr(text.find('.') + 1);
  for (const char* word : kWords)
    if (begins_with(rest.c_str(), word)) return true;
  return false;
}

// The bits of a NaN in the last operand show in the result.
bool shows_nan(Opcode op) {
  switch (op) {
    case O::kF32Store:
    case O::kF64Store:
    case O::kI32ReinterpretF32:
    case O::kI64ReinterpretF64:
    case O::kF32Copysign:
    case O::kF64Copysign:
    case O::kF32x4Splat:
    case O::kF64x2Splat:
    case O::kF32x4ReplaceLane:
    case O::kF64x2ReplaceLane: return true;
    default: return false;
  }
}

bool is_simple(const OpcodeInfo& info) {
  return info.fixed && info.operand_count > 0 && info.result != ValType::kBottom &&
         (info.imm == Imm::kNone || info.imm == Imm::kLane || info.imm == Imm::kV128);
}

}  // namespace

char letter(ValType type) {
  switch (type) {
    case ValType::kI32: return 'i';
    case ValType::kI64: return 'l';
    case ValType::kF32: return 'f';
    case ValType::kF64: return 'd';
    case ValType::kV128: return 'v';
    default: return '?';
  }
}

OpcodeLists::OpcodeLists(const ModuleShape& shape) {
  for (u32 i = 0; i < static_cast<u32>(O::kCount); i++) {
    auto op = static_cast<Opcode>(i);
    const OpcodeInfo& info = info_of(op);
    bool usable = info.fixed && (info.feature != Feature::kRelaxedSimd || shape.uses.relaxed_simd);
    const auto known = [&](ValType type) {
      return shape.alphabet.find(letter(type)) != std::string::npos;
    };
    for (u32 j = 0; usable && j < info.operand_count; j++) usable = known(info.operands[j]);
    if (info.result != ValType::kBottom) usable = usable && known(info.result);
    if (!usable) continue;
    if (info.feature == Feature::kThreads) {
      if (info.access && op > O::kMemoryAtomicWait64) atomics.push_back(op);
    } else if (info.imm == Imm::kMemArg) {
      (info.result == ValType::kBottom ? stores : loads).push_back(op);
    } else if (info.imm == Imm::kMemArgLane) {
      lane_accesses.push_back(op);
    } else if (is_simple(info) && !is_division(op) && !is_trapping_truncation(op)) {
      simple.push_back(op);
    }
  }
}

// With its immediates.
void BodyGenerator::emit(Opcode op) {
  const OpcodeInfo& info = info_of(op);
  if (shows_nan(op)) canonicalize(letter(info.operands[info.operand_count - 1]));
  code_.op(op);
  if (info.imm == Imm::kLane) code_.bytes.push_back(static_cast<u8>(c_.below(info.lanes)));
  if (op == O::kI8x16Shuffle)
    for (u32 i = 0; i < 16; i++) code_.bytes.push_back(static_cast<u8>(c_.below(32)));
  if (info.result == ValType::kV128 && chooses_nan(op))
    canonicalize_vector(begins_with(info.text, "f64x2"));
}

// Replaces a NaN on top of the stack by the canonical one.
void BodyGenerator::canonicalize(char type) {
  const u32 scratch = static_cast<u32>(locals_.find(type, readable_));
  code_.op(O::kLocalTee, scratch);
  if (type == 'f')
    code_.f32(0x7fc0'0000);
  else
    code_.f64(0x7ff8'0000'0000'0000);
  code_.op(O::kLocalGet, scratch).op(O::kLocalGet, scratch);
  code_.op(type == 'f' ? O::kF32Eq : O::kF64Eq).op(O::kSelect);
}

void BodyGenerator::canonicalize_vector(bool is_f64) {
  const u32 scratch = static_cast<u32>(locals_.find('v', readable_));
  const u64 nan = is_f64 ? 0x7ff8'0000'0000'0000 : 0x7fc0'0000'7fc0'0000;
  code_.op(O::kLocalTee, scratch).v128(nan, nan);
  code_.op(O::kLocalGet, scratch).op(O::kLocalGet, scratch);
  code_.op(is_f64 ? O::kF64x2Eq : O::kF32x4Eq).op(O::kV128Bitselect);
}

void BodyGenerator::constant(char type, i64 value) {
  if (type == 'i')
    code_.i32(static_cast<wring::i32>(value));
  else
    code_.i64(value);
  push(type);
}

void BodyGenerator::constant(char type) {
  static const u32 kFloats[] = {0x0000'0000, 0x8000'0000, 0x3f80'0000, 0xbf80'0000, 0x7f80'0000,
                                0xff80'0000, 0x7fc0'0000, 0x0000'0001, 0x007f'ffff, 0x0080'0000,
                                0x7f7f'ffff, 0x4f00'0000, 0xcf00'0000, 0x4f80'0000, 0x5f00'0000,
                                0x5f80'0000, 0x3f00'0000, 0x4b00'0000, 0x4b80'0001, 0x4020'0000};
  static const u64 kDoubles[] = {
      0,
      0x8000'0000'0000'0000,
      0x3ff0'0000'0000'0000,
      0xbff0'0000'0000'0000,
      0x7ff0'0000'0000'0000,
      0xfff0'0000'0000'0000,
      0x7ff8'0000'0000'0000,
      1,
      0x000f'ffff'ffff'ffff,
      0x0010'0000'0000'0000,
      0x7fef'ffff'ffff'ffff,
      0x41e0'0000'0000'0000,
      0xc1e0'0000'0020'0000,
      0x41ef'ffff'ffe0'0000,
      0x43e0'0000'0000'0000,
      0x43f0'0000'0000'0000,
      0x3fe0'0000'0000'0000,
      0x4330'0000'0000'0000,
      0x47ef'ffff'f000'0000,
      0x36a0'0000'0000'0000,
  };
  switch (type) {
    case 'i':
    case 'l': return constant(type, interesting());
    // Any bits but those of NaNs that are not canonical.
    case 'f':
      code_.f32(c_.chance(60) ? c_.pick(kFloats) : static_cast<u32>(c_.bits()) & 0xbfff'ffff);
      break;
    case 'd':
      code_.f64(c_.chance(60) ? c_.pick(kDoubles) : c_.bits() & 0xbfff'ffff'ffff'ffff);
      break;
    case 'v':
      if (c_.chance(30)) {
        const u64 word = c_.chance(50) ? c_.pick(kDoubles) : c_.pick(kFloats) * 0x1'0000'0001u;
        code_.v128(word, word);
      } else {
        code_.v128(c_.bits(), c_.chance(50) ? c_.bits() : 0);
      }
      break;
    case 'p': return reference();
    default:
      code_.op(O::kRefNull);
      code_.bytes.push_back(ModuleWriter::type_of_letter(type));
      break;
  }
  push(type);
}

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
  u32 count = writable ? writable_ : readable_;
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
  if (type == 'x') return constant(type);
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
  if (type == 'p') return reference();
  bool is_int = type == 'i' || type == 'l';
  switch (c_.below(16)) {
    case 0:
      if (type == 'i' && c_.chance(boolean_percent_)) return boolean(depth - 1);
      return value(type, 0);
    case 1:
      if (is_int) return divide(type, depth - 1);
      break;
    case 2:
      value(type, depth - 1);
      value(type, depth - 1);
      return select(type, depth - 1);
    case 3:
      if (is_int) return byte_idiom(type);
      break;
    case 4:
    case 5:
      if (shape_.has_memory) return load(type, depth - 1);
      break;
    case 6:
      value(type, depth - 1);
      code_.op(O::kLocalTee, local_of(type, true));
      return;
    case 7:  // halves
      if (!is_int) break;
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
      if (!is_int) break;
      value(type, depth - 1);
      value(type, depth - 1);
      constant(type, -1);
      code_.op(type == 'i' ? O::kI32Xor : O::kI64Xor).op(type == 'i' ? O::kI32And : O::kI64And);
      return pop(2);
    default: break;
  }
  // An instruction with this result.
  const std::vector<Opcode>& all = lists_.simple;
  u32 start = c_.below(static_cast<u32>(all.size()));
  for (u32 i = 0;; i++) {
    Opcode op = all[(start + i) % all.size()];
    const OpcodeInfo& info = info_of(op);
    if (letter(info.result) != type) continue;
    value(letter(info.operands[0]), depth - 1);
    for (u32 k = 1; k < info.operand_count; k++) {
      if (c_.chance(40))
        constant(letter(info.operands[k]));
      else
        value(letter(info.operands[k]), depth - 1);
    }
    emit(op);
    pop(info.operand_count);
    return push(type);
  }
}

// One instruction on what the stack ends in, if possible.
void BodyGenerator::simple_op() {
  Opcode op = lists_.simple[c_.below(static_cast<u32>(lists_.simple.size()))];
  const OpcodeInfo& info = info_of(op);
  std::string types;
  for (u32 i = 0; i < info.operand_count; i++) types += letter(info.operands[i]);
  operands(types, 1);
  emit(op);
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
  if (c_.chance(80) && type != 'p') {
    code_.op(O::kSelect);
  } else {
    code_.op(O::kSelectT, 1);
    code_.bytes.push_back(ModuleWriter::type_of_letter(type));
  }
  pop(3);
  push(type);
}

void BodyGenerator::condition(u32 depth) {
  static const O kCompare32[] = {O::kI32Eq,  O::kI32Ne,  O::kI32LtS, O::kI32LtU, O::kI32GtS,
                                 O::kI32GtU, O::kI32LeS, O::kI32LeU, O::kI32GeS, O::kI32GeU};
  static const O kCompare64[] = {O::kI64Eq,  O::kI64Ne,  O::kI64LtS, O::kI64LtU, O::kI64GtS,
                                 O::kI64GtU, O::kI64LeS, O::kI64LeU, O::kI64GeS, O::kI64GeU};
  if (depth > 0 && c_.chance(boolean_percent_)) return boolean(depth - 1);
  if (c_.chance(20)) return value('i', depth);
  if (depth > 0 && c_.chance(12)) {  // several at once
    condition(depth - 1);
    condition(depth - 1);
    code_.op(c_.pick({O::kI32And, O::kI32Or, O::kI32And, O::kI32Xor}));
    return pop(1);
  }
  char type = any_int();
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
      near_address(0);
      code_.op(wide ? O::kI64Load8U : O::kI32Load8U, 0, base + from);
      pop(1);
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
  operands(std::string(1, type), c_.below(depth_ + 1));
  if (type == 'x') {
    code_.op(O::kDrop);
    return pop(1);
  }
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

// Many values alive at once.
void BodyGenerator::pressure() {
  for (u32 i = 10 + c_.below(25); i > 0; i--) {
    value(any_type(), c_.below(2));
    if (c_.chance(3)) call();
  }
  if (c_.chance(30)) call();
  if (c_.chance(40)) return;
  while (stack_.size() > frame().height + 1) {
    simple_op();
    if (c_.is_exhausted() || c_.chance(3)) return;
  }
}

}  // namespace wring::test
