// SPDX-License-Identifier: GPL-2.0
// Generated functions that are large in one way: of many instructions, locals, targets, blocks, parameters or calls.
// Few choices make them, so that they neither need a long input nor look alike.
#include "selftests/fuzz/generate_body.h"

namespace wring::test {

namespace {

using O = Opcode;

}  // namespace

void BodyGenerator::big() {
  if (shape_.has_memory) code_.i32(64).op(O::kLocalSet, address_local_);
  Choices stream(c_.bits());
  std::swap(c_, stream);
  switch (c_.below(6)) {
    case 0: many_locals(); break;
    case 1: many_targets(); break;
    case 2: deep_nest(); break;
    case 3: wide_loops(); break;
    case 4: many_calls(); break;
    default: long_line(); break;
  }
  std::swap(c_, stream);
}

// One operation on locals.
void BodyGenerator::local_step(char type) {
  value(type, 1);
  code_.op(O::kLocalSet, local_of(type, true));
  pop(1);
}

// Loops around moves among all locals of a type.
void BodyGenerator::many_locals() {
  const u32 counter = first_counter_;
  for (u32 loops = 1 + c_.below(3); loops > 0; loops--) {
    const char type = any_type();
    std::vector<u32> chosen;
    for (u32 i = 0; i < writable_; i++)
      if (locals_[i] == type && c_.chance(90)) chosen.push_back(i);
    const u32 count = static_cast<u32>(chosen.size()), shift = 1 + c_.below(5);
    code_.i32(static_cast<wring::i32>(1 + c_.below(5))).op(O::kLocalSet, counter);
    code_.block(O::kLoop, -64);
    for (u32 local : chosen) code_.op(O::kLocalGet, local);
    for (u32 i = count; i-- > 0;) code_.op(O::kLocalSet, chosen[(i + shift) % count]);
    for (u32 i = 0; i < 20; i++) local_step(any_type());
    code_.op(O::kLocalGet, counter).i32(-1).op(O::kI32Add).op(O::kLocalTee, counter);
    code_.op(O::kBrIf, 0).end();
  }
}

// Switches of hundreds of cases, in a loop or not.
void BodyGenerator::many_targets() {
  const u32 ways = 100u << c_.below(5), used = c_.chance(30) ? 2 : ways;
  const bool loops = c_.chance(60), falls = c_.chance(50);
  if (loops) {
    code_.i32(static_cast<wring::i32>(1 + c_.below(20))).op(O::kLocalSet, first_counter_);
    code_.block(O::kLoop, -64);
  }
  code_.block(O::kBlock, -64);
  for (u32 i = 0; i < ways; i++) code_.block(O::kBlock, -64);
  std::vector<u32> targets;
  for (u32 i = 0; i < ways; i++) targets.push_back(used == ways ? i : i % used);
  value('i', 1);
  code_.i32(2047).op(O::kI32And);
  pop(1);
  code_.br_table(targets, c_.below(ways));
  for (u32 i = 0; i < ways; i++) {
    code_.end();
    local_step(any_type());
    if (!falls || c_.chance(20)) code_.op(O::kBr, ways - 1 - i);
  }
  code_.end();
  if (!loops) return;
  code_.op(O::kLocalGet, first_counter_).i32(-1).op(O::kI32Add).op(O::kLocalTee, first_counter_);
  code_.op(O::kBrIf, 0).end();
}

// Blocks in blocks, some with a result, left for any of those around.
void BodyGenerator::deep_nest() {
  const u32 depth = 100u << c_.below(5);
  std::vector<bool> has_result;
  for (u32 i = 0; i < depth; i++) {
    has_result.push_back(c_.chance(50));
    if (c_.chance(30)) {
      value('i', 0);
      pop(1);
      code_.block(O::kIf, has_result.back() ? -1 : -64);
    } else {
      code_.block(O::kBlock, has_result.back() ? -1 : -64);
      if (c_.chance(10)) local_step(any_type());
      continue;
    }
    // The other way first, so that the nest is in the last one.
    local_step(any_type());
    if (has_result.back()) code_.i32(static_cast<wring::i32>(c_.below(2)));
    code_.op(O::kElse);
  }
  for (u32 i = 0; i < depth; i++) {
    for (u32 n = c_.below(3); n > 0; n--) {
      const u32 out = c_.below(c_.chance(80) ? std::min(depth - i, 4u) : depth - i);
      const bool carries = has_result[depth - 1 - i - out];
      if (carries) code_.i32(static_cast<wring::i32>(c_.below(2)));
      value('i', 0);
      pop(1);
      code_.op(O::kBrIf, out);
      if (carries) code_.op(O::kDrop);
    }
    const bool result = has_result[depth - 1 - i];
    if (result) code_.i32(static_cast<wring::i32>(c_.below(3)));
    code_.end();
    if (!result) continue;
    if (c_.chance(50))
      code_.op(O::kLocalSet, flags_ + c_.below(2));
    else
      code_.block(O::kIf, -64).op(O::kNop).end();
  }
}

// Loops one after the other, each with many parameters: values of all widths on the stack throughout.
void BodyGenerator::wide_loops() {
  const u32 before = static_cast<u32>(stack_.size());
  u32 widest = kNone;
  for (u32 i = 0; i < shape_.types.size(); i++)
    if (shape_.types[i].params == shape_.types[i].results &&
        (widest == kNone || shape_.types[i].params.size() > shape_.types[widest].params.size()))
      widest = i;
  if (widest == kNone) return long_line();
  for (char type : shape_.types[widest].params) value(type, 0);
  for (u32 loops = 2u << c_.below(6); loops > 0; loops--) {
    code_.i32(static_cast<wring::i32>(1 + c_.below(4))).op(O::kLocalSet, first_counter_);
    code_.block(O::kLoop, widest);
    for (u32 i = 0; i < 3; i++) local_step(any_type());
    if (c_.chance(50)) {  // the top one made anew
      const char top = stack_.back();
      code_.op(O::kDrop);
      pop(1);
      value(top, 1);
    }
    code_.op(O::kLocalGet, first_counter_).i32(-1).op(O::kI32Add).op(O::kLocalTee, first_counter_);
    code_.op(O::kBrIf, 0).end();
  }
  while (stack_.size() > before) {
    const char type = stack_.back();
    code_.op(O::kLocalSet, local_of(type, true));
    pop(1);
  }
}

// Calls of leaves, one after the other, with values alive across all of them.
void BodyGenerator::many_calls() {
  std::vector<u32> leaves;
  for (u32 f : shape_.callable)
    if (shape_.kinds[f] == FunctionKind::kLeaf) leaves.push_back(f);
  if (leaves.empty()) return long_line();
  for (u32 i = 300 + c_.below(1500); i > 0; i--) {
    if (c_.chance(30)) local_step(any_type());
    call(c_.pick_of(leaves));
    while (stack_.size() > 60) {
      code_.op(O::kLocalSet, local_of(stack_.back(), true));
      pop(1);
    }
  }
}

// Tens of thousands of instructions, with an if now and then.
void BodyGenerator::long_line() {
  for (u32 i = 500 + c_.below(5000); i > 0; i--) {
    if (!c_.chance(20)) {
      local_step(any_type());
      continue;
    }
    condition(1);
    pop(1);
    code_.block(O::kIf, -64);
    local_step(any_type());
    code_.end();
  }
}

}  // namespace wring::test
