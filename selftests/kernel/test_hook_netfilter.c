// SPDX-License-Identifier: GPL-2.0
/*
 * test_hook_netfilter.c - netfilter programs: real packets at all five hooks, IPv4, IPv6 and both;
 * data in fragments, rewritten headers, packets that others hold too, network namespaces that go
 * away, what is refused.
 *
 * Three namespaces in a row: wnf_a (10.1.0.1, fd01::1), a router wnf_r (.2, ::2 on both sides),
 * wnf_b (10.2.0.1, fd02::1).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/netfilter.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "hooks.h"
#include "tap.h"

#define BLOCKED_PORT 5300
#define OPEN_PORT 5301
#define SENT_BLOCKED 5
#define SENT_OPEN 3

static int device;

static void network_up(void)
{
	static const char *const commands[] = {
		"-n wnf_a link add left type veth peer name ra netns wnf_r",
		"-n wnf_b link add right type veth peer name rb netns wnf_r",
		"-n wnf_a addr add 10.1.0.1/24 dev left",
		"-n wnf_a addr add fd01::1/64 dev left nodad",
		"-n wnf_r addr add 10.1.0.2/24 dev ra",
		"-n wnf_r addr add fd01::2/64 dev ra nodad",
		"-n wnf_r addr add 10.2.0.2/24 dev rb",
		"-n wnf_r addr add fd02::2/64 dev rb nodad",
		"-n wnf_b addr add 10.2.0.1/24 dev right",
		"-n wnf_b addr add fd02::1/64 dev right nodad",
		"-n wnf_a link set left up",
		"-n wnf_r link set ra up",
		"-n wnf_r link set rb up",
		"-n wnf_b link set right up",
		"-n wnf_a route add default via 10.1.0.2",
		"-n wnf_a -6 route add default via fd01::2",
		"-n wnf_b route add default via 10.2.0.2",
		"-n wnf_b -6 route add default via fd02::2",
		/* Neighbours are found now, not while packets are counted. */
		"netns exec wnf_a ping -c 1 -W 5 10.2.0.1 >/dev/null",
	};
	size_t i;

	hook_sh("modprobe veth");
	hook_sh("for n in a r b; do ip netns add wnf_$n && ip -n wnf_$n link set lo up; done");
	hook_sh("ip netns exec wnf_r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'");
	hook_sh("ip netns exec wnf_r sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'");
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		hook_sh("ip %s", commands[i]);
	hook_sh("for i in 1 2 3 4 5 6 7 8; do"
		" ip netns exec wnf_a ping -6 -c 1 -W 1 fd02::1 >/dev/null && exit; done; exit 1");
}

static void network_down(void)
{
	hook_sh("for n in a r b; do ip netns del wnf_$n; done");
}

/* Sends to both ports of a destination, from one namespace to another; how many came through. */
static void exchange(int family, const char *from, const char *to, const char *address,
		     uint32_t *blocked, uint32_t *open)
{
	int sender, rx_blocked, rx_open;

	hook_netns(to);
	rx_blocked = hook_udp_socket(family, BLOCKED_PORT);
	rx_open = hook_udp_socket(family, OPEN_PORT);
	hook_netns(from);
	sender = hook_udp_socket(family, 0);
	hook_udp_send(sender, family, address, BLOCKED_PORT, 100, SENT_BLOCKED);
	hook_udp_send(sender, family, address, OPEN_PORT, 100, SENT_OPEN);
	*open = hook_udp_receive(rx_open, SENT_OPEN);
	*blocked = hook_udp_receive(rx_blocked, SENT_BLOCKED);
	hook_netns("");
	close(sender);
	close(rx_blocked);
	close(rx_open);
}

static void test_hook(const char *name, uint32_t hooknum, uint32_t pf, int family, bool applies)
{
	/* What passes this hook of the router: forwarded, to itself, or from itself. */
	const char *from = hooknum == NF_INET_LOCAL_OUT ? "wnf_r" : "wnf_a";
	const char *to = hooknum == NF_INET_LOCAL_IN ? "wnf_r" : "wnf_b";
	const char *address = family == AF_INET ?
				      (hooknum == NF_INET_LOCAL_IN ? "10.1.0.2" : "10.2.0.1") :
				      (hooknum == NF_INET_LOCAL_IN ? "fd01::2" : "fd02::1");
	uint32_t blocked, open, accepted;
	struct hook_program program;
	int id;

	hook_load(device, "nf_filter", WRING_PROG_NETFILTER, NULL, &program);
	if (program.fd < 0)
		tap_bail("nf_filter: %s", device_error.message);
	hook_set(hook_map(&program, "config"), 0, BLOCKED_PORT);
	hook_netns("wnf_r");
	id = hook_attach_netfilter(device, program.fd, pf, hooknum, 0);
	hook_netns("");
	if (!tap_ok(id > 0, "%s: attached %s", name, device_error.message))
		return;
	exchange(family, from, to, address, &blocked, &open);
	tap_ok(open == SENT_OPEN && blocked == (applies ? 0 : SENT_BLOCKED),
	       "%s: %u of %u open and %u of %u blocked arrive", name, open, SENT_OPEN, blocked,
	       SENT_BLOCKED);
	accepted = hook_counter(hook_map(&program, "verdicts"), NF_ACCEPT);
	tap_ok(hook_counter(hook_map(&program, "verdicts"), NF_DROP) ==
			       (applies ? SENT_BLOCKED : 0) &&
		       (applies ? accepted >= SENT_OPEN : accepted == 0),
	       "%s: and were counted", name);
	tap_eq(hook_detach(device, id), 0, "%s: detached", name);
	exchange(family, from, to, address, &blocked, &open);
	tap_ok(open == SENT_OPEN && blocked == SENT_BLOCKED, "%s: then all arrive", name);
	hook_free(&program);
}

static void test_hooks(void)
{
	static const char *const names[] = { "prerouting", "input", "forward", "output",
					     "postrouting" };
	char name[64];
	uint32_t hook;

	for (hook = 0; hook < NF_INET_NUMHOOKS; hook++) {
		snprintf(name, sizeof(name), "%s, IPv4", names[hook]);
		test_hook(name, hook, NFPROTO_IPV4, AF_INET, true);
		snprintf(name, sizeof(name), "%s, IPv6", names[hook]);
		test_hook(name, hook, NFPROTO_IPV6, AF_INET6, true);
	}
	test_hook("both families, IPv4", NF_INET_FORWARD, NFPROTO_INET, AF_INET, true);
	test_hook("both families, IPv6", NF_INET_FORWARD, NFPROTO_INET, AF_INET6, true);
	test_hook("a hook for IPv4, IPv6", NF_INET_FORWARD, NFPROTO_IPV4, AF_INET6, false);
}

/* ---- fragments and rewriting ---- */

enum { TAIL, COUNT, NEW_TTL, OLD_TTL };

/* Receives one datagram: its TTL, or -1; what is in it is compared with what was sent. */
static int receive_ttl(int socket, size_t size, bool *intact)
{
	static char payload[60000];
	char control[64];
	struct iovec iov = { payload, sizeof(payload) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg;
	ssize_t got = recvmsg(socket, &message, 0);
	size_t i;

	*intact = got == (ssize_t)size;
	for (i = 0; i < size && *intact; i++)
		*intact = payload[i] == (char)('a' + i % 26);
	if (got < 0)
		return -1;
	for (cmsg = CMSG_FIRSTHDR(&message); cmsg; cmsg = CMSG_NXTHDR(&message, cmsg)) {
		if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_TTL)
			return *(int *)CMSG_DATA(cmsg);
	}
	return -1;
}

/* What the first invocation used of fuel. */
static uint64_t test_edit(size_t size)
{
	struct wring_prog_info info = {};
	struct hook_program program;
	int id, sender, receiver, ttl, one = 1;
	uint64_t tail, expected;
	bool intact;
	size_t i;

	hook_load(device, "hook_nf_edit", WRING_PROG_NETFILTER, NULL, &program);
	if (!tap_ok(program.fd >= 0, "a program that edits loads: %s", device_error.message))
		return 0;
	hook_netns("wnf_r");
	id = hook_attach_netfilter(device, program.fd, NFPROTO_IPV4, NF_INET_LOCAL_IN, -10);
	receiver = hook_udp_socket(AF_INET, OPEN_PORT);
	setsockopt(receiver, IPPROTO_IP, IP_RECVTTL, &one, sizeof(one));
	hook_netns("wnf_a");
	sender = hook_udp_socket(AF_INET, 0);
	hook_netns("");
	for (i = 0; i < 8; i++)
		((char *)&expected)[i] = 'a' + (size - 8 + i) % 26;

	hook_udp_send(sender, AF_INET, "10.1.0.2", OPEN_PORT, size, 1);
	ttl = receive_ttl(receiver, size, &intact);
	tap_ok(ttl == 64 && intact, "%zu bytes arrive unchanged (TTL %d)", size, ttl);
	hook_info(program.fd, &info);
	tail = hook_counter(hook_map(&program, "state"), TAIL);
	tap_ok(tail == expected, "the program has read the last of them");
	tap_eq(hook_counter(hook_map(&program, "state"), OLD_TTL), 64, "and their TTL");
	hook_set(hook_map(&program, "state"), NEW_TTL, 33);
	hook_udp_send(sender, AF_INET, "10.1.0.2", OPEN_PORT, size, 1);
	ttl = receive_ttl(receiver, size, &intact);
	tap_ok(ttl == 33 && intact, "it has rewritten the TTL, and nothing else");
	tap_eq(hook_counter(hook_map(&program, "state"), COUNT), 2, "it ran twice");
	hook_detach(device, id);
	close(sender);
	close(receiver);
	hook_free(&program);
	return info.runs ? info.fuel_used / info.runs : 0;
}

/* ---- packets that others hold too ---- */

/*
 * Fails all allocations that must not wait and that the module's functions lead to, or none any
 * more; false: this kernel cannot.
 */
static bool fail_allocations(bool fail)
{
	static const char dir[] = "/sys/kernel/debug/failslab";
	unsigned long start = 0, size = 0;
	char line[256];
	FILE *modules;

	if (access("/sys/kernel/debug/failslab/require-start", F_OK))
		return false;
	modules = fopen("/proc/modules", "r");
	while (modules && fgets(line, sizeof(line), modules) &&
	       sscanf(line, "wring %lu %*s %*s %*s %lx", &size, &start) != 2)
		;
	if (!start)
		tap_bail("/proc/modules does not show where the module is");
	fclose(modules);
	hook_sh("cd %s && echo %#lx >require-start && echo %#lx >require-end"
		" && echo 32 >stacktrace-depth && echo 0 >verbose && echo -1 >times"
		" && echo %d >probability",
		dir, start, start + size, fail ? 100 : 0);
	return true;
}

/* The TTL that the next datagram to OPEN_PORT of 10.1.0.1 has in a packet socket's copy, or -1. */
static int tapped_ttl(int tap)
{
	uint8_t packet[256];

	while (recv(tap, packet, sizeof(packet), MSG_DONTWAIT) >= 24) {
		if (packet[9] == IPPROTO_UDP && !memcmp(packet + 12, "\x0a\x01\x00\x01", 4) &&
		    packet[22] == OPEN_PORT >> 8 && packet[23] == (OPEN_PORT & 255))
			return packet[8];
	}
	return -1;
}

/* What a program stores is in its own copy; if that cannot be made, it does not run. */
static void test_shared(void)
{
	struct wring_prog_load load = { .flags = WRING_PROG_F_DEFAULT_VERDICT,
					.default_verdict = NF_DROP };
	int id, sender, receiver, tap, one = 1;
	struct hook_program program;
	struct wring_prog_info info;
	bool intact;

	hook_load(device, "hook_nf_edit", WRING_PROG_NETFILTER, &load, &program);
	if (!tap_ok(program.fd >= 0, "shared packets: loads: %s", device_error.message))
		return;
	hook_set(hook_map(&program, "state"), NEW_TTL, 33);
	hook_netns("wnf_r");
	id = hook_attach_netfilter(device, program.fd, NFPROTO_IPV4, NF_INET_LOCAL_IN, -10);
	receiver = hook_udp_socket(AF_INET, OPEN_PORT);
	setsockopt(receiver, IPPROTO_IP, IP_RECVTTL, &one, sizeof(one));
	tap = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
	hook_netns("wnf_a");
	sender = hook_udp_socket(AF_INET, 0);
	hook_netns("");
	if (tap < 0)
		tap_bail("no packet socket");

	hook_udp_send(sender, AF_INET, "10.1.0.2", OPEN_PORT, 100, 1);
	tap_eq(receive_ttl(receiver, 100, &intact), 33, "shared packets: are rewritten");
	tap_eq(tapped_ttl(tap), 64, "shared packets: not for who shares them");
	if (fail_allocations(true)) {
		hook_udp_send(sender, AF_INET, "10.1.0.2", OPEN_PORT, 100, 1);
		tap_eq(receive_ttl(receiver, 100, &intact), -1,
		       "without memory for a copy: the default verdict");
		tap_eq(tapped_ttl(tap), 64, "without memory for a copy: the packet is as it was");
		fail_allocations(false);
		hook_info(program.fd, &info);
		tap_eq(info.misses_read_only, 1, "without memory for a copy: counted");
		tap_eq(info.misses, 1, "without memory for a copy: counted as a miss");
		hook_udp_send(sender, AF_INET, "10.1.0.2", OPEN_PORT, 100, 1);
		tap_eq(receive_ttl(receiver, 100, &intact), 33, "with it again: rewritten");
	} else {
		tap_note("no fault injection: misses_read_only is tested on debug kernels");
	}
	hook_detach(device, id);
	close(tap);
	close(sender);
	close(receiver);
	hook_free(&program);
}

/* ---- what the stack has established of a packet ---- */

static void test_poke(const struct hook_program *program, int family, uint32_t offset,
		      uint8_t value, bool may)
{
	int map = hook_map(program, "poke"), receiver, sender;
	struct wring_prog_info before, after;
	uint32_t arrived;

	hook_set(map, 0, offset);
	hook_set(map, 1, value);
	hook_netns("wnf_r");
	receiver = hook_udp_socket(family, OPEN_PORT);
	hook_netns("wnf_a");
	sender = hook_udp_socket(family, 0);
	hook_netns("");
	hook_info(program->fd, &before);
	hook_udp_send(sender, family, family == AF_INET ? "10.1.0.2" : "fd01::2", OPEN_PORT, 40, 1);
	arrived = hook_udp_receive(receiver, 1);
	hook_info(program->fd, &after);
	tap_eq(arrived, may, "IPv%d, byte %u becomes %#x: the packet %s",
	       family == AF_INET ? 4 : 6, offset, value, may ? "passes" : "is dropped");
	tap_eq(after.bad_verdicts - before.bad_verdicts, !may, "and %s",
	       may ? "that is all" : "that is a bad verdict");
	close(sender);
	close(receiver);
}

/* Headers whose lengths the stack has checked before its hooks, and relies on afterwards. */
static void test_established(void)
{
	static const struct {
		int family;
		uint32_t offset;
		uint8_t value;
		bool may;
	} cases[] = {
		{ AF_INET, 0, 0x4f, false },	/* header length */
		{ AF_INET, 0, 0x65, false },	/* version */
		{ AF_INET, 2, 1, false },	/* total length */
		{ AF_INET, 3, 255, false },
		{ AF_INET, 6, 0x20, false },	/* more fragments */
		{ AF_INET, 7, 3, false },
		{ AF_INET, 9, 6, false },	/* protocol */
		{ AF_INET, 0, 0x45, true },	/* as it was */
		{ AF_INET, 1, 4, true },	/* type of service */
		{ AF_INET, 8, 9, true },	/* TTL */
		{ AF_INET6, 0, 0x40, false },	/* version */
		{ AF_INET6, 4, 1, false },	/* payload length */
		{ AF_INET6, 5, 255, false },
		{ AF_INET6, 6, 6, false },	/* next header */
		{ AF_INET6, 1, 4, true },	/* traffic class */
		{ AF_INET6, 7, 9, true },	/* hop limit */
	};
	struct hook_program program;
	int id, i;

	hook_load(device, "hook_nf_poke", WRING_PROG_NETFILTER, NULL, &program);
	if (!tap_ok(program.fd >= 0, "a program that stores a byte loads: %s",
		    device_error.message))
		return;
	hook_netns("wnf_r");
	id = hook_attach_netfilter(device, program.fd, NFPROTO_INET, NF_INET_PRE_ROUTING, 0);
	hook_netns("");
	for (i = 0; i < (int)(sizeof(cases) / sizeof(cases[0])); i++)
		test_poke(&program, cases[i].family, cases[i].offset, cases[i].value,
			  cases[i].may);
	hook_detach(device, id);
	hook_free(&program);
}

/* ---- namespaces, refusals, runs ---- */

static void test_namespaces(void)
{
	struct hook_program program;
	struct wring_link_info info = {};
	int id;

	hook_load(device, "nf_filter", WRING_PROG_NETFILTER, NULL, &program);
	hook_sh("ip netns add wnf_gone");
	hook_netns("wnf_gone");
	id = hook_attach_netfilter(device, program.fd, NFPROTO_INET, NF_INET_LOCAL_IN, 7);
	hook_netns("");
	info.id = id;
	tap_eq(device_ioctl(device, WRING_IOC_LINK_INFO, &info), 0, "the link is described");
	tap_ok(info.type == WRING_PROG_NETFILTER && info.netfilter.pf == NFPROTO_INET &&
		       info.netfilter.hooknum == NF_INET_LOCAL_IN &&
		       info.netfilter.priority == 7 && info.netfilter.netns_ino,
	       "as it was asked for");
	hook_sh("ip netns del wnf_gone");
	tap_ok(hook_wait_links(device, 0), "it goes with its namespace");
	tap_eq(hook_detach(device, id), -ENOENT, "and cannot be detached any more");
	hook_free(&program);
}

static void test_refusals(void)
{
	struct wring_link_attach attach = { .netfilter.pf = NFPROTO_IPV4 };
	struct hook_program program;
	int stub = hook_stub(BPF_PROG_TYPE_XDP, 2);

	hook_load(device, "nf_filter", WRING_PROG_NETFILTER, NULL, &program);
	tap_eq(hook_attach_netfilter(device, program.fd, NFPROTO_BRIDGE, 0, 0), -EAFNOSUPPORT,
	       "a bridge's hook");
	tap_eq(hook_attach_netfilter(device, program.fd, NFPROTO_IPV4, 5, 0), -EINVAL,
	       "a hook that is none");
	tap_eq(hook_attach_netfilter(device, program.fd, NFPROTO_IPV4, 0xffffffff, 0), -EINVAL,
	       "a hook far off");
	tap_eq(hook_attach_stub(device, program.fd, stub), -EAFNOSUPPORT, "a stub");
	attach.prog_fd = program.fd;
	strcpy(attach.xdp.devname, "something long");
	tap_eq(device_ioctl(device, WRING_IOC_LINK_ATTACH, &attach), -EINVAL,
	       "what other hooks are asked for with");
	close(stub);
	hook_free(&program);
}

static void test_run(void)
{
	uint8_t packet[64], out[64] = {};
	struct wring_prog_run run = {
		.data_in = (uintptr_t)packet, .data_in_bytes = sizeof(packet),
		.data_out = (uintptr_t)out, .data_out_bytes = sizeof(out),
	};
	struct hook_program program;

	hook_load(device, "nf_filter", WRING_PROG_NETFILTER, NULL, &program);
	hook_set(hook_map(&program, "config"), 0, BLOCKED_PORT);
	hook_packet_udp4(packet, false, BLOCKED_PORT, sizeof(packet));
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), 0, "a run without a hook");
	tap_eq(run.verdict, NF_DROP, "drops");
	tap_ok(!memcmp(packet, out, sizeof(packet)), "and shows the packet");
	hook_packet_udp6(packet, false, BLOCKED_PORT, sizeof(packet));
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), 0, "IPv6");
	tap_eq(run.verdict, NF_DROP, "drops");
	packet[40 + 3] ^= 1;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), 0, "another port");
	tap_eq(run.verdict, NF_ACCEPT, "passes");
	run.data_in_bytes = 47;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), 0, "a packet cut short");
	tap_ok(run.verdict == NF_ACCEPT && run.trap == WRING_TRAP_PacketOutOfBounds,
	       "traps and passes");
	run.data_in_bytes = 19;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), -EINVAL,
	       "less than an IP header");
	hook_free(&program);
}

int main(void)
{
	struct wring_features before;
	uint64_t whole, fragmented;

	device = hook_begin(&before);
	network_up();
	test_hooks();
	whole = test_edit(100);
	fragmented = test_edit(8000);
	tap_ok(whole && fragmented >= whole + 5 * 64,
	       "going through fragments costs fuel: %llu, %llu for one datagram in one piece",
	       (unsigned long long)fragmented, (unsigned long long)whole);
	test_shared();
	test_established();
	network_down();
	test_namespaces();
	test_refusals();
	test_run();
	tap_eq(hook_link_count(device), 0, "no links are left");
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
