// SPDX-License-Identifier: GPL-2.0
// Floats and vectors in invocations, with what makes the kernel leave the FPU in between: slices of fuel and a memory
// that grows. wring: no eBPF twin (eBPF programs are for hooks).
#include <wring.h>

#include "fpu_work.h"

#define export(name) __attribute__((export_name(name)))

export("work") u64 work(u32 seed, u32 rounds)
{
	return fpu_work(seed, rounds);
}

export("grow") u64 grow(u32 seed, u32 rounds, u32 times)
{
	struct fpu_work w;

	fpu_work_begin(&w, seed);
	while (times--) {
		fpu_work_step(&w, rounds);
		if (__builtin_wasm_memory_grow(0, 1) == (unsigned long)-1)
			return 0;
	}
	return fpu_work_end(&w);
}

export("average") double average(float a, double b)
{
	return (a + b) / 2;
}

export("swap") fpu_words swap(fpu_words v)
{
	return (fpu_words) { v[3], v[2], v[1], v[0] };
}

export("trap") u32 trap(u32 divisor, u32 rounds)
{
	return (u32)fpu_work(divisor, rounds) / divisor;
}
