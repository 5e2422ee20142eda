// SPDX-License-Identifier: GPL-2.0
// FixedIndex: where each physical register is claimed by a fixed operand or clobbered.
#pragma once

#include "core/regalloc/liveness.h"

namespace wring::ra {

constexpr u32 kPRegCount = 32;
constexpr RegMask kVecMask = 0xffff0000;
constexpr RegClass class_of(PReg reg) { return reg < 16 ? RegClass::kInt : RegClass::kVec; }

class FixedIndex {
 public:
  // Only the registers in `mask` are indexed.
  Err init(const LirFunction& f, const Liveness& live, RegMask mask, Arena* arena);

  // Makes `inst` the point from which cost() counts; it never goes back.
  void seek(u32 inst) {
    WRING_ASSERT(inst >= at_);
    at_ = inst;
  }
  // The weight of the claims on `reg` from the current point up to, without, instruction `end`: what keeping
  // another value there would cost. A call counts twice: a value it displaces usually goes to memory.
  u64 cost(PReg reg, u32 end) { return weight_until(reg, end); }
  // The next instruction from the current point on that claims the register, or kNone.
  u32 next_claim(PReg reg) { return claims_[reg][advance(reg)].inst; }
  // The weight of the calls in the same stretch.
  u64 calls(u32 end) { return weight_until(kCalls, end); }

 private:
  struct Claim {
    u32 inst;
    u64 before;  // weight of all earlier claims
  };
  static constexpr u32 kCalls = kPRegCount;
  u32 advance(u32 list) {
    u32& cursor = cursor_[list];
    for (; claims_[list][cursor].inst < at_; cursor++) tick();
    return cursor;
  }
  u64 weight_until(u32 list, u32 end);

  Span<Claim> claims_[kPRegCount + 1];  // each ends with a sentinel at kNone
  u32 cursor_[kPRegCount + 1] = {};
  u32 at_ = 0;
};

}  // namespace wring::ra
