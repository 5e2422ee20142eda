// SPDX-License-Identifier: GPL-2.0
/*
 * test_ioctl.c - every command with short, long, misaligned, unmapped and nonsensical arguments.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "tap.h"
#include "wasm.h"

#define LONGEST 16383	/* what an ioctl's number can say */

static int device;
static long page;
static uint8_t *module;
static size_t module_size;

/* A module with one function: add(i32, i32) -> i32. */
static void build_module(void)
{
	struct wasm w = WASM_INIT;
	uint32_t type = wasm_type(&w, "ii", "i");

	wasm_export(&w, "add",
		    WASM_FUNCTION(&w, type, "", OP_LOCAL_GET, 0, OP_LOCAL_GET, 1, OP_I32_ADD));
	module = wasm_finish(&w, &module_size);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static int count_programs(void)
{
	struct wring_next_id next = {};
	int n = 0;

	while (!device_ioctl(device, WRING_IOC_PROG_NEXT_ID, &next))
		n++;
	return n;
}

static unsigned long sized(unsigned long command, size_t size)
{
	return _IOC(_IOC_DIR(command), _IOC_TYPE(command), _IOC_NR(command), size);
}

/* ---- all commands alike ---- */

/* A command with an argument that succeeds, or fails in the handler with `expected`. */
struct subject {
	const char *name;
	unsigned long command;
	size_t size;
	int *fd;
	void (*fill)(void *arg);
	int expected;
};

static int program, instance;

static void fill_nothing(void *arg)
{
	(void)arg;
}

static void fill_load(void *arg)
{
	struct wring_prog_load *load = arg;

	load->module = (uintptr_t)module;
	load->module_bytes = module_size;
	strcpy(load->name, "subject");
}

static void fill_instance(void *arg)
{
	struct wring_instance_new *new = arg;

	new->module = (uintptr_t)module;
	new->module_bytes = module_size;
}

static void fill_open(void *arg)
{
	struct wring_prog_info info = {};

	device_ioctl(program, WRING_IOC_PROG_INFO, &info);
	((struct wring_prog_open *)arg)->id = info.id;
}

static void fill_no_link(void *arg)
{
	*(uint32_t *)arg = 0x7ffffff0;
}

static void fill_attach(void *arg)
{
	struct wring_link_attach *attach = arg;

	attach->prog_fd = -1;
}

static void fill_invoke(void *arg)
{
	static const uint64_t args[2] = { 40, 2 };
	static uint64_t result;
	struct wring_invoke *invoke = arg;

	invoke->args = (uintptr_t)args;
	invoke->arg_count = 2;
	invoke->results = (uintptr_t)&result;
	invoke->result_count = 1;
}

static const struct subject subjects[] = {
	{ "features", WRING_IOC_FEATURES, sizeof(struct wring_features), &device, fill_nothing, 0 },
	{ "prog load", WRING_IOC_PROG_LOAD, sizeof(struct wring_prog_load), &device, fill_load, 0 },
	{ "prog next id", WRING_IOC_PROG_NEXT_ID, sizeof(struct wring_next_id), &device,
	  fill_nothing, 0 },
	{ "prog open", WRING_IOC_PROG_OPEN, sizeof(struct wring_prog_open), &device, fill_open, 0 },
	{ "instance new", WRING_IOC_INSTANCE_NEW, sizeof(struct wring_instance_new), &device,
	  fill_instance, 0 },
	{ "link attach", WRING_IOC_LINK_ATTACH, sizeof(struct wring_link_attach), &device,
	  fill_attach, -EBADF },
	{ "link detach", WRING_IOC_LINK_DETACH, sizeof(struct wring_link_detach), &device,
	  fill_no_link, -ENOENT },
	{ "link next id", WRING_IOC_LINK_NEXT_ID, sizeof(struct wring_next_id), &device,
	  fill_no_link, -ENOENT },
	{ "link info", WRING_IOC_LINK_INFO, sizeof(struct wring_link_info), &device, fill_no_link,
	  -ENOENT },
	{ "prog info", WRING_IOC_PROG_INFO, sizeof(struct wring_prog_info), &program, fill_nothing,
	  0 },
	{ "prog code", WRING_IOC_PROG_CODE, sizeof(struct wring_prog_code), &program, fill_nothing,
	  0 },
	{ "prog module", WRING_IOC_PROG_MODULE, sizeof(struct wring_prog_module), &program,
	  fill_nothing, 0 },
	{ "prog unload", WRING_IOC_PROG_UNLOAD, sizeof(struct wring_prog_unload), &program,
	  fill_nothing, 0 },
	{ "prog run", WRING_IOC_PROG_RUN, sizeof(struct wring_prog_run), &program, fill_nothing,
	  -EOPNOTSUPP },
	{ "prog invoke", WRING_IOC_INVOKE, sizeof(struct wring_invoke), &program, fill_invoke, 0 },
	{ "prog export", WRING_IOC_EXPORT_GET, sizeof(struct wring_export_get), &program,
	  fill_nothing, 0 },
	{ "invoke", WRING_IOC_INVOKE, sizeof(struct wring_invoke), &instance, fill_invoke, 0 },
	{ "export get", WRING_IOC_EXPORT_GET, sizeof(struct wring_export_get), &instance,
	  fill_nothing, 0 },
};

/* Issues the subject with this size from arg; a new fd is closed and counts as 0. */
static int issue(const struct subject *s, size_t size, void *arg)
{
	int ret = device_ioctl(*s->fd, sized(s->command, size), arg);

	if (ret > 0) {
		close(ret);
		ret = 0;
	}
	return ret;
}

/* Of the struct's first version. */
static size_t first_size(const struct subject *s)
{
	switch (s->command) {
	case WRING_IOC_FEATURES:
		return offsetof(struct wring_features, internal_errors);
	case WRING_IOC_PROG_LOAD:
		return offsetof(struct wring_prog_load, time_us);
	case WRING_IOC_PROG_INFO:
		return offsetof(struct wring_prog_info, misses_busy);
	case WRING_IOC_LINK_DETACH:
		return offsetof(struct wring_link_detach, prog_fd);
	default:
		return s->size;
	}
}

static void test_subject(const struct subject *s)
{
	/* Four pages: two usable, one that is not, one read-only. */
	uint8_t *area =
		mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *big = calloc(1, LONGEST), *at;
	int fds = count_fds(), programs = count_programs();

	if (area == MAP_FAILED || !big)
		tap_bail("no memory");
	at = area + 2 * page - s->size;
	s->fill(at);
	mprotect(area + 2 * page, page, PROT_NONE);
	tap_eq(issue(s, s->size, at), s->expected, "%s: at the end of mapped memory", s->name);
	memset(area, 0, 2 * page);
	s->fill(area + 3);
	tap_eq(issue(s, s->size, area + 3), s->expected, "%s: misaligned", s->name);
	tap_eq(issue(s, 0, area), -EINVAL, "%s: no struct", s->name);
	tap_eq(issue(s, first_size(s) - 1, area), -EINVAL, "%s: a byte short", s->name);
	tap_eq(issue(s, s->size, NULL), -EFAULT, "%s: null pointer", s->name);
	tap_eq(issue(s, s->size, area + 2 * page - 1), -EFAULT, "%s: partly unmapped", s->name);
	tap_eq(issue(s, s->size, (void *)0xffff888000000000), -EFAULT, "%s: kernel address",
	       s->name);

	memset(area, 0, 2 * page);
	s->fill(area);
	tap_eq(issue(s, first_size(s), area), s->expected, "%s: as the struct once was", s->name);
	s->fill(big);
	tap_eq(issue(s, LONGEST, big), s->expected, "%s: longer, but zero", s->name);
	memset(big, 0, LONGEST);
	s->fill(big);
	big[s->size] = 1;
	tap_eq(issue(s, LONGEST, big), -E2BIG, "%s: longer, the next byte set", s->name);
	big[s->size] = 0;
	big[LONGEST - 1] = 1;
	tap_eq(issue(s, LONGEST, big), -E2BIG, "%s: longer, the last byte set", s->name);

	s->fill(area + 3 * page);
	mprotect(area + 3 * page, page, PROT_READ);
	tap_eq(issue(s, s->size, area + 3 * page), s->expected ?: -EFAULT, "%s: read-only struct",
	       s->name);

	tap_eq(count_fds(), fds, "%s: no fd left over", s->name);
	tap_eq(count_programs(), programs, "%s: no program left over", s->name);
	munmap(area, 4 * page);
	free(big);
}

static void test_unknown_commands(void)
{
	const int fds[] = { device, program, instance };
	uint8_t arg[4096] = {};
	unsigned int nr;
	int i, wrong;

	for (i = 0; i < 3; i++) {
		wrong = 0;
		for (nr = 0; nr < 256; nr++) {
			if (device_ioctl(fds[i], _IOC(_IOC_READ, WRING_IOC_MAGIC, nr, 64), arg) !=
				    -ENOTTY ||
			    device_ioctl(fds[i], _IOC(_IOC_READ | _IOC_WRITE, 'b', nr, 64), arg) !=
				    -ENOTTY ||
			    (nr >= 0x30 &&
			     device_ioctl(fds[i], _IOWR(WRING_IOC_MAGIC, nr, arg), arg) != -ENOTTY))
				wrong++;
		}
		tap_eq(wrong, 0, "unknown commands on fd kind %d", i);
	}
	tap_eq(device_ioctl(device, WRING_IOC_PROG_INFO, arg), -ENOTTY,
	       "a program's command on the device");
	tap_eq(device_ioctl(program, WRING_IOC_PROG_NEXT_ID, arg), -ENOTTY,
	       "the device's command on a program");
	tap_eq(device_ioctl(instance, WRING_IOC_PROG_UNLOAD, arg), -ENOTTY,
	       "a program's command on an instance");
}

/* ---- fields ---- */

/* Sets a field of a valid load command, expects an error and leaves nothing behind. */
#define LOAD_FAILS(expected, text, ...)                                            \
	do {                                                                       \
		struct wring_prog_load load = {};                                  \
		fill_load(&load);                                                  \
		__VA_ARGS__;                                                       \
		memset(&device_error, 0, sizeof(device_error));                    \
		load.error = (uintptr_t)&device_error;                             \
		load.error_bytes = sizeof(device_error);                           \
		tap_eq(device_ioctl(device, WRING_IOC_PROG_LOAD, &load), expected, \
		       "prog load: %s", text);                                     \
		tap_ok(device_error.kind &&device_error.message[0], "  said: %s",  \
		       device_error.message);                                      \
	} while (0)

static void test_load_fields(void)
{
	static struct wring_map_ref maps[2];
	struct wring_prog_load load = {};
	char small[20];

	LOAD_FAILS(-EINVAL, "unknown flag", load.flags = 1u << 31);
	LOAD_FAILS(-EOPNOTSUPP, "unknown type", load.type = 77);
	LOAD_FAILS(-EINVAL, "no name", load.name[0] = 0);
	LOAD_FAILS(-EINVAL, "name with a slash", strcpy(load.name, "a/b"));
	LOAD_FAILS(-EINVAL, "name with a newline", strcpy(load.name, "a\nb"));
	LOAD_FAILS(-EINVAL, "unterminated name", memset(load.name, 'a', sizeof(load.name)));
	LOAD_FAILS(-EINVAL, "unterminated entry", memset(load.entry, 'a', sizeof(load.entry)));
	LOAD_FAILS(-EINVAL, "entry without a hook", strcpy(load.entry, "add"));
	LOAD_FAILS(-EINVAL, "verdict without a hook",
		   (load.flags = WRING_PROG_F_DEFAULT_VERDICT, load.default_verdict = 1));
	LOAD_FAILS(-EINVAL, "verdict without its flag", load.default_verdict = 1);
	LOAD_FAILS(-EINVAL, "too many memory pages", load.max_memory_pages = 65537);
	LOAD_FAILS(-EINVAL, "too many table entries", load.max_table_entries = ~0u);
	LOAD_FAILS(-EINVAL, "too much code", load.max_code_bytes = ~0u);
	LOAD_FAILS(-EINVAL, "a stack too small", load.stack_bytes = 4096);
	LOAD_FAILS(-EINVAL, "a stack too large", load.stack_bytes = 1u << 30);
	LOAD_FAILS(-EINVAL, "a stack of part of a page", load.stack_bytes = 65537);
	LOAD_FAILS(-E2BIG, "too many maps", load.map_count = ~0u);
	LOAD_FAILS(-EFAULT, "unmapped list of maps", load.map_count = 1);
	LOAD_FAILS(-EFAULT, "list of maps in the kernel",
		   (load.map_count = 64, load.maps = ~0xfffull));
	LOAD_FAILS(-EBADF, "map that is not open",
		   (load.map_count = 1, load.maps = (uintptr_t)maps, maps[0].fd = 9999));
	LOAD_FAILS(-EINVAL, "map that is none",
		   (load.map_count = 1, load.maps = (uintptr_t)maps, maps[0].fd = device));
	LOAD_FAILS(-EINVAL, "map with flags",
		   (load.map_count = 1, load.maps = (uintptr_t)maps, maps[0].flags = 1));
	maps[0].flags = 0;
	LOAD_FAILS(-EINVAL, "map with an unterminated name",
		   (load.map_count = 1, load.maps = (uintptr_t)maps,
		    memset(maps[0].name, 'm', WRING_NAME_LEN)));
	LOAD_FAILS(-ENOEXEC, "empty module", load.module_bytes = 0);
	LOAD_FAILS(-EFBIG, "huge module", load.module_bytes = ~0ull);
	LOAD_FAILS(-EFBIG, "module over the limit", load.module_bytes = (64 << 20) + 1);
	LOAD_FAILS(-EFAULT, "unmapped module", load.module = 16);
	LOAD_FAILS(-EFAULT, "module in the kernel", load.module = 0xffffffff81000000ull);
	LOAD_FAILS(-EFAULT, "module longer than what is mapped", load.module_bytes = 60 << 20);

	fill_load(&load);
	load.error = (uintptr_t)small;
	tap_eq(device_ioctl(device, WRING_IOC_PROG_LOAD, &load), -EINVAL,
	       "error buffer without a size");
	load.error = 0;
	load.error_bytes = 10;
	tap_eq(device_ioctl(device, WRING_IOC_PROG_LOAD, &load), -EINVAL,
	       "error size without a buffer");
	load.error = 64;
	load.error_bytes = sizeof(device_error);
	load.flags = 1u << 30;
	tap_eq(device_ioctl(device, WRING_IOC_PROG_LOAD, &load), -EINVAL,
	       "unmapped error buffer: the errno is right");
	memset(small, 'x', sizeof(small));
	load.error = (uintptr_t)small;
	load.error_bytes = 18;
	tap_eq(device_ioctl(device, WRING_IOC_PROG_LOAD, &load), -EINVAL, "short error buffer");
	tap_ok(small[17] != 'x' && small[18] == 'x', "  is filled and not overrun");
}

static void test_other_flags(void)
{
	struct wring_next_id next = { .flags = 1 };
	struct wring_prog_open open = { .id = 1, .flags = 1 };
	struct wring_prog_unload unload = { .flags = 1 };
	struct wring_features features = { .reserved = 1 };
	struct wring_prog_code code = { .reserved = 1 };
	struct wring_prog_module module = { .reserved = 1 };
	struct wring_prog_info info = { .reserved = 1 };
	struct wring_export_get get = { .flags = 1 };
	struct wring_invoke invoke = { .flags = 1 };
	struct wring_prog_run run = { .flags = 1 };
	struct wring_instance_new new = {};
	struct wring_link_detach detach = { .flags = 1u << 31 };
	struct wring_link_info link = { .flags = WRING_LINK_F_ALL };

	tap_eq(device_ioctl(device, WRING_IOC_LINK_DETACH, &detach), -EINVAL, "detach: flags");
	detach = (struct wring_link_detach) { .reserved = 1 };
	tap_eq(device_ioctl(device, WRING_IOC_LINK_DETACH, &detach), -EINVAL, "detach: reserved");
	detach = (struct wring_link_detach) { .id = 1, .prog_fd = program };
	tap_eq(device_ioctl(device, WRING_IOC_LINK_DETACH, &detach), -EINVAL,
	       "detach: a program without the flag");
	detach = (struct wring_link_detach) { .id = 1, .flags = WRING_LINK_F_ALL };
	tap_eq(device_ioctl(device, WRING_IOC_LINK_DETACH, &detach), -EINVAL,
	       "detach: all, and one");
	detach = (struct wring_link_detach) { .flags = WRING_LINK_F_ALL | WRING_LINK_F_PROG_FD,
					      .prog_fd = program };
	tap_eq(device_ioctl(device, WRING_IOC_LINK_DETACH, &detach), -EINVAL,
	       "detach: all, and a program's");
	detach = (struct wring_link_detach) { .id = 1, .flags = WRING_LINK_F_PROG_FD,
					      .prog_fd = -1 };
	tap_eq(device_ioctl(device, WRING_IOC_LINK_DETACH, &detach), -EBADF,
	       "detach: a program that is not open");
	detach.prog_fd = device;
	tap_eq(device_ioctl(device, WRING_IOC_LINK_DETACH, &detach), -EINVAL,
	       "detach: a program that is none");
	tap_eq(device_ioctl(device, WRING_IOC_LINK_INFO, &link), -EINVAL, "link info: flags");
	link = (struct wring_link_info) { .reserved = 1 };
	tap_eq(device_ioctl(device, WRING_IOC_LINK_INFO, &link), -EINVAL, "link info: reserved");
	link = (struct wring_link_info) { .flags = WRING_LINK_F_PROG_FD, .prog_fd = instance };
	tap_eq(device_ioctl(device, WRING_IOC_LINK_INFO, &link), -EINVAL,
	       "link info: a program that is none");
	tap_eq(device_ioctl(device, WRING_IOC_PROG_NEXT_ID, &next), -EINVAL, "next id: flags");
	tap_eq(device_ioctl(device, WRING_IOC_PROG_OPEN, &open), -EINVAL, "prog open: flags");
	tap_eq(device_ioctl(program, WRING_IOC_PROG_UNLOAD, &unload), -EINVAL,
	       "prog unload: flags");
	tap_eq(device_ioctl(device, WRING_IOC_FEATURES, &features), -EINVAL, "features: reserved");
	tap_eq(device_ioctl(program, WRING_IOC_PROG_CODE, &code), -EINVAL, "prog code: reserved");
	tap_eq(device_ioctl(program, WRING_IOC_PROG_MODULE, &module), -EINVAL,
	       "prog module: reserved");
	tap_eq(device_ioctl(program, WRING_IOC_PROG_INFO, &info), -EINVAL, "prog info: reserved");
	tap_eq(device_ioctl(instance, WRING_IOC_EXPORT_GET, &get), -EINVAL, "export get: flags");
	tap_eq(device_ioctl(instance, WRING_IOC_INVOKE, &invoke), -EINVAL, "invoke: flags");
	tap_eq(device_ioctl(program, WRING_IOC_PROG_RUN, &run), -EINVAL, "prog run: flags");
	fill_instance(&new);
	new.flags = 1u << 31;
	tap_eq(device_ioctl(device, WRING_IOC_INSTANCE_NEW, &new), -EINVAL, "instance new: flags");
	new.flags = 0;
	new.import_count = ~0u;
	tap_eq(device_ioctl(device, WRING_IOC_INSTANCE_NEW, &new), -E2BIG,
	       "instance new: too many imports");
	new.import_count = 1;
	tap_eq(device_ioctl(device, WRING_IOC_INSTANCE_NEW, &new), -EFAULT,
	       "instance new: unmapped imports");

	next = (struct wring_next_id) { .id = ~0u };
	tap_eq(device_ioctl(device, WRING_IOC_PROG_NEXT_ID, &next), -ENOENT,
	       "next id after the largest");
	open = (struct wring_prog_open) { .id = ~0u };
	tap_eq(device_ioctl(device, WRING_IOC_PROG_OPEN, &open), -ENOENT,
	       "prog open of an impossible id");
	open.id = 0;
	tap_eq(device_ioctl(device, WRING_IOC_PROG_OPEN, &open), -ENOENT, "prog open of id 0");
}

/* ---- who may ---- */

static void test_unprivileged(void)
{
	struct wring_prog_load load = {};
	int status, fails = 0;
	pid_t pid = fork();

	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(100);
		fails += open(WRING_DEVICE, O_RDWR) != -1 || errno != EACCES;
		fill_load(&load);
		fails += (device_ioctl(device, WRING_IOC_PROG_LOAD, &load) != -EPERM) << 1;
		fails += (device_ioctl(device, WRING_IOC_FEATURES, &load) != -EPERM) << 2;
		_exit(fails);
	}
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "an unprivileged caller can neither open nor use the device");

	pid = fork();
	if (!pid) {
		/* Root without CAP_SYS_ADMIN (21) and CAP_BPF (39). */
		prctl(PR_CAPBSET_DROP, 21, 0, 0, 0);
		prctl(PR_CAPBSET_DROP, 39, 0, 0, 0);
		execl("/proc/self/exe", "test_ioctl", "--open", NULL);
		_exit(100);
	}
	waitpid(pid, &status, 0);
	tap_eq(WEXITSTATUS(status), EPERM, "root without CAP_BPF cannot open the device");
}

/* ---- 32-bit callers ---- */

static int ioctl32(int fd, unsigned long command, void *arg)
{
	int ret;

	/* ioctl is 54 for 32-bit callers; int 0x80 makes one of us, if the argument lies low. */
	asm volatile("int $0x80" : "=a"(ret) : "a"(54), "b"(fd), "c"(command), "d"(arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

static void test_compat(void)
{
	void *low = mmap(NULL, page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	struct wring_features *features = low;
	struct wring_prog_load *load = low;
	int fd;

	if (low == MAP_FAILED)
		tap_bail("no low memory");
	tap_eq(ioctl32(device, WRING_IOC_FEATURES, features), 0, "32-bit caller: features");
	tap_eq(features->abi, WRING_ABI_VERSION, "32-bit caller: the answer arrives");
	memset(low, 0, page);
	fill_load(load);
	fd = ioctl32(device, WRING_IOC_PROG_LOAD, load);
	tap_ok(fd >= 0, "32-bit caller: load");
	tap_ok(load->id > 0, "32-bit caller: its id");
	close(fd);
	munmap(low, page);
}

static void test_module_held(void)
{
	int fd = device_load_module(device, "held", module, module_size);

	tap_ok(syscall(SYS_delete_module, "wring", O_NONBLOCK) == -1 && errno == EWOULDBLOCK,
	       "the module cannot go while fds are open");
	close(fd);
}

int main(int argc, char **argv)
{
	struct device_usage before;
	size_t i;

	if (argc > 1 && !strcmp(argv[1], "--open"))
		return open(WRING_DEVICE, O_RDWR) < 0 ? errno : 0;
	device = device_open();
	page = sysconf(_SC_PAGESIZE);
	build_module();
	device_usage(device, &before);

	program = device_load_module(device, "subject", module, module_size);
	instance = device_instance(device, module, module_size, NULL, 0);
	tap_ok(program >= 0, "load: %s", device_error.message);
	tap_ok(instance >= 0, "instance: %s", device_error.message);
	for (i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		test_subject(&subjects[i]);
	test_unknown_commands();
	test_load_fields();
	test_other_flags();
	test_unprivileged();
	test_compat();
	test_module_held();

	close(program);
	close(instance);
	close(device);
	device = device_open();
	tap_ok(device_settle(device, &before.features), "everything is given back");
	return tap_finish();
}
