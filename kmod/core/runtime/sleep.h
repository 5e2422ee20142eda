// SPDX-License-Identifier: GPL-2.0
// Sleeping in the midst of an invocation.
#pragma once

#include "core/runtime/instance.h"

namespace wring::runtime {

// Around what may sleep: an invocation that uses the FPU must leave it alone meanwhile.
class SleepSection {
 public:
  explicit SleepSection(wring_vmctx* vmctx)
      : root_(instance_of(vmctx->root)), leaves_fpu_(root_->in_fpu_section) {
    if (!leaves_fpu_) return;
    root_->has_left_fpu = true;
    wring_os_fpu_end();
  }
  ~SleepSection() {
    if (leaves_fpu_) end(root_);
  }
  // What is left to do when the section's frame is gone without its destructor.
  static void end(wring_instance* root) {
    root->has_left_fpu = false;
    wring_os_fpu_begin();
  }
  SleepSection(const SleepSection&) = delete;
  SleepSection& operator=(const SleepSection&) = delete;

 private:
  wring_instance* root_;
  bool leaves_fpu_;
};

}  // namespace wring::runtime
