// SPDX-License-Identifier: GPL-2.0
// wring-host: the engine as a process, for tests and for looking at what the compiler does.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <bit>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>

#include "core/base/recovery.h"
#include "selftests/core/x64/thunks.h"
#include "selftests/fuzz/check_generated.h"
#include "selftests/host/compile_report.h"
#include "selftests/host/files.h"
#include "selftests/host/fuzz_diff.h"
#include "selftests/host/in_process.h"
#include "selftests/host/listing.h"
#include "selftests/host/plan.h"
#include "selftests/host/platform_posix.h"
#include "selftests/host/spec.h"
#include "selftests/host/spectest.h"

namespace wring::host {

namespace {

constexpr int kFailed = 1, kUsage = 2, kTrapped = 3;

int complain(const std::string& what) {
  fprintf(stderr, "wring-host: %s\n", what.c_str());
  return kFailed;
}

bool read_input(const std::string& path, std::string* out) {
  bool ok = host::read_file(path, out);
  if (!ok) complain("cannot read " + path);
  return ok;
}

// The values of --features.
const std::map<std::string, unsigned>& feature_sets() {
  static const std::map<std::string, unsigned> sets = {
      {"2.0", WRING_FEATURE_WASM2},
      {"3.0", WRING_FEATURE_WASM3},
      {"threads", WRING_FEATURE_THREADS},
      {"all", WRING_FEATURE_WASM3 | WRING_FEATURE_THREADS},
  };
  return sets;
}

int validate(const std::string& path, unsigned features) {
  std::string bytes;
  if (!read_input(path, &bytes)) return kFailed;
  Outcome outcome = InProcessBackend(features).validate(bytes);
  return outcome.kind == Outcome::kOk ? 0 : complain(path + ": " + outcome.text);
}

int compile_file(const std::string& path, const CompileOptions& options) {
  std::string bytes;
  if (!read_input(path, &bytes)) return kFailed;
  Outcome outcome = report_compile(bytes, options);
  return outcome.kind == Outcome::kOk
             ? 0
             : complain(path + ": " + name_of(outcome.kind) + ": " + outcome.text);
}

int plan(const std::string& path, const std::string& provider, const PlanOptions& options) {
  std::string bytes, why;
  if (!read_input(path, &bytes)) return kFailed;
  return plan_calls(bytes, options, provider, &why) ? 0 : complain(path + ": " + why);
}

// TYPE:HEXBITS -> one word, two for v128 (128 bits of hex, most significant digit first).
bool parse_value(const std::string& text, const std::string& wanted_type,
                 std::vector<uint64_t>* words) {
  size_t colon = text.find(':');
  if (colon == std::string::npos || text.substr(0, colon) != wanted_type) return false;
  std::string digits = text.substr(colon + 1);
  if (digits.rfind("0x", 0) == 0 || digits.rfind("0X", 0) == 0) digits = digits.substr(2);
  size_t room = wanted_type == "v128" ? 32 : wanted_type == "i32" || wanted_type == "f32" ? 8 : 16;
  if (digits.empty() || digits.size() > room ||
      digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
    return false;
  digits.insert(0, room - digits.size(), '0');
  if (room == 32) words->push_back(std::stoull(digits.substr(16), nullptr, 16));
  words->push_back(std::stoull(digits.substr(0, std::min<size_t>(room, 16)), nullptr, 16));
  return true;
}

std::string type_name(char letter) {
  switch (letter) {
    case 'i': return "i32";
    case 'l': return "i64";
    case 'f': return "f32";
    case 'd': return "f64";
    case 'v': return "v128";
    case 'F': return "funcref";
    case 'X': return "externref";
    case 'E': return "exnref";
  }
  return "?";
}

size_t words_of(const std::string& letters) {
  size_t words = 0;
  for (char letter : letters) words += letter == 'v' ? 2 : 1;
  return words;
}

// Instantiates a module that may import nothing but spectest.
Outcome load(InProcessBackend* backend, const std::string& bytes, const ModuleNames& names,
             int* instance) {
  std::vector<ImportValue> imports;
  std::map<std::string, ImportValue> spectest;
  for (const ModuleNames::Name& import : names.imports()) {
    if (import.module == "spectest" && spectest.empty()) {
      for (const std::string& part : spectest_modules()) {
        int exporter;
        if (backend->instantiate(part, {}, &exporter).kind != Outcome::kOk) continue;
        uint32_t index = 0;
        ModuleNames exported(part);
        for (const ModuleNames::Name& e : exported.exports())
          spectest[e.name] = {exporter, index++};
      }
    }
    imports.push_back(import.module == "spectest" && spectest.count(import.name)
                          ? spectest[import.name]
                          : ImportValue{});
  }
  return backend->instantiate(bytes, imports, instance);
}

// The export's index: by name first, else a decimal index into the export section.
int find_export(const ModuleNames& names, const std::string& wanted) {
  int index = names.find_export(wanted);
  if (index >= 0 || wanted.empty() || wanted.size() > 9 ||
      wanted.find_first_not_of("0123456789") != std::string::npos)
    return index;
  size_t number = std::stoul(wanted);
  return number < names.exports().size() ? static_cast<int>(number) : -1;
}

int print_trap(const Outcome& outcome, const std::string& backtrace) {
  printf("trap: %s\n", outcome.text.c_str());
  fprintf(stderr, "%s", backtrace.c_str());
  return kTrapped;
}

// The value behind the bits, for people.
std::string float_text(char letter, uint64_t word) {
  char text[64] = "";
  if (letter == 'f')
    snprintf(text, sizeof(text), " (%.9g)",
             static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(word))));
  if (letter == 'd') snprintf(text, sizeof(text), " (%.17g)", std::bit_cast<double>(word));
  return text;
}

// Returns the words it took.
size_t print_value(char letter, const uint64_t* word) {
  std::string type = type_name(letter);
  if (letter == 'v') {
    printf("%s:0x%016llx%016llx\n", type.c_str(), static_cast<unsigned long long>(word[1]),
           static_cast<unsigned long long>(word[0]));
    return 2;
  }
  printf("%s:0x%llx%s\n", type.c_str(), static_cast<unsigned long long>(word[0]),
         float_text(letter, word[0]).c_str());
  return 1;
}

int invoke(const std::string& path, const std::string& wanted, const std::vector<std::string>& args,
           unsigned features, const wring_target& target, bool unoptimized) {
  std::string bytes;
  if (!read_input(path, &bytes)) return kFailed;
  InProcessBackend backend(features);
  backend.set_target(target);
  backend.set_unoptimized(unoptimized);
  ModuleNames names(bytes);
  int instance = -1;
  Outcome outcome = load(&backend, bytes, names, &instance);
  if (outcome.kind == Outcome::kTrap) return print_trap(outcome, "");
  if (outcome.kind != Outcome::kOk) return complain(path + ": " + outcome.text);
  int index = find_export(names, wanted);
  if (index < 0 || names.exports()[static_cast<size_t>(index)].kind != 0)
    return complain(path + ": no exported function \"" + wanted + "\"");
  const ModuleNames::Name& function = names.exports()[static_cast<size_t>(index)];
  if (function.params.find('?') != std::string::npos ||
      function.results.find('?') != std::string::npos)
    return complain(path + ": too many parameters or results to write down");

  std::vector<uint64_t> values;
  bool fits = args.size() == function.params.size();
  for (size_t i = 0; fits && i < args.size(); i++)
    fits = parse_value(args[i], type_name(function.params[i]), &values);
  if (!fits) {
    std::string usage;
    for (char letter : function.params) usage += " " + type_name(letter) + ":HEXBITS";
    complain("arguments must be" + (usage.empty() ? " none" : usage));
    return kUsage;
  }

  outcome =
      backend.invoke(instance, static_cast<uint32_t>(index), words_of(function.results), &values);
  if (outcome.kind == Outcome::kTrap) return print_trap(outcome, backend.backtrace(instance));
  if (outcome.kind != Outcome::kOk) return complain(path + ": " + outcome.text);
  const uint64_t* word = values.data();
  for (char letter : function.results) word += print_value(letter, word);
  return 0;
}

int dump(const std::string& what, const std::string& path, const ListingOptions& options) {
  std::string bytes;
  if (!read_input(path, &bytes)) return kFailed;
  // The stages are called one by one here, and nobody else recovers from their assertions.
  std::string error;
  Diag diag;
  Operation operation;
  Err err = operation.run(Stage::kCompile, &diag, [&] {
    error = what == "ir" ? list_ir(bytes, options) : list_asm(bytes, options);
    return Err::kOk;
  });
  if (err != Err::kOk) error = diag.message;
  return error.empty() ? 0 : complain(path + ": " + error);
}

// The generated modules of some seeds, as DIR/SEED.wasm, and those they import from.
int generate(const std::string& directory, uint64_t first, uint64_t count,
             const test::GenerateOptions& generate_options) {
  for (uint64_t seed = first; seed - first < count; seed++) {
    test::Choices choices(seed);
    const test::ModulePair pair = test::generate_modules(&choices, generate_options);
    for (const test::Body* bytes : {&pair.module, &pair.exporter}) {
      if (bytes->empty()) continue;
      const std::string path = directory + "/" + std::to_string(seed) +
                               (bytes == &pair.module ? ".wasm" : kExporterSuffix);
      std::ofstream out(path, std::ios::binary);
      out.write(reinterpret_cast<const char*>(bytes->data()),
                static_cast<std::streamsize>(bytes->size()));
      if (!out.flush()) return complain("cannot write " + path);
    }
  }
  return 0;
}

// The seed at work, for who looks at a crash.
volatile sig_atomic_t g_seed_high, g_seed_low;

void name_seed(int) {
  const uint64_t seed =
      static_cast<uint64_t>(g_seed_high) << 32 | static_cast<uint32_t>(g_seed_low);
  dprintf(STDERR_FILENO, "wring-host: at seed %llu\n", static_cast<unsigned long long>(seed));
}

// Checks the generated modules of some seeds, for so many seconds at most (0: all of them).
int check_generated(uint64_t first, uint64_t count, unsigned seconds) {
  signal(SIGABRT, name_seed);
  const auto start = std::chrono::steady_clock::now();
  uint64_t done = 0, failed = 0;
  for (; done < count; done++) {
    if (seconds && std::chrono::steady_clock::now() - start >= std::chrono::seconds(seconds)) break;
    const uint64_t seed = first + done;
    g_seed_high = static_cast<sig_atomic_t>(seed >> 32);
    g_seed_low = static_cast<sig_atomic_t>(seed);
    test::Choices choices(seed), arguments(~seed);
    try {
      fuzz::check_generated(&choices, &arguments);
    } catch (const std::exception& finding) {
      printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), finding.what());
      failed++;
    }
  }
  printf("%llu generated modules, %llu failed\n", static_cast<unsigned long long>(done),
         static_cast<unsigned long long>(failed));
  return failed || !done ? kFailed : 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The Wring engine as a process: validates, runs and lists WebAssembly modules.",
               "wring-host");
  app.require_subcommand(1);
  std::string file, export_name, kind, features = "all", directory;
  std::vector<std::string> args;
  ListingOptions listing;
  SpecOptions spec_options;
  int status = 0;

  auto add_features = [&](CLI::App* command) {
    std::vector<std::string> names;
    for (const auto& set : feature_sets()) names.push_back(set.first);
    command->add_option("--features", features, "what binaries may contain beyond 2.0")
        ->check(CLI::IsMember(names))
        ->capture_default_str();
  };

  std::string target_name = "native";
  bool unoptimized = false;
  auto add_target = [&](CLI::App* command) {
    std::vector<std::string> variants;
    for (const test::TargetVariant& variant : test::kTargetVariants)
      variants.push_back(variant.name);
    command->add_option("--target", target_name, "CPU features and mitigations to compile for")
        ->check(CLI::IsMember(variants))
        ->capture_default_str();
    command->add_flag("--unoptimized", unoptimized, "compile without the optimizer");
  };
  auto target = [&] {
    wring_target out = wring_posix_target();
    for (const test::TargetVariant& variant : test::kTargetVariants)
      if (target_name == variant.name) test::apply(variant, &out);
    return out;
  };

  CLI::App* validate_command =
      app.add_subcommand("validate", "exit status 0 if FILE is valid, else 1");
  validate_command->add_option("FILE", file)->required();
  add_features(validate_command);
  validate_command->callback([&] { status = validate(file, feature_sets().at(features)); });

  CLI::App* compile_command = app.add_subcommand(
      "compile", "make code of FILE and print, as JSON, sizes, processor time and peak memory");
  compile_command->add_option("FILE", file)->required();
  add_target(compile_command);
  bool unchecked = false;
  compile_command->add_flag("--unchecked", unchecked, "without IR verifier and allocation checker");
  compile_command->callback([&] {
    CompileOptions options;
    options.target = target();
    options.unoptimized = unoptimized;
    options.check = unchecked ? WRING_CHECK_NONE : WRING_CHECK_STAGES;
    status = compile_file(file, options);
  });

  CLI::App* invoke_command =
      app.add_subcommand("invoke",
                         "call an export; prints the results as TYPE:HEXBITS, one per line, or "
                         "\"trap: REASON\" with exit "
                         "status 3");
  invoke_command->add_option("FILE", file)->required();
  invoke_command->add_option("EXPORT", export_name, "a name, or an index into the export section")
      ->required();
  invoke_command->add_option("ARGS", args, "TYPE:HEXBITS, for example i32:0x2a");
  add_features(invoke_command);
  add_target(invoke_command);
  invoke_command->callback([&] {
    status = invoke(file, export_name, args, feature_sets().at(features), target(), unoptimized);
  });

  CLI::App* dump_command = app.add_subcommand("dump", "print the IR or the machine code of FILE");
  dump_command->add_option("KIND", kind, "ir or asm")
      ->required()
      ->check(CLI::IsMember({"ir", "asm"}));
  dump_command->add_option("FILE", file)->required();
  dump_command->add_option("FUNC", listing.func, "only this function: an index or a name");
  dump_command->add_flag("--passes", listing.all_passes, "ir: after every pass");
  dump_command->add_flag("--clamped", listing.clamped, "bounds checks hold under speculation");
  dump_command->add_flag("--baseline", listing.baseline_cpu,
                         "asm: for the least CPU that will do, not this one");
  dump_command->callback([&] { status = dump(kind, file, listing); });

  CLI::App* spec_command = app.add_subcommand("spec", "run a converted conformance script");
  spec_command->add_option("FILE", file, "FILE.json")->required();
  add_features(spec_command);
  add_target(spec_command);
  spec_command->add_flag("--strict", spec_options.strict,
                         "fail if anything but the text format and garbage collection is skipped");
  spec_command
      ->add_option("--known", spec_options.known,
                   "list of commands that are known to fail: GROUP/FILE/FILE.json:LINE REASON")
      ->check(CLI::ExistingFile);
  spec_command->add_flag("-v,--verbose", spec_options.verbose, "print what is skipped");
  spec_command->callback([&] {
    InProcessBackend backend(feature_sets().at(features));
    backend.set_target(target());
    backend.set_unoptimized(unoptimized);
    status = run_spec(file, &backend, spec_options) ? 0 : kFailed;
  });

  CLI::App* diff_command = app.add_subcommand("fuzz-diff",
                                              "compare with what another engine answered: DIR is "
                                              "one of fuzz-differential's, beside DIR.jsonl");
  diff_command->add_option("DIR", directory)->required();
  add_target(diff_command);
  diff_command->callback(
      [&] { status = run_fuzz_diff(directory, target(), unoptimized) ? 0 : kFailed; });

  std::string provider;
  PlanOptions plan_options;
  CLI::App* plan_command = app.add_subcommand(
      "plan",
      "print, as JSON, calls of FILE's exports that come to an end; its imports are those of "
      "PROVIDER, which is written");
  plan_command->add_option("FILE", file)->required();
  plan_command->add_option("PROVIDER", provider)->required();
  plan_command->add_option("--calls", plan_options.calls, "how many")->capture_default_str();
  plan_command->add_option("--seed", plan_options.seed, "of arguments")->capture_default_str();
  plan_command->callback([&] { status = plan(file, provider, plan_options); });

  uint64_t first_seed = 0, seed_count = 1;
  CLI::App* generate_command =
      app.add_subcommand("fuzz-gen",
                         "write the generated modules of COUNT seeds from FIRST on as "
                         "DIR/SEED.wasm, and what they import from");
  generate_command->add_option("DIR", directory)->required();
  generate_command->add_option("FIRST", first_seed)->required();
  generate_command->add_option("COUNT", seed_count)->capture_default_str();
  CLI::App* run_command = app.add_subcommand("fuzz-run",
                                             "compile and run the generated modules of COUNT seeds "
                                             "from FIRST on in two ways, and compare");
  unsigned seconds = 0;
  run_command->add_option("FIRST", first_seed)->required();
  run_command->add_option("COUNT", seed_count)->capture_default_str();
  run_command->add_option("--seconds", seconds, "end after so many, 0: never");
  run_command->callback([&] { status = check_generated(first_seed, seed_count, seconds); });

  bool for_v8 = false;
  generate_command->add_flag("--v8", for_v8, "only what the V8 of node 20 knows");
  generate_command->callback([&] {
    test::GenerateOptions generate_options;
    if (for_v8)
      generate_options.relaxed_simd = generate_options.multi_memory = generate_options.call_ref =
          generate_options.exceptions = false;
    status = generate(directory, first_seed, seed_count, generate_options);
  });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  return status;
}

}  // namespace wring::host

int main(int argc, char** argv) { return wring::host::main(argc, argv); }
