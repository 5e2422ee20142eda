// SPDX-License-Identifier: GPL-2.0
// wring-compare: the same C source as Wasm in wring.ko and as eBPF, side by side on the running kernel.
//
// First both see a corpus of packets and must agree on every verdict, every byte left in the packet and every counter;
// then invocations and loads are timed by the kernel's clock, which under QEMU's icount counts instructions. An
// invocation is timed by BPF_PROG_TEST_RUN, and what its loop costs around an empty eBPF program is taken off.
#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <functional>

#include "loader/attach.h"
#include "loader/output.h"
#include "selftests/bench/subject.h"

namespace wring::bench {
namespace {

using loader::Failure;
using loader::Fd;
using loader::Json;
using loader::say;

constexpr const char* kEmpty = "xdp_pass";
constexpr const char* kPrograms[] = {kEmpty, "xdp_block"};
constexpr std::uint64_t kSeed = 1;
constexpr int kLoads = 7;
constexpr int kRounds = 5;

constexpr char kUsage[] =
    "Usage: wring-compare [--icount] [--clamped] [--format text|markdown|json] [--repeat N] "
    "DIRECTORY\n"
    "Compares DIRECTORY's programs as Wasm (NAME.wasm) and as eBPF (NAME.bpf.o): xdp_pass, "
    "xdp_block.\n"
    "  --icount      the clock counts instructions (scripts/vm --icount): call them so\n"
    "  --clamped     the Wasm's bounds checks hold under speculation, as for loaders without "
    "CAP_PERFMON\n"
    "  --format F    how to print the results (default text)\n"
    "  --repeat N    invocations per measurement (default 4000)\n"
    "Exit status: 0, 1 (the two disagree, or failed), 2 (usage).\n";

struct Options {
  bool icount = false;
  std::uint32_t flags = 0;  // of the Wasm's loads
  std::string format = "text";
  std::uint32_t repeat = 4000;
  std::string directory;
};

// One kind of packet: the clock's units per invocation beyond those of an empty eBPF program.
struct Timing {
  std::string packet;
  long ebpf = 0, wasm = 0;
  long wasm_entry = 0;  // of `wasm`: what an empty Wasm program takes
};

struct Comparison {
  std::string program;
  std::size_t packets = 0;
  std::uint32_t ebpf_bytes = 0, wasm_bytes = 0;
  long ebpf_load = 0, wasm_load = 0;  // from file to ready to attach, in the clock's units
  std::vector<Timing> timings;
};

template <class T>
T median(std::vector<T> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

long median_load(const std::function<std::unique_ptr<Subject>()>& load) {
  std::vector<long> times;
  for (int i = 0; i < kLoads; i++) {
    auto start = std::chrono::steady_clock::now();
    std::unique_ptr<Subject> subject = load();
    times.push_back(static_cast<long>((std::chrono::steady_clock::now() - start).count()));
  }
  return median(times);
}

// The least of several rounds: what timer interrupts add is not the program's.
long least_duration(const Subject& subject, const Packet& packet, std::uint32_t repeat) {
  long least = LONG_MAX;
  for (int i = 0; i < kRounds; i++)
    least = std::min<long>(least, subject.run_repeatedly(packet, repeat).duration);
  return least;
}

// How the two differ on a packet; empty if they do not.
std::string difference(const Run& ebpf, const Run& wasm) {
  if (ebpf.verdict != wasm.verdict)
    return "eBPF answers " + std::to_string(ebpf.verdict) + ", Wasm " +
           std::to_string(wasm.verdict);
  if (ebpf.packet != wasm.packet) return "the packets differ afterwards";
  return "";
}

void check_equality(const std::string& name, const Subject& ebpf, const Subject& wasm,
                    const std::vector<Packet>& corpus) {
  std::size_t differences = 0;
  std::string first;
  for (const Packet& packet : corpus) {
    std::string text = difference(ebpf.run(packet), wasm.run(packet));
    if (!text.empty() && differences++ == 0) first = packet.label + ": " + text;
  }
  if (differences)
    throw Failure(name + ": " + std::to_string(differences) + " of " +
                  std::to_string(corpus.size()) + " packets differ; the first: " + first);
  if (ebpf.map_names() != wasm.map_names()) throw Failure(name + ": the two have different maps");
  for (const std::string& map : ebpf.map_names()) {
    std::vector<std::uint64_t> expected = ebpf.sums(map), actual = wasm.sums(map);
    for (std::size_t i = 0; i < std::max(expected.size(), actual.size()); i++)
      if (i >= expected.size() || i >= actual.size() || expected[i] != actual[i])
        throw Failure(name + ": map " + map + " differs at element " + std::to_string(i));
  }
}

struct Pair {
  std::unique_ptr<Subject> ebpf, wasm;
};

Pair load_pair(const Fd& device, const std::string& path, const Options& options) {
  Pair pair{load_ebpf(path + ".bpf.o"), load_wasm(device, path + ".wasm", options.flags)};
  for (const Subject* subject : {pair.ebpf.get(), pair.wasm.get()})
    if (subject->has_map("config")) subject->set("config", 0, kBlockedPort);
  return pair;
}

Comparison compare(const Fd& device, const std::string& name, const Pair& empty,
                   const std::vector<Packet>& corpus, const Options& options) {
  std::string path = options.directory + "/" + name;
  Pair pair = load_pair(device, path, options);
  check_equality(name, *pair.ebpf, *pair.wasm, corpus);

  Comparison result;
  result.program = name;
  result.packets = corpus.size();
  result.ebpf_bytes = pair.ebpf->code_bytes();
  result.wasm_bytes = pair.wasm->code_bytes();
  for (const Packet& packet : typical_packets()) {
    long around = least_duration(*empty.ebpf, packet, options.repeat);
    Timing timing{packet.label};
    timing.ebpf = least_duration(*pair.ebpf, packet, options.repeat) - around;
    timing.wasm = least_duration(*pair.wasm, packet, options.repeat) - around;
    timing.wasm_entry = least_duration(*empty.wasm, packet, options.repeat) - around;
    result.timings.push_back(timing);
    if (name == kEmpty) break;  // it does not look at the packet
  }
  result.ebpf_load = median_load([&] { return load_ebpf(path + ".bpf.o"); });
  result.wasm_load = median_load([&] { return load_wasm(device, path + ".wasm", options.flags); });
  return result;
}

// ---- reports ----

std::string kernel_release() {
  utsname name{};
  uname(&name);
  return name.release;
}

std::string ratio(long wasm, long ebpf) {
  if (ebpf <= 0) return "";
  char text[16];
  std::snprintf(text, sizeof(text), "%.2f", static_cast<double>(wasm) / static_cast<double>(ebpf));
  return text;
}

using Row = std::vector<std::string>;

std::vector<Row> invocation_rows(const std::vector<Comparison>& all) {
  std::vector<Row> rows;
  for (const Comparison& one : all)
    for (const Timing& timing : one.timings)
      rows.push_back({one.program, one.program == kEmpty ? "any" : timing.packet,
                      "+" + std::to_string(timing.ebpf), "+" + std::to_string(timing.wasm),
                      ratio(timing.wasm, timing.ebpf),
                      ratio(timing.wasm - timing.wasm_entry, timing.ebpf)});
  return rows;
}

std::vector<Row> load_rows(const std::vector<Comparison>& all) {
  std::vector<Row> rows;
  for (const Comparison& one : all)
    rows.push_back({one.program, std::to_string(one.ebpf_bytes), std::to_string(one.wasm_bytes),
                    std::to_string(one.ebpf_load / 1000), std::to_string(one.wasm_load / 1000)});
  return rows;
}

void print_markdown(const Row& head, const std::vector<Row>& rows) {
  auto line = [](const Row& row) {
    for (const std::string& cell : row) say("| %s ", cell.c_str());
    say("|\n");
  };
  line(head);
  line(Row(head.size(), "---"));
  for (const Row& row : rows) line(row);
}

void print_text(const Row& head, const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(head.size());
  auto measure = [&](const Row& row) {
    for (std::size_t i = 0; i < row.size(); i++) widths[i] = std::max(widths[i], row[i].size());
  };
  auto line = [&](const Row& row) {
    for (std::size_t i = 0; i < row.size(); i++)
      say(i < 1 ? "  %-*s" : "  %*s", static_cast<int>(widths[i]), row[i].c_str());
    say("\n");
  };
  measure(head);
  for (const Row& row : rows) measure(row);
  line(head);
  for (const Row& row : rows) line(row);
}

void report(const std::vector<Comparison>& all, const Options& options) {
  bool markdown = options.format == "markdown";
  auto table = markdown ? print_markdown : print_text;
  std::string unit = options.icount ? "instructions" : "ns";
  std::string load = options.icount ? "1000 instructions" : "us";
  std::string release = kernel_release();
  if (markdown)
    say("**Linux %s**: %s per invocation beyond an empty eBPF program's\n\n", release.c_str(),
        unit.c_str());
  else
    say("Linux %s, %zu packets: same verdicts, same packets, same counters\n"
        "%s per invocation, beyond those of an empty eBPF program:\n",
        release.c_str(), all.front().packets, unit.c_str());
  table({"program", "packet", "eBPF", "Wasm", "ratio", "without entry"}, invocation_rows(all));
  say(markdown ? "\n" : "code size, and load + compile from the file until it can be attached:\n");
  table({"program", "eBPF bytes", "Wasm bytes", "eBPF load, " + load, "Wasm load, " + load},
        load_rows(all));
}

Json report_json(const std::vector<Comparison>& all, const Options& options) {
  Json json;
  json["kernel"] = kernel_release();
  json["unit"] = options.icount ? "instructions" : "ns";
  json["programs"] = Json::array();
  for (const Comparison& one : all) {
    Json program;
    program["name"] = one.program;
    program["packets"] = one.packets;
    program["ebpf"] = {{"bytes_jited", one.ebpf_bytes}, {"load", one.ebpf_load}};
    program["wasm"] = {{"bytes_jited", one.wasm_bytes}, {"load", one.wasm_load}};
    program["invocations"] = Json::array();
    for (const Timing& timing : one.timings)
      program["invocations"].push_back({{"packet", timing.packet},
                                        {"ebpf", timing.ebpf},
                                        {"wasm", timing.wasm},
                                        {"wasm_entry", timing.wasm_entry}});
    json["programs"].push_back(program);
  }
  return json;
}

Options parse(int argc, char** argv) {
  Options options;
  loader::Words words({argv + 1, argv + argc});
  while (!words.done()) {
    std::string word = words.take("an option");
    if (word == "--help" || word == "-h") {
      say("%s", kUsage);
      std::exit(0);
    } else if (word == "--icount") {
      options.icount = true;
    } else if (word == "--clamped") {
      options.flags = WRING_PROG_F_CLAMPED;
    } else if (word == "--format") {
      options.format = words.expect({"text", "markdown", "json"});
    } else if (word == "--repeat") {
      options.repeat = words.take_u32("--repeat", 1, INT32_MAX);
    } else if (word[0] == '-' || !options.directory.empty()) {
      throw loader::usage_error("unexpected '" + word + "' (see --help)");
    } else {
      options.directory = word;
    }
  }
  if (options.directory.empty()) throw loader::usage_error("no directory given (see --help)");
  return options;
}

int run(int argc, char** argv) {
  Options options = parse(argc, argv);
  loader::quiet_libbpf();
  Fd device = loader::open_device();
  std::vector<Packet> corpus = make_corpus(kSeed);
  Pair empty = load_pair(device, options.directory + "/" + kEmpty, options);
  std::vector<Comparison> all;
  for (const char* name : kPrograms) all.push_back(compare(device, name, empty, corpus, options));
  if (options.format == "json")
    loader::Output{loader::Format::kPrettyJson}.print(report_json(all, options));
  else
    report(all, options);
  loader::flush_output();
  return 0;
}

}  // namespace
}  // namespace wring::bench

int main(int argc, char** argv) {
  try {
    return wring::bench::run(argc, argv);
  } catch (const wring::loader::Failure& failure) {
    wring::loader::Output{}.print(failure);
    return failure.exit_code;
  } catch (const std::exception& error) {
    wring::loader::Output{}.print(wring::loader::Failure(error.what()));
    return wring::loader::kExitFailed;
  }
}
