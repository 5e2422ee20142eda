// SPDX-License-Identifier: GPL-2.0
// Family: what the loader knows of a kind of hook: its row of uapi/hooks.def, and how links of it are asked for, made
// and shown, which is the family's own file (hook_<family>.cc).
#pragma once

#include <string>
#include <vector>

#include "loader/device.h"
#include "loader/output.h"
#include "loader/words.h"

namespace wring::loader {

// `wring link attach` of one program, from its words to the kernel.
struct Attachment {
  wring_link_attach request{};  // of which the family fills in the union
  std::string target;           // what it is attached to, for messages
  std::uint32_t flags = 0;      // the family's own
  Fd stub;                      // the eBPF program that it stands in for, or none
};

class FamilyOps {
 public:
  virtual ~FamilyOps() = default;
  // The words after the family's name, and an explanation of them or "".
  virtual const char* syntax() const = 0;
  virtual const char* details() const { return ""; }
  // Consumes them.
  virtual void parse(Words* words, Attachment* to) const = 0;
  // Around WRING_IOC_LINK_ATTACH: what it needs, and what is left to do. Each throws Failure.
  virtual void prepare(Attachment*, const wring_prog_info&) const {}
  virtual void finish(const Attachment&) const {}
  // What else the link is made of: opened, and later taken off its hook. An empty Fd: nothing, or it is gone.
  virtual Fd open_rest(const wring_link_info&) const { return {}; }
  virtual void take_off(const wring_link_info&, const Fd&) const {}
  // Where the program is attached.
  virtual void describe(const wring_link_info& info, Json* json) const = 0;
  virtual std::string text(const wring_link_info& info) const = 0;
};

struct Family {
  std::uint32_t type;  // enum wring_prog_type
  const char* name;
  const char* section;                // what guests call it
  std::vector<std::string> verdicts;  // by number
  const FamilyOps* ops;
};

// In order of their types.
const std::vector<Family>& families();
// nullptr if there is no such type.
const Family* find_family(std::uint32_t type);

}  // namespace wring::loader
