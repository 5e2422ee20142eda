// SPDX-License-Identifier: GPL-2.0
// Words: keyword completion and checked numbers.
#include "loader/words.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace wring::loader {

std::optional<std::string> complete(const std::string& word,
                                    const std::vector<std::string>& candidates) {
  std::optional<std::string> found;
  std::string matches;
  for (const std::string& candidate : candidates) {
    if (candidate == word) return candidate;
    if (!word.empty() && candidate.compare(0, word.size(), word) == 0) {
      if (found) matches += ", ";
      matches += candidate;
      found = found ? std::string() : candidate;
    }
  }
  if (found && found->empty()) throw usage_error("'" + word + "' is ambiguous: " + matches);
  return found;
}

std::string Words::take(const std::string& what) {
  if (done()) throw usage_error("expected " + what);
  return words_[next_++];
}

std::optional<std::string> Words::accept(const std::vector<std::string>& keywords) {
  if (done()) return std::nullopt;
  auto keyword = complete(words_[next_], keywords);
  if (keyword) next_++;
  return keyword;
}

std::string Words::expect(const std::vector<std::string>& keywords) {
  std::string wanted;
  for (const std::string& keyword : keywords) wanted += (wanted.empty() ? "" : ", ") + keyword;
  if (done()) throw usage_error("expected one of: " + wanted);
  auto keyword = accept(keywords);
  if (!keyword) throw usage_error("unknown word '" + peek() + "', expected one of: " + wanted);
  return *keyword;
}

std::uint64_t parse_number(const std::string& text, const std::string& what, std::uint64_t min,
                           std::uint64_t max) {
  char* end = nullptr;
  errno = 0;
  std::uint64_t value = std::strtoull(text.c_str(), &end, 0);
  bool is_number =
      !text.empty() && *end == '\0' && text.find_first_of("-+ \t\n") == std::string::npos;
  if (!is_number) throw usage_error(what + ": '" + text + "' is not a number");
  if (errno == ERANGE || value < min || value > max)
    throw usage_error(what + ": " + text + " is not between " + std::to_string(min) + " and " +
                      std::to_string(max));
  return value;
}

std::uint64_t Words::take_number(const std::string& what, std::uint64_t min, std::uint64_t max) {
  return parse_number(take(what), what, min, max);
}

std::uint32_t Words::take_u32(const std::string& what, std::uint32_t min, std::uint32_t max) {
  return static_cast<std::uint32_t>(take_number(what, min, max));
}

std::int64_t Words::take_signed(const std::string& what, std::int64_t min, std::int64_t max) {
  std::string text = take(what);
  char* end = nullptr;
  errno = 0;
  std::int64_t value = std::strtoll(text.c_str(), &end, 0);
  if (text.empty() || *end != '\0' || text.find_first_of("+ \t\n") != std::string::npos)
    throw usage_error(what + ": '" + text + "' is not a number");
  if (errno == ERANGE || value < min || value > max)
    throw usage_error(what + ": " + text + " is not between " + std::to_string(min) + " and " +
                      std::to_string(max));
  return value;
}

void Words::end() const {
  if (!done()) throw usage_error("unexpected '" + words_[next_] + "'");
}

bool is_decimal(const std::string& word) {
  return !word.empty() &&
         std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace wring::loader
