// SPDX-License-Identifier: GPL-2.0
// Output: the two formats, and text that is safe to show.
#include "loader/output.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace wring::loader {

Failure system_error(const std::string& what, int err) {
  Failure failure(what + ": " + std::strerror(err));
  failure.error = err;
  return failure;
}

void say(const char* fmt, ...) {
  va_list args;
  va_start(args, fmt);
  int written = std::vprintf(fmt, args);
  va_end(args);
  if (written < 0) throw system_error("write to stdout", errno);
}

void flush_output() {
  if (std::fflush(stdout) != 0) throw system_error("write to stdout", errno);
}

void Output::print(const Json& document) const {
  std::string text = document.dump(format == Format::kPrettyJson ? 4 : -1, ' ', true,
                                   Json::error_handler_t::replace);
  say("%s\n", text.c_str());
}

void Output::print(const Failure& failure) const {
  if (json()) {
    Json document;
    document["error"] = failure.what();
    if (failure.func) document["func"] = *failure.func;
    if (failure.offset) document["offset"] = *failure.offset;
    if (failure.source.line) {
      document["file"] = failure.source.file;
      document["line"] = failure.source.line;
    }
    print(document);
    return;
  }
  std::string line = "Error: " + std::string(failure.what());
  if (failure.func || failure.offset) {
    line += " (";
    if (failure.func) line += "function " + std::to_string(*failure.func);
    if (failure.func && failure.offset) line += ", ";
    if (failure.offset) {
      char hex[16];
      std::snprintf(hex, sizeof(hex), "0x%x", *failure.offset);
      line += std::string("offset ") + hex;
    }
    line += ")";
  }
  if (failure.source.line) line += " at " + line_text(failure.source);
  std::fprintf(stderr, "%s\n", printable(line).c_str());
}

std::string printable(const std::string& text) {
  std::string safe;
  for (unsigned char c : text) {
    if (c >= 0x20 && c < 0x7f) {
      safe += static_cast<char>(c);
    } else {
      char hex[8];
      std::snprintf(hex, sizeof(hex), "\\x%02x", c);
      safe += hex;
    }
  }
  return safe;
}

}  // namespace wring::loader
