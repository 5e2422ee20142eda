// SPDX-License-Identifier: GPL-2.0
// Names and equality of types.
#include "core/wasm/types.h"

namespace wring {

const char* name_of(ValType t) {
  if (is_concrete(t)) return is_nullable(t) ? "(ref null type)" : "(ref type)";
  const bool nullable = !(static_cast<u32>(t) & kNonNull);
  switch (static_cast<ValType>(heap_of(t))) {
    case ValType::kI32: return "i32";
    case ValType::kI64: return "i64";
    case ValType::kF32: return "f32";
    case ValType::kF64: return "f64";
    case ValType::kV128: return "v128";
    case ValType::kFuncRef: return nullable ? "funcref" : "(ref func)";
    case ValType::kExternRef: return nullable ? "externref" : "(ref extern)";
    case ValType::kExnRef: return nullable ? "exnref" : "(ref exn)";
    case ValType::kNullFuncRef: return nullable ? "nullfuncref" : "(ref nofunc)";
    case ValType::kNullExternRef: return nullable ? "nullexternref" : "(ref noextern)";
    case ValType::kNullExnRef: return nullable ? "nullexnref" : "(ref noexn)";
    case ValType::kBottom: return "unknown";
  }
  return "invalid";
}

const char* name_of(ExternKind kind) {
  switch (kind) {
    case ExternKind::kFunc: return "function";
    case ExternKind::kTable: return "table";
    case ExternKind::kMemory: return "memory";
    case ExternKind::kGlobal: return "global";
    case ExternKind::kTag: return "tag";
  }
  return "invalid";
}

bool equal(Span<const ValType> a, Span<const ValType> b) {
  return a.size() == b.size() &&
         (a.empty() || __builtin_memcmp(a.data(), b.data(), a.size() * sizeof(ValType)) == 0);
}

bool equal(const FuncType& a, const FuncType& b) {
  return equal(a.params, b.params) && equal(a.results, b.results);
}

}  // namespace wring
