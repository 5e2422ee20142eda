// SPDX-License-Identifier: GPL-2.0
// Test support: modules from text to instances through the engine's C interface, and calls by export name.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/engine.h"
#include "selftests/core/runtime/wat.h"
#include "selftests/host/platform_posix.h"

namespace wring::test {

struct CallResult {
  unsigned trap = 0;
  unsigned long long value = 0;
  std::vector<unsigned long long> values;  // all result words, and some more
};

// A store and what is loaded into it; everything is released at the end, and must be.
class EngineTest : public ::testing::Test {
 protected:
  struct Loaded {
    wring_module* module = nullptr;
    wring_code* code = nullptr;
    wring_instance* instance = nullptr;
  };

  void SetUp() override { new_store({}); }
  void TearDown() override {
    release();
    EXPECT_EQ(wring_posix_live_allocations(), 0) << "something was not freed";
  }
  void new_store(const wring_limits& limits) {
    wring_store_put(store);
    ASSERT_EQ(wring_store_new(&limits, &store), 0);
  }
  void release() {
    for (Loaded& l : loaded) {
      wring_instance_put(l.instance);
      wring_code_put(l.code);
      wring_module_put(l.module);
    }
    loaded.clear();
    wring_store_put(store);
    store = nullptr;
  }

  // One binding per imported function; missing ones are other instances' functions.
  int compile(const std::string& bytes, std::vector<wring_binding> bindings, Loaded* out) {
    if (int e = wring_module_new(store, bytes.data(), bytes.size(), &out->module, &error)) return e;
    unsigned functions = 0;
    wring_extern_desc desc;
    for (unsigned i = 0; wring_module_import(out->module, i, &desc) == 0; i++)
      functions += desc.kind == 0;
    bindings.resize(functions);
    wring_compile_options options = {};
    options.functions = bindings.data();
    options.function_count = functions;
    options.target = &target;
    options.check = WRING_CHECK_PASSES;
    options.metered = 1;
    options.unoptimized = unoptimized;
    if (int e = wring_compile(out->module, &options, &out->code, &error)) return e;
    return wring_posix_place(out->code, &error);
  }

  int try_load_bytes(const std::string& bytes, const std::vector<wring_import_value>& imports = {},
                     const std::vector<wring_binding>& bindings = {}) {
    Loaded l;
    int e = compile(bytes, bindings, &l);
    if (e == 0)
      e = wring_instance_new(l.code, imports.data(), static_cast<unsigned>(imports.size()),
                             &l.instance, &error);
    loaded.push_back(l);
    return e;
  }
  int try_load(const std::string& text, const std::vector<wring_import_value>& imports = {},
               const std::vector<wring_binding>& bindings = {}) {
    return try_load_bytes(wat(text), imports, bindings);
  }
  // The same of a binary as a sequence of bytes.
  template <class Bytes>
  wring_instance* load_binary(const Bytes& bytes,
                              const std::vector<wring_import_value>& imports = {}) {
    EXPECT_EQ(try_load_bytes(std::string(bytes.begin(), bytes.end()), imports), 0)
        << error.message << " at offset " << error.offset;
    return loaded.back().instance;
  }
  wring_instance* load(const std::string& text, const std::vector<wring_import_value>& imports = {},
                       const std::vector<wring_binding>& bindings = {}) {
    EXPECT_EQ(try_load(text, imports, bindings), 0) << error.message;
    return loaded.back().instance;
  }

  // Export `name` of the instance as an import value.
  wring_import_value from(wring_instance* instance, const std::string& name) {
    for (Loaded& l : loaded) {
      if (!instance || l.instance != instance) continue;
      wring_extern_desc desc;
      for (unsigned i = 0; wring_module_export(l.module, i, &desc) == 0; i++)
        if (std::string(desc.name.data, desc.name.len) == name) return {instance, i};
    }
    ADD_FAILURE() << "no export " << name;
    return {instance, ~0u};
  }

  CallResult call(wring_instance* instance, const std::string& name,
                  std::vector<unsigned long long> args = {}, unsigned long long* fuel = nullptr) {
    for (Loaded& l : loaded) {
      if (!instance || l.instance != instance) continue;
      wring_extern_desc desc;
      for (unsigned i = 0; wring_module_export(l.module, i, &desc) == 0; i++) {
        if (std::string(desc.name.data, desc.name.len) != name) continue;
        args.resize(args.size() + 8);
        unsigned long long plenty = 1ull << 30;
        unsigned trap =
            wring_posix_invoke(instance, desc.index, args.data(), fuel ? fuel : &plenty);
        return {trap, args[0], args};
      }
    }
    ADD_FAILURE() << "no export " << name;
    return {};
  }

  wring_store* store = nullptr;
  std::vector<Loaded> loaded;
  wring_error error = {};
  // How what is loaded next is compiled.
  wring_target target = wring_posix_target();
  bool unoptimized = false;
};

#define EXPECT_VALUE(result, expected)                  \
  do {                                                  \
    wring::test::CallResult r_ = (result);              \
    EXPECT_EQ(r_.trap, 0u) << wring_trap_text(r_.trap); \
    EXPECT_EQ(r_.value, (expected));                    \
  } while (0)
#define EXPECT_TRAP(result, reason)                                            \
  do {                                                                         \
    unsigned trap_ = (result).trap;                                            \
    EXPECT_EQ(trap_, static_cast<unsigned>(reason)) << wring_trap_text(trap_); \
  } while (0)

}  // namespace wring::test
