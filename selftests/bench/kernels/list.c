// SPDX-License-Identifier: GPL-2.0
// list: builds, reverses, merge-sorts and walks a linked list of 1024 nodes.
#include "kernel.h"

struct node {
	struct node *next;
	u32 value;
};

static struct node nodes[1024];

static NOINLINE struct node *reverse(struct node *list)
{
	struct node *done = 0;

	while (list) {
		struct node *next = list->next;

		list->next = done;
		done = list;
		list = next;
	}
	return done;
}

static struct node *merge(struct node *a, struct node *b)
{
	struct node head, *last = &head;

	while (a && b) {
		if (a->value <= b->value) {
			last->next = a;
			a = a->next;
		} else {
			last->next = b;
			b = b->next;
		}
		last = last->next;
	}
	last->next = a ? a : b;
	return head.next;
}

/* Bottom up: bins[i] is empty or a sorted list of 2^i nodes. */
static NOINLINE struct node *sort(struct node *list)
{
	struct node *bins[16] = { 0 }, *all = 0;

	while (list) {
		struct node *run = list;
		u32 i;

		list = list->next;
		run->next = 0;
		for (i = 0; bins[i]; i++) {
			run = merge(bins[i], run);
			bins[i] = 0;
		}
		bins[i] = run;
	}
	for (u32 i = 0; i < COUNT(bins); i++)
		all = merge(bins[i], all);
	return all;
}

u64 run(u32 n)
{
	u64 sum = 0;
	u32 state = 13;

	while (n--) {
		struct node *list = 0;

		for (u32 i = 0; i < COUNT(nodes); i++) {
			struct node *node = &nodes[i * 37 % COUNT(nodes)];

			node->value = next_random(&state);
			node->next = list;
			list = node;
		}
		list = sort(reverse(list));
		for (; list; list = list->next)
			sum = sum * 3 + list->value;
	}
	return sum;
}
