// SPDX-License-Identifier: GPL-2.0
// Sorting and searching of tables: in place, without recursion or allocation, O(n log n) in the worst case.
#pragma once

#include "core/base/pace.h"
#include "core/base/span.h"

namespace wring {

// Sorts by key(element), ascending (heapsort; not stable). Tables that are sorted already cost one pass.
template <class T, class Key>
void sort_by(Span<T> items, Key key) {
  u32 n = items.size();
  bool sorted = true;
  for (u32 i = 1; i < n && sorted; i++, tick()) sorted = !(key(items[i]) < key(items[i - 1]));
  if (sorted) return;
  auto sift_down = [&](u32 root, u32 end) {
    while (u64{root} * 2 + 1 < end) {
      u32 child = root * 2 + 1;
      if (child + 1 < end && key(items[child]) < key(items[child + 1])) child++;
      if (!(key(items[root]) < key(items[child]))) return;
      swap(items[root], items[child]);
      root = child;
    }
  };
  for (u32 i = n / 2; i-- > 0; tick(8)) sift_down(i, n);
  for (u32 end = n; end-- > 1; tick(8)) {
    swap(items[0], items[end]);
    sift_down(0, end);
  }
}

// The index of the first element whose key is not below `wanted`, in a table sorted by key; size() if none.
template <class T, class Key, class Wanted>
u32 lower_bound(Span<T> items, const Wanted& wanted, Key key) {
  u32 low = 0, high = items.size();
  while (low < high) {
    u32 middle = low + (high - low) / 2;
    if (key(items[middle]) < wanted)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

}  // namespace wring
