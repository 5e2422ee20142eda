// SPDX-License-Identifier: GPL-2.0
// quicksort: 1024 records, compared by a function that is passed in.
#include "kernel.h"

struct record {
	u32 key;
	u16 first, second;
};

static struct record records[1024];

static NOINLINE s32 by_key(const struct record *a, const struct record *b)
{
	return a->key < b->key ? -1 : a->key > b->key;
}

static NOINLINE s32 by_second(const struct record *a, const struct record *b)
{
	if (a->second != b->second)
		return a->second < b->second ? -1 : 1;
	return by_key(a, b);
}

static void exchange(struct record *a, struct record *b)
{
	struct record old = *a;

	*a = *b;
	*b = old;
}

static NOINLINE void sort(struct record *a, u32 len,
			  s32 (*compare)(const struct record *, const struct record *))
{
	while (len > 1) {
		struct record pivot = a[len / 2];
		u32 i = 0, j = len - 1;

		for (;;) {
			while (compare(&a[i], &pivot) < 0)
				i++;
			while (compare(&pivot, &a[j]) < 0)
				j--;
			if (i >= j)
				break;
			exchange(&a[i++], &a[j--]);
		}
		sort(a, i, compare);
		a += i;
		len -= i;
	}
}

u64 run(u32 n)
{
	u64 sum = 0;
	u32 state = 21;

	while (n--) {
		for (u32 i = 0; i < COUNT(records); i++) {
			records[i].key = next_random(&state);
			records[i].first = i;
			records[i].second = next_random(&state) % 64;
		}
		sort(records, COUNT(records), n % 2 ? by_key : by_second);
		for (u32 i = 0; i < COUNT(records); i += 37)
			sum = mix(sum, records[i].key ^ records[i].first);
	}
	return sum;
}
