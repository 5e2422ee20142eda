// SPDX-License-Identifier: GPL-2.0
// interpreter: a register machine's program, one switch per instruction.
#include "kernel.h"

enum { ADD, SUB, MUL, XOR, SHIFT, LOAD, STORE, IMMEDIATE, JUMP_LESS, JUMP, HALT };

struct instruction {
	u8 op, a, b, c;
	s32 immediate;
};

static u32 memory[256];

/* Sums, hashes and stores through a nested loop. */
static const struct instruction program[] = {
	{ IMMEDIATE, 0, 0, 0, 0 },	/*  0: i = 0 */
	{ IMMEDIATE, 1, 0, 0, 50 },	/*  1: outer bound */
	{ IMMEDIATE, 2, 0, 0, 1 },
	{ IMMEDIATE, 3, 0, 0, 5 },
	{ IMMEDIATE, 7, 0, 0, 20 },
	{ IMMEDIATE, 4, 0, 0, 0 },	/*  5: j = 0 */
	{ MUL, 5, 0, 4, 0 },		/*  6 */
	{ ADD, 6, 6, 5, 0 },
	{ SHIFT, 5, 6, 3, 0 },
	{ XOR, 6, 6, 5, 0 },
	{ STORE, 6, 4, 0, 7 },
	{ LOAD, 5, 0, 0, 3 },
	{ SUB, 6, 6, 5, 0 },
	{ ADD, 4, 4, 2, 0 },
	{ JUMP_LESS, 4, 7, 0, 6 },
	{ ADD, 0, 0, 2, 0 },
	{ JUMP_LESS, 0, 1, 0, 5 },
	{ JUMP, 0, 0, 0, 18 },
	{ HALT, 6, 0, 0, 0 },
};

static NOINLINE u32 interpret(const struct instruction *code, u32 seed)
{
	u32 r[8] = { 0 };
	const struct instruction *pc = code;

	r[6] = seed;
	for (;;) {
		const struct instruction *i = pc++;

		switch (i->op) {
		case ADD:
			r[i->a] = r[i->b] + r[i->c];
			break;
		case SUB:
			r[i->a] = r[i->b] - r[i->c];
			break;
		case MUL:
			r[i->a] = r[i->b] * r[i->c];
			break;
		case XOR:
			r[i->a] = r[i->b] ^ r[i->c];
			break;
		case SHIFT:
			r[i->a] = r[i->b] >> (r[i->c] & 31);
			break;
		case LOAD:
			r[i->a] = memory[(r[i->b] + i->immediate) % COUNT(memory)];
			break;
		case STORE:
			memory[(r[i->b] + i->immediate) % COUNT(memory)] = r[i->a];
			break;
		case IMMEDIATE:
			r[i->a] = i->immediate;
			break;
		case JUMP_LESS:
			if (r[i->a] < r[i->b])
				pc = code + i->immediate;
			break;
		case JUMP:
			pc = code + i->immediate;
			break;
		default:
			return r[i->a];
		}
	}
}

u64 run(u32 n)
{
	u32 value = 1;

	for (u32 i = 0; i < COUNT(memory); i++)
		memory[i] = i;
	while (n--)
		value = interpret(program, value);
	return value;
}
