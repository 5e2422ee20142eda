// SPDX-License-Identifier: GPL-2.0
// How much fuel invocations are handed out at a time: as long as it takes, nobody looks at the time.
#pragma once

#include "core/runtime/objects.h"

namespace wring::runtime {

// Sets wring_vmctx::fuel_slice by what the instance is now; to be called whenever that changes. Any context, no
// assertions.
void set_fuel_slice(wring_instance* instance);

}  // namespace wring::runtime
