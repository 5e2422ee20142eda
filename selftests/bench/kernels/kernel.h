/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmark kernels share: types, a generator of numbers, a checksum.
 *
 * Each kernel is one file that defines run(n): n repetitions of a fixed piece of work on static data, without a
 * library and with the same answer everywhere. The same text is compiled to machine code and to WebAssembly.
 */
#ifndef WRING_BENCH_KERNEL_H
#define WRING_BENCH_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

#define NOINLINE __attribute__((noinline))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Where several kernels share a module, each is compiled with -Drun=another_name. */
#if defined(__wasm__) && !defined(run)
#define EXPORT __attribute__((export_name("run")))
#else
#define EXPORT
#endif

EXPORT u64 run(u32 n);

static inline u32 rotl32(u32 x, u32 by)
{
	return x << (by & 31) | x >> (-by & 31);
}

static inline u64 rotl64(u64 x, u32 by)
{
	return x << (by & 63) | x >> (-by & 63);
}

/* Marsaglia's xorshift; the state must not be 0. */
static inline u32 next_random(u32 *state)
{
	u32 x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

static inline u64 mix(u64 sum, u64 value)
{
	return (rotl64(sum, 7) ^ value) * 0x9e3779b97f4a7c15ull;
}

static inline u64 bits_of_double(double x)
{
	union {
		double number;
		u64 bits;
	} as = { .number = x };

	return as.bits;
}

static inline u32 bits_of_float(float x)
{
	union {
		float number;
		u32 bits;
	} as = { .number = x };

	return as.bits;
}

#endif /* WRING_BENCH_KERNEL_H */
