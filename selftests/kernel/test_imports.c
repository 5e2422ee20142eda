// SPDX-License-Identifier: GPL-2.0
/*
 * test_imports.c - what a program may import where: intrinsics and host functions by hook type, what start functions
 * may call, and what is said of imports that do not fit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "hooks.h"
#include "tap.h"
#include "wasm.h"

static int device;

static const struct {
	uint32_t type;
	const char *name;
	bool has_packet, has_args;
} types[] = {
	{ WRING_PROG_MODULE, "module", false, false },
	{ WRING_PROG_XDP, "XDP", true, false },
	{ WRING_PROG_RAW_TRACEPOINT, "raw tracepoint", false, true },
	{ WRING_PROG_NETFILTER, "netfilter", true, false },
};
#define TYPES (sizeof(types) / sizeof(types[0]))

static const struct {
	const char *name, *params, *results;
	bool is_arg;
} imports[] = {
	{ "pkt_len", "", "i", false },
	{ "pkt_load8", "i", "i", false },
	{ "pkt_load16", "i", "i", false },
	{ "pkt_load32", "i", "i", false },
	{ "pkt_load64", "i", "l", false },
	{ "pkt_store8", "ii", "", false },
	{ "pkt_store16", "ii", "", false },
	{ "pkt_store32", "ii", "", false },
	{ "pkt_store64", "il", "", false },
	{ "pkt_read", "iii", "i", false },
	{ "pkt_write", "iii", "i", false },
	{ "arg", "i", "l", true },
};
#define IMPORTS (sizeof(imports) / sizeof(imports[0]))

/* Adds main: () -> i32 and loads the program; the fd or -errno. */
static int load(struct wasm *w, uint32_t type)
{
	struct wring_prog_load request = { .type = type, .name = "imports" };
	uint8_t *module;
	size_t size;
	int fd;

	if (type != WRING_PROG_MODULE)
		snprintf(request.entry, sizeof(request.entry), "main");
	wasm_export(w, "main",
		    WASM_FUNCTION(w, wasm_type(w, "", "i"), "", OP_I32_CONST, 1));
	module = wasm_finish(w, &size);
	fd = device_load(device, module, size, &request);
	free(module);
	return fd;
}

/* Whoever loads it is refused, in these words. */
static void test_refused(struct wasm *w, uint32_t type, int err, const char *what, const char *why)
{
	int fd = load(w, type);

	tap_eq(fd, err, "%s: %s", what, device_error.message);
	tap_ok(strstr(device_error.message, why), "  says \"%s\"", why);
	if (fd >= 0)
		close(fd);
}

/* Every import at every type of program. */
static void test_where(void)
{
	bool allowed, is_right = true;
	uint32_t i, t;
	int fd;

	for (t = 0; t < TYPES; t++) {
		for (i = 0; i < IMPORTS; i++) {
			struct wasm w = WASM_INIT;

			wasm_memory(&w, 1, 1);
			wasm_import(&w, "wring", imports[i].name,
				    wasm_type(&w, imports[i].params, imports[i].results));
			allowed = imports[i].is_arg ? types[t].has_args : types[t].has_packet;
			fd = load(&w, types[t].type);
			if (allowed ? fd < 0 :
				      fd != -ENOLINK ||
					      !strstr(device_error.message,
						      "not available to this type of program")) {
				tap_ok(false, "%s in %s: %d %s", imports[i].name, types[t].name, fd,
				       fd < 0 ? device_error.message : "loads");
				is_right = false;
			}
			if (fd >= 0)
				close(fd);
		}
	}
	tap_ok(is_right, "packets are there for XDP and netfilter, arguments for tracepoints");
}

static void test_signatures(void)
{
	struct wasm w = WASM_INIT;

	wasm_import(&w, "wring", "pkt_len", wasm_type(&w, "i", "l"));
	test_refused(&w, WRING_PROG_XDP, -ENOLINK, "an intrinsic of another type",
		     "incompatible import type: (i32) -> (i64) instead of () -> (i32)");
	wasm_import(&w, "wring", "map_add", wasm_type(&w, "ii", ""));
	test_refused(&w, WRING_PROG_XDP, -ENOLINK, "one with a host function, too",
		     "(i32, i32) -> () instead of (i32, i32, i32, i64) -> (i32)");
	wasm_import(&w, "wring", "ktime_ns", wasm_type(&w, "", "i"));
	test_refused(&w, WRING_PROG_MODULE, -ENOLINK, "a host function of another type",
		     "incompatible import type: () -> (i32) instead of () -> (i64)");
	wasm_import(&w, "wring_map", "m", wasm_type(&w, "l", "i"));
	test_refused(&w, WRING_PROG_XDP, -ENOLINK, "a map of another type",
		     "incompatible import type: (i64) -> (i32) instead of () -> (i32)");
	wasm_import(&w, "wring", "pkt_length", wasm_type(&w, "", "i"));
	test_refused(&w, WRING_PROG_XDP, -ENOLINK, "a name that is not there", "unknown import");
}

/* What is there only while a hook runs, called by start functions. */
static void test_start_calls(uint32_t type, const char *host, const char *what)
{
	uint32_t iii_i, none, func, table[1];
	struct wasm w = WASM_INIT;
	int fd;

	/* Directly. */
	iii_i = wasm_type(&w, "iii", "i");
	none = wasm_type(&w, "", "");
	wasm_memory(&w, 1, 1);
	func = wasm_import(&w, "wring", host, iii_i);
	wasm_start(&w, WASM_FUNCTION(&w, none, "", OP_I32_CONST, 0, OP_I32_CONST, 0, OP_I32_CONST,
				     4, OP_CALL, func, OP_DROP));
	wasm_name(&w, 1, "begin");
	test_refused(&w, type, -ENOLINK, what,
		     "needs a hook, and start function 1 calls it (in begin)");
	tap_ok(strstr(device_error.message, host), "  of %s", host);

	/* Down a chain of calls, and on a way not taken. */
	iii_i = wasm_type(&w, "iii", "i");
	none = wasm_type(&w, "", "");
	wasm_memory(&w, 1, 1);
	func = wasm_import(&w, "wring", host, iii_i);
	wasm_start(&w, WASM_FUNCTION(&w, none, "", OP_CALL, 2));
	WASM_FUNCTION(&w, none, "", OP_I32_CONST, 0, OP_IF, OP_EMPTY_TYPE, OP_I32_CONST, 0,
		      OP_I32_CONST, 0, OP_I32_CONST, 4, OP_CALL, func, OP_DROP, OP_END);
	test_refused(&w, type, -ENOLINK, what, "needs a hook, and start function 1 calls it");

	/* Through a table: found out when it is called. */
	iii_i = wasm_type(&w, "iii", "i");
	none = wasm_type(&w, "", "");
	wasm_memory(&w, 1, 1);
	wasm_table(&w, 1, 1);
	table[0] = wasm_import(&w, "wring", host, iii_i);
	wasm_elements(&w, 0, table, 1);
	wasm_start(&w, WASM_FUNCTION(&w, none, "", OP_I32_CONST, 0, OP_I32_CONST, 0, OP_I32_CONST,
				     0, OP_I32_CONST, 0, OP_CALL_INDIRECT, 0, 0, OP_DROP));
	test_refused(&w, type, -ECANCELED, what, "out of bounds packet access");
	tap_eq(device_error.trap, WRING_TRAP_PacketOutOfBounds, "  is a trap");

	/* Only the program itself calls it. */
	iii_i = wasm_type(&w, "iii", "i");
	none = wasm_type(&w, "", "");
	wasm_memory(&w, 1, 1);
	func = wasm_import(&w, "wring", host, iii_i);
	wasm_start(&w, WASM_FUNCTION(&w, none, "", OP_NOP));
	wasm_export(&w, "handle",
		    WASM_FUNCTION(&w, iii_i, "", OP_I32_CONST, 0, OP_I32_CONST, 0, OP_I32_CONST, 4,
				  OP_CALL, func));
	fd = load(&w, type);
	tap_ok(fd >= 0, "it is the start function's calls that matter: %s", device_error.message);
	if (fd >= 0)
		close(fd);
}

/* Intrinsics in start functions: an empty packet, no arguments. */
static void test_start_intrinsics(void)
{
	struct wasm w = WASM_INIT;
	uint32_t i, none;
	int fd;

	for (i = 0; i < IMPORTS; i++) {
		uint8_t code[16];
		size_t n = 0;
		const char *type;

		if (imports[i].is_arg || !strlen(imports[i].params) ||
		    strlen(imports[i].params) > 2)
			continue;
		none = wasm_type(&w, "", "");
		wasm_import(&w, "wring", imports[i].name,
			    wasm_type(&w, imports[i].params, imports[i].results));
		for (type = imports[i].params; *type; type++) {
			code[n++] = *type == 'i' ? OP_I32_CONST : OP_I64_CONST;
			code[n++] = 0;
		}
		code[n++] = OP_CALL;
		code[n++] = 0;
		if (imports[i].results[0])
			code[n++] = OP_DROP;
		wasm_start(&w, wasm_function(&w, none, "", code, n));
		test_refused(&w, WRING_PROG_NETFILTER, -ECANCELED, imports[i].name,
			     "out of bounds packet access");
	}
	/* Traps unless both are 0. */
	none = wasm_type(&w, "", "");
	wasm_import(&w, "wring", "pkt_len", wasm_type(&w, "", "i"));
	wasm_start(&w, WASM_FUNCTION(&w, none, "", OP_CALL, 0, OP_IF, OP_EMPTY_TYPE,
				     OP_UNREACHABLE, OP_END));
	fd = load(&w, WRING_PROG_XDP);
	tap_ok(fd >= 0, "a start function's packet is empty: %s", device_error.message);
	close(fd);
	none = wasm_type(&w, "", "");
	wasm_import(&w, "wring", "arg", wasm_type(&w, "i", "l"));
	wasm_start(&w, WASM_FUNCTION(&w, none, "", OP_I32_CONST, 0, OP_CALL, 0, OP_I64_CONST, 1,
				     OP_I64_MUL, OP_I64_EQZ, OP_I32_EQZ, OP_IF, OP_EMPTY_TYPE,
				     OP_UNREACHABLE, OP_END));
	fd = load(&w, WRING_PROG_RAW_TRACEPOINT);
	tap_ok(fd >= 0, "and it has no arguments: %s", device_error.message);
	close(fd);
}

int main(void)
{
	struct wring_features before;

	device = hook_begin(&before);
	test_where();
	test_signatures();
	test_start_calls(WRING_PROG_NETFILTER, "pkt_read", "at netfilter");
	test_start_calls(WRING_PROG_XDP, "pkt_read", "at XDP");
	test_start_calls(WRING_PROG_NETFILTER, "pkt_write", "at netfilter");
	test_start_calls(WRING_PROG_XDP, "pkt_write", "at XDP");
	test_start_intrinsics();
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
