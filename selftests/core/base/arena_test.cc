// SPDX-License-Identifier: GPL-2.0
// Arena, Vec and BitSet: contents, growth, budgets.
#include "core/base/arena.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "core/base/bitset.h"
#include "core/base/vector.h"

namespace wring {
namespace {

TEST(Arena, BlocksAreAlignedZeroedAndDisjoint) {
  Arena arena(1 << 20);
  u8* blocks[100];
  for (u32 i = 0; i < 100; i++) {
    blocks[i] = static_cast<u8*>(arena.alloc(i));
    ASSERT_NE(blocks[i], nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(blocks[i]) % 16, 0u);
    for (u32 k = 0; k < i; k++) EXPECT_EQ(blocks[i][k], 0);
    __builtin_memset(blocks[i], 0xff, i);
  }
  for (u32 i = 1; i < 100; i++) EXPECT_GE(blocks[i], blocks[i - 1] + (i - 1));
}

TEST(Arena, BudgetIsNeverExceeded) {
  for (usize budget : {usize{0}, usize{1}, usize{100}, usize{16 * 1024}, usize{100'000}}) {
    Arena arena(budget);
    u32 blocks = 0;
    while (arena.alloc(64)) blocks++;
    EXPECT_LE(arena.bytes_used(), budget);
    // Nearly all of the budget is usable.
    if (budget >= 16 * 1024) {
      EXPECT_GE(blocks * usize{64}, budget * 9 / 10);
    }
    EXPECT_EQ(arena.alloc(budget + 1), nullptr);
  }
}

TEST(Arena, HugeSizesFailCleanly) {
  Arena arena(~usize{0});
  EXPECT_EQ(arena.alloc(~usize{0}), nullptr);
  EXPECT_EQ(arena.alloc(~usize{0} - 15), nullptr);
  EXPECT_EQ(arena.make_array<u64>(~usize{0} / 4).data(), nullptr);
  EXPECT_EQ(arena.make_array<u64>(~usize{0}).data(), nullptr);
  EXPECT_EQ(arena.bytes_used(), 0u);
}

TEST(Arena, LargeBlocksDoNotWasteTheOpenChunk) {
  Arena arena(usize{64} << 20);
  ASSERT_NE(arena.alloc(16), nullptr);
  for (u32 i = 0; i < 10; i++) {
    ASSERT_NE(arena.alloc(2 << 20), nullptr);
    ASSERT_NE(arena.alloc(16), nullptr);
  }
  EXPECT_LT(arena.bytes_used(), usize{21} << 20);
}

TEST(Arena, ResetGivesTheBudgetBack) {
  Arena arena(1 << 20);
  for (u32 round = 0; round < 3; round++) {
    EXPECT_NE(arena.alloc(1000 * 1000), nullptr);
    EXPECT_EQ(arena.alloc(1000 * 1000), nullptr);
    arena.reset();
    EXPECT_EQ(arena.bytes_used(), 0u);
  }
}

TEST(Arena, MakeConstructs) {
  struct Thing {
    u32 value = 7;
  };
  Arena arena(1 << 20);
  EXPECT_EQ(arena.make<Thing>()->value, 7u);
  Arena empty(0);
  EXPECT_EQ(empty.make<Thing>(), nullptr);
}

TEST(Vec, KeepsItsElementsWhileGrowing) {
  Arena arena(1 << 24);
  Vec<u32> v(&arena);
  EXPECT_TRUE(v.empty());
  for (u32 i = 0; i < 10'000; i++) ASSERT_TRUE(v.push(i * 3));
  ASSERT_EQ(v.size(), 10'000u);
  for (u32 i = 0; i < v.size(); i++) EXPECT_EQ(v[i], i * 3);
  EXPECT_EQ(v.back(), 9'999u * 3);
  EXPECT_EQ(v.pop(), 9'999u * 3);
  EXPECT_EQ(v.size(), 9'999u);
}

TEST(Vec, PushOfAnOwnElementSurvivesGrowth) {
  Arena arena(1 << 20);
  Vec<u32> v(&arena);
  ASSERT_TRUE(v.push(42));
  while (v.size() < 1000) ASSERT_TRUE(v.push(v[0]));
  for (u32 x : v) EXPECT_EQ(x, 42u);
}

TEST(Vec, ResizeZeroesWhatItAdds) {
  Arena arena(1 << 20);
  Vec<u8> v(&arena);
  ASSERT_TRUE(v.resize(100));
  for (u8& x : v) x = 0xff;
  ASSERT_TRUE(v.resize(10));
  ASSERT_TRUE(v.resize(200));
  for (u32 i = 0; i < 200; i++) EXPECT_EQ(v[i], i < 10 ? 0xff : 0);
}

TEST(Vec, FailureLeavesItUnchanged) {
  Arena arena(64 * 1024);
  Vec<u64> v(&arena);
  while (v.push(v.size())) continue;
  const u32 size = v.size();
  EXPECT_GT(size, 1000u);
  EXPECT_FALSE(v.resize(100'000));
  EXPECT_FALSE(v.reserve(~usize{0}));
  ASSERT_EQ(v.size(), size);
  for (u32 i = 0; i < size; i++) EXPECT_EQ(v[i], i);
}

TEST(VecDeathTest, OutOfBoundsPanics) {
  Arena arena(1 << 20);
  Vec<u32> v(&arena);
  ASSERT_TRUE(v.push(1));
  EXPECT_DEATH(static_cast<void>(v[1]), "");
  v.clear();
  EXPECT_DEATH(v.pop(), "");
}

TEST(Span, Slices) {
  u32 numbers[] = {1, 2, 3, 4};
  Span<u32> all(numbers);
  EXPECT_EQ(all.size(), 4u);
  EXPECT_EQ(all.slice(1, 2)[1], 3u);
  EXPECT_TRUE(all.slice(4, 0).empty());
  EXPECT_DEATH(all.slice(1, 4), "");
  EXPECT_DEATH(all.slice(5, 0), "");
  EXPECT_DEATH(all.slice(1, ~usize{0}), "");
}

TEST(BitSet, SetClearIterate) {
  Arena arena(1 << 20);
  BitSet bits;
  ASSERT_TRUE(bits.init(&arena, 130));
  for (u32 i : {0u, 63u, 64u, 129u}) bits.set(i);
  EXPECT_TRUE(bits.test(129));
  EXPECT_FALSE(bits.test(128));
  bits.clear(64);
  u32 seen[4], count = 0;
  bits.for_each([&](u32 i) { seen[count++] = i; });
  ASSERT_EQ(count, 3u);
  EXPECT_EQ(seen[0], 0u);
  EXPECT_EQ(seen[1], 63u);
  EXPECT_EQ(seen[2], 129u);
  EXPECT_DEATH(bits.set(130), "");
  bits.clear_all();
  bits.for_each([&](u32) { ADD_FAILURE(); });
}

TEST(Arena, RewoundMemoryIsZeroAgainAndStaysInTheBudget) {
  Arena arena(1 << 20);
  u8* kept = static_cast<u8*>(arena.alloc(100));
  ASSERT_NE(kept, nullptr);
  __builtin_memset(kept, 1, 100);
  Arena::Mark mark = arena.mark();
  usize used = 0;
  for (u32 round = 0; round < 50; round++) {
    for (u32 size : {16u, 1000u, 40'000u, 5000u, 100'000u, 3u}) {
      u8* p = static_cast<u8*>(arena.alloc(size));
      ASSERT_NE(p, nullptr) << round;
      for (u32 i = 0; i < size; i++) ASSERT_EQ(p[i], 0);
      __builtin_memset(p, 0xff, size);
    }
    if (round == 0) used = arena.bytes_used();
    EXPECT_EQ(arena.bytes_used(), used);
    arena.rewind(mark);
  }
  for (u32 i = 0; i < 100; i++) EXPECT_EQ(kept[i], 1);
  // What is spare gives way to something larger than any of it.
  EXPECT_NE(arena.alloc((1 << 20) - 20'000), nullptr);
}

TEST(Arena, ScopesNest) {
  Arena arena(1 << 20);
  ASSERT_NE(arena.alloc(1), nullptr);
  usize used = arena.bytes_used();
  {
    ArenaScope outer(&arena);
    void* first = arena.alloc(64);
    {
      ArenaScope inner(&arena);
      ASSERT_NE(arena.alloc(64), nullptr);
    }
    EXPECT_EQ(static_cast<u8*>(arena.alloc(64)), static_cast<u8*>(first) + 64);
  }
  EXPECT_EQ(arena.bytes_used(), used);
}

TEST(BitSet, MergeReportsChanges) {
  Arena arena(1 << 20);
  BitSet a, b;
  ASSERT_TRUE(a.init(&arena, 70));
  ASSERT_TRUE(b.init(&arena, 70));
  b.set(69);
  EXPECT_TRUE(a.merge(b));
  EXPECT_TRUE(a.test(69));
  EXPECT_FALSE(a.merge(b));
}

TEST(BitSet, EmptyAndOutOfMemory) {
  Arena arena(1 << 10);
  BitSet bits;
  EXPECT_TRUE(bits.init(&arena, 0));
  EXPECT_FALSE(bits.init(&arena, 1 << 20));
}

}  // namespace
}  // namespace wring
