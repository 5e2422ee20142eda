// SPDX-License-Identifier: GPL-2.0
// Test support: a store, and bindings that satisfy any function import, so that whatever validates can be compiled.
#pragma once

#include <vector>

#include "core/engine.h"
#include "selftests/host/platform_posix.h"

namespace wring::fuzz {

// Stands for any host function: answers 0.
extern "C" inline unsigned long long answer_zero() { return 0; }

inline std::vector<wring_binding> bind_everything(const wring_module* module) {
  std::vector<wring_binding> bindings;
  wring_extern_desc desc;
  for (unsigned i = 0; wring_module_import(module, i, &desc) == 0; i++) {
    if (desc.kind != 0) continue;
    wring_binding binding = {};
    binding.address = reinterpret_cast<unsigned long long>(&answer_zero);
    binding.may_trap = 1;
    binding.kind = wring_import_is_intrinsic(module, i) ? WRING_BIND_INTRINSIC
                   : desc.params[0] == 0 && desc.results[0] == 'i' && desc.results[1] == 0
                       ? WRING_BIND_CONSTANT
                       : WRING_BIND_HOST;
    bindings.push_back(binding);
  }
  return bindings;
}

// For a module whose imports are another one's exports, by name.
inline std::vector<wring_import_value> link_to(const wring_module* module,
                                               const wring_module* exporter,
                                               wring_instance* instance) {
  std::vector<wring_import_value> values(wring_module_import_count(module));
  const auto same = [](const wring_str& a, const wring_str& b) {
    return a.len == b.len && (a.len == 0 || __builtin_memcmp(a.data, b.data, a.len) == 0);
  };
  for (unsigned i = 0; i < values.size(); i++) {
    wring_extern_desc wanted, desc;
    wring_module_import(module, i, &wanted);
    for (unsigned e = 0; wring_module_export(exporter, e, &desc) == 0; e++)
      if (same(wanted.name, desc.name)) values[i] = {instance, e};
  }
  return values;
}

// Small enough for a fuzzer's memory. From then on a broken invariant ends the process: it is a finding.
inline wring_store* new_small_store(unsigned long long compile_bytes = 512u << 20) {
  wring_posix_strict(1);
  wring_limits limits = {};
  limits.compile_bytes = compile_bytes;
  limits.memory_pages = 64;
  limits.table_entries = 10'000;
  limits.code_bytes = 64u << 20;
  wring_store* store = nullptr;
  return wring_store_new(&limits, &store) == 0 ? store : nullptr;
}

}  // namespace wring::fuzz
