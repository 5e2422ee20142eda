// SPDX-License-Identifier: GPL-2.0
// Values of conformance scripts: from their JSON form to words, and comparison with what a function returned.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace wring::host {

using Json = nlohmann::json;

// Whether the driver can pass and compare values of the JSON's type: not those of garbage-collected objects.
bool is_supported_value(const Json& value);

// Words an argument or result takes: v128 two, others one. References are words, null 0, (ref.extern N) N + 1.
size_t words_of(const Json& value);

// Appends an argument's words.
void append_argument(const Json& value, std::vector<uint64_t>* words);

// Whether the words are what the script expects, NaN patterns and alternatives included.
bool matches(const Json& expected, const uint64_t* words);

std::string to_text(const Json& expected);
std::string to_text(const Json& expected, const uint64_t* words);

}  // namespace wring::host
