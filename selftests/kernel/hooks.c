// SPDX-License-Identifier: GPL-2.0
/*
 * hooks.c - helpers for tests of hooks, see hooks.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_ether.h>

#include "device.h"
#include "hooks.h"
#include "tap.h"

int hook_begin(struct wring_features *before)
{
	int device = device_open(), tries;

	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	for (tries = 0; tries < 50; tries++) {
		memset(before, 0, sizeof(*before));
		if (device_ioctl(device, WRING_IOC_FEATURES, before) || !before->programs)
			break;
		usleep(100000);
	}
	return device;
}

static void guest_path(char *path, size_t size, const char *name, const char *suffix)
{
	const char *dir = getenv("WRING_GUEST");

	snprintf(path, size, "%s/%s%s", dir ? dir : "/guest", name, suffix);
}

void *hook_read_guest(const char *name, size_t *size)
{
	struct stat stat;
	char path[256];
	void *bytes;
	int fd;

	guest_path(path, sizeof(path), name, ".wasm");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat))
		tap_bail("%s: %s", path, strerror(errno));
	bytes = malloc(stat.st_size);
	if (!bytes || read(fd, bytes, stat.st_size) != stat.st_size)
		tap_bail("%s cannot be read", path);
	close(fd);
	*size = stat.st_size;
	return bytes;
}

/* An unsigned LEB128 of up to 32 bits. */
static uint32_t leb(const uint8_t **at)
{
	uint32_t value = 0;
	int shift = 0;

	do
		value |= (uint32_t)(**at & 0x7f) << shift;
	while ((shift += 7) < 35 && *(*at)++ & 0x80);
	return value;
}

/* The payload of a custom section of a binary that clang made. */
static const uint8_t *custom_section(const uint8_t *module, size_t size, const char *name,
				     uint32_t *bytes)
{
	const uint8_t *at = module + 8, *end = module + size, *next;
	uint32_t id, len;

	for (; at < end; at = next) {
		id = *at++;
		len = leb(&at);
		next = at + len;
		if (id)
			continue;
		len = leb(&at);
		if (len == strlen(name) && !memcmp(at, name, len)) {
			*bytes = next - at - len;
			return at + len;
		}
	}
	return NULL;
}

static void create_maps(const void *module, size_t size, struct hook_program *program)
{
	uint32_t bytes = 0, words[5];
	const uint8_t *at = custom_section(module, size, "wring.maps", &bytes), *end = at + bytes;
	LIBBPF_OPTS(bpf_map_create_opts, options);
	struct wring_map_ref *map;

	while (at && at < end) {
		if (program->map_count == HOOK_MAX_MAPS)
			tap_bail("too many maps");
		map = &program->maps[program->map_count++];
		memcpy(words, at, sizeof(words));
		at += sizeof(words);
		snprintf(map->name, sizeof(map->name), "%s", (const char *)at);
		at += strlen(map->name) + 1;
		options.map_flags = words[4];
		map->fd =
			bpf_map_create(words[0], map->name, words[1], words[2], words[3], &options);
		if (map->fd < 0)
			tap_bail("map %s: %s", map->name, strerror(-map->fd));
	}
}

void hook_load(int device, const char *name, uint32_t type, const struct wring_prog_load *load,
	       struct hook_program *program)
{
	struct wring_prog_load request = load ? *load : (struct wring_prog_load) {};
	size_t size;
	void *module = hook_read_guest(name, &size);

	memset(program, 0, sizeof(*program));
	create_maps(module, size, program);
	request.type = type;
	request.maps = (uintptr_t)program->maps;
	request.map_count = program->map_count;
	snprintf(request.name, sizeof(request.name), "%s", name);
	program->fd = device_load(device, module, size, &request);
	free(module);
}

void hook_load_bpf(const char *name, struct hook_program *program)
{
	struct bpf_program *only;
	struct bpf_map *map;
	char path[256];

	memset(program, 0, sizeof(*program));
	guest_path(path, sizeof(path), name, ".bpf.o");
	program->object = bpf_object__open(path);
	if (!program->object || bpf_object__load(program->object))
		tap_bail("%s cannot be loaded: %s", path, strerror(errno));
	only = bpf_object__next_program(program->object, NULL);
	program->fd = bpf_program__fd(only);
	bpf_object__for_each_map(map, program->object) {
		snprintf(program->maps[program->map_count].name, WRING_NAME_LEN, "%s",
			 bpf_map__name(map));
		program->maps[program->map_count++].fd = bpf_map__fd(map);
	}
}

void hook_free(struct hook_program *program)
{
	uint32_t i;

	if (program->object) {
		bpf_object__close(program->object);
		return;
	}
	for (i = 0; i < program->map_count; i++)
		close(program->maps[i].fd);
	if (program->fd >= 0)
		close(program->fd);
}

int hook_map(const struct hook_program *program, const char *name)
{
	uint32_t i;

	for (i = 0; i < program->map_count; i++) {
		if (!strcmp(program->maps[i].name, name))
			return program->maps[i].fd;
	}
	tap_bail("no map %s", name);
}

uint64_t hook_counter(int map_fd, uint32_t key)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	uint64_t values[256] = {}, sum = 0;
	int cpu, cpus = libbpf_num_possible_cpus();

	if (bpf_obj_get_info_by_fd(map_fd, &info, &len) || cpus > 256)
		tap_bail("map: %s", strerror(errno));
	if (bpf_map_lookup_elem(map_fd, &key, values))
		tap_bail("element %u: %s", key, strerror(errno));
	if (info.type != BPF_MAP_TYPE_PERCPU_ARRAY)
		return values[0];
	for (cpu = 0; cpu < cpus; cpu++)
		sum += values[cpu];
	return sum;
}

void hook_set(int map_fd, uint32_t key, uint64_t value)
{
	if (bpf_map_update_elem(map_fd, &key, &value, BPF_ANY))
		tap_bail("element %u: %s", key, strerror(errno));
}

struct wring_prog_run hook_run(int prog_fd, const void *data, size_t size, uint32_t repeat)
{
	struct wring_prog_run run = {
		.data_in = (uintptr_t)data,
		.data_in_bytes = size,
		.repeat = repeat,
	};

	if (device_ioctl(prog_fd, WRING_IOC_PROG_RUN, &run))
		tap_bail("run: %s", device_error.message);
	return run;
}

void hook_stay_on_this_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		tap_bail("sched_setaffinity");
}

void hook_info(int prog_fd, struct wring_prog_info *info)
{
	int err;

	memset(info, 0, sizeof(*info));
	err = device_ioctl(prog_fd, WRING_IOC_PROG_INFO, info);
	if (err)
		tap_bail("WRING_IOC_PROG_INFO: %s", strerror(-err));
}

/* ---- links ---- */

int hook_stub(enum bpf_prog_type type, int verdict)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(type, "stub", "GPL", code, 2, NULL);

	if (fd < 0)
		tap_bail("stub: %s", strerror(-fd));
	return fd;
}

static int attach(int device, struct wring_link_attach *attach)
{
	int err;

	memset(&device_error, 0, sizeof(device_error));
	attach->error = (uintptr_t)&device_error;
	attach->error_bytes = sizeof(device_error);
	err = device_ioctl(device, WRING_IOC_LINK_ATTACH, attach);
	return err ? err : (int)attach->id;
}

int hook_attach_stub(int device, int prog_fd, int stub_fd)
{
	struct wring_link_attach request = { .prog_fd = prog_fd, .xdp.stub_fd = stub_fd };

	return attach(device, &request);
}

int hook_attach_tracepoint(int device, int prog_fd, const char *name)
{
	struct wring_link_attach request = { .prog_fd = prog_fd };

	snprintf(request.rawtp.tp_name, sizeof(request.rawtp.tp_name), "%s", name);
	return attach(device, &request);
}

int hook_attach_netfilter(int device, int prog_fd, uint32_t pf, uint32_t hooknum, int32_t priority)
{
	struct wring_link_attach request = {
		.prog_fd = prog_fd,
		.netfilter = { .pf = pf, .hooknum = hooknum, .priority = priority },
	};

	return attach(device, &request);
}

int hook_detach(int device, uint32_t id)
{
	struct wring_link_detach detach = { .id = id };

	return device_ioctl(device, WRING_IOC_LINK_DETACH, &detach);
}

uint32_t hook_link_count(int device)
{
	struct wring_next_id next = {};
	uint32_t count = 0;

	while (!device_ioctl(device, WRING_IOC_LINK_NEXT_ID, &next))
		count++;
	return count;
}

bool hook_wait_links(int device, uint32_t count)
{
	int tries;

	for (tries = 0; tries < 100; tries++) {
		if (hook_link_count(device) == count)
			return true;
		usleep(100000);
	}
	return false;
}

/* ---- packets ---- */

int hook_test_run(int prog_fd, void *packet, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = size,
		    .data_out = packet, .data_size_out = size);
	int err = bpf_prog_test_run_opts(prog_fd, &options);

	return err ? err : (int)options.retval;
}

uint32_t hook_test_time(int prog_fd, const void *packet, size_t size, uint32_t repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = size,
		    .repeat = repeat);
	int err = bpf_prog_test_run_opts(prog_fd, &options);

	if (err)
		tap_bail("BPF_PROG_TEST_RUN: %s", strerror(-err));
	return options.duration;
}

static uint8_t *packet_begin(uint8_t *buf, bool l2, uint16_t type, size_t size)
{
	memset(buf, 0, size);
	if (!l2)
		return buf;
	memset(buf, 0x02, 12);
	buf[12] = type >> 8;
	buf[13] = type & 0xff;
	return buf + ETH_HLEN;
}

size_t hook_packet_ip4(uint8_t *buf, bool l2, uint8_t protocol, size_t size)
{
	uint8_t *ip = packet_begin(buf, l2, ETH_P_IP, size);
	size_t total = buf + size - ip;

	ip[0] = 0x45;
	ip[2] = total >> 8;
	ip[3] = total & 0xff;
	ip[8] = 64;
	ip[9] = protocol;
	ip[12] = ip[16] = 10;
	ip[15] = 1;
	ip[19] = 2;
	return size;
}

static void udp_header(uint8_t *udp, uint16_t port, size_t len)
{
	udp[0] = 0x30;
	udp[2] = port >> 8;
	udp[3] = port & 0xff;
	udp[4] = len >> 8;
	udp[5] = len & 0xff;
}

size_t hook_packet_udp4(uint8_t *buf, bool l2, uint16_t port, size_t size)
{
	size_t at = (l2 ? ETH_HLEN : 0) + 20;

	hook_packet_ip4(buf, l2, 17, size);
	udp_header(buf + at, port, size - at);
	return size;
}

size_t hook_packet_udp6(uint8_t *buf, bool l2, uint16_t port, size_t size)
{
	uint8_t *ip = packet_begin(buf, l2, ETH_P_IPV6, size);
	size_t len = buf + size - ip - 40;

	ip[0] = 0x60;
	ip[4] = len >> 8;
	ip[5] = len & 0xff;
	ip[6] = 17;
	ip[7] = 64;
	ip[23] = 1;
	ip[39] = 2;
	udp_header(ip + 40, port, len);
	return size;
}

/* ---- networks ---- */

void hook_netns(const char *name)
{
	char path[128];
	static int first = -1;
	int fd;

	if (first < 0)
		first = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/var/run/netns/%s", name);
	fd = *name ? open(path, O_RDONLY | O_CLOEXEC) : dup(first);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		tap_bail("network namespace \"%s\": %s", name, strerror(errno));
	close(fd);
}

int hook_udp_socket(int family, uint16_t port)
{
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval timeout = { .tv_usec = 300000 };
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ||
	    (family == AF_INET ? bind(fd, (struct sockaddr *)&any4, sizeof(any4)) :
				 bind(fd, (struct sockaddr *)&any6, sizeof(any6))))
		tap_bail("UDP socket: %s", strerror(errno));
	return fd;
}

void hook_udp_send(int socket, int family, const char *address, uint16_t port, size_t size,
		   uint32_t count)
{
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	static char payload[60000];
	uint32_t i;
	size_t at;

	if (inet_pton(family, address,
		      family == AF_INET ? (void *)&to4.sin_addr : (void *)&to6.sin6_addr) != 1)
		tap_bail("address %s", address);
	for (at = 0; at < size; at++)
		payload[at] = 'a' + at % 26;
	for (i = 0; i < count; i++) {
		ssize_t sent = family == AF_INET ?
			sendto(socket, payload, size, 0, (struct sockaddr *)&to4, sizeof(to4)) :
			sendto(socket, payload, size, 0, (struct sockaddr *)&to6, sizeof(to6));

		if (sent < 0 && errno != EPERM && errno != ENOBUFS && errno != ECONNREFUSED)
			tap_bail("send to %s: %s", address, strerror(errno));
	}
}

uint32_t hook_udp_receive(int socket, uint32_t most)
{
	char buf[64];
	uint32_t count = 0;

	while (count < most && recv(socket, buf, sizeof(buf), MSG_TRUNC) >= 0)
		count++;
	return count;
}

void hook_sh(const char *fmt, ...)
{
	char command[1024];
	va_list args;
	int status;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	status = system(command);
	if (status)
		tap_bail("`%s` failed with status %d", command, status);
}
