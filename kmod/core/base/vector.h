// SPDX-License-Identifier: GPL-2.0
// Vec: a growable array in an Arena. Elements are trivially copyable; growth abandons the old storage, in which what
// pointed there still finds the old elements.
// LargeVec: the same for the few lists of a module's length. It grows by smaller steps, in memory of its own, and
// gives the old storage back: nothing may point there when it grows.
#pragma once

#include "core/base/arena.h"
#include "core/base/pace.h"

namespace wring {

template <class T, bool kGivesBack = false>
class Vec {
 public:
  Vec() = default;
  explicit Vec(Arena* arena) : arena_(arena) {}
  void init(Arena* arena) { *this = Vec(arena); }

  // false when memory runs out; the vector is unchanged then.
  [[nodiscard]] bool push(const T& value) {
    if (size_ == capacity_) {
      T copy = value;  // value may live inside this vector
      if (!grow(next_capacity())) return false;
      data_[size_++] = copy;
      return true;
    }
    data_[size_++] = value;
    return true;
  }
  [[nodiscard]] bool reserve(usize capacity) { return capacity <= capacity_ || grow(capacity); }
  // Grows (with zero bytes) or shrinks to `size`.
  [[nodiscard]] bool resize(usize size) {
    if (size > capacity_ && !reserve(max<usize>(size, next_capacity()))) return false;
    if (size > size_) fill_bytes(data_ + size_, 0, (size - size_) * sizeof(T));
    size_ = static_cast<u32>(size);
    return true;
  }
  // Appends `count` elements, whose values the caller sets; nullptr when memory runs out.
  [[nodiscard]] T* extend(u32 count) {
    usize size = usize{size_} + count;
    if (size > capacity_ && !grow(max(size, next_capacity()))) return nullptr;
    size_ = static_cast<u32>(size);
    return data_ + size - count;
  }
  T pop() {
    WRING_ASSERT(size_ > 0);
    return data_[--size_];
  }
  void clear() { size_ = 0; }

  u32 size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() const { return data_; }
  T& operator[](usize i) const {
    WRING_ASSERT(i < size_);
    return data_[i];
  }
  T& back() const { return (*this)[size_ - 1]; }
  T* begin() const { return data_; }
  T* end() const { return data_ + size_; }
  Span<T> span() const { return {data_, size_}; }

 private:
  // Not inline: pushes are everywhere.
  [[gnu::noinline]] bool grow(usize capacity) {
    static_assert(__is_trivially_copyable(T));
    if (capacity > ~u32{0}) return false;
    usize bytes = capacity * sizeof(T);
    void* taken = kGivesBack ? arena_->alloc_alone(bytes) : arena_->alloc_dirty(bytes);
    T* grown = static_cast<T*>(taken);
    if (!grown) return false;
    if (size_) copy_bytes(grown, data_, size_ * sizeof(T));
    if (kGivesBack && data_) arena_->give_back(data_);
    data_ = grown;
    capacity_ = static_cast<u32>(capacity);
    return true;
  }
  usize next_capacity() const {
    usize capacity = capacity_;
    if (kGivesBack) return capacity + capacity / 4 + 4096 / sizeof(T);
    return capacity ? capacity * 2 : 8;
  }

  Arena* arena_ = nullptr;
  T* data_ = nullptr;
  u32 size_ = 0;
  u32 capacity_ = 0;
};

template <class T>
using LargeVec = Vec<T, true>;

}  // namespace wring
