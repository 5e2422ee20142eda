/* SPDX-License-Identifier: GPL-2.0 */
/*
 * cpu.h - what of a CPU the compiler can use.
 */
#ifndef WRING_CORE_ABI_CPU_H
#define WRING_CORE_ABI_CPU_H

enum wring_target_feature {
	WRING_TARGET_BMI1 = 1,
	WRING_TARGET_BMI2 = 2,
	WRING_TARGET_LZCNT = 4,
	WRING_TARGET_POPCNT = 8,
	WRING_TARGET_MOVBE = 16,
	WRING_TARGET_SSE41 = 32,	/* has to be there */
	WRING_TARGET_AVX = 64,
	WRING_TARGET_AVX2 = 128,
};

#endif /* WRING_CORE_ABI_CPU_H */
