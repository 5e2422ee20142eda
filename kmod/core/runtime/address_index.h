// SPDX-License-Identifier: GPL-2.0
// Which of many things an address lies in: an ordered list of ranges, searched by halves. For what linked instances
// have, of which there may be thousands.
#pragma once

#include "core/base/types.h"

namespace wring::runtime {

class AddressIndex {
 public:
  AddressIndex() = default;
  ~AddressIndex();
  AddressIndex(const AddressIndex&) = delete;
  AddressIndex& operator=(const AddressIndex&) = delete;

  // [begin, end) is the owner's; it overlaps no other range. False when memory runs out. May sleep, no assertions.
  [[nodiscard]] bool add(u64 begin, u64 end, void* owner);
  // Takes the range that begins there off again, if there is one. May sleep, no assertions.
  void remove(u64 begin);

  // Whose range the address is in, or nullptr. Any context.
  void* find(u64 address) const;
  // All ranges are in [begin(), end()). Any context.
  u64 begin() const { return size_ ? entries_[0].begin : 0; }
  u64 end() const { return size_ ? entries_[size_ - 1].end : 0; }

 private:
  struct Entry {
    u64 begin;
    u64 end;
    void* owner;
  };
  u32 first_beyond(u64 address) const;
  bool grow();

  Entry* entries_ = nullptr;  // in order
  u32 size_ = 0;
  u32 capacity_ = 0;
};

}  // namespace wring::runtime
