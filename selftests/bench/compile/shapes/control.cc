// SPDX-License-Identifier: GPL-2.0
// Shapes of control flow.
#include "selftests/bench/compile/shapes/shapes.h"

namespace wring::bench {
namespace {

constexpr i64 kEmpty = -64;  // block types
constexpr i64 kI32 = -1;

using Op = Opcode;

// local = local * 3 + k: something that cannot be left out.
void step(Code* c, u32 local, u32 k) {
  c->op(Op::kLocalGet, local).i32(3).op(Op::kI32Mul).i32(static_cast<i32>(k)).op(Op::kI32Add);
  c->op(Op::kLocalSet, local);
}

void two_targets(Code* c, u32 n) {
  std::vector<u32> targets(n);
  for (u32 i = 0; i < n; i++) targets[i] = i % 2;
  c->block(Op::kBlock, kEmpty).block(Op::kBlock, kEmpty).op(Op::kLocalGet, 0);
  c->br_table(targets, 0).end();
  step(c, 0, 1);
  c->end().op(Op::kLocalGet, 0);
}

Body br_table_two_targets(u32 n) {
  Code c;
  two_targets(&c, n);
  return one_function("i", "i", "", c);
}

Body br_tables_in_functions(u32 n) {
  ModuleWriter m;
  for (u32 i = 0; i < 10; i++) {
    Code c;
    two_targets(&c, n);
    m.function(m.type("i", "i"), "", c);
  }
  return m.finish();
}

// A br_table of n cases, each with code of its own, in a loop if wanted. `each` follows a case's own step.
template <class Each>
void cases(Code* c, u32 n, Each each) {
  for (u32 i = 0; i < n; i++) c->block(Op::kBlock, kEmpty);
  std::vector<u32> targets(n);
  for (u32 i = 0; i < n; i++) targets[i] = i;
  c->op(Op::kLocalGet, 0).br_table(targets, 0);
  for (u32 i = 0; i < n; i++) {
    c->end();
    step(c, i % 2, i);
    each(n - 1 - i);  // blocks of other cases around
  }
}

Body br_table_cases(u32 n) {
  Code c;
  c.block(Op::kBlock, kEmpty);
  cases(&c, n, [&](u32 depth) { c.op(Op::kBr, depth); });
  c.end().op(Op::kLocalGet, 0);
  return one_function("ii", "i", "", c);
}

Body br_table_cases_in_loop(u32 n) {
  Code c;
  c.block(Op::kLoop, kEmpty);
  cases(&c, n, [&](u32 depth) { c.op(Op::kLocalGet, 1).op(Op::kBrIf, depth); });
  c.end().op(Op::kLocalGet, 0);
  return one_function("ii", "i", "", c);
}

// Tables of a thousand targets, 50 different ones.
Body br_tables_in_loop(u32 n) {
  Code c;
  c.block(Op::kLoop, kEmpty);
  std::vector<u32> targets(1000);
  for (u32 i = 0; i < 1000; i++) targets[i] = i % 50;
  for (u32 i = 0; i < n; i++) {
    for (u32 k = 0; k < 50; k++) c.block(Op::kBlock, kEmpty);
    c.op(Op::kLocalGet, 0).br_table(targets, 0);
    for (u32 k = 0; k < 50; k++) {
      c.end();
      step(&c, 1, k);
    }
  }
  c.op(Op::kLocalGet, 1).op(Op::kBrIf, 0).end().op(Op::kLocalGet, 1);
  return one_function("ii", "i", "", c);
}

// Every case chooses the next one by a constant.
Body switch_to_switch(u32 n) {
  Code c;
  c.block(Op::kLoop, kEmpty);
  cases(&c, n, [&](u32 depth) {
    c.i32(static_cast<i32>((depth * 7 + 1) % n)).op(Op::kLocalSet, 0).op(Op::kBr, depth);
  });
  c.end().op(Op::kLocalGet, 1);
  return one_function("ii", "i", "", c);
}

// A br_table whose cases share fifty values from before it.
Body br_table_many_live(u32 n) {
  Code c;
  for (u32 i = 0; i < 50; i++) {
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i * 77)).op(Op::kI32Xor);
    c.op(Op::kLocalSet, 2 + i);
  }
  c.block(Op::kBlock, kEmpty);
  cases(&c, n, [&](u32 depth) { c.op(Op::kBr, depth); });
  c.end().op(Op::kLocalGet, 0);
  for (u32 i = 0; i < 50; i++) c.op(Op::kLocalGet, 2 + i).op(Op::kI32Add);
  return one_function("ii", "i", std::string(50, 'i'), c);
}

Body if_chain(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kI32LtU).block(Op::kIf, kEmpty);
    step(&c, 1, i);
    c.end();
  }
  c.op(Op::kLocalGet, 1);
  return one_function("ii", "i", "", c);
}

// Conditions that are results of blocks: (a < i) && (b > i), as compilers write it.
Body booleans_through_blocks(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kI32LtU).block(Op::kIf, kI32);
    c.op(Op::kLocalGet, 1).i32(static_cast<i32>(i)).op(Op::kI32GtU).op(Op::kElse).i32(0).end();
    c.block(Op::kIf, kEmpty);
    step(&c, i % 2, i);
    c.end();
  }
  c.op(Op::kLocalGet, 1);
  return one_function("ii", "i", "", c);
}

Body else_if_ladder(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i * 3)).op(Op::kI32Eq).block(Op::kIf, kEmpty);
    step(&c, 1, i);
    c.op(Op::kElse);
  }
  for (u32 i = 0; i < n; i++) c.end();
  c.op(Op::kLocalGet, 1);
  return one_function("ii", "i", "", c);
}

Body deep_blocks(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) c.block(Op::kBlock, kEmpty).op(Op::kLocalGet, 0).op(Op::kBrIf, i / 2);
  for (u32 i = 0; i < n; i++) {
    step(&c, 1, i);
    c.end();
  }
  c.op(Op::kLocalGet, 1);
  return one_function("ii", "i", "", c);
}

Body deep_results(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) c.block(Op::kBlock, kI32);
  c.op(Op::kLocalGet, 0);
  for (u32 i = 0; i < n; i++) c.op(Op::kLocalGet, 1).op(Op::kBrIf, 0).i32(5).op(Op::kI32Add).end();
  return one_function("ii", "i", "", c);
}

Body many_loops(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.block(Op::kLoop, kEmpty);
    step(&c, i % 2, i);
    c.op(Op::kLocalGet, 0).op(Op::kBrIf, 0).end();
  }
  c.op(Op::kLocalGet, 1);
  return one_function("ii", "i", "", c);
}

// Local `first` + i = local 0 ^ i, for i below n.
void define(Code* c, u32 first, u32 n) {
  for (u32 i = 0; i < n; i++) {
    c->op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kI32Xor);
    c->op(Op::kLocalSet, first + i);
  }
}

// Adds all of them up in local 0.
void sum(Code* c, u32 first, u32 n) {
  c->op(Op::kLocalGet, 0);
  for (u32 i = 0; i < n; i++) c->op(Op::kLocalGet, first + i).op(Op::kI32Add);
  c->op(Op::kLocalSet, 0);
}

void loops(Code* c, u32 n) {
  for (u32 i = 0; i < n; i++) {
    c->block(Op::kLoop, kEmpty).op(Op::kLocalGet, 0).i32(1).op(Op::kI32Sub);
    c->op(Op::kLocalTee, 0).op(Op::kBrIf, 0).end();
  }
}

Body live_across_loops(u32 n) {
  Code c;
  define(&c, 1, n);
  loops(&c, n);
  sum(&c, 1, n);
  c.op(Op::kLocalGet, 0);
  return one_function("i", "i", std::string(n, 'i'), c);
}

// The same twice in one loop: the second values take the places of the first.
Body live_across_loops_in_loop(u32 n) {
  Code c;
  c.block(Op::kLoop, kEmpty);
  for (u32 i = 0; i < 2; i++) {
    define(&c, 1 + i * n, n);
    loops(&c, n);
    sum(&c, 1 + i * n, n);
  }
  c.op(Op::kLocalGet, 0).op(Op::kBrIf, 0).end().op(Op::kLocalGet, 0);
  return one_function("i", "i", std::string(2 * n, 'i'), c);
}

Body loop_params_across_loops(u32 n) {
  Code c;
  c.block(Op::kBlock, kEmpty).block(Op::kLoop, kEmpty);
  step(&c, 0, 1);
  c.op(Op::kLocalGet, 0).op(Op::kBrIf, 1);
  for (u32 i = 0; i < n; i++) step(&c, 1 + i, i);
  c.op(Op::kBr, 0).end().end();
  loops(&c, n);
  sum(&c, 1, n);
  c.op(Op::kLocalGet, 0);
  return one_function("i", "i", std::string(n, 'i'), c);
}

// What is defined last is read first.
Body live_across_ifs(u32 n) {
  Code c;
  define(&c, 2, n);
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kI32And).block(Op::kIf, kEmpty);
    c.op(Op::kLocalGet, 1).op(Op::kLocalGet, n + 1 - i).op(Op::kI32Add).op(Op::kLocalSet, 1).end();
  }
  c.op(Op::kLocalGet, 1);
  return one_function("ii", "i", std::string(n, 'i'), c);
}

Body deep_loops(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) c.block(Op::kLoop, kEmpty);
  step(&c, 0, 1);
  for (u32 i = 0; i < n; i++) c.op(Op::kLocalGet, 0).op(Op::kBrIf, 0).end();
  c.op(Op::kLocalGet, 0);
  return one_function("i", "i", "", c);
}

// Loops that are left at their headers, one in another.
Body deep_while_loops(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.block(Op::kBlock, kEmpty).block(Op::kLoop, kEmpty);
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kI32LtU).op(Op::kBrIf, 1);
  }
  step(&c, 0, 1);
  for (u32 i = 0; i < n; i++) c.op(Op::kBr, 0).end().end();
  c.op(Op::kLocalGet, 0).op(Op::kLocalGet, 1).op(Op::kI32Add);
  return one_function("ii", "i", "", c);
}

// All locals change in the innermost of `depth` loops.
Body nest(u32 depth, u32 locals) {
  Code c;
  for (u32 i = 0; i < depth; i++) c.block(Op::kLoop, kEmpty);
  for (u32 i = 0; i < locals; i++) {
    c.op(Op::kLocalGet, i).op(Op::kLocalGet, (i + 1) % locals).op(Op::kI32Add);
    c.op(Op::kLocalSet, i);
  }
  for (u32 i = 0; i < depth; i++) c.op(Op::kLocalGet, 0).op(Op::kBrIf, 0).end();
  c.op(Op::kLocalGet, 0);
  return one_function("i", "i", std::string(locals - 1, 'i'), c);
}
Body wide_loop_nest(u32 n) { return nest(10, n); }
Body deep_loop_nest(u32 n) { return nest(n, 20); }

Body rotate_locals(u32 n) {
  Code c;
  c.block(Op::kLoop, kEmpty).op(Op::kLocalGet, 0);
  for (u32 i = 0; i + 1 < n; i++) c.op(Op::kLocalGet, i + 1).op(Op::kLocalSet, i);
  c.op(Op::kLocalSet, n - 1).op(Op::kLocalGet, 0).op(Op::kBrIf, 0).end().op(Op::kLocalGet, 0);
  return one_function("i", "i", std::string(n - 1, 'i'), c);
}

Body loop_params(u32 n) {
  ModuleWriter m;
  std::string many(1000, 'i');
  u32 type = m.type(many, many);
  Code c;
  for (u32 i = 0; i < 1000; i++) c.op(Op::kLocalGet, 0);
  for (u32 i = 0; i < n; i++)
    c.block(Op::kLoop, type)
        .op(Op::kI32Add)
        .op(Op::kLocalGet, 0)
        .op(Op::kLocalGet, 0)
        .op(Op::kBrIf, 0)
        .end();
  for (u32 i = 0; i < 999; i++) c.op(Op::kI32Add);
  m.function(m.type("i", "i"), "", c);
  return m.finish();
}

Body multi_value_blocks(u32 n) {
  ModuleWriter m;
  u32 type = m.type(std::string(16, 'i'), std::string(16, 'i'));
  Code c;
  for (u32 i = 0; i < 16; i++) c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kI32Add);
  for (u32 i = 0; i < n; i++) {
    c.block(Op::kBlock, type).op(Op::kLocalGet, 0).op(Op::kBrIf, 0);
    c.op(Op::kI32Xor).op(Op::kLocalGet, 0).end();
  }
  for (u32 i = 0; i < 15; i++) c.op(Op::kI32Add);
  m.function(m.type("i", "i"), "", c);
  return m.finish();
}

Body many_ways_to_one_merge(u32 n) {
  Code c;
  c.block(Op::kBlock, kI32);
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kI32Add);
    c.op(Op::kLocalGet, 1).i32(static_cast<i32>(i)).op(Op::kI32Eq).op(Op::kBrIf, 0);
    c.op(Op::kLocalSet, 0);
  }
  c.op(Op::kLocalGet, 1).end().op(Op::kLocalGet, 0).op(Op::kI32Add);
  return one_function("ii", "i", "", c);
}

// The value that is passed on was computed before the way parts.
Body many_ways_with_stores(u32 n) {
  ModuleWriter m;
  m.memory(1, 1);
  Code c;
  c.block(Op::kBlock, kI32);
  for (u32 i = 0; i < n; i++) {
    step(&c, 0, i);
    c.op(Op::kLocalGet, 0).op(Op::kLocalGet, 1).op(Op::kI32Eq).block(Op::kIf, kEmpty);
    c.op(Op::kLocalGet, 1).op(Op::kLocalGet, 1).op(Op::kI32Store, 2, i);
    c.op(Op::kLocalGet, 0).op(Op::kBr, 1).end();
  }
  c.op(Op::kLocalGet, 1).end().op(Op::kLocalGet, 0).op(Op::kI32Add);
  m.function(m.type("ii", "i"), "", c);
  return m.finish();
}

Body many_phis_at_one_merge(u32 n) {
  Code c;
  c.op(Op::kLocalGet, 0).block(Op::kIf, kEmpty);
  for (u32 i = 0; i < n; i++)
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kI32Mul).op(Op::kLocalSet, i + 1);
  c.end().op(Op::kLocalGet, 0);
  for (u32 i = 0; i < n; i++) c.op(Op::kLocalGet, i + 1).op(Op::kI32Add);
  return one_function("i", "i", std::string(n, 'i'), c);
}

Body many_merges_of_many_ways(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.block(Op::kBlock, kEmpty);
    for (u32 k = 0; k < 10; k++) {
      step(&c, k % 2 + 1, k);
      c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i * 10 + k)).op(Op::kI32Eq).op(Op::kBrIf, 0);
    }
    c.end();
  }
  c.op(Op::kLocalGet, 1).op(Op::kLocalGet, 2).op(Op::kI32Add);
  return one_function("iii", "i", "", c);
}

Body many_ways_back(u32 n) {
  Code c;
  c.block(Op::kLoop, kEmpty);
  for (u32 i = 0; i < n; i++) {
    step(&c, 1, i);
    c.op(Op::kLocalGet, 1).i32(static_cast<i32>(i)).op(Op::kI32Eq).op(Op::kBrIf, 0);
  }
  c.end().op(Op::kLocalGet, 1);
  return one_function("ii", "i", "", c);
}

// Loops that are left and gone on with from several places at several depths.
Body tangled_loops(u32 n) {
  Code c;
  c.block(Op::kLoop, kEmpty);
  for (u32 i = 0; i < n; i++) {
    c.block(Op::kBlock, kEmpty).block(Op::kLoop, kEmpty).block(Op::kBlock, kEmpty);
    c.op(Op::kLocalGet, 0).op(Op::kBrIf, 0).op(Op::kLocalGet, 1).op(Op::kBrIf, 2);
    c.op(Op::kLocalGet, 2).op(Op::kBrIf, 3);
    step(&c, 0, i);
    c.end();
    step(&c, 1, i);
    c.op(Op::kLocalGet, 0).op(Op::kBrIf, 0).end();
    step(&c, 2, i);
    c.end();
  }
  c.op(Op::kLocalGet, 2).op(Op::kBrIf, 0).end().op(Op::kLocalGet, 0);
  return one_function("iii", "i", "", c);
}

// Two locals that change places on one of two ways, again and again.
Body swapping_ways(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kI32GtU).block(Op::kIf, kEmpty);
    c.op(Op::kLocalGet, 1).op(Op::kLocalGet, 2).op(Op::kLocalSet, 1).op(Op::kLocalSet, 2).end();
  }
  c.op(Op::kLocalGet, 1);
  return one_function("iii", "i", "", c);
}

Body dead_code(u32 n) {
  Code c;
  c.block(Op::kBlock, kEmpty).op(Op::kBr, 0);
  for (u32 i = 0; i < n; i++) {
    c.block(Op::kLoop, kEmpty);
    step(&c, 0, i);
    c.op(Op::kLocalGet, 0).op(Op::kBrIf, 0).end();
  }
  c.end().op(Op::kLocalGet, 0);
  return one_function("i", "i", "", c);
}

Body returns(u32 n) {
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kI32Eq).block(Op::kIf, kEmpty);
    c.op(Op::kLocalGet, 1).i32(static_cast<i32>(i)).op(Op::kI32Add).op(Op::kReturn).end();
  }
  c.op(Op::kLocalGet, 1);
  return one_function("ii", "i", "", c);
}

Body try_tables(u32 n) {
  ModuleWriter m;
  u32 nothing = m.type("", ""), tag = m.tag(nothing);
  u32 callee = m.import("m", "f", nothing);
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.block(Op::kBlock, kEmpty).try_table(kEmpty, {{0, tag, 0}});
    c.op(Op::kCall, callee).end().op(Op::kBr, 0).end();
    step(&c, 0, i);
  }
  c.op(Op::kLocalGet, 0);
  m.function(m.type("i", "i"), "", c);
  return m.finish();
}

Body deep_try_tables(u32 n) {
  ModuleWriter m;
  u32 nothing = m.type("", ""), tag = m.tag(nothing);
  u32 callee = m.import("m", "f", nothing);
  Code c;
  for (u32 i = 0; i < n; i++)
    c.block(Op::kBlock, kEmpty).try_table(kEmpty, {{0, tag, 0}}).op(Op::kCall, callee);
  for (u32 i = 0; i < n; i++) {
    c.end().end();
    step(&c, 0, i);
  }
  c.op(Op::kLocalGet, 0);
  m.function(m.type("i", "i"), "", c);
  return m.finish();
}

Body catch_clauses(u32 n) {
  ModuleWriter m;
  u32 nothing = m.type("", ""), callee = m.import("m", "f", nothing);
  std::vector<std::vector<u32>> clauses;
  for (u32 i = 0; i < n; i++) clauses.push_back({0, m.tag(nothing), i % 2});
  Code c;
  c.block(Op::kBlock, kEmpty).block(Op::kBlock, kEmpty).try_table(kEmpty, clauses);
  c.op(Op::kCall, callee).end().end();
  step(&c, 0, 1);
  c.end().op(Op::kLocalGet, 0);
  m.function(m.type("i", "i"), "", c);
  return m.finish();
}

Body throws(u32 n) {
  ModuleWriter m;
  u32 tag = m.tag(m.type("i", ""));
  Code c;
  for (u32 i = 0; i < n; i++) {
    c.op(Op::kLocalGet, 0).i32(static_cast<i32>(i)).op(Op::kI32Eq).block(Op::kIf, kEmpty);
    c.op(Op::kLocalGet, 0).op(Op::kThrow, tag).end();
  }
  c.op(Op::kLocalGet, 0);
  m.function(m.type("i", "i"), "", c);
  return m.finish();
}

}  // namespace

std::vector<Shape> control_shapes() {
  return {
      {"br_table, two targets in turn", br_table_two_targets, 16'000, 65'520, "kMaxBrTableTargets"},
      {"ten br_tables in ten functions", br_tables_in_functions, 4'000, 65'520,
       "kMaxBrTableTargets"},
      {"br_table of many cases", br_table_cases, 1'000, 65'520, "kMaxBrTableTargets"},
      {"br_table of many cases in a loop", br_table_cases_in_loop, 1'000, 65'520,
       "kMaxBrTableTargets"},
      {"br_tables of 1000 in a loop", br_tables_in_loop, 20, 1'000, "1M edges"},
      {"switch to switch", switch_to_switch, 1'000, 65'520, "kMaxBrTableTargets"},
      {"br_table with many live values", br_table_many_live, 500, 65'520, "kMaxBrTableTargets"},
      {"chain of ifs", if_chain, 1'500, 400'000, "kMaxFunctionBytes"},
      {"booleans through blocks", booleans_through_blocks, 1'000, 200'000, "kMaxFunctionBytes"},
      {"ladder of else-ifs", else_if_ladder, 1'500, 100'000, "kMaxBlockDepth"},
      {"deep blocks", deep_blocks, 1'500, 100'000, "kMaxBlockDepth"},
      {"deep blocks with results", deep_results, 2'000, 100'000, "kMaxBlockDepth"},
      {"many loops", many_loops, 1'500, 400'000, "kMaxFunctionBytes"},
      {"values live across loops", live_across_loops, 750, 49'000, "kMaxLocals"},
      {"values live across loops, twice in a loop", live_across_loops_in_loop, 400, 24'000,
       "kMaxLocals"},
      {"loop parameters live across loops", loop_params_across_loops, 500, 49'000, "kMaxLocals"},
      {"values live across ifs", live_across_ifs, 750, 49'000, "kMaxLocals"},
      {"deep loops", deep_loops, 2'000, 100'000, "kMaxBlockDepth"},
      {"deep loops left at the top", deep_while_loops, 1'000, 50'000, "kMaxBlockDepth"},
      {"10 loops around many locals", wide_loop_nest, 500, 50'000, "kMaxLocals"},
      {"deep loops around 20 locals", deep_loop_nest, 150, 40'000, "kMaxSsaWork"},
      {"locals rotated in a loop", rotate_locals, 2'000, 50'000, "kMaxLocals"},
      {"loops of 1000 parameters", loop_params, 10, 3'000, "kMaxSsaWork"},
      {"blocks of 16 parameters", multi_value_blocks, 400, 100'000, "kMaxSsaWork"},
      {"many ways to one merge", many_ways_to_one_merge, 1'500, 400'000, "kMaxFunctionBytes"},
      {"many ways with stores to one merge", many_ways_with_stores, 1'500, 240'000,
       "kMaxFunctionBytes"},
      {"many phis at one merge", many_phis_at_one_merge, 3'000, 49'000, "kMaxLocals"},
      {"many merges of ten ways", many_merges_of_many_ways, 200, 40'000, "kMaxFunctionBytes"},
      {"many ways back to a loop", many_ways_back, 1'500, 400'000, "kMaxFunctionBytes"},
      {"tangled loops", tangled_loops, 400, 100'000, "kMaxFunctionBytes"},
      {"locals that swap on one way", swapping_ways, 1'000, 400'000, "kMaxFunctionBytes"},
      {"dead code", dead_code, 20'000, 400'000, "kMaxFunctionBytes"},
      {"many returns", returns, 1'500, 400'000, "kMaxFunctionBytes"},
      {"many try_tables", try_tables, 500, 100'000, "kMaxFunctionBytes"},
      {"deep try_tables", deep_try_tables, 300, 50'000, "kMaxBlockDepth"},
      {"many catch clauses", catch_clauses, 2'500, 10'000, "kMaxCatchClauses"},
      {"many throws", throws, 1'000, 400'000, "kMaxFunctionBytes"},
  };
}

}  // namespace wring::bench
