// SPDX-License-Identifier: GPL-2.0
// What the fuzzer wants of the rest of the kernel, by plain system calls: eBPF maps and stubs, networks, capabilities.
#pragma once

#include <string>

#include "core/base/types.h"

namespace wring::fuzz {

// `text` into a file that is there; whether all of it was taken.
bool write_file(const std::string& path, const std::string& text);
std::string read_file(const std::string& path);

// Each an fd, or -1.
int create_map(u32 type, u32 key_bytes, u32 value_bytes, u32 entries, u32 flags);
int load_stub(bool is_xdp, u32 verdict);
// Attaches the stub to the loopback device until the fd is closed.
int attach_xdp(int stub);
// Runs an eBPF program of a packet's type.
void test_run(int stub, const void* packet, u32 bytes, u32 repeat);

// A network namespace of this thread's own, with a loopback device that is up.
bool enter_new_network();
// A few UDP packets over the loopback device.
void send_packets(u32 count, u32 bytes);

// Keeps these capabilities only (bits of CAP_*).
void keep_capabilities(u64 capabilities);

// As fork, but the child is killed when the thread that made it ends.
int fork_bound();

u64 now_ms();

}  // namespace wring::fuzz
