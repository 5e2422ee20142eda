// SPDX-License-Identifier: GPL-2.0
// dispatch: objects of four kinds, each with a method called through a pointer.
#include "kernel.h"

struct shape {
	u32 (*measure)(const struct shape *shape, u32 scale);
	u32 a, b;
};

static struct shape shapes[256];

static u32 square(const struct shape *s, u32 scale)
{
	return s->a * s->a * scale;
}

static u32 rectangle(const struct shape *s, u32 scale)
{
	return s->a * s->b * scale;
}

static u32 triangle(const struct shape *s, u32 scale)
{
	return s->a * s->b * scale / 2;
}

static u32 line(const struct shape *s, u32 scale)
{
	return s->a + s->b + scale;
}

u64 run(u32 n)
{
	static u32 (*const measures[])(const struct shape *, u32) = {
		square, rectangle, triangle, line
	};
	u32 state = 17;
	u64 sum = 0;

	for (u32 i = 0; i < COUNT(shapes); i++) {
		shapes[i].measure = measures[next_random(&state) % COUNT(measures)];
		shapes[i].a = next_random(&state) % 100;
		shapes[i].b = next_random(&state) % 100;
	}
	while (n--) {
		for (u32 i = 0; i < COUNT(shapes); i++)
			sum += shapes[i].measure(&shapes[i], i);
	}
	return sum;
}
