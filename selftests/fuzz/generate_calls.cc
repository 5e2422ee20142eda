// SPDX-License-Identifier: GPL-2.0
// Calls, references and exceptions of generated bodies.
#include <algorithm>

#include "selftests/fuzz/generate_body.h"

namespace wring::test {

namespace {

using O = Opcode;

}  // namespace

void BodyGenerator::call(u32 callee) {
  const Signature& s = shape_.signature(callee);
  operands(s.params, 1);
  code_.op(O::kCall, callee);
  pop(s.params.size());
  push(s.results);
}

// A leaf calls other modules' functions only: nothing ends a recursion of leaves.
void BodyGenerator::call() {
  if (is_leaf()) {
    const u32 import = c_.below(std::max(shape_.imported_functions, 1u));
    if (import < shape_.imported_functions && export_is_callable(import)) return call(import);
    return store_local();
  }
  if (c_.chance(3)) return guarded_endless();
  call(c_.pick_of(shape_.callable));
}

bool BodyGenerator::export_is_callable(u32 func) const {
  return std::find(shape_.callable.begin(), shape_.callable.end(), func) != shape_.callable.end();
}

// An index into table 0: mostly one of the entries that hold a function of that column, if the table still is what it
// was.
void BodyGenerator::index_of_callee(u32 column) {
  u32 columns = static_cast<u32>(shape_.columns.size());
  u32 rounds = shape_.table_size / columns;
  if (rounds == 0 || c_.chance(2)) {
    value('i', 1);
    constant('i', c_.chance(90) ? shape_.table_size : 64);
    code_.op(O::kI32RemU);
    pop(1);
  } else if (c_.chance(30)) {
    constant('i', column + columns * c_.below(rounds));
  } else {
    value('i', 1);
    code_.i32(static_cast<wring::i32>(rounds)).op(O::kI32RemU);
    code_.i32(static_cast<wring::i32>(columns)).op(O::kI32Mul);
    code_.i32(static_cast<wring::i32>(column)).op(O::kI32Add);
  }
}

void BodyGenerator::call_indirect() {
  if (shape_.tables == 0 || is_leaf()) return call();
  u32 column = c_.below(static_cast<u32>(shape_.columns.size()));
  u32 type =
      c_.chance(1) ? c_.below(static_cast<u32>(shape_.types.size())) : shape_.columns[column];
  const Signature& s = shape_.types[type];
  operands(s.params, 1);
  index_of_callee(column);
  code_.op(O::kCallIndirect, type, c_.chance(98) ? 0 : shape_.tables - 1);
  pop(s.params.size() + 1);
  push(s.results);
}

// A call of a function that never comes back, which is not made.
void BodyGenerator::guarded_endless() {
  for (u32 f = 0; f < shape_.functions.size(); f++) {
    if (shape_.kinds[f] != FunctionKind::kEndless) continue;
    code_.op(O::kGlobalGet, 0).i32(0x7fff'fff0).op(O::kI32Eq);
    code_.block(O::kIf, -64);
    code_.op(O::kCall, f).op(O::kDrop);
    code_.end();
    return;
  }
  call(c_.pick_of(shape_.callable));
}

// Leaves for a function with the same results, if there is one.
bool BodyGenerator::tail_call() {
  const std::string& results = shape_.signature(func_).results;
  std::vector<u32> callees, columns;
  for (u32 f : shape_.callable)
    if (shape_.signature(f).results == results) callees.push_back(f);
  for (u32 i = 0; i < shape_.columns.size(); i++)
    if (shape_.types[shape_.columns[i]].results == results) columns.push_back(i);
  if (!columns.empty() && c_.chance(33)) {
    const u32 column = c_.pick_of(columns), type = shape_.columns[column];
    operands(shape_.types[type].params, 1);
    index_of_callee(column);
    code_.op(O::kReturnCallIndirect, type, 0);
    return true;
  }
  if (callees.empty()) return false;
  const u32 callee = c_.pick_of(callees);
  operands(shape_.signature(callee).params, 1);
  if (shape_.uses.call_ref && c_.chance(50))
    code_.op(O::kRefFunc, callee).op(O::kReturnCallRef, shape_.functions[callee]);
  else
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
  code_.op(O::kRefFunc, c_.pick_of(shape_.callable));
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
        if (is_leaf()) return reference();
        const u32 callee = c_.pick_of(shape_.callable);
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

// For each clause a block that takes what it catches, around the try_table; or a label further out that fits.
void BodyGenerator::try_table() {
  struct Handler {
    u32 kind, tag;
    std::string caught;
  };
  std::vector<Handler> handlers;
  for (u32 i = c_.chance(60) ? 1 : 2 + c_.below(3); i > 0; i--) {
    const u32 tag = c_.below(static_cast<u32>(shape_.tags.size()));
    const bool any = c_.chance(35), with_exception = c_.chance(40);
    std::string caught = any ? "" : shape_.types[shape_.tags[tag]].params;
    if (with_exception) caught += 'x';
    const u32 kind = (any ? CatchClause::kCatchAll : CatchClause::kCatch) + with_exception;
    handlers.push_back({kind, tag, caught});
  }
  std::vector<std::vector<u32>> clauses;
  auto add_clause = [&](const Handler& handler, u32 label) {
    const bool has_tag =
        handler.kind == CatchClause::kCatch || handler.kind == CatchClause::kCatchRef;
    clauses.push_back(has_tag ? std::vector<u32>{handler.kind, handler.tag, label}
                              : std::vector<u32>{handler.kind, label});
  };
  // Blocks of this try_table's own, the outermost one for the last clause.
  const size_t own = std::min<size_t>(handlers.size(), kMostFrames - frames_.size());
  for (size_t i = own; i-- > 0;) open(O::kBlock, handlers[i].caught);
  for (size_t i = 0; i < own; i++) add_clause(handlers[i], static_cast<u32>(i));
  for (const Handler& handler : handlers)
    for (u32 label = 0; label < frames_.size() && c_.chance(25); label++) {
      const Frame& to = frames_[frames_.size() - 1 - label];
      if (!to.is_target || to.label != handler.caught) continue;
      add_clause(handler, label);
      break;
    }
  const std::string results = c_.chance(70) ? "" : std::string(1, any_type());
  code_.try_table(results.empty() ? -64 : ModuleWriter::type_of_letter(results[0]) - 0x80, clauses);
  const size_t height = stack_.size();
  frames_.push_back({results, results, true, height, false});
  if (c_.chance(40)) protected_calls();
  steps(1 + c_.below(10));
  converge(results);
  frames_.pop_back();
  code_.end();
  for (size_t i = 0; i < own; i++) {
    if (c_.chance(25)) leave();
    if (c_.chance(50) && !c_.is_exhausted()) steps(1 + c_.below(3));
    converge(handlers[i].caught);
    close();
    if (handlers[i].caught.find('x') == std::string::npos || !c_.chance(60)) continue;
    if (c_.chance(30)) {
      code_.op(O::kThrowRef);
      die();
    } else {
      code_.op(O::kDrop);
      pop(1);
    }
  }
}

// Calls one after the other, small ones that are copied in among them, and what they return thrown away.
void BodyGenerator::protected_calls() {
  for (u32 i = 2 + c_.below(3); i > 0; i--) {
    const size_t height = stack_.size();
    if (loop_depth_ < 2 && c_.chance(25))
      call_indirect();
    else
      call();
    for (; stack_.size() > height && c_.chance(80); pop(1)) code_.op(O::kDrop);
  }
}

// Makes the value on top of the stack count, whatever becomes of the rest.
void BodyGenerator::observe(char type) {
  switch (type) {
    case 'f':
      canonicalize(type);
      code_.op(O::kI32ReinterpretF32);
      break;
    case 'd':
      canonicalize(type);
      code_.op(O::kI64ReinterpretF64);
      break;
    case 'v':
      code_.op(O::kI64x2ExtractLane);
      code_.bytes.push_back(static_cast<u8>(c_.below(2)));
      break;
    default: break;
  }
  pop(1);
  // The first globals are the budget, an i32 and an i64 in every module.
  const bool wide = type != 'i' && type != 'f';
  const u32 global = wide ? 2 : 1;
  code_.op(O::kGlobalGet, global).op(wide ? O::kI64Xor : O::kI32Xor).op(O::kGlobalSet, global);
}

// Values of all widths, made of each other without a detour, that are alive across calls.
void BodyGenerator::mix_widths() {
  const size_t height = stack_.size();
  const u32 f32 = canonical_, f64 = canonical_ + 1;
  for (u32 i = 4 + c_.below(12); i > 0; i--) {
    const char type = c_.chance(50) ? 'f' : 'd';
    const u32 local = type == 'f' ? f32 : f64;
    switch (c_.below(has_type('v') ? 10 : has_type('f') ? 6 : 4)) {
      case 0:
        if (loop_depth_ < 2) call();
        break;
      case 1:
        if (loop_depth_ < 2) call_indirect();
        break;
      case 2: value(any_type(), 1); break;
      case 3:
        value('l', 0);
        code_.op(O::kI32WrapI64);
        pop(1);
        push('i');
        break;
      case 4:
      case 5:
        value(type, 1);
        canonicalize(type);
        code_.op(O::kLocalSet, local);
        pop(1);
        break;
      case 6:
      case 7:
        code_.op(O::kLocalGet, local).op(type == 'f' ? O::kF32x4Splat : O::kF64x2Splat);
        push('v');
        break;
      case 8:
        value('v', 0);
        code_.op(O::kLocalGet, f32).op(O::kF32x4ReplaceLane);
        code_.bytes.push_back(static_cast<u8>(c_.below(4)));
        break;
      default:
        value('v', 0);
        code_.op(O::kF64x2ExtractLane);
        code_.bytes.push_back(static_cast<u8>(c_.below(2)));
        pop(1);
        push('d');
        break;
    }
    if (c_.chance(40) && has_type('f')) {  // across what comes next
      code_.op(O::kLocalGet, local);
      push(type);
    }
  }
  while (stack_.size() > height && stack_.size() > frame().height && stack_.back() != 'x')
    observe(stack_.back());
}

}  // namespace wring::test
