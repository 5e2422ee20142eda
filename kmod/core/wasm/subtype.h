// SPDX-License-Identifier: GPL-2.0
// Type equality and subtyping (spec, sections 3.2 and 3.3).
#pragma once

#include "core/base/arena.h"
#include "core/base/result.h"
#include "core/wasm/types.h"

namespace wring {

// The reference type of unreachable code of which only that is known (spec, section 3.5.1): it is not null and
// matches every reference type. Validation only.
constexpr ValType kBottomRef = as_non_null(ValType::kBottom);

// Whether a value of type `a` may stand where `b` is expected and the two are not identical. `canonical` is
// Module::type_canonical. Type indices beyond it are equal to nothing else.
bool is_proper_subtype(Span<const u32> canonical, ValType a, ValType b);
inline bool is_subtype(Span<const u32> canonical, ValType a, ValType b) {
  return a == b || is_proper_subtype(canonical, a, b);
}
// The same for two lists, elementwise.
bool is_subtype(Span<const u32> canonical, Span<const ValType> a, Span<const ValType> b);

// Fills in canonical[i] for all types: the first type equal to type i. Types refer to types of their own recursion
// group, which begins at type group_begin[i], or of earlier ones. Takes time linear in the size of the type
// section and memory for a table, for the time of the call, from `scratch`. Err::kLimit if too many groups share a
// hash.
Err canonicalize_types(Span<const FuncType> types, Span<const u32> group_begin, Arena* scratch,
                       Span<u32> canonical, Diag* diag);

}  // namespace wring
