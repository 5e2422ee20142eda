// SPDX-License-Identifier: GPL-2.0
// Maps of every supported type, driven by the packet: map at 14, operation at 15, u32 key at 16,
// u64 value at 24. The result goes to 32 (0, or 1 if it was negative) and the value found to 24.
#include <wring.h>

WRING_LICENSE("GPL");

struct prefix {
	u32 bits;
	u8 address[4];
};

struct record {
	u64 value;
	u64 copies[2];
};

WRING_MAP(hash, HASH, u32, u64, 8);
WRING_MAP(percpu_hash, PERCPU_HASH, u32, u64, 8);
WRING_MAP(lru, LRU_HASH, u32, u64, 8);
WRING_MAP(array, ARRAY, u32, u64, 8);
WRING_MAP(percpu_array, PERCPU_ARRAY, u32, u64, 8);
WRING_MAP(records, HASH, u64, struct record, 4);

enum { LOOKUP, UPDATE, DELETE, ADD, LOAD };

#define operate(map)								\
	do {									\
		switch (operation) {						\
		case LOOKUP:							\
			result = wring_map_lookup(map, &key, &value);		\
			break;							\
		case UPDATE:							\
			result = wring_map_update(map, &key, &value, BPF_ANY);	\
			break;							\
		case DELETE:							\
			result = wring_map_delete(map, &key);			\
			break;							\
		case ADD:							\
			wring_map_add(map, key, value);				\
			break;							\
		case LOAD:							\
			value = wring_map_load(map, key);			\
			break;							\
		}								\
	} while (0)

WRING_XDP(maps, pkt)
{
	u8 operation = wring_load8(pkt, 15);
	u32 key = wring_load32(pkt, 16);
	u64 value = wring_load64(pkt, 24);
	struct record record;
	u64 long_key = key;
	int result = 0;

	switch (wring_load8(pkt, 14)) {
	case 0:
		operate(hash);
		break;
	case 1:
		operate(percpu_hash);
		break;
	case 2:
		operate(lru);
		break;
	case 3:
		operate(array);
		break;
	case 4:
		operate(percpu_array);
		break;
	case 5:
		if (operation == UPDATE) {
			record.value = value;
			record.copies[0] = record.copies[1] = ~value;
			result = wring_map_update(records, &long_key, &record, BPF_NOEXIST);
		} else {
			result = wring_map_lookup(records, &long_key, &record);
			if (!result)
				value = record.copies[1];
		}
		break;
	default:
		return XDP_ABORTED;
	}
	wring_store64(pkt, 24, value);
	wring_store64(pkt, 32, result < 0);
	return XDP_PASS;
}
