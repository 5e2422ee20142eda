// SPDX-License-Identifier: GPL-2.0
// Slots: where spilled values are stored, and which stack slot each of them gets.
#pragma once

#include "core/regalloc/scan.h"

namespace wring::ra {

struct SlotAssignment {
  Span<u32> slot;     // per vreg: number in units of 8 bytes, or kNone
  Span<u8> at_drops;  // per vreg: stored where it leaves its registers, not after its definition
  u32 count = 0;      // units
};

// Values whose live ranges (without holes) do not overlap share slots; values tied by a block parameter
// preferably the same one, which saves moves from slot to slot. O(n log n) in spilled values.
Err assign_slots(const LirFunction& f, const Liveness& live, const ScanResult& scan, Hints* hints,
                 Arena* arena, SlotAssignment* out);

}  // namespace wring::ra
