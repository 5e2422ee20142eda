// SPDX-License-Identifier: GPL-2.0
/*
 * test_authority.c - who may do what: every command with every set of capabilities that matters, the switch that
 * refuses loads, detaching everything, and what security modules and audit are told.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "hooks.h"
#include "tap.h"
#include "wasm.h"

#define BIT(n) (1ull << (n))
#define NONE 0ull
#define BPF BIT(CAP_BPF)
#define NET BIT(CAP_NET_ADMIN)
#define PERFMON BIT(CAP_PERFMON)
#define ADMIN BIT(CAP_SYS_ADMIN)

#define PARAMETER "/sys/module/wring/parameters/loads"
#define SYSCTL "/proc/sys/wring/loads"

static int device;
/* Of root's, to be got at by others: programs of each kind, one attached and one kept. */
static int xdp, nf, tracer, module, instance, other;
static uint32_t link_id, kept_id;
static uint8_t *entry, *addition;
static size_t entry_size, addition_size;

/* An entry () -> i32 that answers 1: drop at XDP, accept at netfilter; and add(i32, i32) -> i32. */
static void build_modules(void)
{
	struct wasm w = WASM_INIT;

	wasm_export(&w, "run", WASM_FUNCTION(&w, wasm_type(&w, "", "i"), "", OP_I32_CONST, 1));
	entry = wasm_finish(&w, &entry_size);
	wasm_export(&w, "add",
		    WASM_FUNCTION(&w, wasm_type(&w, "ii", "i"), "", OP_LOCAL_GET, 0, OP_LOCAL_GET,
				  1, OP_I32_ADD));
	addition = wasm_finish(&w, &addition_size);
}

static int load(uint32_t type, const char *name, uint32_t flags, uint32_t *id)
{
	struct wring_prog_load request = { .type = type, .flags = flags };
	bool hook = type != WRING_PROG_MODULE;
	int fd;

	snprintf(request.name, sizeof(request.name), "%s", name);
	fd = device_load(device, hook ? entry : addition, hook ? entry_size : addition_size,
			 &request);
	if (id)
		*id = request.id;
	return fd;
}

static int attach_nf(int prog_fd)
{
	return hook_attach_netfilter(device, prog_fd, NFPROTO_IPV4, NF_INET_FORWARD, 0);
}

static int detach(uint32_t id, uint32_t flags, int prog_fd)
{
	struct wring_link_detach request = {
		.id = id,
		.flags = flags,
		.prog_fd = prog_fd,
		.error = (uintptr_t)&device_error,
		.error_bytes = sizeof(device_error),
	};
	int err;

	memset(&device_error, 0, sizeof(device_error));
	err = device_ioctl(device, WRING_IOC_LINK_DETACH, &request);
	return err ?: (int)request.detached;
}

/* ---- commands, as others issue them: 0 or -errno ---- */

static int fd_result(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int try_open_device(void)
{
	int fd = open(WRING_DEVICE, O_RDWR | O_CLOEXEC);

	return fd_result(fd < 0 ? -errno : fd);
}

static int try_features(void)
{
	struct wring_features features = {};

	return device_ioctl(device, WRING_IOC_FEATURES, &features);
}

static int try_load_module(void)
{
	return fd_result(load(WRING_PROG_MODULE, "module", 0, NULL));
}

static int try_load_xdp(void)
{
	return fd_result(load(WRING_PROG_XDP, "xdp", 0, NULL));
}

static int try_load_nf(void)
{
	return fd_result(load(WRING_PROG_NETFILTER, "nf", 0, NULL));
}

static int try_load_tracer(void)
{
	return fd_result(load(WRING_PROG_RAW_TRACEPOINT, "tracer", 0, NULL));
}

static int try_instance(void)
{
	return fd_result(device_instance(device, addition, addition_size, NULL, 0));
}

static int try_prog_next(void)
{
	struct wring_next_id next = {};

	return device_ioctl(device, WRING_IOC_PROG_NEXT_ID, &next);
}

static int try_link_next(void)
{
	struct wring_next_id next = {};

	return device_ioctl(device, WRING_IOC_LINK_NEXT_ID, &next);
}

static int try_open_id(void)
{
	struct wring_prog_open request = { .id = kept_id };

	return fd_result(device_ioctl(device, WRING_IOC_PROG_OPEN, &request));
}

static int link_info(int prog_fd)
{
	struct wring_link_info info = { .id = link_id };

	if (prog_fd >= 0) {
		info.flags = WRING_LINK_F_PROG_FD;
		info.prog_fd = prog_fd;
	}
	return device_ioctl(device, WRING_IOC_LINK_INFO, &info);
}

static int try_link_info(void)
{
	return link_info(-1);
}

static int try_link_info_held(void)
{
	return link_info(nf);
}

static int try_link_info_other(void)
{
	return link_info(other);
}

static int try_info(void)
{
	struct wring_prog_info info = {};

	return device_ioctl(xdp, WRING_IOC_PROG_INFO, &info);
}

static int try_module(void)
{
	struct wring_prog_module request = {};

	return device_ioctl(xdp, WRING_IOC_PROG_MODULE, &request);
}

static int try_code(void)
{
	struct wring_prog_code request = {};

	return device_ioctl(xdp, WRING_IOC_PROG_CODE, &request);
}

static int try_unload_xdp(void)
{
	struct wring_prog_unload request = {};

	return device_ioctl(xdp, WRING_IOC_PROG_UNLOAD, &request);
}

static int run(int fd, const void *data, uint32_t bytes)
{
	struct wring_prog_run request = { .data_in = (uintptr_t)data, .data_in_bytes = bytes };

	return device_ioctl(fd, WRING_IOC_PROG_RUN, &request);
}

static int try_run_xdp(void)
{
	static uint8_t packet[64];

	return run(xdp, packet, sizeof(packet));
}

static int try_run_tracer(void)
{
	return run(tracer, NULL, 0);
}

static int invoke(int fd)
{
	static const uint64_t args[] = { 40, 2 };
	uint64_t result = 0;
	int err = device_invoke(fd, "add", args, 2, &result);

	return err ?: result == 42 ? 0 : -EIO;
}

static int try_invoke(void)
{
	return invoke(module);
}

static int try_invoke_instance(void)
{
	return invoke(instance);
}

/* Attaches and, by the program's fd, detaches. */
static int attach_detach(int id, int prog_fd)
{
	return id < 0 ? id : detach(id, WRING_LINK_F_PROG_FD, prog_fd) == 1 ? 0 : -EIO;
}

static int try_attach_nf(void)
{
	return attach_detach(attach_nf(other), other);
}

static int try_attach_tracer(void)
{
	return attach_detach(hook_attach_tracepoint(device, tracer, "sched_process_exit"), tracer);
}

static int try_detach_id(void)
{
	return detach(link_id, 0, 0);
}

static int try_detach_held(void)
{
	return detach(link_id, WRING_LINK_F_PROG_FD, nf);
}

static int try_detach_other(void)
{
	return detach(link_id, WRING_LINK_F_PROG_FD, other);
}

static int try_detach_all(void)
{
	return detach(0, WRING_LINK_F_ALL, 0);
}

static int try_switch(void)
{
	return write_file(SYSCTL, "refused\n") || write_file(PARAMETER, "refused\n") ? 0 : -EPERM;
}

/* ---- as whom ---- */

static void keep_only(uint64_t capabilities)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};
	int i;

	for (i = 0; i < 2; i++) {
		data[i].permitted = capabilities >> 32 * i;
		data[i].effective = data[i].permitted;
	}
	if (syscall(SYS_capset, &header, data))
		_exit(100);
}

/* What a command answers a caller with these capabilities and no others; the message is left in device_error. */
static int as(uint64_t capabilities, int (*command)(void))
{
	static struct {
		int result;
		struct wring_error_info error;
	} *shared;
	int status;
	pid_t pid;

	if (!shared)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		tap_bail("no memory");
	memset(shared, 0, sizeof(*shared));
	memset(&device_error, 0, sizeof(device_error));
	pid = fork();
	if (!pid) {
		keep_only(capabilities);
		shared->result = command();
		shared->error = device_error;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status)
		tap_bail("the caller ended with status %#x", status);
	device_error = shared->error;
	return shared->result;
}

static const struct rule {
	const char *name;
	int (*command)(void);
	uint64_t enough, other_way;	/* either set is, ... */
	uint64_t missing;		/* ... and neither without one of these, nor none at all */
	int refusal;
} rules[] = {
	{ "open the device", try_open_device, BPF, ADMIN, BPF | ADMIN, -EPERM },
	{ "features", try_features, BPF, ADMIN, BPF | ADMIN, -EPERM },
	{ "load a module", try_load_module, BPF, ADMIN, BPF | ADMIN, -EPERM },
	{ "load for XDP", try_load_xdp, BPF | NET, ADMIN, NET, -EPERM },
	{ "load for netfilter", try_load_nf, BPF | NET, ADMIN, NET, -EPERM },
	{ "load for a tracepoint", try_load_tracer, BPF | PERFMON, ADMIN, PERFMON, -EPERM },
	{ "make an instance", try_instance, BPF, ADMIN, BPF | ADMIN, -EPERM },
	{ "list programs", try_prog_next, ADMIN, ADMIN, ADMIN, -EPERM },
	{ "list links", try_link_next, ADMIN, ADMIN, ADMIN, -EPERM },
	{ "open a program by id", try_open_id, ADMIN, ADMIN, ADMIN, -EPERM },
	{ "describe a link by id", try_link_info, ADMIN, ADMIN, ADMIN, -EPERM },
	{ "describe a link of a program held", try_link_info_held, BPF, ADMIN, BPF, -EPERM },
	{ "read a program's code", try_code, ADMIN | BIT(CAP_SYSLOG), ADMIN | BIT(CAP_SYSLOG),
	  ADMIN, -EPERM },
	{ "unload for everybody", try_unload_xdp, BPF | NET, ADMIN, NET, -EPERM },
	{ "run at XDP", try_run_xdp, BPF | NET, ADMIN, BPF, -EPERM },
	{ "run at XDP", try_run_xdp, BPF | NET, ADMIN, NET, -EPERM },
	{ "run a tracer", try_run_tracer, BPF | PERFMON, ADMIN, PERFMON, -EPERM },
	{ "invoke", try_invoke, BPF, ADMIN, BPF, -EPERM },
	{ "invoke an instance", try_invoke_instance, BPF, ADMIN, BPF, -EPERM },
	{ "attach to netfilter and detach", try_attach_nf, BPF | NET, ADMIN, NET, -EPERM },
	{ "attach to a tracepoint and detach", try_attach_tracer, BPF | PERFMON, ADMIN, PERFMON,
	  -EPERM },
};

#define EVERYTHING (BPF | NET | PERFMON | ADMIN | BIT(CAP_SYSLOG))

static void test_rules(void)
{
	const struct rule *rule;

	for (rule = rules; rule < rules + sizeof(rules) / sizeof(rules[0]); rule++) {
		tap_eq(as(rule->enough, rule->command), 0, "%s: with what it needs", rule->name);
		tap_eq(as(rule->other_way, rule->command), 0, "%s: with CAP_SYS_ADMIN", rule->name);
		tap_eq(as(NONE, rule->command), rule->refusal, "%s: without any", rule->name);
		/* All the others but CAP_SYS_ADMIN, which stands for them. */
		tap_eq(as(EVERYTHING & ~ADMIN & ~rule->missing, rule->command), rule->refusal,
		       "%s: with all but what it needs: %s", rule->name, device_error.message);
	}
}

/* With CAP_BPF and all that hooks need, but without CAP_SYS_ADMIN: what others made is out of reach. */
static void test_others(void)
{
	const uint64_t caps = BPF | NET | PERFMON;
	struct wring_prog_info info;

	tap_eq(as(caps, try_link_info_other), -ENOENT,
	       "another program's fd does not lead to the link");
	tap_eq(as(caps, try_detach_id), -EPERM, "a link is not detached by its id: %s",
	       device_error.message);
	tap_eq(as(caps, try_detach_other), -ENOENT, "nor by another program's fd: %s",
	       device_error.message);
	tap_eq(as(caps, try_detach_all), -EPERM, "nor with all of them: %s", device_error.message);
	tap_eq(as(BPF | PERFMON, try_detach_held), -EPERM,
	       "nor by its program's fd without the hook's capability: %s", device_error.message);
	tap_eq(link_info(-1), 0, "it is still there");
	tap_eq(as(NONE, try_info), 0, "who has a program's fd may look at it");
	tap_eq(as(NONE, try_module), 0, "and read what was loaded");
	hook_info(xdp, &info);
	tap_eq(as(BPF | NET, try_detach_held), 1, "by its program's fd a link is detached");
	tap_eq(link_info(-1), -ENOENT, "it is gone");
	link_id = attach_nf(nf);
	tap_eq(as(ADMIN, try_detach_id), 1, "the administrator detaches by id");
}

/* ---- wring, as others call it ---- */

/* `wring WORDS` as root with these capabilities alone: its exit status, the first line of what it says in *line. */
static int cli(uint64_t capabilities, const char *words, char *line, size_t room)
{
	char command[256];
	int pipes[2], status, bit;
	ssize_t got;
	pid_t pid;

	snprintf(command, sizeof(command), "exec wring %s 2>&1", words);
	if (pipe(pipes))
		tap_bail("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		/* Root gets all of the bounding set on execve. */
		for (bit = 0; bit < 64; bit++) {
			if (!(capabilities & BIT(bit)))
				prctl(PR_CAPBSET_DROP, bit, 0, 0, 0);
		}
		dup2(pipes[1], 1);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	close(pipes[1]);
	got = read(pipes[0], line, room - 1);
	line[got > 0 ? got : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	close(pipes[0]);
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void test_cli(void)
{
	static const char *const refused[] = { "prog show",	 "link show",	"prog show id 1",
					       "link show id 1", "map show",	"prog unload kept",
					       "link detach all", "link detach id 1" };
	char line[512];
	size_t i;

	if (cli(EVERYTHING, "feature", line, sizeof(line))) {
		tap_note("no wring: %s", line);
		return;
	}
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		tap_eq(cli(BPF | NET | PERFMON, refused[i], line, sizeof(line)), 1,
		       "wring %s without CAP_SYS_ADMIN", refused[i]);
		tap_ok(strstr(line, "CAP_SYS_ADMIN"), "says what is missing: %s", line);
	}
	tap_eq(cli(NET, "feature", line, sizeof(line)), 1, "wring feature without CAP_BPF");
	tap_ok(strstr(line, "CAP_BPF"), "says what is missing: %s", line);
	tap_eq(cli(BPF | NET, "feature", line, sizeof(line)), 0, "wring feature with it");
}

/* ---- detaching everything ---- */

static void test_detach_all(void)
{
	uint32_t links = hook_link_count(device);
	int32_t prio;

	for (prio = 0; prio < 20; prio++)
		hook_attach_netfilter(device, prio & 1 ? nf : other, NFPROTO_IPV4, NF_INET_FORWARD,
				      prio);
	tap_ok(hook_attach_tracepoint(device, tracer, "sched_process_exit") > 0, "attach");
	tap_eq(hook_link_count(device), links + 21, "links of three programs");
	tap_eq(detach(0, WRING_LINK_F_ALL, 0), links + 21, "all are detached at once");
	tap_eq(hook_link_count(device), 0, "none is left");
	tap_eq(detach(0, WRING_LINK_F_ALL, 0), 0, "and again: none");
}

/* Somebody attaches for all it is worth: what was attached before is gone, and nothing is left in between. */
static void test_detach_all_race(void)
{
	struct wring_prog_info info;
	uint32_t rounds = 0, detached = 0;
	int status, left;
	pid_t pid = fork();

	if (!pid) {
		for (;;)
			hook_attach_netfilter(device, nf, NFPROTO_IPV4, NF_INET_FORWARD, 0);
	}
	for (rounds = 0; rounds < 30; rounds++) {
		left = detach(0, WRING_LINK_F_ALL, 0);
		if (left < 0)
			break;
		detached += left;
		usleep(5000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	tap_eq(rounds, 30, "detaching everything while somebody attaches");
	tap_ok(detached > 0, "meets links: %u", detached);
	detach(0, WRING_LINK_F_ALL, 0);
	tap_eq(hook_link_count(device), 0, "none is left");
	hook_info(nf, &info);
	tap_eq(info.links, 0, "the program knows of none");
}

/* ---- the switch ---- */

static bool reads(const char *path, const char *word)
{
	char text[32] = {};
	FILE *file = fopen(path, "r");
	bool same = file && fgets(text, sizeof(text), file) &&
		    !strncmp(text, word, strlen(word)) && !strcmp(text + strlen(word), "\n");

	if (file)
		fclose(file);
	return same;
}

static uint32_t loads(void)
{
	struct wring_features features = {};

	device_ioctl(device, WRING_IOC_FEATURES, &features);
	return features.loads;
}

static void is_refused(const char *how)
{
	int id;

	tap_eq(try_load_xdp(), -EPERM, "%s: no program can be loaded", how);
	tap_ok(strstr(device_error.message, "wring.loads"), "  said: %s", device_error.message);
	tap_eq(try_load_module(), -EPERM, "%s: nor a module", how);
	tap_eq(try_instance(), -EPERM, "%s: nor an instance be made", how);
	tap_ok(strstr(device_error.message, "wring.loads"), "  said: %s", device_error.message);
	tap_eq(try_run_xdp(), 0, "%s: what is loaded runs", how);
	tap_eq(invoke(instance), 0, "%s: also an instance", how);
	id = attach_nf(nf);
	tap_ok(id > 0, "%s: and can be attached", how);
	tap_eq(hook_detach(device, id), 0, "%s: and detached", how);
}

static void test_switch(void)
{
	char line[512];

	tap_ok(reads(PARAMETER, "allowed") && reads(SYSCTL, "allowed"), "loads are allowed");
	tap_eq(loads(), WRING_LOADS_ALLOWED, "says the module");
	tap_ok(write_file(SYSCTL, "refused\n"), "the sysctl refuses them");
	tap_ok(reads(PARAMETER, "refused") && reads(SYSCTL, "refused"), "both tell");
	tap_eq(loads(), WRING_LOADS_REFUSED, "and the module");
	is_refused("refused");
	if (!cli(EVERYTHING, "feature", line, sizeof(line))) {
		cli(EVERYTHING, "feature | grep wring.loads", line, sizeof(line));
		tap_ok(strstr(line, "refused"), "wring feature tells: %s", line);
		tap_eq(cli(EVERYTHING, "prog load ${WRING_GUEST:-/guest}/xdp_pass.wasm", line,
			   sizeof(line)),
		       1, "wring prog load: %s", line);
	}
	tap_ok(write_file(PARAMETER, "allowed"), "the parameter allows them");
	tap_ok(reads(PARAMETER, "allowed") && reads(SYSCTL, "allowed"), "both tell");
	tap_eq(try_load_xdp(), 0, "programs can be loaded again");
	tap_ok(!write_file(SYSCTL, "frobbed\n") && !write_file(PARAMETER, "1") &&
		       !write_file(SYSCTL, "\n"),
	       "other words are refused");
	tap_ok(reads(SYSCTL, "allowed"), "and change nothing");
	tap_eq(as(BPF | NET | PERFMON, try_switch), -EPERM, "root without CAP_SYS_ADMIN cannot");
	tap_ok(reads(SYSCTL, "allowed"), "and changes nothing");
}

/* A load that takes long, and is under way when loads come to be refused, does not end with a program. */
static void test_switch_meanwhile(void)
{
	struct wasm w = WASM_INIT;
	uint32_t type = wasm_type(&w, "", "");
	int status, fd, ready[2];
	uint8_t *bytes;
	size_t size;
	pid_t pid;

	/* The start function counts to 20 million. */
	wasm_start(&w, WASM_FUNCTION(&w, type, "i", OP_LOOP, OP_EMPTY_TYPE, OP_LOCAL_GET, 0,
				     OP_I32_CONST, 1, OP_I32_ADD, OP_LOCAL_TEE, 0, OP_I32_CONST,
				     0x80, 0xda, 0xc4, 0x09, OP_I32_SUB, OP_BR_IF, 0, OP_END));
	bytes = wasm_finish(&w, &size);
	if (pipe(ready))
		tap_bail("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		if (write(ready[1], "", 1) != 1)
			_exit(100);
		fd = device_load_module(device, "slow", bytes, size);
		_exit(fd >= 0 ? 0 : -fd);
	}
	if (read(ready[0], &status, 1) != 1)
		tap_bail("the loader does not start");
	usleep(10000);
	write_file(SYSCTL, "refused\n");
	waitpid(pid, &status, 0);
	tap_eq(WEXITSTATUS(status), EPERM, "a load under way is refused in the end");
	write_file(SYSCTL, "allowed\n");
	close(ready[0]);
	close(ready[1]);
	free(bytes);
}

/* Whether nothing uses the module and its file is at hand. */
static bool reload(const char *parameters)
{
	char command[128];

	snprintf(command, sizeof(command), "rmmod wring && insmod /wring.ko %s", parameters);
	return !system(command);
}

/* Locking lasts until the module goes, so the module goes: no fd is open. */
static void test_locked(void)
{
	if (access("/wring.ko", R_OK) || !reload("loads=refused")) {
		tap_note("the module cannot be reloaded: locking is not tested");
		return;
	}
	tap_ok(reads(SYSCTL, "refused"), "a parameter refuses loads from the start");
	tap_ok(write_file(SYSCTL, "locked\n"), "locked");
	tap_ok(reads(PARAMETER, "locked") && reads(SYSCTL, "locked"), "both tell");
	tap_ok(!write_file(SYSCTL, "allowed\n") && !write_file(PARAMETER, "allowed") &&
		       !write_file(SYSCTL, "refused\n"),
	       "nobody unlocks it");
	tap_ok(write_file(PARAMETER, "locked"), "though locking it again does no harm");
	device = device_open();
	tap_eq(loads(), WRING_LOADS_LOCKED, "the module tells");
	tap_eq(try_load_module(), -EPERM, "and refuses: %s", device_error.message);
	close(device);
	tap_ok(reload(""), "until it is reloaded");
	tap_ok(reads(SYSCTL, "allowed"), "loads are allowed again");
}

/* ---- security modules ---- */

static bool bpf_lsm_runs(void)
{
	char text[256] = {};
	FILE *file;

	mount("securityfs", "/sys/kernel/security", "securityfs", 0, NULL);
	file = fopen("/sys/kernel/security/lsm", "r");
	if (file && !fgets(text, sizeof(text), file))
		text[0] = '\0';
	if (file)
		fclose(file);
	return strstr(text, "bpf");
}

#define LOAD(size, dst, src, off_) \
	{ .code = BPF_LDX | BPF_MEM | (size), .dst_reg = (dst), .src_reg = (src), .off = (off_) }
#define JUMP_UNLESS(reg, value, to) \
	{ .code = BPF_JMP32 | BPF_JNE | BPF_K, .dst_reg = (reg), .off = (to), .imm = (value) }
#define ALU(op, dst, value) \
	{ .code = BPF_ALU64 | (op) | BPF_K, .dst_reg = (dst), .imm = (value) }
#define ALU_REG(op, dst, src) \
	{ .code = BPF_ALU64 | (op) | BPF_X, .dst_reg = (dst), .src_reg = (src) }

/* An LSM that refuses XDP programs called "refu..." under the licence "GPL"; its link, or -1. */
static int attach_lsm(void)
{
	const int name = offsetof(union bpf_attr, prog_name);
	const int license = offsetof(union bpf_attr, license);
	const struct bpf_insn code[] = {
		LOAD(BPF_DW, 2, 1, 0),			/* cmd */
		LOAD(BPF_DW, 6, 1, 8),			/* attr */
		JUMP_UNLESS(2, BPF_PROG_LOAD, 18),
		LOAD(BPF_W, 4, 6, name),
		JUMP_UNLESS(4, 0x75666572, 16),		/* "refu" */
		LOAD(BPF_W, 4, 6, 0),
		JUMP_UNLESS(4, BPF_PROG_TYPE_XDP, 14),
		LOAD(BPF_W, 3, 6, license),
		LOAD(BPF_W, 4, 6, license + 4),
		ALU(BPF_LSH, 4, 32),
		ALU_REG(BPF_OR, 3, 4),
		{ .code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = 10, .off = -8 },
		ALU_REG(BPF_MOV, 1, 10),
		ALU(BPF_ADD, 1, -8),
		ALU(BPF_MOV, 2, 4),
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_user },
		JUMP_UNLESS(0, 0, 4),
		LOAD(BPF_W, 4, 10, -8),
		JUMP_UNLESS(4, 0x004c5047, 2),		/* "GPL" */
		ALU(BPF_MOV, 0, -EPERM),
		{ .code = BPF_JMP | BPF_EXIT },
		ALU(BPF_MOV, 0, 0),
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_LSM_MAC);
	static char log[65536];
	int id = libbpf_find_vmlinux_btf_id("bpf", BPF_LSM_MAC), fd, link;

	if (id <= 0 || !bpf_lsm_runs()) {
		tap_note("no BPF LSM (%d)", id);
		return -1;
	}
	options.attach_btf_id = id;
	options.log_buf = log;
	options.log_size = sizeof(log);
	options.log_level = 1;
	fd = bpf_prog_load(BPF_PROG_TYPE_LSM, "wring_test", "GPL", code,
			   sizeof(code) / sizeof(code[0]), &options);
	if (fd < 0)
		tap_bail("LSM program: %s: %s", strerror(-fd), log);
	link = bpf_raw_tracepoint_open(NULL, fd);
	if (link < 0)
		tap_bail("LSM program: %s", strerror(-link));
	close(fd);
	return link;
}

static void test_lsm(void)
{
	struct wring_prog_load request = { .type = WRING_PROG_XDP, .name = "refused" };
	size_t size;
	void *licensed = hook_read_guest("xdp_pass", &size);
	int lsm = attach_lsm();

	if (lsm >= 0) {
		tap_eq(device_load(device, licensed, size, &request), -EPERM,
		       "a security module sees loads and refuses one: %s", device_error.message);
		tap_eq(fd_result(load(WRING_PROG_XDP, "refused", 0, NULL)), 0,
		       "it sees the licence: without, it does not");
		snprintf(request.name, sizeof(request.name), "passed");
		tap_eq(fd_result(device_load(device, licensed, size, &request)), 0,
		       "it sees the name: with another, it does not");
		snprintf(request.name, sizeof(request.name), "refused");
		request.type = WRING_PROG_MODULE;
		tap_eq(fd_result(device_load(device, licensed, size, &request)), 0,
		       "it sees the type: with another, it does not");
		close(lsm);
	}
	request.type = WRING_PROG_XDP;
	tap_eq(fd_result(device_load(device, licensed, size, &request)), 0, "without it: loaded");
	free(licensed);
}

/* ---- audit ---- */

static int audit_open(uint32_t groups)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
	struct timeval timeout = { .tv_sec = 3 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -1;
}

static void audit_enable(int fd, bool enabled)
{
	struct {
		struct nlmsghdr header;
		struct audit_status status;
	} message = {
		.header = {
			.nlmsg_len = sizeof(message),
			.nlmsg_type = AUDIT_SET,
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.status = { .mask = AUDIT_STATUS_ENABLED, .enabled = enabled },
	};

	if (send(fd, &message, sizeof(message), 0) < 0)
		tap_note("audit: %s", strerror(errno));
}

/* Reads records until one contains the text. */
static bool audit_has(int fd, const char *text)
{
	static char record[16384];
	ssize_t got;

	while ((got = recv(fd, record, sizeof(record) - 1, 0)) > NLMSG_HDRLEN) {
		record[got] = '\0';
		if (((struct nlmsghdr *)record)->nlmsg_type == AUDIT_BPF &&
		    strstr(record + NLMSG_HDRLEN, text))
			return true;
	}
	return false;
}

static void test_audit(void)
{
	int control = audit_open(0), log = audit_open(BIT(AUDIT_NLGRP_READLOG - 1)), fd;
	struct wring_prog_info info;
	char text[64];

	if (control < 0 || log < 0) {
		tap_note("no audit here");
		return;
	}
	audit_enable(control, true);
	fd = load(WRING_PROG_XDP, "audited", 0, NULL);
	hook_info(fd, &info);
	snprintf(text, sizeof(text), "wring-prog-id=%u tag=", info.id);
	tap_ok(audit_has(log, text), "a load is recorded");
	close(fd);
	tap_ok(audit_has(log, text), "and an unload");
	fd = device_instance(device, addition, addition_size, NULL, 0);
	tap_ok(audit_has(log, "wring-instance tag="), "an instance is recorded");
	close(fd);
	tap_ok(audit_has(log, "op=UNLOAD"), "and its end");
	audit_enable(control, false);
	close(control);
	close(log);
}

int main(void)
{
	struct wring_features before;
	struct wring_prog_unload unload = {};
	struct wring_prog_open open_kept;
	int kept;

	device = hook_begin(&before);
	build_modules();
	xdp = load(WRING_PROG_XDP, "xdp", 0, NULL);
	nf = load(WRING_PROG_NETFILTER, "nf", 0, NULL);
	other = load(WRING_PROG_NETFILTER, "other", 0, NULL);
	tracer = load(WRING_PROG_RAW_TRACEPOINT, "tracer", 0, NULL);
	module = load(WRING_PROG_MODULE, "module", 0, NULL);
	instance = device_instance(device, addition, addition_size, NULL, 0);
	close(load(WRING_PROG_XDP, "kept", WRING_PROG_F_KEEP, &kept_id));
	link_id = attach_nf(nf);
	if (!tap_ok(xdp >= 0 && nf >= 0 && other >= 0 && tracer >= 0 && module >= 0 &&
			    instance >= 0 && (int)link_id > 0,
		    "programs of all kinds: %s", device_error.message))
		return tap_finish();

	test_rules();
	test_cli();
	test_others();
	test_detach_all();
	test_detach_all_race();
	test_switch();
	test_switch_meanwhile();
	test_lsm();
	test_audit();

	open_kept = (struct wring_prog_open) { .id = kept_id };
	kept = device_ioctl(device, WRING_IOC_PROG_OPEN, &open_kept);
	tap_eq(device_ioctl(kept, WRING_IOC_PROG_UNLOAD, &unload), 0, "the kept program goes");
	close(kept);
	close(xdp);
	close(nf);
	close(other);
	close(tracer);
	close(module);
	close(instance);
	close(device);
	device = device_open();
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	test_locked();
	return tap_finish();
}
