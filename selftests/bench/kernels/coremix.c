// SPDX-License-Identifier: GPL-2.0
// coremix: list search, matrix arithmetic, a state machine and a CRC over their results, in turn.
#include "kernel.h"

struct item {
	struct item *next;
	s16 key, info;
};

static struct item items[64];
static s16 a[12][12], b[12][12];
static s32 c[12][12];
static const char text[] = "5012,1.5e+9,-7,+88,0x1F,T0.3e-1F,--,.2,99999,1e1,";

static u16 crc16(u16 crc, u32 data, u32 bytes)
{
	for (u32 i = 0; i < 8 * bytes; i++) {
		u32 carry = (crc ^ data) & 1;

		crc >>= 1;
		data >>= 1;
		if (carry)
			crc ^= 0xa001;
	}
	return crc;
}

static NOINLINE u16 do_list(s16 wanted)
{
	struct item *list = &items[0], *found, *reversed = 0;
	u16 crc = 0;

	for (found = list; found && found->key != wanted;)
		found = found->next;
	while (list) {
		struct item *next = list->next;

		list->next = reversed;
		reversed = list;
		list = next;
	}
	for (list = reversed; list; list = list->next)
		if (list->info & 1)
			crc = crc16(crc, list->info, 2);
	while (reversed) {
		struct item *next = reversed->next;

		reversed->next = list;
		list = reversed;
		reversed = next;
	}
	return found ? crc ^ found->info : crc;
}

static NOINLINE u16 do_matrix(s16 seed)
{
	u16 crc = 0;

	for (u32 i = 0; i < 12; i++) {
		for (u32 j = 0; j < 12; j++) {
			s32 sum = 0;

			for (u32 k = 0; k < 12; k++)
				sum += (a[i][k] + seed) * b[k][j];
			c[i][j] = sum;
		}
	}
	for (u32 i = 0; i < 12; i++) {
		s32 sum = 0;

		for (u32 j = 0; j < 12; j++) {
			sum += c[i][j] >> 3 & 0x7f;
			if (sum > 300)
				sum -= c[j][i] & 0xff;
		}
		crc = crc16(crc, sum, 4);
	}
	return crc;
}

static NOINLINE u16 do_states(void)
{
	enum { START, SIGN, INT, POINT, EXPONENT, SCIENTIFIC, INVALID } state = START;
	u32 counts[7] = { 0 };
	u16 crc = 0;

	for (const char *p = text; *p; p++) {
		u32 c = *p;
		u32 is_digit = c - '0' < 10;

		if (c == ',') {
			counts[state]++;
			state = START;
			continue;
		}
		switch (state) {
		case START:
			state = is_digit		? INT :
				c == '+' || c == '-'	? SIGN :
				c == '.'		? POINT : INVALID;
			break;
		case SIGN:
			state = is_digit ? INT : c == '.' ? POINT : INVALID;
			break;
		case INT:
			state = is_digit ? INT : c == '.' ? POINT : c == 'e' ? EXPONENT : INVALID;
			break;
		case POINT:
			state = is_digit ? POINT : c == 'e' ? EXPONENT : INVALID;
			break;
		case EXPONENT:
			state = is_digit || c == '+' || c == '-' ? SCIENTIFIC : INVALID;
			break;
		case SCIENTIFIC:
			state = is_digit ? SCIENTIFIC : INVALID;
			break;
		default:
			break;
		}
	}
	for (u32 i = 0; i < COUNT(counts); i++)
		crc = crc16(crc, counts[i], 1);
	return crc;
}

u64 run(u32 n)
{
	u16 crc = 0;

	for (u32 i = 0; i < COUNT(items); i++) {
		u32 at = i * 29 % COUNT(items), next = (i + 1) * 29 % COUNT(items);

		items[at].next = next ? &items[next] : 0;
		items[at].key = i * 7 % 64;
		items[at].info = i * 1234;
	}
	for (u32 i = 0; i < 12; i++)
		for (u32 j = 0; j < 12; j++)
			a[i][j] = i * 3 - j, b[i][j] = j * 5 - i;
	while (n--) {
		crc = crc16(crc, do_list(n % 64), 2);
		crc = crc16(crc, do_matrix(n % 16), 2);
		crc = crc16(crc, do_states(), 2);
	}
	return crc;
}
