// SPDX-License-Identifier: GPL-2.0
// A stream of choices for generators of test inputs: drawn from a seed without end, or spelled out by the bytes of a
// fuzzer and zero after their end, which generators must take as the way to stop.
#pragma once

#include <random>

#include "core/base/types.h"

namespace wring::test {

class Choices {
 public:
  explicit Choices(u64 seed) : random_(seed) {}
  Choices(const u8* data, usize size) : data_(data), end_(data + size) {}
  // Bytes that make no more than a seed are one: a fuzzer's first, small inputs stand for whole modules already.
  static Choices of_input(const u8* data, usize size) {
    Choices bytes(data, size);
    return size > sizeof(u64) ? bytes : Choices(bytes.bits());
  }

  // In [0, n), n > 0.
  u32 below(u32 n) {
    return n <= 1 ? 0 : static_cast<u32>(take(n <= 256 ? 1 : n <= 65536 ? 2 : 4) % n);
  }
  bool chance(u32 percent) { return below(100) >= 100 - percent; }
  u64 bits() { return take(8); }
  bool is_exhausted() const { return data_ && data_ == end_; }
  template <class T, usize N>
  const T& pick(const T (&list)[N]) {
    return list[below(N)];
  }
  template <class List>
  auto pick_of(const List& list) {
    return list[below(static_cast<u32>(list.size()))];
  }

 private:
  u64 take(u32 bytes) {
    if (!data_) return random_() >> 3 ^ random_() << 7;
    u64 value = 0;
    for (; bytes > 0 && data_ != end_; bytes--) value = value << 8 | *data_++;
    return value;
  }

  std::mt19937_64 random_;
  const u8* data_ = nullptr;
  const u8* end_ = nullptr;
};

}  // namespace wring::test
