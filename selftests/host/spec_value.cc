// SPDX-License-Identifier: GPL-2.0
// Values of conformance scripts.
#include "selftests/host/spec_value.h"

#include <cstdio>

namespace wring::host {

namespace {

// Bits of one lane or scalar.
unsigned bits_of(const std::string& type) {
  if (type == "i8") return 8;
  if (type == "i16") return 16;
  return type == "i32" || type == "f32" ? 32 : 64;
}

uint64_t parse(const std::string& text) { return std::stoull(text); }

bool is_nan_pattern(const std::string& text) { return text.rfind("nan:", 0) == 0; }

// nan:canonical is the quiet NaN without payload, nan:arithmetic any quiet NaN; the sign is free.
bool matches_nan(const std::string& pattern, unsigned bits, uint64_t value) {
  uint64_t exponent = bits == 32 ? 0x7f800000ull : 0x7ff0000000000000ull;
  uint64_t quiet = bits == 32 ? 0x00400000ull : 0x0008000000000000ull;
  uint64_t sign = uint64_t{1} << (bits - 1);
  if (pattern == "nan:canonical") return (value & ~sign) == (exponent | quiet);
  return (value & (exponent | quiet)) == (exponent | quiet);
}

bool matches_lane(const std::string& type, const std::string& expected, uint64_t value) {
  unsigned bits = bits_of(type);
  if (is_nan_pattern(expected)) return matches_nan(expected, bits, value);
  uint64_t mask = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  // A 32-bit result is zero-extended in its word.
  return value == (parse(expected) & mask);
}

uint64_t lane_of(const uint64_t* words, unsigned bits, size_t lane) {
  size_t bit = lane * bits;
  uint64_t mask = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  return words[bit / 64] >> bit % 64 & mask;
}

bool matches_vector(const Json& expected, const uint64_t* words) {
  std::string type = expected["lane_type"];
  unsigned bits = bits_of(type);
  for (size_t lane = 0; lane < expected["value"].size(); lane++)
    if (!matches_lane(type, expected["value"][lane], lane_of(words, bits, lane))) return false;
  return true;
}

bool is_reference(const std::string& type) {
  for (const char* name :
       {"externref", "funcref", "exnref", "refnull", "nullfuncref", "nullexternref", "nullexnref"})
    if (type == name) return true;
  return false;
}

bool is_null_type(const std::string& type) { return type.find("null") != std::string::npos; }

uint64_t reference_word(const Json& value) {
  std::string text = value.value("value", "null");
  return text == "null" ? 0 : parse(text) + 1;
}

// Without a value: any reference of the type.
bool matches_reference(const Json& expected, uint64_t word) {
  if (is_null_type(expected["type"])) return word == 0;
  return expected.contains("value") ? word == reference_word(expected) : word != 0;
}

}  // namespace

bool is_supported_value(const Json& value) {
  std::string type = value["type"];
  if (type == "either") {
    for (const Json& alternative : value["values"])
      if (!is_supported_value(alternative)) return false;
    return true;
  }
  return type == "i32" || type == "i64" || type == "f32" || type == "f64" || type == "v128" ||
         is_reference(type);
}

size_t words_of(const Json& value) {
  if (value["type"] == "either") return words_of(value["values"][0]);
  return value["type"] == "v128" ? 2 : 1;
}

void append_argument(const Json& value, std::vector<uint64_t>* words) {
  if (is_reference(value["type"])) return words->push_back(reference_word(value));
  if (value["type"] != "v128") {
    uint64_t bits = parse(value["value"]);
    words->push_back(bits_of(value["type"]) == 32 ? static_cast<uint32_t>(bits) : bits);
    return;
  }
  unsigned bits = bits_of(value["lane_type"]);
  uint64_t lanes[2] = {};
  for (size_t lane = 0; lane < value["value"].size(); lane++) {
    uint64_t mask = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
    lanes[lane * bits / 64] |= (parse(value["value"][lane]) & mask) << lane * bits % 64;
  }
  words->insert(words->end(), lanes, lanes + 2);
}

bool matches(const Json& expected, const uint64_t* words) {
  std::string type = expected["type"];
  if (type == "either") {
    for (const Json& alternative : expected["values"])
      if (matches(alternative, words)) return true;
    return false;
  }
  if (type == "v128") return matches_vector(expected, words);
  if (is_reference(type)) return matches_reference(expected, words[0]);
  return matches_lane(type, expected["value"], words[0]);
}

std::string to_text(const Json& expected) { return expected.dump(); }

std::string to_text(const Json& expected, const uint64_t* words) {
  char text[64];
  if (words_of(expected) == 2)
    snprintf(text, sizeof(text), "v128:%#llx:%#llx", static_cast<unsigned long long>(words[1]),
             static_cast<unsigned long long>(words[0]));
  else
    snprintf(text, sizeof(text), "%llu (%#llx)", static_cast<unsigned long long>(words[0]),
             static_cast<unsigned long long>(words[0]));
  return text;
}

}  // namespace wring::host
