// SPDX-License-Identifier: GPL-2.0
// Differential test against recorded answers of another engine: results, traps and, after each call, a digest of the
// exported memories and numeric globals. Calls that exhausted the other engine's stack are not compared.
//
// Records of modules with imports name a provider (provider.h), whose exports these are. Their calls say whether they
// are made in a fresh instance, and the last of an instance has the state's digest, and one that takes NaNs as equal.
#include "selftests/host/fuzz_diff.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "selftests/core/ir/sha256.h"
#include "selftests/host/files.h"
#include "selftests/host/in_process.h"

namespace wring::host {

namespace {

using Json = nlohmann::json;

constexpr const char* kTheirStack = "stack-exhausted";

// The recording engine's word for a trap: what ours may say.
bool is_same_trap(const std::string& theirs, const std::string& ours) {
  static const std::multimap<std::string, std::string> words = {
      {"oob-memory", "out of bounds memory access"},
      {"oob-table", "out of bounds table access"},
      {"oob-table", "undefined element"},
      {"indirect-call", "indirect call type mismatch"},
      {"indirect-call", "uninitialized element"},
      {"div-by-zero", "integer divide by zero"},
      {"div-overflow", "integer overflow"},
      {"bad-float-to-int", "invalid conversion to integer"},
      {"bad-float-to-int", "integer overflow"},
      {"unreachable", "unreachable"},
      {"unaligned-atomic", "unaligned atomic"},
      {"null-reference", "null reference"},
      {"null-reference", "null function reference"},
      {"uncaught-exception", "uncaught exception"},
  };
  auto [first, last] = words.equal_range(theirs);
  for (auto it = first; it != last; ++it)
    if (ours.rfind(it->second, 0) == 0) return true;
  if (theirs.rfind("other:", 0) != 0) return false;
  if (theirs.find("data segment") != std::string::npos)
    return ours.find("memory access") != std::string::npos;
  return theirs.find("element segment") != std::string::npos &&
         ours.find("table access") != std::string::npos;
}

std::u16string to_utf16(const std::string& utf8) {
  std::u16string out;
  for (size_t i = 0; i < utf8.size();) {
    auto byte = static_cast<unsigned char>(utf8[i]);
    size_t n = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    char32_t c = n == 1 ? byte : byte & (0x7fu >> n);
    for (size_t j = 1; j < n && i + j < utf8.size(); j++)
      c = c << 6 | (static_cast<unsigned char>(utf8[i + j]) & 0x3f);
    i += n;
    if (c < 0x10000) {
      out += static_cast<char16_t>(c);
    } else {
      out += static_cast<char16_t>(0xd800 + ((c - 0x10000) >> 10));
      out += static_cast<char16_t>(0xdc00 + ((c - 0x10000) & 0x3ff));
    }
  }
  return out;
}

// ECMAScript's Number::toString.
std::string js_number(double value) {
  if (std::isnan(value)) return "nan";
  if (value == 0) return std::signbit(value) ? "-0" : "0";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  char text[64];
  auto end =
      std::to_chars(text, text + sizeof(text), std::fabs(value), std::chars_format::scientific).ptr;
  std::string scientific(text, end);
  size_t e = scientific.find('e');
  int n = std::stoi(scientific.substr(e + 1)) + 1;
  std::string digits = scientific.substr(0, e);
  digits.erase(std::remove(digits.begin(), digits.end(), '.'), digits.end());
  int k = static_cast<int>(digits.size());
  std::string out = value < 0 ? "-" : "";
  if (k <= n && n <= 21) return out + digits + std::string(static_cast<size_t>(n - k), '0');
  if (0 < n && n <= 21)
    return out + digits.substr(0, static_cast<size_t>(n)) + "." +
           digits.substr(static_cast<size_t>(n));
  if (-6 < n && n <= 0) return out + "0." + std::string(static_cast<size_t>(-n), '0') + digits;
  std::string exponent = (n - 1 < 0 ? "-" : "+") + std::to_string(std::abs(n - 1));
  return out + digits.substr(0, 1) + (k > 1 ? "." + digits.substr(1) : "") + "e" + exponent;
}

std::string js_global(char letter, uint64_t bits) {
  switch (letter) {
    case 'i': return std::to_string(static_cast<int32_t>(bits));
    case 'l': return std::to_string(static_cast<int64_t>(bits));
    case 'f': return js_number(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    default: return js_number(std::bit_cast<double>(bits));
  }
}

// The digest of an instance's exported state.
std::string state_of(InProcessBackend* backend, int instance) {
  struct Item {
    std::u16string key;
    wring_extern_desc desc;
  };
  std::vector<Item> items;
  wring_extern_desc desc;
  const wring_module* module = backend->module(instance);
  for (unsigned i = 0; wring_module_export(module, i, &desc) == 0; i++)
    items.push_back(
        {to_utf16(std::string(desc.name.data ? desc.name.data : "", desc.name.len)), desc});
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.key < b.key; });

  test::Sha256 hash;
  for (const Item& item : items) {
    wring_memory_view memory;
    if (item.desc.kind == 2 &&
        wring_instance_memory(backend->instance(instance), item.desc.index, &memory) == 0)
      hash.update(memory.base, memory.bytes);
    if (item.desc.kind != 3) continue;
    char letter = item.desc.results[0];
    unsigned long long bits[2];
    if (!std::strchr("ilfd", letter) ||
        wring_instance_global(backend->instance(instance), item.desc.index, bits) != 0)
      continue;
    std::string text =
        std::string(item.desc.name.data ? item.desc.name.data : "", item.desc.name.len) + "=" +
        js_global(letter, bits[0]);
    hash.update(reinterpret_cast<const u8*>(text.data()), text.size());
  }
  return hash.hex().substr(0, 16);
}

// Makes whatever may be a NaN alike, at any alignment: addresses may be odd.
void remove_nans(std::vector<u8>* page) {
  u8* byte = page->data();
  for (size_t i = 3; i < page->size(); i++) {
    if ((byte[i] & 0x7f) != 0x7f || byte[i - 1] < 0x80) continue;
    if (byte[i - 1] == 0x80 && !byte[i - 2] && !byte[i - 3]) continue;  // infinity
    memset(byte + i - 3, 0xff, 4);
    i += 3;
  }
}

// For large memories: in the order of exports, pages that are not all zeros, and numeric globals.
void add_digest(InProcessBackend* backend, int instance, bool without_nans, test::Sha256* hash) {
  constexpr size_t kPage = 65536;
  static const std::vector<u8> zeros(kPage);
  auto add = [&](const std::string& text) {
    hash->update(reinterpret_cast<const u8*>(text.data()), text.size());
  };
  wring_extern_desc desc;
  for (unsigned i = 0; wring_module_export(backend->module(instance), i, &desc) == 0; i++) {
    wring_memory_view memory;
    unsigned long long bits[2];
    if (desc.kind == 2 &&
        wring_instance_memory(backend->instance(instance), desc.index, &memory) == 0) {
      add("memory of " + std::to_string(memory.bytes / kPage) + ":");
      for (size_t at = 0; at < memory.bytes; at += kPage) {
        if (memcmp(memory.base + at, zeros.data(), kPage) == 0) continue;
        std::vector<u8> page(memory.base + at, memory.base + at + kPage);
        if (without_nans) remove_nans(&page);
        add(std::to_string(at / kPage) + "=");
        hash->update(page.data(), kPage);
      }
    } else if (desc.kind == 3 && std::strchr("ilfd", desc.results[0]) &&
               wring_instance_global(backend->instance(instance), desc.index, bits) == 0) {
      add("global " + js_global(desc.results[0], bits[0]) + ";");
    }
  }
}

bool is_nan(const std::string& type, uint64_t bits) {
  return type == "f32" ? std::isnan(std::bit_cast<float>(static_cast<uint32_t>(bits)))
                       : type == "f64" && std::isnan(std::bit_cast<double>(bits));
}

// A NaN's payload may differ.
bool is_result(const std::string& type, const std::string& expected, uint64_t bits) {
  if (expected == "nan") return is_nan(type, bits);
  uint64_t word = std::stoull(expected, nullptr, 16);
  return bits == word || (is_nan(type, bits) && is_nan(type, word));
}

class Comparison {
 public:
  Comparison(const wring_target& target, bool unoptimized)
      : target_(target), unoptimized_(unoptimized) {}
  void module(const std::string& directory, const Json& record) {
    name_ = record["module"];
    bytes_ = read(directory + "/" + name_);
    std::string theirs = record["instantiate"];
    InProcessBackend backend(0);
    backend.set_target(target_);
    backend.set_unoptimized(unoptimized_);
    int instance = -1;
    std::vector<ImportValue> imports;
    exporter_ = -1;
    has_provider_ = record.contains("provider");
    const std::string path = directory + "/" + name_;
    const std::string other =
        read(has_provider_ ? directory + "/" + record["provider"].get<std::string>()
                           : path.substr(0, path.rfind('.')) + kExporterSuffix);
    if (!other.empty()) {
      Outcome exporter = backend.instantiate(other, {}, &exporter_);
      check(exporter.kind == Outcome::kOk, "instantiation of the exporter: " + text_of(exporter));
      if (exporter.kind != Outcome::kOk) return;
      const ModuleNames names(bytes_), exports(other);
      for (size_t i = 0; i < names.imports().size(); i++)
        imports.push_back({exporter_, has_provider_ ? static_cast<uint32_t>(i)
                                                    : static_cast<uint32_t>(exports.find_export(
                                                          names.imports()[i].name))});
    }
    Outcome outcome = backend.instantiate(bytes_, imports, &instance);
    if (outcome.kind == Outcome::kUnsupported || theirs == kTheirStack)
      return skip(1 + calls_of(record));
    if (theirs != "ok")
      return check(outcome.kind == Outcome::kTrap && is_same_trap(theirs, outcome.text),
                   "instantiation: expected " + theirs + ", got " + text_of(outcome));
    check(outcome.kind == Outcome::kOk, "instantiation: " + text_of(outcome));
    if (outcome.kind != Outcome::kOk) return skip(calls_of(record));
    for (const Json& c : record["calls"]) call(&backend, instance, c);
  }
  bool report() const {
    printf("%u passed, %u failed, %u skipped\n", passed_, failed_, skipped_);
    return failed_ == 0;
  }

 private:
  static unsigned calls_of(const Json& record) {
    return record.contains("calls") ? static_cast<unsigned>(record["calls"].size()) : 0;
  }
  static std::string text_of(const Outcome& outcome) {
    return outcome.kind == Outcome::kOk ? "success" : outcome.text;
  }
  void skip(unsigned n) { skipped_ += n; }
  void check(bool ok, const std::string& what) {
    (ok ? passed_ : failed_)++;
    if (!ok) printf("%s: %s\n", name_.c_str(), what.c_str());
  }

  static std::string read(const std::string& path) {
    std::string bytes;
    read_file(path, &bytes);
    return bytes;
  }

  Outcome renew(InProcessBackend* backend, int instance) {
    if (exporter_ >= 0)
      if (Outcome o = backend->renew(exporter_); o.kind != Outcome::kOk) return o;
    return backend->renew(instance);
  }

  std::string digest(InProcessBackend* backend, int instance, bool without_nans) const {
    test::Sha256 hash;
    add_digest(backend, exporter_, without_nans, &hash);
    add_digest(backend, instance, without_nans, &hash);
    return hash.hex().substr(0, 16);
  }

  void call(InProcessBackend* backend, int instance, const Json& record) {
    std::string theirs = record.value("trap", "");
    if (theirs == kTheirStack) return skip(1);
    Outcome outcome;
    if (record.value("fresh", true)) outcome = renew(backend, instance);
    if (outcome.kind != Outcome::kOk) return check(false, "instantiation again: " + outcome.text);
    std::vector<uint64_t> values;
    for (const Json& arg : record["args"])
      values.push_back(std::stoull(arg[1].get<std::string>(), nullptr, 16));
    std::string what =
        "export " + std::to_string(record["f"].get<int>()) + record["args"].dump() + ": ";
    size_t results = record.contains("ret") ? record["ret"].size() : 0;
    outcome = backend->invoke(instance, record["f"], results, &values);
    if (!theirs.empty()) {
      if (outcome.kind != Outcome::kTrap || !is_same_trap(theirs, outcome.text))
        return check(false, what + "expected trap " + theirs + ", got " + text_of(outcome));
    } else {
      if (outcome.kind != Outcome::kOk) return check(false, what + text_of(outcome));
      for (size_t i = 0; i < results; i++) {
        std::string type = record["ret"][i][0];
        std::string expected = record["ret"][i][1];
        if (!is_result(type, expected, values[i]))
          return check(false, what + "result " + std::to_string(i) + " is " +
                                  std::to_string(values[i]) + ", expected " + expected);
      }
    }
    if (!record.contains("state")) return check(true, "");
    std::string state =
        has_provider_ ? digest(backend, instance, false) : state_of(backend, instance);
    // The bits of a NaN are any engine's choice, wherever they go from there.
    bool same = state == record["state"] ||
                (record.contains("state_without_nans") &&
                 digest(backend, instance, true) == record["state_without_nans"]);
    check(same, what + "state is " + state + ", expected " + record["state"].dump());
  }

  const wring_target& target_;
  bool unoptimized_;
  std::string name_, bytes_;
  int exporter_ = -1;          // what the present module imports from
  bool has_provider_ = false;  // and that is in the order of the imports
  unsigned passed_ = 0, failed_ = 0, skipped_ = 0;
};

}  // namespace

bool run_fuzz_diff(const std::string& directory, const wring_target& target, bool unoptimized) {
  std::string trimmed = directory.substr(0, directory.find_last_not_of('/') + 1);
  std::ifstream lines(trimmed + ".jsonl");
  if (!lines) {
    fprintf(stderr, "cannot read %s.jsonl\n", trimmed.c_str());
    return false;
  }
  Comparison comparison(target, unoptimized);
  for (std::string line; std::getline(lines, line);) {
    Json record = Json::parse(line, nullptr, false);
    if (record.is_discarded()) {
      fprintf(stderr, "%s.jsonl: not JSON\n", trimmed.c_str());
      return false;
    }
    comparison.module(trimmed, record);
  }
  return comparison.report();
}

}  // namespace wring::host
