// SPDX-License-Identifier: GPL-2.0
// The thunks that mitigated code calls in tests, counting their
// calls so that tests can see them used.
#include "selftests/core/x64/thunks.h"

extern "C" {
unsigned long long wring_test_thunk_calls, wring_test_return_calls;
}

#define THUNK(reg)                        \
  ".balign 32\n"                          \
  "  incq wring_test_thunk_calls(%rip)\n" \
  "  call 1f\n"                           \
  "0:\n"                                  \
  "  pause\n"                             \
  "  jmp 0b\n"                            \
  "1:\n"                                  \
  "  mov %" reg                           \
  ", (%rsp)\n"                            \
  "  ret\n"

asm(".text\n"
    ".balign 32\n"
    ".globl wring_test_thunks\n"
    "wring_test_thunks:\n"
    THUNK("rax") THUNK("rcx") THUNK("rdx") THUNK("rbx")
    THUNK("rsp") THUNK("rbp") THUNK("rsi") THUNK("rdi")
    THUNK("r8") THUNK("r9") THUNK("r10") THUNK("r11")
    THUNK("r12") THUNK("r13") THUNK("r14") THUNK("r15")
    ".globl wring_test_return_thunk\n"
    "wring_test_return_thunk:\n"
    "  incq wring_test_return_calls(%rip)\n"
    "  ret\n"
    "  int3\n");
