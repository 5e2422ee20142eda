// SPDX-License-Identifier: GPL-2.0
// Recursion groups, iso-recursive type equality and subtyping.
#include <gtest/gtest.h>

#include <chrono>

#include "core/wasm/subtype.h"
#include "selftests/core/wasm/module_builder.h"

namespace wring {
namespace {

using namespace testing;

const Bin kVoid = func_type({}, {});

// A function type whose parameters and results are given as encoded lists.
Bin func(std::initializer_list<Bin> params, std::initializer_list<Bin> results = {}) {
  return Bin{0x60} + vec(params) + vec(results);
}
Bin rec(std::initializer_list<Bin> items) { return Bin{0x4e} + vec(items); }
Bin ref(uint32_t type) { return Bin{kRef} + sleb(type); }
Bin ref_null(uint32_t type) { return Bin{kRefNull} + sleb(type); }

std::vector<u32> canonical_of(const Bin& bin) {
  const Decoded got = decode_bin(bin);
  EXPECT_EQ(got.err, Err::kOk) << got.diag.message;
  if (got.err != Err::kOk) return {};
  return {got.module->type_canonical.begin(), got.module->type_canonical.end()};
}
using Indices = std::vector<u32>;

TEST(TypeSection, RecursionGroups) {
  const Decoded got = decode_bin(
      header() + types({kVoid, rec({func({ref(2)}), func({ref_null(1)})}), rec({}),
                        rec({func({ref(3), ref(0)}, {ref(1)})}), Bin{0x4f, 0} + func({ref(4)})}));
  ASSERT_EQ(got.err, Err::kOk) << got.diag.message;
  const Module& m = *got.module;
  ASSERT_EQ(m.types.size(), 5u);
  EXPECT_EQ(Indices(m.type_group_begin.begin(), m.type_group_begin.end()),
            (Indices{0, 1, 1, 3, 4}));
  EXPECT_EQ(m.types[1].params[0], ref_to(2, false));
  EXPECT_EQ(m.types[2].params[0], ref_to(1, true));
  EXPECT_EQ(m.types[3].results[0], ref_to(1, false));
  EXPECT_EQ(m.types[4].params[0], ref_to(4, false));
}

TEST(TypeSection, Rejected) {
  const auto section_of = [](const Bin& item) { return header() + types({item}); };
  // Types of the same group and of earlier ones are in scope, others are not.
  EXPECT_INVALID(section_of(func({ref(1)})), 13, "unknown type 1");
  EXPECT_INVALID((header() + types({func({ref(1)}), kVoid})), 13, "unknown type 1");
  EXPECT_INVALID(section_of(rec({func({ref(2)}), kVoid})), 15, "unknown type 2");
  EXPECT_INVALID(section_of(func({Bin{kRef, 0xff, 0xff, 0xff, 0xff, 0x0f}})), 13, "unknown type");
  EXPECT_MALFORMED(section_of(func({Bin{kRef, 0x40}})), 14, "malformed heap type");
  EXPECT_MALFORMED(section_of(func({Bin{kRef, 0xff, 0xff, 0xff, 0xff, 0x1f}})), 14,
                   "integer too large");
  EXPECT_MALFORMED(section_of(rec({rec({kVoid})})), 13, "malformed function type");
  EXPECT_MALFORMED((header() + section(1, {1, 0x4e, 0xff, 0xff, 0xff, 0xff, 0x0f})), 17,
                   "unexpected end");
  EXPECT_UNSUPPORTED(section_of({0x5f, 0}), 11, "garbage-collected types are not supported");
  EXPECT_UNSUPPORTED(section_of({0x5e, kI32, 0}), 11, "garbage-collected types are not supported");
  EXPECT_UNSUPPORTED(section_of(Bin{0x50, 0} + kVoid), 11, "garbage-collected");
  EXPECT_UNSUPPORTED((header() + types({kVoid, Bin{0x4f, 1, 0} + kVoid})), 14, "garbage-collected");
  EXPECT_UNSUPPORTED(section_of(func({{0x6e}})), 13, "garbage-collected");
  EXPECT_UNSUPPORTED(section_of({0x5d, 0}), 11, "stack switching is not supported: type form");
  EXPECT_UNSUPPORTED(section_of(Bin{0x65} + kVoid), 11, "shared-everything threads");

  EXPECT_REJECTED_AS(kWasm2, section_of(rec({kVoid})), Err::kMalformed, 11,
                     "malformed function type");
  EXPECT_REJECTED_AS(kWasm2, section_of(func({ref(0)})), Err::kMalformed, 13,
                     "malformed value type");
  EXPECT_REJECTED_AS(kWasm2, section_of(func({{kExnRef}})), Err::kMalformed, 13,
                     "malformed value type");
}

TEST(TypeSection, EqualTypes) {
  EXPECT_EQ(canonical_of(header() +
                         types({kVoid, func({{kI32}}), kVoid, func({{kI32}}), func({}, {{kI32}})})),
            (Indices{0, 1, 0, 1, 4}));
  // A type that refers to itself is equal to another that does, but not to one that refers to the first.
  EXPECT_EQ(canonical_of(header() + types({func({ref(0)}), func({ref(1)}), func({ref(0)}),
                                           func({ref(2)}), func({ref_null(4)})})),
            (Indices{0, 0, 2, 3, 4}));
  // References to equal types are equal.
  EXPECT_EQ(canonical_of(header() + types({kVoid, kVoid, func({ref(0)}), func({ref(1)}),
                                           func({ref(2), ref(1)}), func({ref(3), ref(0)})})),
            (Indices{0, 0, 2, 2, 4, 4}));
}

TEST(TypeSection, EqualGroups) {
  const Bin pair = rec({func({ref(1)}), func({ref(0)})});
  // The same shape at another place; a group of another size; the same members in another order.
  EXPECT_EQ(
      canonical_of(header() + types({rec({func({ref(1)}), kVoid}), rec({func({ref(3)}), kVoid}),
                                     rec({kVoid, func({ref(4)})}), kVoid, rec({kVoid, kVoid})})),
      (Indices{0, 1, 0, 1, 4, 5, 6, 7, 8}));
  // Members of a group differ from each other even if they look alike.
  EXPECT_EQ(canonical_of(header() + types({pair, rec({func({ref(3)}), func({ref(2)})})})),
            (Indices{0, 1, 0, 1}));
  // A singleton group with `rec` is the type alone.
  EXPECT_EQ(canonical_of(header() + types({kVoid, rec({kVoid}), Bin{0x4f, 0} + kVoid})),
            (Indices{0, 0, 0}));
}

TEST(TypeSection, Subtypes) {
  const u32 canonical_types[] = {0, 0, 2};
  const Span<const u32> canonical(canonical_types);
  const ValType func = ValType::kFuncRef, ext = ValType::kExternRef, exn = ValType::kExnRef,
                nofunc = ValType::kNullFuncRef, noext = ValType::kNullExternRef,
                noexn = ValType::kNullExnRef, i32 = ValType::kI32, bottom = ValType::kBottom;
  const auto nn = as_non_null;
  const auto t = [](u32 type) { return ref_to(type, true); };
  const struct {
    ValType low, high;
  } yes[] = {
      {i32, i32},           {func, func},         {nn(func), func},      {nn(func), nn(func)},
      {t(0), func},         {nn(t(0)), func},     {nn(t(0)), nn(func)},  {t(0), t(1)},
      {nn(t(0)), t(1)},     {nofunc, func},       {nofunc, t(2)},        {nn(nofunc), nn(t(2))},
      {noext, ext},         {noexn, exn},         {nn(noexn), exn},      {bottom, i32},
      {bottom, t(0)},       {kBottomRef, func},   {kBottomRef, nn(exn)}, {kBottomRef, nn(t(1))},
      {nn(nofunc), nofunc}, {bottom, kBottomRef},
  };
  for (const auto& pair : yes)
    EXPECT_TRUE(is_subtype(canonical, pair.low, pair.high))
        << name_of(pair.low) << " " << name_of(pair.high);
  const struct {
    ValType low, high;
  } no[] = {
      {i32, ValType::kI64}, {func, nn(func)}, {func, t(0)},  {t(0), nn(t(0))},  {t(0), t(2)},
      {t(0), nofunc},       {nofunc, ext},    {noext, func}, {noexn, t(0)},     {exn, ext},
      {func, noexn},        {i32, func},      {func, i32},   {kBottomRef, i32}, {i32, bottom},
      {nofunc, nn(t(0))},   {t(0), ext},      {t(7), t(8)},  {noext, noexn},    {t(0), exn},
  };
  for (const auto& pair : no)
    EXPECT_FALSE(is_subtype(canonical, pair.low, pair.high))
        << name_of(pair.low) << " " << name_of(pair.high);
}

TEST(TypeSection, Limits) {
  // The most types in one group, each referring to the last; and one more.
  const auto group = [](uint32_t count) {
    return header() +
           section(1, Bin{1, 0x4e} + uleb(count) + repeat(count, func({ref(count - 1)}, {ref(0)})));
  };
  EXPECT_VALID(group(kMaxTypes));
  EXPECT_LIMIT(group(kMaxTypes + 1), 14, "too many types: 100001");
  // As many in groups of a thousand.
  const auto groups = [](uint32_t count) {
    return header() +
           section(1, uleb(count) + repeat(count, Bin{0x4e} + uleb(1000) + repeat(1000, kVoid)));
  };
  EXPECT_VALID(groups(kMaxTypes / 1000));
  EXPECT_EQ(decode_bin(groups(kMaxTypes / 1000 + 1)).err, Err::kLimit);
  // Empty groups count too: each is an item of the section.
  EXPECT_VALID(header() + section(1, uleb(kMaxTypes) + repeat(kMaxTypes, Bin{0x4e, 0})));
}

// What would make canonicalization quadratic: a hundred thousand groups that are all equal, all different in the last
// place only, or chains in which each type refers to the one before.
TEST(TypeSection, CanonicalizationIsLinear) {
  const auto seconds = [](const Bin& bin) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_VALID(bin);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const Bin wide = func_type(Bin(200, kI64), {});
  EXPECT_LT(seconds(header() + section(1, uleb(kMaxTypes) + repeat(kMaxTypes, wide))), 20);

  Bin different = uleb(kMaxTypes), chain = uleb(kMaxTypes), both = uleb(kMaxTypes);
  const auto append = [](Bin* to, const Bin& what) {
    to->insert(to->end(), what.begin(), what.end());
  };
  for (uint32_t i = 0; i < kMaxTypes; i++) {
    Bin params(100, kI32);
    for (uint32_t bit = 0; bit < 17; bit++)
      if (i >> bit & 1) params[80 + bit] = kI64;
    append(&different, func_type(params, {}));
    append(&chain, i ? func({ref(i - 1)}) : kVoid);
    append(&both, i ? func({ref(i - 1), ref(i)}, {ref_null(i / 2)}) : kVoid);
  }
  EXPECT_LT(seconds(header() + section(1, different)), 20);
  EXPECT_LT(seconds(header() + section(1, chain)), 20);
  EXPECT_LT(seconds(header() + section(1, both)), 20);
  const Indices canonical = canonical_of(header() + section(1, both));
  for (u32 i = 0; i < canonical.size(); i++) EXPECT_EQ(canonical[i], i);
}

}  // namespace
}  // namespace wring
