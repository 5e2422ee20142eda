// SPDX-License-Identifier: GPL-2.0
// floyd: all shortest paths among 48 nodes.
#include "kernel.h"

#define NODES 48

static s32 path[NODES][NODES];

static NOINLINE void shorten(void)
{
	for (u32 k = 0; k < NODES; k++)
		for (u32 i = 0; i < NODES; i++)
			for (u32 j = 0; j < NODES; j++)
				path[i][j] = path[i][j] < path[i][k] + path[k][j] ?
						     path[i][j] : path[i][k] + path[k][j];
}

u64 run(u32 n)
{
	u64 sum = 0;
	u32 state = 8;

	while (n--) {
		for (u32 i = 0; i < NODES; i++)
			for (u32 j = 0; j < NODES; j++)
				path[i][j] = i == j ? 0 : 1 + next_random(&state) % 1000;
		shorten();
		for (u32 i = 0; i < NODES; i++)
			sum = mix(sum, path[i][n % NODES]);
	}
	return sum;
}
