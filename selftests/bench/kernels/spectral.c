// SPDX-License-Identifier: GPL-2.0
// spectral: the spectral norm of an infinite matrix cut to 48 x 48.
#include "kernel.h"

#define SIZE 48

static double u[SIZE], v[SIZE], t[SIZE];

static double element(u32 i, u32 j)
{
	return 1.0 / (double)((i + j) * (i + j + 1) / 2 + i + 1);
}

static NOINLINE void multiply(double *out, const double *in)
{
	for (u32 i = 0; i < SIZE; i++) {
		double sum = 0;

		for (u32 j = 0; j < SIZE; j++)
			sum += element(i, j) * in[j];
		out[i] = sum;
	}
}

static NOINLINE void multiply_transposed(double *out, const double *in)
{
	for (u32 i = 0; i < SIZE; i++) {
		double sum = 0;

		for (u32 j = 0; j < SIZE; j++)
			sum += element(j, i) * in[j];
		out[i] = sum;
	}
}

u64 run(u32 n)
{
	double uv = 0, vv = 0;

	for (u32 i = 0; i < SIZE; i++)
		u[i] = 1;
	while (n--) {
		multiply(t, u);
		multiply_transposed(v, t);
		multiply(t, v);
		multiply_transposed(u, t);
	}
	for (u32 i = 0; i < SIZE; i++) {
		uv += u[i] * v[i];
		vv += v[i] * v[i];
	}
	return bits_of_double(__builtin_sqrt(uv / vv));
}
