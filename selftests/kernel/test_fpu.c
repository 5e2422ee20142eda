// SPDX-License-Identifier: GPL-2.0
/*
 * test_fpu.c - floats and vectors in the kernel: results at hooks and in invocations are those of user space, MXCSR is
 * the guest's own, and what user space has in its registers survives.
 */
#include <errno.h>
#include <immintrin.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/netfilter.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "guest/fpu_work.h"
#include "hooks.h"
#include "tap.h"

enum { SEED, ROUNDS, EXPECTED, RUNS, WRONG };

#define HOOK_ROUNDS 20
#define PORT 5400
/* Rounding towards zero, denormals flushed, no exceptions. */
#define USER_MXCSR 0xff80
#define DEFAULT_MXCSR 0x1f80
#define HOLDERS 2

static int device;

static uint64_t runs_of(const struct hook_program *program)
{
	return hook_counter(hook_map(program, "state"), RUNS);
}

static uint64_t wrong_of(const struct hook_program *program)
{
	return hook_counter(hook_map(program, "state"), WRONG);
}

static void set_work(const struct hook_program *program, uint32_t seed, uint32_t rounds)
{
	int state = hook_map(program, "state");

	hook_set(state, SEED, seed);
	hook_set(state, ROUNDS, rounds);
	hook_set(state, EXPECTED, fpu_work(seed, rounds));
	hook_set(state, RUNS, 0);
	hook_set(state, WRONG, 0);
}

static void load(uint32_t type, const char *entry, struct hook_program *program)
{
	struct wring_prog_load request = {};

	snprintf(request.entry, sizeof(request.entry), "%s", entry);
	hook_load(device, "fpu_hooks", type, &request, program);
	tap_ok(program->fd >= 0, "%s loads: %s", entry, device_error.message);
	set_work(program, 7, HOOK_ROUNDS);
}

/* ---- invocations ---- */

static uint64_t invoke(int program, const char *export, const uint64_t *args, uint32_t count)
{
	uint64_t result = 0;
	int ret = device_invoke(program, export, args, count, &result);

	tap_eq(ret, 0, "%s: %s", export, device_error.message);
	return result;
}

static uint64_t bits_of(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static void test_invocations(int program)
{
	static const uint32_t seeds[] = { 0, 1, 7, 1000, 0xffffffff };
	uint64_t args[3], swapped[2] = {}, vector[2] = { 0x0000000200000001, 0x0000000400000003 };
	struct wring_invoke swap = {
		.name = (uintptr_t)"swap",
		.name_bytes = 4,
		.args = (uintptr_t)vector,
		.arg_count = 2,
		.results = (uintptr_t)swapped,
		.result_count = 2,
	};
	struct fpu_work w;
	float third = 1.0f / 3;
	unsigned int i;

	for (i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		args[0] = seeds[i];
		args[1] = 100;
		tap_eq(invoke(program, "work", args, 2), fpu_work(seeds[i], 100),
		       "seed %u: the same result as in user space", seeds[i]);
	}
	args[1] = 3000000;
	tap_eq(invoke(program, "work", args, 2), fpu_work(0xffffffff, 3000000),
	       "also over many slices of fuel");
	args[1] = 50;
	args[2] = 20;
	fpu_work_begin(&w, 0xffffffff);
	fpu_work_step(&w, 50 * 20);
	tap_eq(invoke(program, "grow", args, 3), fpu_work_end(&w), "and while the memory grows");

	args[0] = 0;
	memcpy(args, &third, sizeof(third));
	args[1] = bits_of(-2.5);
	tap_eq(invoke(program, "average", args, 2), bits_of((third + -2.5) / 2),
	       "floats as arguments and results");
	tap_eq(device_ioctl(program, WRING_IOC_INVOKE, &swap), 0, "a vector as well");
	tap_ok(swapped[0] == 0x0000000300000004 && swapped[1] == 0x0000000100000002,
	       "comes back: %llx %llx", (unsigned long long)swapped[1],
	       (unsigned long long)swapped[0]);

	args[0] = 0;
	args[1] = 5;
	tap_eq(device_invoke(program, "trap", args, 2, NULL), WRING_TRAP_IntegerDivideByZero,
	       "a trap among floats");
	args[0] = 9;
	tap_eq((uint32_t)invoke(program, "trap", args, 2), (uint32_t)fpu_work(9, 5) / 9,
	       "leaves the FPU in order");
}

/* The caller's rounding is none of the guest's business. */
static void test_mxcsr(int program)
{
	uint64_t args[2] = { 7, 1000 }, expected = fpu_work(7, 1000), result = 0;
	unsigned int after;
	int ret;

	_mm_setcsr(USER_MXCSR);
	ret = device_invoke(program, "work", args, 2, &result);
	after = _mm_getcsr();
	_mm_setcsr(DEFAULT_MXCSR);
	tap_eq(ret, 0, "an invocation by somebody who rounds to zero");
	tap_eq(result, expected, "rounds to nearest");
	tap_eq(after, USER_MXCSR, "and the caller's setting stays");
}

/* ---- what user space keeps in its registers ---- */

struct registers {
	uint8_t ymm[16][32];	/* without AVX the upper halves stay as they are in memory */
	uint32_t mxcsr;
};

#define EACH_REGISTER(macro) \
	macro(0) macro(1) macro(2) macro(3) macro(4) macro(5) macro(6) macro(7) \
	macro(8) macro(9) macro(10) macro(11) macro(12) macro(13) macro(14) macro(15)
#define LOAD_YMM(n) "vmovdqu " #n "*32(%[in]), %%ymm" #n "\n"
#define STORE_YMM(n) "vmovdqu %%ymm" #n ", " #n "*32(%[out])\n"
#define LOAD_XMM(n) "movdqu " #n "*32(%[in]), %%xmm" #n "\n"
#define STORE_XMM(n) "movdqu %%xmm" #n ", " #n "*32(%[out])\n"
#define NAME_XMM(n) "xmm" #n,
/* Loads all registers, makes system calls without touching them, and stores them. */
#define HOLD(load, store)							\
	asm volatile("ldmxcsr 512(%[in])\n" EACH_REGISTER(load)			\
		     "1: mov %[number], %%rax\n"				\
		     "syscall\n"						\
		     "dec %[calls]\n"						\
		     "jnz 1b\n" EACH_REGISTER(store)				\
		     "stmxcsr 512(%[out])\n"					\
		     : [calls] "+r"(calls)					\
		     : [in] "r"(in), [out] "r"(out), [number] "r"((uint64_t)SYS_getppid) \
		     : EACH_REGISTER(NAME_XMM) "rax", "rcx", "r11", "memory", "cc")

static void hold(const struct registers *in, struct registers *out, uint64_t calls)
{
	if (__builtin_cpu_supports("avx"))
		HOLD(LOAD_YMM, STORE_YMM);
	else
		HOLD(LOAD_XMM, STORE_XMM);
	_mm_setcsr(DEFAULT_MXCSR);
}

/* Whether the registers stay as they are for `rounds` times `calls` system calls. */
static bool registers_survive(unsigned int seed, unsigned int rounds, unsigned int calls)
{
	struct registers in, out;
	unsigned int i;

	while (rounds--) {
		for (i = 0; i < sizeof(in.ymm); i++)
			((uint8_t *)in.ymm)[i] = rand_r(&seed);
		in.mxcsr = USER_MXCSR;
		out = in;
		memset(out.ymm, 0, __builtin_cpu_supports("avx") ? sizeof(out.ymm) : 0);
		hold(&in, &out, calls);
		if (memcmp(&in, &out, sizeof(in)))
			return false;
	}
	return true;
}

/* Processes that hold values of their own while this one does what makes hooks run. */
static void start_holders(pid_t pids[HOLDERS])
{
	unsigned int i;

	fflush(stdout);
	for (i = 0; i < HOLDERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(!registers_survive(i + 1, 100, 200));
	}
}

static bool holders_survived(pid_t pids[HOLDERS])
{
	bool all = true;
	unsigned int i;
	int status;

	for (i = 0; i < HOLDERS; i++)
		all &= waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) &&
		       !WEXITSTATUS(status);
	return all;
}

/* ---- hooks ---- */

static void test_tracepoint(void)
{
	struct hook_program program;
	pid_t pids[HOLDERS];
	int id;

	load(WRING_PROG_RAW_TRACEPOINT, "fpu_tracepoint", &program);
	tap_eq(hook_attach_tracepoint(device, program.fd, "x86_fpu_regs_activated"), -EOPNOTSUPP,
	       "not where the kernel moves the registers");
	id = hook_attach_tracepoint(device, program.fd, "sys_enter");
	tap_ok(id > 0, "floats at every system call: %s", device_error.message);
	start_holders(pids);
	tap_ok(registers_survive(99, 50, 200), "registers survive system calls that run floats");
	tap_ok(holders_survived(pids), "also those of several processes");
	hook_detach(device, id);
	tap_ok(runs_of(&program) > 50 * 200, "%llu runs",
	       (unsigned long long)runs_of(&program));
	tap_eq(wrong_of(&program), 0, "none of them wrong");
	hook_free(&program);
}

/* A timer's interrupt finds an invocation in the middle of its own floats: then its program cannot run. */
static void test_interrupt(int module)
{
	uint64_t args[2] = { 3, 40000000 }, expected = fpu_work(3, 40000000);
	struct wring_prog_info info;
	struct hook_program program;
	int id;

	load(WRING_PROG_RAW_TRACEPOINT, "fpu_tracepoint", &program);
	id = hook_attach_tracepoint(device, program.fd, "hrtimer_expire_entry");
	tap_ok(id > 0, "floats in timer interrupts: %s", device_error.message);
	tap_eq(invoke(module, "work", args, 2), expected, "leave an invocation's floats alone");
	tap_ok(registers_survive(5, 200, 200), "and user space's");
	usleep(200000);
	hook_detach(device, id);
	hook_info(program.fd, &info);
	tap_ok(info.misses > 0, "%llu times the FPU was in use",
	       (unsigned long long)info.misses);
	tap_ok(runs_of(&program) > 0, "%llu times it was not",
	       (unsigned long long)runs_of(&program));
	tap_eq(wrong_of(&program), 0, "and no result was wrong");
	hook_free(&program);
}

/* Sends to this machine itself: output, input and XDP run in the sender's context. */
static void test_packets(struct hook_program *program, const char *what)
{
	int receiver = hook_udp_socket(AF_INET, PORT), sender = hook_udp_socket(AF_INET, 0);
	pid_t pids[HOLDERS];
	bool survived = true;
	unsigned int i;

	start_holders(pids);
	for (i = 0; i < 50; i++) {
		hook_udp_send(sender, AF_INET, "127.0.0.1", PORT, 64, 20);
		survived &= registers_survive(i, 2, 20);
	}
	tap_ok(holders_survived(pids) && survived, "%s: registers survive", what);
	tap_ok(runs_of(program) >= 1000, "%s: %llu packets", what,
	       (unsigned long long)runs_of(program));
	tap_eq(wrong_of(program), 0, "%s: all results are right", what);
	close(receiver);
	close(sender);
}

static void test_netfilter(void)
{
	struct hook_program program;
	int in, out;

	load(WRING_PROG_NETFILTER, "fpu_netfilter", &program);
	out = hook_attach_netfilter(device, program.fd, NFPROTO_IPV4, NF_INET_LOCAL_OUT, 0);
	in = hook_attach_netfilter(device, program.fd, NFPROTO_IPV4, NF_INET_LOCAL_IN, 0);
	tap_ok(in > 0 && out > 0, "floats in netfilter: %s", device_error.message);
	test_packets(&program, "netfilter");
	hook_detach(device, in);
	hook_detach(device, out);
	hook_free(&program);
}

static void test_xdp(void)
{
	int stub = hook_stub(BPF_PROG_TYPE_XDP, XDP_PASS), ifindex = if_nametoindex("lo"), id;
	struct hook_program program;
	uint8_t packet[64] = {};

	load(WRING_PROG_XDP, "fpu_xdp", &program);
	id = hook_attach_stub(device, program.fd, stub);
	tap_ok(id > 0, "floats in XDP: %s", device_error.message);
	tap_eq(hook_test_run(stub, packet, sizeof(packet)), XDP_PASS, "a test run");
	tap_eq(runs_of(&program), 1, "runs the program");
	tap_eq(bpf_xdp_attach(ifindex, stub, XDP_FLAGS_SKB_MODE, NULL), 0, "it goes to a netdev");
	test_packets(&program, "XDP");
	tap_eq(bpf_xdp_attach(ifindex, -1, XDP_FLAGS_SKB_MODE, NULL), 0, "and comes off");
	close(stub);
	hook_wait_links(device, 0);
	hook_free(&program);
}

int main(void)
{
	struct wring_features before;
	struct hook_program module;

	device = hook_begin(&before);
	hook_load(device, "fpu_module", WRING_PROG_MODULE, NULL, &module);
	if (!tap_ok(module.fd >= 0, "load: %s", device_error.message))
		return tap_finish();
	test_invocations(module.fd);
	test_mxcsr(module.fd);
	tap_ok(registers_survive(1, 100, 100), "registers survive system calls at all");
	test_tracepoint();
	test_interrupt(module.fd);
	test_netfilter();
	test_xdp();
	hook_free(&module);
	tap_eq(hook_link_count(device), 0, "no links are left");
	tap_ok(device_settle(device, &before), "everything is given back");
	return tap_finish();
}
