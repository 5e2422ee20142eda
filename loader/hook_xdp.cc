// SPDX-License-Identifier: GPL-2.0
// Links at XDP: a stub on an interface, which the program stands in for.
#include <linux/if_link.h>
#include <net/if.h>

#include <cerrno>

#include "loader/attach.h"
#include "loader/family.h"

namespace wring::loader {

namespace {

class Xdp : public FamilyOps {
 public:
  const char* syntax() const override { return "dev IF [mode native|skb]"; }

  void parse(Words* words, Attachment* to) const override {
    words->expect({"dev"});
    to->target = words->take("a network interface");
    set_field(to->request.xdp.devname, to->target, "'" + to->target + "'");
    if (words->accept({"mode"}))
      to->flags =
          words->expect({"native", "skb"}) == "native" ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  }

  void prepare(Attachment* to, const wring_prog_info& program) const override {
    to->request.xdp.ifindex = if_nametoindex(to->target.c_str());
    if (!to->request.xdp.ifindex) throw system_error("interface '" + to->target + "'", errno);
    to->stub = load_stub(BPF_PROG_TYPE_XDP, program);
    to->request.xdp.stub_fd = to->stub.get();
  }

  void finish(const Attachment& made) const override {
    attach_xdp_stub(made.stub, made.request.xdp.ifindex, made.target, made.flags);
  }

  Fd open_rest(const wring_link_info& info) const override { return open_stub(info.xdp.stub_id); }

  void take_off(const wring_link_info& info, const Fd& stub) const override {
    detach_xdp_stub(stub, info.xdp.stub_id);
  }

  void describe(const wring_link_info& info, Json* json) const override {
    (*json)["ifindex"] = info.xdp.ifindex;
    (*json)["devname"] = field_text(info.xdp.devname);
    (*json)["stub_id"] = info.xdp.stub_id;
  }

  std::string text(const wring_link_info& info) const override {
    return "dev " + printable(field_text(info.xdp.devname)) + "(" +
           std::to_string(info.xdp.ifindex) + ")  stub " + std::to_string(info.xdp.stub_id);
  }
};

}  // namespace

const FamilyOps* xdp_family() {
  static const Xdp ops;
  return &ops;
}

}  // namespace wring::loader
