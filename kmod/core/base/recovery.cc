// SPDX-License-Identifier: GPL-2.0
// Recovery points: finding the innermost, and the list of what an operation has taken.
#include "core/base/recovery.h"

#include "core/base/pace.h"

namespace wring {

namespace {

struct alignas(16) Taken {
  Held held;
};
static_assert(sizeof(Taken) == kTakenHeader);

constexpr char kInterrupted[] = "interrupted";
constexpr u32 kFreeingSteps = 256;  // to give back one piece, which may be large

Operation* running_operation() {
  wring_recovery* point = wring_os_recovery();
  return point ? static_cast<Operation*>(point->owner) : nullptr;
}

}  // namespace

void hold(Held* held, void (*release)(void* what), void* what) {
  *held = {};
  Operation* operation = running_operation();
  if (!operation) return;
  Held* list = &operation->held_;
  *held = {list, list->next, release, what};
  list->next->prev = held;
  list->next = held;
}

void note_over_budget() {
  if (Operation* operation = running_operation()) operation->is_over_budget_ = true;
}

void* take_memory(usize bytes, bool is_detached) {
  if (bytes > ~usize{0} - kTakenHeader) return nullptr;
  auto* taken = static_cast<Taken*>(wring_os_alloc(bytes + kTakenHeader));
  if (!taken) return nullptr;
  if (!is_detached) hold(&taken->held, wring_os_free, taken);
  return taken + 1;
}

void keep_memory(void* memory) { unhold(&(static_cast<Taken*>(memory) - 1)->held); }

void give_memory(void* memory) {
  if (!memory) return;
  Taken* taken = static_cast<Taken*>(memory) - 1;
  unhold(&taken->held);
  wring_os_free(taken);
}

void Operation::keep() {
  while (held_.next != &held_) unhold(held_.next);
}

void Operation::abandon() {
  while (held_.next != &held_) {
    Held* newest = held_.next;
    unhold(newest);
    newest->release(newest->what);
    tick_and_go_on(kFreeingSteps);
  }
}

bool Operation::is_running() { return running_operation() != nullptr; }

void Operation::interrupt() {
  wring_recovery* point = wring_os_recovery();
  point->what = kInterrupted;
  wring_os_recovery_resume(point);
  wring_recovery_resume(point);
}

Err Operation::report(const char* what, Diag* diag) {
  u32 func = diag->working_on;
  *diag = Diag();  // it may describe an error that was on its way up
  if (what == kInterrupted) return diag->fail(Err::kInterrupted, kNone, kNone, kInterrupted);
  return diag->fail(Err::kInternal, func, kNone, "internal error: %s", what);
}

}  // namespace wring

extern "C" void wring_panic(const char* what) {
  wring_recovery* point = wring_os_recovery();
  wring_os_panic(what, point);
  point->what = what;
  wring_os_recovery_resume(point);
  wring_recovery_resume(point);
}
