// SPDX-License-Identifier: GPL-2.0
// dfa: matches a regular expression's automaton at every position of 8 KiB of log text.
#include "kernel.h"

enum { OTHER, DIGIT, DOT, LETTER, SPACE, CLASSES };
enum { START, NUMBER, NUMBER_DOT, FRACTION, WORD, DEAD, STATES };

static u8 class_of[256];
static const u8 next[STATES][CLASSES] = {
	[START] = { DEAD, NUMBER, DEAD, WORD, DEAD },
	[NUMBER] = { DEAD, NUMBER, NUMBER_DOT, DEAD, DEAD },
	[NUMBER_DOT] = { DEAD, FRACTION, DEAD, DEAD, DEAD },
	[FRACTION] = { DEAD, FRACTION, NUMBER_DOT, DEAD, DEAD },
	[WORD] = { DEAD, WORD, DEAD, WORD, DEAD },
	[DEAD] = { DEAD, DEAD, DEAD, DEAD, DEAD },
};
static const u8 accepts[STATES] = { [FRACTION] = 1, [WORD] = 2 };
static u8 text[8192];

static void prepare(void)
{
	static const char line[] = "10.0.0.17 - GET /index2.html 200 5123 0.004 \"Mozilla 5.0\"\n";

	for (u32 c = 0; c < 256; c++) {
		class_of[c] = c >= '0' && c <= '9' ? DIGIT :
			      c == '.'		   ? DOT :
			      c == ' '		   ? SPACE :
			      (c | 32) >= 'a' && (c | 32) <= 'z' ? LETTER : OTHER;
	}
	for (u32 i = 0; i < sizeof(text); i++)
		text[i] = line[i % (sizeof(line) - 1)];
}

static NOINLINE u64 match_all(const u8 *p, const u8 *end)
{
	u64 sum = 0;

	while (p < end) {
		const u8 *q = p, *matched = 0;
		u32 state = START, kind = 0;

		while (q < end) {
			state = next[state][class_of[*q++]];
			if (state == DEAD)
				break;
			if (accepts[state]) {
				matched = q;
				kind = accepts[state];
			}
		}
		if (matched) {
			sum = sum * 5 + kind * (u32)(matched - p);
			p = matched;
		} else {
			p++;
		}
	}
	return sum;
}

u64 run(u32 n)
{
	u64 sum = 0;

	prepare();
	while (n--) {
		text[n % sizeof(text)] ^= 1;
		sum = mix(sum, match_all(text, text + sizeof(text)));
	}
	return sum;
}
