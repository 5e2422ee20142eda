// SPDX-License-Identifier: GPL-2.0
// BitSet: a fixed number of bits in an Arena.
#pragma once

#include "core/base/arena.h"
#include "core/base/pace.h"

namespace wring {

class BitSet {
 public:
  // false when memory runs out. All bits start clear.
  [[nodiscard]] bool init(Arena* arena, u32 bits) {
    bits_ = bits;
    words_ = arena->make_array<u64>((u64{bits} + 63) / 64);
    return bits == 0 || words_.data();
  }
  u32 size() const { return bits_; }
  bool test(u32 i) const { return words_[check(i) / 64] >> (i % 64) & 1; }
  void set(u32 i) { words_[check(i) / 64] |= u64{1} << (i % 64); }
  void clear(u32 i) { words_[check(i) / 64] &= ~(u64{1} << (i % 64)); }
  void clear_all() {
    for (u64& w : words_) w = 0;
    tick(words_.size() / kWordsPerStep);
  }
  // this |= other (equal sizes); returns whether any bit changed.
  bool merge(const BitSet& other) {
    WRING_ASSERT(bits_ == other.bits_);
    u64 changed = 0;
    for (u32 i = 0; i < words_.size(); i++) {
      u64 merged = words_[i] | other.words_[i];
      changed |= merged ^ words_[i];
      words_[i] = merged;
    }
    tick(words_.size() / kWordsPerStep);
    return changed != 0;
  }
  // Calls f(index) for each set bit in ascending order.
  template <class F>
  void for_each(F&& f) const {
    tick(words_.size() / kWordsPerStep);
    for (u32 w = 0; w < words_.size(); w++)
      for (u64 rest = words_[w]; rest; rest &= rest - 1) f(w * 64 + count_trailing_zeros(rest));
  }

 private:
  static constexpr u32 kWordsPerStep = 32;
  u32 check(u32 i) const {
    WRING_ASSERT(i < bits_);
    return i;
  }
  Span<u64> words_;
  u32 bits_ = 0;
};

}  // namespace wring
