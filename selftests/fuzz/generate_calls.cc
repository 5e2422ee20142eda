// SPDX-License-Identifier: GPL-2.0
// Calls, references and exceptions of generated bodies.
#include "selftests/fuzz/generate_body.h"

namespace wring::test {

namespace {

using O = Opcode;

}  // namespace

void BodyGenerator::call() {
  u32 callee = c_.below(static_cast<u32>(shape_.functions.size()));
  const Signature& s = shape_.signature(callee);
  operands(s.params, 1);
  code_.op(O::kCall, callee);
  pop(s.params.size());
  push(s.results);
}

// An index into table 0.
void BodyGenerator::index_of_callee(u32 callee) {
  // Mostly the entries that hold the callee, if the table still is what it was.
  u32 functions = static_cast<u32>(shape_.functions.size());
  u32 rounds = shape_.table_size / functions;
  if (rounds == 0 || c_.chance(2)) {
    value('i', 1);
    constant('i', c_.chance(90) ? shape_.table_size : 64);
    code_.op(O::kI32RemU);
    pop(1);
  } else if (c_.chance(30)) {
    constant('i', callee + functions * c_.below(rounds));
  } else {
    value('i', 1);
    code_.i32(static_cast<wring::i32>(rounds)).op(O::kI32RemU);
    code_.i32(static_cast<wring::i32>(functions)).op(O::kI32Mul);
    code_.i32(static_cast<wring::i32>(callee)).op(O::kI32Add);
  }
}

void BodyGenerator::call_indirect() {
  if (shape_.tables == 0) return call();
  u32 callee = c_.below(static_cast<u32>(shape_.functions.size()));
  u32 type =
      c_.chance(1) ? c_.below(static_cast<u32>(shape_.types.size())) : shape_.functions[callee];
  const Signature& s = shape_.types[type];
  operands(s.params, 1);
  index_of_callee(callee);
  code_.op(O::kCallIndirect, type, c_.chance(98) ? 0 : shape_.tables - 1);
  pop(s.params.size() + 1);
  push(s.results);
}

// Leaves for a function with the same results, if there is one.
bool BodyGenerator::tail_call() {
  const u32 count = static_cast<u32>(shape_.functions.size()), start = c_.below(count);
  u32 callee = kNone;
  for (u32 i = 0; i < count && callee == kNone; i++)
    if (shape_.signature((start + i) % count).results == shape_.signature(func_).results)
      callee = (start + i) % count;
  if (callee == kNone) return false;
  operands(shape_.signature(callee).params, 1);
  switch (c_.below(3)) {
    case 1:
      if (shape_.tables == 0) break;
      index_of_callee(callee);
      code_.op(O::kReturnCallIndirect, shape_.functions[callee], 0);
      return true;
    case 2:
      if (!shape_.uses.call_ref) break;
      code_.op(O::kRefFunc, callee).op(O::kReturnCallRef, shape_.functions[callee]);
      return true;
    default: break;
  }
  code_.op(O::kReturnCall, callee);
  return true;
}

// Any funcref.
void BodyGenerator::reference() {
  switch (c_.below(4)) {
    case 0:
      code_.op(O::kRefNull);
      code_.bytes.push_back(0x70);
      return push('p');
    case 1:
      if (shape_.tables == 0) break;
      value('i', 1);
      constant('i', c_.chance(98) ? shape_.table_size : 1 + shape_.table_size);
      code_.op(O::kI32RemU).op(O::kTableGet, 0);
      pop(2);
      return push('p');
    case 2: code_.op(O::kLocalGet, local_of('p', false)); return push('p');
    default: break;
  }
  code_.op(O::kRefFunc, c_.below(static_cast<u32>(shape_.functions.size())));
  push('p');
}

void BodyGenerator::reference_step() {
  const u32 table = shape_.tables ? c_.below(shape_.tables) : 0;
  switch (c_.below(shape_.tables ? 7 : 4)) {
    case 0:
      operands("p", 1);
      code_.op(O::kRefIsNull);
      pop(1);
      return push('i');
    case 1:
      operands("p", 1);
      code_.op(O::kLocalSet, local_of('p', true));
      return pop(1);
    case 2:
      if (!shape_.uses.call_ref) return reference();
      {
        // Through a reference whose type is known.
        const u32 callee = c_.below(static_cast<u32>(shape_.functions.size()));
        const Signature& s = shape_.signature(callee);
        operands(s.params, 1);
        if (c_.below(100) == 99)
          code_.op(O::kRefNull, shape_.functions[callee]);
        else
          code_.op(O::kRefFunc, callee);
        if (c_.chance(20)) code_.op(O::kRefAsNonNull);
        code_.op(O::kCallRef, shape_.functions[callee]);
        pop(s.params.size());
        return push(s.results);
      }
    case 3: {
      reference();
      reference();
      return select('p', 1);
    }
    case 4:
      constant('i', c_.below(shape_.table_size + c_.chance(2)));
      reference();
      code_.op(O::kTableSet, table);
      return pop(2);
    case 5: {
      const u32 first = c_.below(shape_.table_size + 1);
      constant('i', first);
      reference();
      constant('i', c_.below(shape_.table_size - first + 1 + c_.chance(2)));
      code_.op(O::kTableFill, table);
      return pop(3);
    }
    default:
      reference();
      constant('i', c_.below(3));
      code_.op(O::kTableGrow, table);
      pop(2);
      return push('i');
  }
}

void BodyGenerator::branch_on_null() {
  if (!shape_.uses.call_ref) return reference();
  const u32 target = c_.below(static_cast<u32>(frames_.size()));
  const Frame& to = frames_[frames_.size() - 1 - target];
  if (!to.is_target) return reference();
  const std::string label = to.label;
  operands(label, 1);
  reference();
  code_.op(O::kBrOnNull, target);
  pop(1 + label.size());
  push(label);
  push('p');
}

// Operands of a tag, thrown.
void BodyGenerator::throw_() {
  const u32 tag = c_.below(static_cast<u32>(shape_.tags.size()));
  operands(shape_.types[shape_.tags[tag]].params, 1);
  code_.op(O::kThrow, tag);
  die();
}

// block (values of the tag, and the exception if asked for) try_table ... end values end
void BodyGenerator::try_table() {
  const u32 tag = c_.below(static_cast<u32>(shape_.tags.size()));
  const bool any = c_.chance(25), with_exception = c_.chance(40);
  std::string caught = any ? "" : shape_.types[shape_.tags[tag]].params;
  if (with_exception) caught += 'x';
  const size_t height = stack_.size();
  block_type(O::kBlock, {"", caught});
  frames_.push_back({caught, caught, true, height, false});
  const u32 kind = (any ? CatchClause::kCatchAll : CatchClause::kCatch) + with_exception;
  std::vector<std::vector<u32>> clauses;
  // A second clause, to a label without operands if there is one.
  for (u32 label = 0; label < frames_.size() && c_.chance(30); label++) {
    const Frame& to = frames_[frames_.size() - 1 - label];
    if (to.is_target && to.label.empty()) {
      clauses.push_back({CatchClause::kCatchAll, label});
      break;
    }
  }
  clauses.insert(clauses.begin(), any ? std::vector<u32>{kind, 0} : std::vector<u32>{kind, tag, 0});
  code_.try_table(-64, clauses);
  nested({"", "", true, height, false}, 1 + c_.below(10));
  code_.end();
  if (c_.chance(50) && !c_.is_exhausted()) steps(1 + c_.below(3));
  converge(caught);
  frames_.pop_back();
  code_.end();
  if (!with_exception) return;
  if (c_.chance(30)) {
    code_.op(O::kThrowRef);
    die();
  } else {
    code_.op(O::kDrop);
    pop(1);
  }
}

}  // namespace wring::test
