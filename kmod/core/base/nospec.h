// SPDX-License-Identifier: GPL-2.0
// Indices that stay in bounds where a processor runs past the check that they are: what C++ code does with a guest's
// numbers. (Generated code has ir::Op::kClampIndex.)
#pragma once

#include "core/base/types.h"

namespace wring {

// `index` if that is below `size`, else 0; without a branch.
inline u64 index_nospec(u64 index, u64 size) {
  u64 mask;
  asm("cmp %2, %1\n\tsbb %0, %0" : "=r"(mask) : "r"(index), "r"(size) : "cc");
  return index & mask;
}

// Whether [*begin, *begin + *n) is in [0, size), size being less than 2^64. Where that is mispredicted it is, too.
inline bool range_in_bounds(u64* begin, u64* n, u64 size) {
  if (*begin > size || *n > size - *begin) return false;
  *begin = index_nospec(*begin, size + 1);
  *n = index_nospec(*n, size - *begin + 1);
  return true;
}

}  // namespace wring
