// SPDX-License-Identifier: GPL-2.0
// Output: plain text like bpftool's, or the same facts as JSON (-j compact, -p indented).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "loader/error.h"

namespace wring::loader {

using Json = nlohmann::ordered_json;

enum class Format { kPlain, kJson, kPrettyJson };

class Output {
 public:
  Format format = Format::kPlain;
  bool json() const { return format != Format::kPlain; }

  // Writes a whole JSON document and a newline, in printable ASCII. Bytes that are not UTF-8 are replaced.
  void print(const Json& document) const;
  // Reports a failure: "Error: ..." on stderr, or {"error": ...} on stdout under -j.
  void print(const Failure& failure) const;
};

// printf to stdout; a write error (a closed pipe, a full disk) is a Failure.
void say(const char* fmt, ...) __attribute__((format(printf, 1, 2)));
// Flushes stdout; a Failure if anything could not be written.
void flush_output();

// Guest-controlled text made safe for a terminal: control and non-ASCII bytes become \xNN.
std::string printable(const std::string& text);

}  // namespace wring::loader
