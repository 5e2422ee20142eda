// SPDX-License-Identifier: GPL-2.0
// Generated modules through build, optimize and the interpreter: the answers another engine recorded must come
// out, and nothing an optimized function does may differ from what it did before.
//
// WRING_TESTDATA names the directory of unpacked archives; without it these are skipped.
#include <gtest/gtest.h>

#include <algorithm>
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
  bool has_float = false;
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
                 std::vector<u64>* out, bool* has_float) {
  size_t at = s.find("\"" + key + "\":[", from);
  if (at == std::string::npos || at >= to) return;
  at += key.size() + 4;
  while (s[at] == '[' || s[at] == ',') {
    if (s[at] == ',') at++;
    *has_float |= s[at + 2] != 'i';
    size_t hex = s.find("0x", at);
    out->push_back(std::strtoull(s.c_str() + hex, nullptr, 16));
    at = s.find(']', hex) + 1;
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
    read_values(s, "args", at, end, &call.args, &call.has_float);
    read_values(s, "ret", at, end, &call.results, &call.has_float);
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
    case TrapReason::kUndefinedElement: return recorded == "oob-table";
    case TrapReason::kUninitializedElement:
    case TrapReason::kIndirectCallType: return recorded == "indirect-call";
    case TrapReason::kIntegerDivideByZero: return recorded == "div-by-zero";
    case TrapReason::kIntegerOverflow:
      return recorded == "int-overflow" || recorded == "div-overflow";
    default: return false;
  }
}

// As the records define it; empty when a float global makes the text JavaScript's business.
std::string state_of(const Module& module, Instance* instance) {
  std::map<std::string, const Export*> exports;
  for (const Export& e : module.exports)
    exports[std::string(reinterpret_cast<const char*>(e.name.data()), e.name.size())] = &e;
  Sha256 hash;
  for (const auto& [name, e] : exports) {
    if (e->kind == ExternKind::kMemory)
      hash.update(instance->memory().data(), instance->memory().size());
    if (e->kind != ExternKind::kGlobal) continue;
    ValType type = module.globals[e->index].type.type;
    if (is_ref(type)) continue;
    if (type != ValType::kI32 && type != ValType::kI64) return "";
    u64 value = instance->global(e->index);
    long long number =
        type == ValType::kI32 ? static_cast<i32>(value) : static_cast<long long>(value);
    std::string text = name + "=" + std::to_string(number);
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
        if (call.has_float || call.trap == "stack-exhausted" || call.trap == "bad-float-to-int")
          continue;
        Instance instance(program);
        Outcome out = instance.instantiate();
        if (out.kind == Outcome::kReturned)
          out = instance.call(module->exports[call.export_index].index, call.args);
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
          EXPECT_TRUE(call.trap.empty() && out.results == call.results) << what << " " << call.trap;
        }
        std::string state = state_of(*module, &instance);
        if (!state.empty()) {
          EXPECT_EQ(state, call.state) << what;
        }
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
