// SPDX-License-Identifier: GPL-2.0
// What the benchmarks print: a markdown table and a bar chart in SVG.
#pragma once

#include <string>
#include <vector>

namespace wring::bench {

// Times of one kernel by one engine, in ns per repetition of the kernel; empty if it could not run it.
struct Cell {
  std::vector<double> samples;
  double median() const;
  double spread() const;  // half the distance between the quartiles, over the median
};

struct Row {
  std::string kernel;
  unsigned n = 0;           // repetitions per call
  std::vector<Cell> cells;  // by engine; the first is what the others are compared with
};

struct Table {
  std::vector<std::string> engines;
  std::vector<std::string> legend;  // one sentence per engine
  std::vector<Row> rows;

  // Time over the first engine's; 0 if one of the two is missing.
  double ratio(const Row& row, size_t engine) const;
  // Over the rows that have both; *count is how many.
  double geometric_mean(size_t engine, size_t* count) const;
};

std::string to_markdown(const Table& table);
std::string to_svg(const Table& table, const std::string& title);

}  // namespace wring::bench
