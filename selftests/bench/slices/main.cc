// SPDX-License-Identifier: GPL-2.0
// wring-bench-slices: how long hostile programs run between two looks at the time.
//
// Method. Each body is a loop without end around what costs more time than it might seem. Its instance's time slice is
// 0, so that every look at the time yields, and the processor time between two yields is taken. Work is the engine's
// and this machine's alone: no body waits. The figures are of the worst of all gaps, in the best of several rounds,
// since an interrupt of this machine is in some gap of any one of them. All bodies run twice: on data that fit no
// cache, and on so few that fuel is handed out in long slices (runtime/slices.h).
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "selftests/host/compile_report.h"
#include "selftests/host/in_process.h"
#include "selftests/host/platform_posix.h"

namespace wring::bench {
namespace {

using host::cpu_ns;

constexpr char kUsage[] =
    "Usage: wring-bench-slices [--markdown FILE] [--rounds N]\n"
    "Prints how long hostile programs run between two looks at the time, in microseconds.\n"
    "Exit status: 0, 1 (one exceeds 200 us, or does not run), 2 (usage).\n";

constexpr double kMostMicroseconds = 200;
constexpr unsigned kGaps = 400;  // of a round

std::string repeat(unsigned n, const std::string& text) {
  std::string all;
  while (n--) all += text;
  return all;
}

std::string endless(const std::string& body) { return "(loop $l " + body + " (br $l))"; }

// wabt knows only the exceptions that preceded 3.0's: this block stands for (try_table (catch_all 1), as many bytes
// long.
const std::string kTryTable = "(block (drop (i64.const 0x4321))";
constexpr char kTryTableStandIn[] = "\x02\x40\x42\xa1\x86\x01\x1a";
constexpr char kTryTableBytes[] = "\x1f\x40\x01\x02\x01\x01\x01";  // ends in two nops

struct Body {
  const char* name;
  std::string code;
  std::string fields = "";  // further parts of the module
};

// How much there is to work on: the power of two below the memory's size is `bytes`.
struct Data {
  unsigned pages, bytes, table_entries;
};
constexpr Data kLarge = {1040, 1u << 26, 100'000}, kSmall = {3, 1u << 17, 1000};

std::string i32(unsigned value) { return "(i32.const " + std::to_string(value) + ")"; }

// The function has locals $i $j of i32, $x $y of i64, $f of f64, $v of v128; $t is () -> (), $e a tag.
std::vector<Body> bodies(const Data& data) {
  const std::string mask = i32((data.bytes - 1) & ~63u), half = i32(data.bytes / 2);
  const std::string next =
      "(local.set $i (i32.and (i32.add (local.get $i) (i32.const 0x10040)) " + mask + "))";
  const std::string indirect = repeat(100, "(call_indirect (type $t) (i32.const 1))");
  std::string deep =
      "(func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get "
      "0) (i32.const 1))) (call $deep (i32.sub (local.get 0) (i32.const 1))))))";
  return {
      {"f64.sqrt, dependent", endless(repeat(1000, "(local.set $f (f64.sqrt (local.get $f)))"))},
      {"f64.div, dependent",
       endless(repeat(1000, "(local.set $f (f64.div (f64.const 1.1) (local.get $f)))"))},
      {"i64.div_u, dependent",
       endless(repeat(1000,
                      "(local.set $x (i64.div_u (i64.xor (local.get $x) (i64.const -7)) (i64.or "
                      "(local.get $y) (i64.const 5))))"))},
      {"i64.rem_s, dependent",
       endless(repeat(1000,
                      "(local.set $x (i64.xor (i64.const -9) (i64.rem_s (local.get $x) (i64.or "
                      "(local.get $y) (i64.const 3)))))"))},
      {"f64x2.sqrt, dependent",
       endless(repeat(1000, "(local.set $v (f64x2.sqrt (local.get $v)))"))},
      {"i64x2.mul, dependent",
       endless(repeat(1000, "(local.set $v (i64x2.mul (local.get $v) (local.get $v)))"))},
      {"i8x16.swizzle, dependent",
       endless(repeat(1000, "(local.set $v (i8x16.swizzle (local.get $v) (local.get $v)))"))},
      {"i64 arithmetic",
       endless(repeat(1000,
                      "(local.set $x (i64.add (i64.rotl (local.get $x) (i64.const 7)) "
                      "(i64.const 9)))"))},
      {"an empty loop", endless("")},
      {"loads, each from where the last one says",
       endless(repeat(200, next +
                               "(local.set $i (i32.and (i32.add (local.get $i) (i32.load "
                               "(local.get $i))) " +
                               mask + "))"))},
      {"stores to a new page each",
       endless(repeat(200, next + "(i64.store (local.get $i) (i64.const 0))"))},
      {"stores across cache lines",
       endless(repeat(200, next + "(i64.store offset=60 (local.get $i) (i64.const 0))"))},
      {"v128 loads across pages",
       endless(repeat(200, next + "(local.set $v (v128.xor (local.get $v) (v128.load offset=4088 "
                                  "(local.get $i))))"))},
      {"atomic additions across lines",
       endless(repeat(200, next + "(drop (i64.atomic.rmw.add (local.get $i) (i64.const 1)))"))},
      {"memory.fill of half the memory",
       endless("(memory.fill (i32.const 0) (i32.const 1) " + half + ")")},
      {"memory.copy of half the memory, overlapping",
       endless("(memory.copy (i32.const 8) (i32.const 0) " + half + ")")},
      {"memory.fill of 64 KiB",
       endless(
           repeat(100, next + "(memory.fill (local.get $i) (i32.const 1) (i32.const 0xffff))"))},
      {"memory.init of 60 KB",
       endless(repeat(20, "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 60000))")),
       "(data $d \"" + std::string(60000, 'x') + "\")"},
      {"table.fill of all",
       endless("(table.fill 0 (i32.const 0) (ref.func $leaf) " + i32(data.table_entries) + ")")},
      {"table.copy of all but one",
       endless("(table.copy 0 0 (i32.const 1) (i32.const 0) " + i32(data.table_entries - 1) + ")")},
      {"table.grow", endless("(drop (table.grow $g (ref.null func) (i32.const 9000)))"),
       "(table $g 1 9000000 funcref)"},
      {"memory.grow", endless("(drop (memory.grow (i32.const 1)))")},
      {"call_indirect", endless(indirect)},
      {"recursion", endless("(call $deep (i32.const 20))"), deep},
      {"exceptions", endless(repeat(50, kTryTable + "(throw $e (i64.const 1)))"))},
      {"a large br_table",
       endless(repeat(20,
                      "(block $a (block $b (block $c (br_table $a $b $c $a $b $c $a $b $c "
                      "(i32.and (local.tee $i (i32.add (i32.mul (local.get $i) (i32.const "
                      "1103515245)) (i32.const 12345))) (i32.const 7))))))"))},
  };
}

std::string module_text(const Body& body, const Data& data) {
  std::string code = body.code;
  // One label for the handlers of all exceptions.
  if (code.find(kTryTable) != std::string::npos) code = "(loop $l (block $h " + code + ") (br $l))";
  return "(module (memory " + std::to_string(data.pages) + " 65535) (table " +
         std::to_string(data.table_entries) +
         " funcref) (type $t (func)) (tag $e (param i64)) (elem (i32.const 1) func $leaf) "
         "(func $leaf) (func (export \"touch\") (memory.fill (i32.const 0) (i32.const 0) " +
         i32(data.pages * 65536) + "))" + body.fields +
         "(func (export \"f\") (local $i i32) (local $j i32) (local $x i64) (local $y i64) (local "
         "$f "
         "f64) (local $v v128)" +
         "(local.set $f (f64.const 1.5)) (local.set $y (i64.load (i32.const 16))) " + code + "))";
}

std::string assemble(const std::string& text) {
  char dir[] = "/tmp/wring-slices-XXXXXX";
  if (!mkdtemp(dir)) return "";
  std::string in = std::string(dir) + "/m.wat", out = std::string(dir) + "/m.wasm";
  std::ofstream(in) << text;
  int status = std::system(
      ("wat2wasm --enable-exceptions --enable-threads --enable-memory64 -o " + out + " " + in)
          .c_str());
  std::ifstream file(out, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  unlink(in.c_str());
  unlink(out.c_str());
  rmdir(dir);
  if (status != 0) return "";
  for (size_t at = 0; (at = bytes.find(kTryTableStandIn, at)) != std::string::npos;)
    bytes.replace(at, sizeof(kTryTableBytes) - 1, kTryTableBytes);
  return bytes;
}

struct Gaps {
  std::vector<double> us;
  double last = 0;
};

// wring_posix_on_yield: notes the time since the one before.
int on_yield(void* arg) {
  auto* gaps = static_cast<Gaps*>(arg);
  double now = cpu_ns();
  if (gaps->last != 0) gaps->us.push_back((now - gaps->last) / 1000);
  gaps->last = cpu_ns();
  return gaps->us.size() >= kGaps;
}

struct Figures {
  double median = 0, worst = 0;
};

unsigned function_of(const wring_module* module, unsigned export_index) {
  wring_extern_desc desc = {};
  return wring_module_export(module, export_index, &desc) == 0 ? desc.index : 0;
}

bool measure(const Body& body, const Data& data, unsigned rounds, Figures* out) {
  std::string bytes = assemble(module_text(body, data));
  for (unsigned round = 0; round < rounds; round++) {
    host::InProcessBackend backend(0);
    int instance;
    host::Outcome outcome = backend.instantiate_only(bytes, {}, &instance);
    if (outcome.kind != host::Outcome::kOk) {
      fprintf(stderr, "wring-bench-slices: %s: %s\n", body.name, outcome.text.c_str());
      return false;
    }
    wring_instance* raw = backend.instance(instance);
    wring_instance_vmctx(raw)->time_slice = 0;
    // The kernel's memories have their pages; here the first access to each would be a fault.
    Gaps gaps;
    unsigned long long argv[1] = {}, fuel = 1ull << 60;
    if (wring_posix_invoke(raw, function_of(backend.module(instance), 0), argv, &fuel) != 0)
      return false;
    wring_posix_on_yield(on_yield, &gaps);
    unsigned trap = wring_posix_invoke(raw, function_of(backend.module(instance), 1), argv, &fuel);
    wring_posix_on_yield(nullptr, nullptr);
    if (trap != WRING_TRAP_Interrupted) {
      fprintf(stderr, "wring-bench-slices: %s: %s\n", body.name, wring_trap_text(trap));
      return false;
    }
    std::sort(gaps.us.begin(), gaps.us.end());
    double median = gaps.us[gaps.us.size() / 2], worst = gaps.us.back();
    if (round == 0 || worst < out->worst) out->worst = worst;
    if (round == 0 || median < out->median) out->median = median;
  }
  return true;
}

int run(unsigned rounds, const std::string& markdown) {
  std::string table =
      "| us between two looks at the time | median | worst | median, little data | worst |\n"
      "|---|---:|---:|---:|---:|\n";
  std::vector<Body> large = bodies(kLarge), small = bodies(kSmall);
  bool is_good = true;
  for (size_t i = 0; i < large.size(); i++) {
    Figures much, little;
    if (!measure(large[i], kLarge, rounds, &much) || !measure(small[i], kSmall, rounds, &little))
      return 1;
    is_good &= much.worst <= kMostMicroseconds && little.worst <= kMostMicroseconds;
    char line[160];
    snprintf(line, sizeof(line), "| %s | %.1f | %.1f | %.1f | %.1f |\n", large[i].name, much.median,
             much.worst, little.median, little.worst);
    table += line;
  }
  fputs(table.c_str(), stdout);
  if (!markdown.empty()) std::ofstream(markdown) << table;
  if (!is_good) fprintf(stderr, "wring-bench-slices: more than %.0f us\n", kMostMicroseconds);
  return is_good ? 0 : 1;
}

}  // namespace
}  // namespace wring::bench

int main(int argc, char** argv) {
  unsigned rounds = 5;
  std::string markdown;
  for (int i = 1; i < argc; i++) {
    std::string arg = argv[i];
    if (i + 1 < argc && arg == "--markdown") {
      markdown = argv[++i];
    } else if (i + 1 < argc && arg == "--rounds" && std::atoi(argv[i + 1]) > 0) {
      rounds = static_cast<unsigned>(std::atoi(argv[++i]));
    } else {
      fputs(wring::bench::kUsage, arg == "--help" ? stdout : stderr);
      return arg == "--help" ? 0 : 2;
    }
  }
  return wring::bench::run(rounds, markdown);
}
