// SPDX-License-Identifier: GPL-2.0
// Links at netfilter's hooks.
#include <linux/netfilter.h>

#include <iterator>

#include "loader/family.h"

namespace wring::loader {

namespace {

// By hook number, see linux/netfilter.h.
constexpr const char* kHooks[] = {"prerouting", "input", "forward", "output", "postrouting"};

struct Protocol {
  std::uint32_t pf;
  const char* name;
};
constexpr Protocol kProtocols[] = {
    {NFPROTO_IPV4, "ipv4"}, {NFPROTO_IPV6, "ipv6"}, {NFPROTO_INET, "inet"}};

std::string protocol_name(std::uint32_t pf) {
  for (const Protocol& protocol : kProtocols)
    if (protocol.pf == pf) return protocol.name;
  return "family " + std::to_string(pf);
}

std::string hook_name(std::uint32_t number) {
  return number < std::size(kHooks) ? kHooks[number] : "hook " + std::to_string(number);
}

class Netfilter : public FamilyOps {
 public:
  const char* syntax() const override { return "HOOK [family ipv4|ipv6|inet] [prio N]"; }
  const char* details() const override {
    return "HOOK: prerouting | input | forward | output | postrouting";
  }

  void parse(Words* words, Attachment* to) const override {
    wring_attach_netfilter* request = &to->request.netfilter;
    request->pf = NFPROTO_IPV4;
    to->target = words->expect({"prerouting", "input", "forward", "output", "postrouting"});
    for (std::uint32_t i = 0; i < std::size(kHooks); i++)
      if (to->target == kHooks[i]) request->hooknum = i;
    while (!words->done()) {
      if (words->expect({"family", "prio"}) == "prio") {
        request->priority =
            static_cast<std::int32_t>(words->take_signed("priority", INT32_MIN, INT32_MAX));
        continue;
      }
      std::string name = words->expect({"ipv4", "ipv6", "inet"});
      for (const Protocol& protocol : kProtocols)
        if (name == protocol.name) request->pf = protocol.pf;
    }
  }

  void describe(const wring_link_info& info, Json* json) const override {
    (*json)["pf"] = protocol_name(info.netfilter.pf);
    (*json)["hook"] = hook_name(info.netfilter.hooknum);
    (*json)["prio"] = info.netfilter.priority;
    (*json)["netns_ino"] = info.netfilter.netns_ino;
  }

  std::string text(const wring_link_info& info) const override {
    return protocol_name(info.netfilter.pf) + " " + hook_name(info.netfilter.hooknum) + "  prio " +
           std::to_string(info.netfilter.priority) + "  netns " +
           std::to_string(info.netfilter.netns_ino);
  }
};

}  // namespace

const FamilyOps* netfilter_family() {
  static const Netfilter ops;
  return &ops;
}

}  // namespace wring::loader
