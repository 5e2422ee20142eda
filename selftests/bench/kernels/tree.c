// SPDX-License-Identifier: GPL-2.0
// tree: inserts 512 keys into a binary tree and walks it in order, by recursion.
#include "kernel.h"

struct node {
	struct node *left, *right;
	u32 key, count;
};

static struct node pool[512];
static u32 used;

static NOINLINE struct node *insert(struct node *node, u32 key)
{
	if (!node) {
		node = &pool[used++];
		*node = (struct node) { .key = key, .count = 1 };
	} else if (key < node->key) {
		node->left = insert(node->left, key);
	} else if (key > node->key) {
		node->right = insert(node->right, key);
	} else {
		node->count++;
	}
	return node;
}

static NOINLINE u64 walk(const struct node *node, u64 sum)
{
	if (!node)
		return sum;
	sum = walk(node->left, sum);
	sum = mix(sum, node->key + node->count);
	return walk(node->right, sum);
}

u64 run(u32 n)
{
	u64 sum = 0;
	u32 state = 3;

	while (n--) {
		struct node *root = 0;

		used = 0;
		for (u32 i = 0; i < COUNT(pool); i++)
			root = insert(root, next_random(&state) % 10000);
		sum = walk(root, sum);
	}
	return sum;
}
