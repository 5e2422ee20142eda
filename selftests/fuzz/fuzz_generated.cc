// SPDX-License-Identifier: GPL-2.0
// Fuzz target: the bytes choose a generated module, which is compiled with the checkers on, with and without the
// optimizer, for this machine and for a plain CPU; both must compute the same results, traps, memory and globals.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/link/code.h"
#include "selftests/fuzz/generate.h"
#include "selftests/fuzz/host_bindings.h"

namespace {

using namespace wring::fuzz;

constexpr unsigned long long kFuel = 1 << 24;
constexpr size_t kMostWords = 256;

[[noreturn]] void report(const std::string& what) {
  fprintf(stderr, "fuzz_generated: %s\n", what.c_str());
  abort();
}

// What one call left behind. NaNs are all one: their bits may differ.
struct Outcome {
  unsigned trap = 0;
  std::vector<unsigned long long> values, globals;
  std::vector<std::vector<unsigned char>> memories;
};

bool equal(const Outcome& a, const Outcome& b) {
  return a.trap == b.trap && a.globals == b.globals && a.memories == b.memories &&
         (a.trap != WRING_TRAP_None || a.values == b.values);
}

void add_value(std::vector<unsigned long long>* out, char type, const unsigned long long* words) {
  unsigned long long word = words[0];
  if (type == 'f' && (word & 0x7fff'ffff) > 0x7f80'0000) word = 0x7fc0'0000;
  if (type == 'd' && (word & ~(1ull << 63)) > 0x7ff0'0000'0000'0000) word = 0x7ff8'0000'0000'0000;
  out->push_back(word);
  if (type == 'v') out->push_back(words[1]);
}

// The words of an argument.
void add_argument(std::vector<unsigned long long>* out, char type, wring::test::Choices* choices) {
  const unsigned long long word = choices->bits();
  switch (type) {
    case 'i': out->push_back(static_cast<unsigned>(word)); break;
    case 'f': out->push_back(static_cast<unsigned>(word) & 0xbfff'ffff); break;
    case 'd': out->push_back(word & 0xbfff'ffff'ffff'ffff); break;
    case 'v': out->insert(out->end(), {word, choices->bits()}); break;
    default: out->push_back(word); break;
  }
}

// Depends on how much the code at hand needs.
bool is_limit(const Outcome& o) {
  return o.trap == WRING_TRAP_StackExhausted || o.trap == WRING_TRAP_FuelExhausted;
}

wring_code* compile(wring_module* module, bool unoptimized, bool baseline) {
  wring_target target = wring_posix_target();
  if (baseline) target.cpu = wring::kCpuSse41;
  wring_compile_options options = {};
  options.target = &target;
  options.check = 1;
  options.metered = 1;
  options.unoptimized = unoptimized;
  wring_code* code = nullptr;
  wring_error error;
  if (wring_compile(module, &options, &code, &error) != 0 || wring_posix_place(code, &error) != 0)
    report(error.message);
  return code;
}

// Calls the export in a fresh instance.
Outcome call(const wring_module* module, wring_code* code, const wring_extern_desc& function,
             std::vector<unsigned long long> values) {
  wring_instance* instance = nullptr;
  wring_error error;
  if (wring_instance_new(code, nullptr, 0, &instance, &error) != 0) report(error.message);
  Outcome out;
  unsigned long long fuel = kFuel;
  out.trap = wring_posix_invoke(instance, function.index, values.data(), &fuel);
  const std::string name(function.name.data, function.name.len);
  size_t word = 0;
  for (char type : name.substr(name.rfind(':') + 1)) {
    add_value(&out.values, type, &values[word]);
    word += type == 'v' ? 2 : 1;
  }
  wring_extern_desc desc;
  for (unsigned i = 0; wring_module_export(module, i, &desc) == 0; i++) {
    unsigned long long bits[2];
    if (desc.kind == 3 && wring_instance_global(instance, desc.index, bits) == 0)
      add_value(&out.globals, desc.results[0], bits);
    wring_memory_view memory;
    if (desc.kind == 2 && wring_instance_memory(instance, desc.index, &memory) == 0)
      out.memories.emplace_back(memory.base, memory.base + memory.bytes);
  }
  wring_instance_put(instance);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  wring::test::Choices choices(data, size);
  wring::test::Body bytes = wring::test::generate_module(&choices);
  wring_store* store = new_small_store();
  wring_module* module = nullptr;
  wring_error error;
  if (wring_module_new(store, bytes.data(), bytes.size(), &module, &error) != 0)
    report(std::string("a generated module is refused: ") + error.message);
  wring_code* plain = compile(module, true, true);
  wring_code* optimized = compile(module, false, false);

  wring_extern_desc desc;
  // Arguments come from the end of the bytes, where choices of little consequence are.
  wring::test::Choices arguments(data + size / 2, size - size / 2);
  for (unsigned i = 0; wring_module_export(module, i, &desc) == 0; i++) {
    if (desc.kind != 0) continue;
    // "f<index>:<params>:<results>"
    std::string name(desc.name.data, desc.name.len);
    size_t first = name.find(':') + 1, last = name.rfind(':');
    std::vector<unsigned long long> values;
    for (size_t j = first; j < last; j++) add_argument(&values, name[j], &arguments);
    values.resize(kMostWords);
    Outcome expected = call(module, plain, desc, values);
    Outcome actual = call(module, optimized, desc, values);
    if (!is_limit(expected) && !is_limit(actual) && !equal(expected, actual))
      report("function " + std::to_string(desc.index) +
             " differs: " + wring_trap_text(expected.trap) + " without and " +
             wring_trap_text(actual.trap) + " with the optimizer");
  }
  wring_code_put(plain);
  wring_code_put(optimized);
  wring_module_put(module);
  wring_store_put(store);
  return 0;
}
