// SPDX-License-Identifier: GPL-2.0
// Random Wasm modules for differential tests: valid by construction, terminating (loops count down), biased towards
// what the optimizer has rules for. Floats and vectors only if asked for; then what a NaN's bits are, where the
// standard leaves it open, influences nothing.
#pragma once

#include <random>

#include "selftests/core/ir/module_writer.h"

namespace wring::test {

class RandomProgram {
 public:
  // Function indices of the imports every program has.
  enum Import : u32 {
    kPktLen,
    kPktLoad8,
    kPktLoad16,
    kPktLoad32,
    kPktLoad64,
    kPktStore16,
    kArg,
    kCpuId,
    kMap,
    kMapAdd,
    kMapLoad64,
    kHost,
    kImports
  };

  // Types beyond integers: in locals, memory, control flow, and floats in signatures.
  enum Mix : u32 { kFloats = 1, kVectors = 2 };

  explicit RandomProgram(u64 seed, u32 mix = 0) : random_(seed), mix_(mix) {}

  Body generate() {
    const char* names[] = {"pkt_len",    "pkt_load8",   "pkt_load16", "pkt_load32",
                           "pkt_load64", "pkt_store16", "arg",        "cpu_id",
                           "map",        "map_add",     "map_load64", "host"};
    const char* params[] = {"", "i", "i", "i", "i", "ii", "i", "", "", "iiil", "iii", "il"};
    const char* results[] = {"i", "i", "i", "i", "l", "", "l", "i", "i", "i", "l", "i"};
    for (u32 i = 0; i < kImports; i++)
      writer_.import("wring", names[i], writer_.type(params[i], results[i]));
    writer_.memory(1, 3);
    writer_.global(ModuleWriter::kI32, true, 4096);
    writer_.global(ModuleWriter::kI64, true, 77);
    writer_.global(ModuleWriter::kI32, false, 1234);
    u32 count = 2 + below(4);
    std::vector<u32> table;
    for (u32 i = 0; i < count; i++) table.push_back(kImports + below(count));
    bool fixed = below(2);
    writer_.table(table, count + 2, fixed ? count + 2 : count + 9);
    for (u32 i = 0; i < count; i++) function(i, below(3) ? 8 + below(60) : 3 + below(6));
    return writer_.finish();
  }

 private:
  static constexpr char kLetters[] = "il";
  // A type of the mix; not a vector in signatures.
  char any_type(bool in_signature) {
    if ((mix_ & kFloats) && chance(30)) return "fd"[below(2)];
    if ((mix_ & kVectors) && !in_signature && chance(15)) return 'v';
    return kLetters[below(2)];
  }
  static i64 block_type(const std::string& results) {
    return results.empty() ? -64 : ModuleWriter::type_of_letter(results[0]) - 0x80;
  }
  u32 below(u32 n) { return static_cast<u32>(random_() % n); }
  bool chance(u32 percent) { return below(100) < percent; }
  template <usize N>
  Opcode pick(const Opcode (&list)[N]) {
    return list[below(N)];
  }

  struct Signature {
    std::string params, results;
  };
  void function(u32 number, u32 statements) {
    Signature s;
    for (u32 i = below(4); i > 0; i--) s.params += any_type(true);
    for (u32 i = chance(80) ? 1 : below(4); i > 0; i--) s.results += any_type(true);
    signatures_.push_back(s);
    locals_ = s.params;
    for (u32 i = 2 + below(6); i > 0; i--) locals_ += any_type(false);
    locals_ += mix_ ? "ilfdv" : "il";  // one of each at least
    counters_ = static_cast<u32>(locals_.size());
    locals_ += "iiiii";          // loop counters, and one for walk_packet
    if (mix_) locals_ += "fdv";  // for canonical()
    loop_depth_ = 0;
    has_loops_ = chance(65);
    boolean_percent_ = below(3) * 20;
    labels_.clear();
    labels_.push_back({s.results, false});
    code_ = Code();
    number_ = number;
    budget_ = statements;
    block_body(3);
    if (chance(5)) {  // never comes back, and what follows is dead
      code_.op(Opcode::kUnreachable);
      block_body(1);
    }
    for (char c : s.results) expression(c, 3);
    writer_.function(writer_.type(s.params, s.results), locals_.substr(s.params.size()), code_);
  }

  u32 local_of(char type) {
    for (;;) {
      u32 i = below(counters_);
      if (locals_[i] == type) return i;
    }
  }

  wring::i64 interesting() {
    static const wring::i64 kSmall[] = {0,  1,  2,  3,  4,  5,  7,  8,  10,  12,
                                        14, 16, 24, 31, 32, 34, 63, 64, 100, 255};
    switch (below(6)) {
      case 0:
      case 1:
      case 2: return kSmall[below(20)];
      case 3: return -kSmall[below(20)];
      case 4: return (wring::i64{1} << below(63)) + static_cast<wring::i64>(below(3)) - 1;
      default: return static_cast<wring::i64>(random_());
    }
  }
  void constant(char type, wring::i64 value) {
    if (type == 'i')
      code_.i32(static_cast<wring::i32>(value));
    else
      code_.i64(value);
  }

  // An address, usually one that is in bounds.
  void address(u32 depth) {
    expression('i', depth);
    if (!chance(4)) code_.i32(chance(50) ? 0xff : 0xfff8).op(Opcode::kI32And);
  }
  u32 offset() { return chance(3) ? static_cast<u32>(random_()) : below(40); }

  void packet_offset(u32 depth) {
    if (chance(60)) {
      code_.i32(static_cast<wring::i32>(below(70)));
    } else {
      expression('i', depth);
      if (!chance(10)) code_.i32(63).op(Opcode::kI32And);
      if (chance(50)) code_.i32(static_cast<wring::i32>(below(20))).op(Opcode::kI32Add);
    }
  }

  // random_numeric.h
  void boolean(u32 depth);
  void float_expression(char type, u32 depth);
  void vector_expression(u32 depth);
  void integer_of_numeric(char type, u32 depth);
  void numeric_statement();
  void canonical(char type, Opcode equal);

  void expression(char type, u32 depth) {
    if (type == 'f' || type == 'd') return float_expression(type, depth);
    if (type == 'v') return vector_expression(depth);
    if (mix_ && depth && chance(10)) return integer_of_numeric(type, depth - 1);
    bool wide = type == 'l';
    if (depth == 0) {
      if (chance(50))
        constant(type, interesting());
      else
        code_.op(Opcode::kLocalGet, local_of(type));
      return;
    }
    using O = Opcode;
    static const O kBinary32[] = {O::kI32Add,  O::kI32Sub,  O::kI32Mul, O::kI32And,
                                  O::kI32Or,   O::kI32Xor,  O::kI32Shl, O::kI32ShrS,
                                  O::kI32ShrU, O::kI32Rotl, O::kI32Rotr};
    static const O kBinary64[] = {O::kI64Add,  O::kI64Sub,  O::kI64Mul, O::kI64And,
                                  O::kI64Or,   O::kI64Xor,  O::kI64Shl, O::kI64ShrS,
                                  O::kI64ShrU, O::kI64Rotl, O::kI64Rotr};
    static const O kDivide32[] = {O::kI32DivS, O::kI32DivU, O::kI32RemS, O::kI32RemU};
    static const O kDivide64[] = {O::kI64DivS, O::kI64DivU, O::kI64RemS, O::kI64RemU};
    static const O kCompare32[] = {O::kI32Eq,  O::kI32Ne,  O::kI32LtS, O::kI32LtU, O::kI32GtS,
                                   O::kI32GtU, O::kI32LeS, O::kI32LeU, O::kI32GeS, O::kI32GeU};
    static const O kCompare64[] = {O::kI64Eq,  O::kI64Ne,  O::kI64LtS, O::kI64LtU, O::kI64GtS,
                                   O::kI64GtU, O::kI64LeS, O::kI64LeU, O::kI64GeS, O::kI64GeU};
    static const O kUnary32[] = {O::kI32Clz, O::kI32Ctz, O::kI32Popcnt, O::kI32Extend8S,
                                 O::kI32Extend16S};
    static const O kUnary64[] = {O::kI64Clz,      O::kI64Ctz,       O::kI64Popcnt,
                                 O::kI64Extend8S, O::kI64Extend16S, O::kI64Extend32S};
    static const O kLoad32[] = {O::kI32Load, O::kI32Load8S, O::kI32Load8U, O::kI32Load16S,
                                O::kI32Load16U};
    static const O kLoad64[] = {O::kI64Load,    O::kI64Load8S,  O::kI64Load8U, O::kI64Load16S,
                                O::kI64Load16U, O::kI64Load32S, O::kI64Load32U};
    switch (below(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
        expression(type, depth - 1);
        if (chance(60))
          constant(type, interesting());
        else
          expression(type, depth - 1);
        code_.op(wide ? pick(kBinary64) : pick(kBinary32));
        return;
      case 4: {  // shifts and masks by bytes
        expression(type, depth - 1);
        constant(type, 8 * (1 + below(wide ? 7 : 3)));
        static const O kShift32[] = {O::kI32Shl, O::kI32ShrU, O::kI32ShrS, O::kI32Rotl};
        static const O kShift64[] = {O::kI64Shl, O::kI64ShrU, O::kI64ShrS, O::kI64Rotl};
        code_.op(wide ? pick(kShift64) : pick(kShift32));
        if (chance(40)) {
          constant(type, wring::i64{0xff} << (8 * below(4)));
          code_.op(wide ? O::kI64And : O::kI32And);
        }
        return;
      }
      case 5: byte_swap(type); return;
      case 6:
        expression(type, depth - 1);
        if (chance(80))
          constant(type, interesting());
        else
          expression(type, depth - 1);
        code_.op(wide ? pick(kDivide64) : pick(kDivide32));
        return;
      case 7:
      case 8:
        condition(depth - 1);
        if (wide) code_.op(O::kI64ExtendI32U);
        return;
      case 9: {
        char other = chance(50) ? 'i' : 'l';
        expression(other, depth - 1);
        if (chance(60))
          constant(other, interesting());
        else
          expression(other, depth - 1);
        code_.op(other == 'l' ? pick(kCompare64) : pick(kCompare32));
        if (wide) code_.op(O::kI64ExtendI32S);
        return;
      }
      case 10:
        expression(type, depth - 1);
        code_.op(wide ? pick(kUnary64) : pick(kUnary32));
        return;
      case 11:
        expression(wide ? 'i' : 'l', depth - 1);
        code_.op(wide ? (chance(50) ? O::kI64ExtendI32S : O::kI64ExtendI32U) : O::kI32WrapI64);
        return;
      case 12:
      case 13:
        address(depth - 1);
        code_.op(wide ? pick(kLoad64) : pick(kLoad32), 0, offset());
        return;
      case 14:
        expression(type, depth - 1);
        expression(type, depth - 1);
        condition(depth - 1);
        code_.op(O::kSelect);
        return;
      case 15: code_.op(O::kGlobalGet, wide ? 1 : chance(80) ? 0 : 2); return;
      case 16:
        expression(type, depth - 1);
        code_.op(O::kLocalTee, local_of(type));
        return;
      case 17: intrinsic(type, depth - 1); return;
      case 18: call(type, depth - 1); return;
      default: expression(type, 0); return;
    }
  }

  void condition(u32 depth) {
    using O = Opcode;
    static const O kCompare32[] = {O::kI32Eq,  O::kI32Ne,  O::kI32LtS, O::kI32LtU, O::kI32GtS,
                                   O::kI32GtU, O::kI32LeS, O::kI32LeU, O::kI32GeS, O::kI32GeU};
    if (depth > 0 && chance(boolean_percent_)) return boolean(depth);
    switch (below(5)) {
      case 0: expression('i', depth); break;
      case 1:
        expression('i', depth);
        code_.op(O::kI32Eqz);
        break;
      case 2:
        expression('l', depth);
        code_.op(O::kI64Eqz);
        break;
      default:
        if (chance(30))
          code_.op(O::kCall, kPktLen);
        else
          expression('i', depth);
        if (chance(70))
          code_.i32(static_cast<wring::i32>(interesting()));
        else
          expression('i', depth);
        code_.op(pick(kCompare32));
    }
  }

  void byte_swap(char type) {
    using O = Opcode;
    u32 x = local_of(type);
    if (type == 'l') {
      code_.op(O::kLocalGet, x)
          .i64(56)
          .op(O::kI64Shl)
          .op(O::kLocalGet, x)
          .i64(56)
          .op(O::kI64ShrU)
          .op(O::kI64Or);
      return;
    }
    if (chance(50)) {
      code_.op(O::kLocalGet, x)
          .i32(8)
          .op(O::kI32Shl)
          .op(O::kLocalGet, x)
          .i32(0xffff)
          .op(O::kI32And);
      code_.i32(8).op(O::kI32ShrU).op(O::kI32Or).i32(0xffff).op(O::kI32And);
      return;
    }
    code_.op(O::kLocalGet, x).i32(24).op(O::kI32Shl);
    code_.op(O::kLocalGet, x).i32(0xff00).op(O::kI32And).i32(8).op(O::kI32Shl).op(O::kI32Or);
    code_.op(O::kLocalGet, x)
        .i32(8)
        .op(O::kI32ShrU)
        .i32(chance(90) ? 0xff00 : 0xfe00)
        .op(O::kI32And)
        .op(O::kI32Or);
    code_.op(O::kLocalGet, x).i32(24).op(O::kI32ShrU).op(O::kI32Or);
  }

  void intrinsic(char type, u32 depth) {
    using O = Opcode;
    if (type == 'l') {
      switch (below(3)) {
        case 0:
          packet_offset(depth);
          code_.op(O::kCall, kPktLoad64);
          return;
        case 1:
          expression('i', 0);
          if (chance(80)) code_.i32(15).op(O::kI32And);
          code_.op(O::kCall, kArg);
          return;
        default:
          map_place(depth);
          code_.op(O::kCall, kMapLoad64);
          return;
      }
    }
    switch (below(7)) {
      case 0: code_.op(O::kCall, kPktLen); return;
      case 1: code_.op(O::kCall, kCpuId); return;
      case 2:
        map_place(depth);
        expression('l', depth);
        code_.op(O::kCall, kMapAdd);
        return;
      case 3:
        expression('i', depth);
        expression('l', 0);
        code_.op(O::kCall, kHost);
        return;
      default:
        packet_offset(depth);
        code_.op(O::kCall, kPktLoad8 + below(3));
        return;
    }
  }
  void map_place(u32 depth) {
    if (chance(90))
      code_.op(Opcode::kCall, kMap);
    else
      code_.i32(chance(50) ? 1 : 9);
    if (chance(50)) {
      code_.i32(static_cast<wring::i32>(below(10)));
    } else {
      expression('i', depth);
      if (chance(70)) code_.i32(7).op(Opcode::kI32And);
    }
    code_.i32(chance(90) ? 8 * below(3) : 3);
  }

  // A call of an earlier function (so that programs end), or through the table (which may recurse).
  void call(char type, u32 depth) {
    using O = Opcode;
    if (signatures_.size() < 2 || number_ == 0) return expression(type, 0);
    u32 callee = below(number_);
    const Signature s = signatures_[callee];
    for (char c : s.params) expression(c, depth ? 1 : 0);
    if (chance(85)) {
      code_.op(O::kCall, kImports + callee);
    } else {
      expression('i', 0);
      code_.i32(7).op(O::kI32And);
      code_.op(O::kCallIndirect, writer_.type(s.params, s.results), 0);
    }
    // Keep one of the wanted type if there is any; drop the rest.
    u32 kept = kNone;
    for (u32 i = static_cast<u32>(s.results.size()); i-- > 0;) {
      if (kept == kNone && s.results[i] == type) {
        kept = local_of(type);
        code_.op(O::kLocalSet, kept);
      } else {
        code_.op(O::kDrop);
      }
    }
    code_.op(O::kLocalGet, kept == kNone ? local_of(type) : kept);
  }

  struct Label {
    std::string results;  // what a branch to it takes; loops: nothing
    bool is_loop;
  };

  void branch_values(const Label& label) {
    for (char c : label.results) expression(c, 1);
  }

  // An i32 of which nothing is known when compiling.
  void opaque() {
    code_.i32(static_cast<wring::i32>(below(4))).op(Opcode::kCall, kArg).op(Opcode::kI32WrapI64);
  }

  // Accesses around one address, overlapping or not.
  void neighbours() {
    using O = Opcode;
    static const O kStores[] = {O::kI32Store, O::kI32Store8, O::kI32Store16};
    static const O kLoads[] = {O::kI32Load, O::kI32Load8S, O::kI32Load8U, O::kI32Load16S,
                               O::kI32Load16U};
    u32 base = local_of('i');
    opaque();
    code_.i32(0xfff0).op(O::kI32And).op(O::kLocalSet, base);
    for (u32 i = 3 + below(5); i > 0; i--) {
      code_.op(O::kLocalGet, base);
      if (chance(50)) {
        code_.op(O::kLocalGet, local_of('i')).op(pick(kStores), 0, below(9));
      } else {
        u32 to = local_of('i');
        code_.op(pick(kLoads), 0, below(9));
        if (to != base)
          code_.op(O::kLocalSet, to);
        else
          code_.op(O::kGlobalSet, 0);
      }
    }
  }

  // A program's own check of a variable offset, then accesses at and beyond what it checked.
  void checked_packet() {
    using O = Opcode;
    u32 at = local_of('i'), sum = local_of('i');
    opaque();
    code_.i32(31).op(O::kI32And).op(O::kLocalSet, at);
    u32 checked = below(12);
    bool is_block = chance(50);
    if (is_block) code_.block(O::kBlock, -64);
    code_.op(O::kLocalGet, at)
        .i32(static_cast<wring::i32>(checked))
        .op(O::kI32Add)
        .op(O::kCall, kPktLen);
    code_.op(chance(50) ? O::kI32GtU : O::kI32GeU);
    if (is_block)
      code_.op(O::kBrIf, 0);
    else
      code_.op(O::kI32Eqz).block(O::kIf, -64);
    for (u32 i = 1 + below(3); i > 0; i--) {
      code_.op(O::kLocalGet, at).i32(static_cast<wring::i32>(below(12))).op(O::kI32Add);
      code_.op(O::kCall, kPktLoad8 + below(3));
      if (sum == at) {
        code_.op(O::kGlobalSet, 0);
      } else {
        code_.op(O::kLocalGet, sum).op(O::kI32Add).op(O::kLocalSet, sum);
      }
    }
    code_.end();
  }

  // A loop whose counter goes up to a bound, with accesses relative to it.
  void walk_packet() {
    using O = Opcode;
    if (loop_depth_ == 4) return;
    u32 i = counters_ + loop_depth_++, end = local_of('i'), sum = local_of('i'),
        turns = counters_ + 4;
    bool high = chance(10);  // near the end of the number range, where sums wrap
    if (high) {
      code_.i32(-static_cast<wring::i32>(below(40)));
    } else if (chance(70)) {
      code_.i32(static_cast<wring::i32>(below(20)));
    } else {
      opaque();
      code_.i32(15).op(O::kI32And);
    }
    code_.op(O::kLocalSet, i).i32(60).op(O::kLocalSet, turns);
    if (high && chance(80)) {
      code_.i32(-static_cast<wring::i32>(below(20)));
    } else if (chance(60)) {
      code_.op(O::kCall, kPktLen);
    } else if (chance(50)) {
      code_.i32(static_cast<wring::i32>(below(60)));
    } else {
      opaque();
      if (chance(50)) code_.i32(63).op(O::kI32And);
    }
    code_.op(O::kLocalSet, end);
    static const O kContinue[] = {O::kI32LtU, O::kI32LeU, O::kI32LtS, O::kI32LeS, O::kI32Ne};
    O compare = pick(kContinue);
    wring::i32 ahead = static_cast<wring::i32>(below(5)),
               step = static_cast<wring::i32>(1 + below(4));
    if (chance(50)) step = 1;
    if (chance(40)) ahead = step;
    auto guard = [&] {
      code_.op(O::kLocalGet, i).i32(ahead).op(O::kI32Add).op(O::kLocalGet, end).op(compare);
    };
    bool rotated = chance(60);
    code_.block(O::kBlock, -64);
    if (rotated && chance(70)) guard(), code_.op(O::kI32Eqz).op(O::kBrIf, 0);
    code_.block(O::kLoop, -64);
    if (!rotated) guard(), code_.op(O::kI32Eqz).op(O::kBrIf, 1);
    // Not for ever, whatever the guard says.
    code_.op(O::kLocalGet, turns)
        .i32(-1)
        .op(O::kI32Add)
        .op(O::kLocalTee, turns)
        .op(O::kI32Eqz)
        .op(O::kBrIf, 1);
    for (u32 n = 1 + below(2); n > 0; n--) {
      code_.op(O::kLocalGet, i)
          .i32(static_cast<wring::i32>(below(chance(50) ? 2 : 6)))
          .op(O::kI32Add);
      if (chance(70)) {
        code_.op(O::kCall, kPktLoad8 + below(3));
      } else {
        code_.i32(static_cast<wring::i32>(below(100)))
            .op(O::kI32Add)
            .op(O::kI32Load8U, 0, below(8));
      }
      if (sum == end) {
        code_.op(O::kGlobalSet, 0);
      } else {
        code_.op(O::kLocalGet, sum).op(O::kI32Add).op(O::kLocalSet, sum);
      }
    }
    code_.op(O::kLocalGet, i).i32(step).op(O::kI32Add);
    if (chance(20)) {
      opaque();
      code_.i32(3).op(O::kI32And).op(O::kI32Add);
    }
    code_.op(O::kLocalSet, i);
    if (rotated) {
      guard();
      code_.op(O::kBrIf, 0);
    } else {
      code_.op(O::kBr, 0);
    }
    code_.end().end();
    loop_depth_--;
  }

  void block_body(u32 depth) {
    u32 n = 1 + below(6);
    for (u32 i = 0; i < n && budget_ > 0; i++) statement(depth);
  }

  void statement(u32 depth) {
    using O = Opcode;
    budget_--;
    static const O kStore32[] = {O::kI32Store, O::kI32Store8, O::kI32Store16};
    static const O kStore64[] = {O::kI64Store, O::kI64Store8, O::kI64Store16, O::kI64Store32};
    if (mix_ && chance(25)) return numeric_statement();
    char type = kLetters[below(2)];
    u32 kind = below(26);
    if (kind == 25 && has_loops_) {
      walk_packet();
      return;
    }
    if (depth == 0 && kind >= 12) kind %= 12;
    if (!has_loops_ && (kind == 16 || kind == 17 || kind == 23)) kind = 12;
    switch (kind) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        expression(type, 3);
        code_.op(O::kLocalSet, local_of(type));
        return;
      case 5:
      case 6:
        address(2);
        expression(type, 2);
        code_.op(type == 'l' ? pick(kStore64) : pick(kStore32), 0, offset());
        return;
      case 7:
        expression(type, 2);
        code_.op(O::kGlobalSet, type == 'l' ? 1 : 0);
        return;
      case 8:
        packet_offset(1);
        expression('i', 2);
        code_.op(O::kCall, kPktStore16);
        return;
      case 9:
        switch (below(5)) {
          case 0:
            address(1);
            expression('i', 1);
            code_.i32(static_cast<wring::i32>(below(70))).op(O::kMemoryFill, 0);
            return;
          case 1:
            address(1);
            address(1);
            code_.i32(static_cast<wring::i32>(below(70))).op(O::kMemoryCopy, 0, 0);
            return;
          case 2:
            code_.i32(static_cast<wring::i32>(below(2)))
                .op(O::kMemoryGrow, 0)
                .op(O::kLocalSet, local_of('i'));
            return;
          case 3: code_.op(O::kMemorySize, 0).op(O::kLocalSet, local_of('i')); return;
          default: code_.op(O::kTableSize, 0).op(O::kLocalSet, local_of('i')); return;
        }
      case 10: neighbours(); return;
      case 11: checked_packet(); return;
      case 12:
      case 13: {  // if
        type = any_type(false);
        std::string results = chance(30) ? std::string(1, type) : "";
        condition(2);
        code_.block(O::kIf, block_type(results));
        labels_.push_back({results, false});
        block_body(depth - 1);
        branch_values(labels_.back());
        if (!results.empty() || chance(50)) {
          code_.op(O::kElse);
          block_body(depth - 1);
          branch_values(labels_.back());
        }
        labels_.pop_back();
        code_.end();
        if (!results.empty()) code_.op(O::kLocalSet, local_of(type));
        return;
      }
      case 14:
      case 15: {  // block
        type = any_type(false);
        std::string results = chance(40) ? std::string(1, type) : "";
        code_.block(O::kBlock, block_type(results));
        labels_.push_back({results, false});
        block_body(depth - 1);
        branch_values(labels_.back());
        labels_.pop_back();
        code_.end();
        if (!results.empty()) code_.op(O::kLocalSet, local_of(type));
        return;
      }
      case 16:
      case 17: {  // a loop that runs a few times; continues only while its counter lasts
        if (loop_depth_ == 4) return;
        u32 counter = counters_ + loop_depth_++;
        code_.i32(static_cast<wring::i32>(1 + below(5))).op(O::kLocalSet, counter);
        code_.block(O::kLoop, -64);
        labels_.push_back({"", true});
        block_body(depth - 1);
        code_.op(O::kLocalGet, counter)
            .i32(-1)
            .op(O::kI32Add)
            .op(O::kLocalTee, counter)
            .op(O::kBrIf, 0);
        labels_.pop_back();
        code_.end();
        loop_depth_--;
        return;
      }
      case 18:
      case 19:
      case 20: {  // br_if outwards (not to a loop, whose counter would not go down)
        u32 target = below(static_cast<u32>(labels_.size()));
        const Label label = labels_[labels_.size() - 1 - target];
        if (label.is_loop) return;
        branch_values(label);
        condition(2);
        code_.op(O::kBrIf, target);
        for (size_t i = 0; i < label.results.size(); i++) code_.op(O::kDrop);
        return;
      }
      case 21: {  // leave for good, on a condition
        condition(2);
        code_.block(O::kIf, -64);
        labels_.push_back({"", false});
        u32 target = below(static_cast<u32>(labels_.size()));
        const Label label = labels_[labels_.size() - 1 - target];
        if (chance(30)) {
          for (char c : labels_[0].results) expression(c, 1);
          code_.op(O::kReturn);
        } else if (chance(10)) {
          code_.op(O::kUnreachable);
        } else if (!label.is_loop) {
          branch_values(label);
          code_.op(O::kBr, target);
        }
        if (chance(30)) {  // dead, unless none of these happened
          code_.block(O::kBlock, -64)
              .op(O::kLocalGet, local_of(type))
              .op(O::kLocalSet, local_of(type))
              .end();
          if (chance(50)) block_body(depth - 1);
        }
        labels_.pop_back();
        code_.end();
        return;
      }
      case 22: {  // a block with parameters and several results
        code_.op(O::kLocalGet, local_of('i'));
        expression('l', 2);
        code_.block(O::kBlock, writer_.type("il", "li"));
        labels_.push_back({"li", false});
        u32 i = local_of('i'), l = local_of('l');
        code_.op(O::kLocalSet, l).op(O::kLocalSet, i);
        block_body(depth - 1);
        branch_values(labels_.back());
        labels_.pop_back();
        code_.end().op(O::kLocalSet, local_of('i')).op(O::kLocalSet, local_of('l'));
        return;
      }
      case 23: {  // a loop that carries its counter and a sum on the stack
        code_.i32(static_cast<wring::i32>(below(6)));
        expression('l', 2);
        code_.block(O::kLoop, writer_.type("il", "l"));
        labels_.push_back({"", true});
        u32 i = local_of('i'), l = local_of('l');
        code_.op(O::kLocalSet, l).op(O::kLocalTee, i).i32(-1).op(O::kI32Add);
        code_.op(O::kLocalGet, l);
        expression('l', 2);
        code_.op(chance(50) ? O::kI64Add : O::kI64Xor);
        // Go round with both while the counter is positive, else drop it.
        code_.op(O::kLocalGet, i).i32(0).op(O::kI32GtS).op(O::kBrIf, 0);
        code_.op(O::kLocalSet, l).op(O::kDrop).op(O::kLocalGet, l);
        labels_.pop_back();
        code_.end().op(O::kLocalSet, local_of('l'));
        return;
      }
      default: {  // br_table out of a block of its own, to labels of the same type
        code_.block(O::kBlock, -64);
        labels_.push_back({"", false});
        std::vector<u32> targets;
        for (u32 i = below(6); i > 0; i--) {
          u32 target = below(static_cast<u32>(labels_.size()));
          const Label& label = labels_[labels_.size() - 1 - target];
          if (!label.is_loop && label.results.empty()) targets.push_back(target);
        }
        block_body(depth - 1);
        expression('i', 1);
        code_.i32(7).op(O::kI32And);
        code_.br_table(targets, 0);
        labels_.pop_back();
        code_.end();
        return;
      }
    }
  }

  std::mt19937_64 random_;
  u32 mix_;
  ModuleWriter writer_;
  Code code_;
  std::vector<Signature> signatures_;
  std::vector<Label> labels_;
  std::string locals_;
  u32 counters_ = 0;
  u32 loop_depth_ = 0;
  bool has_loops_ = true;
  u32 boolean_percent_ = 0;
  u32 number_ = 0;
  u32 budget_ = 0;
};

}  // namespace wring::test

#include "selftests/core/ir/random_numeric.h"
