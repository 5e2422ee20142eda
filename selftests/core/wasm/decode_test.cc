// SPDX-License-Identifier: GPL-2.0
// Decoding of sections: contents, order, and what is malformed or invalid outside function bodies.
#include <gtest/gtest.h>

#include <algorithm>

#include "selftests/core/wasm/module_builder.h"

namespace wring {
namespace {

using namespace testing;

const Bin kVoid = func_type({}, {});

TEST(Decode, EmptyModule) {
  const Decoded got = decode_bin(header());
  ASSERT_EQ(got.err, Err::kOk);
  EXPECT_EQ(got.module->bytes.size(), 8u);
  EXPECT_EQ(got.module->start, kNone);
  EXPECT_TRUE(got.module->functions.empty());
}

TEST(Decode, Header) {
  EXPECT_MALFORMED((Bin{}), 0, "unexpected end");
  EXPECT_MALFORMED((Bin{0, 'a', 's'}), 3, "unexpected end");
  EXPECT_MALFORMED((Bin{'a', 's', 'm', 0, 1, 0, 0, 0}), 0, "magic header not detected");
  EXPECT_MALFORMED((Bin{0, 'a', 's', 'm', 1, 0}), 6, "unexpected end");
  EXPECT_MALFORMED((Bin{0, 'a', 's', 'm', 2, 0, 0, 0}), 4, "unknown binary version");
  EXPECT_UNSUPPORTED((Bin{0, 'a', 's', 'm', 0x0d, 0, 1, 0}), 4,
                     "components are not supported: version 0x0d; build a core module");
}

TEST(Decode, SectionFraming) {
  EXPECT_MALFORMED((header() + Bin{14, 0}), 8, "malformed section id 14");
  EXPECT_MALFORMED((header() + Bin{1}), 9, "unexpected end");
  EXPECT_MALFORMED((header() + Bin{1, 2, 0}), 8, "length out of bounds");
  EXPECT_MALFORMED((header() + Bin{1, 2, 0, 0}), 11, "section size mismatch");
  EXPECT_MALFORMED((header() + Bin{1, 1, 1, 0, 0}), 11, "unexpected end of section or function");
  EXPECT_MALFORMED((header() + Bin{1, 0x81, 0x80, 0x80, 0x80, 0x10, 0}), 9, "integer too large");
}

TEST(Decode, SectionOrder) {
  // Every section once, in the order of the format; custom sections anywhere.
  const Bin note = custom("note", {1, 2, 3});
  EXPECT_VALID((header() + note + section(1, {0}) + section(2, {0}) + note + section(3, {0}) +
                section(4, {0}) + section(5, {0}) + section(13, {0}) + section(6, {0}) +
                section(7, {0}) + section(9, {0}) + section(12, {0}) + section(10, {0}) +
                section(11, {0}) + note));
  const uint8_t order[] = {1, 2, 3, 4, 5, 13, 6, 7, 9, 12, 10, 11};
  for (size_t i = 0; i < sizeof(order); i++)
    for (size_t k = 0; k <= i; k++)
      EXPECT_MALFORMED((header() + section(order[i], {0}) + section(order[k], {0})), 11,
                       "unexpected content after last section");
}

TEST(Decode, Types) {
  const Decoded got = decode_bin(header() + types({func_type({kI32, kExternRef}, {kV128}), kVoid}));
  ASSERT_EQ(got.err, Err::kOk);
  ASSERT_EQ(got.module->types.size(), 2u);
  const FuncType& type = got.module->types[0];
  ASSERT_EQ(type.params.size(), 2u);
  EXPECT_EQ(type.params[0], ValType::kI32);
  EXPECT_EQ(type.params[1], ValType::kExternRef);
  ASSERT_EQ(type.results.size(), 1u);
  EXPECT_EQ(type.results[0], ValType::kV128);
  EXPECT_TRUE(equal(type, type));
  EXPECT_FALSE(equal(type, got.module->types[1]));

  EXPECT_MALFORMED((header() + types({{0x61, 0, 0}})), 11, "malformed function type");
  EXPECT_MALFORMED((header() + types({{0xe0, 0x7f, 0, 0}})), 11, "integer representation too long");
  EXPECT_MALFORMED((header() + types({{0x60, 1, 0x40, 0}})), 13, "malformed value type");
}

TEST(Decode, Imports) {
  const Bin imports =
      vec({str("env") + str("f") + Bin{0, 0}, str("env") + str("t") + Bin{1, kFuncRef, 0, 5},
           str("env") + str("m") + Bin{2, 1, 1, 2}, str("env") + str("g") + Bin{3, kI64, 1},
           str("x") + str("h") + Bin{0, 0}});
  const Decoded got = decode_bin(header() + types({kVoid}) + section(2, imports));
  ASSERT_EQ(got.err, Err::kOk) << got.diag.message;
  const Module& m = *got.module;
  ASSERT_EQ(m.imports.size(), 5u);
  EXPECT_EQ(m.imported_functions, 2u);
  EXPECT_EQ(m.imported_tables, 1u);
  EXPECT_EQ(m.imported_memories, 1u);
  EXPECT_EQ(m.imported_globals, 1u);
  EXPECT_EQ(text_of(m.imports[4].module), "x");
  EXPECT_EQ(text_of(m.imports[4].name), "h");
  EXPECT_EQ(m.imports[4].index, 1u);
  EXPECT_EQ(m.imports[0].offset, 17u);
  EXPECT_EQ(m.imports[1].offset, 25u);
  EXPECT_EQ(m.tables[0].type.limits.min, 5u);
  EXPECT_FALSE(m.tables[0].type.limits.has_max);
  EXPECT_TRUE(m.memories[0].type.limits.has_max);
  EXPECT_EQ(m.memories[0].type.limits.max, 2u);
  EXPECT_TRUE(m.globals[0].type.is_mutable);
  EXPECT_TRUE(m.is_imported_function(1));

  const auto with_import = [](const Bin& import) { return header() + section(2, vec({import})); };
  EXPECT_MALFORMED(with_import(str("a") + str("b") + Bin{5}), 15, "malformed import kind");
  EXPECT_MALFORMED(with_import(str("a") + str("b") + Bin{3, kI32, 2}), 17, "malformed mutability");
  EXPECT_MALFORMED(with_import(Bin{1, 0xff, 0, 0, 0}), 12, "malformed UTF-8 encoding");
  EXPECT_MALFORMED(with_import(str("a") + Bin{9, 'b', 0, 0}), 13, "length out of bounds");
  EXPECT_INVALID(with_import(str("a") + str("b") + Bin{0, 0}), 16, "unknown type 0");
}

TEST(Decode, Limits) {
  const auto table = [](const Bin& limits) {
    return header() + section(4, Bin{1, kFuncRef} + limits);
  };
  for (uint8_t flags : {2, 3, 6, 8, 0x81})
    EXPECT_MALFORMED(table({flags, 0, 0}), 12, "malformed limits flags");
  EXPECT_MALFORMED(table({1, 0}), 14, "unexpected end");
  EXPECT_INVALID(table({1, 2, 1}), 12, "size minimum must not be greater than maximum");
  EXPECT_VALID(table({1, 2, 0xff, 0xff, 0xff, 0xff, 0x0f}));
  EXPECT_MALFORMED((header() + section(4, {1, kI32, 0, 0})), 11, "malformed reference type");

  const auto memory = [](const Bin& limits) { return header() + section(5, Bin{1} + limits); };
  EXPECT_VALID(memory(Bin{1} + uleb(65536) + uleb(65536)));
  EXPECT_INVALID(memory(Bin{0} + uleb(65537)), 11,
                 "memory size must be at most 65536 pages (4GiB)");
  EXPECT_INVALID(memory(Bin{1, 0} + uleb(65537)), 11,
                 "memory size must be at most 65536 pages (4GiB)");
  EXPECT_INVALID(memory({1, 2, 1}), 11, "size minimum must not be greater than maximum");
}

TEST(Decode, ManyMemories) {
  const Decoded got = decode_bin(header() + section(2, vec({str("a") + str("b") + Bin{2, 0, 7}})) +
                                 section(5, {2, 0, 8, 0, 9}));
  ASSERT_EQ(got.err, Err::kOk) << got.diag.message;
  ASSERT_EQ(got.module->memories.size(), 3u);
  EXPECT_EQ(got.module->imported_memories, 1u);
  for (u32 i = 0; i < 3; i++) EXPECT_EQ(got.module->memories[i].type.limits.min, 7u + i);
  EXPECT_REJECTED_AS(kWasm2, (header() + section(5, {2, 0, 0, 0, 0})), Err::kInvalid, 13,
                     "multiple memories");
  EXPECT_REJECTED_AS(
      kWasm2,
      (header() + section(2, vec({str("a") + str("b") + Bin{2, 0, 0}})) + section(5, {1, 0, 0})),
      Err::kInvalid, 21, "multiple memories");
}

TEST(Decode, Globals) {
  const auto global = [](const Bin& rest) { return header() + section(6, Bin{1} + rest); };
  const Decoded got = decode_bin(global({kI32, 1, 0x41, 0x2a, 0x0b}));
  ASSERT_EQ(got.err, Err::kOk);
  EXPECT_TRUE(got.module->globals[0].type.is_mutable);
  EXPECT_EQ(got.module->globals[0].init.begin, 13u);
  EXPECT_EQ(got.module->globals[0].init.end, 16u);

  EXPECT_MALFORMED(global({kI32, 2, 0x41, 0, 0x0b}), 12, "malformed mutability");
  EXPECT_MALFORMED(global({0x40, 0, 0x41, 0, 0x0b}), 11, "malformed value type");
  EXPECT_INVALID(global({kI32, 0, 0x42, 0, 0x0b}), 13, "type mismatch: expected i32, found i64");
  EXPECT_INVALID(global({kI32, 0, 0x0b}), 13, "type mismatch");
  EXPECT_INVALID(global({kI32, 0, 0x41, 0, 0x41, 0, 0x0b}), 13, "type mismatch");
  EXPECT_INVALID(global({kI32, 0, 0x41, 0, 0x41, 0, 0x6e, 0x0b}), 17,
                 "constant expression required");
  EXPECT_INVALID(global({kI32, 0, 0x01, 0x41, 0, 0x0b}), 13, "constant expression required");
  EXPECT_INVALID(global({kI32, 0, 0x02, kI32, 0x41, 0, 0x0b, 0x0b}), 13,
                 "constant expression required");
  EXPECT_INVALID(global({kI32, 0, 0x23, 0, 0x0b}), 13, "unknown global 0");
  EXPECT_INVALID(global({kFuncRef, 0, 0xd2, 0, 0x0b}), 13, "unknown function 0");
  EXPECT_VALID(global({kFuncRef, 0, 0xd0, kFuncRef, 0x0b}));
  EXPECT_VALID(global(Bin{kV128, 0, 0xfd, 0x0c} + Bin(16, 9) + Bin{0x0b}));
  EXPECT_MALFORMED(global({kI32, 0, 0x41, 0}), 15, "unexpected end");
  EXPECT_MALFORMED(global({kI32, 0, 0x41, 0, 0xf3, 0x0b}), 15, "illegal opcode 0xf3");

  // Immutable globals before the expression may be read; in 2.0 only imported ones.
  const auto imports = [](uint8_t mutability) {
    return header() + section(2, vec({str("a") + str("b") + Bin{3, kI32, mutability}}));
  };
  EXPECT_VALID(imports(0) + section(6, {1, kI32, 0, 0x23, 0, 0x0b}));
  EXPECT_INVALID(imports(1) + section(6, {1, kI32, 0, 0x23, 0, 0x0b}), 23,
                 "constant expression required");
  EXPECT_INVALID(imports(0) + section(6, {1, kI64, 0, 0x23, 0, 0x0b}), 23, "type mismatch");
  const Bin second = imports(0) + section(6, {2, kI32, 0, 0x41, 0, 0x0b, kI32, 0, 0x23, 1, 0x0b});
  EXPECT_VALID(second);
  EXPECT_REJECTED_AS(kWasm2, second, Err::kInvalid, 28, "unknown global 1");
  EXPECT_INVALID(imports(0) + section(6, {1, kI32, 0, 0x23, 1, 0x0b}), 23, "unknown global 1");
  EXPECT_INVALID(imports(0) + section(6, {2, kI32, 1, 0x41, 0, 0x0b, kI32, 0, 0x23, 1, 0x0b}), 28,
                 "constant expression required");
}

TEST(Decode, Exports) {
  const Bin memory = section(5, {1, 0, 1});
  const auto with_exports = [&](std::initializer_list<Bin> exports) {
    return header() + memory + section(7, vec(exports));
  };
  EXPECT_VALID(with_exports({str("a") + Bin{2, 0}, str("b") + Bin{2, 0}, str("") + Bin{2, 0}}));
  EXPECT_MALFORMED(with_exports({str("a") + Bin{5, 0}}), 18, "malformed export kind");
  EXPECT_INVALID(with_exports({str("a") + Bin{2, 1}}), 19, "unknown memory 1");
  EXPECT_INVALID(with_exports({str("a") + Bin{0, 0}}), 19, "unknown function 0");
  EXPECT_INVALID(with_exports({str("a") + Bin{1, 0}}), 19, "unknown table 0");
  EXPECT_INVALID(with_exports({str("a") + Bin{3, 0}}), 19, "unknown global 0");
  // The offset is the second one's name.
  EXPECT_INVALID(with_exports({str("a") + Bin{2, 0}, str("b") + Bin{2, 0}, str("a") + Bin{2, 0}}),
                 25, "duplicate export name \"a\"");
  const Bin a = str("a") + Bin{2, 0};
  EXPECT_INVALID(with_exports({a, a, a, a, a}), 21, "duplicate export name \"a\"");
  EXPECT_INVALID(with_exports({str("") + Bin{2, 0}, str("") + Bin{2, 0}}), 20,
                 "duplicate export name \"\"");
}

TEST(Decode, Start) {
  const auto with_start = [](const Bin& type, uint8_t index) {
    return header() + types({type}) + section(3, {1, 0}) + section(8, {index}) +
           section(10, vec({body({0x00, 0x0b})}));
  };
  EXPECT_EQ(decode_bin(with_start(kVoid, 0)).module->start, 0u);
  EXPECT_INVALID(with_start(kVoid, 1), 20, "unknown function 1");
  EXPECT_INVALID(with_start(func_type({kI32}, {}), 0), 21, "start function");
  EXPECT_INVALID(with_start(func_type({}, {kI32}), 0), 21, "start function");
}

// Functions 0 and 1, table 0 of funcref, table 1 of externref; then an element section.
Bin with_elements(std::initializer_list<Bin> elements) {
  return header() + types({kVoid}) + section(3, {2, 0, 0}) +
         section(4, {2, kFuncRef, 0, 4, kExternRef, 0, 4}) + section(9, vec(elements)) +
         section(10, vec({body({0x0b}), body({0x0b})}));
}
constexpr uint32_t kElement = 31;  // offset of the first segment

TEST(Decode, ElementSegments) {
  const Decoded got = decode_bin(with_elements({
      {0, 0x41, 1, 0x0b, 2, 0, 1},                 // active, table 0, functions
      {1, 0, 1, 1},                                // passive, functions
      {2, 0, 0x41, 2, 0x0b, 0, 0},                 // active, explicit table, empty
      {3, 0, 1, 0},                                // declared, functions
      {4, 0x41, 0, 0x0b, 1, 0xd2, 1, 0x0b},        // active, expressions
      {5, kExternRef, 1, 0xd0, kExternRef, 0x0b},  // passive, expressions
      {6, 1, 0x41, 0, 0x0b, kExternRef, 1, 0xd0, kExternRef, 0x0b},  // active, table 1
      {7, kFuncRef, 2, 0xd0, kFuncRef, 0x0b, 0xd2, 0, 0x0b},         // declared, expressions
  }));
  ASSERT_EQ(got.err, Err::kOk) << got.diag.message << " at " << got.diag.offset;
  const Span<const ElementSegment> e = got.module->elements;
  ASSERT_EQ(e.size(), 8u);
  EXPECT_EQ(e[0].mode, SegmentMode::kActive);
  EXPECT_EQ(e[0].functions.size(), 2u);
  EXPECT_EQ(e[0].functions[1], 1u);
  EXPECT_EQ(e[0].offset.begin, kElement + 1);
  EXPECT_EQ(e[0].offset.size(), 3u);
  EXPECT_EQ(e[1].mode, SegmentMode::kPassive);
  EXPECT_EQ(e[2].size(), 0u);
  EXPECT_EQ(e[3].mode, SegmentMode::kDeclared);
  EXPECT_EQ(e[4].expressions.size(), 1u);
  EXPECT_EQ(e[4].type, ValType::kFuncRef);
  EXPECT_EQ(e[5].type, ValType::kExternRef);
  EXPECT_EQ(e[6].table, 1u);
  EXPECT_EQ(e[7].mode, SegmentMode::kDeclared);
  EXPECT_EQ(e[7].size(), 2u);
}

TEST(Decode, BadElementSegments) {
  EXPECT_MALFORMED(with_elements({{8, 0}}), kElement, "malformed element segment kind");
  EXPECT_MALFORMED(with_elements({{1, 1, 0}}), kElement + 1, "malformed element kind");
  EXPECT_MALFORMED(with_elements({{5, kI32, 0}}), kElement + 1, "malformed reference type");
  EXPECT_INVALID(with_elements({{1, 0, 1, 2}}), kElement + 3, "unknown function 2");
  EXPECT_INVALID(with_elements({{2, 2, 0x41, 0, 0x0b, 0, 0}}), kElement, "unknown table 2");
  EXPECT_INVALID(with_elements({{2, 1, 0x41, 0, 0x0b, 0, 0}}), kElement, "type mismatch");
  EXPECT_INVALID(with_elements({{0, 0x42, 0, 0x0b, 0}}), kElement + 1, "type mismatch");
  EXPECT_INVALID(with_elements({{5, kFuncRef, 1, 0xd0, kExternRef, 0x0b}}), kElement + 3,
                 "type mismatch: expected funcref, found externref");
}

TEST(Decode, DataSegments) {
  const auto with_datas = [](std::initializer_list<Bin> datas) {
    return header() + section(5, {1, 0, 1}) + section(11, vec(datas));
  };
  const Decoded got = decode_bin(
      with_datas({{0, 0x41, 8, 0x0b, 2, 'h', 'i'}, {1, 0}, {2, 0, 0x41, 0, 0x0b, 1, 'x'}}));
  ASSERT_EQ(got.err, Err::kOk);
  const Span<const DataSegment> d = got.module->datas;
  ASSERT_EQ(d.size(), 3u);
  EXPECT_EQ(d[0].mode, SegmentMode::kActive);
  EXPECT_EQ(d[0].bytes.begin, 21u);
  EXPECT_EQ(d[0].bytes.size(), 2u);
  EXPECT_EQ(d[1].mode, SegmentMode::kPassive);
  EXPECT_EQ(d[1].bytes.size(), 0u);
  EXPECT_EQ(d[2].bytes.size(), 1u);

  EXPECT_MALFORMED(with_datas({{3, 0}}), 16, "malformed data segment kind");
  EXPECT_MALFORMED(with_datas({{1, 3, 'a', 'b'}}), 20, "unexpected end");
  EXPECT_INVALID(with_datas({{2, 1, 0x41, 0, 0x0b, 0}}), 16, "unknown memory 1");
  EXPECT_INVALID((header() + section(11, vec({{0, 0x41, 0, 0x0b, 0}}))), 11, "unknown memory 0");
}

TEST(Decode, CountsMustAgree) {
  const Bin one = vec({body({0x0b})});
  const char* const functions = "function and code section have inconsistent lengths";
  EXPECT_MALFORMED((header() + types({kVoid}) + section(3, {1, 0})), 18, functions);
  EXPECT_MALFORMED((header() + section(10, one)), 10, functions);
  EXPECT_MALFORMED((header() + types({kVoid}) + section(3, {2, 0, 0}) + section(10, one)), 21,
                   functions);
  EXPECT_VALID((header() + section(3, {0})));
  EXPECT_VALID((header() + section(10, {0})));

  const char* const datas = "data count and data section have inconsistent lengths";
  EXPECT_MALFORMED((header() + section(12, {1})), 11, datas);
  EXPECT_MALFORMED((header() + section(12, {2}) + section(11, vec({{1, 0}}))), 16, datas);
  EXPECT_VALID((header() + section(12, {1}) + section(11, vec({{1, 0}}))));
  EXPECT_VALID((header() + section(12, {0})));
}

// A module that is both is malformed, whichever comes first.
TEST(Decode, MalformedComesBeforeInvalid) {
  const Bin invalid = header() + section(5, {2, 0, 0, 1, 1, 0});
  EXPECT_INVALID(invalid, 13, "size minimum must not be greater than maximum");
  EXPECT_MALFORMED((invalid + Bin{99, 0}), 16, "malformed section id 99");
  EXPECT_MALFORMED((invalid + section(7, {1, 1, 0xff, 2, 0})), 20, "malformed UTF-8 encoding");
}

TEST(Decode, AddressTaken) {
  // 0: plain; 1: exported; 2: in a segment; 3: in a global; 4: in a declared segment's expression.
  const Decoded got = decode_bin(
      header() + types({kVoid}) + section(3, {5, 0, 0, 0, 0, 0}) + section(4, {1, kFuncRef, 0, 1}) +
      section(6, {1, kFuncRef, 0, 0xd2, 3, 0x0b}) + section(7, vec({str("one") + Bin{0, 1}})) +
      section(9, vec({{0, 0x41, 0, 0x0b, 1, 2}, {7, kFuncRef, 1, 0xd2, 4, 0x0b}})) +
      section(10, counted(5, repeat(5, body({0x0b})))));
  ASSERT_EQ(got.err, Err::kOk) << got.diag.message;
  for (uint32_t i = 0; i < 5; i++) EXPECT_EQ(got.module->functions[i].address_taken, i != 0) << i;
}

TEST(Decode, TheModuleOwnsItsBytes) {
  Bin bin = header() + custom("note", {1, 2, 3});
  Decoded got = decode_bin(bin);
  ASSERT_EQ(got.err, Err::kOk);
  std::fill(bin.begin(), bin.end(), 0);
  ASSERT_EQ(got.module->customs.size(), 1u);
  EXPECT_EQ(text_of(got.module->customs[0].name), "note");
  EXPECT_EQ(got.module->customs[0].payload[2], 3);
}

}  // namespace
}  // namespace wring
