// SPDX-License-Identifier: GPL-2.0
// Interning of function types.
#include "core/runtime/signatures.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace wring::test {
namespace {

FuncType type_of(const std::vector<ValType>& params, const std::vector<ValType>& results) {
  return {{params.data(), params.size()}, {results.data(), results.size()}};
}

TEST(Signatures, EqualTypesHaveEqualIds) {
  runtime::Signatures signatures;
  Diag diag;
  std::vector<ValType> i = {ValType::kI32}, l = {ValType::kI64}, none;
  u32 a, b, c, d;
  ASSERT_EQ(signatures.intern(type_of(i, l), &a, &diag), Err::kOk);
  ASSERT_EQ(signatures.intern(type_of(l, i), &b, &diag), Err::kOk);
  std::vector<ValType> i_again = {ValType::kI32};
  ASSERT_EQ(signatures.intern(type_of(i_again, l), &c, &diag), Err::kOk);
  ASSERT_EQ(signatures.intern(type_of(none, none), &d, &diag), Err::kOk);
  EXPECT_GE(std::min({a, b, d}), 1u);
  EXPECT_EQ(a, c);
  EXPECT_NE(a, b);
  EXPECT_NE(a, d);
}

TEST(Signatures, ParametersAndResultsAreNotMixedUp) {
  runtime::Signatures signatures;
  Diag diag;
  std::vector<ValType> one = {ValType::kI32}, two = {ValType::kI32, ValType::kI32}, none;
  u32 a, b, c;
  ASSERT_EQ(signatures.intern(type_of(two, none), &a, &diag), Err::kOk);
  ASSERT_EQ(signatures.intern(type_of(one, one), &b, &diag), Err::kOk);
  ASSERT_EQ(signatures.intern(type_of(none, two), &c, &diag), Err::kOk);
  EXPECT_NE(a, b);
  EXPECT_NE(b, c);
  EXPECT_NE(a, c);
}

TEST(Signatures, ManyTypesStayDistinct) {
  runtime::Signatures signatures;
  Diag diag;
  std::map<u32, u32> seen;
  for (u32 n = 0; n < 20'000; n++) {
    std::vector<ValType> params;
    for (u32 bit = 0; bit < 15; bit++)
      params.push_back(n >> bit & 1 ? ValType::kI64 : ValType::kI32);
    u32 id, again;
    ASSERT_EQ(signatures.intern(type_of(params, {}), &id, &diag), Err::kOk);
    ASSERT_EQ(signatures.intern(type_of(params, {}), &again, &diag), Err::kOk);
    ASSERT_EQ(id, again);
    ASSERT_TRUE(seen.emplace(id, n).second);
  }
}

}  // namespace
}  // namespace wring::test
