// SPDX-License-Identifier: GPL-2.0
// What the threads of one process share: file descriptors of every kind, ids, and what is counted.
#pragma once

#include <unistd.h>

#include <array>
#include <atomic>

#include "selftests/fuzz/ioctl/commands.h"
#include "selftests/fuzz/ioctl/memory.h"

namespace wring::fuzz {

// Any thread may put another fd in at any time: what one has got from here may be closed, or be something else.
template <u32 N>
class Slots {
 public:
  static constexpr u32 kCount = N;
  Slots() {
    for (std::atomic<int>& fd : fds_) fd = -1;
  }
  // Of this slot or, if it is empty, of one of the next.
  int get(u32 i) const {
    for (u32 next = 0; next < N / 2; next++) {
      const int fd = fds_[(i + next) % N];
      if (fd >= 0) return fd;
    }
    return -1;
  }
  int get_exactly(u32 i) const { return fds_[i % N]; }
  void put(u32 i, int fd) {
    const int old = fds_[i % N].exchange(fd);
    if (old >= 0) close(old);
  }

 private:
  std::array<std::atomic<int>, N> fds_;
};

template <u32 N>
class Ids {
 public:
  u32 get(u32 i) const { return ids_[i % N]; }
  void put(u32 id) { ids_[next_++ % N] = id; }

 private:
  std::array<std::atomic<u32>, N> ids_ = {};
  std::atomic<u32> next_ = 0;
};

// Calls by command and errno (0: success); in memory shared by all processes.
struct Tally {
  static constexpr u32 kCommands = 32, kErrnos = 136;
  std::atomic<u32> calls[kCommands + 1][kErrnos];  // the last row: of no known command
  std::atomic<u32> steps, children, stuck, faults;
  std::atomic<u32> races[8];
};

struct Pool {
  // The instance in slot i belongs to the session in slot i % sessions.kCount.
  Slots<3> sessions;
  Slots<16> programs;
  Slots<12> instances;
  Slots<4> stubs;
  Slots<6> maps;
  Slots<8> others;    // what Wring knows nothing of
  Slots<4> attached;  // eBPF links
  Ids<16> program_ids;
  Ids<16> link_ids;
  Commons commons;
};

}  // namespace wring::fuzz
