// SPDX-License-Identifier: GPL-2.0
/*
 * test_hook_traffic.c - XDP programs under real traffic between two network namespaces: what passes
 * and is dropped in native and generic mode, attaching and detaching while packets flow, a netdev
 * that vanishes, and a module that cannot be unloaded as long as anything is attached.
 *
 * wxt_a (10.9.0.1) sends to wxt_b (10.9.0.2), whose end of the veth pair has the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/if_link.h>

#include "device.h"
#include "hooks.h"
#include "tap.h"

#define BLOCKED_PORT 5300
#define OPEN_PORT 5301
#define PINGS 4
#define ROUNDS 20

enum { COUNT_OTHER, COUNT_ARP, COUNT_ICMP, COUNT_TCP, COUNT_UDP, COUNT_BLOCKED };

static int device;

static void network_up(void)
{
	hook_sh("modprobe veth; ip netns add wxt_a; ip netns add wxt_b");
	/* IPv6 would have things to say of its own accord, and be counted. */
	hook_sh("for n in a b; do ip netns exec wxt_$n sh -c"
		" 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'; done");
	hook_sh("ip -n wxt_a link add left type veth peer name right netns wxt_b");
	hook_sh("ip -n wxt_a addr add 10.9.0.1/24 dev left; ip -n wxt_a link set left up");
	hook_sh("ip -n wxt_b addr add 10.9.0.2/24 dev right; ip -n wxt_b link set right up");
	hook_sh("ip netns exec wxt_a ping -c 1 -W 5 10.9.0.2 >/dev/null");
}

static void network_down(void)
{
	hook_sh("ip netns del wxt_a; ip netns del wxt_b");
}

static uint32_t netdev_index(void)
{
	uint32_t index;

	hook_netns("wxt_b");
	index = if_nametoindex("right");
	hook_netns("");
	return index;
}

static int xdp_attach(uint32_t ifindex, int stub, uint32_t flags)
{
	int err;

	hook_netns("wxt_b");
	err = bpf_xdp_attach(ifindex, stub, flags, NULL);
	hook_netns("");
	return err;
}

static void test_mode(const char *mode, uint32_t flags)
{
	int stub = hook_stub(BPF_PROG_TYPE_XDP, 2), id, sender, rx_blocked, rx_open;
	uint32_t ifindex = netdev_index();
	struct hook_program program;
	struct wring_prog_info info;
	int counters;

	hook_load(device, "xdp_block", WRING_PROG_XDP, NULL, &program);
	if (!tap_ok(program.fd >= 0, "%s: the filter loads: %s", mode, device_error.message))
		return;
	counters = hook_map(&program, "counters");
	hook_set(hook_map(&program, "config"), 0, BLOCKED_PORT);
	id = hook_attach_stub(device, program.fd, stub);
	tap_eq(xdp_attach(ifindex, stub, flags), 0, "%s: the bound stub attaches to the netdev",
	       mode);
	hook_netns("wxt_b");
	rx_blocked = hook_udp_socket(AF_INET, BLOCKED_PORT);
	rx_open = hook_udp_socket(AF_INET, OPEN_PORT);
	hook_netns("wxt_a");
	sender = hook_udp_socket(AF_INET, 0);
	hook_netns("");

	hook_sh("ip netns exec wxt_a ping -c %d -i 0.1 -W 2 10.9.0.2 >/dev/null", PINGS);
	tap_eq(hook_counter(counters, COUNT_ICMP), PINGS, "%s: pings pass and are counted", mode);
	hook_udp_send(sender, AF_INET, "10.9.0.2", BLOCKED_PORT, 200, 20);
	hook_udp_send(sender, AF_INET, "10.9.0.2", OPEN_PORT, 200, 10);
	tap_eq(hook_udp_receive(rx_open, 10), 10, "%s: UDP to another port passes", mode);
	tap_eq(hook_udp_receive(rx_blocked, 20), 0, "%s: UDP to the blocked port does not", mode);
	tap_eq(hook_counter(counters, COUNT_UDP), 10, "%s: what passed is counted", mode);
	tap_eq(hook_counter(counters, COUNT_BLOCKED), 20, "%s: and what was dropped", mode);
	hook_info(program.fd, &info);
	tap_eq(info.traps + info.misses + info.bad_verdicts, 0, "%s: nothing went wrong", mode);

	tap_eq(hook_detach(device, id), 0, "%s: detached from the stub", mode);
	hook_udp_send(sender, AF_INET, "10.9.0.2", BLOCKED_PORT, 200, 20);
	tap_eq(hook_udp_receive(rx_blocked, 20), 20, "%s: which then lets all pass", mode);
	id = hook_attach_stub(device, program.fd, stub);
	tap_ok(id > 0, "%s: a stub in use binds again", mode);
	hook_udp_send(sender, AF_INET, "10.9.0.2", BLOCKED_PORT, 200, 20);
	tap_eq(hook_udp_receive(rx_blocked, 20), 0, "%s: and filters again", mode);
	tap_eq(xdp_attach(ifindex, -1, flags), 0, "%s: the stub comes off the netdev", mode);
	hook_udp_send(sender, AF_INET, "10.9.0.2", BLOCKED_PORT, 200, 20);
	tap_eq(hook_udp_receive(rx_blocked, 20), 20, "%s: which is open again", mode);
	close(stub);
	tap_ok(hook_wait_links(device, 0), "%s: the link is swept up", mode);
	close(sender);
	close(rx_blocked);
	close(rx_open);
	hook_free(&program);
}

/* ---- changes under traffic ---- */

static atomic_bool stop;
static atomic_ulong sent;

static void *flood(void *arg)
{
	int socket = *(int *)arg;

	while (!stop) {
		hook_udp_send(socket, AF_INET, "10.9.0.2", BLOCKED_PORT, 64, 50);
		sent += 50;
	}
	return NULL;
}

/*
 * Links come and go, in both modes and with programs that come and go, while two senders do not
 * pause. Also at a tracepoint that every one of their calls hits.
 */
static void test_races(void)
{
	uint32_t ifindex = netdev_index(), round, failures = 0, blocked = 0, counted = 0;
	struct hook_program program, tracer;
	int stub, id, trace, sockets[2];
	pthread_t senders[2];
	struct wring_prog_info info;
	unsigned long traps = 0;

	hook_netns("wxt_a");
	sockets[0] = hook_udp_socket(AF_INET, 0);
	sockets[1] = hook_udp_socket(AF_INET, 0);
	hook_netns("");
	pthread_create(&senders[0], NULL, flood, &sockets[0]);
	pthread_create(&senders[1], NULL, flood, &sockets[1]);
	for (round = 0; round < ROUNDS; round++) {
		uint32_t flags = round % 2 ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
		int i;

		hook_load(device, "xdp_block", WRING_PROG_XDP, NULL, &program);
		hook_load(device, "syscall_count", WRING_PROG_RAW_TRACEPOINT, NULL, &tracer);
		hook_set(hook_map(&program, "config"), 0, BLOCKED_PORT);
		stub = hook_stub(BPF_PROG_TYPE_XDP, 2);
		failures += xdp_attach(ifindex, stub, flags) != 0;
		trace = hook_attach_tracepoint(device, tracer.fd, "sys_enter");
		failures += trace <= 0;
		for (i = 0; i < 4; i++) {
			id = hook_attach_stub(device, program.fd, stub);
			failures += id <= 0;
			usleep(2000);
			failures += hook_detach(device, id) != 0;
		}
		blocked += hook_counter(hook_map(&program, "counters"), COUNT_BLOCKED) > 0;
		counted += hook_counter(hook_map(&tracer, "syscalls"), SYS_sendto) > 0;
		hook_info(program.fd, &info);
		traps += info.traps;
		/*
		 * In every order: links before programs, programs before links, stubs before both.
		 */
		if (round % 3 == 0)
			hook_attach_stub(device, program.fd, stub);
		failures += hook_detach(device, trace) != 0;
		hook_free(&program);
		hook_free(&tracer);
		failures += xdp_attach(ifindex, -1, flags) != 0;
		close(stub);
	}
	stop = true;
	pthread_join(senders[0], NULL);
	pthread_join(senders[1], NULL);
	tap_note("%lu packets sent in %u rounds", sent, ROUNDS);
	tap_eq(failures, 0, "no command fails under traffic");
	tap_ok(blocked > ROUNDS / 2 && counted > ROUNDS / 2,
	       "the programs were hit meanwhile (in %u and %u of %u rounds)", blocked, counted,
	       ROUNDS);
	tap_eq(traps, 0, "no packet trapped");
	tap_ok(hook_wait_links(device, 0), "all links are gone");
	close(sockets[0]);
	close(sockets[1]);
}

/* ---- things that vanish ---- */

static void test_vanishing(void)
{
	struct hook_program program;
	int stub = hook_stub(BPF_PROG_TYPE_XDP, 2);

	hook_load(device, "xdp_block", WRING_PROG_XDP, NULL, &program);
	tap_ok(hook_attach_stub(device, program.fd, stub) > 0 &&
		       !xdp_attach(netdev_index(), stub, XDP_FLAGS_SKB_MODE),
	       "attached to a netdev");
	close(stub);
	hook_free(&program);
	tap_ok(hook_link_count(device) == 1, "the link needs no file descriptor");
	/* Longer than a sweep. */
	sleep(3);
	tap_eq(hook_link_count(device), 1, "and stays as long as the netdev has the stub");

	/* Nothing of this process refers to the module now, but the link does. */
	close(device);
	tap_ok(syscall(SYS_delete_module, "wring", O_NONBLOCK) && errno == EWOULDBLOCK,
	       "the module cannot be unloaded: %s", strerror(errno));
	device = device_open();
	network_down();
	tap_ok(hook_wait_links(device, 0), "the link goes with its netdev");
}

int main(void)
{
	struct wring_features before;

	device = hook_begin(&before);
	network_up();
	test_mode("native", XDP_FLAGS_DRV_MODE);
	test_mode("generic", XDP_FLAGS_SKB_MODE);
	test_races();
	test_vanishing();
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
