// SPDX-License-Identifier: GPL-2.0
/*
 * test_hook_xdp.c - XDP programs bound to eBPF stubs: verdicts and counters against the eBPF twin,
 * what may be bound, bad verdicts and traps, packet access, WRING_IOC_PROG_RUN, logging, and what
 * happens when stubs go away.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <linux/filter.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "hooks.h"
#include "tap.h"

#define BLOCKED_PORT 53
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static int device;

/* ---- the filter against its twin ---- */

struct sample {
	uint8_t bytes[256];
	size_t size;
};

/* Packets of every kind the filter tells apart, and each cut off after every byte. */
static struct sample corpus[4096];
static uint32_t corpus_count;

static void add_cut(const uint8_t *packet, size_t size)
{
	size_t cut;

	for (cut = 14; cut <= size && corpus_count < ARRAY_SIZE(corpus); cut++) {
		memcpy(corpus[corpus_count].bytes, packet, cut);
		corpus[corpus_count++].size = cut;
	}
}

static void make_corpus(void)
{
	static const uint8_t protocols[] = { 0, 1, 2, 6, 17, 47, 58, 255 };
	static const uint16_t ports[] = { BLOCKED_PORT, BLOCKED_PORT << 8, 0, 54, 65535 };
	static const uint16_t types[] = { 0x0806, 0x8100, 0x0008, 0xdd86, 0x88cc };
	uint8_t packet[256];
	uint32_t i, ihl;

	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		add_cut(packet, hook_packet_udp4(packet, true, ports[i], 60));
		add_cut(packet, hook_packet_udp6(packet, true, ports[i], 70));
	}
	for (i = 0; i < ARRAY_SIZE(protocols); i++) {
		add_cut(packet, hook_packet_ip4(packet, true, protocols[i], 60));
		hook_packet_udp6(packet, true, BLOCKED_PORT, 70);
		packet[20] = protocols[i];
		add_cut(packet, 70);
	}
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		hook_packet_udp4(packet, true, BLOCKED_PORT, 60);
		packet[12] = types[i] >> 8;
		packet[13] = types[i] & 0xff;
		add_cut(packet, 60);
	}
	for (ihl = 0; ihl < 16; ihl++) {
		size_t size = 14 + 60 + 8;

		hook_packet_udp4(packet, true, 0, size);
		packet[14] = 0x40 | ihl;
		packet[14 + ihl * 4 + 3] = BLOCKED_PORT;
		add_cut(packet, size);
	}
	/* Fragments: the first has ports, others only look as if. */
	hook_packet_udp4(packet, true, BLOCKED_PORT, 60);
	packet[20] = 0x20;
	add_cut(packet, 60);
	packet[21] = 0x01;
	add_cut(packet, 60);
}

/* How many packets the two disagree on, about the verdict or about the packet afterwards. */
static uint32_t compare_corpus(int stub, int twin)
{
	uint32_t i, differ = 0;
	struct sample a, b;
	int ra, rb;

	for (i = 0; i < corpus_count; i++) {
		a = b = corpus[i];
		ra = hook_test_run(stub, a.bytes, a.size);
		rb = hook_test_run(twin, b.bytes, b.size);
		if (ra == rb && !memcmp(a.bytes, b.bytes, a.size))
			continue;
		if (!differ++)
			tap_note("packet %u of %zu bytes: verdict %d, eBPF %d", i, a.size, ra, rb);
	}
	return differ;
}

static uint32_t compare_counters(const struct hook_program *wasm, const struct hook_program *twin,
				 uint32_t count)
{
	uint32_t i, differ = 0;

	for (i = 0; i < count; i++) {
		uint64_t a = hook_counter(hook_map(wasm, "counters"), i);
		uint64_t b = hook_counter(hook_map(twin, "counters"), i);

		tap_note("counter %u: %llu, eBPF %llu", i, (unsigned long long)a,
			 (unsigned long long)b);
		differ += a != b;
	}
	return differ;
}

static void test_filter(void)
{
	struct hook_program wasm, twin;
	struct wring_prog_info info;
	int stub = hook_stub(BPF_PROG_TYPE_XDP, 2), id;
	uint8_t packet[64];

	make_corpus();
	hook_load(device, "xdp_block", WRING_PROG_XDP, NULL, &wasm);
	if (!tap_ok(wasm.fd >= 0, "the filter loads: %s", device_error.message))
		return;
	hook_load_bpf("xdp_block", &twin);
	hook_set(hook_map(&wasm, "config"), 0, BLOCKED_PORT);
	hook_set(hook_map(&twin, "config"), 0, BLOCKED_PORT);
	id = hook_attach_stub(device, wasm.fd, stub);
	tap_ok(id > 0, "the filter binds: %s", device_error.message);

	hook_packet_udp4(packet, true, BLOCKED_PORT, sizeof(packet));
	tap_eq(hook_test_run(stub, packet, sizeof(packet)), 1,
	       "UDP to the blocked port is dropped");
	hook_packet_udp4(packet, true, BLOCKED_PORT + 1, sizeof(packet));
	tap_eq(hook_test_run(stub, packet, sizeof(packet)), 2, "UDP to another port passes");
	hook_packet_udp4(packet, true, BLOCKED_PORT, sizeof(packet));
	hook_test_run(twin.fd, packet, sizeof(packet));
	hook_packet_udp4(packet, true, BLOCKED_PORT + 1, sizeof(packet));
	hook_test_run(twin.fd, packet, sizeof(packet));

	tap_eq(compare_corpus(stub, twin.fd), 0, "verdicts equal eBPF's on %u packets",
	       corpus_count);
	tap_eq(compare_counters(&wasm, &twin, 6), 0, "counters equal eBPF's");
	hook_info(wasm.fd, &info);
	tap_ok(info.traps > 0 && !strcmp(info.trap.text, "out of bounds packet access"),
	       "packets cut short were traps (%llu, the last: %s)", (unsigned long long)info.traps,
	       info.trap.text);
	tap_eq(info.links, 1, "the program counts its link");

	hook_set(hook_map(&wasm, "config"), 0, 0);
	hook_packet_udp4(packet, true, BLOCKED_PORT, sizeof(packet));
	tap_eq(hook_test_run(stub, packet, sizeof(packet)), 2, "a changed map changes the verdict");

	tap_eq(hook_detach(device, id), 0, "detach");
	hook_set(hook_map(&wasm, "config"), 0, BLOCKED_PORT);
	tap_eq(hook_test_run(stub, packet, sizeof(packet)), 2, "the stub is itself again");
	tap_eq(hook_detach(device, id), -ENOENT, "detaching twice");
	id = hook_attach_stub(device, wasm.fd, stub);
	tap_ok(id > 0, "binding the same stub again");
	tap_eq(hook_test_run(stub, packet, sizeof(packet)), 1, "and it filters again");
	hook_detach(device, id);
	close(stub);
	hook_free(&twin);
	hook_free(&wasm);
}

/* ---- what can be bound ---- */

static void test_binding(void)
{
	const struct bpf_insn no_stub[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct wring_link_attach attach;
	struct hook_program program, module;
	int stub = hook_stub(BPF_PROG_TYPE_XDP, 2), other, first, second, i;

	hook_load(device, "xdp_pass", WRING_PROG_XDP, NULL, &program);
	if (!tap_ok(program.fd >= 0, "the empty program loads: %s", device_error.message))
		return;
	tap_eq(hook_attach_stub(device, program.fd, -1), -EBADF, "no stub");
	tap_eq(hook_attach_stub(device, program.fd, device), -EINVAL,
	       "a stub that is no eBPF program");
	other = hook_stub(BPF_PROG_TYPE_SOCKET_FILTER, 2);
	tap_eq(hook_attach_stub(device, program.fd, other), -EINVAL, "a stub of another type");
	close(other);
	other = hook_stub(BPF_PROG_TYPE_XDP, 77);
	tap_eq(hook_attach_stub(device, program.fd, other), -EINVAL,
	       "a stub whose verdict XDP does not know");
	close(other);
	other = bpf_prog_load(BPF_PROG_TYPE_XDP, "no_stub", "GPL", no_stub, 3, NULL);
	tap_eq(hook_attach_stub(device, program.fd, other), -EINVAL,
	       "an eBPF program with a mind of its own");
	close(other);
	tap_eq(hook_attach_stub(device, stub, stub), -EINVAL,
	       "a prog_fd that is no program of ours");
	tap_eq(hook_attach_stub(device, 999, stub), -EBADF, "a prog_fd that is none");
	tap_eq(hook_attach_tracepoint(device, program.fd, "sys_enter"), -EBADF,
	       "an XDP program at a tracepoint");
	tap_eq(hook_attach_netfilter(device, program.fd, 2, 1, 0), -EINVAL,
	       "an XDP program at netfilter");

	first = hook_attach_stub(device, program.fd, stub);
	tap_ok(first > 0, "a proper stub binds");
	tap_eq(hook_attach_stub(device, program.fd, stub), -EBUSY, "but not twice");
	other = hook_stub(BPF_PROG_TYPE_XDP, 1);
	second = hook_attach_stub(device, program.fd, other);
	tap_ok(second > 0 && second != first, "a second stub of the same program binds");
	tap_eq(hook_link_count(device), 2, "two links are listed");

	memset(&attach, 0, sizeof(attach));
	attach.prog_fd = program.fd;
	attach.xdp.stub_fd = stub;
	for (i = 0; i < (int)sizeof(attach.xdp.devname); i++)
		attach.xdp.devname[i] = 'x';
	tap_eq(device_ioctl(device, WRING_IOC_LINK_ATTACH, &attach), -EINVAL,
	       "an unterminated name");
	strcpy(attach.xdp.devname, "a\nb");
	tap_eq(device_ioctl(device, WRING_IOC_LINK_ATTACH, &attach), -EINVAL,
	       "an unprintable name");
	attach.xdp.devname[0] = '\0';
	attach.flags = 1;
	tap_eq(device_ioctl(device, WRING_IOC_LINK_ATTACH, &attach), -EINVAL, "an unknown flag");
	attach.flags = 0;
	attach.room[31] = 1;
	tap_eq(device_ioctl(device, WRING_IOC_LINK_ATTACH, &attach), -EINVAL,
	       "what other hooks are asked for with");

	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_UNLOAD, &(struct wring_prog_unload) {}),
	       -EBUSY, "unload is refused while attached");
	hook_load(device, "xdp_pass", WRING_PROG_MODULE, NULL, &module);
	tap_eq(hook_attach_stub(device, module.fd, stub), -EINVAL,
	       "a program that is not for a hook");
	hook_free(&module);

	/* The program lives on in its links, and those as long as their stubs. */
	hook_free(&program);
	tap_eq(hook_test_run(other, (uint8_t[64]) {}, 64), 2,
	       "the program runs after its fd is closed");
	close(other);
	tap_ok(hook_wait_links(device, 1), "the link of a stub that nobody holds is swept up");
	close(stub);
	tap_ok(hook_wait_links(device, 0), "and so is the other");
}

/* ---- what the kernel's hardening asks for ---- */

static uint32_t mitigations(void)
{
	struct wring_features features = {};

	device_ioctl(device, WRING_IOC_FEATURES, &features);
	return features.mitigations;
}

/* How often endbr64 is in a program's code: TCG does not enforce it, so the bytes are looked at. */
static uint32_t count_endbr(int prog_fd)
{
	static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	static uint8_t bytes[65536];
	struct wring_prog_code code = { .buffer = (uintptr_t)bytes, .bytes = sizeof(bytes) };
	uint32_t i, count = 0;

	if (device_ioctl(prog_fd, WRING_IOC_PROG_CODE, &code) || code.bytes > sizeof(bytes))
		tap_bail("no code");
	for (i = 0; i + sizeof(endbr) <= code.bytes; i++)
		count += !memcmp(bytes + i, endbr, sizeof(endbr));
	return count;
}

static void test_hardening(void)
{
	static const char path[] = "/proc/sys/net/core/bpf_jit_harden";
	struct hook_program program;
	uint8_t packet[64];
	uint32_t endbr;
	int stub, id;

	hook_sh("cat %s >/tmp/harden; echo 2 >%s", path, path);
	stub = hook_stub(BPF_PROG_TYPE_XDP, 2);
	hook_load(device, "xdp_block", WRING_PROG_XDP, NULL, &program);
	tap_ok(mitigations() & WRING_MITIGATION_BLINDING,
	       "constants are blinded when the kernel asks");
	id = hook_attach_stub(device, program.fd, stub);
	tap_ok(id > 0, "a blinded stub binds: %s", device_error.message);
	hook_set(hook_map(&program, "config"), 0, BLOCKED_PORT);
	hook_packet_udp4(packet, true, BLOCKED_PORT, sizeof(packet));
	tap_eq(hook_test_run(stub, packet, sizeof(packet)), 1, "and a blinded filter filters");
	hook_sh("cat /tmp/harden >%s", path);
	endbr = count_endbr(program.fd);
	tap_ok(mitigations() & WRING_MITIGATION_IBT ? endbr > 0 : endbr == 0,
	       "endbr64 is where the kernel has IBT (%u here)", endbr);
	hook_detach(device, id);
	close(stub);
	hook_free(&program);
}

/* ---- verdicts and traps ---- */

static int answer(int stub, uint32_t verdict, uint8_t trap)
{
	uint8_t packet[64] = {};

	memcpy(packet + 16, &verdict, 4);
	packet[20] = trap;
	return hook_test_run(stub, packet, sizeof(packet));
}

static void test_verdicts(void)
{
	const struct wring_prog_load load = {
		.flags = WRING_PROG_F_DEFAULT_VERDICT, .default_verdict = 1 /* XDP_DROP */,
	};
	static const uint32_t bad[] = { 4, 5, 0x7fffffff, 0x80000000, 0xffffffff };
	int stub = hook_stub(BPF_PROG_TYPE_XDP, 2), id;
	struct hook_program program;
	struct wring_prog_info info;
	uint32_t i;

	hook_load(device, "hook_verdict", WRING_PROG_XDP, &load, &program);
	if (!tap_ok(program.fd >= 0, "a program with a default verdict loads: %s",
		    device_error.message))
		return;
	id = hook_attach_stub(device, program.fd, stub);
	for (i = 0; i < 4; i++)
		tap_eq(answer(stub, i, 0), i, "verdict %u is one", i);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		tap_eq(answer(stub, bad[i], 0), 1, "verdict %#x becomes the default", bad[i]);
	hook_info(program.fd, &info);
	tap_eq(info.bad_verdicts, ARRAY_SIZE(bad), "bad verdicts are counted");
	tap_eq(info.traps, 0, "and are no traps");
	tap_eq(answer(stub, 2, 1), 1, "a trap becomes the default");
	hook_info(program.fd, &info);
	tap_eq(info.traps, 1, "and is counted");
	tap_ok(!strcmp(info.trap.text, "unreachable") && info.trap.frame_count >= 1 &&
		       info.trap.frames[0].offset && !strcmp(info.trap.frames[0].name, "answer"),
	       "the record names it: %s in %s at %#x", info.trap.text, info.trap.frames[0].name,
	       info.trap.frames[0].offset);
	tap_eq(answer(stub, 2, 0), 2, "the program goes on after a trap");
	tap_eq(info.misses, 0, "nothing was missed");
	hook_detach(device, id);
	close(stub);
	hook_free(&program);
}

/* ---- packet access ---- */

enum { OP_LOADS, OP_STORES, OP_LOAD_AT, OP_BULK, OP_BULK_OUTSIDE, OP_LENGTH, OP_HEADER, OP_LOG };

static int access_packet(int fd, uint8_t *packet, size_t size, uint8_t op, uint16_t argument)
{
	size_t i;

	for (i = 0; i < size; i++)
		packet[i] = i * 7 + 3;
	packet[14] = op;
	packet[16] = argument & 0xff;
	packet[17] = argument >> 8;
	return hook_test_run(fd, packet, size);
}

static void check_log(void)
{
	char text[4096] = "";
	int fd = open("/sys/kernel/tracing/trace_pipe", O_RDONLY | O_NONBLOCK);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[len > 0 ? len : 0] = '\0';
	/* In front of it there may be how many lines were suppressed before. */
	if (!tap_ok(strstr(text, "hook_packet: ") &&
			    strstr(text, "argument -2 is fffe, 1099511627776"),
		    "a logged line is in trace_pipe"))
		tap_note("found: %s", text);
	close(fd);
}

static void test_access(void)
{
	static const char *const names[] = {
		"loads",
		"stores",
		"a load at an offset",
		"bulk copies",
		"bulk copies outside",
		"the length",
		"a header",
	};
	/* Offsets at the edge of a packet of 64 bytes and where sums would wrap. */
	static const uint16_t offsets[] = { 0,	1,  40, 55, 56,	    57,	    59,	    60,
					    61, 63, 64, 65, 0x7fff, 0xefff, 0xf000, 0xffff };
	struct hook_program wasm, twin;
	int stub = hook_stub(BPF_PROG_TYPE_XDP, 2), id, a, b;
	uint8_t pa[64], pb[64];
	uint32_t op, i, differ;

	hook_load(device, "hook_packet", WRING_PROG_XDP, NULL, &wasm);
	if (!tap_ok(wasm.fd >= 0, "a program that uses all packet access loads: %s",
		    device_error.message))
		return;
	hook_load_bpf("hook_packet", &twin);
	id = hook_attach_stub(device, wasm.fd, stub);
	for (op = OP_LOADS; op <= OP_HEADER; op++) {
		for (i = differ = 0; i < ARRAY_SIZE(offsets); i++) {
			a = access_packet(stub, pa, sizeof(pa), op, offsets[i]);
			b = access_packet(twin.fd, pb, sizeof(pb), op, offsets[i]);
			if (a == b && !memcmp(pa, pb, sizeof(pa)))
				continue;
			differ++;
			tap_note("offset %u: verdict %d, eBPF %d", offsets[i], a, b);
		}
		tap_eq(differ, 0, "%s are eBPF's", names[op]);
	}
	tap_eq(access_packet(stub, pa, sizeof(pa), OP_BULK_OUTSIDE, 0), 3,
	       "bulk copies outside fail");
	tap_eq(access_packet(stub, pa, sizeof(pa), OP_LOG, 0xfffe), 2, "a program that logs");
	check_log();
	hook_detach(device, id);
	close(stub);
	hook_free(&twin);
	hook_free(&wasm);
}

/* ---- WRING_IOC_PROG_RUN ---- */

static void test_run(void)
{
	uint8_t packet[64], out[64] = {};
	struct wring_prog_run run = {
		.data_in = (uintptr_t)packet, .data_in_bytes = sizeof(packet),
		.data_out = (uintptr_t)out, .data_out_bytes = sizeof(out),
	};
	struct hook_program program;
	struct wring_prog_info info;

	hook_load(device, "hook_packet", WRING_PROG_XDP, NULL, &program);
	if (program.fd < 0)
		return;
	memset(packet, 0, sizeof(packet));
	packet[14] = OP_LENGTH;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), 0, "a run without a hook");
	tap_eq(run.verdict, 2, "its verdict");
	tap_eq(run.trap, 0, "no trap");
	tap_eq(run.data_out_bytes, sizeof(packet), "the packet's size comes back");
	tap_eq(out[24], sizeof(packet), "and the packet as the program left it");
	packet[14] = OP_LOAD_AT;
	packet[16] = 200;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), 0, "a run that traps");
	tap_eq(run.trap, WRING_TRAP_PacketOutOfBounds, "tells the reason");
	tap_eq(run.verdict, 2, "and the default verdict");
	packet[14] = OP_LENGTH;
	run.repeat = 100000;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), 0, "many runs");
	tap_eq(run.trap, 0, "the trap is forgotten");
	hook_info(program.fd, &info);
	tap_eq(info.runs, 100002, "all runs are counted");
	run.data_in_bytes = 13;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), -EINVAL,
	       "less than an Ethernet header");
	run.data_in_bytes = 65536;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), -EINVAL, "more than a packet");
	run.data_in_bytes = sizeof(packet);
	run.data_in = 16;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), -EFAULT, "an unmapped packet");
	run.data_in = (uintptr_t)packet;
	run.data_out = 16;
	run.repeat = 1;
	run.data_out_bytes = sizeof(out);
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), -EFAULT, "unmapped room for it");
	hook_free(&program);
}

static void nothing(int signal __attribute__((unused)))
{
}

/* More runs than anybody waits for, which a signal ends, on a CPU where nobody else wants to run either. */
static void test_run_ends(void)
{
	const struct itimerval soon = { .it_value.tv_usec = 100000 };
	const struct sigaction action = { .sa_handler = nothing };
	uint8_t packet[64] = { [14] = OP_LENGTH };
	struct wring_prog_run run = {
		.data_in = (uintptr_t)packet, .data_in_bytes = sizeof(packet),
		.repeat = UINT32_MAX,
	};
	struct hook_program program;
	struct timespec begin, end;

	hook_load(device, "hook_packet", WRING_PROG_XDP, NULL, &program);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), -EINTR, "a signal ends runs");
	clock_gettime(CLOCK_MONOTONIC, &end);
	tap_ok(end.tv_sec - begin.tv_sec < 5, "at once");
	hook_free(&program);
}

int main(void)
{
	struct wring_features before;

	device = hook_begin(&before);
	test_filter();
	test_binding();
	test_hardening();
	test_verdicts();
	test_access();
	test_run();
	test_run_ends();
	tap_eq(hook_link_count(device), 0, "no links are left");
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
