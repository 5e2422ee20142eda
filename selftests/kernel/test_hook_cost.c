// SPDX-License-Identifier: GPL-2.0
/*
 * test_hook_cost.c - what an invocation costs at an XDP hook, Wasm against its eBPF twin: the aims
 * of README.md.
 *
 * Under `scripts/vm --icount` a nanosecond is an instruction and the figures repeat exactly; there
 * they are held to the aims. Elsewhere they are only shown. The stub alone is the baseline: the
 * price of BPF_PROG_TEST_RUN's own loop, which both sides pay.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "hooks.h"
#include "tap.h"

#define REPEAT 1000u
#define BLOCKED_PORT 53
#define EMPTY_AIM 25
#define FILTER_AIM_PERCENT 130

static int device;

/* With icount, two runs of the same take exactly the same time. */
static bool counts_instructions(int stub, const void *packet, size_t size)
{
	uint32_t first = hook_test_time(stub, packet, size, REPEAT), i;

	for (i = 0; i < 5; i++) {
		if (hook_test_time(stub, packet, size, REPEAT) != first)
			return false;
	}
	return true;
}

struct pair {
	uint32_t wasm, bpf;
};

/* Measures both with the same packet; the figures include the baseline. */
static struct pair measure(const char *what, const struct hook_program *twin, int stub,
			   const void *packet, size_t size, uint32_t base)
{
	struct pair pair = {
		.wasm = hook_test_time(stub, packet, size, REPEAT),
		.bpf = hook_test_time(twin->fd, packet, size, REPEAT),
	};

	tap_note("cost %-12s stub %u, Wasm %u (+%d), eBPF %u (+%d)", what, base, pair.wasm,
		 (int)(pair.wasm - base), pair.bpf, (int)(pair.bpf - base));
	return pair;
}

int main(void)
{
	struct hook_program empty, empty_twin, filter, filter_twin;
	uint8_t blocked[64], passing[64], tcp[64], udp6[80];
	int bare = hook_stub(BPF_PROG_TYPE_XDP, 2), stub[2];
	struct wring_prog_info info;
	struct bpf_prog_info twin_info = {};
	uint32_t len = sizeof(twin_info), base, worst = 0, i;
	struct pair pair;
	struct wring_features before;
	bool exact;

	device = hook_begin(&before);
	hook_load(device, "xdp_pass", WRING_PROG_XDP, NULL, &empty);
	hook_load(device, "xdp_block", WRING_PROG_XDP, NULL, &filter);
	if (!tap_ok(empty.fd >= 0 && filter.fd >= 0, "the programs load: %s", device_error.message))
		return tap_finish();
	hook_load_bpf("xdp_pass", &empty_twin);
	hook_load_bpf("xdp_block", &filter_twin);
	hook_set(hook_map(&filter, "config"), 0, BLOCKED_PORT);
	hook_set(hook_map(&filter_twin, "config"), 0, BLOCKED_PORT);
	for (i = 0; i < 2; i++) {
		stub[i] = hook_stub(BPF_PROG_TYPE_XDP, 2);
		tap_ok(hook_attach_stub(device, i ? filter.fd : empty.fd, stub[i]) > 0, "bound");
	}
	hook_packet_udp4(blocked, true, BLOCKED_PORT, sizeof(blocked));
	hook_packet_udp4(passing, true, BLOCKED_PORT + 1, sizeof(passing));
	hook_packet_ip4(tcp, true, 6, sizeof(tcp));
	hook_packet_udp6(udp6, true, BLOCKED_PORT, sizeof(udp6));

	exact = counts_instructions(bare, blocked, sizeof(blocked));
	tap_note("%s", exact ? "figures are instructions" :
			       "figures are nanoseconds and vary: nothing is held to them");
	base = hook_test_time(bare, blocked, sizeof(blocked), REPEAT);
	pair = measure("empty", &empty_twin, stub[0], blocked, sizeof(blocked), base);
	if (exact)
		tap_ok(pair.wasm <= pair.bpf + EMPTY_AIM,
		       "an empty program costs at most eBPF's + %d", EMPTY_AIM);
	for (i = 0; i < 4; i++) {
		static const char *const names[] = { "udp-drop", "udp-pass", "tcp", "udp6-drop" };
		const uint8_t *const packets[] = { blocked, passing, tcp, udp6 };

		pair = measure(names[i], &filter_twin, stub[1], packets[i],
			       i == 3 ? sizeof(udp6) : sizeof(blocked), base);
		/* Net of the loop around them, which would flatter whoever is worse. */
		if (exact && (pair.wasm - base) * 100 / (pair.bpf - base) > worst)
			worst = (pair.wasm - base) * 100 / (pair.bpf - base);
	}
	if (exact)
		tap_ok(worst <= FILTER_AIM_PERCENT,
		       "the filter costs at most %d %% of eBPF's (%u %%)", FILTER_AIM_PERCENT,
		       worst);
	hook_info(filter.fd, &info);
	bpf_obj_get_info_by_fd(filter_twin.fd, &twin_info, &len);
	tap_note("code: Wasm %llu bytes, eBPF %u bytes; load: compile %llu us",
		 (unsigned long long)info.code_bytes, twin_info.jited_prog_len,
		 (unsigned long long)info.compile_ns / 1000);
	tap_eq(info.traps + info.misses + info.bad_verdicts, 0, "no run went wrong");
	close(stub[0]);
	close(stub[1]);
	close(bare);
	hook_free(&empty);
	hook_free(&filter);
	hook_free(&empty_twin);
	hook_free(&filter_twin);
	tap_ok(hook_wait_links(device, 0) && device_settle(device, &before),
	       "everything is given back");
	close(device);
	return tap_finish();
}
