// SPDX-License-Identifier: GPL-2.0
// fft: 512 complex points forward and back, radix two in place.
#include "kernel.h"

#define POINTS 512

static double re[POINTS], im[POINTS], cosines[POINTS / 2], sines[POINTS / 2];

/* The roots of unity, by half angles from the right one: sums of angles need only products. */
static void prepare(void)
{
	double c = 0, s = 1; /* of the angle for step POINTS / 4 */

	cosines[0] = 1;
	sines[0] = 0;
	for (u32 step = POINTS / 4; step; step /= 2) {
		double half = __builtin_sqrt((1 + c) / 2);

		for (u32 i = step; i < POINTS / 2; i += 2 * step) {
			cosines[i] = cosines[i - step] * c - sines[i - step] * s;
			sines[i] = sines[i - step] * c + cosines[i - step] * s;
		}
		s = s / (2 * half);
		c = half;
	}
	for (u32 i = 0; i < POINTS; i++) {
		re[i] = (double)(i * 37 % 101) / 101;
		im[i] = 0;
	}
}

static NOINLINE void transform(double sign)
{
	for (u32 i = 0, j = 0; i < POINTS; i++) {
		u32 bit = POINTS / 2;

		if (i < j) {
			double r = re[i], m = im[i];

			re[i] = re[j], im[i] = im[j];
			re[j] = r, im[j] = m;
		}
		for (; j & bit; bit /= 2)
			j ^= bit;
		j |= bit;
	}
	for (u32 half = 1; half < POINTS; half *= 2) {
		u32 step = POINTS / 2 / half;

		for (u32 i = 0; i < POINTS; i += 2 * half) {
			for (u32 k = 0; k < half; k++) {
				double c = cosines[k * step], s = sign * sines[k * step];
				u32 a = i + k, b = a + half;
				double r = re[b] * c - im[b] * s, m = re[b] * s + im[b] * c;

				re[b] = re[a] - r;
				im[b] = im[a] - m;
				re[a] += r;
				im[a] += m;
			}
		}
	}
}

u64 run(u32 n)
{
	u64 sum = 0;

	prepare();
	while (n--) {
		transform(-1);
		transform(1);
		for (u32 i = 0; i < POINTS; i++) {
			re[i] *= 1.0 / POINTS;
			im[i] *= 1.0 / POINTS;
		}
	}
	for (u32 i = 0; i < POINTS; i += 16)
		sum = mix(sum, bits_of_double(re[i]));
	return sum;
}
