// SPDX-License-Identifier: GPL-2.0
/*
 * target.c - what generated code must look like on the running kernel: CPU features and mitigations.
 *
 * Decisions are those of arch/x86/net/bpf_jit_comp.c (emit_indirect_jump, emit_return): the thunks are
 * the kernel's own, which boot-time alternatives have already turned into what this CPU needs.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/printk.h>
#include <linux/random.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/nospec-branch.h>

#include "core/engine.h"
#include "os/compat.h"
#include "os/ksyms.h"
#include "os/os.h"
#include "uapi/wring.h"

/* What code with VEX encodings needs the kernel to switch. */
#define VECTOR_STATE (XFEATURE_MASK_SSE | XFEATURE_MASK_YMM)

int wring_target_check(void)
{
	if (boot_cpu_has(X86_FEATURE_XMM4_1) && boot_cpu_has(X86_FEATURE_SSSE3))
		return 0;
	pr_err("this CPU lacks SSE4.1, which compiled programs need\n");
	return -ENODEV;
}

static void wring_target_thunks(struct wring_target *target)
{
	const u8 *thunks = NULL;
	size_t stride = 0;
	int reg;

#ifdef X86_FEATURE_INDIRECT_THUNK_ITS
	if (cpu_feature_enabled(X86_FEATURE_INDIRECT_THUNK_ITS) &&
	    wring_k___x86_indirect_its_thunk_array) {
		thunks = wring_k___x86_indirect_its_thunk_array;
		stride = ITS_THUNK_SIZE;
	}
#endif
	if (!thunks && (cpu_feature_enabled(X86_FEATURE_RETPOLINE) ||
			cpu_feature_enabled(X86_FEATURE_RETPOLINE_LFENCE))) {
		thunks = wring_k___x86_indirect_thunk_array;
		stride = RETPOLINE_THUNK_SIZE;
	}
	if (!thunks)
		return;
	target->retpoline = 1;
	for (reg = 0; reg < ARRAY_SIZE(target->indirect_thunks); reg++)
		target->indirect_thunks[reg] = (unsigned long)thunks + reg * stride;
}

void wring_target_get(struct wring_target *target, bool clamp)
{
	memset(target, 0, sizeof(*target));
	target->cpu = wring_cpu_features();
	/* The CPU has it, but the kernel may have been told to do without. */
	if (!boot_cpu_has(X86_FEATURE_AVX) || !cpu_has_xfeatures(VECTOR_STATE, NULL))
		target->cpu &= ~(WRING_TARGET_AVX | WRING_TARGET_AVX2);
	else if (!boot_cpu_has(X86_FEATURE_AVX2))
		target->cpu &= ~WRING_TARGET_AVX2;
	target->ibt = IS_ENABLED(CONFIG_X86_KERNEL_IBT);
	target->sls = WRING_KERNEL_SLS;
	wring_target_thunks(target);
#if WRING_KERNEL_RETHUNK
	if (cpu_feature_enabled(X86_FEATURE_RETHUNK) && wring_k_x86_return_thunk)
		target->return_thunk = (unsigned long)*wring_k_x86_return_thunk;
#endif
	target->clamp_speculation = clamp;
	/* As for eBPF: 1 blinds what the unprivileged load, and there is no such thing here; 2 blinds all. */
	if (READ_ONCE(*wring_k_bpf_jit_harden) > 1)
		target->random = get_random_u64() | 1;
	target->gs_this_cpu_off = (__force unsigned long)&this_cpu_off;
	target->gs_cpu_number = (__force unsigned long)&WRING_PERCPU_CPU_NUMBER;
}

u32 wring_target_mitigations(const struct wring_target *target)
{
	return (target->retpoline ? WRING_MITIGATION_RETPOLINE : 0) |
	       (target->return_thunk ? WRING_MITIGATION_RETURN_THUNK : 0) |
	       (target->sls ? WRING_MITIGATION_SLS : 0) |
	       (target->ibt ? WRING_MITIGATION_IBT : 0) |
	       (target->random ? WRING_MITIGATION_BLINDING : 0) |
	       (target->clamp_speculation ? WRING_MITIGATION_CLAMPS : 0);
}

u32 wring_target_cpu(const struct wring_target *target)
{
	static const struct {
		u32 feature, bit;
	} bits[] = {
		{ WRING_TARGET_BMI1, WRING_CPU_BMI1 },	  { WRING_TARGET_BMI2, WRING_CPU_BMI2 },
		{ WRING_TARGET_LZCNT, WRING_CPU_LZCNT },  { WRING_TARGET_POPCNT, WRING_CPU_POPCNT },
		{ WRING_TARGET_MOVBE, WRING_CPU_MOVBE },  { WRING_TARGET_SSE41, WRING_CPU_SSE41 },
		{ WRING_TARGET_AVX, WRING_CPU_AVX },	  { WRING_TARGET_AVX2, WRING_CPU_AVX2 },
	};
	u32 i, cpu = 0;

	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		if (target->cpu & bits[i].feature)
			cpu |= bits[i].bit;
	}
	return cpu;
}
