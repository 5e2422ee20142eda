// SPDX-License-Identifier: GPL-2.0
// Tables of the IR's operations, from ops.def.
#include "core/ir/ir.h"

namespace wring::ir {

namespace {

constexpr u8 parse_effects(const char* s) {
  u8 effects = 0;
  for (; *s; s++)
    effects |= *s == 'P'   ? kPure
               : *s == 'R' ? kReads
               : *s == 'W' ? kWrites
               : *s == 'T' ? kTraps
               : *s == 'C' ? kCalls
                           : kEnds;
  return effects;
}
constexpr u8 parse_count(const char* s) {
  return *s == 'V' ? kVariadic : static_cast<u8>(*s - '0');
}

const char* const kNames[] = {
#define OP(name, text, args, effects) text,
#include "core/ir/ops.def"
#undef OP
};

}  // namespace

constexpr OpInfo kOpInfo[] = {
#define OP(name, text, args, effects) {parse_effects(#effects), parse_count(#args)},
#include "core/ir/ops.def"
#undef OP
};

const char* name_of(Op op) {
  WRING_ASSERT(op < Op::kCount);
  return kNames[static_cast<u32>(op)];
}

const char* name_of(Type type) {
  switch (type) {
    case Type::kVoid: return "void";
    case Type::kI32: return "i32";
    case Type::kI64: return "i64";
    case Type::kF32: return "f32";
    case Type::kF64: return "f64";
    case Type::kV128: return "v128";
  }
  return "?";
}

Type type_of(ValType type) {
  switch (type) {
    case ValType::kI32: return Type::kI32;
    case ValType::kI64: return Type::kI64;
    case ValType::kF32: return Type::kF32;
    case ValType::kF64: return Type::kF64;
    case ValType::kV128: return Type::kV128;
    default: return is_ref(type) ? Type::kI64 : Type::kVoid;
  }
}

}  // namespace wring::ir
