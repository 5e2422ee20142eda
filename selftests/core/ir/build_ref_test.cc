// SPDX-License-Identifier: GPL-2.0
// SSA construction of references, tables and globals of all types, and of what host functions get.
#include "selftests/core/ir/program_fixture.h"

namespace wring::test {
namespace {

using ir::Op;

class BuildRef : public ProgramTest {};

TEST_F(BuildRef, NullTests) {
  Code is_null, as_non_null, on_null, on_non_null;
  is_null.op(O::kLocalGet, 0).op(O::kRefIsNull);
  as_non_null.op(O::kLocalGet, 0).op(O::kRefAsNonNull).op(O::kDrop);
  on_null.block(O::kBlock, -64).op(O::kLocalGet, 0).op(O::kBrOnNull, 0).op(O::kDrop);
  on_null.i32(1).op(O::kReturn).end().i32(2);
  on_non_null.block(O::kBlock, ModuleWriter::kExternRef - 0x80).op(O::kLocalGet, 0);
  on_non_null.op(O::kBrOnNonNull, 0).i32(3).op(O::kReturn).end().op(O::kDrop).i32(4);
  u32 a = func("r", "i", is_null), b = func("r", "", as_non_null), c = func("r", "i", on_null),
      d = func("r", "i", on_non_null);
  load();
  expect(a, {0}, {1});
  expect(a, {5}, {0});
  expect(b, {5}, {});
  expect_trap(b, {0}, TrapReason::kNullReference);
  expect(c, {0}, {2});
  expect(c, {5}, {1});
  expect(d, {0}, {3});
  expect(d, {5}, {4});
}

TEST_F(BuildRef, TablesOfWordsAreAccessedInLine) {
  u32 table = writer_.table_of(ModuleWriter::kExternRef, 3, 9);
  u32 wide = writer_.table_of(ModuleWriter::kExternRef, 3, 9, true);
  Code code;
  code.op(O::kLocalGet, 0).op(O::kLocalGet, 1).op(O::kTableSet, table);
  code.op(O::kLocalGet, 0).op(O::kTableGet, table);
  u32 f = func("ir", "r", code);
  Code code64;
  code64.op(O::kLocalGet, 0).op(O::kLocalGet, 1).op(O::kTableSet, wide);
  code64.op(O::kLocalGet, 0).op(O::kTableGet, wide);
  u32 g = func("lr", "r", code64);
  Code bulk;  // grow, fill, copy
  bulk.op(O::kLocalGet, 0).i64(4).op(O::kTableGrow, wide);
  bulk.i32(0).op(O::kLocalGet, 0).i32(3).op(O::kTableFill, table);
  bulk.i64(2).i32(0).op(O::kLocalGet, 1).op(O::kTableCopy, wide, table);
  bulk.i64(4).op(O::kTableGet, wide).op(O::kRefIsNull).op(O::kTableSize, wide);
  u32 h = func("ri", "lil", bulk);
  load();
  EXPECT_EQ(built(f, Op::kCallLib) + built(g, Op::kCallLib), 0u);
  expect(f, {2, 77}, {77});
  expect_trap(f, {3, 77}, TrapReason::kTableOutOfBounds);
  expect(g, {2, 77}, {77});
  expect_trap(g, {3, 77}, TrapReason::kTableOutOfBounds);
  expect_trap(g, {0x1'0000'0000, 77}, TrapReason::kTableOutOfBounds);
  expect(h, {5, 3}, {3, 0, 7});
  expect_trap(h, {5, 4}, TrapReason::kTableOutOfBounds);
}

TEST_F(BuildRef, FunctionsInTablesAndCalls) {
  Code answer;
  answer.op(O::kLocalGet, 0).i32(40).op(O::kI32Add);
  for (u32 i = 0; i < 50; i++) answer.op(O::kNop).i32(0).op(O::kI32Add);  // too large to inline
  u32 a = func("i", "i", answer);
  writer_.table({a}, 2, 5);
  u32 type = writer_.type("i", "i");
  Code set;  // table[i] = ref.func a; then call it
  set.op(O::kLocalGet, 0).op(O::kRefFunc, a).op(O::kTableSet, 0);
  set.i32(2).op(O::kLocalGet, 0).op(O::kCallIndirect, type, 0);
  u32 f = func("i", "i", set);
  Code get;  // what table[i] refers to, moved to table[1] and called there
  get.i32(1).op(O::kLocalGet, 0).op(O::kTableGet, 0).op(O::kTableSet, 0);
  get.i32(3).i32(1).op(O::kCallIndirect, type, 0);
  u32 g = func("i", "i", get);
  Code ref;
  ref.i32(5).op(O::kRefFunc, a).op(O::kCallRef, type);
  u32 h = func("", "i", ref);
  load();
  expect(f, {1}, {42});
  expect_trap(f, {2}, TrapReason::kTableOutOfBounds);
  expect(g, {0}, {43});
  expect_trap(g, {1}, TrapReason::kUninitializedElement);
  expect(h, {}, {45});
}

TEST_F(BuildRef, GlobalsOfEveryType) {
  Code f32, f64, v128, null;
  f32.f32(0x3fc0'0000);
  f64.f64(0x4004'0000'0000'0000);
  v128.v128(3, 4);
  null.op(O::kRefNull, ModuleWriter::kExternRef);
  u32 fixed_vector = writer_.global(ModuleWriter::kV128, false, v128);
  u32 fixed_float = writer_.global(ModuleWriter::kF32, false, f32);
  u32 a = writer_.global(ModuleWriter::kF32, true, f32);
  u32 b = writer_.global(ModuleWriter::kF64, true, f64);
  u32 c = writer_.global(ModuleWriter::kV128, true, v128);
  u32 d = writer_.global(ModuleWriter::kExternRef, true, null);
  Code code;
  for (u32 global : {a, b, c, d}) code.op(O::kGlobalGet, global);
  code.op(O::kGlobalGet, fixed_vector).op(O::kGlobalGet, fixed_float);
  code.op(O::kLocalGet, 0).op(O::kGlobalSet, a).op(O::kLocalGet, 1).op(O::kGlobalSet, b);
  code.op(O::kLocalGet, 2).op(O::kGlobalSet, c).op(O::kLocalGet, 3).op(O::kGlobalSet, d);
  for (u32 global : {a, b, c, d}) code.op(O::kGlobalGet, global);
  u32 f = func("fdvr", "fdvrvffdvr", code);
  load();
  EXPECT_EQ(built(f, Op::kLoadRaw) - optimized(f, Op::kLoadRaw), built(f, Op::kLoadRaw) - 9u);
  expect(f, {1, 2, 3, 4, 5},
         {0x3fc0'0000, 0x4004'0000'0000'0000, 3, 4, 0, 3, 4, 0x3fc0'0000, 1, 2, 3, 4, 5});
}

TEST_F(BuildRef, SelectOfEveryType) {
  Code code;
  for (u32 i = 0; i < 3; i++)
    code.op(O::kLocalGet, i).op(O::kLocalGet, i + 3).op(O::kLocalGet, 6).op(O::kSelect);
  code.op(O::kRefNull, ModuleWriter::kExternRef).op(O::kLocalGet, 7).op(O::kLocalGet, 6);
  code.op(O::kSelectT, 1).bytes.push_back(ModuleWriter::kExternRef);
  u32 f = func("fdvfdvir", "fdvr", code);
  // Constants 0 and 1 of a float are not the condition's value.
  Code bits;
  bits.f64(1).f64(0).op(O::kLocalGet, 0).op(O::kSelect);
  u32 g = func("i", "d", bits);
  load();
  expect(f, {1, 2, 3, 4, 5, 6, 7, 8, 1, 9}, {1, 2, 3, 4, 0});
  expect(f, {1, 2, 3, 4, 5, 6, 7, 8, 0, 9}, {5, 6, 7, 8, 9});
  expect(g, {5}, {1});
  expect(g, {0}, {0});
  EXPECT_EQ(optimized(g, Op::kSelect), 1u);
}

// Floats arrive as their bits, vectors as two words.
TEST_F(BuildRef, HostFunctionsGetIntegers) {
  u32 host = writer_.import("m", "host", writer_.type("fdvr", "f"));
  Code code;
  for (u32 i = 0; i < 4; i++) code.op(O::kLocalGet, i);
  code.op(O::kCall, host);
  u32 f = func("fdvr", "f", code);
  FunctionBinding binding;
  binding.kind = BindingKind::kHost;
  binding.address = 1;
  std::vector<u64> seen;
  prepare_ = [&](Instance* instance) {
    instance->set_host(host, [&](wring_vmctx*, const std::vector<u64>& args) -> u64 {
      seen = args;
      return 0x4000'0000;
    });
  };
  load({binding});
  expect(f, {0x3f80'0000, 0x3ff0'0000'0000'0000, 7, 8, 9}, {0x4000'0000});
  EXPECT_EQ(seen, (std::vector<u64>{0x3f80'0000, 0x3ff0'0000'0000'0000, 7, 8, 9}));
  // Its adapter does the same: what tables and exports hold.
  for (Program* program : {built_.get(), optimized_.get()}) {
    Arena arena(1 << 24);
    ir::Function adapter(&arena);
    ir::BuildContext context = {};
    context.module = &program->module();
    context.bindings = &program->bindings();
    Diag diag;
    ASSERT_EQ(ir::build(context, host, &adapter, &diag), Err::kOk) << diag.message;
    ASSERT_EQ(ir::verify(adapter, "build", &diag), Err::kOk) << diag.message;
  }
}

}  // namespace
}  // namespace wring::test
