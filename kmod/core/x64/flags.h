// SPDX-License-Identifier: GPL-2.0
// What the flags register is known to hold while a block is
// emitted, so that a comparison whose outcome is there already need not be made again.
#pragma once

#include "core/regalloc/allocate.h"
#include "core/x64/insts.h"

namespace wring::x64 {

class FlagTracker {
 public:
  // Whether loading a constant other than 0 leaves the flags alone: not if constants are blinded.
  explicit FlagTracker(bool constants_keep) : constants_keep_(constants_keep) {}
  void forget() { kind_ = kNothing; }
  // The instruction was emitted with these locations of its operands.
  void after(const ra::LirInst& inst, const Payload& p, const ra::Operand* operands,
             const ra::Allocation* locations);
  // `location` got a new value by an instruction that leaves the flags alone.
  void overwritten(const ra::Allocation& location) {
    if (kind_ != kNothing && (location == a_ || location == b_)) forget();
  }
  // Whether the flags are those of the comparison with these operands, given *cc, which may be
  // replaced by the condition that means the same here.
  bool holds(const Condition& condition, const ra::Allocation* locations, Cc* cc) const;

 private:
  bool constants_keep_;
  enum Kind : u8 {
    kNothing,
    kCompare,  // of condition_ with operands a_, b_
    kResult,   // of the result a_ with zero, but for carry and overflow
    kLogical,  // likewise, with both clear as after test
  } kind_ = kNothing;
  Condition condition_;
  ra::Allocation a_, b_;
};

}  // namespace wring::x64
