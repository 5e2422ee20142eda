// SPDX-License-Identifier: GPL-2.0
// A slice must end in time however slow the code is. What decides how slow it can be is whether it finds its code and
// data in the caches. Who is small enough for that gets slices a dozen times as long: the look at the time, and what it
// does to the branch predictor, would otherwise be a tenth of what short loops take.
#include "core/runtime/slices.h"

namespace wring::runtime {

namespace {

// All that an instance that knows no other and calls nobody can get at (its stack is used in order).
bool fits_caches(const wring_instance& instance) {
  u64 bytes = instance.code->image.bytes;
  for (const Memory* memory : instance.memories) bytes += memory->view.bytes;
  for (const Table* table : instance.tables) bytes += table->view.size * table->entry_bytes();
  return bytes <= kCachedBytes;
}

}  // namespace

void set_fuel_slice(wring_instance* instance) {
  bool is_alone = !instance->is_linked && instance->code->binding_kinds.empty();
  instance->vmctx.fuel_slice =
      is_alone && instance->is_built && fits_caches(*instance) ? kCachedFuelSlice : kFuelSlice;
}

}  // namespace wring::runtime
