// SPDX-License-Identifier: GPL-2.0
// heapsort: 2048 numbers in place.
#include "kernel.h"

static u32 heap[2048];

static void sift_down(u32 *a, u32 i, u32 len)
{
	u32 value = a[i];

	for (;;) {
		u32 child = 2 * i + 1;

		if (child >= len)
			break;
		if (child + 1 < len && a[child + 1] > a[child])
			child++;
		if (a[child] <= value)
			break;
		a[i] = a[child];
		i = child;
	}
	a[i] = value;
}

static NOINLINE void sort(u32 *a, u32 len)
{
	for (u32 i = len / 2; i-- > 0;)
		sift_down(a, i, len);
	while (len > 1) {
		u32 largest = a[0];

		len--;
		a[0] = a[len];
		a[len] = largest;
		sift_down(a, 0, len);
	}
}

u64 run(u32 n)
{
	u64 sum = 0;
	u32 state = 99;

	while (n--) {
		for (u32 i = 0; i < COUNT(heap); i++)
			heap[i] = next_random(&state);
		sort(heap, COUNT(heap));
		for (u32 i = 0; i < COUNT(heap); i += 64)
			sum = mix(sum, heap[i]);
	}
	return sum;
}
