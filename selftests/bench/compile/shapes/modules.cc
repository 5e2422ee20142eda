// SPDX-License-Identifier: GPL-2.0
// Shapes of modules: many of something, and call graphs.
#include "selftests/bench/compile/shapes/shapes.h"

namespace wring::bench {
namespace {

using Op = Opcode;

// n functions; function i calls what `callees` says of it.
template <class Callees>
Body call_graph(u32 n, Callees callees) {
  ModuleWriter m;
  for (u32 i = 0; i < n; i++) {
    Code c;
    c.op(Op::kLocalGet, 0);
    for (u32 k : callees(i)) c.op(Op::kLocalGet, 0).op(Op::kCall, k).op(Op::kI32Add);
    for (u32 k = 0; k < 12; k++) c.op(Op::kLocalGet, 0).op(Op::kI32Mul);  // too much to be inlined
    m.function(m.type("i", "i"), "", c);
  }
  return m.finish();
}

using List = std::vector<u32>;
Body separate_functions(u32 n) {
  return call_graph(n, [](u32) { return List{}; });
}
Body chain_down(u32 n) {
  return call_graph(n, [n](u32 i) { return i + 1 < n ? List{i + 1} : List{}; });
}
Body chain_up(u32 n) {
  return call_graph(n, [](u32 i) { return i ? List{i - 1} : List{}; });
}
Body one_cycle(u32 n) {
  return call_graph(n, [n](u32 i) { return List{(i + 1) % n}; });
}
Body many_callers(u32 n) {
  return call_graph(n, [](u32 i) { return i ? List{0, i / 2} : List{}; });
}
Body dense_calls(u32 n) {
  return call_graph(n, [n](u32 i) {
    List list;
    for (u32 k = 1; k <= 10; k++) list.push_back((i * 7 + k * k * 31) % n);
    return list;
  });
}

// Small functions that call the next twice: each inlines what it can.
Body inlining_chain(u32 n) {
  ModuleWriter m;
  for (u32 i = 0; i < n; i++) {
    Code c;
    c.op(Op::kLocalGet, 0);
    if (i) c.op(Op::kCall, i - 1).op(Op::kCall, i - 1);
    c.i32(static_cast<i32>(i)).op(Op::kI32Xor);
    m.function(m.type("i", "i"), "", c);
  }
  return m.finish();
}

Body tail_calls(u32 n) {
  ModuleWriter m;
  for (u32 i = 0; i < n; i++) {
    Code c;
    c.op(Op::kLocalGet, 0).i32(1).op(Op::kI32Sub).op(Op::kLocalGet, 1);
    c.op(Op::kReturnCall, (i * 5 + 1) % n);
    m.function(m.type("ii", "i"), "", c);
  }
  return m.finish();
}

std::string type_letters(u32 i) {
  std::string letters;
  for (u32 k = 0; k < 10; k++, i /= 4) letters += "ilfd"[i % 4];
  return letters;
}

Body many_types(u32 n) {
  ModuleWriter m;
  for (u32 i = 0; i < n; i++) m.type(type_letters(i), "");
  Code c;
  m.function(0, "", c);
  return m.finish();
}

Body many_imports(u32 n) {
  ModuleWriter m;
  Code c;
  for (u32 i = 0; i < n; i++) {
    m.import("m", "f" + std::to_string(i), m.type("i", "i"));
    c.op(Op::kLocalGet, 0).op(Op::kCall, i).op(Op::kLocalSet, 0);
  }
  m.function(m.type("i", ""), "", c);
  return m.finish();
}

Body element_entries(u32 n) {
  ModuleWriter m;
  Code c;
  u32 f = m.function(m.type("", ""), "", c);
  m.table(List(n, f), n, n);
  return m.finish();
}

Body data_segments(u32 n) {
  ModuleWriter m;
  m.memory(1, 1);
  Code c;
  m.function(m.type("", ""), "", c);
  for (u32 i = 0; i < n; i++) m.data(i % 65'000, Body(20, static_cast<u8>(i)));
  return m.finish();
}

// Functions with a call_indirect each, all reachable by it.
Body indirect_call_graph(u32 n) {
  ModuleWriter m;
  u32 type = m.type("i", "i");
  List all;
  for (u32 i = 0; i < n; i++) {
    Code c;
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kCallIndirect, type, 0);
    all.push_back(m.function(type, "", c));
  }
  m.table(all, n, n);
  return m.finish();
}

}  // namespace

std::vector<Shape> module_shapes() {
  return {
      {"many functions", separate_functions, 400, 100'000, "kMaxExports"},
      {"calls, a chain down", chain_down, 300, 100'000, "kMaxExports"},
      {"calls, a chain up", chain_up, 300, 100'000, "kMaxExports"},
      {"calls, one cycle", one_cycle, 300, 100'000, "kMaxExports"},
      {"calls of one function by all", many_callers, 300, 100'000, "kMaxExports"},
      {"calls, ten by each", dense_calls, 150, 50'000, "kMaxExports"},
      {"inlining chain", inlining_chain, 300, 100'000, "kMaxExports"},
      {"tail calls", tail_calls, 500, 100'000, "kMaxExports"},
      {"indirect calls among all", indirect_call_graph, 400, 100'000, "kMaxExports"},
      {"many types", many_types, 20'000, 100'000, "kMaxTypes"},
      {"many imports", many_imports, 1'000, 10'000, "kMaxImports"},
      {"many table entries", element_entries, 50'000, 1'000'000, "kMaxTableEntries"},
      {"many data segments", data_segments, 20'000, 100'000, "kMaxSegments"},
  };
}

}  // namespace wring::bench
