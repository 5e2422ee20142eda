// SPDX-License-Identifier: GPL-2.0
// Statements and control flow of generated bodies.
#include "selftests/fuzz/generate_body.h"

namespace wring::test {

namespace {

using O = Opcode;

// A value type as a block type: its byte as a negative number.
wring::i64 result_code(char type) { return ModuleWriter::type_of_letter(type) - 0x80; }

}  // namespace

BodyGenerator::BodyGenerator(Choices* choices, const ModuleShape& shape, u32 func)
    : c_(*choices), shape_(shape), lists_(shape), func_(func), kind_(shape.kinds[func]) {}

Body generate_function(Choices* choices, const ModuleShape& shape, u32 func) {
  return BodyGenerator(choices, shape, func).generate();
}

char BodyGenerator::any_type() {
  return shape_.alphabet[c_.below(static_cast<u32>(shape_.alphabet.size()))];
}

// Branch conditions are the rule.
char BodyGenerator::any_int() { return c_.chance(45) ? 'l' : 'i'; }

bool BodyGenerator::has_type(char type) const {
  return shape_.alphabet.find(type) != std::string::npos;
}

Body BodyGenerator::generate() {
  const Signature& s = shape_.signature(func_);
  choose_locals();
  has_loops_ = !c_.chance(35);
  boolean_percent_ = c_.pick({15u, 5u, 30u, 60u});
  dead_percent_ = c_.pick({40u, 0u, 40u, 85u});
  frames_.push_back({s.results, s.results, true, 0, false});
  switch (kind_) {
    case FunctionKind::kLeaf: leaf(); break;
    case FunctionKind::kNeverReturns: never_returns(); break;
    case FunctionKind::kEndless: endless(); break;
    case FunctionKind::kChain: link(); break;
    case FunctionKind::kChainStart: chain_start(); break;
    case FunctionKind::kBig: big(); break;
    default: ordinary(); break;
  }
  converge(s.results);
  code_.end();

  Body out;
  std::string declared = locals_.substr(s.params.size());
  Body runs;
  u32 count = 0;
  for (size_t i = 0, j; i < declared.size(); i = j, count++) {
    j = std::min(declared.find_first_not_of(declared[i], i), declared.size());
    put_leb(&runs, j - i);
    runs.push_back(ModuleWriter::type_of_letter(declared[i]));
  }
  put_leb(&out, count);
  out.insert(out.end(), runs.begin(), runs.end());
  out.insert(out.end(), code_.bytes.begin(), code_.bytes.end());
  return out;
}

void BodyGenerator::ordinary() {
  budget_ = c_.chance(15) ? 100 + c_.below(300) : 4 + c_.below(60);
  consume_budget();
  if (shape_.has_memory) {
    value('i', 1);
    // A multiple of 8, so that atomic accesses find it aligned.
    code_.i32(0xff8).op(O::kI32And).i32(64).op(O::kI32Or).op(O::kLocalSet, address_local_);
    pop(1);
  }
  steps(budget_);
}

void BodyGenerator::choose_locals() {
  locals_ = shape_.signature(func_).params;
  u32 more = c_.chance(5) ? c_.below(150) : c_.chance(30) ? c_.below(24) : c_.below(5);
  if (kind_ == FunctionKind::kBig) {
    more = c_.chance(50) ? 300u << c_.below(5) : 0;
    locals_ += std::string(more, any_type());
  }
  if (is_leaf() && kind_ != FunctionKind::kBig) more = 0;
  for (; more > 0; more--) locals_ += any_type();
  // One of each type that is to be had.
  for (char type : std::string("ilfdv"))
    if (has_type(type)) locals_ += type;
  if (shape_.uses.references) locals_ += "pp";
  writable_ = static_cast<u32>(locals_.size());
  address_local_ = writable_;
  locals_ += 'i';
  flags_ = address_local_ + 1;
  locals_ += "ii";
  canonical_ = flags_ + 2;
  if (has_type('f')) locals_ += "fd";
  first_counter_ = static_cast<u32>(locals_.size());
  for (u32 i = is_leaf() && kind_ != FunctionKind::kBig ? 0 : kMaxLoopDepth; i > 0; i--)
    locals_ += "il";
  // What holds a NaN whose bits must not be seen is not read like other locals.
  readable_ = static_cast<u32>(locals_.size());
  for (char type : std::string("fdv"))
    if (has_type(type)) locals_ += type;
}

// Functions call each other without end otherwise.
void BodyGenerator::consume_budget() {
  code_.op(O::kGlobalGet, 0).i32(1).op(O::kI32Sub).op(O::kGlobalSet, 0);
  code_.op(O::kGlobalGet, 0).i32(0).op(O::kI32LtS);
  code_.block(O::kIf, -64);
  if (c_.chance(20)) {
    code_.op(O::kUnreachable);
  } else {
    for (char type : frame().results) {
      constant(type);
      pop(1);
    }
    code_.op(O::kReturn);
  }
  code_.end();
}

void BodyGenerator::steps(u32 count) {
  for (; count > 0 && budget_ > 0 && !c_.is_exhausted(); count--) {
    budget_--;
    // What follows a jump is short.
    if (frame().is_dead && !c_.chance(dead_percent_)) return;
    step();
  }
}

void BodyGenerator::step() {
  char type = any_type();
  switch (c_.below(26)) {
    case 0:
    case 1: return value(type, depth_);
    case 2: return value(type, 0);
    case 3:
    case 4:
    case 5: return simple_op();
    case 6:
    case 7:
    case 8: return store_local();
    case 9:
    case 10:
      if (shape_.has_memory) return store();
      return simple_op();
    case 11:
      if (shape_.has_memory) return c_.chance(40) ? update_memory() : adjacent_accesses();
      return simple_op();
    case 12:
      if (shape_.has_memory && shape_.uses.atomics && c_.chance(60)) return atomic();
      if (shape_.has_memory && shape_.uses.simd && c_.chance(40)) return lane_access();
      if (shape_.has_memory) return bulk();
      return simple_op();
    case 13:
      if (shape_.tables && c_.chance(50)) return table_op();
      if (shape_.uses.references && c_.chance(50)) return reference_step();
      operands(std::string(2, type), 2);
      return select(type, 2);
    case 14:
      if (loop_depth_ < 2 || c_.chance(20)) return call();
      return store_local();
    case 15:
      if (loop_depth_ < 2 || c_.chance(20)) return call_indirect();
      return store_local();
    case 16:
      if (is_leaf()) return store_local();
      if (c_.chance(40)) return c_.chance(65) ? mix_widths() : pressure();
      return rotate_locals();
    case 17: return set_flag();
    default: return control_step();
  }
}

void BodyGenerator::control_step() {
  bool is_full = frames_.size() >= kMostFrames;
  switch (c_.below(12)) {
    case 0:
    case 1:
    case 2:
      if (!is_full) return if_else();
      return branch_if();
    case 3:
    case 4:
      if (!is_full) return block();
      return branch_if();
    case 5:
    case 6:
    case 7:
      if (!has_loops_ && !is_full) return if_else();
      if (!is_full && loop_depth_ < kMaxLoopDepth) return loop();
      return branch_if();
    case 8:
      if (c_.chance(50)) return branch_table();
      return branch_if();
    case 9:
      if (c_.chance(30)) return branch();
      return branch_if();
    case 10:
      if (shape_.uses.exceptions && !is_full && !is_leaf() && c_.chance(60)) return try_table();
      if (shape_.uses.references && c_.chance(50)) return branch_on_null();
      return branch_if();
    default:
      if (shape_.uses.exceptions && c_.chance(20)) return throw_();
      if (shape_.uses.exceptions && !is_full && !is_leaf() && c_.chance(20))
        return protected_calls();
      return branch_if();
  }
}

std::string BodyGenerator::few_types(u32 most) {
  std::string out;
  for (u32 i = c_.below(most + 1); i > 0; i--) out += any_type();
  return out;
}

// The types of the topmost values of this frame, at most `count`.
std::string BodyGenerator::top(u32 count) const {
  size_t available = std::min<size_t>(count, stack_.size() - frames_.back().height);
  return stack_.substr(stack_.size() - available);
}

// A block type: none or one result, or one of the module's types. Parameters are on the stack then.
Signature BodyGenerator::block_signature() {
  if (c_.chance(40)) return {"", c_.chance(50) ? "" : std::string(1, any_type())};
  const Signature& s = shape_.types[c_.below(static_cast<u32>(shape_.types.size()))];
  if (s.params.size() > 8 && !c_.chance(10)) return {"", ""};
  operands(s.params, 1);
  return s;
}

void BodyGenerator::block_type(Opcode opcode, const Signature& s) {
  if (s.params.empty() && s.results.size() <= 1 && !c_.chance(10)) {
    code_.block(opcode, s.results.empty() ? -64 : result_code(s.results[0]));
    return;
  }
  for (u32 i = 0; i < shape_.types.size(); i++)
    if (shape_.types[i] == s) {
      code_.block(opcode, i);
      return;
    }
  code_.block(opcode, s.results.empty() ? -64 : result_code(s.results[0]));
}

// What follows an unconditional jump takes any operands.
void BodyGenerator::die() {
  frame().is_dead = true;
  stack_.resize(frame().height);
}

// Makes this frame's part of the stack exactly `types`.
void BodyGenerator::converge(const std::string& types) {
  size_t height = frame().height;
  if (frame().is_dead && stack_.size() == height && c_.chance(50)) return push(types);
  for (;;) {
    size_t here = stack_.size() - height, same = 0;
    while (same < here && same < types.size() && stack_[height + same] == types[same]) same++;
    if (same == here) break;
    // The top one must go: used up or thrown away.
    char last = stack_.back();
    bool is_int = last == 'i' || last == 'l';
    if (!is_int) {
      if (last != 'x' && c_.chance(60))
        code_.op(O::kLocalSet, local_of(last, true));
      else
        code_.op(O::kDrop);
    } else if (here >= 2 && stack_[stack_.size() - 2] == last && c_.chance(70)) {
      static const O kMerge32[] = {O::kI32Xor, O::kI32Add, O::kI32Sub, O::kI32Rotl};
      static const O kMerge64[] = {O::kI64Xor, O::kI64Add, O::kI64Sub, O::kI64Rotl};
      code_.op(last == 'i' ? c_.pick(kMerge32) : c_.pick(kMerge64));
    } else if (here >= 2 && c_.chance(50) &&
               stack_[stack_.size() - 2] == (last == 'i' ? 'l' : 'i')) {
      code_.op(last == 'i' ? O::kI64ExtendI32U : O::kI32WrapI64);
      code_.op(last == 'i' ? O::kI64Mul : O::kI32Xor);
    } else if (c_.chance(60)) {
      code_.op(O::kLocalSet, local_of(last, true));
    } else {
      code_.op(O::kDrop);
    }
    pop(1);
  }
  for (size_t i = stack_.size() - height; i < types.size(); i++) value(types[i], 1);
}

// The contents of a block whose opening has been written, up to where its end or else belongs.
void BodyGenerator::nested(Frame frame, u32 count) {
  frames_.push_back(frame);
  steps(count);
  converge(frames_.back().results);
  frames_.pop_back();
}

void BodyGenerator::block() {
  Signature s = block_signature();
  block_type(O::kBlock, s);
  size_t height = stack_.size() - s.params.size();
  nested({s.results, s.results, true, height, false}, 1 + c_.below(10));
  code_.end();
}

void BodyGenerator::if_else() {
  Signature s = {"", ""};
  // What a block has left is the condition.
  if (!(has("i") && c_.chance(40))) {
    s = block_signature();
    condition(2);
  }
  block_type(O::kIf, s);
  pop(1);
  size_t height = stack_.size() - s.params.size();
  Frame opened = {s.results, s.results, true, height, false};
  nested(opened, 1 + c_.below(8));
  if (s.params != s.results || c_.chance(60)) {
    code_.op(O::kElse);
    stack_.resize(height);
    push(s.params);
    nested(opened, 1 + c_.below(8));
  }
  code_.end();
}

// Counts down in a local of its own, at the end of the body or at its start; only then may branches go there.
void BodyGenerator::loop() {
  Signature s = block_signature();
  bool wide = c_.chance(25);
  char type = wide ? 'l' : 'i';
  u32 counter = first_counter_ + 2 * loop_depth_ + wide;
  // The parameters have been pushed: what follows must leave them be.
  size_t height = stack_.size() - s.params.size();
  constant(type, 1 + c_.below(loop_depth_ ? 6 : 14));
  code_.op(O::kLocalSet, counter);
  pop(1);
  bool at_start = c_.chance(40), up = !at_start && c_.chance(30);
  u32 rounds = 1 + c_.below(8);
  if (up) {
    constant(type, 0);
    code_.op(O::kLocalSet, counter);
    pop(1);
  }
  block_type(O::kLoop, s);
  loop_depth_++;
  frames_.push_back({s.params, s.results, at_start, height, false});
  if (at_start) {
    code_.op(O::kLocalGet, counter);
    if (wide)
      code_.op(O::kI64Eqz);
    else
      code_.op(O::kI32Eqz);
    code_.block(O::kIf, -64);
    // Out of the function, or out of a block around the loop.
    u32 target = c_.below(static_cast<u32>(frames_.size()) - 1);
    if (!frames_[target].is_target) target = 0;
    size_t before = stack_.size();
    u32 kept = budget_;
    budget_ = 0;  // no steps in there: this block is not among the frames
    for (char c : frames_[target].label) value(c, 1);
    budget_ = kept;
    stack_.resize(before);
    code_.op(O::kBr, frames_.size() - target);
    code_.end();
    code_.op(O::kLocalGet, counter);
    if (wide)
      code_.i64(1).op(O::kI64Sub);
    else
      code_.i32(1).op(O::kI32Sub);
    code_.op(O::kLocalSet, counter);
  }
  steps(1 + c_.below(12));
  if (!at_start) {
    if (!frame().is_dead || c_.chance(50)) {
      converge(s.params);
      code_.op(O::kLocalGet, counter);
      if (wide)
        code_.i64(up ? 1 : -1).op(O::kI64Add).op(O::kLocalTee, counter);
      else
        code_.i32(up ? 1 : -1).op(O::kI32Add).op(O::kLocalTee, counter);
      static const O kBelow32[] = {O::kI32LtU, O::kI32LtS, O::kI32Ne, O::kI32LeU};
      static const O kBelow64[] = {O::kI64LtU, O::kI64LtS, O::kI64Ne, O::kI64LeU};
      if (up && wide)
        code_.i64(rounds).op(c_.pick(kBelow64));
      else if (up)
        code_.i32(static_cast<wring::i32>(rounds)).op(c_.pick(kBelow32));
      else if (wide)
        code_.i64(0).op(O::kI64Ne);
      code_.op(O::kBrIf, 0);
    }
  }
  converge(s.results);
  frames_.pop_back();
  loop_depth_--;
  code_.end();
}

void BodyGenerator::branch() {
  if (c_.chance(15)) return leave();
  u32 target = c_.below(static_cast<u32>(frames_.size()));
  if (!frames_[frames_.size() - 1 - target].is_target) return leave();
  operands(frames_[frames_.size() - 1 - target].label, 1);
  code_.op(O::kBr, target);
  die();
}

void BodyGenerator::leave() {
  if (c_.chance(dead_percent_ > 50 ? 20 : 3)) {
    code_.op(O::kUnreachable);
  } else {
    if (shape_.uses.tail_calls && !is_leaf() && c_.chance(60) && tail_call()) return die();
    operands(frames_[0].results, 1);
    code_.op(O::kReturn);
  }
  die();
}

void BodyGenerator::branch_if() {
  u32 target = c_.below(static_cast<u32>(frames_.size()));
  const Frame& to = frames_[frames_.size() - 1 - target];
  if (!to.is_target) return store_local();
  std::string label = to.label;
  if (!(has(label + "i") && c_.chance(40))) {
    operands(label, 1);
    condition(2);
  }
  code_.op(O::kBrIf, target);
  pop(1 + label.size());
  push(label);
}

void BodyGenerator::branch_table() {
  u32 count = static_cast<u32>(frames_.size());
  u32 first = c_.below(count);
  if (!frames_[count - 1 - first].is_target) return store_local();
  std::string label = frames_[count - 1 - first].label;
  std::vector<u32> all, targets;
  for (u32 i = 0; i < count; i++)
    if (frames_[count - 1 - i].is_target && frames_[count - 1 - i].label == label) all.push_back(i);
  for (u32 i = c_.chance(10) ? c_.below(60) : c_.below(7); i > 0; i--)
    targets.push_back(all[c_.below(static_cast<u32>(all.size()))]);
  operands(label, 1);
  value('i', 2);
  if (c_.chance(60)) {
    constant('i', c_.pick({1u, 3u, 7u, 63u}));
    code_.op(O::kI32And);
    pop(1);
  }
  code_.br_table(targets, first);
  die();
}

// Moves between locals that cross each other.
void BodyGenerator::rotate_locals() {
  char type = any_type();
  u32 count = 2 + c_.below(4);
  std::vector<u32> chosen;
  for (u32 i = 0; i < count; i++) chosen.push_back(local_of(type, true));
  for (u32 local : chosen) code_.op(O::kLocalGet, local);
  u32 shift = 1 + c_.below(count - 1);
  for (u32 i = count; i-- > 0;) code_.op(O::kLocalSet, chosen[(i + shift) % count]);
}

}  // namespace wring::test
