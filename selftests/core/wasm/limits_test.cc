// SPDX-License-Identifier: GPL-2.0
// Every limit of the front end, at its cap and one beyond, with inputs that would show superlinear work.
#include "core/base/limits.h"

#include <gtest/gtest.h>

#include <cstring>

#include "selftests/core/wasm/module_builder.h"

namespace wring {
namespace {

using namespace testing;

const Bin kVoid = func_type({}, {});

void expect_limit(const Bin& bin, const char* text) {
  const Decoded got = decode_bin(bin);
  EXPECT_EQ(static_cast<int>(got.err), static_cast<int>(Err::kLimit)) << got.diag.message;
  EXPECT_EQ(std::string(got.diag.message).substr(0, strlen(text)), text);
}

// `count` items in section `id`, behind `before`.
Bin many(const Bin& before, uint8_t id, uint64_t count, const Bin& item) {
  return before + section(id, counted(count, repeat(count, item)));
}

TEST(Limits, ModuleBytes) {
  // A custom section fills the module up to the size wanted.
  const auto of_size = [](size_t size) {
    const size_t rest = size - 8 - 1 - 4 - 2;  // header, id, size, name
    return header() + custom("x", Bin(rest, 0));
  };
  const Bin most = of_size(kMaxModuleBytes);
  ASSERT_EQ(most.size(), kMaxModuleBytes);
  EXPECT_VALID(most);
  expect_limit(most + Bin{0}, "module of 67108865 bytes, the limit is 67108864");
}

TEST(Limits, Counts) {
  const Bin h = header();
  const struct {
    Bin before;
    uint8_t id;
    uint32_t limit;
    Bin item;
    const char* text;
  } cases[] = {
      {h, 1, kMaxTypes, kVoid, "too many types"},
      {h + types({kVoid}), 2, kMaxImports, {0, 0, 0, 0}, "too many imports"},
      {h, 4, kMaxTables, {kFuncRef, 0, 0}, "too many tables"},
      {h, 5, kMaxMemories, {0, 0}, "too many memories"},
      {h + types({kVoid}), 13, kMaxTags, {0, 0}, "too many tags"},
      {h, 6, kMaxGlobals, {kI32, 0, 0x41, 0, 0x0b}, "too many globals"},
      {h, 9, kMaxSegments, {1, 0, 0}, "too many element segments"},
      {h, 11, kMaxSegments, {1, 0}, "too many data segments"},
  };
  for (const auto& c : cases) {
    EXPECT_VALID(many(c.before, c.id, c.limit, c.item));
    expect_limit(many(c.before, c.id, c.limit + 1, c.item), c.text);
    // A count that the bytes do not back is malformed before it is too large.
    EXPECT_EQ(static_cast<int>(decode_bin(c.before + section(c.id, uleb(0xffffffff))).err),
              static_cast<int>(Err::kMalformed));
  }
}

TEST(Limits, ImportedTablesCount) {
  const Bin h = header();
  EXPECT_VALID(many(h, 2, kMaxTables, {0, 0, 1, kFuncRef, 0, 0}));
  expect_limit(many(h, 2, kMaxTables + 1, {0, 0, 1, kFuncRef, 0, 0}), "too many tables");
  expect_limit(many(many(h, 2, 1, {0, 0, 1, kFuncRef, 0, 0}), 4, kMaxTables, {kFuncRef, 0, 0}),
               "too many tables");
}

TEST(Limits, Functions) {
  const auto with = [](uint32_t count) {
    return many(many(header() + types({kVoid}), 3, count, {0}), 10, count, body({0x0b}));
  };
  EXPECT_VALID(with(kMaxFunctions));
  expect_limit(with(kMaxFunctions + 1), "too many functions");
}

TEST(Limits, TypeLists) {
  const auto with = [](uint32_t params, uint32_t results) {
    return header() + types({func_type(Bin(params, kI32), Bin(results, kI64))});
  };
  EXPECT_VALID(with(kMaxParams, kMaxResults));
  expect_limit(with(kMaxParams + 1, 0), "too many parameters");
  expect_limit(with(0, kMaxResults + 1), "too many results");
}

TEST(Limits, TableEntries) {
  const auto elements = [](uint32_t count) {
    return header() +
           section(9, Bin{1, 5, kFuncRef} + uleb(count) + repeat(count, Bin{0xd0, kFuncRef, 0x0b}));
  };
  EXPECT_VALID(elements(kMaxTableEntries));
  expect_limit(elements(kMaxTableEntries + 1), "too many elements");
}

TEST(Limits, CustomSections) {
  EXPECT_VALID(header() + repeat(kMaxCustomSections, custom("", {})));
  expect_limit(header() + repeat(kMaxCustomSections + 1, custom("", {})),
               "too many custom sections");
}

// Names with long common beginnings, all of one length, in descending order.
Bin with_exports(uint32_t count, bool duplicate) {
  Bin exports = uleb(count);
  const std::string common(50, 'x');
  for (uint32_t i = 0; i < count; i++) {
    std::string digits = std::to_string(1'000'000 - (duplicate && i == count - 1 ? 0 : i));
    digits.insert(0, 7 - digits.size(), '0');
    const Bin name = str(common + digits);
    exports.insert(exports.end(), name.begin(), name.end());
    exports.push_back(2);
    exports.push_back(0);
  }
  return header() + section(5, {1, 0, 1}) + section(7, exports);
}

TEST(Limits, Exports) {
  const Decoded got = decode_bin(with_exports(kMaxExports, false));
  ASSERT_EQ(got.err, Err::kOk) << got.diag.message;
  const Export& last = got.module->exports[kMaxExports - 1];
  EXPECT_EQ(got.module->find_export(last.name), &last);
  expect_limit(with_exports(kMaxExports + 1, false), "too many exports");
  EXPECT_EQ(static_cast<int>(decode_bin(with_exports(kMaxExports, true)).err),
            static_cast<int>(Err::kInvalid));
}

TEST(Limits, Locals) {
  const auto with = [](uint32_t params, uint32_t locals) {
    return function_module(func_type(Bin(params, kI32), {}), {0x0b}, {},
                           Bin{1} + uleb(locals) + Bin{kF64});
  };
  EXPECT_VALID(with(0, kMaxLocals));
  EXPECT_VALID(with(1000, kMaxLocals - 1000));
  expect_limit(with(0, kMaxLocals + 1), "too many locals: 50001, the limit is 50000");
  expect_limit(with(1, kMaxLocals), "too many locals");
  expect_limit(with(0, 0xffffffff), "too many locals: 4294967295");
}

// As many declarations as locals, and as many locals as allowed in many functions.
TEST(Limits, LocalsOfManyFunctions) {
  const Bin runs = uleb(kMaxLocals) + repeat(kMaxLocals / 2, Bin{1, kI32, 1, kI64});
  EXPECT_VALID(function_module(kVoid, {0x20, 0x80, 0x02, 0x1a, 0x0b}, {}, runs));
  const Bin locals = Bin{1} + uleb(kMaxLocals) + Bin{kV128};
  EXPECT_VALID(
      many(many(header() + types({kVoid}), 3, 20'000, {0}), 10, 20'000, body({0x0b}, locals)));
}

TEST(Limits, FunctionBytes) {
  const auto with = [](uint32_t size) {  // of the body: a zero for no locals, nops, end
    return function_module(kVoid, Bin(size - 2, 0x01) + Bin{0x0b});
  };
  EXPECT_VALID(with(kMaxFunctionBytes));
  expect_limit(with(kMaxFunctionBytes + 1), "function body of 8388609 bytes");
}

TEST(Limits, BlockDepth) {
  const auto with = [](uint32_t depth) {
    return function_module(kVoid, repeat(depth, {0x02, 0x40}) + Bin(depth + 1, 0x0b));
  };
  EXPECT_VALID(with(kMaxBlockDepth));
  expect_limit(with(kMaxBlockDepth + 1), "blocks nested deeper than 100000");
}

// Deep ifs with elses, and a branch to the outermost label from each.
TEST(Limits, DeepIfs) {
  const uint32_t depth = 50'000;
  Bin code;
  for (uint32_t i = 0; i < depth; i++) {
    const Bin level = Bin{0x41, 0, 0x04, 0x40, 0x41, 0, 0x0d} + uleb(i) + Bin{0x05};
    code.insert(code.end(), level.begin(), level.end());
  }
  EXPECT_VALID(function_module(kVoid, code + Bin(depth + 1, 0x0b)));
}

TEST(Limits, Operands) {
  const auto with = [](uint32_t depth) {
    return function_module(kVoid, repeat(depth, {0x41, 0}) + repeat(depth, {0x1a}) + Bin{0x0b});
  };
  EXPECT_VALID(with(kMaxOperandDepth));
  expect_limit(with(kMaxOperandDepth + 1), "operand stack deeper than 1000000");
  // By calls that return a thousand values each.
  const Bin type = func_type({}, Bin(kMaxResults, kI32));
  const auto calls = [&](uint32_t count) {
    return function_module(type, repeat(count, {0x10, 0}) + Bin{0x00, 0x0b});
  };
  EXPECT_VALID(calls(kMaxOperandDepth / kMaxResults));
  expect_limit(calls(kMaxOperandDepth / kMaxResults + 1), "operand stack deeper than 1000000");
}

// The largest br_table over labels that take a thousand values each, at every depth.
TEST(Limits, BrTableOfWideLabels) {
  const Bin type = func_type({}, Bin(kMaxResults, kI64));
  const uint32_t depth = 20'000;
  Bin code = repeat(depth, {0x02, 0x00}) + repeat(kMaxResults, {0x42, 0}) + Bin{0x41, 0, 0x0e} +
             uleb(kMaxBrTableTargets);
  for (uint32_t i = 0; i < kMaxBrTableTargets; i++) {
    const Bin label = uleb(i % depth);
    code.insert(code.end(), label.begin(), label.end());
  }
  EXPECT_VALID(function_module(type, code + Bin{0} + Bin(depth + 1, 0x0b)));
}

// Every memory budget either suffices or ends in a clean error.
TEST(Limits, MemoryBudget) {
  const Bin code = Bin{0x41, 0, 0x04, 0x40} + repeat(100, {0x02, 0x40}) + Bin(102, 0x0b);
  const Bin module = many(header() + types({kVoid}), 3, 50, {0}) + section(5, {1, 0, 1}) +
                     section(7, vec({str("f") + Bin{0, 1}})) +
                     section(10, counted(50, repeat(50, body(code, {1, 0xa0, 0x1f, kI32})))) +
                     section(11, vec({{1, 3, 'a', 'b', 'c'}})) +
                     custom("name", Bin{1, 4, 1, 3, 1, 'f'});
  EXPECT_VALID(module);
  uint32_t failures = 0;
  for (size_t budget = 0; budget < 100'000; budget += 101) {
    const Decoded got = decode_bin(module, budget);
    if (got.err == Err::kOk) continue;
    EXPECT_EQ(static_cast<int>(got.err), static_cast<int>(Err::kNoMemory)) << got.diag.message;
    EXPECT_STREQ(got.diag.message, "out of memory");
    EXPECT_EQ(got.module, nullptr);
    failures++;
  }
  EXPECT_GT(failures, 100u);
}

// No prefix of a module and no flipped bit in it does worse than an error.
TEST(Robustness, TruncationsAndBitFlips) {
  const Bin module = header() + types({kVoid, func_type({kI32}, {kI64})}) +
                     section(2, vec({str("env") + str("f") + Bin{0, 1}})) + section(3, {1, 0}) +
                     section(4, {1, kFuncRef, 1, 1, 9}) + section(5, {1, 1, 1, 2}) +
                     section(6, {1, kI32, 1, 0x41, 0x2a, 0x0b}) +
                     section(7, vec({str("run") + Bin{0, 1}})) + section(8, {1}) +
                     section(9, vec({{0, 0x41, 0, 0x0b, 1, 0}})) + section(12, {1}) +
                     section(10, vec({body({0x03, 0x40, 0x41, 1, 0x04, kI32, 0x23, 0, 0x05, 0x41, 7,
                                            0x0b, 0x0e, 1, 0, 1, 0x0b, 0x0b},
                                           {1, 2, kV128})})) +
                     section(11, vec({{1, 2, 'h', 'i'}})) + custom("name", Bin{1, 4, 1, 1, 1, 'f'});
  EXPECT_VALID(module);
  for (size_t size = 0; size < module.size(); size++) {
    const Decoded got = decode_bin(Bin(module.begin(), module.begin() + static_cast<long>(size)));
    if (got.err != Err::kOk) {
      EXPECT_LE(got.diag.offset, size);
    }
  }
  for (size_t bit = 0; bit < module.size() * 8; bit++) {
    Bin flipped = module;
    flipped[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const Decoded got = decode_bin(flipped);
    EXPECT_EQ(got.err == Err::kOk, got.module != nullptr);
    EXPECT_EQ(got.err == Err::kOk, got.diag.message[0] == '\0');
  }
}

}  // namespace
}  // namespace wring
