// SPDX-License-Identifier: GPL-2.0
// Fuzz target: any bytes through decoding, validation and compilation with the checkers on; what compiles and imports
// nothing but functions is instantiated, and its exports run for a while. Inputs that do not begin like a module
// choose one to be generated.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/link/code.h"
#include "selftests/fuzz/generate.h"
#include "selftests/fuzz/host_bindings.h"

namespace {

using namespace wring::fuzz;

// What differs from run to run without being part of the module.
wring_target target_for(size_t seed) {
  wring_target target = wring_posix_target();
  target.ibt = seed & 1;
  target.sls = seed >> 1 & 1;
  target.clamp_speculation = seed >> 3 & 1;
  if (seed & 4) target.cpu = seed & 16 ? 0 : unsigned{wring::kCpuSse41};  // 0: floats are refused
  return target;
}

// The first exported function a hook may have, as a hook's entry.
bool find_hook(const wring_module* module, wring_hook_entry* hook) {
  wring_extern_desc desc;
  for (unsigned i = 0; wring_module_export(module, i, &desc) == 0; i++) {
    bool takes = desc.params[0] == 0 || (desc.params[0] == 'i' && desc.params[1] == 0);
    if (desc.kind != 0 || !takes || desc.results[0] != 'i' || desc.results[1] != 0) continue;
    *hook = {};
    hook->func = desc.index;
    hook->verdict_max = 4;
    hook->percpu_vmctx = 0x1000;
    hook->fuel = 1000;
    hook->layout.pkt_end_offset = 8;
    hook->slow_path = reinterpret_cast<unsigned long long>(&answer_zero);
    return true;
  }
  return false;
}

void check(int result, const wring_error& error) {
  // An inconsistency the IR verifier or the allocation checker found is the engine's fault.
  bool is_ours = error.message[0] == 'I' && error.message[1] == 'R' && error.message[2] == ':';
  if (result != 0 && (is_ours || __builtin_strncmp(error.message, "register allocation:", 20) == 0))
    abort();
}

void run(const wring_module* module, wring_code* code) {
  wring_error error;
  if (wring_posix_place(code, &error) != 0) return;
  std::vector<wring_import_value> imports(wring_module_import_count(module));
  wring_instance* instance = nullptr;
  if (wring_instance_new(code, imports.data(), static_cast<unsigned>(imports.size()), &instance,
                         &error) != 0)
    return;
  std::vector<unsigned long long> argv(2048);
  wring_extern_desc desc;
  for (unsigned i = 0; i < 16 && wring_module_export(module, i, &desc) == 0; i++) {
    unsigned long long fuel = 20'000;
    if (desc.kind == 0) wring_posix_invoke(instance, desc.index, argv.data(), &fuel);
  }
  wring_instance_put(instance);
}

void test_module(const uint8_t* data, size_t size) {
  wring_store* store = new_small_store();
  wring_module* module = nullptr;
  wring_error error;
  if (wring_module_new(store, data, size, &module, &error) == 0) {
    std::vector<wring_binding> bindings = bind_everything(module);
    wring_target target = target_for(size);
    wring_hook_entry hook;
    wring_compile_options options = {};
    options.functions = bindings.data();
    options.function_count = static_cast<unsigned>(bindings.size());
    options.target = &target;
    options.hook = size & 8 && find_hook(module, &hook) ? &hook : nullptr;
    options.check = WRING_CHECK_PASSES;
    options.metered = 1;
    wring_code* code = nullptr;
    int result = wring_compile(module, &options, &code, &error);
    check(result, error);
    if (result == 0) run(module, code);
    wring_code_put(code);
    wring_module_put(module);
  }
  wring_store_put(store);
  if (wring_posix_live_allocations() != 0) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  wring::test::Body bytes = wring::test::module_of_input(data, size);
  test_module(bytes.data(), bytes.size());
  return 0;
}
