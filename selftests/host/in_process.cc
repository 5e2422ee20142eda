// SPDX-License-Identifier: GPL-2.0
// The engine in this process, through its C interface only.
#include "selftests/host/in_process.h"

#include <sys/mman.h>

#include "selftests/host/platform_posix.h"

namespace wring::host {

std::string describe(const wring_error& error) {
  std::string text = error.message;
  if (error.func != WRING_NO_INDEX) text += " at function " + std::to_string(error.func);
  if (error.function[0]) text += std::string(" \"") + error.function + "\"";
  if (error.offset != WRING_NO_INDEX)
    text +=
        (error.func != WRING_NO_INDEX ? " offset " : " at offset ") + std::to_string(error.offset);
  return text;
}

Outcome outcome_of(const wring_error& error) {
  static_assert(static_cast<int>(Outcome::kInternal) == WRING_ERR_INTERNAL);
  return {static_cast<Outcome::Kind>(error.kind), describe(error)};
}

Outcome trap_outcome(unsigned reason) {
  return reason == WRING_TRAP_None ? Outcome{} : Outcome{Outcome::kTrap, wring_trap_text(reason)};
}

const char* name_of(Outcome::Kind kind) {
  switch (kind) {
    case Outcome::kOk: return "success";
    case Outcome::kNoMemory: return "out of memory";
    case Outcome::kMalformed: return "malformed";
    case Outcome::kInvalid: return "invalid";
    case Outcome::kUnsupported: return "unsupported";
    case Outcome::kLimit: return "limit";
    case Outcome::kLink: return "link error";
    case Outcome::kTrap: return "trap";
    case Outcome::kInterrupted: return "interrupted";
    case Outcome::kInternal: return "internal error";
    case Outcome::kFailed: return "backend failure";
  }
  return "?";
}

namespace {

// At least as many argument or result words as any function has.
constexpr size_t kMaxValues = 2048;

std::string printable(const wring_str& name) {
  std::string text;
  for (unsigned i = 0; i < name.len; i++)
    text += name.data[i] >= ' ' && name.data[i] <= '~' ? name.data[i] : '?';
  return text;
}

Store new_store(unsigned features) {
  wring_limits limits = {};
  limits.features = features;
  wring_store* store = nullptr;
  if (wring_store_new(&limits, &store) != 0) return nullptr;
  return Store(store);
}

Outcome new_module(wring_store* store, const std::string& bytes, Module* out) {
  wring_module* module = nullptr;
  wring_error error;
  if (wring_module_new(store, bytes.data(), bytes.size(), &module, &error) != 0)
    return outcome_of(error);
  out->reset(module);
  return {};
}

Outcome new_code(wring_module* module, const CompileOptions& how, Code* out) {
  wring_extern_desc import;
  std::vector<wring_binding> bindings;
  for (unsigned i = 0; i < wring_module_import_count(module); i++) {
    if (wring_module_import(module, i, &import) != 0) return {Outcome::kFailed, "import"};
    if (import.kind == 0) bindings.push_back({WRING_BIND_WASM, 0, 0, 0, 0, 0});
  }
  wring_compile_options options = {};
  options.functions = bindings.data();
  options.function_count = static_cast<unsigned>(bindings.size());
  options.target = &how.target;
  options.check = how.check;
  options.metered = how.metered;
  options.unoptimized = how.unoptimized;
  wring_code* code = nullptr;
  wring_error error;
  if (wring_compile(module, &options, &code, &error) != 0) return outcome_of(error);
  out->reset(code);
  if (wring_posix_place(code, &error) != 0) return outcome_of(error);
  return {};
}

}  // namespace

CompileOptions::CompileOptions() : target(wring_posix_target()) {}

Outcome compile_in(wring_store* store, const std::string& bytes, const CompileOptions& options,
                   Compiled* out) {
  Outcome outcome = new_module(store, bytes, &out->module);
  return outcome.kind == Outcome::kOk ? new_code(out->module.get(), options, &out->code) : outcome;
}

Outcome compile(const std::string& bytes, const CompileOptions& options, Compiled* out) {
  out->store = new_store(0);
  return out->store ? compile_in(out->store.get(), bytes, options, out)
                    : Outcome{Outcome::kNoMemory, "out of memory"};
}

InProcessBackend::InProcessBackend(unsigned features) : store_(new_store(features)) {}

Outcome InProcessBackend::validate(const std::string& module) {
  Module decoded;
  return new_module(store_.get(), module, &decoded);
}

Outcome InProcessBackend::make_instance(const std::vector<ImportValue>& imports, wring_code* code,
                                        Instance* out) {
  std::vector<wring_import_value> values;
  for (const ImportValue& import : imports)
    values.push_back(
        {import.instance < 0 ? nullptr : this->instance(import.instance), import.export_index});
  wring_instance* created = nullptr;
  wring_error error;
  if (wring_instance_new(code, values.data(), static_cast<unsigned>(values.size()), &created,
                         &error) != 0)
    return outcome_of(error);
  out->reset(created);
  return {};
}

Outcome InProcessBackend::instantiate_only(const std::string& module,
                                           const std::vector<ImportValue>& imports, int* instance) {
  Loaded loaded;
  loaded.imports = imports;
  if (Outcome o = compile_in(store_.get(), module, options_, &loaded.compiled);
      o.kind != Outcome::kOk)
    return o;
  if (Outcome o = make_instance(imports, loaded.compiled.code.get(), &loaded.instance);
      o.kind != Outcome::kOk)
    return o;
  *instance = static_cast<int>(loaded_.size());
  loaded_.push_back(std::move(loaded));
  return {};
}

Outcome InProcessBackend::run_start(int index) {
  unsigned start = wring_module_start(module(index));
  if (start == WRING_NO_INDEX) return {};
  unsigned long long no_values[1] = {}, fuel = kTestFuel;
  return trap_outcome(wring_posix_invoke(instance(index), start, no_values, &fuel));
}

std::string InProcessBackend::backtrace(int index) {
  const wring_vmctx* vmctx = wring_instance_vmctx(instance(index));
  std::string text;
  for (unsigned i = 0; i < vmctx->trap_frame_count; i++) {
    const wring_trap_frame& frame = vmctx->trap_frames[i];
    text += "  at ";
    if (frame.func == WRING_NO_INDEX) {
      text += "a function of another module";
    } else {
      text += "function " + std::to_string(frame.func);
      wring_str name = wring_module_function_name(module(index), frame.func);
      if (name.len > 0) text += " \"" + printable(name) + "\"";
    }
    text += " offset " + std::to_string(frame.offset) + "\n";
  }
  return text;
}

// Instances that are linked stay until their store goes. Nobody looks at this one any more, and modules with memories
// of a gigabyte are made dozens of times: its pages go now.
void InProcessBackend::empty_memories(int index) {
  unsigned imported = 0;
  wring_extern_desc import;
  for (unsigned i = 0; i < wring_module_import_count(module(index)); i++)
    imported += wring_module_import(module(index), i, &import) == 0 && import.kind == 2;
  wring_memory_view view;
  for (unsigned i = imported; wring_instance_memory(instance(index), i, &view) == 0; i++)
    madvise(view.base, view.bytes, MADV_DONTNEED);
}

Outcome InProcessBackend::renew_only(int index) {
  Loaded& loaded = loaded_[static_cast<size_t>(index)];
  if (loaded.instance) empty_memories(index);
  loaded.instance.reset();
  return make_instance(loaded.imports, loaded.compiled.code.get(), &loaded.instance);
}

Outcome InProcessBackend::renew(int index) {
  Outcome outcome = renew_only(index);
  return outcome.kind == Outcome::kOk ? run_start(index) : outcome;
}

Outcome InProcessBackend::instantiate(const std::string& module,
                                      const std::vector<ImportValue>& imports, int* instance) {
  Outcome outcome = instantiate_only(module, imports, instance);
  return outcome.kind == Outcome::kOk ? run_start(*instance) : outcome;
}

Outcome InProcessBackend::invoke(int index, uint32_t export_index, size_t result_words,
                                 std::vector<uint64_t>* values) {
  wring_extern_desc desc;
  if (wring_module_export(module(index), export_index, &desc) != 0 || desc.kind != 0)
    return {Outcome::kFailed, "not an exported function"};
  std::vector<unsigned long long> words(values->begin(), values->end());
  words.resize(std::max({words.size(), result_words, size_t{kMaxValues}}));
  unsigned long long fuel = kTestFuel;
  unsigned reason = wring_posix_invoke(instance(index), desc.index, words.data(), &fuel);
  if (reason != WRING_TRAP_None) return trap_outcome(reason);
  values->assign(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(result_words));
  return {};
}

Outcome InProcessBackend::get_global(int index, uint32_t export_index, uint64_t value[2]) {
  wring_extern_desc desc;
  unsigned long long words[2];
  if (wring_module_export(module(index), export_index, &desc) != 0 || desc.kind != 3 ||
      wring_instance_global(instance(index), desc.index, words) != 0)
    return {Outcome::kFailed, "not an exported global"};
  value[0] = words[0];
  value[1] = words[1];
  return {};
}

ModuleNames::ModuleNames(const std::string& bytes) {
  Store store = new_store(0);
  Module module;
  if (!store || new_module(store.get(), bytes, &module).kind != Outcome::kOk) return;
  auto to_name = [](const wring_extern_desc& desc) {
    return Name{std::string(desc.module.data ? desc.module.data : "", desc.module.len),
                std::string(desc.name.data ? desc.name.data : "", desc.name.len), desc.kind,
                desc.params, desc.results};
  };
  wring_extern_desc desc;
  for (unsigned i = 0; wring_module_import(module.get(), i, &desc) == 0; i++)
    imports_.push_back(to_name(desc));
  for (unsigned i = 0; wring_module_export(module.get(), i, &desc) == 0; i++)
    exports_.push_back(to_name(desc));
}

int ModuleNames::find_export(const std::string& name) const {
  for (size_t i = 0; i < exports_.size(); i++)
    if (exports_[i].name == name) return static_cast<int>(i);
  return -1;
}

}  // namespace wring::host
