// SPDX-License-Identifier: GPL-2.0
// Signatures: function types interned by structure, so that equal types have equal ids throughout a store.
#pragma once

#include "core/base/arena.h"
#include "core/base/result.h"
#include "core/wasm/types.h"

namespace wring::runtime {

class Signatures {
 public:
  Signatures() : arena_(kMaxBytes) {}
  ~Signatures() { wring_os_free(slots_); }
  Signatures(const Signatures&) = delete;
  Signatures& operator=(const Signatures&) = delete;

  // The id (from 1) of the type, which is copied when it is new. Expected constant time in its length.
  Err intern(const FuncType& type, u32* id, Diag* diag);

 private:
  static constexpr usize kMaxBytes = usize{256} << 20;

  struct Signature {
    u64 hash;
    u32 id;
    FuncType type;
  };
  Err grow(Diag* diag);
  u32 find_slot(u64 hash,
                const FuncType& type) const;  // of the type or free; kNone: too many collisions

  Arena arena_;
  Signature** slots_ = nullptr;  // open addressing, at most half full
  u32 slot_count_ = 0;           // a power of two, or 0
  u32 used_ = 0;
};

}  // namespace wring::runtime
