// SPDX-License-Identifier: GPL-2.0
// Tables and charts of benchmark results.
#include "selftests/bench/engine/report.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace wring::bench {

namespace {

__attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...) {
  char text[512];
  va_list args;
  va_start(args, pattern);
  vsnprintf(text, sizeof(text), pattern, args);
  va_end(args);
  return text;
}

double quantile(std::vector<double> values, double where) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  double at = where * static_cast<double>(values.size() - 1);
  auto below = static_cast<size_t>(at);
  size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

constexpr const char* kColours[] = {"#1b9e77", "#a6d8c4", "#d95f02",
                                    "#7570b3", "#e6ab02", "#666666"};

}  // namespace

double Cell::median() const { return quantile(samples, 0.5); }

double Cell::spread() const {
  double middle = median();
  return middle > 0 ? (quantile(samples, 0.75) - quantile(samples, 0.25)) / 2 / middle : 0;
}

double Table::ratio(const Row& row, size_t engine) const {
  double base = row.cells[0].median();
  return base > 0 ? row.cells[engine].median() / base : 0;
}

double Table::geometric_mean(size_t engine, size_t* count) const {
  double sum = 0;
  *count = 0;
  for (const Row& row : rows) {
    double r = ratio(row, engine);
    if (r <= 0) continue;
    sum += std::log(r);
    ++*count;
  }
  return *count ? std::exp(sum / static_cast<double>(*count)) : 0;
}

std::string to_markdown(const Table& table) {
  std::string out = "| kernel | " + table.engines[0] + ", µs |";
  for (size_t e = 1; e < table.engines.size(); e++) out += " " + table.engines[e] + " |";
  out += "\n|---|---:|";
  for (size_t e = 1; e < table.engines.size(); e++) out += "---:|";
  out += "\n";
  for (const Row& row : table.rows) {
    const Cell& first = row.cells[0];
    out += "| " + row.kernel + " | ";
    out += format("%.2f ±%.0f%% |", first.median() / 1000, first.spread() * 100);
    for (size_t e = 1; e < table.engines.size(); e++) {
      double r = table.ratio(row, e);
      out += r > 0 ? format(" %.2f ±%.0f%% |", r, row.cells[e].spread() * 100) : " - |";
    }
    out += "\n";
  }
  out += "| **geometric mean** | 1.00 |";
  for (size_t e = 1; e < table.engines.size(); e++) {
    size_t count;
    double mean = table.geometric_mean(e, &count);
    out += count == table.rows.size() ? format(" **%.2f** |", mean)
                                      : format(" %.2f of %zu |", mean, count);
  }
  out += "\n\n";
  for (size_t e = 0; e < table.engines.size(); e++)
    out += "- " + table.engines[e] + ": " + table.legend[e] + "\n";
  return out;
}

std::string to_svg(const Table& table, const std::string& title) {
  constexpr int kLeft = 110, kTop = 56, kPlot = 620, kBar = 8, kGap = 10;
  constexpr double kMost = 4;  // bars that are longer are cut and carry their number
  int bars = static_cast<int>(table.engines.size()) - 1;
  int group = bars * kBar + kGap;
  int height = kTop + static_cast<int>(table.rows.size() + 1) * group + 24;
  auto x_of = [&](double ratio) { return kLeft + std::min(ratio, kMost) / kMost * kPlot; };
  std::string out = format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      kLeft + kPlot + 60, height);
  out += "<text x=\"10\" y=\"18\" font-size=\"14\">" + title + "</text>\n";
  int x = 10;
  for (int e = 1; e <= bars; e++) {
    const std::string& name = table.engines[static_cast<size_t>(e)];
    out += format(
        "<rect x=\"%d\" y=\"28\" width=\"10\" height=\"10\" fill=\"%s\"/>"
        "<text x=\"%d\" y=\"37\">%s</text>\n",
        x, kColours[static_cast<size_t>(e - 1) % std::size(kColours)], x + 14, name.c_str());
    x += 34 + 7 * static_cast<int>(name.size());
  }
  for (int tick = 0; tick <= static_cast<int>(kMost * 2); tick++) {
    double at = x_of(tick / 2.0);
    out += format("<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"%s\"/>\n", at,
                  kTop - 6, at, height - 20, tick == 2 ? "#000" : "#ddd");
    out += format("<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.1f</text>\n", at, height - 6,
                  tick / 2.0);
  }
  for (size_t r = 0; r <= table.rows.size(); r++) {
    int y = kTop + static_cast<int>(r) * group;
    bool is_mean = r == table.rows.size();
    std::string label = is_mean ? "geometric mean" : table.rows[r].kernel;
    out += format("<text x=\"%d\" y=\"%d\" text-anchor=\"end\"%s>%s</text>\n", kLeft - 6,
                  y + bars * kBar / 2 + 4, is_mean ? " font-weight=\"bold\"" : "", label.c_str());
    for (int e = 1; e <= bars; e++) {
      auto engine = static_cast<size_t>(e);
      size_t count;
      double value =
          is_mean ? table.geometric_mean(engine, &count) : table.ratio(table.rows[r], engine);
      if (value <= 0) continue;
      int top = y + (e - 1) * kBar;
      out += format("<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", kLeft,
                    top, x_of(value) - kLeft, kBar - 1,
                    kColours[static_cast<size_t>(e - 1) % std::size(kColours)]);
      if (value > kMost || is_mean)
        out += format("<text x=\"%.1f\" y=\"%d\" font-size=\"9\">%.2f</text>\n", x_of(value) + 3,
                      top + 7, value);
    }
  }
  return out + "</svg>\n";
}

}  // namespace wring::bench
