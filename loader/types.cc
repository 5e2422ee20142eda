// SPDX-License-Identifier: GPL-2.0
// Names of program types, of their verdicts, and of what becomes of them after a trap.
#include "loader/types.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "loader/family.h"

namespace wring::loader {

namespace {

constexpr char kModule[] = "module";
constexpr const char* kOnTrap[] = {"keep", "reset", "detach"};  // enum wring_on_trap

}  // namespace

std::string type_name(std::uint32_t type) {
  if (type == WRING_PROG_MODULE) return kModule;
  const Family* family = find_family(type);
  return family ? family->name : "type " + std::to_string(type);
}

std::uint32_t type_from_name(const std::string& name) {
  std::vector<std::string> names = {kModule};
  for (const Family& family : families()) {
    if (name == family.section) return family.type;
    names.push_back(family.name);
  }
  auto full = complete(name, names);
  for (const Family& family : families())
    if (full == family.name) return family.type;
  if (full) return WRING_PROG_MODULE;
  std::string all;
  for (const std::string& known : names) all += (all.empty() ? "" : ", ") + known;
  throw usage_error("unknown program type '" + name + "', known are: " + all);
}

std::string verdict_text(std::uint32_t type, std::uint32_t verdict) {
  const Family* family = find_family(type);
  std::string text = std::to_string(verdict);
  return family && verdict < family->verdicts.size() ? text + " (" + family->verdicts[verdict] + ")"
                                                     : text;
}

std::uint32_t verdict_from_text(std::uint32_t type, const std::string& text) {
  const Family* family = find_family(type);
  const std::vector<std::string> names = family ? family->verdicts : std::vector<std::string>();
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
