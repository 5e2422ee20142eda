// SPDX-License-Identifier: GPL-2.0
// The eBPF half of a link: a stub that a Wring program stands in for at a hook of eBPF.
//
// The stub answers the program's default verdict, which is what remains should the two ever be parted. The module binds
// the program to it (WRING_IOC_LINK_ATTACH); its attachment is plain bpf(2) and netlink, and outlives this process:
// XDP programs are held by their interface. Until then only our fd holds the stub, so a process that dies on the
// way leaves nothing: the module lets go of stubs that nobody else holds.
#pragma once

#include <linux/bpf.h>

#include "loader/device.h"

namespace wring::loader {

// Makes libbpf keep its messages to itself; the kernel's own words become part of Failures.
void quiet_libbpf();

// Loads a stub for the program.
Fd load_stub(bpf_prog_type type, const wring_prog_info& program);
// By BPF id; an empty Fd if it is gone.
Fd open_stub(std::uint32_t id);

// The interface by number, and its name for messages; flags: XDP_FLAGS_*_MODE or 0.
void attach_xdp_stub(const Fd& stub, unsigned index, const std::string& interface,
                     std::uint32_t flags);
// Takes the stub off its interfaces, in whatever network namespace they are.
void detach_xdp_stub(const Fd& stub, std::uint32_t id);

}  // namespace wring::loader
