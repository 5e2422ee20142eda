/* SPDX-License-Identifier: GPL-2.0 */
/*
 * limits.h - what programs may ask for at most, and what they get by default.
 */
#ifndef WRING_UNIT_LIMITS_H
#define WRING_UNIT_LIMITS_H

#define WRING_MAX_MODULE_BYTES		(64ul << 20)
#define WRING_MAX_MAPS			64u
#define WRING_MAX_IMPORTS		10000u
#define WRING_MAX_CODE_BYTES		(64u << 20)
#define WRING_MAX_COMPILE_BYTES		(512ul << 20)
#define WRING_MAX_STACK_BYTES		(8u << 20)
#define WRING_MAX_HOOK_FUEL		(1ull << 32)
#define WRING_MAX_HOOK_TIME_US		10000u
#define WRING_MAX_EVENT_TIME_US		100000u	/* of all programs that one event runs */
#define WRING_MAX_TABLE_ENTRIES		1000000u
#define WRING_MAX_MEMORY_PAGES		65536u
#define WRING_MEMORY_RESERVED_BYTES	(8ull << 30)
/* Defaults. */
#define WRING_HOOK_MEMORY_PAGES		256u
#define WRING_HOOK_STACK_BYTES		(64u << 10)
#define WRING_RUN_STACK_BYTES		(256u << 10)
#define WRING_HOOK_FUEL			(1ull << 22)
#define WRING_HOOK_TIME_US		2000u
#define WRING_RUN_FUEL			(1ull << 40)

#endif /* WRING_UNIT_LIMITS_H */
