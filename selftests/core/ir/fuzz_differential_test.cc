// SPDX-License-Identifier: GPL-2.0
// Generated modules through build, optimize and the interpreter: the answers another engine recorded must come
// out, and nothing an optimized function does may differ from what it did before.
//
// WRING_TESTDATA names the directory of unpacked archives; without it these are skipped.
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>

#include "selftests/core/ir/interpreter.h"
#include "selftests/core/ir/module_writer.h"
#include "selftests/core/ir/sha256.h"

namespace wring::test {
namespace {

Body read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return Body(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

// The records are machine-written on one line each; this reads just their shape.
struct Call {
  u32 export_index = 0;
  std::vector<u64> args, results;
  std::string trap, state;
};
struct Record {
  std::string module, instantiate;
  std::vector<Call> calls;
};

std::string string_after(const std::string& s, const std::string& key, size_t from, size_t to) {
  size_t at = s.find("\"" + key + "\":\"", from);
  if (at == std::string::npos || at >= to) return "";
  at += key.size() + 4;
  return s.substr(at, s.find('"', at) - at);
}

void read_values(const std::string& s, const std::string& key, size_t from, size_t to,
                 std::vector<u64>* out) {
  size_t at = s.find("\"" + key + "\":[", from);
  if (at == std::string::npos || at >= to) return;
  at += key.size() + 4;
  while (s[at] == '[' || s[at] == ',') {
    if (s[at] == ',') at++;
    // ["f32","0x3f800000"], or "nan" for the bits: any NaN
    size_t end = s.find(']', at), hex = s.find("0x", at);
    bool is_f32 = s.compare(at, 6, "[\"f32\"") == 0;
    out->push_back(hex < end ? std::strtoull(s.c_str() + hex, nullptr, 16)
                   : is_f32  ? bits_of(std::numeric_limits<float>::quiet_NaN())
                             : bits_of(std::numeric_limits<double>::quiet_NaN()));
    at = end + 1;
  }
}

Record read_record(const std::string& s) {
  Record record;
  record.module = string_after(s, "module", 0, s.size());
  record.instantiate = string_after(s, "instantiate", 0, s.size());
  for (size_t at = s.find("{\"f\":"); at != std::string::npos;) {
    size_t next = s.find("{\"f\":", at + 1);
    size_t end = std::min(next, s.size());
    Call call;
    call.export_index = static_cast<u32>(std::atoi(s.c_str() + at + 5));
    read_values(s, "args", at, end, &call.args);
    read_values(s, "ret", at, end, &call.results);
    call.trap = string_after(s, "trap", at, end);
    call.state = string_after(s, "state", at, end);
    record.calls.push_back(call);
    at = next;
  }
  return record;
}

bool same_trap(const std::string& recorded, TrapReason reason) {
  switch (reason) {
    case TrapReason::kUnreachable: return recorded == "unreachable";
    case TrapReason::kMemoryOutOfBounds: return recorded == "oob-memory";
    case TrapReason::kTableOutOfBounds:
    case TrapReason::kUndefinedElement:
      return recorded == "oob-table" || recorded == "other:element segment out of bounds";
    case TrapReason::kUninitializedElement:
    case TrapReason::kIndirectCallType: return recorded == "indirect-call";
    case TrapReason::kIntegerDivideByZero: return recorded == "div-by-zero";
    case TrapReason::kIntegerOverflow:
      return recorded == "int-overflow" || recorded == "div-overflow" ||
             recorded == "bad-float-to-int";
    case TrapReason::kInvalidConversion: return recorded == "bad-float-to-int";
    default: return false;
  }
}

bool is_nan(ValType type, u64 bits) {
  if (type == ValType::kF32) return std::isnan(f32_of(bits));
  return type == ValType::kF64 && std::isnan(f64_of(bits));
}

// A NaN's payload may differ.
bool same_results(const FuncType& type, const std::vector<u64>& recorded,
                  const std::vector<u64>& ours) {
  if (recorded.size() != ours.size()) return false;
  for (u32 i = 0; i < ours.size(); i++)
    if (recorded[i] != ours[i] &&
        !(is_nan(type.results[i], recorded[i]) && is_nan(type.results[i], ours[i])))
      return false;
  return true;
}

// JavaScript's text of a number: the fewest digits that tell it apart, in decimal places from 1e-6 to below 1e21.
std::string number_text(double x) {
  if (std::isnan(x)) return "nan";
  if (x == 0) return std::signbit(x) ? "-0" : "0";
  if (std::isinf(x)) return x < 0 ? "-Infinity" : "Infinity";
  char buffer[40];
  auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), std::abs(x), std::chars_format::scientific);
  std::string text(buffer, end.ptr), sign = x < 0 ? "-" : "";
  size_t e = text.find('e');
  int n = std::atoi(text.c_str() + e + 1) + 1;  // digits before the point
  std::string digits = text.substr(0, 1) + (e > 2 ? text.substr(2, e - 2) : "");
  int k = static_cast<int>(digits.size());
  if (n > 21 || n < -5) {
    std::string exponent = (n > 0 ? "e+" : "e-") + std::to_string(std::abs(n - 1));
    return sign + digits.substr(0, 1) + (k > 1 ? "." + digits.substr(1) : "") + exponent;
  }
  if (n <= 0) return sign + "0." + std::string(static_cast<size_t>(-n), '0') + digits;
  if (k <= n) return sign + digits + std::string(static_cast<size_t>(n - k), '0');
  return sign + digits.substr(0, static_cast<size_t>(n)) + "." +
         digits.substr(static_cast<size_t>(n));
}

std::string global_text(ValType type, u64 value) {
  switch (type) {
    case ValType::kI32: return std::to_string(static_cast<i32>(value));
    case ValType::kI64: return std::to_string(static_cast<i64>(value));
    case ValType::kF32: return number_text(f32_of(value));
    default: return number_text(f64_of(value));
  }
}

// As the records define it.
std::string state_of(const Module& module, Instance* instance) {
  std::map<std::string, const Export*> exports;
  for (const Export& e : module.exports)
    exports[std::string(reinterpret_cast<const char*>(e.name.data()), e.name.size())] = &e;
  Sha256 hash;
  for (const auto& [name, e] : exports) {
    if (e->kind == ExternKind::kMemory) {
      const std::vector<u8>& memory = instance->memory(e->index);
      hash.update(memory.data(), memory.size());
    }
    if (e->kind != ExternKind::kGlobal) continue;
    ValType type = module.globals[e->index].type.type;
    if (is_ref(type) || type == ValType::kV128) continue;
    std::string text = name + "=" + global_text(type, instance->global(e->index));
    hash.update(reinterpret_cast<const u8*>(text.data()), text.size());
  }
  return hash.hex().substr(0, 16);
}

class FuzzDifferential : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    const char* dir = std::getenv("WRING_TESTDATA");
    if (!dir) GTEST_SKIP() << "WRING_TESTDATA is not set";
    dir_ = std::string(dir) + "/fuzz-differential";
  }
  std::string dir_;
};

// Parameter: whether to optimize.
TEST_P(FuzzDifferential, MatchesRecordedResults) {
  int compared = 0, skipped = 0;
  for (const char* group : {"w2nosimd", "w2"}) {
    std::ifstream lines(dir_ + "/" + group + ".jsonl");
    ASSERT_TRUE(lines.is_open()) << group;
    for (std::string line; std::getline(lines, line);) {
      Record record = read_record(line);
      Module* module = decode_module(read_file(dir_ + "/" + group + "/" + record.module));
      ASSERT_TRUE(module) << record.module;
      Program program(module, {}, {});
      program.compile(GetParam());
      ASSERT_EQ(program.error(), "") << record.module;
      if (record.instantiate != "ok") continue;
      for (const Call& call : record.calls) {
        if (call.trap == "stack-exhausted") continue;
        Instance instance(program);
        Outcome out = instance.instantiate();
        u32 func = module->exports[call.export_index].index;
        if (out.kind == Outcome::kReturned) out = instance.call(func, call.args);
        if (out.kind == Outcome::kSkipped) {
          skipped++;
          continue;
        }
        compared++;
        std::string what = record.module + " export " + std::to_string(call.export_index);
        if (out.kind == Outcome::kTrapped) {
          EXPECT_TRUE(same_trap(call.trap, out.trap))
              << what << " " << call.trap << " " << int(out.trap);
        } else {
          EXPECT_TRUE(call.trap.empty() &&
                      same_results(module->func_type(func), call.results, out.results))
              << what << " " << call.trap;
        }
        EXPECT_EQ(state_of(*module, &instance), call.state) << what;
      }
    }
  }
  RecordProperty("compared", compared);
  RecordProperty("skipped", skipped);
  std::printf("compared %d calls, skipped %d\n", compared, skipped);
  EXPECT_GT(compared, 100);
}

INSTANTIATE_TEST_SUITE_P(Built, FuzzDifferential, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Optimized, FuzzDifferential, ::testing::Values(true));

}  // namespace
}  // namespace wring::test
