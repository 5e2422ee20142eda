// SPDX-License-Identifier: GPL-2.0
// Fuzz target: the bytes choose a generated module, or one and another it imports from, which is checked
// (check_generated.h).
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "selftests/fuzz/check_generated.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using wring::test::Choices;
  Choices choices = Choices::of_input(data, size);
  // Arguments come from the end of the bytes, where choices of little consequence are.
  Choices arguments = Choices::of_input(data + size / 2, size - size / 2);
  try {
    wring::fuzz::check_generated(&choices, &arguments);
  } catch (const std::exception& finding) {
    fprintf(stderr, "fuzz_generated: %s\n", finding.what());
    abort();
  }
  return 0;
}
