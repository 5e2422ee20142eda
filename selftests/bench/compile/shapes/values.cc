// SPDX-License-Identifier: GPL-2.0
// Shapes of values and instructions: mostly straight lines.
#include "selftests/bench/compile/shapes/shapes.h"

namespace wring::bench {
namespace {

using Op = Opcode;
constexpr i64 kEmpty = -64;

Body straight_line(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0).op(Op::kLocalGet, 1).op(Op::kI32Add).i32(static_cast<i32>(i % 50));
    c.op(Op::kI32Xor).op(Op::kLocalSet, i % 2);
  }
  c.op(Op::kLocalGet, 0);
  return one_function("ii", "i", "", c);
}

Body huge_expression(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) c.op(Op::kLocalGet, i % 2).i32(static_cast<i32>(i)).op(Op::kI32Xor);
  for (u32 i = 0; i + 1 < n; i++) c.op(i % 2 ? Op::kI32Add : Op::kI32Mul);
  return one_function("ii", "i", "", c);
}

Body many_constants(u32 n) {
  Code c;
  c.op(Op::kLocalGet, 0);
  for (u32 i = 0; i < n; i++)
    c.i64(static_cast<wring::i64>(0x1234'5678'9abc'0000 + i)).op(Op::kI64Mul);
  return one_function("l", "l", "", c);
}

Body constants_in_loop(u32 n) {
  Code c;
  c.block(Op::kLoop, kEmpty).op(Op::kLocalGet, 0);
  for (u32 i = 0; i < n; i++)
    c.i64(static_cast<wring::i64>(0x1234'5678'9abc'0000 + i)).op(Op::kI64Mul);
  c.op(Op::kLocalTee, 0).op(Op::kI32WrapI64).op(Op::kBrIf, 0).end().op(Op::kLocalGet, 0);
  return one_function("l", "l", "", c);
}

Body invariants_in_loop(u32 n) {
  Code c;
  c.block(Op::kLoop, kEmpty);
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 1).i32(static_cast<i32>(i)).op(Op::kI32Mul).op(Op::kLocalGet, 0);
    c.op(Op::kI32Add).op(Op::kLocalSet, 0);
  }
  c.op(Op::kLocalGet, 0).op(Op::kBrIf, 0).end().op(Op::kLocalGet, 0);
  return one_function("ii", "i", "", c);
}

Body select_chain(u32 n) {
  Code c;
  c.op(Op::kLocalGet, 0);
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 1).op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kI32LtS);
    c.op(Op::kSelect);
  }
  return one_function("ii", "i", "", c);
}

Body divisions(u32 n) {
  Code c;
  c.op(Op::kLocalGet, 0);
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 1).op(i % 2 ? Op::kI32DivS : Op::kI32RemU).i32(static_cast<i32>(i + 3));
    c.op(Op::kI32DivU).op(Op::kLocalGet, 0).op(Op::kI32Shl);
  }
  return one_function("ii", "i", "", c);
}

Body many_locals(u32 n) {
  Code c;
  for (u32 i = 1; i < n; i++)
    c.op(Op::kLocalGet, i - 1).i32(static_cast<i32>(i)).op(Op::kI32Mul).op(Op::kLocalSet, i);
  c.op(Op::kLocalGet, 0);
  for (u32 i = 1; i < n; i++) c.op(Op::kLocalGet, i).op(Op::kI32Add);
  return one_function("i", "i", std::string(n - 1, 'i'), c);
}

// Declared in as many runs, and hardly used.
Body idle_locals(u32 n) {
  std::string locals;
  for (u32 i = 0; i < n; i++) locals += "ilfdv"[i % 5];
  Code c;
  c.op(Op::kLocalGet, 0);
  ModuleWriter m;
  for (u32 i = 0; i < 10; i++) m.function(m.type("i", "i"), locals, c);
  return m.finish();
}

Body floats_with_spills(u32 n) {
  Code c;
  for (u32 i = 1; i < n; i++)
    c.op(Op::kLocalGet, i - 1).f64(i).op(Op::kF64Mul).op(Op::kLocalSet, i);
  c.op(Op::kLocalGet, 0);
  for (u32 i = 1; i < n; i++) c.op(Op::kLocalGet, i).op(Op::kF64Sqrt).op(Op::kF64Add);
  return one_function("d", "d", std::string(n - 1, 'd'), c);
}

Body vectors(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, i % 40).op(Op::kLocalGet, (i + 1) % 40).op(Op::kI32x4Add);
    c.op(Op::kLocalGet, (i + 7) % 40).op(Op::kF32x4Mul).op(Op::kLocalSet, i % 40);
  }
  c.op(Op::kLocalGet, 0);
  return one_function("v", "v", std::string(39, 'v'), c);
}

Body vector_constants(u32 n) {
  Code c;
  c.op(Op::kLocalGet, 0);
  for (u32 i = 0; i < n; i++) c.v128(i * 0x1'0001ull, ~u64{i}).op(Op::kI32x4Add);
  return one_function("v", "v", "", c);
}

Body memory_accesses(u32 n) {
  ModuleWriter m;
  m.memory(1, 1);
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0)
        .op(Op::kLocalGet, 1)
        .op(Op::kI32Load, 2, i * 4)
        .op(Op::kI32Store, 2, i * 8);
    c.op(Op::kLocalGet, 0).i32(1).op(Op::kI32Add).op(Op::kLocalSet, i % 2);
  }
  m.function(m.type("ii", ""), "", c);
  return m.finish();
}

// What one load reads, others may have written.
Body loads_of_one_place(u32 n) {
  ModuleWriter m;
  m.memory(1, 1);
  Code c;
  c.i32(0);
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0).op(Op::kI32Load, 2, (i % 100) * 4).op(Op::kI32Add);
    if (i % 10 == 0) c.op(Op::kLocalGet, 1).op(Op::kLocalGet, 1).op(Op::kI32Store, 2, i);
  }
  m.function(m.type("ii", "i"), "", c);
  return m.finish();
}

Body bulk_operations(u32 n) {
  ModuleWriter m;
  m.memory(1, 1);
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0).op(Op::kLocalGet, 1).i32(static_cast<i32>(i)).op(Op::kMemoryCopy, 0, 0);
    c.op(Op::kLocalGet, 0).op(Op::kLocalGet, 1).i32(static_cast<i32>(i)).op(Op::kMemoryFill, 0);
  }
  m.function(m.type("ii", ""), "", c);
  return m.finish();
}

Body atomics(u32 n) {
  ModuleWriter m;
  m.memory(1, 1);
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0).op(Op::kLocalGet, 1).op(Op::kI32AtomicRmwXor, 2, i * 4);
    c.op(Op::kLocalGet, 0)
        .op(Op::kLocalGet, 1)
        .op(Op::kLocalGet, 0)
        .op(Op::kI32AtomicRmwCmpxchg, 2, i * 4);
    c.op(Op::kI32Add).op(Op::kLocalSet, 1);
  }
  m.function(m.type("ii", ""), "", c);
  return m.finish();
}

Body many_globals(u32 n) {
  ModuleWriter m;
  Code c;
  for (u32 i = 0; i < n; i++) {
    m.global(ModuleWriter::kI32, true, i);
    c.op(Op::kGlobalGet, i).op(Op::kLocalGet, 0).op(Op::kI32Add).op(Op::kLocalTee, 0);
    c.op(Op::kGlobalSet, i);
  }
  m.function(m.type("i", ""), "", c);
  return m.finish();
}

Body table_operations(u32 n) {
  ModuleWriter m;
  m.table_of(ModuleWriter::kExternRef, 100, 1000);
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kTableGet, 0).op(Op::kTableSet, 0);
    c.op(Op::kLocalGet, 0).op(Op::kTableSize, 0).op(Op::kI32Add).op(Op::kLocalSet, 0);
  }
  m.function(m.type("i", ""), "", c);
  return m.finish();
}

Body calls(u32 n) {
  ModuleWriter m;
  u32 callee = m.import("m", "f", m.type("ii", "i"));
  Code c;
  for (u32 i = 0; i < n; i++)
    c.op(Op::kLocalGet, 0).op(Op::kLocalGet, 1).op(Op::kCall, callee).op(Op::kLocalSet, i % 2);
  m.function(m.type("ii", ""), "", c);
  return m.finish();
}

Body call_indirects(u32 n) {
  ModuleWriter m;
  u32 type = m.type("i", "i");
  Code c;
  c.op(Op::kLocalGet, 0);
  for (u32 i = 0; i < n; i++) c.op(Op::kLocalGet, 0).op(Op::kCallIndirect, type, 0);
  u32 f = m.function(type, "", c);
  m.table({f}, 10, 10);
  return m.finish();
}

Body calls_with_live_values(u32 n) {
  ModuleWriter m;
  u32 callee = m.import("m", "f", m.type("i", "i"));
  Code c;
  for (u32 i = 1; i < 200; i++)
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i * 7)).op(Op::kI32Mul).op(Op::kLocalSet, i);
  for (u32 i = 0; i < n; i++)
    c.op(Op::kLocalGet, i % 200).op(Op::kCall, callee).op(Op::kLocalSet, (i + 90) % 200);
  c.i32(0);
  for (u32 i = 0; i < 200; i++) c.op(Op::kLocalGet, i).op(Op::kI32Add);
  m.function(m.type("i", "i"), std::string(199, 'i'), c);
  return m.finish();
}

Body values_across_calls(u32 n) {
  ModuleWriter m;
  u32 callee = m.import("m", "f", m.type("i", "i"));
  Code c;
  for (u32 i = 1; i < n; i++) c.op(Op::kLocalGet, i - 1).op(Op::kCall, callee).op(Op::kLocalSet, i);
  c.op(Op::kLocalGet, 0);
  for (u32 i = 1; i < n; i++) c.op(Op::kLocalGet, i).op(Op::kI32Add);
  m.function(m.type("i", "i"), std::string(n - 1, 'i'), c);
  return m.finish();
}

Body calls_in_loop(u32 n) {
  ModuleWriter m;
  u32 callee = m.import("m", "f", m.type("i", "i"));
  Code c;
  c.block(Op::kLoop, kEmpty);
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, i % 30).op(Op::kCall, callee).op(Op::kLocalGet, (i + 5) % 30);
    c.op(Op::kI32Xor).op(Op::kLocalSet, (i + 9) % 30);
    if (i % 20 == 0) c.op(Op::kLocalGet, 0).op(Op::kBrIf, 0);
  }
  c.end().op(Op::kLocalGet, 0);
  m.function(m.type("i", "i"), std::string(29, 'i'), c);
  return m.finish();
}

// Calls of one small function, which are inlined.
Body inlined_calls(u32 n) {
  ModuleWriter m;
  Code small, c;
  small.op(Op::kLocalGet, 0).i32(3).op(Op::kI32GtS).block(Op::kIf, -1).op(Op::kLocalGet, 0);
  small.op(Op::kElse).op(Op::kLocalGet, 0).i32(7).op(Op::kI32Mul).end();
  u32 callee = m.function(m.type("i", "i"), "", small);
  c.op(Op::kLocalGet, 0);
  for (u32 i = 0; i < n; i++) c.op(Op::kCall, callee);
  m.function(m.type("i", "i"), "", c);
  return m.finish();
}

}  // namespace

std::vector<Shape> value_shapes() {
  return {
      {"straight line", straight_line, 3'000, 600'000, "kMaxFunctionBytes"},
      {"one huge expression", huge_expression, 3'000, 1'000'000, "kMaxOperandDepth"},
      {"many constants", many_constants, 3'000, 600'000, "kMaxFunctionBytes"},
      {"many constants in a loop", constants_in_loop, 2'000, 600'000, "kMaxFunctionBytes"},
      {"many invariants in a loop", invariants_in_loop, 2'000, 600'000, "kMaxFunctionBytes"},
      {"chain of selects", select_chain, 3'000, 600'000, "kMaxFunctionBytes"},
      {"divisions and shifts", divisions, 1'500, 600'000, "kMaxFunctionBytes"},
      {"many locals", many_locals, 3'000, 50'000, "kMaxLocals"},
      {"many idle locals", idle_locals, 12'000, 50'000, "kMaxLocals"},
      {"floats with spills", floats_with_spills, 2'000, 50'000, "kMaxLocals"},
      {"vectors with spills", vectors, 2'000, 500'000, "kMaxFunctionBytes"},
      {"many vector constants", vector_constants, 3'000, 300'000, "kMaxFunctionBytes"},
      {"memory accesses", memory_accesses, 1'000, 400'000, "kMaxFunctionBytes"},
      {"loads of one place", loads_of_one_place, 2'000, 600'000, "kMaxFunctionBytes"},
      {"bulk memory operations", bulk_operations, 700, 300'000, "kMaxFunctionBytes"},
      {"atomics", atomics, 700, 400'000, "kMaxFunctionBytes"},
      {"many globals", many_globals, 2'000, 100'000, "kMaxGlobals"},
      {"table operations", table_operations, 500, 300'000, "kMaxFunctionBytes"},
      {"calls", calls, 1'500, 800'000, "kMaxFunctionBytes"},
      {"call_indirects", call_indirects, 1'000, 1'000'000, "kMaxFunctionBytes"},
      {"calls with 200 live values", calls_with_live_values, 1'500, 800'000, "kMaxFunctionBytes"},
      {"many values across many calls", values_across_calls, 2'000, 50'000, "kMaxLocals"},
      {"calls in a loop", calls_in_loop, 1'000, 600'000, "kMaxFunctionBytes"},
      {"inlined calls", inlined_calls, 500, 1'000'000, "kMaxFunctionBytes"},
  };
}

}  // namespace wring::bench
