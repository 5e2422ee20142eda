// SPDX-License-Identifier: GPL-2.0
// hashmap: open addressing with 4096 slots; inserts, finds and removes 32-bit keys.
#include "kernel.h"

#define SLOTS 4096
#define EMPTY 0
#define REMOVED 1

struct slot {
	u32 key;
	u32 value;
};

static struct slot slots[SLOTS];

static u32 hash(u32 key)
{
	key ^= key >> 16;
	key *= 0x85ebca6b;
	key ^= key >> 13;
	return key;
}

static struct slot *find(u32 key)
{
	for (u32 i = hash(key);; i++) {
		struct slot *slot = &slots[i % SLOTS];

		if (slot->key == key)
			return slot;
		if (slot->key == EMPTY)
			return 0;
	}
}

static void insert(u32 key, u32 value)
{
	u32 i = hash(key);

	while (slots[i % SLOTS].key > REMOVED && slots[i % SLOTS].key != key)
		i++;
	slots[i % SLOTS].key = key;
	slots[i % SLOTS].value = value;
}

u64 run(u32 n)
{
	u64 sum = 0;

	while (n--) {
		u32 state = 7 + n;

		for (u32 i = 0; i < SLOTS; i++)
			slots[i] = (struct slot) { 0 };
		for (u32 i = 0; i < SLOTS / 2; i++)
			insert(next_random(&state) | 2, i);
		state = 7 + n;
		for (u32 i = 0; i < SLOTS; i++) {
			u32 key = next_random(&state) | 2;
			struct slot *slot = find(key);

			if (!slot)
				continue;
			sum += slot->value;
			if (i % 3 == 0)
				slot->key = REMOVED;
		}
	}
	return sum;
}
