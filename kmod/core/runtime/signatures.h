// SPDX-License-Identifier: GPL-2.0
// Signatures: function types interned by structure, so that equal types have equal ids throughout a store.
//
// Equality is iso-recursive (spec, section 3.1.3): recursion groups are interned as a whole. Within one, a reference to
// a type of the same group is its place in the group; all others are ids given before.
#pragma once

#include "core/base/recovery.h"
#include "core/base/vector.h"
#include "core/wasm/types.h"

namespace wring::runtime {

class Signatures {
 public:
  Signatures() : arena_(kMaxBytes) { arena_.detach(); }
  ~Signatures() { give_memory(slots_); }
  Signatures(const Signatures&) = delete;
  Signatures& operator=(const Signatures&) = delete;

  // Usable whatever becomes of a call, broken invariants included: then a group may stay that nobody asks for.
  //
  // Interns the recursion group types[begin, end); ids[0, begin) are known, ids[begin, end) are filled in: numbers from
  // 1. Expected linear time in the group's size.
  Err intern(Span<const FuncType> types, u32 begin, u32 end, Span<u32> ids, Diag* diag);

 private:
  static constexpr usize kMaxBytes = usize{256} << 20;

  // A group as a string of words.
  struct Group {
    u64 hash;
    u32 first_id;
    Span<const u64> key;
  };
  Err make_key(Span<const FuncType> types, u32 begin, u32 end, Span<const u32> ids, Vec<u64>* out,
               Diag* diag) const;
  Err grow(Diag* diag);
  // Of the group or free; kNone: too many collisions.
  u32 find_slot(u64 hash, Span<const u64> key) const;

  Arena arena_;
  Group** slots_ = nullptr;  // open addressing, at most half full
  u32 slot_count_ = 0;       // a power of two, or 0
  u32 used_ = 0;             // slots
  u32 ids_ = 0;
};

}  // namespace wring::runtime
