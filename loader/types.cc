// SPDX-License-Identifier: GPL-2.0
// Names of program types, of their verdicts, and of what becomes of them after a trap.
#include "loader/types.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "loader/words.h"
#include "uapi/wring.h"

namespace wring::loader {

namespace {

constexpr const char* kOnTrap[] = {"keep", "reset", "detach"};  // enum wring_on_trap

struct Type {
  std::uint32_t type;
  const char* name;
  std::vector<std::string> verdicts;  // by number
};

const std::vector<Type>& types() {
  static const std::vector<Type> all = {
      {WRING_PROG_MODULE, "module", {}},
      {WRING_PROG_XDP, "xdp", {"aborted", "drop", "pass", "tx", "redirect"}},
      {WRING_PROG_RAW_TRACEPOINT, "raw_tracepoint", {}},
      {WRING_PROG_NETFILTER, "netfilter", {"drop", "accept"}},
  };
  return all;
}

const std::vector<std::string>& verdicts_of(std::uint32_t type) {
  static const std::vector<std::string> none;
  for (const Type& known : types())
    if (known.type == type) return known.verdicts;
  return none;
}

}  // namespace

std::string type_name(std::uint32_t type) {
  for (const Type& known : types())
    if (known.type == type) return known.name;
  return "type " + std::to_string(type);
}

std::uint32_t type_from_name(const std::string& name) {
  if (name == "raw_tp") return WRING_PROG_RAW_TRACEPOINT;  // as libbpf's sections say
  std::vector<std::string> names;
  std::string all;
  for (const Type& known : types()) {
    names.push_back(known.name);
    all += (all.empty() ? "" : ", ") + names.back();
  }
  auto full = complete(name, names);
  if (!full) throw usage_error("unknown program type '" + name + "', known are: " + all);
  for (const Type& known : types())
    if (*full == known.name) return known.type;
  throw usage_error("unknown program type '" + name + "'");
}

std::string verdict_text(std::uint32_t type, std::uint32_t verdict) {
  const auto& names = verdicts_of(type);
  std::string text = std::to_string(verdict);
  return verdict < names.size() ? text + " (" + names[verdict] + ")" : text;
}

std::uint32_t verdict_from_text(std::uint32_t type, const std::string& text) {
  const auto& names = verdicts_of(type);
  auto name = complete(text, names);
  for (std::uint32_t i = 0; name && i < names.size(); i++)
    if (*name == names[i]) return i;
  return static_cast<std::uint32_t>(parse_number(text, "verdict", 0, UINT32_MAX));
}

std::string on_trap_name(std::uint32_t on_trap) {
  return on_trap < std::size(kOnTrap) ? kOnTrap[on_trap] : std::to_string(on_trap);
}

std::uint32_t on_trap_from_name(const std::string& name) {
  auto found = std::find(std::begin(kOnTrap), std::end(kOnTrap), name);
  if (found == std::end(kOnTrap)) throw usage_error("unknown on_trap '" + name + "'");
  return static_cast<std::uint32_t>(found - std::begin(kOnTrap));
}

}  // namespace wring::loader
