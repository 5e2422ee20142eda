// SPDX-License-Identifier: GPL-2.0
// sort_by and lower_bound against the standard library's.
#include "core/base/sort.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace wring {
namespace {

TEST(Sort, MatchesTheStandardLibrary) {
  std::mt19937 random(1);
  for (u32 size : {0u, 1u, 2u, 3u, 10u, 257u, 5000u}) {
    for (u32 range : {1u, 3u, 1'000'000u}) {
      std::vector<u32> items(size);
      for (u32& x : items) x = static_cast<u32>(random()) % range;
      std::vector<u32> expected = items;
      std::sort(expected.begin(), expected.end());
      const auto self = [](u32 x) { return x; };
      sort_by(Span<u32>(items.data(), items.size()), self);
      EXPECT_EQ(items, expected);
      for (u32 wanted : {0u, range / 2, range, ~0u}) {
        const auto place = std::lower_bound(items.begin(), items.end(), wanted) - items.begin();
        EXPECT_EQ(lower_bound(Span<u32>(items.data(), items.size()), wanted, self), place);
      }
    }
  }
}

TEST(Sort, ByAKey) {
  u32 items[] = {5, 1, 4, 2, 3};
  sort_by(Span<u32>(items), [](u32 x) { return ~x; });
  for (u32 i = 0; i < 5; i++) EXPECT_EQ(items[i], 5 - i);
}

}  // namespace
}  // namespace wring
