// SPDX-License-Identifier: GPL-2.0
// The conformance driver. Every command of a script counts: as passed, as failed, or as skipped with a reason.
#include "selftests/host/spec.h"

#include <cstdio>
#include <fstream>
#include <map>
#include <optional>

#include "selftests/host/files.h"
#include "selftests/host/in_process.h"
#include "selftests/host/spec_value.h"
#include "selftests/host/spectest.h"

namespace wring::host {

namespace {

const char kTextFormat[] = "concerns the text format";
const char kGarbageCollected[] = "concerns garbage-collected types";

// Trap and link messages: the script gives the beginning of a message, or a longer one than ours.
bool is_message(const std::string& expected, const std::string& actual) {
  size_t n = std::min(expected.size(), actual.size());
  return n > 0 && expected.compare(0, n, actual, 0, n) == 0;
}

// The engine's refusal of a feature, as the reason of a skip.
std::string reason_of(const std::string& refusal) {
  return refusal.rfind("garbage-collected types", 0) == 0 ? kGarbageCollected : refusal;
}

// The known failures of a script, by line.
std::map<unsigned, std::string> known_failures(const std::string& known_path,
                                               const std::string& json_path) {
  std::map<unsigned, std::string> out;
  std::ifstream in(known_path);
  for (std::string line; std::getline(in, line);) {
    size_t colon = line.find(':'), space = line.find(' ');
    if (line.empty() || line[0] == '#' || colon == std::string::npos || space < colon) continue;
    std::string file = "/" + line.substr(0, colon), path = "/" + json_path;
    if (path.size() < file.size() ||
        path.compare(path.size() - file.size(), file.size(), file) != 0)
      continue;
    out[static_cast<unsigned>(std::stoul(line.substr(colon + 1)))] = line.substr(space + 1);
  }
  return out;
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

// An instance, under one or more names; unsupported ones are kept with the reason, for their later assertions.
struct Entry {
  int instance = -1;
  std::string unsupported;
  std::shared_ptr<ModuleNames> names;
};

class Script {
 public:
  Script(std::string directory, Backend* backend)
      : directory_(std::move(directory)), backend_(backend) {
    std::vector<Entry>& spectest = registered_["spectest"];
    for (const std::string& bytes : spectest_modules()) {
      Entry entry;
      Outcome outcome = backend_->instantiate(bytes, {}, &entry.instance);
      entry.names = std::make_shared<ModuleNames>(bytes);
      if (outcome.kind == Outcome::kOk)
        spectest.push_back(entry);
      else if (spectest.empty())
        setup_error_ = "spectest: " + outcome.text;
    }
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
    if (type == "assert_trap" || type == "assert_exhaustion")
      return assert_trap(command, command["text"]);
    if (type == "assert_malformed") return assert_rejected(command, Outcome::kMalformed);
    if (type == "assert_invalid") return assert_rejected(command, Outcome::kInvalid);
    if (type == "assert_unlinkable") return assert_no_instance(command, Outcome::kLink);
    if (type == "assert_uninstantiable") return assert_no_instance(command, Outcome::kTrap);
    if (type == "assert_exception") return assert_trap(command, "uncaught exception");
    return failed("unknown command " + type);
  }

 private:
  std::optional<std::string> load(const Json& command) const {
    std::string bytes;
    bool ok = read_file(directory_ + "/" + command["filename"].get<std::string>(), &bytes);
    return ok ? std::optional(bytes) : std::nullopt;
  }

  // Imports by registered name.
  std::vector<ImportValue> resolve(const ModuleNames& names, std::string* unsupported) const {
    std::vector<ImportValue> values;
    for (const ModuleNames::Name& import : names.imports()) {
      ImportValue value;
      auto found = registered_.find(import.module);
      if (found != registered_.end()) {
        for (const Entry& entry : found->second) {
          int index = entry.names->find_export(import.name);
          if (!entry.unsupported.empty()) *unsupported = entry.unsupported;
          if (index >= 0) value = {entry.instance, static_cast<uint32_t>(index)};
        }
      }
      values.push_back(value);
    }
    return values;
  }

  Outcome instantiate(const std::string& bytes, Entry* entry) {
    entry->names = std::make_shared<ModuleNames>(bytes);
    std::string unsupported;
    std::vector<ImportValue> imports = resolve(*entry->names, &unsupported);
    Outcome outcome = unsupported.empty() ? backend_->instantiate(bytes, imports, &entry->instance)
                                          : Outcome{Outcome::kUnsupported, unsupported};
    if (outcome.kind == Outcome::kUnsupported) entry->unsupported = reason_of(outcome.text);
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
    if (outcome.kind == Outcome::kUnsupported) return skipped(reason_of(outcome.text));
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
    if (outcome.kind == Outcome::kUnsupported) return skipped(reason_of(outcome.text));
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
    registered_[command["as"]] = {entry};
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
        *verdict = skipped(kGarbageCollected);
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
      if (!is_supported_value(value)) return skipped(kGarbageCollected);
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

  Verdict assert_trap(const Json& command, const std::string& text) {
    std::vector<uint64_t> values;
    Verdict verdict;
    auto outcome = act(command["action"], &values, &verdict);
    if (!outcome) return verdict;
    if (outcome->kind == Outcome::kTrap && is_message(text, outcome->text)) return passed();
    return failed("expected trap: " + text + ", got " + failed_with(*outcome).why);
  }

  Verdict assert_rejected(const Json& command, Outcome::Kind kind) {
    auto bytes = load(command);
    if (!bytes) return failed("cannot read the module");
    Outcome outcome = backend_->validate(*bytes);
    if (outcome.kind == kind) return passed();
    if (outcome.kind == Outcome::kUnsupported) return skipped(reason_of(outcome.text));
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
    if (outcome.kind == Outcome::kUnsupported) return skipped(reason_of(outcome.text));
    return failed("expected " + std::string(name_of(kind)) + ": " + text + ", got " +
                  failed_with(outcome).why);
  }

  std::string directory_;
  Backend* backend_;
  std::string setup_error_;
  Entry current_;
  std::map<std::string, Entry> named_;
  std::map<std::string, std::vector<Entry>> registered_;
  std::map<std::string, std::string> definitions_;
};

// "not supported yet: f32.add at function 3 offset 120" -> without the place, so that reasons can be counted.
std::string without_place(const std::string& reason) {
  size_t at = reason.find(" at ");
  return at == std::string::npos ? reason : reason.substr(0, at);
}

// A known failure is skipped; if it is none any more the list is wrong.
Verdict as_known(const Verdict& verdict, const std::string& reason) {
  if (verdict.kind == Verdict::kFailed) return skipped(reason);
  return verdict.kind == Verdict::kPassed
             ? failed("passes, but is listed as known to fail: " + reason)
             : verdict;
}

}  // namespace

bool run_spec(const std::string& json_path, Backend* backend, const SpecOptions& options) {
  std::string text;
  if (!read_file(json_path, &text)) {
    fprintf(stderr, "wring-host: cannot read %s\n", json_path.c_str());
    return false;
  }
  Json script = Json::parse(text, nullptr, false);
  if (script.is_discarded() || !script.contains("commands")) {
    fprintf(stderr, "%s: not a converted conformance script\n", json_path.c_str());
    return false;
  }
  size_t slash = json_path.rfind('/');
  Script state(slash == std::string::npos ? "." : json_path.substr(0, slash), backend);
  if (!state.setup_error().empty()) {
    fprintf(stderr, "%s\n", state.setup_error().c_str());
    return false;
  }

  unsigned passes = 0, failures = 0, skips = 0, good_skips = 0;
  std::map<unsigned, std::string> known = known_failures(options.known, json_path);
  std::map<std::string, unsigned> reasons;
  for (const Json& command : script["commands"]) {
    Verdict verdict = state.run(command);
    auto found = known.find(command.value("line", 0u));
    bool is_known = found != known.end();
    if (is_known) verdict = as_known(verdict, found->second);
    std::string place = json_path + ":" + std::to_string(command.value("line", 0)) + ": " +
                        command["type"].get<std::string>();
    if (verdict.kind == Verdict::kPassed) {
      passes++;
    } else if (verdict.kind == Verdict::kFailed) {
      failures++;
      printf("%s: %s\n", place.c_str(), verdict.why.c_str());
    } else {
      skips++;
      good_skips += is_known || verdict.why == kTextFormat || verdict.why == kGarbageCollected;
      reasons[without_place(verdict.why)]++;
      if (options.verbose) printf("%s: skipped: %s\n", place.c_str(), verdict.why.c_str());
    }
  }
  for (const auto& [reason, count] : reasons) printf("%u skipped: %s\n", count, reason.c_str());
  printf("%u passed, %u failed, %u skipped\n", passes, failures, skips);
  return failures == 0 && (!options.strict || skips == good_skips);
}

}  // namespace wring::host
