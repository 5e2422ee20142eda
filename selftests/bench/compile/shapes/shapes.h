// SPDX-License-Identifier: GPL-2.0
// Shapes: modules of any size that have much of one thing, to see that no pass takes more than its share.
#pragma once

#include <vector>

#include "selftests/core/ir/module_writer.h"

namespace wring::bench {

using test::Body;
using test::Code;
using test::ModuleWriter;

struct Shape {
  const char* name;
  Body (*make)(u32 n);  // a valid module of size n, whatever that counts
  u32 quick;            // four times this is what `make test` compiles at most
  u32 most;             // as far as a limit of base/limits.h lets it grow
  const char* limit;    // that limit's name
};

// What control flow does, what values do, and what modules consist of.
std::vector<Shape> control_shapes();
std::vector<Shape> value_shapes();
std::vector<Shape> module_shapes();

inline Body one_function(const std::string& params, const std::string& results,
                         const std::string& locals, const Code& code) {
  ModuleWriter m;
  m.function(m.type(params, results), locals, code);
  return m.finish();
}

}  // namespace wring::bench
