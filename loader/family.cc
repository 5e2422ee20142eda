// SPDX-License-Identifier: GPL-2.0
// The table of families: uapi/hooks.def with the operations of each.
#include "loader/family.h"

#include <sstream>

namespace wring::loader {

#define HOOK(TYPE, family, ...) const FamilyOps* family##_family();
#include "uapi/hooks.def"
#undef HOOK

namespace {

std::vector<std::string> split(const char* words) {
  std::istringstream stream(words);
  std::vector<std::string> all;
  for (std::string word; stream >> word;) all.push_back(word);
  return all;
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
#define HOOK(TYPE, family, name, section, capability, lowest, highest, standard, verdicts, ...) \
  {WRING_PROG_##TYPE, name, section, split(verdicts), family##_family()},
#include "uapi/hooks.def"
#undef HOOK
  };
  return all;
}

const Family* find_family(std::uint32_t type) {
  for (const Family& family : families())
    if (family.type == type) return &family;
  return nullptr;
}

}  // namespace wring::loader
