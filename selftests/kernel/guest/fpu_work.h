/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fpu_work.h - arithmetic on floats and vectors whose result depends on every step: the same in a guest as in the test
 * that includes this too, because neither may contract, reorder or round otherwise than IEEE 754 says.
 */
#ifndef WRING_SELFTESTS_FPU_WORK_H
#define WRING_SELFTESTS_FPU_WORK_H

typedef float fpu_floats __attribute__((vector_size(16)));
typedef unsigned int fpu_words __attribute__((vector_size(16)));

struct fpu_work {
	double x, y;
	float z;
	fpu_floats floats;
	fpu_words words;
};

static inline void fpu_work_begin(struct fpu_work *w, unsigned int seed)
{
	*w = (struct fpu_work) {
		.x = seed + 0.5,
		.y = 1.0 / (seed | 1),
		.z = (float)seed / 3,
		.floats = { seed, 1.5f, -0.25f, 1e-30f },
		.words = { seed, ~seed, 77, seed * 3 },
	};
}

static inline void fpu_work_step(struct fpu_work *w, unsigned int rounds)
{
	const fpu_floats scale = { 1.0001f, 0.9999f, -1.01f, 1.5f };

	while (rounds--) {
		w->x = w->x * 1.0000001 + w->y / 7;
		w->y = (w->x - w->y) / (w->y * w->y + 3);
		w->z = w->z * 0.75f + (float)w->y;
		if (w->x > 1e9)
			w->x = (double)(unsigned int)(w->x / 1e3);
		w->floats = w->floats * scale + w->z;
		w->words = (w->words << 3) + (w->words >> 5) + (fpu_words)w->floats;
	}
}

static inline unsigned long long fpu_work_end(const struct fpu_work *w)
{
	unsigned long long x, y;
	unsigned int z;

	__builtin_memcpy(&x, &w->x, sizeof(x));
	__builtin_memcpy(&y, &w->y, sizeof(y));
	__builtin_memcpy(&z, &w->z, sizeof(z));
	return x ^ y << 7 ^ z ^ (unsigned long long)w->words[0] << 32 ^ w->words[1] ^
	       (unsigned long long)w->words[2] << 16 ^ w->words[3];
}

static inline unsigned long long fpu_work(unsigned int seed, unsigned int rounds)
{
	struct fpu_work w;

	fpu_work_begin(&w, seed);
	fpu_work_step(&w, rounds);
	return fpu_work_end(&w);
}

#endif
