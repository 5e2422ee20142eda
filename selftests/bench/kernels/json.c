// SPDX-License-Identifier: GPL-2.0
// json: scans a document of 8 KiB: nesting, strings with escapes, numbers, literals.
#include "kernel.h"

static u8 text[8192];
static u32 text_len;

static u32 append(u32 at, const char *piece)
{
	while (*piece)
		text[at++] = *piece++;
	return at;
}

static void prepare(void)
{
	static const char *const members[] = {
		"{\"id\":12345,\"name\":\"a \\\"quoted\\\" name\","
		"\"tags\":[1,2.5e3,-7,null],\"on\":true}",
		"{\"x\":[[1,2],[3,4],[]],\"text\":\"plain text of some length\", \"off\" : false }",
		"{\"deep\":{\"er\":{\"est\":[{\"v\":0.125}]}},"
		"\"empty\":{},\"esc\":\"\\u00e9\\n\\t\"}",
	};
	u32 at = append(0, "[");

	for (u32 i = 0; at < sizeof(text) - 128; i++) {
		at = append(at, members[i % COUNT(members)]);
		at = append(at, ",\n");
	}
	text_len = append(at, "null]");
}

struct counts {
	u32 strings, numbers, literals, containers, depth;
	u64 sum;
};

static const u8 *scan_string(const u8 *p, struct counts *counts)
{
	while (*p != '"') {
		if (*p == '\\')
			p++;
		counts->sum = counts->sum * 31 + *p++;
	}
	counts->strings++;
	return p + 1;
}

static const u8 *scan_number(const u8 *p, struct counts *counts)
{
	u64 value = 0;

	while ((*p >= '0' && *p <= '9') || *p == '.' || *p == 'e' || *p == '-' || *p == '+') {
		if (*p >= '0' && *p <= '9')
			value = value * 10 + (*p - '0');
		p++;
	}
	counts->sum ^= value;
	counts->numbers++;
	return p;
}

static NOINLINE void scan(const u8 *p, const u8 *end, struct counts *counts)
{
	u32 depth = 0;

	while (p < end) {
		u8 c = *p++;

		switch (c) {
		case ' ':
		case '\n':
		case ',':
		case ':':
			break;
		case '{':
		case '[':
			counts->containers++;
			if (++depth > counts->depth)
				counts->depth = depth;
			break;
		case '}':
		case ']':
			depth--;
			break;
		case '"':
			p = scan_string(p, counts);
			break;
		case 't':
		case 'n':
			p += 3;
			counts->literals++;
			break;
		case 'f':
			p += 4;
			counts->literals++;
			break;
		default:
			p = scan_number(p - 1, counts);
		}
	}
}

u64 run(u32 n)
{
	struct counts counts = { 0 };

	prepare();
	while (n--)
		scan(text, text + text_len, &counts);
	return counts.sum + counts.strings + counts.numbers + counts.literals + counts.containers +
	       counts.depth;
}
