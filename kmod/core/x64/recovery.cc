// SPDX-License-Identifier: GPL-2.0
// The registers of recovery points (base/recovery.h): those a C function preserves, and where to go on.
#include "core/base/recovery.h"

static_assert(__builtin_offsetof(wring_recovery, registers) == 32);

// A kernel with return thunks wants no other returns, and one with SLS a trap behind them.
#ifdef WRING_RETURN_THUNK
#define WRING_RETURN "jmp __x86_return_thunk\n"
#else
#define WRING_RETURN "ret\nint3\n"
#endif

// clang-format off
asm(R"(
	.text
	.balign 16
	.globl wring_recovery_set
	.type wring_recovery_set, @function
wring_recovery_set:
	movq (%rsp), %rax
	movq %rax, 32(%rdi)
	movq %rsp, 40(%rdi)
	movq %rbx, 48(%rdi)
	movq %rbp, 56(%rdi)
	movq %r12, 64(%rdi)
	movq %r13, 72(%rdi)
	movq %r14, 80(%rdi)
	movq %r15, 88(%rdi)
	xorl %eax, %eax
	)" WRING_RETURN R"(
	.size wring_recovery_set, . - wring_recovery_set

	.balign 16
	.globl wring_recovery_resume
	.type wring_recovery_resume, @function
wring_recovery_resume:
	movq 32(%rdi), %rax
	movq 48(%rdi), %rbx
	movq 56(%rdi), %rbp
	movq 64(%rdi), %r12
	movq 72(%rdi), %r13
	movq 80(%rdi), %r14
	movq 88(%rdi), %r15
	movq 40(%rdi), %rsp
	movq %rax, (%rsp)
	movl $1, %eax
	)" WRING_RETURN R"(
	.size wring_recovery_resume, . - wring_recovery_resume
)");

// objtool cannot follow a stack pointer that comes from memory.
#if !__STDC_HOSTED__
asm(R"(
	.pushsection .discard.func_stack_frame_non_standard, "aw"
	.quad wring_recovery_resume
	.popsection
)");
#endif
// clang-format on
