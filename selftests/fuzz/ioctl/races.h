// SPDX-License-Identifier: GPL-2.0
// What is known to race in the kernel, over and over: each race is a turn that threads take again and again, all of
// them at the same time, while CPUs come and go.
#pragma once

#include <span>

#include "selftests/fuzz/ioctl/caller.h"

namespace wring::fuzz {

struct Race {
  const char* name;
  u32 threads;
  void (*turn)(Caller* caller);
};

extern const std::span<const Race> kRaces;

// Takes the last CPU away and brings it back; false if it cannot be. Where it stays away, that is said and counts.
bool take_cpu_away();
bool all_cpus_online();
// What a race that was interrupted may have left refused.
void allow_loads();

}  // namespace wring::fuzz
