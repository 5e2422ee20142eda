// SPDX-License-Identifier: GPL-2.0
// An ordered array: additions move what lies behind, which a copy does at a few bytes a cycle.
#include "core/runtime/address_index.h"

#include "core/base/pace.h"
#include "core/base/recovery.h"

namespace wring::runtime {

namespace {

constexpr u32 kLeastCapacity = 16;
constexpr u32 kMovesPerStep = 16;  // some 50 ns

}  // namespace

AddressIndex::~AddressIndex() { give_memory(entries_); }

// The index of the first range that begins beyond the address.
u32 AddressIndex::first_beyond(u64 address) const {
  u32 low = 0, high = size_;
  while (low < high) {
    u32 middle = low + (high - low) / 2;
    if (entries_[middle].begin <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

bool AddressIndex::grow() {
  u32 capacity = max(kLeastCapacity, capacity_ * 2);
  auto* entries = static_cast<Entry*>(take_memory(usize{capacity} * sizeof(Entry), true));
  if (!entries) return false;
  if (size_) __builtin_memcpy(entries, entries_, usize{size_} * sizeof(Entry));
  give_memory(entries_);
  entries_ = entries;
  capacity_ = capacity;
  return true;
}

bool AddressIndex::add(u64 begin, u64 end, void* owner) {
  if (begin == end) return true;
  if (size_ == capacity_ && !grow()) return false;
  u32 at = first_beyond(begin), moved = size_ - at;
  __builtin_memmove(entries_ + at + 1, entries_ + at, usize{moved} * sizeof(Entry));
  entries_[at] = {begin, end, owner};
  size_++;
  tick_and_go_on(moved / kMovesPerStep);
  return true;
}

void AddressIndex::remove(u64 begin) {
  u32 at = first_beyond(begin);
  if (at == 0 || entries_[at - 1].begin != begin) return;
  u32 moved = size_ - at;
  __builtin_memmove(entries_ + at - 1, entries_ + at, usize{moved} * sizeof(Entry));
  size_--;
  tick_and_go_on(moved / kMovesPerStep);
}

void* AddressIndex::find(u64 address) const {
  u32 beyond = first_beyond(address);
  return beyond != 0 && address < entries_[beyond - 1].end ? entries_[beyond - 1].owner : nullptr;
}

}  // namespace wring::runtime
