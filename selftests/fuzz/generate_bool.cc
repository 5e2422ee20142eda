// SPDX-License-Identifier: GPL-2.0
// Booleans of generated bodies, as compilers write them: constants that blocks, locals and selects carry to the branch
// that looks at them.
#include "selftests/fuzz/generate_body.h"

namespace wring::test {

namespace {

using O = Opcode;

}  // namespace

// A block without parameters and what belongs at its end; converge() comes before.
void BodyGenerator::open(Opcode opcode, const std::string& results) {
  block_type(opcode, {"", results});
  frames_.push_back({results, results, true, stack_.size(), false});
}
void BodyGenerator::close() {
  const Frame closed = frame();
  frames_.pop_back();
  stack_.resize(closed.height);
  push(closed.results);
  code_.end();
}

// Mostly 0 or 1.
void BodyGenerator::boolean(u32 depth) {
  const bool is_full = frames_.size() >= kMostFrames;
  switch (depth == 0 || c_.is_exhausted() ? c_.below(4) : c_.below(is_full ? 8 : 16)) {
    case 0:
    case 1: return constant('i', c_.chance(90) ? c_.below(2) : c_.below(4));
    case 2: code_.op(O::kLocalGet, flags_ + c_.below(2)); return push('i');
    case 3: {
      const char type = any_int();
      value(type, 0);
      value(type, 0);
      code_.op(type == 'i' ? O::kI32LtS : O::kI64Eq);
      pop(2);
      return push('i');
    }
    case 4:
      boolean(depth - 1);
      code_.op(O::kI32Eqz);
      return;
    case 5:
      boolean(depth - 1);
      constant('i', c_.below(3));
      code_.op(c_.pick({O::kI32Eq, O::kI32Ne, O::kI32GtU, O::kI32And, O::kI32Xor}));
      return pop(1);
    case 6:
      boolean(0);
      boolean(0);
      return select('i', depth - 1);
    case 7:
      boolean(depth - 1);
      boolean(depth - 1);
      code_.op(c_.pick({O::kI32And, O::kI32Or, O::kI32Eq}));
      return pop(1);
    case 8:
    case 9:
    case 10: return boolean_by_branch(depth - 1);
    case 11: return boolean_by_table(depth - 1);
    case 12:
    case 13: return boolean_chain(depth - 1);
    default:
      condition(depth - 1);
      pop(1);
      open(O::kIf, "i");
      if (c_.chance(15)) steps(1);
      if (frame().is_dead || stack_.size() > frame().height)
        converge("i");
      else
        boolean(depth - 1);
      code_.op(O::kElse);
      frame().is_dead = false;
      stack_.resize(frame().height);
      boolean(depth - 1);
      return close();
  }
}

// A branch that takes a constant along, else another one.
void BodyGenerator::boolean_by_branch(u32 depth) {
  open(O::kBlock, "i");
  for (u32 i = 1 + c_.below(2); i > 0; i--) {
    if (c_.chance(10)) steps(1);
    if (frame().is_dead) break;
    boolean(0);
    condition(depth);
    code_.op(O::kBrIf, 0);
    pop(1);
    if (c_.chance(80)) {
      code_.op(O::kDrop);
      pop(1);
    }
  }
  if (!frame().is_dead && stack_.size() == frame().height) boolean(depth);
  converge("i");
  close();
}

// Several ways to constants, by number.
void BodyGenerator::boolean_by_table(u32 depth) {
  open(O::kBlock, "i");
  const u32 ways = 1 + c_.below(4);
  for (u32 i = 0; i < ways; i++) open(O::kBlock, "");
  std::vector<u32> targets;
  for (u32 i = c_.below(6); i > 0; i--) targets.push_back(c_.below(ways));
  value('i', depth);
  code_.br_table(targets, c_.below(ways));
  die();
  for (u32 i = 0; i < ways; i++) {
    close();
    boolean(0);
    if (i + 1 == ways) break;
    code_.op(O::kBr, ways - 1 - i);
    die();
  }
  close();
}

// a && b && c, or with ||: each decides alone.
void BodyGenerator::boolean_chain(u32 depth) {
  const u32 decided = c_.below(2);
  open(O::kBlock, "i");
  open(O::kBlock, "");
  for (u32 i = 1 + c_.below(4); i > 0; i--) {
    if (c_.chance(40))
      boolean(depth);
    else
      condition(depth);
    if (c_.chance(50)) code_.op(O::kI32Eqz);
    code_.op(O::kBrIf, 0);
    pop(1);
  }
  constant('i', decided ^ 1);
  code_.op(O::kBr, 1);
  die();
  close();
  constant('i', decided);
  close();
}

void BodyGenerator::set_flag() {
  boolean(depth_ - 1);
  code_.op(O::kLocalSet, flags_ + c_.below(2));
  pop(1);
}

}  // namespace wring::test
