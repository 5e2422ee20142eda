// SPDX-License-Identifier: GPL-2.0
// Looks for calls that end by making them. Whoever repeats them then needs no limit of time.
#include "selftests/host/plan.h"

#include <signal.h>
#include <sys/time.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "selftests/host/in_process.h"
#include "selftests/host/platform_posix.h"
#include "selftests/host/provider.h"

namespace wring::host {

namespace {

using Json = nlohmann::json;

// Of one call. Fuel is about an instruction; the time is for what waits.
constexpr unsigned long long kCallFuel = 20'000'000;
constexpr unsigned kCallSeconds = 10;
// State builds up over so many calls of one instance.
constexpr unsigned kChain = 8;
constexpr unsigned kTriesPerCall = 4;
// Larger memories take other engines too long to look at.
constexpr uint64_t kMostMemoryBytes = 1ull << 30;

volatile int g_stop;

void on_alarm(int) { g_stop = 1; }

// Whoever repeats the call may come to another end: other stacks, no fuel, other patience.
bool is_repeatable(unsigned reason) {
  return reason != WRING_TRAP_StackExhausted && reason != WRING_TRAP_FuelExhausted &&
         reason != WRING_TRAP_Interrupted && reason != WRING_TRAP_HostError &&
         reason != WRING_TRAP_OutOfExceptions;
}

class Planner {
 public:
  Planner(const std::string& bytes, const std::string& provider, const PlanOptions& options)
      : options_(options), random_(options.seed), names_(bytes), bytes_(bytes) {
    provider_ok_ = backend_.instantiate(provider, {}, &provider_).kind == Outcome::kOk;
  }

  bool plan(Json* out, std::string* why) {
    if (!provider_ok_) {
      *why = "its imports cannot be provided";
      return false;
    }
    std::vector<ImportValue> imports;
    for (size_t i = 0; i < names_.imports().size(); i++)
      imports.push_back({provider_, static_cast<uint32_t>(i)});
    Outcome outcome = backend_.instantiate_only(bytes_, imports, &instance_);
    if (outcome.kind == Outcome::kOk) outcome = start();
    if (outcome.kind == Outcome::kTrap) {
      (*out)["instantiate"] = "trap";
      return true;
    }
    if (outcome.kind != Outcome::kOk) {
      *why = outcome.text;
      return false;
    }
    (*out)["instantiate"] = "ok";
    find_functions();
    fill(&(*out)["calls"]);
    return true;
  }

 private:
  struct Function {
    unsigned export_index;
    std::string params, results;
  };

  uint64_t below(uint64_t n) { return random_() % n; }

  void find_functions() {
    for (size_t i = 0; i < names_.exports().size(); i++) {
      const ModuleNames::Name& name = names_.exports()[i];
      if (name.kind != 0 ||
          (name.params + name.results).find_first_not_of("ilfd") != std::string::npos)
        continue;
      Function function = {static_cast<unsigned>(i), name.params, name.results};
      if (initializer_ < 0 && name.params.empty() && name.results.empty())
        initializer_ = static_cast<int>(functions_.size());
      functions_.push_back(function);
    }
  }

  void fill(Json* calls) {
    *calls = Json::array();
    bool fresh = false;  // whether the instance has not been called yet
    unsigned chained = kChain;
    for (unsigned tries = 0; !functions_.empty() && calls->size() < options_.calls &&
                             tries < options_.calls * kTriesPerCall;
         tries++) {
      if (chained == kChain) {
        if (backend_.renew(provider_).kind != Outcome::kOk || renew().kind != Outcome::kOk) return;
        chained = 0;
        fresh = true;
      }
      // What a language's start-up code needs comes first, as a loader would have it.
      const Function& function =
          functions_[fresh && initializer_ >= 0 ? static_cast<size_t>(initializer_)
                                                : below(functions_.size())];
      std::vector<uint64_t> values;
      Json call = {{"f", function.export_index}, {"fresh", fresh}, {"results", function.results}};
      call["args"] = Json::array();
      for (char type : function.params) {
        values.push_back(argument(type));
        char text[32];
        snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(values.back()));
        call["args"].push_back({std::string(1, type), text});
      }
      unsigned reason = invoke(function, &values);
      chained++;
      // What does not work in a fresh instance is not what it looked like.
      if (fresh && reason != WRING_TRAP_None) initializer_ = -1;
      if (is_repeatable(reason) && memory_bytes() <= kMostMemoryBytes) {
        calls->push_back(call);
        fresh = false;
      } else {
        chained = kChain;
      }
      if (reason != WRING_TRAP_None) chained = kChain;
    }
  }

  // Mostly what may be an address, a size or a small number.
  uint64_t argument(char type) {
    static constexpr uint64_t kEdges[] = {0,          1,           0x7fffffff,         0x80000000,
                                          0xffffffff, 0x100000000, 0x7fffffffffffffff, ~0ull};
    uint64_t value;
    switch (below(8)) {
      case 0: value = kEdges[below(std::size(kEdges))]; break;
      case 1: value = random_(); break;
      case 2:
      case 3: value = below(64); break;
      case 4: value = below(4096); break;
      default: value = below(std::max<uint64_t>(memory_bytes(), 65536)) & ~7ull; break;
    }
    if (type == 'i') return value & 0xffffffff;
    if (type == 'l') return value;
    // Few bits in floats' exponents are set by the above: take small numbers, or any bits but a NaN's.
    if (below(2)) {
      double number = static_cast<double>(static_cast<int64_t>(below(2048)) - 1024) / 8;
      auto single = static_cast<float>(number);
      uint64_t bits = 0;
      if (type == 'f')
        memcpy(&bits, &single, sizeof(single));
      else
        memcpy(&bits, &number, sizeof(number));
      return bits;
    }
    return random_() & (type == 'f' ? 0xbfffffff : 0xbfffffffffffffff);
  }

  uint64_t memory_bytes() {
    return wring_instance_memory_bytes(backend_.instance(instance_)) +
           wring_instance_memory_bytes(backend_.instance(provider_));
  }

  // Calls what may not come to an end.
  template <class Call>
  unsigned bounded(Call call) {
    g_stop = 0;
    signal(SIGALRM, on_alarm);
    wring_posix_stop_flag(&g_stop);
    alarm(kCallSeconds);
    unsigned reason = call();
    alarm(0);
    wring_posix_stop_flag(nullptr);
    return reason;
  }

  unsigned invoke(const Function& function, std::vector<uint64_t>* values) {
    wring_extern_desc desc;
    if (wring_module_export(backend_.module(instance_), function.export_index, &desc) != 0)
      return WRING_TRAP_HostError;
    std::vector<unsigned long long> words(values->begin(), values->end());
    words.resize(64);
    unsigned long long fuel = kCallFuel;
    return bounded([&] {
      return wring_posix_invoke(backend_.instance(instance_), desc.index, words.data(), &fuel);
    });
  }

  // The start function, if there is one.
  Outcome start() {
    unsigned function = wring_module_start(backend_.module(instance_));
    if (function == WRING_NO_INDEX) return {};
    unsigned long long values[1] = {}, fuel = kCallFuel;
    unsigned reason = bounded(
        [&] { return wring_posix_invoke(backend_.instance(instance_), function, values, &fuel); });
    if (!is_repeatable(reason)) return {Outcome::kFailed, "its start function does not end"};
    return trap_outcome(reason);
  }

  Outcome renew() {
    Outcome outcome = backend_.renew_only(instance_);
    return outcome.kind == Outcome::kOk ? start() : outcome;
  }

  PlanOptions options_;
  std::mt19937_64 random_;
  ModuleNames names_;
  std::string bytes_;
  InProcessBackend backend_{0};
  int provider_ = -1, instance_ = -1;
  bool provider_ok_ = false;
  std::vector<Function> functions_;
  int initializer_ = -1;
};

}  // namespace

bool plan_calls(const std::string& bytes, const PlanOptions& options,
                const std::string& provider_path, std::string* why) {
  std::string provider = make_provider(bytes);
  if (provider.empty()) {
    *why = "its imports cannot be provided";
    return false;
  }
  std::ofstream out(provider_path, std::ios::binary);
  out << provider;
  if (!out.flush()) {
    *why = "cannot write " + provider_path;
    return false;
  }
  Json plan;
  if (!Planner(bytes, provider, options).plan(&plan, why)) return false;
  printf("%s\n", plan.dump().c_str());
  return true;
}

}  // namespace wring::host
