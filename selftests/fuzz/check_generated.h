// SPDX-License-Identifier: GPL-2.0
// What generated modules are for: compiled with the checkers on, with and without the optimizer, each for one of the
// targets there are, they must compute the same results, traps, memory and globals; long chains of tail calls must end;
// and no compilation may take memory out of proportion to the module.
#pragma once

#include "selftests/fuzz/generate.h"

namespace wring::fuzz {

// Of the module that `choices` chooses, or the two where one imports from the other. Throws std::runtime_error with
// what is wrong.
void check_generated(wring::test::Choices* choices, wring::test::Choices* arguments);

}  // namespace wring::fuzz
