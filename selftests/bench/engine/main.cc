// SPDX-License-Identifier: GPL-2.0
// wring-bench: how fast the same C runs as machine code and as WebAssembly, engine by engine.
//
// Method. Each kernel (selftests/bench/kernels) is compiled by the same clang at -O2 for this machine's baseline
// (SSE2) and for wasm32 with SIMD. For each kernel the number of repetitions is chosen so that one call takes about
// 10 ms natively; every engine is called with that number in turn, first to warm up, then in rounds, so that what
// disturbs the machine disturbs all alike. Time is processor time of the calling thread (of the process for engines
// in one of their own). The table shows medians over the rounds, relative to native, with half the distance between
// the quartiles as spread; all checksums must be equal, and the exit status is 1 if they are not.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "selftests/bench/engine/engines.h"
#include "selftests/bench/engine/report.h"

namespace wring::bench {
namespace {

constexpr char kUsage[] =
    "Usage: wring-bench [OPTION]... DIRECTORY\n"
    "Times the kernels, whose modules are in DIRECTORY, in several engines.\n"
    "  --engines LIST   comma-separated (default native,wring,wring-unmetered,v8,wasm2c)\n"
    "  --kernels LIST   only these\n"
    "  --rounds N       measured calls per kernel and engine (default 11)\n"
    "  --ms N           what one native call should take (default 10)\n"
    "  --scalar         modules without SIMD for all engines\n"
    "  --least          show the least time of the rounds instead of the median\n"
    "  --markdown FILE, --svg FILE   also write the table, a chart\n"
    "  --list           name the kernels and engines\n"
    "Exit status: 0, 1 (an engine failed or answered differently), 2 (usage).\n";

struct Options {
  std::vector<std::string> engines = {"native", "wring", "wring-unmetered", "v8", "wasm2c"};
  std::vector<std::string> kernels = all_kernels();
  unsigned rounds = 11;
  double ms = 10;
  bool least = false;
  std::string markdown, svg;
  Files files;
};

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> words;
  size_t at = 0;
  while (at <= list.size()) {
    size_t comma = std::min(list.find_first_of(", ", at), list.size());
    if (comma > at) words.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return words;
}

// Repetitions with which one call takes about `ns`.
bool calibrate(Engine* engine, double ns, unsigned* n, std::string* why) {
  *n = 1;
  for (;;) {
    Run run;
    if (!engine->run(*n, &run, why)) return false;
    if (run.ns >= ns / 4 || *n >= 1u << 24) {
      double scaled = *n * ns / std::max(run.ns, 1.0);
      *n = std::max(1u, static_cast<unsigned>(std::min(scaled, 16e6)));
      return true;
    }
    *n *= 2;
  }
}

struct Candidate {
  std::string name;
  std::unique_ptr<Engine> engine;
};

// False if an answer was wrong; engines that cannot run the kernel are left empty.
bool measure(std::vector<Candidate>* engines, const Options& options, Row* row) {
  bool agreed = true;
  std::vector<bool> usable;
  std::string why;
  std::uint64_t wanted = 0;
  row->cells.resize(engines->size());
  for (size_t e = 0; e < engines->size(); e++) {
    Engine* engine = (*engines)[e].engine.get();
    bool works = engine->open(row->kernel, &why);
    if (works && e == 0) works = calibrate(engine, options.ms * 1e6, &row->n, &why);
    Run warm;
    works = works && engine->run(row->n, &warm, &why);
    usable.push_back(works);
    if (!works) {
      fprintf(stderr, "wring-bench: %s: %s: %s\n", row->kernel.c_str(), (*engines)[e].name.c_str(),
              why.c_str());
      if (e == 0) return false;
      continue;
    }
    if (e == 0) wanted = warm.checksum;
  }
  for (unsigned round = 0; round < options.rounds; round++) {
    for (size_t e = 0; e < engines->size(); e++) {
      if (!usable[e]) continue;
      Run run;
      bool works = (*engines)[e].engine->run(row->n, &run, &why);
      if (!works || run.checksum != wanted) {
        fprintf(stderr, "wring-bench: %s: %s: %s\n", row->kernel.c_str(),
                (*engines)[e].name.c_str(), works ? "wrong answer" : why.c_str());
        usable[e] = agreed = false;
        row->cells[e].samples.clear();
        continue;
      }
      row->cells[e].samples.push_back(run.ns / row->n);
    }
  }
  if (options.least)
    for (Cell& cell : row->cells)
      if (!cell.samples.empty())
        cell.samples = {*std::min_element(cell.samples.begin(), cell.samples.end())};
  return agreed;
}

bool write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.flush();
  if (!out) fprintf(stderr, "wring-bench: cannot write %s\n", path.c_str());
  return static_cast<bool>(out);
}

int list() {
  printf("kernels:");
  for (const std::string& name : all_kernels()) printf(" %s", name.c_str());
  printf("\nengines:\n");
  for (const EngineInfo& info : all_engines()) printf("  %-16s %s\n", info.name, info.what);
  return 0;
}

int bench(const Options& options) {
  std::vector<Candidate> engines;
  Table table;
  bool good = true;
  for (const std::string& name : options.engines) {
    std::string why;
    Files files = options.files;
    std::unique_ptr<Engine> engine = make_engine(name, files, &why);
    if (!engine) {
      fprintf(stderr, "wring-bench: %s: %s\n", name.c_str(), why.c_str());
      return 1;
    }
    engines.push_back({name, std::move(engine)});
    table.engines.push_back(name);
    for (const EngineInfo& info : all_engines())
      if (name == info.name) table.legend.push_back(info.what);
  }
  for (const std::string& kernel : options.kernels) {
    Row row;
    row.kernel = kernel;
    good &= measure(&engines, options, &row);
    fprintf(stderr, "%-14s", kernel.c_str());
    for (size_t e = 1; e < engines.size(); e++) fprintf(stderr, " %8.2f", table.ratio(row, e));
    fprintf(stderr, "\n");
    table.rows.push_back(std::move(row));
  }
  std::string markdown = to_markdown(table);
  printf("%s", markdown.c_str());
  if (!options.markdown.empty()) good &= write_file(options.markdown, markdown);
  if (!options.svg.empty())
    good &= write_file(options.svg, to_svg(table, "Time over clang -O2 native; shorter is faster"));
  return good ? 0 : 1;
}

int usage() {
  fputs(kUsage, stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i++) {
    std::string option = argv[i];
    bool has_value = i + 1 < argc;
    if (option == "--list") return list();
    if (option == "--help") return fputs(kUsage, stdout), 0;
    if (option == "--scalar") {
      options.files.scalar = true;
    } else if (option == "--least") {
      options.least = true;
    } else if (option == "--engines" && has_value) {
      options.engines = split(argv[++i]);
    } else if (option == "--kernels" && has_value) {
      options.kernels = split(argv[++i]);
    } else if (option == "--rounds" && has_value) {
      options.rounds = static_cast<unsigned>(strtoul(argv[++i], nullptr, 10));
    } else if (option == "--ms" && has_value) {
      options.ms = strtod(argv[++i], nullptr);
    } else if (option == "--markdown" && has_value) {
      options.markdown = argv[++i];
    } else if (option == "--svg" && has_value) {
      options.svg = argv[++i];
    } else if (option[0] != '-' && options.files.directory.empty()) {
      options.files.directory = option;
    } else {
      return usage();
    }
  }
  if (options.files.directory.empty() || options.engines.empty() || options.rounds == 0 ||
      !(options.ms > 0))
    return usage();
  return bench(options);
}

}  // namespace wring::bench

int main(int argc, char** argv) { return wring::bench::main(argc, argv); }
