// SPDX-License-Identifier: GPL-2.0
// Words: bpftool-style arguments after a command: "id 5 repeat 100", keywords by unique prefix.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "loader/error.h"

namespace wring::loader {

class Words {
 public:
  explicit Words(std::vector<std::string> words) : words_(std::move(words)) {}

  bool done() const { return next_ == words_.size(); }
  // The next word without consuming it, or "".
  std::string peek() const { return done() ? "" : words_[next_]; }
  // The next word; `what` names it in the usage error when there is none.
  std::string take(const std::string& what);
  // Consumes the next word if it is one of `keywords` or a unique prefix of one, and returns that keyword.
  std::optional<std::string> accept(const std::vector<std::string>& keywords);
  // As accept, but anything else is a usage error.
  std::string expect(const std::vector<std::string>& keywords);
  // A number (decimal, 0x, 0) in range.
  std::uint64_t take_number(const std::string& what, std::uint64_t min, std::uint64_t max);
  std::uint32_t take_u32(const std::string& what, std::uint32_t min, std::uint32_t max);
  std::int64_t take_signed(const std::string& what, std::int64_t min, std::int64_t max);
  // Throws a usage error if words are left.
  void end() const;

 private:
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

// `word` completed to the one of `candidates` it equals or uniquely begins, or nullopt. Ambiguity is a usage error.
std::optional<std::string> complete(const std::string& word,
                                    const std::vector<std::string>& candidates);

std::uint64_t parse_number(const std::string& text, const std::string& what, std::uint64_t min,
                           std::uint64_t max);

// Whether the word can only be an id: digits and nothing else.
bool is_decimal(const std::string& word);

}  // namespace wring::loader
