// SPDX-License-Identifier: GPL-2.0
// crc32: table-driven CRC of 16 KiB, a byte at a time.
#include "kernel.h"

static u8 data[16384];
static u32 table[256];

static void prepare(void)
{
	u32 state = 1;

	for (u32 i = 0; i < COUNT(table); i++) {
		u32 crc = i;

		for (u32 bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
		table[i] = crc;
	}
	for (u32 i = 0; i < COUNT(data); i++)
		data[i] = next_random(&state);
}

static NOINLINE u32 crc32(u32 crc, const u8 *bytes, u32 len)
{
	crc = ~crc;
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *bytes++) & 0xff];
	return ~crc;
}

u64 run(u32 n)
{
	u32 crc = 0;

	prepare();
	while (n--)
		crc = crc32(crc, data, COUNT(data));
	return crc;
}
