// SPDX-License-Identifier: GPL-2.0
// The conformance driver: runs a converted script (wast2json's dialect, shared/testdata/README.md) against a backend.
//
// A backend is one place where modules can be instantiated: this process (in_process.h) or the kernel. The driver
// itself decodes modules only to find import and export names.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace wring::host {

// What became of a request. The order of the first kinds is that of enum wring_err.
struct Outcome {
  enum Kind {
    kOk,
    kNoMemory,
    kMalformed,
    kInvalid,
    kUnsupported,
    kLimit,
    kLink,
    kTrap,
    kInterrupted,
    kInternal,
    kFailed,  // the backend itself broke down
  };
  Kind kind = kOk;
  std::string text;  // of an error or trap, as the engine words it
};
const char* name_of(Outcome::Kind kind);

// What satisfies one import: an export of another instance, or nothing the driver knows (instance < 0).
struct ImportValue {
  int instance = -1;
  uint32_t export_index = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Decodes and validates only.
  virtual Outcome validate(const std::string& module) = 0;
  // Instantiates and runs the start function. One import value per import of the module. On success *instance is
  // a number for the calls below, valid as long as the backend.
  virtual Outcome instantiate(const std::string& module, const std::vector<ImportValue>& imports,
                              int* instance) = 0;
  // Calls an exported function. `values` are the arguments, one or (v128) two words each; the results replace them.
  virtual Outcome invoke(int instance, uint32_t export_index, size_t result_words,
                         std::vector<uint64_t>* values) = 0;
  // Reads an exported global: two words.
  virtual Outcome get_global(int instance, uint32_t export_index, uint64_t value[2]) = 0;
};

struct SpecOptions {
  // A skipped command fails the run, unless it concerns the text format or garbage-collected types, or is known.
  bool strict = false;
  bool verbose = false;  // print every skipped command
  // A file of lines "GROUP/FILE/FILE.json:LINE REASON" ('#' begins a comment): commands that are known to fail. They
  // count as skipped for that reason, and as failed if they pass.
  std::string known;
};

// Runs a script and prints failures, the reasons for skips, and at last "N passed, N failed, N skipped". Returns
// whether nothing failed (and, if strict, nothing was skipped that should not be).
bool run_spec(const std::string& json_path, Backend* backend, const SpecOptions& options);

}  // namespace wring::host
