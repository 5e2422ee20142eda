// SPDX-License-Identifier: GPL-2.0
// Span: a bounds-checked view of contiguous elements it does not own.
#pragma once

#include "core/base/types.h"

namespace wring {

template <class T>
class Span {
 public:
  constexpr Span() = default;
  constexpr Span(T* data, usize size) : data_(data), size_(size) {}
  template <usize N>
  constexpr Span(T (&array)[N]) : data_(array), size_(N) {}  // NOLINT(google-explicit-constructor)
  constexpr operator Span<const T>() const { return {data_, size_}; }  // NOLINT

  T* data() const { return data_; }
  u32 size() const { return static_cast<u32>(size_); }
  bool empty() const { return size_ == 0; }
  T& operator[](usize i) const {
    WRING_ASSERT(i < size_);
    return data_[i];
  }
  T* begin() const { return data_; }
  T* end() const { return data_ + size_; }
  Span slice(usize from, usize count) const {
    WRING_ASSERT(from <= size_ && count <= size_ - from);
    return {data_ + from, count};
  }

 private:
  T* data_ = nullptr;
  usize size_ = 0;
};

using Bytes = Span<const u8>;

inline bool equal(Bytes a, Bytes b) {
  return a.size() == b.size() && (a.empty() || __builtin_memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace wring
