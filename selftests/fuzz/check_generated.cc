// SPDX-License-Identifier: GPL-2.0
// Compiles and runs generated modules in two ways, and compares.
#include "selftests/fuzz/check_generated.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "selftests/core/x64/thunks.h"
#include "selftests/fuzz/host_bindings.h"

namespace wring::fuzz {

namespace {

constexpr unsigned long long kFuel = 1 << 24;
constexpr size_t kMostWords = 256;
// What one compilation may take: at least, and for each byte of the modules. Bodies with hundreds of locals and
// thousands of places where ways come together have several phis per byte, of half a kilobyte each.
constexpr unsigned long long kCompileBytes = 16u << 20, kCompileBytesPerByte = 6144;

struct PutStore {
  void operator()(wring_store* store) const { wring_store_put(store); }
};
using Store = std::unique_ptr<wring_store, PutStore>;

[[noreturn]] void report(const std::string& what) { throw std::runtime_error(what); }

// What one call left behind. NaNs are all one: their bits may differ.
struct Outcome {
  unsigned trap = 0;
  std::vector<unsigned long long> values, globals;
  std::vector<wring_memory_view> memories;
  std::vector<wring_instance*> instances;  // whose the memories are

  Outcome() = default;
  Outcome(Outcome&&) = default;
  ~Outcome() {
    for (wring_instance* instance : instances) wring_instance_put(instance);
  }
};

bool equal(const Outcome& a, const Outcome& b) {
  const auto same = [](const wring_memory_view& x, const wring_memory_view& y) {
    return x.bytes == y.bytes && memcmp(x.base, y.base, x.bytes) == 0;
  };
  return a.trap == b.trap && a.globals == b.globals &&
         std::equal(a.memories.begin(), a.memories.end(), b.memories.begin(), b.memories.end(),
                    same) &&
         (a.trap != WRING_TRAP_None || a.values == b.values);
}

void add_value(std::vector<unsigned long long>* out, char type, const unsigned long long* words) {
  unsigned long long word = words[0];
  if (type == 'f' && (word & 0x7fff'ffff) > 0x7f80'0000) word = 0x7fc0'0000;
  if (type == 'd' && (word & ~(1ull << 63)) > 0x7ff0'0000'0000'0000) word = 0x7ff8'0000'0000'0000;
  out->push_back(word);
  if (type == 'v') out->push_back(words[1]);
}

// Of the exported globals and memories.
void add_state(const wring_module* module, wring_instance* instance, Outcome* out) {
  wring_extern_desc desc;
  for (unsigned i = 0; wring_module_export(module, i, &desc) == 0; i++) {
    unsigned long long bits[2];
    if (desc.kind == 3 && wring_instance_global(instance, desc.index, bits) == 0)
      add_value(&out->globals, desc.results[0], bits);
    wring_memory_view memory;
    if (desc.kind == 2 && wring_instance_memory(instance, desc.index, &memory) == 0)
      out->memories.push_back(memory);
  }
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

// A module, and what it was compiled to in two ways.
struct Compiled {
  wring_module* module = nullptr;
  wring_code* code[2] = {};

  Compiled(wring_store* store, const wring::test::Body& bytes) {
    wring_error error;
    if (wring_module_new(store, bytes.data(), bytes.size(), &module, &error) != 0)
      report(std::string("a generated module is refused: ") + error.message);
    const size_t choice = std::hash<std::string>()(std::string(bytes.begin(), bytes.end()));
    try {
      code[0] = compile(true, choice % kVariants);
      code[1] = compile(false, choice / kVariants % kVariants);
    } catch (...) {
      put();
      throw;
    }
  }
  Compiled(const Compiled&) = delete;
  ~Compiled() { put(); }

 private:
  static constexpr size_t kVariants = std::size(wring::test::kTargetVariants);

  void put() {
    for (wring_code* c : code) wring_code_put(c);
    wring_module_put(module);
  }
  wring_code* compile(bool unoptimized, size_t variant) {
    wring_target target = wring_posix_target();
    wring::test::apply(wring::test::kTargetVariants[variant], &target);
    std::vector<wring_binding> bindings;
    wring_extern_desc import;
    for (unsigned i = 0; wring_module_import(module, i, &import) == 0; i++)
      if (import.kind == 0) bindings.push_back({WRING_BIND_WASM, 0, 0, 0, 0, 0});
    wring_compile_options options = {};
    options.functions = bindings.data();
    options.function_count = static_cast<unsigned>(bindings.size());
    options.target = &target;
    options.check = WRING_CHECK_PASSES;
    options.metered = 1;
    options.unoptimized = unoptimized;
    wring_code* out = nullptr;
    wring_error error;
    if (wring_compile(module, &options, &out, &error) != 0 || wring_posix_place(out, &error) != 0)
      report(std::string("for ") + wring::test::kTargetVariants[variant].name +
             (unoptimized ? ", unoptimized: " : ": ") + error.message);
    return out;
  }
};

wring_instance* instantiate(wring_code* code, const std::vector<wring_import_value>& imports) {
  wring_instance* instance = nullptr;
  wring_error error;
  if (wring_instance_new(code, imports.data(), static_cast<unsigned>(imports.size()), &instance,
                         &error) != 0)
    report(std::string("cannot be instantiated: ") + error.message);
  return instance;
}

// Calls the export in a fresh instance, which imports from a fresh one of the exporter if there is one.
Outcome call(const Compiled& compiled, const Compiled* exporter, int way,
             const wring_extern_desc& function, std::vector<unsigned long long> values) {
  Outcome out;
  std::vector<wring_import_value> imports;
  if (exporter) {
    out.instances.push_back(instantiate(exporter->code[way], {}));
    imports = link_to(compiled.module, exporter->module, out.instances[0]);
  }
  wring_instance* instance = instantiate(compiled.code[way], imports);
  out.instances.push_back(instance);
  unsigned long long fuel = kFuel;
  out.trap = wring_posix_invoke(instance, function.index, values.data(), &fuel);
  const std::string name(function.name.data, function.name.len);
  size_t word = 0;
  for (char type : name.substr(name.rfind(':') + 1)) {
    add_value(&out.values, type, &values[word]);
    word += type == 'v' ? 2 : 1;
  }
  add_state(compiled.module, instance, &out);
  if (exporter) add_state(exporter->module, out.instances[0], &out);
  return out;
}

void check_exports(const Compiled& compiled, const Compiled* exporter,
                   wring::test::Choices* arguments) {
  wring_extern_desc desc;
  for (unsigned i = 0; wring_module_export(compiled.module, i, &desc) == 0; i++) {
    // "f<index>:<params>:<results>", or t for f
    const std::string name(desc.name.data, desc.name.len);
    if (desc.kind != 0 || (name[0] != 'f' && name[0] != 't')) continue;
    size_t first = name.find(':') + 1, last = name.rfind(':');
    std::vector<unsigned long long> values;
    for (size_t j = first; j < last; j++) add_argument(&values, name[j], arguments);
    values.resize(kMostWords);
    Outcome expected = call(compiled, exporter, 0, desc, values);
    Outcome actual = call(compiled, exporter, 1, desc, values);
    if (name[0] == 't' &&
        (expected.trap == WRING_TRAP_StackExhausted || actual.trap == WRING_TRAP_StackExhausted))
      report("function " + std::to_string(desc.index) + " keeps frames of its tail calls");
    if (!is_limit(expected) && !is_limit(actual) && !equal(expected, actual))
      report("function " + std::to_string(desc.index) +
             " differs: " + wring_trap_text(expected.trap) + " without and " +
             wring_trap_text(actual.trap) + " with the optimizer");
  }
}

}  // namespace

void check_generated(wring::test::Choices* choices, wring::test::Choices* arguments) {
  const wring::test::ModulePair pair = wring::test::generate_modules(choices);
  // Memory for what is linear in the module's size, and not for more.
  const size_t bytes = pair.module.size() + pair.exporter.size();
  const Store store(new_small_store(kCompileBytes + kCompileBytesPerByte * bytes));
  const Compiled compiled(store.get(), pair.module);
  if (pair.exporter.empty()) return check_exports(compiled, nullptr, arguments);
  const Compiled exporter(store.get(), pair.exporter);
  check_exports(compiled, &exporter, arguments);
  check_exports(exporter, nullptr, arguments);
}

}  // namespace wring::fuzz
