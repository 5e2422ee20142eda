// SPDX-License-Identifier: GPL-2.0
// User memory as callers ought not to lay it out: what the kernel is given ends where memory does, is read-only,
// changes while it is read, or vanishes.
#pragma once

#include <atomic>

#include "selftests/fuzz/choices.h"

namespace wring::fuzz {

constexpr usize kRegionBytes = 64 << 10;

// Memory that all threads of a process scribble on, and map and unmap.
class Commons {
 public:
  Commons();
  Commons(const Commons&) = delete;
  Commons& operator=(const Commons&) = delete;
  u8* bytes() const { return bytes_; }          // always there
  u8* vanishing() const { return vanishing_; }  // the same memory, but not always there
  void scribble(test::Choices* choices);
  void map_or_unmap(test::Choices* choices);

 private:
  int fd_;
  u8* bytes_;
  u8* vanishing_;
};

// What a call gets: the address, and where the bytes can be seen that are there, or nullptr.
struct Placed {
  u64 address;
  u8* bytes;
};

// One thread's.
class Arena {
 public:
  explicit Arena(Commons* commons);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // A copy of the bytes for the kernel to read and write; the last few copies stay as they are. Mostly at the very end
  // of a mapping. Where `data` is larger than a region, it stays where it is.
  Placed place(test::Choices* choices, const void* data, usize bytes);
  // The same, where the kernel can only read it.
  u64 place_readonly(const void* data, usize bytes);
  // An address where there are fewer than that many bytes, or none at all, or the kernel's.
  u64 wild(test::Choices* choices, usize bytes);

 private:
  static constexpr u32 kRegions = 8;
  u8* next_region() { return writable_ + (next_++ % kRegions) * kStride; }
  static constexpr usize kStride = kRegionBytes + 4096;

  Commons& commons_;
  u8* writable_;
  u8* readonly_;
  u32 next_ = 0;
};

}  // namespace wring::fuzz
