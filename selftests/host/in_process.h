// SPDX-License-Identifier: GPL-2.0
// The engine in this process as the conformance driver's backend, and a small owner for its objects.
#pragma once

#include <functional>

#include "core/engine.h"
#include "selftests/host/spec.h"

namespace wring::host {

// Owns an engine object of type T, released by Put.
template <class T, void (*Put)(T*)>
struct Putter {
  void operator()(T* object) const { Put(object); }
};
using Store = std::unique_ptr<wring_store, Putter<wring_store, wring_store_put>>;
using Module = std::unique_ptr<wring_module, Putter<wring_module, wring_module_put>>;
using Code = std::unique_ptr<wring_code, Putter<wring_code, wring_code_put>>;
using Instance = std::unique_ptr<wring_instance, Putter<wring_instance, wring_instance_put>>;

// "message at function F "name" offset O", as far as they are known.
std::string describe(const wring_error& error);
Outcome outcome_of(const wring_error& error);
Outcome trap_outcome(unsigned reason);

// How to make code of a module: for this machine, with the optimizer, the checkers and metering, unless told otherwise.
struct CompileOptions {
  CompileOptions();
  wring_target target;
  bool unoptimized = false;
  wring_check check = WRING_CHECK_PASSES;
  bool metered = true;
};

// A module and its code, placed where it can run. Members are destroyed last to first.
struct Compiled {
  Store store;  // null when it belongs to somebody else
  Module module;
  Code code;
};
// From the bytes to placed code, in a store of its own that accepts every feature.
Outcome compile(const std::string& bytes, const CompileOptions& options, Compiled* out);
// The same in that store.
Outcome compile_in(wring_store* store, const std::string& bytes, const CompileOptions& options,
                   Compiled* out);

// Fuel that outlasts every terminating test, and stops others after some seconds.
constexpr unsigned long long kTestFuel = 1ull << 34;

// The whole way from a module's bytes to a placed code and an instance, with the checkers on.
class InProcessBackend final : public Backend {
 public:
  // features: WRING_FEATURE_* of modules that are accepted; 0: all.
  explicit InProcessBackend(unsigned features);
  // What to compile for and how: this machine, with the optimizer, unless told otherwise.
  void set_target(const wring_target& target) { options_.target = target; }
  void set_unoptimized(bool unoptimized) { options_.unoptimized = unoptimized; }
  Outcome validate(const std::string& module) override;
  Outcome instantiate(const std::string& module, const std::vector<ImportValue>& imports,
                      int* instance) override;
  Outcome invoke(int instance, uint32_t export_index, size_t result_words,
                 std::vector<uint64_t>* values) override;
  Outcome get_global(int instance, uint32_t export_index, uint64_t value[2]) override;

  // Without the start function, for tools that look at instances.
  Outcome instantiate_only(const std::string& module, const std::vector<ImportValue>& imports,
                           int* instance);
  Outcome run_start(int instance);
  // Where the last trap of an invocation of that instance happened: one line per frame, innermost first.
  std::string backtrace(int instance);
  // Puts a fresh instance of the same code in the place of this one, with the same imports (of what is now in the
  // place of their instances); the start function has run, or not.
  Outcome renew(int instance);
  Outcome renew_only(int instance);
  wring_instance* instance(int index) { return loaded_[static_cast<size_t>(index)].instance.get(); }
  const wring_module* module(int index) {
    return loaded_[static_cast<size_t>(index)].compiled.module.get();
  }

 private:
  void empty_memories(int index);
  Outcome make_instance(const std::vector<ImportValue>& imports, wring_code* code, Instance* out);

  struct Loaded {
    Compiled compiled;
    std::vector<ImportValue> imports;
    Instance instance;  // destroyed before what it came from
  };
  CompileOptions options_;
  Store store_;
  std::vector<Loaded> loaded_;
};

// Import and export names of a module, for whoever resolves imports by name. Empty if it does not decode.
class ModuleNames {
 public:
  explicit ModuleNames(const std::string& bytes);
  struct Name {
    std::string module, name;
    unsigned kind;
    std::string params, results;
  };
  const std::vector<Name>& imports() const { return imports_; }
  const std::vector<Name>& exports() const { return exports_; }
  // The index of the export, or -1.
  int find_export(const std::string& name) const;

 private:
  std::vector<Name> imports_;
  std::vector<Name> exports_;
};

}  // namespace wring::host
