// SPDX-License-Identifier: GPL-2.0
// The conformance driver. Every command of a script counts: as passed, as failed, or as skipped with a reason.
#include "selftests/host/spec.h"

#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "selftests/host/in_process.h"
#include "selftests/host/spec_value.h"
#include "selftests/host/spectest.h"

namespace wring::host {

namespace {

const char kTextFormat[] = "concerns the text format";

std::string read_file(const std::string& path, bool* ok) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  *ok = static_cast<bool>(in);
  return out.str();
}

// Trap and link messages: the script gives the beginning of a message, or a longer one than ours.
bool is_message(const std::string& expected, const std::string& actual) {
  size_t n = std::min(expected.size(), actual.size());
  return n > 0 && expected.compare(0, n, actual, 0, n) == 0;
}

// What a command came to.
struct Verdict {
  enum Kind { kPassed, kFailed, kSkipped } kind;
  std::string why;
};
Verdict passed() { return {Verdict::kPassed, ""}; }
Verdict failed(const std::string& why) { return {Verdict::kFailed, why}; }
Verdict skipped(const std::string& why) { return {Verdict::kSkipped, why}; }
Verdict failed_with(const Outcome& outcome) {
  return failed(std::string(name_of(outcome.kind)) +
                (outcome.text.empty() ? "" : ": " + outcome.text));
}

// An instance under one or more names; unsupported ones are kept with the reason, for their later assertions.
struct Entry {
  int instance = -1;
  std::string unsupported;
  std::shared_ptr<ModuleNames> names;
};

class Script {
 public:
  Script(std::string directory, Backend* backend)
      : directory_(std::move(directory)), backend_(backend) {
    bool with_floats = true;
    Entry spectest;
    Outcome outcome;
    do {
      std::string bytes = spectest_module(with_floats);
      outcome = backend_->instantiate(bytes, {}, &spectest.instance);
      spectest.names = std::make_shared<ModuleNames>(bytes, true);
    } while (outcome.kind == Outcome::kUnsupported && std::exchange(with_floats, false));
    if (outcome.kind != Outcome::kOk) setup_error_ = "spectest: " + outcome.text;
    registered_["spectest"] = spectest;
  }
  const std::string& setup_error() const { return setup_error_; }

  Verdict run(const Json& command) {
    const std::string type = command["type"];
    if (command.value("module_type", "binary") == "text") return skipped(kTextFormat);
    if (type == "module") return module(command);
    if (type == "module_definition") return module_definition(command);
    if (type == "module_instance") return module_instance(command);
    if (type == "register") return register_as(command);
    if (type == "action") return action(command);
    if (type == "assert_return") return assert_return(command);
    if (type == "assert_trap" || type == "assert_exhaustion") return assert_trap(command);
    if (type == "assert_malformed") return assert_rejected(command, Outcome::kMalformed);
    if (type == "assert_invalid") return assert_rejected(command, Outcome::kInvalid);
    if (type == "assert_unlinkable") return assert_no_instance(command, Outcome::kLink);
    if (type == "assert_uninstantiable") return assert_no_instance(command, Outcome::kTrap);
    if (type == "assert_exception") return skipped("not supported yet: exceptions");
    return failed("unknown command " + type);
  }

 private:
  std::optional<std::string> load(const Json& command) const {
    bool ok;
    std::string bytes = read_file(directory_ + "/" + command["filename"].get<std::string>(), &ok);
    return ok ? std::optional(bytes) : std::nullopt;
  }

  // Imports by registered name. A float function that spectest lacks makes the module unsupported.
  std::vector<ImportValue> resolve(const ModuleNames& names, std::string* unsupported) const {
    std::vector<ImportValue> values;
    for (const ModuleNames::Name& import : names.imports()) {
      auto found = registered_.find(import.module);
      int index = found == registered_.end() ? -1 : found->second.names->find_export(import.name);
      if (found != registered_.end() && !found->second.unsupported.empty())
        *unsupported = found->second.unsupported;
      if (index < 0 && import.module == "spectest" && is_spectest_float_function(import.name))
        *unsupported = "not supported yet: float functions of spectest";
      if (index < 0)
        values.push_back({});
      else
        values.push_back({found->second.instance, static_cast<uint32_t>(index)});
    }
    return values;
  }

  Outcome instantiate(const std::string& bytes, Entry* entry) {
    entry->names = std::make_shared<ModuleNames>(bytes, true);
    std::string unsupported;
    std::vector<ImportValue> imports = resolve(*entry->names, &unsupported);
    Outcome outcome = unsupported.empty() ? backend_->instantiate(bytes, imports, &entry->instance)
                                          : Outcome{Outcome::kUnsupported, unsupported};
    if (outcome.kind == Outcome::kUnsupported) entry->unsupported = outcome.text;
    return outcome;
  }

  Verdict add_module(const std::string& bytes, const std::string& name) {
    Entry entry;
    Outcome outcome = instantiate(bytes, &entry);
    // After a failure, actions must not reach the module before.
    if (outcome.kind != Outcome::kOk && entry.unsupported.empty())
      entry.unsupported = "module not instantiated";
    current_ = entry;
    if (!name.empty()) named_[name] = entry;
    if (outcome.kind == Outcome::kUnsupported) return skipped(outcome.text);
    return outcome.kind == Outcome::kOk ? passed() : failed_with(outcome);
  }

  Verdict module(const Json& command) {
    auto bytes = load(command);
    return bytes ? add_module(*bytes, command.value("name", "")) : failed("cannot read the module");
  }

  Verdict module_definition(const Json& command) {
    auto bytes = load(command);
    if (!bytes) return failed("cannot read the module");
    definitions_[command.value("name", "")] = *bytes;
    Outcome outcome = backend_->validate(*bytes);
    if (outcome.kind == Outcome::kUnsupported) return skipped(outcome.text);
    return outcome.kind == Outcome::kOk ? passed() : failed_with(outcome);
  }

  Verdict module_instance(const Json& command) {
    return add_module(definitions_[command.value("module", "")], command.value("instance", ""));
  }

  const Entry& entry_of(const Json& owner, const char* key) {
    return owner.contains(key) ? named_[owner[key]] : current_;
  }

  Verdict register_as(const Json& command) {
    const Entry& entry = entry_of(command, "name");
    if (!entry.names) return failed("no such module");
    registered_[command["as"]] = entry;
    return entry.unsupported.empty() ? passed() : skipped(entry.unsupported);
  }

  // Performs an action. An empty optional: *verdict says why not.
  std::optional<Outcome> act(const Json& action, std::vector<uint64_t>* values, Verdict* verdict) {
    const Entry& entry = entry_of(action, "module");
    if (!entry.names)
      *verdict = failed("no such module");
    else if (!entry.unsupported.empty())
      *verdict = skipped(entry.unsupported);
    else
      return act_on(entry, action, values, verdict);
    return std::nullopt;
  }

  std::optional<Outcome> act_on(const Entry& entry, const Json& action,
                                std::vector<uint64_t>* values, Verdict* verdict) {
    const std::string field = action["field"];
    int index = entry.names->find_export(field);
    if (index < 0) {
      *verdict = failed("no export \"" + field + "\"");
      return std::nullopt;
    }
    auto export_index = static_cast<uint32_t>(index);
    if (action["type"] == "get") {
      values->resize(2);
      return backend_->get_global(entry.instance, export_index, values->data());
    }
    for (const Json& arg : action["args"]) {
      if (!is_supported_value(arg)) {
        *verdict = skipped("not supported yet: " + arg["type"].get<std::string>() + " values");
        return std::nullopt;
      }
      append_argument(arg, values);
    }
    size_t words = 0;
    for (char letter : entry.names->exports()[export_index].results) words += letter == 'v' ? 2 : 1;
    return backend_->invoke(entry.instance, export_index, words, values);
  }

  Verdict action(const Json& command) {
    std::vector<uint64_t> values;
    Verdict verdict;
    auto outcome = act(command["action"], &values, &verdict);
    if (!outcome) return verdict;
    return outcome->kind == Outcome::kOk ? passed() : failed_with(*outcome);
  }

  Verdict assert_return(const Json& command) {
    const Json& expected = command["expected"];
    for (const Json& value : expected)
      if (!is_supported_value(value))
        return skipped("not supported yet: " + value["type"].get<std::string>() + " values");
    std::vector<uint64_t> values;
    Verdict verdict;
    auto outcome = act(command["action"], &values, &verdict);
    if (!outcome) return verdict;
    if (outcome->kind != Outcome::kOk) return failed_with(*outcome);
    size_t at = 0;
    for (const Json& value : expected) {
      if (at + words_of(value) > values.size()) return failed("fewer results than expected");
      if (!matches(value, values.data() + at))
        return failed("expected " + to_text(value) + ", got " + to_text(value, values.data() + at));
      at += words_of(value);
    }
    bool is_call = command["action"]["type"] == "invoke";
    return is_call && at != values.size() ? failed("more results than expected") : passed();
  }

  Verdict assert_trap(const Json& command) {
    std::vector<uint64_t> values;
    Verdict verdict;
    auto outcome = act(command["action"], &values, &verdict);
    if (!outcome) return verdict;
    const std::string text = command["text"];
    if (outcome->kind == Outcome::kTrap && is_message(text, outcome->text)) return passed();
    return failed("expected trap: " + text + ", got " + failed_with(*outcome).why);
  }

  Verdict assert_rejected(const Json& command, Outcome::Kind kind) {
    auto bytes = load(command);
    if (!bytes) return failed("cannot read the module");
    Outcome outcome = backend_->validate(*bytes);
    if (outcome.kind == kind) return passed();
    if (outcome.kind == Outcome::kUnsupported) return skipped(outcome.text);
    return failed("expected " + std::string(name_of(kind)) + " (" +
                  command["text"].get<std::string>() + "), got " + failed_with(outcome).why);
  }

  Verdict assert_no_instance(const Json& command, Outcome::Kind kind) {
    auto bytes = load(command);
    if (!bytes) return failed("cannot read the module");
    Entry entry;
    Outcome outcome = instantiate(*bytes, &entry);
    const std::string text = command["text"];
    if (outcome.kind == kind && is_message(text, outcome.text)) return passed();
    if (outcome.kind == Outcome::kUnsupported) return skipped(outcome.text);
    return failed("expected " + std::string(name_of(kind)) + ": " + text + ", got " +
                  failed_with(outcome).why);
  }

  std::string directory_;
  Backend* backend_;
  std::string setup_error_;
  Entry current_;
  std::map<std::string, Entry> named_;
  std::map<std::string, Entry> registered_;
  std::map<std::string, std::string> definitions_;
};

// "not supported yet: f32.add at function 3 offset 120" -> without the place, so that reasons can be counted.
std::string without_place(const std::string& reason) {
  size_t at = reason.find(" at ");
  return at == std::string::npos ? reason : reason.substr(0, at);
}

}  // namespace

bool run_spec(const std::string& json_path, Backend* backend, const SpecOptions& options) {
  bool ok;
  Json script = Json::parse(read_file(json_path, &ok), nullptr, false);
  if (!ok || script.is_discarded() || !script.contains("commands")) {
    fprintf(stderr, "%s: not a converted conformance script\n", json_path.c_str());
    return false;
  }
  size_t slash = json_path.rfind('/');
  Script state(slash == std::string::npos ? "." : json_path.substr(0, slash), backend);
  if (!state.setup_error().empty()) {
    fprintf(stderr, "%s\n", state.setup_error().c_str());
    return false;
  }

  unsigned passes = 0, failures = 0, skips = 0, text_skips = 0;
  std::map<std::string, unsigned> reasons;
  for (const Json& command : script["commands"]) {
    Verdict verdict = state.run(command);
    std::string place = json_path + ":" + std::to_string(command.value("line", 0)) + ": " +
                        command["type"].get<std::string>();
    if (verdict.kind == Verdict::kPassed) {
      passes++;
    } else if (verdict.kind == Verdict::kFailed) {
      failures++;
      printf("%s: %s\n", place.c_str(), verdict.why.c_str());
    } else {
      skips++;
      if (verdict.why == kTextFormat) text_skips++;
      reasons[without_place(verdict.why)]++;
      if (options.verbose) printf("%s: skipped: %s\n", place.c_str(), verdict.why.c_str());
    }
  }
  for (const auto& [reason, count] : reasons) printf("%u skipped: %s\n", count, reason.c_str());
  printf("%u passed, %u failed, %u skipped\n", passes, failures, skips);
  return failures == 0 && (!options.strict || skips == text_skips);
}

}  // namespace wring::host
