// SPDX-License-Identifier: GPL-2.0
// The eBPF half of a link: loading, attaching and finding stubs.
#include "loader/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdarg>
#include <iterator>
#include <memory>

#include "loader/netns.h"

namespace wring::loader {

namespace {

// What libbpf would have printed last.
std::string last_message;

int keep_message(libbpf_print_level, const char* format, va_list args) {
  char text[256];
  std::vsnprintf(text, sizeof(text), format, args);
  last_message = text;
  while (!last_message.empty() && std::isspace(static_cast<unsigned char>(last_message.back())))
    last_message.pop_back();
  return 0;
}

// "what: strerror(err)", with the reason the kernel gave in netlink's extended acknowledgment.
Failure netlink_error(const std::string& what, int err) {
  constexpr char kPrefix[] = "Kernel error message: ";
  std::size_t at = last_message.find(kPrefix);
  if (at == std::string::npos) return system_error(what, err);
  return system_error(what + ": " + last_message.substr(at + sizeof(kPrefix) - 1), err);
}

// Takes the stub off an interface that runs it, in each mode it does.
bool detach_from_interface(const Fd& stub, std::uint32_t id, unsigned index) {
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  if (bpf_xdp_query(static_cast<int>(index), 0, &query) < 0) return false;
  bool found = false;
  auto detach_mode = [&](std::uint32_t attached, std::uint32_t mode) {
    if (attached != id) return;
    LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = stub.get());
    int err = bpf_xdp_detach(static_cast<int>(index), mode | XDP_FLAGS_REPLACE, &options);
    // Replaced, or gone with its interface, since we looked.
    if (err < 0 && err != -EEXIST && err != -ENODEV)
      throw netlink_error("detach XDP from interface " + std::to_string(index), -err);
    found = true;
  };
  detach_mode(query.drv_prog_id, XDP_FLAGS_DRV_MODE);
  detach_mode(query.skb_prog_id, XDP_FLAGS_SKB_MODE);
  return found;
}

}  // namespace

void quiet_libbpf() { libbpf_set_print(keep_message); }

Fd load_stub(bpf_prog_type type, const wring_prog_info& program) {
  const bpf_insn code[] = {
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, static_cast<__s32>(program.default_verdict)},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  std::string name = field_text(program.name).substr(0, BPF_OBJ_NAME_LEN - 1);
  std::replace(name.begin(), name.end(), '-', '_');  // which names of eBPF programs may not contain
  int fd = bpf_prog_load(type, name.c_str(), "GPL", code, std::size(code), nullptr);
  if (fd < 0) throw system_error("load the eBPF stub", -fd);
  return Fd(fd);
}

Fd open_stub(std::uint32_t id) {
  int fd = bpf_prog_get_fd_by_id(id);
  if (fd < 0 && fd != -ENOENT) throw system_error("eBPF program " + std::to_string(id), -fd);
  return Fd(fd);
}

void attach_xdp_stub(const Fd& stub, unsigned index, const std::string& interface,
                     std::uint32_t flags) {
  std::string what = "attach to interface '" + interface + "'";
  last_message.clear();
  int err = bpf_xdp_attach(static_cast<int>(index), stub.get(), flags | XDP_FLAGS_UPDATE_IF_NOEXIST,
                           nullptr);
  if (err == -EBUSY || err == -EEXIST)
    throw Failure(what + ": it already has an XDP program (ip link show dev " + interface + ")");
  if (err < 0) throw netlink_error(what, -err);
}

void detach_xdp_stub(const Fd& stub, std::uint32_t id) {
  visit_network_namespaces([&] {
    std::unique_ptr<struct if_nameindex, void (*)(struct if_nameindex*)> all(if_nameindex(),
                                                                             if_freenameindex);
    if (!all) throw system_error("list interfaces", errno);
    bool found = false;
    for (const auto* one = all.get(); one->if_index; one++)
      found |= detach_from_interface(stub, id, one->if_index);
    return found;
  });
}

}  // namespace wring::loader
