// SPDX-License-Identifier: GPL-2.0
// Emission: LIR with allocated registers -> machine code.
//
// The frame, from rsp in the body upward: stack arguments and results of calls, spill slots,
// padding, saved registers, return address. rsp does not move in the body.
#pragma once

#include "core/regalloc/allocate.h"
#include "core/x64/flags.h"
#include "core/x64/layout.h"
#include "core/x64/lower.h"

namespace wring::x64 {

// Appends the function's code and what describes it to *code. Memory comes from f's arena.
Err emit(const ir::Function& f, const LoweredFunction& lowered,
         const ra::AllocationResult& allocation, const Target& target,
         const FunctionOptions& options, CodeBuilder* code, Diag* diag);

class Emitter {
 public:
  Emitter(const ir::Function& f, const LoweredFunction& lowered,
          const ra::AllocationResult& allocation, const Target& target,
          const FunctionOptions& options, CodeBuilder* code, Diag* diag);
  Err run();

 private:
  // Code at the end of the function for a rare case, entered by a jump.
  struct ColdStub {
    enum Kind : u8 { kTrap, kPrologueTrap, kFuel, kFloatMin, kFromU64, kTruncate } kind;
    TrapReason reason;
    u32 origin;
    Label entry;
    Label back;  // where to go on, if it does
    // Of the instruction whose slow path it is, if it is one (from kFloatMin on).
    const Payload* payload = nullptr;
    u32 operands = 0;
  };
  // A run of equal targets of a switch: of index `first` and up.
  struct SwitchRun {
    u32 first;
    u32 block;
  };
  struct JumpTable {
    u32 rodata;  // offset
    u32 block;   // whose successors it lists
  };

  // ---- emit.cc: frame, blocks, stubs
  Err plan_frame();
  void prologue();
  void epilogue();  // up to the return
  void landing_pad();
  void block(u32 b);
  void edits_before(u32 inst);
  void move(const ra::Edit& edit);
  void move_vector(const ra::Edit& edit);
  void cold_stubs();

  // ---- emit_inst.cc
  void instruction(u32 index);
  void remat(u32 index, ra::PReg dst);
  void load_constant(Reg dst, u64 value);
  void load_vector_constant(Reg dst, u32 bytes, u64 low, u64 high);
  u64 blinding_key();
  void arithmetic(const ra::LirInst& inst, const Payload& p);
  void memory(const ra::LirInst& inst, const Payload& p);
  void alu(const Payload& p);
  void divide(const Payload& p);
  void scan(const Payload& p);
  void popcnt_soft(const Payload& p);
  void bswap16(const Payload& p);
  void clamp(const Payload& p);
  // Sets the flags for p.cond; the condition to use.
  Cc compare(const Payload& p);
  // cc is of flags that compare() set for such a condition.
  void jump_if(const Condition& condition, Cc cc, Label target);
  void set_cc(const Payload& p);
  void fuel(const Payload& p);

  void atomic(const ra::LirInst& inst, const Payload& p);

  // ---- emit_float.cc
  void vector(const ra::LirInst& inst, const Payload& p);
  Rm vec_source(const Payload& p, u32 operand);
  void vec1(const Payload& p);
  void float_min(const Payload& p);
  void float_min_slow(const Payload& p, Label back);
  void float_select(const Payload& p);
  void from_u64(const Payload& p);
  void from_u64_slow(const Payload& p, Label back);
  void truncate(const Payload& p);
  void truncate_slow(const Payload& p, Label back);
  Label slow_path(ColdStub::Kind kind, const Payload& p, Label back);
  void emit_slow_path(const ColdStub& stub);

  // ---- emit_control.cc
  void control(const ra::LirInst& inst, const Payload& p);
  void stack_access(Lir op, const Payload& p);
  void call_pointer(const Payload& p);
  void call_host(const Payload& p);
  void tail_call(Lir op, const Payload& p);
  void jump_to(u32 block);
  void branch(const Payload& p);
  void switch_tree();
  void switch_target();
  Err fill_tables(Label base);

  // ---- operands of the current instruction
  const ra::Allocation& allocation(u32 i) const { return result_.operands[operands_ + i]; }
  const ra::Allocation* allocations() const { return result_.operands.data() + operands_; }
  Reg reg(u32 i) const;
  Rm rm(u32 i) const;     // register or slot
  Reg vreg(u32 i) const;  // number of a vector register
  Rm vrm(u32 i) const;
  bool is_vector(u32 i) const { return is_vector_reg(allocation(i)); }
  static bool is_vector_reg(const ra::Allocation& a) {
    return a.kind == ra::Allocation::kReg && a.index >= kFirstVec;
  }
  // Moves a value between a register of either class and memory, or loads a parameter from there.
  void load(const ra::Allocation& to, u32 bytes, const Mem& from);
  void store(u32 bytes, const Mem& to, const ra::Allocation& from);
  // Where in the constant pool a constant of 4, 8 or 16 bytes is, which it is a multiple of.
  u32 rodata(u32 bytes, u64 low, u64 high);
  Mem slot(u32 index) const;
  Mem mem(const Address& address);
  void note_vmctx_access(i32 offset) const;
  Mem fault_mem(const Payload& p);           // likewise; the next instruction may fault there
  Rm source(const Payload& p, u32 operand);  // not for immediates
  // A cold stub of the current instruction's origin.
  Label trap_stub(TrapReason reason, ColdStub::Kind kind = ColdStub::kTrap);
  Label add_stub(const ColdStub& stub);
  u32 resolved(u32 block) const { return layout_.target[block]; }

  const ir::Function& f_;
  const LoweredFunction& lowered_;
  const ra::LirFunction& lir_;
  const ra::AllocationResult& result_;
  const Target& target_;
  const FunctionOptions& options_;
  CodeBuilder* code_;
  Diag* diag_;
  Arena* arena_;
  Assembler as_;
  Layout layout_;
  Vec<ColdStub> stubs_;
  Vec<SwitchRun> runs_;
  Vec<JumpTable> tables_;
  Span<Label> labels_;  // by block
  Label base_ = 0;      // what jump tables are relative to
  u64 random_;
  FlagTracker flags_;
  bool failed_ = false;

  ra::RegMask saved_ = 0;     // callee-saved registers used
  u32 slots_at_ = 0;          // spill slots, from rsp
  u32 local_bytes_ = 0;       // what the prologue subtracts
  u32 frame_bytes_ = 0;       // with the saved registers
  u32 host_stack_bytes_ = 0;  // taken of the host's stack, where C functions run on that
  bool checks_stack_ = false;

  u32 block_ = 0;           // being emitted
  u32 next_block_ = kNone;  // the one after it
  u32 edit_ = 0;            // next edit
  u32 operands_ = 0;        // first operand of the current instruction
  u32 origin_ = 0;          // its Wasm offset
};

}  // namespace wring::x64
