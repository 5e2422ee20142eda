// SPDX-License-Identifier: GPL-2.0
// Byte swaps written as shifts and ors. Each value carries a map from its bytes to those of one source value,
// made from its arguments' maps in constant time; a map that is a reversal is a byte swap.
#include "core/opt/gvn.h"

namespace wring::opt {

namespace {

constexpr u8 kZero = ByteMap::kZero, kUnknown = ByteMap::kUnknown;

u32 bytes_in(Type type) { return type == Type::kI32 ? 4 : 8; }

ByteMap zeros(Value source) {
  ByteMap map;
  map.source = source;
  for (u8& b : map.byte) b = kZero;
  return map;
}

}  // namespace

// The map of a value as an argument: its own, or itself byte by byte.
ByteMap Gvn::bytes_of_value(Value v) const {
  if (bytes_[v].source != v) return bytes_[v];
  ByteMap map = zeros(v);
  u64 bits = facts_.info(v).bits;
  for (u32 i = 0; i < bytes_in(def(v).type); i++)
    if (bits >> (8 * i) & 0xff) map.byte[i] = static_cast<u8>(i);
  return map;
}

// source == kNone: nothing but the value itself is known.
ByteMap Gvn::bytes_of_inst(const Inst& inst, const ValueInfo& info) const {
  ByteMap none = zeros(kNone);
  u64 c;
  u32 n = bytes_in(inst.type);
  switch (inst.op) {
    case Op::kZExtI32: return bytes_of_value(inst.arg[0]);
    case Op::kWrap: {
      ByteMap map = bytes_of_value(inst.arg[0]);
      for (u32 i = 4; i < 8; i++) map.byte[i] = kZero;
      return map;
    }
    case Op::kBswap: {
      ByteMap map = bytes_of_value(inst.arg[0]);
      for (u32 i = 0; i < n / 2; i++) swap(map.byte[i], map.byte[n - 1 - i]);
      return map;
    }
    case Op::kBswap16: {
      ByteMap map = bytes_of_value(inst.arg[0]);
      swap(map.byte[0], map.byte[1]);
      for (u32 i = 2; i < 8; i++) map.byte[i] = kZero;
      return map;
    }
    case Op::kAnd: {
      if (!is_const(inst.arg[1], &c)) return none;
      ByteMap map = bytes_of_value(inst.arg[0]);
      for (u32 i = 0; i < n; i++) {
        u8 mask = static_cast<u8>(c >> (8 * i));
        if ((info.bits >> (8 * i) & 0xff) == 0)
          map.byte[i] = kZero;
        else if (mask != 0xff)
          map.byte[i] = kUnknown;
      }
      return map;
    }
    case Op::kShl:
    case Op::kShrU:
    case Op::kRotl: {
      if (!is_const(inst.arg[1], &c) || c % 8) return none;
      ByteMap from = bytes_of_value(inst.arg[0]);
      ByteMap map = zeros(from.source);
      u32 by = static_cast<u32>(c / 8) % n;
      for (u32 i = 0; i < n; i++) {
        if (inst.op == Op::kShrU) {
          if (i + by < n) map.byte[i] = from.byte[i + by];
        } else if (i >= by || inst.op == Op::kRotl) {
          map.byte[i] = from.byte[(i + n - by) % n];
        }
      }
      return map;
    }
    case Op::kOr: {
      ByteMap map = bytes_of_value(inst.arg[0]), other = bytes_of_value(inst.arg[1]);
      if (map.source != other.source) return none;
      for (u32 i = 0; i < n; i++) {
        if (map.byte[i] == kZero)
          map.byte[i] = other.byte[i];
        else if (other.byte[i] != kZero && other.byte[i] != map.byte[i])
          map.byte[i] = kUnknown;
      }
      return map;
    }
    default: return none;
  }
}

// A value equal to `inst`, whose bytes are `map`, if that is the source or a byte swap of it.
Value Gvn::match_bytes(const Inst& inst, const ByteMap& map) {
  if (inst.op == Op::kBswap || inst.op == Op::kBswap16 || inst.op == Op::kZExtI32 ||
      inst.op == Op::kWrap)
    return kNone;
  Value source = map.source;
  Type from = def(source).type;
  u32 n = bytes_in(inst.type), m = bytes_in(from);
  ByteMap self = zeros(source);
  u64 bits = facts_.info(source).bits;
  for (u32 i = 0; i < m; i++)
    if (bits >> (8 * i) & 0xff) self.byte[i] = static_cast<u8>(i);
  // In as many bytes as both have; beyond that there must be nothing.
  u32 width = min(n, m);
  bool same = true, reversed = true, reversed16 = from == Type::kI32, reversed32 = m == 8;
  for (u32 i = 0; i < n; i++) {
    u8 at = map.byte[i];
    u8 here = i < m ? self.byte[i] : kZero;
    same &= at == here;
    reversed &= at == (i < width ? self.byte[m - 1 - i] : kZero);
    reversed16 &= at == (i < 2 ? self.byte[1 - i] : kZero);
    reversed32 &= at == (i < 4 ? self.byte[3 - i] : kZero);
  }
  if (n < m) same = reversed = false;
  if (same && inst.type == from) return source;
  // Something must move in a way that one shift or and cannot.
  if (map.byte[0] == 0) return kNone;
  if (inst.arg[0] == source && (inst.op == Op::kShl || inst.op == Op::kShrU)) return kNone;
  Value v;
  if (reversed16 && map.byte[0] == 1) {
    v = make(Op::kBswap16, Type::kI32, source);
  } else if (reversed && (m == 4 || n == 8)) {
    v = make(Op::kBswap, from, source);
  } else if (reversed32) {
    v = make(Op::kBswap, Type::kI32, make(Op::kWrap, Type::kI32, source));
    from = Type::kI32;
  } else {
    return kNone;
  }
  if (inst.type == Type::kI64 && def(v).type == Type::kI32)
    return make(Op::kZExtI32, Type::kI64, v);
  return v;
}

}  // namespace wring::opt
