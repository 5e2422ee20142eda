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

// A type on its own.
Err intern(runtime::Signatures* signatures, const FuncType& type, u32* id, Diag* diag) {
  return signatures->intern({&type, 1}, 0, 1, {id, 1}, diag);
}

TEST(Signatures, EqualTypesHaveEqualIds) {
  runtime::Signatures signatures;
  Diag diag;
  std::vector<ValType> i = {ValType::kI32}, l = {ValType::kI64}, none;
  u32 a, b, c, d;
  ASSERT_EQ(intern(&signatures, type_of(i, l), &a, &diag), Err::kOk);
  ASSERT_EQ(intern(&signatures, type_of(l, i), &b, &diag), Err::kOk);
  std::vector<ValType> i_again = {ValType::kI32};
  ASSERT_EQ(intern(&signatures, type_of(i_again, l), &c, &diag), Err::kOk);
  ASSERT_EQ(intern(&signatures, type_of(none, none), &d, &diag), Err::kOk);
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
  ASSERT_EQ(intern(&signatures, type_of(two, none), &a, &diag), Err::kOk);
  ASSERT_EQ(intern(&signatures, type_of(one, one), &b, &diag), Err::kOk);
  ASSERT_EQ(intern(&signatures, type_of(none, two), &c, &diag), Err::kOk);
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
    ASSERT_EQ(intern(&signatures, type_of(params, {}), &id, &diag), Err::kOk);
    ASSERT_EQ(intern(&signatures, type_of(params, {}), &again, &diag), Err::kOk);
    ASSERT_EQ(id, again);
    ASSERT_TRUE(seen.emplace(id, n).second);
  }
}

// The ids of a module's types; groups[i] is where the i-th recursion group begins.
std::vector<u32> intern_all(runtime::Signatures* signatures, const std::vector<FuncType>& types,
                            std::vector<u32> groups) {
  std::vector<u32> ids(types.size());
  groups.push_back(static_cast<u32>(types.size()));
  Diag diag;
  for (size_t i = 0; i + 1 < groups.size(); i++)
    EXPECT_EQ(signatures->intern({types.data(), types.size()}, groups[i], groups[i + 1],
                                 {ids.data(), ids.size()}, &diag),
              Err::kOk);
  return ids;
}

TEST(Signatures, ReferencesAreComparedByWhatTheyReferTo) {
  runtime::Signatures signatures;
  std::vector<ValType> i = {ValType::kI32}, to0 = {ref_to(0, true)}, to1 = {ref_to(1, true)},
                       strict = {ref_to(0, false)}, none;
  // The same type, referring to index 0 in one module and 1 in another.
  auto a = intern_all(&signatures, {type_of(i, none), type_of(to0, none)}, {0, 1});
  auto b = intern_all(&signatures, {type_of(none, none), type_of(i, none), type_of(to1, none)},
                      {0, 1, 2});
  EXPECT_EQ(a[0], b[1]);
  EXPECT_EQ(a[1], b[2]);
  auto c = intern_all(&signatures, {type_of(none, none), type_of(to0, none)}, {0, 1});
  EXPECT_NE(a[1], c[1]);
  auto d = intern_all(&signatures, {type_of(i, none), type_of(strict, none)}, {0, 1});
  EXPECT_NE(a[1], d[1]);
}

TEST(Signatures, RecursionGroupsAreEqualAsAWhole) {
  runtime::Signatures signatures;
  std::vector<ValType> i = {ValType::kI32}, to0 = {ref_to(0, true)}, to1 = {ref_to(1, true)},
                       to2 = {ref_to(2, true)}, none;
  // rec (func (param (ref null self))), at two places.
  auto a = intern_all(&signatures, {type_of(to0, none)}, {0});
  auto b = intern_all(&signatures, {type_of(i, none), type_of(to1, none)}, {0, 1});
  EXPECT_EQ(a[0], b[1]);
  // Mutual recursion; a type in a group is not the same as that type alone.
  auto c = intern_all(&signatures, {type_of(to1, none), type_of(to0, none)}, {0});
  auto d =
      intern_all(&signatures, {type_of(i, none), type_of(to2, none), type_of(to1, none)}, {0, 1});
  EXPECT_EQ(c[0], d[1]);
  EXPECT_EQ(c[1], d[2]);
  EXPECT_NE(c[0], c[1]);
  EXPECT_NE(c[0], a[0]);
  auto e = intern_all(&signatures, {type_of(i, none), type_of(i, none)}, {0});
  EXPECT_NE(e[0], b[0]);
  EXPECT_NE(e[0], e[1]);
}

}  // namespace
}  // namespace wring::test
