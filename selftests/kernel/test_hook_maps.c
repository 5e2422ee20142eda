// SPDX-License-Identifier: GPL-2.0
/*
 * test_hook_maps.c - maps from Wasm: every operation on every type does what it does from eBPF,
 * what is refused, and guests that hand over bad handles, pointers and lengths.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "hooks.h"
#include "tap.h"
#include "wasm.h"

#define KINDS 6

static int device;

/* One operation in the guest: the verdict; *value is in and out, *failed out. */
static int operate(int fd, uint8_t map, uint8_t operation, uint32_t key, uint64_t *value,
		   uint64_t *failed)
{
	uint8_t packet[64] = {};
	int verdict;

	packet[14] = map;
	packet[15] = operation;
	memcpy(packet + 16, &key, 4);
	memcpy(packet + 24, value, 8);
	verdict = hook_test_run(fd, packet, sizeof(packet));
	memcpy(value, packet + 24, 8);
	memcpy(failed, packet + 32, 8);
	return verdict;
}

/*
 * The same random operations on both sides. LRU maps evict by CPU and age, so they get fewer keys
 * than would fit.
 */
static void test_equality(void)
{
	static const char *const names[KINDS] = { "hash",  "per-CPU hash",  "LRU hash",
						  "array", "per-CPU array", "records" };
	struct hook_program wasm, twin;
	int stub = hook_stub(BPF_PROG_TYPE_XDP, 2), id, i, map, differ[KINDS] = {},
	    found[KINDS] = {};
	unsigned int seed = 1;

	hook_load(device, "hook_maps", WRING_PROG_XDP, NULL, &wasm);
	if (!tap_ok(wasm.fd >= 0, "a program with many maps loads: %s", device_error.message))
		return;
	hook_load_bpf("hook_maps", &twin);
	id = hook_attach_stub(device, wasm.fd, stub);
	tap_ok(id > 0, "and binds: %s", device_error.message);
	for (i = 0; i < 12000; i++) {
		uint64_t a = rand_r(&seed), b = a, fa = 0, fb = 0;
		uint8_t operation = rand_r(&seed) % 5;
		uint32_t key = rand_r(&seed) % (i % KINDS == 2 ? 4 : 12);
		int ra, rb;

		map = i % KINDS;
		ra = operate(stub, map, operation, key, &a, &fa);
		rb = operate(twin.fd, map, operation, key, &b, &fb);
		found[map] += operation == 0 && !fa;
		if (ra == rb && a == b && fa == fb)
			continue;
		if (!differ[map]++)
			tap_note("%s, operation %u, key %u: %d %#llx %llu, eBPF %d %#llx %llu",
				 names[map], operation, key, ra, (unsigned long long)a,
				 (unsigned long long)fa, rb, (unsigned long long)b,
				 (unsigned long long)fb);
	}
	for (map = 0; map < KINDS; map++)
		tap_ok(!differ[map] && found[map] > 50, "%s: as from eBPF (%d differ, %d found)",
		       names[map], differ[map], found[map]);
	hook_set(hook_map(&wasm, "array"), 3, 4711);
	{
		uint64_t value = 0, failed;

		operate(stub, 3, 0, 3, &value, &failed);
		tap_eq(value, 4711, "userspace and the guest see the same map");
	}
	hook_detach(device, id);
	close(stub);
	hook_free(&twin);
	hook_free(&wasm);
}

/* ---- binding ---- */

/* () -> i32 that returns the handle of map "m". */
static int load_with_map(int map_fd, const char *name)
{
	struct wring_map_ref ref = { .fd = map_fd };
	struct wring_prog_load load = {
		.type = WRING_PROG_XDP, .name = "m", .maps = (uintptr_t)&ref, .map_count = 1
	};
	struct wasm w = WASM_INIT;
	uint32_t type = wasm_type(&w, "", "i"), import = wasm_import(&w, "wring_map", "m", type), f;
	uint8_t *module;
	size_t size;
	int fd;

	f = WASM_FUNCTION(&w, type, "", OP_CALL, (uint8_t)import);
	wasm_export(&w, "main", f);
	module = wasm_finish(&w, &size);
	snprintf(ref.name, sizeof(ref.name), "%s", name);
	fd = device_load(device, module, size, &load);
	free(module);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static void test_refusals(void)
{
	int array = bpf_map_create(BPF_MAP_TYPE_ARRAY, "m", 4, 8, 4, NULL), other;

	tap_eq(load_with_map(array, "m"), 0, "an array is accepted");
	tap_eq(load_with_map(array, "n"), -ENOLINK, "a map of another name than the import's");
	tap_ok(strstr(device_error.message, "\"m\""), "the missing one is named: %s",
	       device_error.message);
	tap_eq(load_with_map(-1, "m"), -EBADF, "no map");
	tap_eq(load_with_map(device, "m"), -EINVAL, "a file that is no map");
	other = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "m", 4, 4, 4, NULL);
	tap_eq(load_with_map(other, "m"), -EOPNOTSUPP, "a map of programs");
	close(other);
	other = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "m", 0, 0, 4096, NULL);
	tap_eq(load_with_map(other, "m"), -EOPNOTSUPP, "a ring buffer");
	close(other);
	close(array);
}

/* ---- hostile calls ---- */

enum { LOOKUP, UPDATE, DELETE, ADD, LOAD };

/*
 * A program that makes one host call with these arguments: the verdict is its result's low bit, or
 * the trap's default.
 */
static int call_host(int map_fd, int which, uint32_t handle, uint32_t a, uint32_t b, uint64_t c,
		     uint32_t *trap)
{
	static const char *const names[] = { "map_lookup", "map_update", "map_delete", "map_add",
					     "map_load64" };
	static const char *const params[] = { "iii", "iiil", "ii", "iiil", "iii" };
	struct wring_map_ref ref = { .fd = map_fd, .name = "m" };
	struct wring_prog_load load = {
		.type = WRING_PROG_XDP, .name = "m", .maps = (uintptr_t)&ref, .map_count = 1
	};
	uint8_t code[64], packet[64] = {}, *module;
	struct wring_prog_run run = { .data_in = (uintptr_t)packet,
				      .data_in_bytes = sizeof(packet) };
	const uint64_t values[] = { handle, a, b, c };
	struct wasm w = WASM_INIT;
	uint32_t result, host, handle_import, f, i;
	size_t n = 0, size;
	int fd;

	host = wasm_import(&w, "wring", names[which],
			   wasm_type(&w, params[which], which == LOAD ? "l" : "i"));
	result = wasm_type(&w, "", "i");
	handle_import = wasm_import(&w, "wring_map", "m", result);
	wasm_memory(&w, 1, 1);
	for (i = 0; params[which][i]; i++) {
		int64_t value = params[which][i] == 'i' ? (int32_t)values[i] : (int64_t)values[i];

		/* The true handle comes from its import, so that counters are expanded in line. */
		if (!i && !handle) {
			code[n++] = OP_CALL;
			code[n++] = handle_import;
			continue;
		}
		code[n++] = params[which][i] == 'i' ? OP_I32_CONST : OP_I64_CONST;
		do {
			uint8_t byte = value & 0x7f;

			value >>= 7;
			if ((value == 0 && !(byte & 0x40)) || (value == -1 && byte & 0x40)) {
				code[n++] = byte;
				break;
			}
			code[n++] = byte | 0x80;
		} while (true);
	}
	code[n++] = OP_CALL;
	code[n++] = host;
	if (which == LOAD)
		code[n++] = 0xa7;	/* i32.wrap_i64 */
	code[n++] = OP_I32_CONST;
	code[n++] = 1;
	code[n++] = 0x71;		/* i32.and */
	f = wasm_function(&w, result, "", code, n);
	wasm_export(&w, "main", f);
	module = wasm_finish(&w, &size);
	fd = device_load(device, module, size, &load);
	free(module);
	if (fd < 0)
		tap_bail("a program that calls %s: %s", names[which], device_error.message);
	if (device_ioctl(fd, WRING_IOC_PROG_RUN, &run))
		tap_bail("it does not run");
	close(fd);
	*trap = run.trap;
	return run.verdict;
}

static void test_hostile_calls(void)
{
	/* 64 KiB of memory; keys of 4, values of 12 bytes. */
	static const struct {
		int which;
		uint32_t handle, a, b;
		bool traps;
		const char *what;
	} cases[] = {
		{ LOOKUP, 0, 65532, 65524, false, "a lookup at the very end of memory" },
		{ LOOKUP, 0, 65533, 0, true, "a key that ends outside" },
		{ LOOKUP, 0, 0, 65525, true, "a value that ends outside" },
		{ LOOKUP, 0, 0xffffffff, 0, true, "a key at the end of the address space" },
		{ LOOKUP, 0, 0, 0xfffffff8, true, "a value that would wrap" },
		{ UPDATE, 0, 0, 65520, false, "an update from the end of memory" },
		{ UPDATE, 0, 0, 65528, true, "a new value that ends outside" },
		{ UPDATE, 0, 0x80000000, 0, true, "a key far outside" },
		{ DELETE, 0, 65535, 0, true, "a deleted key that ends outside" },
		{ LOOKUP, 1, 0, 0, false, "a handle that is none" },
		{ UPDATE, 0xffffffff, 0, 0, false, "a handle far off" },
		{ DELETE, 64, 0, 0, false, "a handle beyond any" },
		{ ADD, 7, 0, 0, false, "a counter of no map" },
		{ LOAD, 7, 0, 0, false, "a load from no map" },
		{ ADD, 0, 4, 0, false, "a counter beyond the map" },
		{ ADD, 0, 0, 8, false, "a counter that ends beyond the value" },
		{ ADD, 0, 0, 4, false, "a counter that is not aligned" },
		{ ADD, 0, 0, 0xfffffff8, false, "an offset that would wrap" },
		{ LOAD, 0, 0xffffffff, 0, false, "an element far outside" },
		{ LOAD, 0, 0, 0xfffffff8, false, "an offset far outside" },
	};
	static const uint32_t types[] = { BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY,
					  BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_HASH,
					  BPF_MAP_TYPE_LRU_PERCPU_HASH };
	uint32_t i, t, trap, wrong;
	int map;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (t = wrong = 0; t < sizeof(types) / sizeof(types[0]); t++) {
			map = bpf_map_create(types[t], "m", 4, 12, 4, NULL);
			call_host(map, cases[i].which, cases[i].handle, cases[i].a, cases[i].b, 0,
				  &trap);
			if (trap !=
			    (cases[i].traps ? WRING_TRAP_MemoryOutOfBounds : WRING_TRAP_None)) {
				wrong++;
				tap_note("map type %u: trap %u", types[t], trap);
			}
			close(map);
		}
		tap_eq(wrong, 0, "%s %s", cases[i].what, cases[i].traps ? "is a trap" : "is none");
	}
}

static void test_access(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_RDONLY_PROG);
	uint64_t value[2] = { 41, 0 };
	uint32_t trap, key = 0;
	int map;

	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "m", 4, 12, 4, &options);
	bpf_map_update_elem(map, &key, value, BPF_ANY);
	tap_eq(call_host(map, ADD, 0, 0, 0, 1, &trap), 1,
	       "a counter in a map that programs may only read: fails");
	tap_eq(call_host(map, LOAD, 0, 0, 0, 0, &trap), 1, "which can be read");
	call_host(map, UPDATE, 0, 0, 0, 0, &trap);
	memset(value, 0, sizeof(value));
	bpf_map_lookup_elem(map, &key, value);
	tap_eq(value[0], 41, "and has not changed");
	close(map);
	options.map_flags = BPF_F_WRONLY_PROG;
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "m", 4, 12, 4, &options);
	bpf_map_update_elem(map, &key, value, BPF_ANY);
	tap_eq(call_host(map, LOAD, 0, 0, 0, 0, &trap), 0,
	       "a map that programs may only write cannot be read");
	tap_eq(call_host(map, ADD, 0, 0, 0, 1, &trap), 0, "but counted in");
	bpf_map_lookup_elem(map, &key, value);
	tap_eq(value[0], 42, "and has changed");
	close(map);
}

/* Copies that would take too long between two looks at the time; counters in such values are reached all the same. */
static void test_large_values(void)
{
	static const uint32_t types[] = { BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY };
	uint32_t t, trap;
	int map;

	for (t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		map = bpf_map_create(types[t], "m", 4, (512 << 10) + 8, 4, NULL);
		tap_eq(call_host(map, LOOKUP, 0, 0, 0, 0, &trap), -E2BIG & 1,
		       "map type %u: a value too large to be copied is not looked up", types[t]);
		tap_eq(trap, WRING_TRAP_None, "map type %u: nor looked for in memory", types[t]);
		tap_eq(call_host(map, UPDATE, 0, 0, 0, 0, &trap), -E2BIG & 1,
		       "map type %u: nor updated", types[t]);
		close(map);
	}
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "m", 4, 1 << 20, 4, NULL);
	tap_eq(call_host(map, ADD, 0, 0, (1 << 20) - 8, 3, &trap), 0, "but counted in");
	tap_eq(call_host(map, LOAD, 0, 0, (1 << 20) - 8, 0, &trap), 1, "and read");
	close(map);
}

/* What a program that looks one key up uses of fuel. */
static uint64_t lookup_fuel(uint32_t type, uint32_t key_bytes)
{
	LIBBPF_OPTS(bpf_map_create_opts, options,
		    .map_flags = type == BPF_MAP_TYPE_LPM_TRIE ? BPF_F_NO_PREALLOC : 0);
	struct wring_map_ref ref = { .name = "m" };
	struct wring_prog_load load = { .type = WRING_PROG_XDP, .name = "lookup",
					.maps = (uintptr_t)&ref, .map_count = 1 };
	uint32_t handle, lookup, packet[16] = {};
	struct wasm w = WASM_INIT;
	uint64_t fuel = 0;
	uint8_t *module;
	size_t size;
	int fd;

	handle = wasm_import(&w, "wring_map", "m", wasm_type(&w, "", "i"));
	lookup = wasm_import(&w, "wring", "map_lookup", wasm_type(&w, "iii", "i"));
	wasm_memory(&w, 1, 1);
	wasm_export(&w, "main",
		    WASM_FUNCTION(&w, wasm_type(&w, "", "i"), "", OP_CALL, handle, OP_I32_CONST, 0,
				  OP_I32_CONST, 0x80, 8, OP_CALL, lookup, OP_I32_EQZ));
	module = wasm_finish(&w, &size);
	ref.fd = bpf_map_create(type, "m", key_bytes, 8, 4, &options);
	fd = device_load(device, module, size, &load);
	if (tap_ok(ref.fd >= 0 && fd >= 0, "a program that looks up loads: %s",
		   device_error.message))
		fuel = hook_run(fd, packet, sizeof(packet), 1).fuel_used;
	free(module);
	close(fd);
	close(ref.fd);
	return fuel;
}

/* A trie may have as many nodes on the way to a key as that has bits. */
static void test_costs(void)
{
	uint64_t hash = lookup_fuel(BPF_MAP_TYPE_HASH, 260);
	uint64_t trie = lookup_fuel(BPF_MAP_TYPE_LPM_TRIE, 260);

	tap_ok(hash > 0 && hash < 1000, "finding a key of 260 bytes costs %llu units",
	       (unsigned long long)hash);
	tap_ok(trie > 256 * 8 * 64, "and in a trie of 2048 levels %llu", (unsigned long long)trie);
}

int main(void)
{
	struct wring_features before;

	device = hook_begin(&before);
	/* Values of per-CPU maps are compared. */
	hook_stay_on_this_cpu();
	test_equality();
	test_refusals();
	test_hostile_calls();
	test_access();
	test_large_values();
	test_costs();
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
