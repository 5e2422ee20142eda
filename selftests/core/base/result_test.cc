// SPDX-License-Identifier: GPL-2.0
// Diag, Result and the macros that propagate errors.
#include "core/base/result.h"

#include <gtest/gtest.h>

#include <string>

namespace wring {
namespace {

TEST(Diag, KeepsTheFirstError) {
  Diag diag;
  EXPECT_EQ(diag.fail(Err::kMalformed, 3, 17, "bad %s %u", "byte", 9u), Err::kMalformed);
  EXPECT_EQ(diag.fail(Err::kInvalid, 4, 18, "later"), Err::kMalformed);
  EXPECT_EQ(diag.code, Err::kMalformed);
  EXPECT_EQ(diag.func, 3u);
  EXPECT_EQ(diag.offset, 17u);
  EXPECT_STREQ(diag.message, "bad byte 9");
}

TEST(Diag, TruncatesLongMessages) {
  Diag diag;
  const std::string text(1000, 'x');
  EXPECT_EQ(diag.fail(Err::kLink, kNone, kNone, "%s", text.c_str()), Err::kLink);
  EXPECT_EQ(std::string(diag.message), std::string(sizeof(diag.message) - 1, 'x'));
}

TEST(Diag, MessagesAreOnePrintableLine) {
  Diag diag;
  EXPECT_EQ(diag.fail(Err::kLink, kNone, kNone, "%s", "a\nb\x1b[31m\x7f\xc3\xa9"), Err::kLink);
  EXPECT_STREQ(diag.message, "a?b?[31m?\xc3\xa9");
}

Err first_error(Err a, Err b, int* reached) {
  TRY(a);
  *reached = 1;
  TRY(b);
  *reached = 2;
  return Err::kOk;
}

TEST(Try, ReturnsTheFirstError) {
  int reached = 0;
  EXPECT_EQ(first_error(Err::kLimit, Err::kTrap, &reached), Err::kLimit);
  EXPECT_EQ(reached, 0);
  EXPECT_EQ(first_error(Err::kOk, Err::kTrap, &reached), Err::kTrap);
  EXPECT_EQ(reached, 1);
  EXPECT_EQ(first_error(Err::kOk, Err::kOk, &reached), Err::kOk);
  EXPECT_EQ(reached, 2);
}

Result<int> half(int x) {
  if (x % 2) return Err::kInvalid;
  return x / 2;
}
Result<int> quarter(int x) {
  ASSIGN_OR_RETURN(const int h, half(x));
  ASSIGN_OR_RETURN(const int q, half(h));
  return q;
}

TEST(Result, CarriesAValueOrAnError) {
  EXPECT_EQ(quarter(12).value(), 3);
  EXPECT_EQ(quarter(3).error(), Err::kInvalid);
  EXPECT_FALSE(quarter(6).ok());
  EXPECT_DEATH(quarter(6).value(), "");
}

}  // namespace
}  // namespace wring
