// SPDX-License-Identifier: GPL-2.0
// Encoding of x86-64 instructions (Intel SDM volume 2, chapter 2 and appendix B).
#include "core/x64/asm.h"

namespace wring::x64 {

namespace {

constexpr u32 kMaxInstructionBytes = 16;

u8* put(u8* p, u64 value, u32 bytes) {
  for (u32 i = 0; i < bytes; i++) *p++ = static_cast<u8>(value >> 8 * i);
  return p;
}

constexpr u8 low3(u8 reg) { return reg & 7; }
constexpr bool high(u8 reg) { return reg != kNoReg && reg >= 8; }
// Byte registers 4-7 are ah-bh without a REX prefix.
constexpr bool needs_rex8(u8 reg) { return reg >= 4 && reg < 8; }

}  // namespace

u8* Assembler::open() {
  if (failed_) return nullptr;
  LargeVec<u8>& bytes = code_->bytes;
  u8* room = bytes.extend(kMaxInstructionBytes);
  failed_ = !room;
  return room;
}

void Assembler::close(const u8* end) {
  LargeVec<u8>& bytes = code_->bytes;
  WRING_ASSERT(end <= bytes.end());
  bool shrunk = bytes.resize(static_cast<usize>(end - bytes.data()));
  WRING_ASSERT(shrunk);
}

Assembler::Opcode Assembler::sized(u8 byte, Size size, u8 map) {
  Opcode op{byte, map};
  op.w = size == Size::k64;
  if (size == Size::k16) op.prefix = 0x66;
  return op;
}

// ModRM, SIB and displacement.
u8* Assembler::modrm(u8* p, u8 reg, const Rm& rm) {
  u8 field = static_cast<u8>(low3(reg) << 3);
  if (!rm.is_mem()) {
    *p++ = static_cast<u8>(0xc0 | field | low3(rm.reg));
    return p;
  }
  const Mem& m = rm.mem;
  WRING_ASSERT(m.index != kRsp && m.scale < 4);
  if (m.rodata) {  // rip-relative: close_operand() adds the relocation
    *p++ = field | 5;
    return put(p, 0, 4);
  }
  if (m.base == kNoReg) {  // SIB without base: always disp32
    u8 index = m.index == kNoReg ? 4 : low3(m.index);
    *p++ = field | 4;
    *p++ = static_cast<u8>(m.scale << 6 | index << 3 | 5);
    return put(p, static_cast<u32>(m.disp), 4);
  }
  // rbp and r13 as a base always have a displacement; rsp and r12 always a SIB.
  u8 mod = m.disp == 0 && low3(m.base) != kRbp ? 0 : fits_i8(m.disp) ? 1 : 2;
  if (m.index != kNoReg || low3(m.base) == kRsp) {
    u8 index = m.index == kNoReg ? 4 : low3(m.index);
    *p++ = static_cast<u8>(mod << 6 | field | 4);
    *p++ = static_cast<u8>(m.scale << 6 | index << 3 | low3(m.base));
  } else {
    *p++ = static_cast<u8>(mod << 6 | field | low3(m.base));
  }
  return put(p, static_cast<u32>(m.disp), mod == 0 ? 0 : mod == 1 ? 1 : 4);
}

// Adds the immediate to an instruction complete up to there. The processor counts a rip-relative
// distance from the end of the instruction, relocations from the end of the field.
void Assembler::close_operand(u8* p, const Rm& rm, u64 imm, u32 imm_bytes) {
  bool rodata = rm.is_mem() && rm.mem.rodata;
  if (!rodata) return close(put(p, imm, imm_bytes));
  close(p - 4);
  Label at = here();
  data(0, 4);
  u32 index = static_cast<u32>(rm.mem.disp) - imm_bytes;
  if (!code_->relocs.push({RelocKind::kRodata, at, index, 0})) failed_ = true;
  if (imm_bytes) data(imm, imm_bytes);
}

void Assembler::encode(const Opcode& op, u8 reg, const Rm& rm, u32 imm_bytes, i64 imm) {
  u8* p = open();
  if (!p) return;
  if (op.lock) *p++ = 0xf0;
  if (rm.is_mem() && rm.mem.gs) *p++ = 0x65;
  if (op.prefix) *p++ = op.prefix;
  u8 b = rm.is_mem() ? rm.mem.base : rm.reg;
  u8 rex = static_cast<u8>(op.w << 3 | high(reg) << 2 | (rm.is_mem() && high(rm.mem.index)) << 1 |
                           high(b));
  if (rex || (op.reg8 && needs_rex8(reg)) || (op.rm8 && !rm.is_mem() && needs_rex8(rm.reg)))
    *p++ = 0x40 | rex;
  if (op.map) *p++ = 0x0f;
  if (op.map == 2) *p++ = 0x38;
  if (op.map == 3) *p++ = 0x3a;
  *p++ = op.byte;
  close_operand(modrm(p, reg, rm), rm, static_cast<u64>(imm), imm_bytes);
}

void Assembler::encode_vex(u8 opcode, u8 map, u8 pp, bool w, u8 reg, u8 vvvv, const Rm& rm,
                           u32 imm_bytes, u8 imm) {
  u8* p = open();
  if (!p) return;
  if (rm.is_mem() && rm.mem.gs) *p++ = 0x65;
  u8 b = rm.is_mem() ? rm.mem.base : rm.reg;
  bool x = rm.is_mem() && high(rm.mem.index);
  if (map == 1 && !w && !x && !high(b)) {  // the short prefix says the same
    *p++ = 0xc5;
    *p++ = static_cast<u8>(!high(reg) << 7 | (~vvvv & 15) << 3 | pp);
  } else {
    *p++ = 0xc4;
    *p++ = static_cast<u8>(!high(reg) << 7 | !x << 6 | !high(b) << 5 | map);
    *p++ = static_cast<u8>(w << 7 | (~vvvv & 15) << 3 | pp);
  }
  *p++ = opcode;
  close_operand(modrm(p, reg, rm), rm, imm, imm_bytes);
}

// ---- moves

void Assembler::mov(Size size, Reg dst, const Rm& src) { encode(sized(0x8b, size), dst, src); }

void Assembler::mov_store(Size size, const Mem& dst, Reg src) {
  Opcode op = sized(size == Size::k8 ? 0x88 : 0x89, size);
  op.reg8 = size == Size::k8;
  encode(op, src, dst);
}

void Assembler::mov_imm(Reg dst, u64 value) {
  if (value > 0xffff'ffff && fits_i32(static_cast<i64>(value))) {
    encode(sized(0xc7, Size::k64), 0, dst, 4, static_cast<i64>(value));
    return;
  }
  u8* p = open();
  if (!p) return;
  bool wide = value > 0xffff'ffff;
  if (wide || high(dst)) *p++ = static_cast<u8>(0x40 | wide << 3 | high(dst));
  *p++ = 0xb8 | low3(dst);
  close(put(p, value, wide ? 8 : 4));
}

void Assembler::zero(Reg dst) { alu(Alu::kXor, Size::k32, dst, dst); }

void Assembler::mov_store_imm(Size size, const Mem& dst, i32 value) {
  encode(sized(size == Size::k8 ? 0xc6 : 0xc7, size), 0, dst, min<u32>(static_cast<u32>(size), 4),
         value);
}

void Assembler::extend(Extend kind, Size size, Reg dst, const Rm& src) {
  // A zero extension clears the upper half whatever its size.
  Size wide = kind == Extend::k8S || kind == Extend::k16S ? size : Size::k32;
  Opcode op;
  switch (kind) {
    case Extend::k8U: op = sized(0xb6, wide, 1); break;
    case Extend::k8S: op = sized(0xbe, wide, 1); break;
    case Extend::k16U: op = sized(0xb7, wide, 1); break;
    case Extend::k16S: op = sized(0xbf, wide, 1); break;
    case Extend::k32U: op = sized(0x8b, Size::k32); break;
    case Extend::k64: op = sized(0x8b, Size::k64); break;
    case Extend::k32S: op = size == Size::k64 ? sized(0x63, size) : sized(0x8b, Size::k32); break;
  }
  op.rm8 = kind == Extend::k8U || kind == Extend::k8S;
  encode(op, dst, src);
}

void Assembler::lea(Size size, Reg dst, const Mem& src) { encode(sized(0x8d, size), dst, src); }

void Assembler::xchg(Size size, Reg a, const Rm& b) {
  Opcode op = sized(size == Size::k8 ? 0x86 : 0x87, size);
  op.reg8 = op.rm8 = size == Size::k8;
  encode(op, a, b);
}

void Assembler::cmov(Cc cc, Size size, Reg dst, const Rm& src) {
  encode(sized(static_cast<u8>(0x40 | cc), size, 1), dst, src);
}

void Assembler::setcc(Cc cc, Reg dst) {
  Opcode op{static_cast<u8>(0x90 | cc), 1};
  op.rm8 = true;
  encode(op, 0, dst);
}

void Assembler::push(Reg reg) {
  stack_taken_ += 8;
  if (high(reg)) data8(0x41);
  data8(0x50 | low3(reg));
}

void Assembler::pop(Reg reg) {
  if (high(reg)) data8(0x41);
  data8(0x58 | low3(reg));
}

void Assembler::push(const Mem& mem) {
  stack_taken_ += 8;
  encode(Opcode{0xff}, 6, mem);
}

void Assembler::pop(const Mem& mem) { encode(Opcode{0x8f}, 0, mem); }

// ---- arithmetic

void Assembler::alu(Alu op, Size size, Reg dst, const Rm& src) {
  u8 base = static_cast<u8>(op) << 3;
  Opcode o = sized(base | (size == Size::k8 ? 2 : 3), size);
  o.reg8 = o.rm8 = size == Size::k8;
  encode(o, dst, src);
}

void Assembler::alu_store(Alu op, Size size, const Mem& dst, Reg src) {
  u8 base = static_cast<u8>(op) << 3;
  Opcode o = sized(base | (size == Size::k8 ? 0 : 1), size);
  o.reg8 = size == Size::k8;
  encode(o, src, dst);
}

void Assembler::alu_imm(Alu op, Size size, const Rm& dst, i32 value) {
  if (op == Alu::kSub && !dst.is_mem() && dst.reg == kRsp) stack_taken_ += static_cast<u32>(value);
  // 128 has no 8-bit form, -128 has.
  if (value == 128 && (op == Alu::kAdd || op == Alu::kSub) && size != Size::k8) {
    op = op == Alu::kAdd ? Alu::kSub : Alu::kAdd;
    value = -128;
  }
  u8 digit = static_cast<u8>(op);
  if (size == Size::k8) {
    Opcode o = sized(0x80, size);
    o.rm8 = true;
    encode(o, digit, dst, 1, value);
  } else if (fits_i8(value)) {
    encode(sized(0x83, size), digit, dst, 1, value);
  } else {
    encode(sized(0x81, size), digit, dst, size == Size::k16 ? 2 : 4, value);
  }
}

void Assembler::test(Size size, const Rm& a, Reg b) {
  Opcode op = sized(size == Size::k8 ? 0x84 : 0x85, size);
  op.reg8 = op.rm8 = size == Size::k8;
  encode(op, b, a);
}

void Assembler::test_imm(Size size, const Rm& a, i32 value) {
  Opcode op = sized(size == Size::k8 ? 0xf6 : 0xf7, size);
  op.rm8 = size == Size::k8;
  encode(op, 0, a, min<u32>(static_cast<u32>(size), 4), value);
}

void Assembler::bit_test_set(const Mem& dst, u8 bit) {
  encode(sized(0xba, Size::k32, 1), 5, dst, 1, bit);
}

void Assembler::imul(Size size, Reg dst, const Rm& src) { encode(sized(0xaf, size, 1), dst, src); }

void Assembler::imul_imm(Size size, Reg dst, const Rm& src, i32 value) {
  bool byte = fits_i8(value);
  encode(sized(byte ? 0x6b : 0x69, size), dst, src, byte ? 1 : 4, value);
}

void Assembler::unary(Unary op, Size size, const Rm& operand) {
  encode(sized(0xf7, size), static_cast<u8>(op), operand);
}

void Assembler::sign_extend_rax(Size size) {
  if (size == Size::k64) data8(0x48);
  data8(0x99);
}

void Assembler::shift_imm(Shift op, Size size, const Rm& dst, u8 count) {
  if (count == 1)
    encode(sized(0xd1, size), static_cast<u8>(op), dst);
  else
    encode(sized(0xc1, size), static_cast<u8>(op), dst, 1, count);
}

void Assembler::shift_cl(Shift op, Size size, const Rm& dst) {
  encode(sized(0xd3, size), static_cast<u8>(op), dst);
}

void Assembler::scan(Scan op, Size size, Reg dst, const Rm& src) {
  static constexpr u8 kBytes[] = {0xbc, 0xbd, 0xbc, 0xbd, 0xb8};
  Opcode o = sized(kBytes[static_cast<u8>(op)], size, 1);
  if (op >= Scan::kTzcnt) o.prefix = 0xf3;
  encode(o, dst, src);
}

void Assembler::bswap(Size size, Reg reg) {
  u8 rex = static_cast<u8>((size == Size::k64) << 3 | high(reg));
  if (rex) data8(0x40 | rex);
  data8(0x0f);
  data8(0xc8 | low3(reg));
}

void Assembler::movbe_load(Size size, Reg dst, const Mem& src) {
  encode(sized(0xf0, size, 2), dst, src);
}

void Assembler::movbe_store(Size size, const Mem& dst, Reg src) {
  encode(sized(0xf1, size, 2), src, dst);
}

void Assembler::shiftx(Shift op, Size size, Reg dst, const Rm& src, Reg count) {
  u8 pp = op == Shift::kShl ? 1 : op == Shift::kSar ? 2 : 3;
  encode_vex(0xf7, 2, pp, size == Size::k64, dst, count, src);
}

void Assembler::rorx(Size size, Reg dst, const Rm& src, u8 count) {
  encode_vex(0xf0, 3, 3, size == Size::k64, dst, 0, src, 1, count);
}

void Assembler::mulx(Size size, Reg hi, Reg lo, const Rm& src) {
  encode_vex(0xf6, 2, 3, size == Size::k64, hi, lo, src);
}

void Assembler::andn(Size size, Reg dst, Reg inverted, const Rm& src) {
  encode_vex(0xf2, 2, 0, size == Size::k64, dst, inverted, src);
}

void Assembler::lock_alu_store(Alu op, Size size, const Mem& dst, Reg src) {
  u8 base = static_cast<u8>(op) << 3;
  Opcode o = sized(base | (size == Size::k8 ? 0 : 1), size);
  o.reg8 = size == Size::k8;
  o.lock = true;
  encode(o, src, dst);
}

void Assembler::lock_alu_imm(Alu op, Size size, const Mem& dst, i32 value) {
  bool byte = fits_i8(value) || size == Size::k8;
  Opcode o = sized(size == Size::k8 ? 0x80 : byte ? 0x83 : 0x81, size);
  o.lock = true;
  encode(o, static_cast<u8>(op), dst, byte ? 1 : min<u32>(static_cast<u32>(size), 4), value);
}

void Assembler::lock_xadd(Size size, const Mem& dst, Reg src) {
  Opcode o = sized(size == Size::k8 ? 0xc0 : 0xc1, size, 1);
  o.reg8 = size == Size::k8;
  o.lock = true;
  encode(o, src, dst);
}

void Assembler::lock_cmpxchg(Size size, const Mem& dst, Reg src) {
  Opcode o = sized(size == Size::k8 ? 0xb0 : 0xb1, size, 1);
  o.reg8 = size == Size::k8;
  o.lock = true;
  encode(o, src, dst);
}

void Assembler::mfence() { data(0xf0ae0f, 3); }
void Assembler::lfence() { data(0xe8ae0f, 3); }

// ---- control

void Assembler::jmp(const Rm& target) { encode(Opcode{0xff}, 4, target); }
void Assembler::call(const Rm& target) { encode(Opcode{0xff}, 2, target); }
void Assembler::ret() { data8(0xc3); }
void Assembler::int3() { data8(0xcc); }
void Assembler::ud2() { data(0x0b0f, 2); }
void Assembler::endbr64() { data(0xfa1e0ff3, 4); }
void Assembler::rdtsc() { data(0x310f, 2); }
void Assembler::rep_movsq() { data(0xa548f3, 3); }

void Assembler::rel32(const u8* bytes, u32 count, RelocKind kind, u32 index, u64 address) {
  u8* p = open();
  if (!p) return;
  for (u32 i = 0; i < count; i++) *p++ = bytes[i];
  close(p);
  Label at = here();
  data(0, 4);
  if (!code_->relocs.push({kind, at, index, address})) failed_ = true;
}

namespace {
constexpr u8 kCallOp[] = {0xe8}, kJmpOp[] = {0xe9};
}

void Assembler::call_function(u32 function) {
  rel32(kCallOp, 1, RelocKind::kFunction, function, 0);
}
void Assembler::jmp_function(u32 function) { rel32(kJmpOp, 1, RelocKind::kFunction, function, 0); }
void Assembler::call_stub(StubId stub) {
  rel32(kCallOp, 1, RelocKind::kStub, static_cast<u32>(stub), 0);
}
void Assembler::jmp_stub(StubId stub) {
  rel32(kJmpOp, 1, RelocKind::kStub, static_cast<u32>(stub), 0);
}
void Assembler::call_address(u64 address) { rel32(kCallOp, 1, RelocKind::kAddress, 0, address); }
void Assembler::jmp_address(u64 address) { rel32(kJmpOp, 1, RelocKind::kAddress, 0, address); }

void Assembler::lea_rodata(Reg dst, u32 offset) {
  const u8 bytes[] = {static_cast<u8>(0x48 | high(dst) << 2), 0x8d,
                      static_cast<u8>(5 | low3(dst) << 3)};
  rel32(bytes, 3, RelocKind::kRodata, offset, 0);
}

void Assembler::load_rodata(Size size, Reg dst, u32 offset) {
  const u8 bytes[] = {static_cast<u8>(0x40 | (size == Size::k64) << 3 | high(dst) << 2), 0x8b,
                      static_cast<u8>(5 | low3(dst) << 3)};
  rel32(bytes, 3, RelocKind::kRodata, offset, 0);
}

void Assembler::data(u64 value, u32 bytes) {
  u8* p = open();
  if (p) close(put(p, value, bytes));
}

void Assembler::jmp(Label target) { add_jump(JumpKind::kJmp, kCcO, kNoReg, target, false); }
void Assembler::jcc(Cc cc, Label target) { add_jump(JumpKind::kJcc, cc, kNoReg, target, false); }
void Assembler::call_label(Label target) { add_jump(JumpKind::kCall, kCcO, kNoReg, target, true); }
void Assembler::jmp_long(Label target) { add_jump(JumpKind::kJmp, kCcO, kNoReg, target, true); }
void Assembler::jcc_long(Cc cc, Label target) {
  add_jump(JumpKind::kJcc, cc, kNoReg, target, true);
}
void Assembler::lea_label(Reg dst, Label target) {
  add_jump(JumpKind::kLea, kCcO, dst, target, true);
}

// Forward jumps start out long; backward ones that are near in the longest form stay near.
void Assembler::add_jump(JumpKind kind, Cc cc, Reg dst, Label target, bool is_fixed) {
  u8* p = open();
  if (!p) return;
  u32 at = static_cast<u32>(p - code_->bytes.data());
  u32 bound = labels_[target].at;
  Jump jump{at, target, kNone, kind, false, is_fixed, 0, 0};
  if (kind == JumpKind::kLea) {
    *p++ = static_cast<u8>(0x48 | high(dst) << 2);
    *p++ = 0x8d;
    *p++ = static_cast<u8>(5 | low3(dst) << 3);
  } else if (!is_fixed && bound != kNone && at + 2 - bound <= 128) {
    jump.is_short = true;
    *p++ = static_cast<u8>(kind == JumpKind::kJmp ? 0xeb : 0x70 | cc);
  } else if (kind != JumpKind::kJcc) {
    *p++ = kind == JumpKind::kCall ? 0xe8 : 0xe9;
  } else {
    *p++ = 0x0f;
    *p++ = 0x80 | cc;
  }
  p = put(p, 0, jump.is_short ? 1 : 4);
  jump.length = static_cast<u8>(p - code_->bytes.data() - at);
  close(p);
  if (!jumps_.push(jump)) failed_ = true;
}

void Assembler::data_distance(Label from, Label to) {
  Jump jump{code_->bytes.size(), to, from, JumpKind::kDistance, false, true, 4, 0};
  data(0, 4);
  if (!failed_ && !jumps_.push(jump)) failed_ = true;
}

}  // namespace wring::x64
