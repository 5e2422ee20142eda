/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hooks.h - for tests of hooks: guest programs, their maps, links, eBPF stubs and twins, packets.
 *
 * What cannot fail unless the test's surroundings are broken ends the program (tap_bail).
 */
#ifndef WRING_SELFTESTS_HOOKS_H
#define WRING_SELFTESTS_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "uapi/wring.h"

#define HOOK_MAX_MAPS 16

/* A program with the maps its binary declares: the Wasm one or, with `object`, its eBPF twin. */
struct hook_program {
	int fd;
	uint32_t map_count;
	struct wring_map_ref maps[HOOK_MAX_MAPS];
	struct bpf_object *object;
};

/*
 * Opens the device and notes what is in use. Programs that an earlier test closed on exit may take
 * a moment to go.
 */
int hook_begin(struct wring_features *before);
/* $WRING_GUEST/NAME.wasm as read, malloc'ed. */
void *hook_read_guest(const char *name, size_t *size);
/*
 * Creates the maps of the section wring.maps and loads NAME.wasm. `load` may carry further fields
 * (NULL: none). program->fd is negative if that fails (then device_error tells why); maps are there
 * in any case.
 */
void hook_load(int device, const char *name, uint32_t type, const struct wring_prog_load *load,
	       struct hook_program *program);
/* $WRING_GUEST/NAME.bpf.o, the only program of it. */
void hook_load_bpf(const char *name, struct hook_program *program);
void hook_free(struct hook_program *program);
/* The map's fd, by name. */
int hook_map(const struct hook_program *program, const char *name);
/* The u64 at `key` of an array; the sum over all CPUs if it is per CPU. */
uint64_t hook_counter(int map_fd, uint32_t key);
void hook_set(int map_fd, uint32_t key, uint64_t value);

void hook_info(int prog_fd, struct wring_prog_info *info);
/* WRING_IOC_PROG_RUN on a packet, or on arguments. */
struct wring_prog_run hook_run(int prog_fd, const void *data, size_t size, uint32_t repeat);
/* Instances of programs are per CPU: all runs of the caller are on this one from now on. */
void hook_stay_on_this_cpu(void);

/* `r0 = verdict; exit` of this type: an fd. */
int hook_stub(enum bpf_prog_type type, int verdict);
/* Attaches; an id, or -errno with device_error. */
int hook_attach_stub(int device, int prog_fd, int stub_fd);
int hook_attach_tracepoint(int device, int prog_fd, const char *name);
int hook_attach_netfilter(int device, int prog_fd, uint32_t pf, uint32_t hooknum, int32_t priority);
int hook_detach(int device, uint32_t id);
/* How many links there are. */
uint32_t hook_link_count(int device);
/* Waits some seconds until there are that many. */
bool hook_wait_links(int device, uint32_t count);

/*
 * BPF_PROG_TEST_RUN with a packet, which is left as the program leaves it: the verdict or -errno.
 */
int hook_test_run(int prog_fd, void *packet, size_t size);
/* ns per run over `repeat` runs. */
uint32_t hook_test_time(int prog_fd, const void *packet, size_t size, uint32_t repeat);

/*
 * Packets, from the Ethernet header (l2) or the IP header on; return their size. `size` counts
 * everything.
 */
size_t hook_packet_udp4(uint8_t *buf, bool l2, uint16_t port, size_t size);
size_t hook_packet_udp6(uint8_t *buf, bool l2, uint16_t port, size_t size);
size_t hook_packet_ip4(uint8_t *buf, bool l2, uint8_t protocol, size_t size);

/*
 * Moves the calling thread into a network namespace made with `ip netns add`; "": back to the
 * first.
 */
void hook_netns(const char *name);
/*
 * A UDP socket of the calling thread's namespace, bound to a port (0: any), with a receive timeout
 * of 300 ms.
 */
int hook_udp_socket(int family, uint16_t port);
/*
 * Sends `count` datagrams of `size` bytes to a numeric address; sends that fail (a hook may refuse)
 * are not errors.
 */
void hook_udp_send(int socket, int family, const char *address, uint16_t port, size_t size,
		   uint32_t count);
/* How many datagrams arrive before there are `most` or none comes any more. */
uint32_t hook_udp_receive(int socket, uint32_t most);

/* system() with a format; ends the program unless the command succeeds. */
void hook_sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
