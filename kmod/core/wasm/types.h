// SPDX-License-Identifier: GPL-2.0
// Wasm types: value types, function types, limits (spec, section 2.3).
#pragma once

#include "core/base/limits.h"
#include "core/base/span.h"

namespace wring {

// A value type (spec, section 2.3): a number type, or a reference to a heap type that may be nullable. The low byte is
// the binary format's encoding (section 5.3) of a number type or of an abstract heap type, kConcreteHeap for a
// reference to type index (t >> 8) & 0x3fffff of the module. References are nullable unless kNonNull is set.
enum class ValType : u32 {
  kI32 = 0x7f,
  kI64 = 0x7e,
  kF32 = 0x7d,
  kF64 = 0x7c,
  kV128 = 0x7b,
  kFuncRef = 0x70,
  kExternRef = 0x6f,
  kExnRef = 0x69,
  // Bottom types of the three hierarchies: only null belongs to them.
  kNullFuncRef = 0x73,
  kNullExternRef = 0x72,
  kNullExnRef = 0x74,
  kBottom = 0x00,  // validation only: the unknown type of unreachable code
};
constexpr u32 kConcreteHeap = 0x01, kNonNull = 1u << 31, kMaxTypeIndex = 0x3fffff;

constexpr ValType ref_to(u32 type_index, bool nullable) {
  return static_cast<ValType>(kConcreteHeap | type_index << 8 | (nullable ? 0 : kNonNull));
}
constexpr u8 heap_of(ValType t) { return static_cast<u8>(static_cast<u32>(t) & 0xff); }
constexpr bool is_num(ValType t) { return t >= ValType::kF64 && t <= ValType::kI32; }
constexpr bool is_concrete(ValType t) { return heap_of(t) == kConcreteHeap; }
constexpr u32 type_index_of(ValType t) { return static_cast<u32>(t) >> 8 & kMaxTypeIndex; }
constexpr bool is_ref(ValType t) {
  return is_concrete(t) || (heap_of(t) >= 0x69 && heap_of(t) <= 0x74);
}
constexpr bool is_nullable(ValType t) { return is_ref(t) && !(static_cast<u32>(t) & kNonNull); }
constexpr ValType as_non_null(ValType t) {
  return static_cast<ValType>(static_cast<u32>(t) | kNonNull);
}
// Of the three hierarchies of references, the top of the one t belongs to: kFuncRef, kExternRef or kExnRef. Concrete
// types are functions'. Generated code treats all references of a hierarchy alike.
constexpr ValType top_of(ValType t) {
  switch (static_cast<ValType>(heap_of(t))) {
    case ValType::kExternRef:
    case ValType::kNullExternRef: return ValType::kExternRef;
    case ValType::kExnRef:
    case ValType::kNullExnRef: return ValType::kExnRef;
    default: return ValType::kFuncRef;
  }
}
const char* name_of(ValType t);
bool equal(Span<const ValType> a, Span<const ValType> b);

struct FuncType {
  Span<const ValType> params;
  Span<const ValType> results;
};
bool equal(const FuncType& a, const FuncType& b);

struct Limits {
  u64 min = 0;
  u64 max = 0;  // meaningful only if has_max
  bool has_max = false;
  bool is_64 = false;  // indices are i64
};

// The most pages a memory of this type that is made here can get, where the host allows `limit`. Only one that
// starts with the whole 32-bit index space gets all of it: elsewhere a valid index plus less than a page never wraps,
// which the optimizer makes use of.
inline u64 most_pages(const Limits& limits, u64 limit) {
  if (limits.has_max) limit = min(limit, limits.max);
  return limits.min < kMaxMemoryPages ? min<u64>(limit, kMaxMemoryPages - 1) : limit;
}

enum class ExternKind : u8 { kFunc = 0, kTable = 1, kMemory = 2, kGlobal = 3, kTag = 4 };
const char* name_of(ExternKind kind);

struct TableType {
  ValType elem = ValType::kFuncRef;
  Limits limits;
};
struct MemoryType {
  Limits limits;  // in pages of 64 KiB
  bool is_shared = false;
};
struct GlobalType {
  ValType type = ValType::kI32;
  bool is_mutable = false;
};

// What the binary may contain beyond WebAssembly 2.0.
struct Features {
  // Of 3.0: tail calls, extended constant expressions, multiple memories, relaxed SIMD, memory64, exception handling,
  // typed function references. Garbage-collected types are Err::kUnsupported.
  bool wasm3 = true;
  bool threads = true;  // atomics and shared memories
};

}  // namespace wring
