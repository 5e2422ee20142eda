// SPDX-License-Identifier: GPL-2.0
// Pace: the end of a turn, and large copies.
#include "core/base/pace.h"

#include "core/base/recovery.h"

namespace wring {

namespace {

constexpr usize kPiece = 64 * 1024;
constexpr u32 kBytesPerStep = 256;

template <class F>
void in_pieces(usize bytes, F&& body) {
  for (usize done = 0, n; done < bytes; done += n) {
    n = min(bytes - done, kPiece);
    body(done, n);
    tick(static_cast<u32>(n / kBytesPerStep));
  }
}

}  // namespace

void end_turn() {
  begin_turn();
  if (Operation::is_running() && wring_os_yield()) Operation::interrupt();
}

void end_turn_and_go_on() {
  begin_turn();
  wring_os_yield();
}

void copy_many_bytes(void* to, const void* from, usize bytes) {
  in_pieces(bytes, [&](usize at, usize n) {
    __builtin_memmove(static_cast<u8*>(to) + at, static_cast<const u8*>(from) + at, n);
  });
}

void fill_many_bytes(void* at, u8 byte, usize bytes) {
  in_pieces(bytes,
            [&](usize from, usize n) { __builtin_memset(static_cast<u8*>(at) + from, byte, n); });
}

}  // namespace wring
