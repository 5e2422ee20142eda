// SPDX-License-Identifier: GPL-2.0
// Failure: the one exception commands throw; main prints it as one line (or as JSON) and exits with its code.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>

#include "loader/source_lines.h"

namespace wring::loader {

constexpr int kExitFailed = 1, kExitUsage = 2, kExitTrapped = 134;

struct Failure : std::runtime_error {
  explicit Failure(const std::string& message, int code = kExitFailed)
      : std::runtime_error(message), exit_code(code) {}
  int exit_code;
  int error = 0;                   // errno of the system call behind it, if there is one
  std::optional<unsigned> func;    // function index in the module
  std::optional<unsigned> offset;  // byte offset in the module
  SourceLine source;               // of that offset, if the module tells
};

inline Failure usage_error(const std::string& message) { return Failure(message, kExitUsage); }

// "what: strerror(err)"
Failure system_error(const std::string& what, int err);

}  // namespace wring::loader
