// SPDX-License-Identifier: GPL-2.0
// nbody: five bodies that attract each other, 100 steps.
#include "kernel.h"

struct body {
	double x, y, z, vx, vy, vz, mass;
};

static struct body bodies[5];

static NOINLINE void advance(struct body *body, u32 count, double dt)
{
	for (u32 i = 0; i < count; i++) {
		struct body *a = &body[i];

		for (u32 j = i + 1; j < count; j++) {
			struct body *b = &body[j];
			double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
			double square = dx * dx + dy * dy + dz * dz;
			double scale = dt / (square * __builtin_sqrt(square));

			a->vx -= dx * b->mass * scale;
			a->vy -= dy * b->mass * scale;
			a->vz -= dz * b->mass * scale;
			b->vx += dx * a->mass * scale;
			b->vy += dy * a->mass * scale;
			b->vz += dz * a->mass * scale;
		}
	}
	for (u32 i = 0; i < count; i++) {
		body[i].x += dt * body[i].vx;
		body[i].y += dt * body[i].vy;
		body[i].z += dt * body[i].vz;
	}
}

u64 run(u32 n)
{
	u64 sum = 0;

	for (u32 i = 0; i < COUNT(bodies); i++) {
		double k = i;

		bodies[i] = (struct body) {
			.x = k * 5, .y = 3 - k, .z = k * k * 0.25,
			.vx = 0.25 * (k - 2), .vy = 0.5, .vz = -0.125 * k,
			.mass = i ? 0.01 : 40,
		};
	}
	while (n--) {
		for (u32 step = 0; step < 100; step++)
			advance(bodies, COUNT(bodies), 0.001);
	}
	for (u32 i = 0; i < COUNT(bodies); i++)
		sum = mix(sum, bits_of_double(bodies[i].x) ^ bits_of_double(bodies[i].vy));
	return sum;
}
