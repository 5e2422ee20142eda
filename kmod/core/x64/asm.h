// SPDX-License-Identifier: GPL-2.0
// The x86-64 assembler: appends instructions to a CodeBuilder, one function or stub at a time.
//
// Instructions are in Intel SDM terms, destination first. A function is open from the constructor
// to finish(), which picks the short form of every jump that can have it, closes the gaps, and
// turns label numbers into code offsets. Until then every offset kept for this function is a label,
// also those in the entries that trap_site(), fault_site() and call_site() add to the CodeBuilder.
//
// Running out of memory is remembered: instructions become no-ops and finish() reports it.
#pragma once

#include "core/link/code.h"
#include "core/x64/regs.h"

namespace wring::x64 {

enum class Size : u8 { k8 = 1, k16 = 2, k32 = 4, k64 = 8 };

// Condition codes as encoded; invert(cc) is cc ^ 1.
enum Cc : u8 {
  kCcO,
  kCcNo,
  kCcB,
  kCcAe,
  kCcE,
  kCcNe,
  kCcBe,
  kCcA,
  kCcS,
  kCcNs,
  kCcP,
  kCcNp,
  kCcL,
  kCcGe,
  kCcLe,
  kCcG,
};
constexpr Cc invert(Cc cc) { return static_cast<Cc>(cc ^ 1); }

// The values are the encodings' /digit or opcode fields.
enum class Alu : u8 { kAdd, kOr, kAdc, kSbb, kAnd, kSub, kXor, kCmp };
enum class Shift : u8 { kRol = 0, kRor = 1, kShl = 4, kShr = 5, kSar = 7 };
enum class Unary : u8 { kNot = 2, kNeg = 3, kMul = 4, kImul = 5, kDiv = 6, kIdiv = 7 };
enum class Scan : u8 { kBsf, kBsr, kTzcnt, kLzcnt, kPopcnt };
enum class Extend : u8 {
  k8U,
  k8S,
  k16U,
  k16S,
  k32U,
  k32S,
  k64
};  // in ir::MemKind's order; k64: none

// [base + (index << scale) + disp], each part optional, relative to gs if asked. The index is never
// rsp. Or offset disp of the constant pool.
struct Mem {
  Reg base = kNoReg;
  Reg index = kNoReg;
  u8 scale = 0;
  bool gs = false;
  i32 disp = 0;
  bool rodata = false;  // then there is no base and no index
};
inline Mem rodata_mem(u32 offset) {
  return {kNoReg, kNoReg, 0, false, static_cast<i32>(offset), true};
}

// A register or memory operand.
struct Rm {
  Rm(Reg r) : reg(r) {}         // NOLINT(google-explicit-constructor)
  Rm(const Mem& m) : mem(m) {}  // NOLINT(google-explicit-constructor)
  bool is_mem() const { return reg == kNoReg; }
  Reg reg = kNoReg;
  Mem mem;
};

using Label = u32;

// The vector instructions. Vector registers are Reg 0 to 15 here; see vec_reg.
enum class VecOp : u16 {
#define VEC(name, prefix, map, byte, w, form, memory, other, needs) k##name,
#include "core/x64/vec.def"
#undef VEC
  kCount
};

struct VecInfo {
  enum Form : u8 {
    kUnary,
    kUnaryImm,
    kBinary,
    kBinaryImm,
    kMerge,
    kMergeImm,
    kShiftImm,
    kBlend,
    kStore,
    kStoreImm
  } form;
  enum Other : u8 { kNone, kFromInt, kToInt, kMemOnly } other;
  enum Needs : u8 { kSse, kAvx, kAvx2 } needs;
  u8 prefix, map, byte, digit, memory;
  bool w;
  bool has_imm() const {
    return form == kUnaryImm || form == kBinaryImm || form == kMergeImm || form == kStoreImm ||
           form == kShiftImm;
  }
  // Reads `a` as an operand of its own: the SSE form needs it in dst.
  bool is_binary() const {
    return form == kBinary || form == kBinaryImm || form == kShiftImm || form == kBlend;
  }
  bool is_merge() const { return form == kMerge || form == kMergeImm; }
};
extern const VecInfo kVecInfo[static_cast<u32>(VecOp::kCount)];
inline const VecInfo& info_of(VecOp op) {
  WRING_ASSERT(op < VecOp::kCount);
  return kVecInfo[static_cast<u32>(op)];
}

class Assembler {
 public:
  // Memory for labels and jumps comes from `scratch`.
  Assembler(Arena* scratch, CodeBuilder* code);

  // ---- moves
  void mov(Size size, Reg dst, const Rm& src);               // k32, k64
  void mov_store(Size size, const Mem& dst, Reg src);        // any size
  void mov_imm(Reg dst, u64 value);                          // the shortest; keeps the flags
  void zero(Reg dst);                                        // xor: changes the flags
  void mov_store_imm(Size size, const Mem& dst, i32 value);  // k64: sign-extended
  void extend(Extend kind, Size size, Reg dst, const Rm& src);
  void lea(Size size, Reg dst, const Mem& src);
  void xchg(Size size, Reg a, const Rm& b);
  void cmov(Cc cc, Size size, Reg dst, const Rm& src);
  void setcc(Cc cc, Reg dst);  // the low byte
  void push(Reg reg);
  void push(const Mem& mem);
  void pop(Reg reg);
  void pop(const Mem& mem);

  // ---- arithmetic
  void alu(Alu op, Size size, Reg dst, const Rm& src);
  void alu_store(Alu op, Size size, const Mem& dst, Reg src);
  void alu_imm(Alu op, Size size, const Rm& dst, i32 value);
  void test(Size size, const Rm& a, Reg b);
  void test_imm(Size size, const Rm& a, i32 value);
  void bit_test_set(const Mem& dst, u8 bit);  // bts of a 32-bit word
  void imul(Size size, Reg dst, const Rm& src);
  void imul_imm(Size size, Reg dst, const Rm& src, i32 value);
  void unary(Unary op, Size size, const Rm& operand);  // mul and div: rdx:rax
  void sign_extend_rax(Size size);                     // cdq, cqo
  void rdtsc();
  void shift_imm(Shift op, Size size, const Rm& dst, u8 count);
  void shift_cl(Shift op, Size size, const Rm& dst);
  void scan(Scan op, Size size, Reg dst, const Rm& src);
  void bswap(Size size, Reg reg);
  void movbe_load(Size size, Reg dst, const Mem& src);
  void movbe_store(Size size, const Mem& dst, Reg src);
  // BMI1, BMI2
  void shiftx(Shift op, Size size, Reg dst, const Rm& src, Reg count);  // kShl, kShr, kSar
  void rorx(Size size, Reg dst, const Rm& src, u8 count);
  void mulx(Size size, Reg hi, Reg lo, const Rm& src);  // times rdx
  void andn(Size size, Reg dst, Reg inverted, const Rm& src);
  // Atomic
  void lock_alu_store(Alu op, Size size, const Mem& dst, Reg src);
  void lock_alu_imm(Alu op, Size size, const Mem& dst, i32 value);
  void lock_xadd(Size size, const Mem& dst, Reg src);     // src: becomes the old value
  void lock_cmpxchg(Size size, const Mem& dst, Reg src);  // rax: expected, becomes the old value
  void mfence();
  void lfence();

  // ---- vectors (asm_vec.cc). With AVX on, in the VEX encoding, else in the SSE one, where binary
  // operations need dst == a and 16-byte memory operands other than vec_load's and vec_store's an
  // aligned address.
  void set_avx(bool avx) { avx_ = avx; }
  bool has_avx() const { return avx_; }
  // dst = a op b; unary operations ignore a; see vec.def.
  void vec(VecOp op, Reg dst, Reg a, const Rm& b, u8 imm = 0);
  void vec_shift(VecOp op, Reg dst, Reg a, u8 count);
  void vec_blend(VecOp op, Reg dst, Reg a, const Rm& b, Reg mask);  // AVX
  void vec_extract(VecOp op, const Rm& dst, Reg src, u8 imm = 0);
  void vec_load(u32 bytes, Reg dst, const Mem& src);   // 4, 8: the rest zeroed; 16: unaligned
  void vec_store(u32 bytes, const Mem& dst, Reg src);  // 4, 8, 16
  void vec_load_rodata(u32 bytes, Reg dst, u32 offset) { vec_load(bytes, dst, rodata_mem(offset)); }
  void vec_move(Reg dst, Reg src);
  void vec_zero(Reg dst);
  void vec_from_int(Size size, Reg dst, const Rm& src);  // k32, k64; the rest zeroed
  void vec_to_int(Size size, Reg dst, Reg src);

  // ---- control
  void jmp(Label target);
  void jcc(Cc cc, Label target);
  // In the long form whatever the distance: for code whose size must be known while it is emitted.
  void jmp_long(Label target);
  void jcc_long(Cc cc, Label target);
  void jmp(const Rm& target);
  void call(const Rm& target);
  void call_function(u32 function);
  void call_label(Label target);
  void jmp_function(u32 function);
  void call_stub(StubId stub);
  void jmp_stub(StubId stub);
  // Absolute addresses within rel32 reach.
  void call_address(u64 address);
  void jmp_address(u64 address);
  void ret();
  void int3();
  void ud2();
  void endbr64();
  void rep_movsq();

  void lea_label(Reg dst, Label target);
  void lea_rodata(Reg dst, u32 offset);
  void load_rodata(Size size, Reg dst, u32 offset);

  // ---- raw data in the code
  void data8(u8 byte) { data(byte, 1); }
  void data32(u32 value) { data(value, 4); }
  // The 32-bit distance from `from` to `to`.
  void data_distance(Label from, Label to);
  // Pads with int3 up to a multiple of `alignment` (counted from the start of the code).
  void align(u32 alignment);
  // Pads with nops, if need be, so that the code from here to `end`, bound later, lies in as few lines of the
  // instruction cache as it can. No other such pad may lie between.
  void keep_together(Label end);

  // ---- labels, sites
  Label new_label();
  void bind(Label label);
  Label here() {
    Label label = new_label();
    bind(label);
    return label;
  }
  // A trap site whose pc is here.
  void trap_site(u32 func, u32 origin, TrapReason reason, bool in_prologue = false);
  void call_site(u32 func, u32 origin);
  void fault_site(Label instruction, Label fixup);
  // What follows is for the Wasm instruction at `origin`; kept if the CodeBuilder wants lines.
  void line_site(u32 origin);

  // Bytes emitted so far for this function, jumps in their longest form.
  u32 size() const { return code_->bytes.size() - begin_; }
  // Bytes since a label; exact if only long jumps lie between.
  u32 size_since(Label label) const { return code_->bytes.size() - labels_[label].at; }
  bool out_of_memory() const { return failed_; }
  // What all instructions emitted so far take off rsp, whichever of them run: pushes and subtractions.
  u32 stack_taken() const { return stack_taken_; }
  // Ends the function. Err::kNoMemory; Err::kLimit when the code section is full.
  Err finish(Diag* diag);
  // After finish(): the label's offset in the code.
  u32 offset_of(Label label) const { return labels_[label].at; }

 private:
  struct LabelInfo {
    u32 at;     // kNone until bound
    u32 jumps;  // jumps emitted before it
  };
  enum class JumpKind : u8 { kJmp, kJcc, kCall, kLea, kDistance, kPad };
  struct Jump {
    u32 at;  // of its first byte
    Label label;
    Label from;  // kDistance; kPad: where it ends
    JumpKind kind;
    bool is_short;
    bool is_fixed;  // keeps its form
    u8 length;      // in the emitted form
    u8 saved;       // bytes saved by the short form
  };
  // What precedes ModRM.
  struct Opcode {
    u8 byte;
    u8 map = 0;     // 0: none, 1: 0F, 2: 0F 38, 3: 0F 3A
    u8 prefix = 0;  // 0, 66, F2, F3
    bool w = false;
    bool reg8 = false;  // the reg field names a byte register
    bool rm8 = false;   // the rm field does, if it is a register
    bool lock = false;
  };

  u8* open();
  void close(const u8* end);
  void encode(const Opcode& op, u8 reg, const Rm& rm, u32 imm_bytes = 0, i64 imm = 0);
  void encode_vex(u8 opcode, u8 map, u8 pp, bool w, u8 reg, u8 vvvv, const Rm& rm,
                  u32 imm_bytes = 0, u8 imm = 0);
  void encode_vec(const VecInfo& info, u8 reg, u8 vvvv, const Rm& rm, u32 imm_bytes = 0,
                  u8 imm = 0);
  void move_vec(u8 prefix, u8 byte, u8 reg, const Rm& rm);
  static u8* modrm(u8* p, u8 reg, const Rm& rm);
  void close_operand(u8* p, const Rm& rm, u64 imm, u32 imm_bytes);
  static Opcode sized(u8 byte, Size size, u8 map = 0);
  void data(u64 value, u32 bytes);
  void rel32(const u8* bytes, u32 count, RelocKind kind, u32 index, u64 address);
  void add_jump(JumpKind kind, Cc cc, Reg dst, Label target, bool is_fixed);
  void choose_short();
  void compact();
  void resolve_sites();

  CodeBuilder* code_;
  u32 begin_;  // this function's first byte
  u32 first_reloc_, first_trap_, first_call_, first_fault_, first_line_;  // and its first entries
  u32 stack_taken_ = 0;
  bool failed_ = false;
  bool avx_ = false;
  Vec<LabelInfo> labels_;
  Vec<Jump> jumps_;
  Vec<u32> saved_;  // compact(): bytes saved by the first n jumps
};

}  // namespace wring::x64
