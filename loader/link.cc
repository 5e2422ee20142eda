// SPDX-License-Identifier: GPL-2.0
// wring link attach, show, detach.
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <net/if.h>

#include <cerrno>
#include <functional>
#include <iterator>
#include <utility>

#include "loader/attach.h"
#include "loader/commands.h"
#include "loader/program.h"
#include "loader/types.h"

namespace wring::loader {

namespace {

// By hook number, see linux/netfilter.h.
constexpr const char* kNetfilterHooks[] = {"prerouting", "input", "forward", "output",
                                           "postrouting"};

struct Family {
  std::uint32_t pf;
  const char* name;
};
constexpr Family kFamilies[] = {
    {NFPROTO_IPV4, "ipv4"}, {NFPROTO_IPV6, "ipv6"}, {NFPROTO_INET, "inet"}};

std::string family_name(std::uint32_t pf) {
  for (const Family& family : kFamilies)
    if (family.pf == pf) return family.name;
  return "family " + std::to_string(pf);
}

std::string hook_name(std::uint32_t number) {
  return number < std::size(kNetfilterHooks) ? kNetfilterHooks[number]
                                             : "hook " + std::to_string(number);
}

// ---- attach ----

struct AttachRequest {
  ProgramRef program;
  std::uint32_t type = 0;
  std::string target;          // interface, tracepoint or netfilter hook
  std::uint32_t xdp_mode = 0;  // XDP_FLAGS_*_MODE, 0: the kernel's choice
  std::uint32_t pf = NFPROTO_IPV4;
  std::uint32_t hooknum = 0;
  std::int32_t priority = 0;
};

AttachRequest parse_attach(Words* words) {
  AttachRequest request;
  request.program = take_program(words);
  std::string hook = words->peek() == "raw_tp"
                         ? words->take("")
                         : words->expect({"xdp", "raw_tracepoint", "netfilter"});
  request.type = type_from_name(hook);
  if (request.type == WRING_PROG_XDP) {
    words->expect({"dev"});
    request.target = words->take("a network interface");
    if (words->accept({"mode"}))
      request.xdp_mode =
          words->expect({"native", "skb"}) == "native" ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  } else if (request.type == WRING_PROG_RAW_TRACEPOINT) {
    request.target = words->take("the name of a tracepoint");
  } else {
    request.target = words->expect({"prerouting", "input", "forward", "output", "postrouting"});
    for (std::uint32_t i = 0; i < std::size(kNetfilterHooks); i++)
      if (request.target == kNetfilterHooks[i]) request.hooknum = i;
    while (!words->done()) {
      if (words->expect({"family", "prio"}) == "prio") {
        request.priority =
            static_cast<std::int32_t>(words->take_signed("priority", INT32_MIN, INT32_MAX));
        continue;
      }
      std::string name = words->expect({"ipv4", "ipv6", "inet"});
      for (const Family& family : kFamilies)
        if (name == family.name) request.pf = family.pf;
    }
  }
  words->end();
  return request;
}

void detach_in_module(const Fd& device, std::uint32_t id) {
  wring_link_detach detach{};
  detach.id = id;
  try {
    command(device.get(), WRING_IOC_LINK_DETACH, &detach, "detach link " + std::to_string(id));
  } catch (const Failure& failure) {
    // The module has noticed by itself that nothing holds the stub any more.
    if (failure.error != ENOENT) throw;
  }
}

// Off the hook first, so that nothing meets the bare stub; held meanwhile, so that the link is still there afterwards.
void detach(const Fd& device, const wring_link_info& info) {
  Fd stub;
  if (info.stub_id) stub = open_stub(info.stub_id);
  if (stub) detach_xdp_stub(stub, info.stub_id);
  detach_in_module(device, info.id);
}

// All links that exist at the moment.
std::vector<wring_link_info> all_links(const Fd& device) {
  std::vector<wring_link_info> all;
  for (std::uint32_t id : list_ids(device, WRING_IOC_LINK_NEXT_ID)) {
    try {
      all.push_back(link_info(device, id));
    } catch (const Failure& failure) {
      // Detached since it was listed.
      if (failure.error != ENOENT) throw;
    }
  }
  return all;
}

// All programs stop together, links that are being made included; then what stood in for them at interfaces goes. That
// is not the order for a single one, but whoever asks for this is in a hurry. A stub that cannot be reached stays, and
// answers its program's default verdict.
std::uint32_t detach_all(const Fd& device) {
  std::vector<std::pair<std::uint32_t, Fd>> stubs;
  std::optional<Failure> failed;
  auto attempt = [&](auto action) {
    try {
      action();
    } catch (const Failure& failure) {
      if (!failed) failed = failure;
    }
  };
  attempt([&] {
    for (const wring_link_info& info : all_links(device))
      if (info.stub_id) attempt([&] { stubs.emplace_back(info.stub_id, open_stub(info.stub_id)); });
  });
  wring_link_detach detach{};
  detach.flags = WRING_LINK_F_ALL;
  command(device.get(), WRING_IOC_LINK_DETACH, &detach, "detach all links");
  for (const auto& [id, stub] : stubs)
    if (stub) attempt([&] { detach_xdp_stub(stub, id); });
  if (failed) throw *failed;
  return detach.detached;
}

// Binds the program, and its stub if it has one, to the hook; returns the link, which lasts.
wring_link_info attach(const Fd& device, const FoundProgram& program,
                       const AttachRequest& request) {
  wring_link_attach attach{};
  attach.prog_fd = program.fd.get();
  attach.stub_fd = -1;
  set_field(attach.target, request.target, "'" + request.target + "'");
  Fd stub;
  if (request.type == WRING_PROG_XDP) {
    attach.ifindex = if_nametoindex(request.target.c_str());
    if (!attach.ifindex) throw system_error("interface '" + request.target + "'", errno);
    stub = load_stub(BPF_PROG_TYPE_XDP, program.info.raw);
  } else if (request.type == WRING_PROG_NETFILTER) {
    attach.pf = request.pf;
    attach.hooknum = request.hooknum;
    attach.priority = request.priority;
  }
  if (stub) attach.stub_fd = stub.get();
  command(device.get(), WRING_IOC_LINK_ATTACH, &attach, "attach to " + request.target);
  try {
    wring_link_info info = link_info(device, attach.id);
    if (stub) attach_xdp_stub(stub, attach.ifindex, request.target, request.xdp_mode);
    return info;
  } catch (const Failure&) {
    detach_in_module(device, attach.id);
    throw;
  }
}

// ---- show ----

Json link_json(const wring_link_info& info) {
  Json json;
  json["id"] = info.id;
  json["type"] = type_name(info.type);
  json["prog_id"] = info.prog_id;
  if (info.type == WRING_PROG_XDP) {
    json["ifindex"] = info.ifindex;
    json["devname"] = field_text(info.target);
    json["stub_id"] = info.stub_id;
  } else if (info.type == WRING_PROG_RAW_TRACEPOINT) {
    json["tp_name"] = field_text(info.target);
  } else if (info.type == WRING_PROG_NETFILTER) {
    json["pf"] = family_name(info.pf);
    json["hook"] = hook_name(info.hooknum);
    json["prio"] = info.priority;
    json["netns_ino"] = info.netns_ino;
  }
  return json;
}

void link_text(const wring_link_info& info) {
  std::string target = printable(field_text(info.target));
  say("%u: %s  prog %u  ", info.id, type_name(info.type).c_str(), info.prog_id);
  if (info.type == WRING_PROG_NETFILTER)
    say("%s %s  prio %d  netns %llu\n", family_name(info.pf).c_str(),
        hook_name(info.hooknum).c_str(), info.priority,
        static_cast<unsigned long long>(info.netns_ino));
  else if (info.type == WRING_PROG_XDP)
    say("dev %s(%u)  stub %u\n", target.c_str(), info.ifindex, info.stub_id);
  else
    say("%s\n", target.c_str());
}

std::uint32_t take_link(Words* words) {
  words->accept({"id"});
  std::uint32_t id = words->take_u32("link id", 1, UINT32_MAX);
  words->end();
  return id;
}

}  // namespace

int link_attach(Words words, const Output& out) {
  AttachRequest request = parse_attach(&words);
  Fd device = open_device();
  FoundProgram program = find_program(device, request.program);
  const wring_prog_info& raw = program.info.raw;
  if (raw.type != request.type)
    throw Failure("program " + field_text(raw.name) + " is of type " + type_name(raw.type) +
                  ", not " + type_name(request.type));
  wring_link_info info = attach(device, program, request);
  try {
    if (out.json())
      out.print(link_json(info));
    else
      link_text(info);
    flush_output();
  } catch (const Failure&) {
    detach(device, info);
    throw;
  }
  return 0;
}

int link_show(Words words, const Output& out) {
  std::optional<std::uint32_t> wanted;
  if (!words.done()) wanted = take_link(&words);
  Fd device = open_device();
  std::vector<wring_link_info> infos;
  if (wanted)
    infos.push_back(link_info(device, *wanted));
  else
    infos = all_links(device);
  Json all = Json::array();
  for (const wring_link_info& info : infos) {
    if (out.json())
      all.push_back(link_json(info));
    else
      link_text(info);
  }
  if (out.json()) out.print(all);
  return 0;
}

int link_detach(Words words, const Output& out) {
  if (words.accept({"all"})) {
    words.end();
    std::uint32_t detached = detach_all(open_device());
    if (out.json())
      out.print(Json{{"detached", detached}});
    else
      say("Detached %u link%s\n", detached, detached == 1 ? "" : "s");
    return 0;
  }
  std::uint32_t id = take_link(&words);
  Fd device = open_device();
  detach(device, link_info(device, id));
  if (out.json()) out.print(Json::object());
  return 0;
}

}  // namespace wring::loader
