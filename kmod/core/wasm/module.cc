// SPDX-License-Identifier: GPL-2.0
// Module: lookups.
#include "core/wasm/module.h"

#include "core/base/new.h"
#include "core/base/sort.h"

namespace wring {

bool operator<(const ExportKey& a, const ExportKey& b) {
  if (a.name.size() != b.name.size()) return a.name.size() < b.name.size();
  tick(a.name.size() / 256);
  const int order =
      a.name.empty() ? 0 : __builtin_memcmp(a.name.data(), b.name.data(), a.name.size());
  return order != 0 ? order < 0 : a.index < b.index;
}

const Export* Module::find_export(Bytes name) const {
  const u32 place = lower_bound(exports_by_name, ExportKey{name, 0}, [&](u32 i) {
    return ExportKey{exports[i].name, i};
  });
  if (place == exports_by_name.size()) return nullptr;
  const Export& candidate = exports[exports_by_name[place]];
  return equal(candidate.name, name) ? &candidate : nullptr;
}

Bytes Module::function_name(u32 function) const {
  if (function < function_names.size() && !function_names[function].empty())
    return function_names[function];
  if (function < function_exports.size() && function_exports[function] != kNone)
    return exports[function_exports[function]].name;
  return {};
}

u32 Module::function_at(u32 offset, u32 otherwise) const {
  u32 low = imported_functions, high = functions.size();
  while (low < high) {
    const u32 middle = low + (high - low) / 2;
    if (functions[middle].body.end <= offset)
      low = middle + 1;
    else
      high = middle;
  }
  return low < functions.size() && offset >= functions[low].body.begin ? low : otherwise;
}

const CustomSection* Module::find_custom(const char* name) const {
  for (const CustomSection& custom : customs) {
    u32 i = 0;
    while (i < custom.name.size() && name[i] && custom.name[i] == static_cast<u8>(name[i])) i++;
    if (i == custom.name.size() && !name[i]) return &custom;
  }
  return nullptr;
}

void module_free(Module* module) {
  if (!module) return;
  destroy_object(module);
}

}  // namespace wring
