// SPDX-License-Identifier: GPL-2.0
// Fuzz target: the bytes are a module or choose one to be generated, which is loaded, compiled, instantiated and
// run with one allocation after the other failing, alone and with all after it. Each time everything either works (a
// module may grow its memory in vain) or ends in the error for it, and nothing is left behind.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "selftests/fuzz/generate.h"
#include "selftests/fuzz/host_bindings.h"

namespace {

using namespace wring::fuzz;

constexpr unsigned long long kFuel = 5'000;
constexpr unsigned kMostCalls = 4;
// More allocations than this are only tried in part: what matters is where they are, and they come in loops then.
constexpr unsigned long long kMostFailures = 200;

[[noreturn]] void report(const char* what, unsigned long long n, const char* message) {
  fprintf(stderr, "fuzz_oom: %s with allocation %llu failing: %s\n", what, n, message);
  abort();
}

void call_exports(const wring_module* module, wring_instance* instance) {
  std::vector<unsigned long long> argv(2048);
  wring_extern_desc desc;
  for (unsigned i = 0, calls = 0; calls < kMostCalls && wring_module_export(module, i, &desc) == 0;
       i++) {
    if (desc.kind != 0) continue;
    calls++;
    unsigned long long fuel = kFuel;
    std::fill(argv.begin(), argv.end(), 0);
    wring_posix_invoke(instance, desc.index, argv.data(), &fuel);
  }
}

// What all of it comes to.
int run(wring_store* store, const uint8_t* data, size_t size, wring_error* error) {
  wring_module* module = nullptr;
  wring_code* code = nullptr;
  wring_instance* instance = nullptr;
  int result = wring_module_new(store, data, size, &module, error);
  if (result == 0) {
    std::vector<wring_binding> bindings = bind_everything(module);
    wring_target target = wring_posix_target();
    wring_compile_options options = {};
    options.functions = bindings.data();
    options.function_count = static_cast<unsigned>(bindings.size());
    options.target = &target;
    options.check = WRING_CHECK_PASSES;
    options.metered = 1;
    result = wring_compile(module, &options, &code, error);
  }
  if (result == 0) result = wring_posix_place(code, error);
  if (result == 0) {
    std::vector<wring_import_value> imports(wring_module_import_count(module));
    result = wring_instance_new(code, imports.data(), static_cast<unsigned>(imports.size()),
                                &instance, error);
  }
  if (result == 0) call_exports(module, instance);
  wring_instance_put(instance);
  wring_code_put(code);
  wring_module_put(module);
  return result;
}

void test_module(const uint8_t* data, size_t size, bool alone) {
  int expected = 0;
  wring_posix_fail_alone(alone);
  unsigned long long total = 0;
  for (unsigned long long n = 0; n <= total; n += 1 + total / kMostFailures) {
    wring_error error = {};
    wring_store* store = new_small_store();
    wring_posix_fail_allocation(n);
    int result = run(store, data, size, &error);
    unsigned long long asked = wring_posix_fail_allocation(0);
    wring_store_put(store);
    if (wring_posix_live_allocations() != 0) report("something is left", n, error.message);
    if (n == 0) {
      expected = result;
      total = asked;
    } else if (result != expected && result != -WRING_ERR_NOMEM) {
      report("another error than that for it", n, error.message);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  wring::test::Body bytes = wring::test::module_of_input(data, size);
  // Memory may be back at once: a failure must not be forgotten because what follows works.
  for (bool alone : {false, true}) test_module(bytes.data(), bytes.size(), alone);
  return 0;
}
