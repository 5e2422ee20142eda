// SPDX-License-Identifier: GPL-2.0
// wring-host plan: calls of a module's exports that come to an end, for other engines to repeat.
#pragma once

#include <cstdint>
#include <string>

namespace wring::host {

struct PlanOptions {
  unsigned calls = 50;  // how many to look for
  uint64_t seed = 1;    // arguments follow from it
};

// Instantiates the module with the imports of its provider (provider.h), which is written to `provider_path`, and calls
// exports that take scalars. Prints one line of JSON in the form of fuzz-diff's records, without results:
//   {"instantiate": "ok", "calls": [{"f": EXPORT, "args": [[TYPE, HEX]...], "results": TYPES, "fresh": BOOL}...]}
// A call that is not fresh is made in the instance of the one before. Calls that did not end within their fuel, their
// time or their stack are left out, and so is what would have followed them in that instance. Instances that trap at
// instantiation have no calls. False, with *why, if there is no such module or no provider for it.
bool plan_calls(const std::string& bytes, const PlanOptions& options,
                const std::string& provider_path, std::string* why);

}  // namespace wring::host
