// SPDX-License-Identifier: GPL-2.0
// Generated functions of special kinds: what callers copy in, what never comes back, links of chains of tail calls.
#include "selftests/fuzz/generate_body.h"

namespace wring::test {

namespace {

using O = Opcode;

}  // namespace

// Short enough to be copied into callers, as a rule.
void BodyGenerator::leaf() {
  has_loops_ = false;
  depth_ = 1 + c_.below(2);
  budget_ = c_.below(c_.chance(20) ? 20 : 4);
  if (c_.chance(50)) depth_ = 1;
  if (shape_.imported_functions && c_.chance(40)) call();
  steps(budget_);
}

void BodyGenerator::never_returns() {
  leaf();
  if (frame().is_dead) return;
  switch (c_.below(6)) {
    case 0:
      code_.i32(1).i32(0).op(O::kI32DivU);
      push('i');
      return;
    case 1:
      if (!shape_.has_memory) break;
      constant('i', -1);
      to_index(0);
      code_.op(O::kI64Load, 0, 0xffff'ffff);
      pop(1);
      push('l');
      return;
    case 2: {
      // Beyond the table's end, and what else is not called.
      if (shape_.tables == 0) break;
      const u32 type = c_.pick_of(shape_.columns);
      operands(shape_.types[type].params, 0);
      constant('i', c_.chance(50) ? shape_.table_size + 1000 : ~0u);
      code_.op(O::kCallIndirect, type, 0);
      pop(1 + shape_.types[type].params.size());
      push(shape_.types[type].results);
      if (c_.chance(30)) return;
      break;
    }
    case 3:
    case 4:
      if (!shape_.uses.exceptions) break;
      throw_();
      break;
    default: break;
  }
  if (!frame().is_dead) {
    code_.op(O::kUnreachable);
    die();
  }
  budget_ = 3;
  steps(c_.below(3));
  if (c_.chance(50)) call();
}

void BodyGenerator::endless() {
  code_.block(O::kLoop, -64).op(O::kBr, 0).end();
  if (!c_.chance(50)) return;
  code_.op(O::kUnreachable);
  die();
}

// (n, ...) -> ...: goes on with n - 1 at another link, while n is not 0.
void BodyGenerator::link() {
  const Signature& s = shape_.signature(func_);
  constexpr wring::i32 kMost = 0x1'ffff;  // whoever calls
  auto param = [&](char type, u32 start) {
    const u32 count = static_cast<u32>(s.params.size());
    for (u32 i = 0; i < count; i++)
      if (const u32 p = (start + i) % count; p > 0 && s.params[p] == type) {
        code_.op(O::kLocalGet, p);
        return push(type);
      }
    constant(type);
  };
  code_.op(O::kLocalGet, 0).i32(kMost).op(O::kI32And).op(O::kI32Eqz);
  code_.block(O::kIf, -64);
  for (char type : s.results) param(type, c_.below(30));
  code_.op(O::kReturn).end();
  stack_.clear();

  const u32 side = c_.below(2), type = shape_.chain_types[side];
  const std::string& params = shape_.types[type].params;
  code_.op(O::kLocalGet, 0).i32(kMost).op(O::kI32And).i32(1).op(O::kI32Sub);
  for (u32 i = 1; i < params.size(); i++) {
    param(params[i], i + c_.below(3));
    if (params[i] == 'i' && c_.chance(30)) code_.op(O::kLocalGet, 0).op(O::kI32Add);
    if (params[i] == 'l' && c_.chance(30))
      code_.op(O::kLocalGet, 0).op(O::kI64ExtendI32U).op(O::kI64Add);
  }
  const u32 next = c_.pick_of(shape_.links[side]);
  switch (c_.below(3)) {
    case 0:
      if (shape_.tables == 0) break;
      code_.i32(static_cast<wring::i32>(shape_.table_size + side));
      code_.op(O::kReturnCallIndirect, type, 0);
      return die();
    case 1:
      if (!shape_.uses.call_ref) break;
      code_.op(O::kRefFunc, next).op(O::kReturnCallRef, type);
      return die();
    default: break;
  }
  code_.op(O::kReturnCall, next);
  die();
}

// More links than there would be room for if each kept a frame.
void BodyGenerator::chain_start() {
  const Signature& s = shape_.types[shape_.chain_types[0]];
  code_.i32(static_cast<wring::i32>(c_.chance(30) ? c_.below(20) : 50'000 + c_.below(50'000)));
  for (u32 i = 1; i < s.params.size(); i++) constant(s.params[i]);
  stack_.clear();
  code_.op(O::kCall, c_.pick_of(shape_.links[0]));
  push(s.results);
}

}  // namespace wring::test
