// SPDX-License-Identifier: GPL-2.0
// Wasm types: value types, function types, limits (spec, section 2.3).
#pragma once

#include "core/base/span.h"

namespace wring {

// The binary format's encodings (spec, section 5.3).
enum class ValType : u8 {
  kI32 = 0x7f,
  kI64 = 0x7e,
  kF32 = 0x7d,
  kF64 = 0x7c,
  kV128 = 0x7b,
  kFuncRef = 0x70,
  kExternRef = 0x6f,
  kBottom = 0x00,  // validation only: the unknown type of unreachable code
};

constexpr bool is_num(ValType t) { return t >= ValType::kF64 && t <= ValType::kI32; }
constexpr bool is_ref(ValType t) { return t == ValType::kFuncRef || t == ValType::kExternRef; }
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
};

enum class ExternKind : u8 { kFunc = 0, kTable = 1, kMemory = 2, kGlobal = 3 };
const char* name_of(ExternKind kind);

struct TableType {
  ValType elem = ValType::kFuncRef;
  Limits limits;
};
struct MemoryType {
  Limits limits;  // in pages of 64 KiB
};
struct GlobalType {
  ValType type = ValType::kI32;
  bool is_mutable = false;
};

}  // namespace wring
