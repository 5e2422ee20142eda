// SPDX-License-Identifier: GPL-2.0
// Lowering of shuffles: the cheapest instruction that does what the byte numbers say, in the worst case one
// byte shuffle for each source.
//
// Byte numbers are 0 to 15 for the first source, 16 to 31 for the second, kZero for a zero, kAny for a byte
// that nothing reads: compilers give those numbers that fit no pattern.
#include "core/x64/lower_simd.h"

namespace wring::x64 {

using ir::MemKind;
using ir::Op;
using ir::Value;

namespace {

constexpr u32 kBytes = 16;
constexpr u8 kZero = 0x80;  // as pshufb takes it
constexpr u8 kAny = 0xff;

u8 byte_of(ir::V128 v, u32 i) { return static_cast<u8>((i < 8 ? v.low : v.high) >> 8 * (i % 8)); }

ir::V128 to_v128(const u8 (&bytes)[kBytes]) {
  ir::V128 v{0, 0};
  for (u32 i = 0; i < kBytes; i++) (i < 8 ? v.low : v.high) |= u64{bytes[i]} << 8 * (i % 8);
  return v;
}

// Whether the bytes are want(0), want(1) ..., as far as they matter.
template <class F>
bool matches(const u8* bytes, F want) {
  for (u32 i = 0; i < kBytes; i++)
    if (bytes[i] != kAny && bytes[i] != want(i)) return false;
  return true;
}

// Which lanes of `width` bytes the byte numbers stand for, kAny included; false if they do not stand for such lanes.
bool as_lanes(const u8* bytes, u32 width, u8* lanes) {
  for (u32 i = 0; i < kBytes / width; i++) {
    lanes[i] = kAny;
    for (u32 j = 0; j < width; j++) {
      u8 byte = bytes[i * width + j];
      if (byte == kAny) continue;
      u8 lane = static_cast<u8>(byte / width);
      if (byte == kZero || byte % width != j || (lanes[i] != kAny && lanes[i] != lane))
        return false;
      lanes[i] = lane;
    }
  }
  return true;
}

// pshufd's immediate; what does not matter stays in place.
u8 selector(const u8* lanes) {
  u32 bits = 0;
  for (u32 i = 0; i < 4; i++) bits |= (lanes[i] == kAny ? i : lanes[i] & 3u) << 2 * i;
  return static_cast<u8>(bits);
}

bool in_place(const u8* lanes, u32 count, u32 first) {
  for (u32 i = 0; i < count; i++)
    if (lanes[i] != kAny && lanes[i] != first + i) return false;
  return true;
}

// The bytes of the interleaved lower (upper) halves of two sources whose first bytes have these numbers.
bool is_interleaved(const u8* bytes, u32 width, bool upper, u32 even, u32 odd) {
  return matches(bytes, [=](u32 i) {
    u32 lane = i / width, from = (lane / 2) * width + i % width + (upper ? kBytes / 2 : 0);
    return (lane % 2 ? odd : even) + from;
  });
}

constexpr VecOp kUnpackLow[] = {VecOp::kPunpcklbw, VecOp::kPunpcklwd, VecOp::kPunpckldq,
                                VecOp::kPunpcklqdq};
constexpr VecOp kUnpackHigh[] = {VecOp::kPunpckhbw, VecOp::kPunpckhwd, VecOp::kPunpckhdq,
                                 VecOp::kPunpckhqdq};

// pblendw is the only one for words, blendps runs on more ports.
constexpr u32 kBlendWidths[] = {4, 2};

struct Extension {
  u8 from, to;  // widths in bytes
  VecOp zero, sign;
};
constexpr Extension kExtensions[] = {
    {1, 2, VecOp::kPmovzxbw, VecOp::kPmovsxbw}, {2, 4, VecOp::kPmovzxwd, VecOp::kPmovsxwd},
    {4, 8, VecOp::kPmovzxdq, VecOp::kPmovsxdq}, {1, 4, VecOp::kPmovzxbd, VecOp::kPmovsxbd},
    {2, 8, VecOp::kPmovzxwq, VecOp::kPmovsxwq}, {1, 8, VecOp::kPmovzxbq, VecOp::kPmovsxbq}};

bool is_extension(const u8* bytes, u32 from, u32 to, u32 first) {
  return matches(bytes, [=](u32 i) -> u32 {
    return i % to < from ? first + i / to * from + i % to : u32{kZero};
  });
}

}  // namespace

bool SimdLowering::is_zero(Value v) const {
  const ir::Inst& inst = l_.at(v);
  return inst.op == Op::kVConst && (ir::v128_of(inst).low | ir::v128_of(inst).high) == 0;
}

// The byte numbers as above; both sources are *a if the second is not needed.
void SimdLowering::shuffle_pattern(const ir::Inst& inst, u32 demanded, Value* a, Value* b,
                                   u8* bytes) const {
  *a = inst.arg[0];
  *b = inst.arg[1];
  ir::V128 lanes = ir::v128_of(l_.at(inst.arg[2]));
  bool reads[2] = {false, false};
  for (u32 i = 0; i < kBytes; i++) {
    bytes[i] = byte_of(lanes, i) & 31;
    if (!(demanded >> i & 1))
      bytes[i] = kAny;
    else if (is_zero(bytes[i] < kBytes ? *a : *b))
      bytes[i] = kZero;
    else
      reads[bytes[i] / kBytes] = true;
  }
  if (*a != *b && reads[0] && reads[1]) return;
  if (!reads[0]) *a = *b;
  *b = *a;
  for (u32 i = 0; i < kBytes; i++)
    if (bytes[i] < kZero) bytes[i] %= kBytes;
}

void SimdLowering::shuffle() {
  Value a, b;
  u8 bytes[kBytes];
  shuffle_pattern(inst_, l_.demanded(v_), &a, &b, bytes);
  if (a == b) return shuffle_one(a, bytes);
  if (!shuffle_two(a, b, bytes) && !shuffle_lanes(a, b, bytes)) shuffle_any(a, b, bytes);
}

// A value whose bytes repeat after `period` bytes, as a memory operand of that size if it is not used elsewhere. Loads
// that fill the rest with zeros count, too: `period` says what may be read.
bool SimdLowering::fold_narrow_load(Value a, u32 period, Source* s) {
  const ir::Inst& load = l_.at(a);
  if (load.op == Op::kVSplat) {
    if (l_.uses_[a] != 1 || l_.is_needed(a) || splat_bytes(load) != period) return false;
    if (!l_.fold_load(load.arg[0], static_cast<Size>(period), &s->mem)) return false;
    s->kind = Src::kMem;
    return true;
  }
  if (load.type != ir::Type::kV128 || !l_.can_fold_load(a)) return false;
  auto kind = static_cast<MemKind>(load.aux);
  bool fits = false;
  switch (kind) {
    case MemKind::k32Splat:
    case MemKind::k32Zero: fits = period == 4; break;
    case MemKind::k64Splat:
    case MemKind::k64Zero: fits = period == 8; break;
    default: break;
  }
  if (!fits) return false;
  l_.covered_.set(a);
  s->kind = Src::kMem;
  s->mem = l_.match_address(a);
  return true;
}

// Byte numbers of a splat made as small as they can be.
void SimdLowering::reduce_splat(Value a, u8* bytes) const {
  const ir::Inst& inst = l_.at(a);
  u8 period = kBytes;
  if (inst.op == Op::kVSplat) {
    period = splat_bytes(inst);
  } else if (is_load(inst.op)) {
    auto kind = static_cast<MemKind>(inst.aux);
    if (kind == MemKind::k8Splat) period = 1;
    if (kind == MemKind::k16Splat) period = 2;
    if (kind == MemKind::k32Splat) period = 4;
    if (kind == MemKind::k64Splat) period = 8;
  }
  for (u32 i = 0; i < kBytes; i++)
    if (bytes[i] < kBytes) bytes[i] %= period;
}

// The low lanes of a widened, from memory if that is all that is loaded.
void SimdLowering::extend(VecOp op, Value a) {
  Source s;
  if (!fold_narrow_load(a, info_of(op).memory, &s)) s = in(l_.reg(a));
  unary(op, s, 0, out());
}

// One source, and zeros.
void SimdLowering::shuffle_one(Value a, u8* bytes) {
  u8 lanes[kBytes];
  if (in_place(bytes, kBytes, 0)) {
    Payload p;
    p.bytes = kBytes;
    return l_.add_insn(Lir::kCopy, Operands().def(out()).use(l_.reg(a)), p);
  }
  reduce_splat(a, bytes);
  for (const Extension& e : kExtensions)
    if (is_extension(bytes, e.from, e.to, 0)) return extend(e.zero, a);
  if (as_lanes(bytes, 4, lanes)) {
    unary(VecOp::kPshufd, l_.vec_source(a, 16), selector(lanes), out());
    return;
  }
  for (u32 n = 1; n < kBytes; n++) {
    bool right = matches(bytes, [=](u32 i) { return i + n < kBytes ? i + n : u32{kZero}; });
    bool left = matches(bytes, [=](u32 i) { return i < n ? u32{kZero} : i - n; });
    if (right || left) {
      shift(right ? VecOp::kPsrldq : VecOp::kPslldq, l_.reg(a), static_cast<u8>(n), out());
      return;
    }
  }
  if (matches(bytes, [](u32 i) { return i < 8 ? i : u32{kZero}; })) {
    unary(VecOp::kMovq, l_.reg(a), 0, out());
    return;
  }
  if (has_avx2()) {
    bool one_byte = matches(bytes, [](u32) { return 0u; });
    if (one_byte || matches(bytes, [](u32 i) { return i % 2; })) {
      unary(one_byte ? VecOp::kVpbroadcastb : VecOp::kVpbroadcastw, l_.reg(a), 0, out());
      return;
    }
  }
  if (as_lanes(bytes, 2, lanes)) {
    bool low_inside = true, high_inside = true;
    for (u32 i = 0; i < 4; i++) {
      low_inside = low_inside && (lanes[i] < 4 || lanes[i] == kAny);
      high_inside = high_inside && lanes[4 + i] >= 4;
    }
    if (low_inside && in_place(lanes + 4, 4, 4)) {
      unary(VecOp::kPshuflw, l_.vec_source(a, 16), selector(lanes), out());
      return;
    }
    if (high_inside && in_place(lanes, 4, 0)) {
      unary(VecOp::kPshufhw, l_.vec_source(a, 16), selector(lanes + 4), out());
      return;
    }
  }
  VReg x = l_.reg(a);
  for (u32 i = 0; i < 3; i++)
    for (u32 upper = 0; upper < 2; upper++)
      if (is_interleaved(bytes, 1u << i, upper, 0, 0)) {
        binary(upper ? kUnpackHigh[i] : kUnpackLow[i], x, x, 0, out());
        return;
      }
  for (u32 n = 1; n < kBytes; n++)
    if (matches(bytes, [=](u32 i) { return (i + n) % kBytes; })) {
      binary(VecOp::kPalignr, x, x, static_cast<u8>(n), out());
      return;
    }
  shuffle_bytes(x, bytes, 0, out());
}

// pshufb with the bytes that come from `first` up; the others are cleared.
ra::VReg SimdLowering::shuffle_bytes(VReg x, const u8* bytes, u32 first, VReg dst) {
  u8 control[kBytes];
  for (u32 i = 0; i < kBytes; i++) {
    u32 from = bytes[i] - first;
    control[i] = from < kBytes ? static_cast<u8>(from) : kZero;
  }
  return binary(VecOp::kPshufb, x, chosen_constant(to_v128(control)), 0, dst);
}

// One instruction with two sources.
bool SimdLowering::shuffle_two(Value a, Value b, const u8* bytes) {
  for (u32 i = 0; i < 4; i++)
    for (u32 upper = 0; upper < 2; upper++) {
      bool forward = is_interleaved(bytes, 1u << i, upper, 0, kBytes);
      if (!forward && !is_interleaved(bytes, 1u << i, upper, kBytes, 0)) continue;
      if (!forward) swap(a, b);
      Source second = l_.vec_source(b, 16);
      binary(upper ? kUnpackHigh[i] : kUnpackLow[i], l_.reg(a), second, 0, out());
      return true;
    }
  // palignr's first operand is the upper half.
  for (u32 n = 1; n < 2 * kBytes; n++) {
    if (n == kBytes || !matches(bytes, [=](u32 i) { return (i + n) % (2 * kBytes); })) continue;
    bool forward = n < kBytes;
    Source low = l_.vec_source(forward ? a : b, 16);
    binary(VecOp::kPalignr, l_.reg(forward ? b : a), low, static_cast<u8>(n % kBytes), out());
    return true;
  }
  u8 lanes[kBytes];
  for (u32 width : kBlendWidths) {
    if (!as_lanes(bytes, width, lanes)) continue;
    u32 count = kBytes / width, of_b = 0;
    bool stays = true;
    for (u32 i = 0; i < count; i++) {
      stays = stays && (lanes[i] == kAny || lanes[i] % count == i);
      if (lanes[i] != kAny && lanes[i] >= count) of_b |= 1u << i;
    }
    if (!stays) continue;
    Source second = l_.vec_source(b, 16);
    binary(width == 4 ? VecOp::kBlendps : VecOp::kPblendw, l_.reg(a), second, static_cast<u8>(of_b),
           out());
    return true;
  }
  if (!as_lanes(bytes, 4, lanes)) return false;
  // Two lanes of one, then two of the other.
  auto only = [&](u32 first, bool of_b) {
    for (u32 i = first; i < first + 2; i++)
      if (lanes[i] != kAny && (lanes[i] >= 4) != of_b) return false;
    return true;
  };
  if (only(0, true) && only(2, false))
    swap(a, b);
  else if (!only(0, false) || !only(2, true))
    return false;
  Source second = l_.vec_source(b, 16);
  binary(VecOp::kShufps, l_.reg(a), second, selector(lanes), out());
  return true;
}

// Lanes of 32 bits: each source put in order, then blended.
bool SimdLowering::shuffle_lanes(Value a, Value b, const u8* bytes) {
  u8 lanes[kBytes], from[2][4];
  if (!as_lanes(bytes, 4, lanes)) return false;
  u8 of_b = 0;
  for (u8 i = 0; i < 4; i++) {
    from[0][i] = from[1][i] = kAny;
    if (lanes[i] == kAny) continue;
    from[lanes[i] / 4][i] = lanes[i] % 4;
    if (lanes[i] >= 4) of_b |= static_cast<u8>(1u << i);
  }
  VReg ordered[2];
  for (u32 i = 0; i < 2; i++) {
    VReg x = l_.reg(i ? b : a);
    ordered[i] = in_place(from[i], 4, 0) ? x : unary(VecOp::kPshufd, x, selector(from[i]));
  }
  binary(VecOp::kBlendps, ordered[0], ordered[1], of_b, out());
  return true;
}

void SimdLowering::shuffle_any(Value a, Value b, const u8* bytes) {
  VReg x = l_.reg(a), y = l_.reg(b);
  bool stays = true;
  u8 mask[2][kBytes];
  for (u32 i = 0; i < kBytes; i++) {
    stays = stays && (bytes[i] >= kZero || bytes[i] % kBytes == i);
    mask[0][i] = bytes[i] < kBytes ? 0xff : 0;
    mask[1][i] = bytes[i] >= kBytes && bytes[i] < kZero ? 0xff : 0;
  }
  VReg of_a, of_b;
  if (stays) {
    of_a = binary(VecOp::kPand, x, chosen_constant(to_v128(mask[0])));
    of_b = binary(VecOp::kPand, y, chosen_constant(to_v128(mask[1])));
  } else {
    of_a = shuffle_bytes(x, bytes, 0);
    of_b = shuffle_bytes(y, bytes, kBytes);
  }
  binary(VecOp::kPor, of_a, of_b, 0, out());
}

// pshufb takes the low four bits of numbers below 128: a saturating addition makes the others reach that.
void SimdLowering::swizzle() {
  const ir::Inst& index = l_.at(inst_.arg[1]);
  VReg a = operand(0);
  if (index.op == Op::kVConst) {
    u8 bytes[kBytes];
    for (u32 i = 0; i < kBytes; i++) bytes[i] = byte_of(ir::v128_of(index), i);
    shuffle_bytes(a, bytes, 0, out());
    return;
  }
  constexpr u64 kSaturate = 0x7070'7070'7070'7070;
  binary(VecOp::kPshufb, a, binary(VecOp::kPaddusb, operand(1), constant(kSaturate)), 0, out());
}

// Arithmetic right shift of a left shift of a shuffle that put narrower lanes in place: how compilers without a better
// way write sign extensions.
bool SimdLowering::extend_sign(u32 lane_bytes, u32 count) {
  const ir::Inst& left = l_.at(inst_.arg[0]);
  i64 left_count;
  u32 from = lane_bytes - count / 8;
  if (count % 8 || from == 0 || count == 0 || left.op != Op::kVShift) return false;
  if (l_.is_needed(inst_.arg[0]) || !l_.is_in_this_loop(inst_.arg[0])) return false;
  auto op = static_cast<Opcode>(left.aux);
  Opcode want = lane_bytes == 2   ? Opcode::kI16x8Shl
                : lane_bytes == 4 ? Opcode::kI32x4Shl
                                  : Opcode::kI64x2Shl;
  if (op != want || !l_.is_const(left.arg[1], &left_count)) return false;
  if ((left_count & (8 * lane_bytes - 1)) != count) return false;
  Value shuffled = left.arg[0];
  const ir::Inst& inst = l_.at(shuffled);
  if (inst.op != Op::kVShuffle || l_.is_needed(shuffled) || !l_.is_in_this_loop(shuffled))
    return false;
  u32 demanded = 0;
  for (u32 i = 0; i < kBytes; i++) demanded |= static_cast<u32>(i % lane_bytes < from) << i;
  Value a, b;
  u8 bytes[kBytes];
  shuffle_pattern(inst, demanded, &a, &b, bytes);
  if (a != b) return false;
  reduce_splat(a, bytes);
  for (const Extension& e : kExtensions) {
    if (e.from != from || e.to != lane_bytes) continue;
    if (is_extension(bytes, from, lane_bytes, 0)) {
      extend(e.sign, a);
      return true;
    }
    if (2 * from == lane_bytes && is_extension(bytes, from, lane_bytes, kBytes / 2)) {
      extend_high(l_.reg(a), from, true, out());
      return true;
    }
  }
  return false;
}

}  // namespace wring::x64
