// SPDX-License-Identifier: GPL-2.0
// Recovery points: an assertion that fails abandons the innermost guarded call, not the process or the kernel.
//
// A guarded call notes its registers on the stack; a failed assertion goes back to them, and the frames in between are
// gone without their destructors. So what an operation takes is on a list while it runs, from which it is given back,
// and what outlives the operation must be as good as new, or as good as before, at every assertion.
#pragma once

#include "core/base/inject.h"
#include "core/base/result.h"

extern "C" {
// Notes the registers, or those of a call before (x64/recovery.cc): returns 0, and 1 when it comes back there. The
// function that calls it must not return before the point is given up.
int wring_recovery_set(wring_recovery* point) __attribute__((returns_twice));
void wring_recovery_resume(wring_recovery* point);
}

namespace wring {

// A recovery point and its stage, for the length of a guarded call.
class Guard {
 public:
  explicit Guard(Stage stage, void* owner = nullptr)
      : outer_stage_(wring_inject_stage(static_cast<unsigned>(stage))) {
    point_.owner = owner;
    wring_os_recovery_begin(&point_);
  }
  ~Guard() {
    wring_os_recovery_end(&point_);
    wring_inject_stage(outer_stage_);
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  wring_recovery* point() { return &point_; }
  const char* what() const { return point_.what; }

 private:
  wring_recovery point_;
  unsigned outer_stage_;
};

// body(), or `otherwise` if an invariant breaks within it. For what takes nothing and leaves nothing half done. Any
// context.
template <class T, class F>
T guarded(Stage stage, T otherwise, F&& body) {
  Guard guard(stage);
  return wring_recovery_set(guard.point()) ? otherwise : body();
}

// What the running operation has taken: memory that it would otherwise lose with its frames.
struct Held {
  Held* prev;  // null: on no list
  Held* next;
  void (*release)(void* what);
  void* what;
};

// Puts what has just been taken on the list of the operation that runs, if any; whoever gives it back takes it off.
void hold(Held* held, void (*release)(void* what), void* what);
inline void unhold(Held* held) {
  if (!held->prev) return;
  held->prev->next = held->next;
  held->next->prev = held->prev;
  held->prev = held->next = nullptr;
}

// Tells the operation that runs, if any, that an arena's budget does not suffice.
void note_over_budget();

// wring_os_alloc and wring_os_free, with the memory on that list unless it is to outlive the operation.
void* take_memory(usize bytes, bool is_detached = false);
void give_memory(void* memory);
void keep_memory(void* memory);     // from now on it is to outlive the operation
constexpr usize kTakenHeader = 32;  // what a piece takes more than was asked for

// A guarded call that takes memory, can fail, may sleep, and is interrupted when its caller is killed (base/pace.h).
class Operation {
 public:
  Operation() { held_.prev = held_.next = &held_; }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  // body() returns Err. If an invariant breaks within it, undo() takes back what others could see of it, all that
  // body() has taken is given back, newest first, and the result is Err::kInternal, described in *diag. The same with
  // Err::kInterrupted if it is interrupted.
  template <class F, class G>
  Err run(Stage stage, Diag* diag, F&& body, G&& undo) {
    const char* what = nullptr;
    Err err = call(stage, &what, body);
    if (!what) {
      keep();
      return err;
    }
    undo();
    abandon();
    return report(what, diag);
  }
  template <class F>
  Err run(Stage stage, Diag* diag, F&& body) {
    return run(stage, diag, body, [] {});
  }
  // Whether an operation is running that may be interrupted: the innermost guarded call is one.
  static bool is_running();
  // Abandons it with Err::kInterrupted. Does not return.
  static void interrupt();
  // Whether an arena's budget was at its end: then Err::kNoMemory is not the machine's want of memory.
  bool is_over_budget() const { return is_over_budget_; }

 private:
  friend void hold(Held* held, void (*release)(void* what), void* what);
  friend void note_over_budget();

  template <class F>
  [[gnu::noinline]] Err call(Stage stage, const char** what, F&& body) {
    Guard guard(stage, this);
    if (wring_recovery_set(guard.point())) {
      *what = guard.what();
      return Err::kInternal;
    }
    return body();
  }
  void keep();
  void abandon();
  static Err report(const char* what, Diag* diag);

  Held held_ = {};
  bool is_over_budget_ = false;
};

}  // namespace wring
