// SPDX-License-Identifier: GPL-2.0
// Links at raw tracepoints.
#include "loader/family.h"

namespace wring::loader {

namespace {

class RawTracepoint : public FamilyOps {
 public:
  const char* syntax() const override { return "NAME"; }

  void parse(Words* words, Attachment* to) const override {
    to->target = words->take("the name of a tracepoint");
    set_field(to->request.rawtp.tp_name, to->target, "'" + to->target + "'");
  }

  void describe(const wring_link_info& info, Json* json) const override {
    (*json)["tp_name"] = field_text(info.rawtp.tp_name);
  }

  std::string text(const wring_link_info& info) const override {
    return printable(field_text(info.rawtp.tp_name));
  }
};

}  // namespace

const FamilyOps* rawtp_family() {
  static const RawTracepoint ops;
  return &ops;
}

}  // namespace wring::loader
