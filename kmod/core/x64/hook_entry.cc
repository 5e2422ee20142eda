// SPDX-License-Identifier: GPL-2.0
// Hook entries: what runs between the kernel's call and the program, as short as it can be (x64.h lists the steps).
#include "core/x64/stub_util.h"
#include "core/x64/x64.h"

namespace wring::x64 {

namespace {

constexpr u32 kStackWords = 2;  // on a stack taken for the program: padding, the hook's rsp

#define WRING_STACK_FIELD(base, field) \
  (Mem{base, kNoReg, 0, false, __builtin_offsetof(wring_hook_stack, field)})

class HookEmitter {
 public:
  HookEmitter(const HookEntry& entry, const Target& target, CodeBuilder* code, Assembler* as)
      : entry_(entry), target_(target), code_(code), as_(*as) {}

  Err run(u32* offset, Diag* diag) {
    Label start = as_.here();
    plan();
    Label busy = as_.new_label(), bad = as_.new_label(), done = as_.new_label(),
          finish = as_.new_label(), leave = as_.new_label(), uncaught = as_.new_label();
    Label too_deep = as_.new_label(), unusable = as_.new_label(), nested = as_.new_label(),
          may_take = as_.new_label();
    Label timed = as_.new_label();
    if (target_.ibt) as_.endbr64();
    if (entry_.is_timed) {
      as_.alu_imm(Alu::kCmp, Size::k32, absolute(entry_.is_timed, kRax), 0);
      as_.jcc(kCcNe, timed);
    }
    Label body = as_.here();
    for (u32 i = 0; i < saved_count_; i++) as_.push(saved_[i]);
    load_vmctx(kVmCtx);
    as_.bit_test_set(vmctx_field(WRING_VMCTX_OFFSET(turns)), 0);
    as_.jcc(kCcB, busy);
    if (entry_.own_stack) take_stack(nested, may_take);
    if (manages_fpu_) begin_fpu(unusable);
    context();
    if (can_trap_) save_stack_pointers();
    enter();
    as_.call_function(entry_.func);
    Label returned = as_.here();
    // What follows would not fit in front of the trap exit with all that giving a stack back takes.
    if (entry_.own_stack)
      as_.jmp_long(done);
    else
      end(bad, uncaught, finish, leave);

    pad_to_trap_exit(&as_, returned);
    load_vmctx(kVmCtx);
    if (uses(kUsesFuel)) load_fuel_left();
    as_.mov(Size::k32, kRdx, vmctx_field(WRING_VMCTX_OFFSET(trap_reason)));
    Label trapped = as_.here();
    report(WRING_HOOK_TRAP);
    as_.mov_store_imm(Size::k32, vmctx_field(WRING_VMCTX_OFFSET(trap_reason)), 0);
    as_.jmp(finish);

    if (entry_.own_stack) {
      as_.bind(done);
      end(bad, uncaught, finish, leave);
    }

    if (uses(kUsesExceptions)) {
      as_.bind(uncaught);
      as_.mov(Size::k64, kRdi, kVmCtx);
      call_from_invocation(libcall_address(Libcall::kUncaught));
      as_.mov(Size::k32, kRdx, kRax);
      as_.jmp(trapped);
    }

    Label miss = as_.new_label();
    if (manages_fpu_) {
      as_.bind(unusable);
      give_stack();
      as_.alu_imm(Alu::kSub, Size::k64, vmctx_field(WRING_VMCTX_OFFSET(turns)), 1);
      as_.mov_imm(kRdx, WRING_MISS_NO_FPU);
      as_.jmp(miss);
    }
    if (entry_.own_stack) {
      as_.bind(nested);
      ask_to_nest(too_deep, may_take);
      as_.bind(too_deep);
      allow_preemption();
      as_.alu_imm(Alu::kSub, Size::k64, vmctx_field(WRING_VMCTX_OFFSET(turns)), 1);
      as_.mov_imm(kRdx, WRING_MISS_TOO_DEEP);
      as_.jmp(miss);
    }
    as_.bind(busy);
    as_.mov_imm(kRdx, WRING_MISS_BUSY);
    as_.bind(miss);
    report(WRING_HOOK_MISS);
    as_.jmp(leave);

    as_.bind(bad);
    as_.mov(Size::k32, kRdx, kRax);
    report(WRING_HOOK_BAD_VERDICT);
    as_.jmp(finish);

    if (entry_.is_timed) {
      as_.bind(timed);
      run_timed(body);
    }
    WRING_ASSERT(as_.stack_taken() <= kHookEntryStackBytes + area_bytes_);
    TRY(as_.finish(diag));
    *offset = as_.offset_of(start);
    return Err::kOk;
  }

 private:
  bool uses(u32 what) const { return code_->uses & (what | kUsesUnknown); }

  void save(Reg reg) { saved_[saved_count_++] = reg; }

  void plan() {
    can_trap_ = !code_->traps.empty() || uses(kUsesHost);
    manages_fpu_ = uses(kUsesFpu) && entry_.fpu_begin;
    WRING_ASSERT(entry_.own_stack || !uses(kUsesHost | kUsesFpu));
    save(kVmCtx);
    if (uses(kUsesFuel)) save(kFuel);
    if (uses(kUsesMemory)) save(kMemoryBase);
    // The program's own saves are lost when a trap unwinds it.
    u32 lost = !can_trap_ ? 0 : uses(0) ? u32{kCalleeSaved} : code_->saved_registers;
    for (u8 reg = 0; reg < 16; reg++)
      if (lost & ra::bit(reg)) save(static_cast<Reg>(reg));
    area_bytes_ = static_cast<u32>(align_up(entry_.tail_bytes, 16));
  }

  // gs points to this CPU's copies of per-CPU variables. The address may need `temp`.
  Mem per_cpu(u64 address, Reg temp) {
    Mem mem = absolute(address, temp);
    mem.gs = true;
    return mem;
  }

  Mem absolute(u64 address, Reg temp) {
    i64 disp = static_cast<i64>(address);
    if (fits_i32(disp)) return {kNoReg, kNoReg, 0, false, static_cast<i32>(disp)};
    as_.mov_imm(temp, address);
    return {temp, kNoReg, 0, false, 0};
  }

  void load_vmctx(Reg to) { as_.mov(Size::k64, to, per_cpu(entry_.percpu_vmctx, to)); }

  // Stacks are taken and given back in the order of a stack, for which whoever takes one must be the one to go on
  // until it is given back: interrupts do so by themselves, other tasks must be kept away.
  // Who has a stack is on record only while it is taken: what interrupts this relies on that.
  void take_stack(Label nested, Label may_take) {
    start_clock();
    if (entry_.percpu_preempt_count)
      as_.alu_imm(Alu::kAdd, Size::k32, per_cpu(entry_.percpu_preempt_count, kRcx), 1);
    as_.mov(Size::k64, kRax, per_cpu(entry_.percpu_stacks, kRax));
    as_.alu_imm(Alu::kCmp, Size::k64, WRING_STACK_FIELD(kRax, outer), 0);
    as_.jcc(kCcNe, nested);
    as_.bind(may_take);
    as_.mov(Size::k64, kRcx, WRING_STACK_FIELD(kRax, next));
    as_.mov_store(Size::k64, per_cpu(entry_.percpu_stacks, kRdx), kRcx);
    as_.mov_store(Size::k64, WRING_STACK_FIELD(kRax, vmctx), kVmCtx);
    as_.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(stack_top)), kRax);
    if (entry_.private_stack || !entry_.checks_stack) return;
    as_.mov(Size::k64, kRcx, WRING_STACK_FIELD(kRax, limit));
    as_.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(stack_limit)), kRcx);
  }

  // Falls through if the stack in rax must not be taken.
  void ask_to_nest(Label too_deep, Label may_take) {
    as_.alu_imm(Alu::kCmp, Size::k64, WRING_STACK_FIELD(kRax, next), 0);
    as_.jcc(kCcE, too_deep);
    bool pad = saved_count_ % 2 == 0;
    as_.push(kRdi);
    as_.push(kRax);
    if (pad) as_.push(kRcx);
    as_.mov(Size::k64, kRdi, kVmCtx);
    as_.mov(Size::k64, kRsi, kRax);
    as_.mov(Size::k64, kRdx, kRsp);
    as_.call_address(libcall_address(Libcall::kNest));
    as_.test(Size::k32, kRax, kRax);
    if (pad) as_.pop(kRcx);
    as_.pop(kRax);
    as_.pop(kRdi);
    as_.jcc(kCcNe, may_take);
  }

  // Leaves eax alone.
  void give_stack() {
    as_.mov(Size::k64, kRcx, vmctx_field(WRING_VMCTX_OFFSET(stack_top)));
    as_.mov_store_imm(Size::k64, WRING_STACK_FIELD(kRcx, vmctx), 0);
    as_.mov_store(Size::k64, per_cpu(entry_.percpu_stacks, kRdx), kRcx);
    allow_preemption();
  }

  // It begins when somebody looks at the time first.
  void start_clock() { as_.mov_store_imm(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(check_at)), 0); }

  // A task that is to be scheduled meanwhile is so when the next interrupt returns.
  void allow_preemption() {
    if (entry_.percpu_preempt_count)
      as_.alu_imm(Alu::kSub, Size::k32, per_cpu(entry_.percpu_preempt_count, kRcx), 1);
  }

  // A call on the hook's stack below the saved registers.
  void call_keeping(Reg reg, u64 address) {
    u32 words = saved_count_ % 2 == 0 ? 1 : 2;
    for (u32 i = 0; i < words; i++) as_.push(reg);
    as_.call_address(address);
    for (u32 i = 0; i < words; i++) as_.pop(reg);
  }

  void begin_fpu(Label unusable) {
    call_keeping(kRdi, entry_.fpu_begin);
    as_.test(Size::k32, kRax, kRax);
    as_.jcc(kCcE, unusable);
  }

  void context() {
    if (uses(kUsesHost)) as_.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(hook_ctx)), kRdi);
    if (uses(kUsesHost | kUsesPacket) && entry_.layout.pkt_data_offset >= 0) {
      as_.mov(Size::k64, kRax, Mem{kRdi, kNoReg, 0, false, entry_.layout.pkt_data_offset});
      as_.mov(Size::k64, kRcx, Mem{kRdi, kNoReg, 0, false, entry_.layout.pkt_end_offset});
      as_.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(pkt)), kRax);
      as_.alu(Alu::kSub, Size::k64, kRcx, kRax);
      as_.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(pkt_len)), kRcx);
    }
    // hook_arg_count is the host's: it depends on the tracepoint.
    if (uses(kUsesHost | kUsesArgs) && entry_.layout.args_in_ctx)
      as_.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(hook_args)), kRdi);
  }

  // For the trap that may come (runtime/trap.h).
  void save_stack_pointers() {
    for (u32 i = 0; i < entry_.stack_pointers.size(); i++) {
      const StackPointer& pointer = entry_.stack_pointers[i];
      if (pointer.rests) continue;
      as_.mov(Size::k64, kRax, vmctx_field(WRING_VMCTX_OFFSET(globals)));
      as_.mov(Size::k64, kRax,
              Mem{kRax, kNoReg, 0, false, static_cast<i32>(pointer.global * sizeof(void*))});
      as_.mov(Size::k64, kRax, Mem{kRax, kNoReg, 0, false, 0});
      as_.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(stack_pointers) + i * sizeof(u64)),
                    kRax);
    }
  }

  void enter() {
    if (entry_.own_stack) {
      as_.mov(Size::k64, kRax, kRsp);
      as_.mov(Size::k64, kRsp,
              vmctx_field(entry_.private_stack ? WRING_VMCTX_OFFSET(private_stack_top)
                                               : WRING_VMCTX_OFFSET(stack_top)));
      as_.push(kRax);
      as_.push(kRax);  // padding
    }
    if (area_bytes_) as_.alu_imm(Alu::kSub, Size::k64, kRsp, static_cast<i32>(area_bytes_));
    if (can_trap_) as_.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(entry_sp)), kRsp);
    if (uses(kUsesMemory))
      as_.mov(Size::k64, kMemoryBase, vmctx_field(WRING_VMCTX_OFFSET(memory_base)));
    if (uses(kUsesFuel)) give_fuel();
    // The one parameter a program may have is 0, never what the kernel passed.
    if (code_->functions[entry_.func].reads_params) as_.zero(kRdi);
  }

  void give_fuel() {
    u64 slice = hook_first_slice(entry_, *code_), rest = entry_.fuel - slice;
    Mem reserve = vmctx_field(WRING_VMCTX_OFFSET(fuel_reserve));
    as_.mov_imm(kFuel, slice);
    if (fits_i32(static_cast<i64>(rest))) {
      as_.mov_store_imm(Size::k64, reserve, static_cast<i32>(rest));
    } else {
      as_.mov_imm(kRax, rest);
      as_.mov_store(Size::k64, reserve, kRax);
    }
    if (!entry_.own_stack) start_clock();
  }

  // After a trap: what is left is in the vmctx, and below 0 if more was asked for than there was.
  void load_fuel_left() {
    as_.zero(kRax);
    as_.mov(Size::k64, kFuel, vmctx_field(WRING_VMCTX_OFFSET(fuel)));
    as_.test(Size::k64, kFuel, kFuel);
    as_.cmov(kCcS, Size::k64, kFuel, kRax);
  }

  // The whole hook as a function within the two that tell the time.
  void run_timed(Label body) {
    constexpr i32 kTiming = sizeof(wring_hook_timing);
    static_assert(kTiming % 16 == 0);
    as_.push(kRdi);
    as_.alu_imm(Alu::kSub, Size::k64, kRsp, kTiming);
    load_vmctx(kRdi);
    as_.mov(Size::k64, kRsi, kRsp);
    as_.call_address(entry_.time_begin);
    as_.mov(Size::k64, kRdi, stack(kTiming));
    as_.call_label(body);
    load_vmctx(kRdi);
    as_.mov(Size::k64, kRsi, kRsp);
    as_.mov(Size::k32, kRdx, kRax);
    as_.call_address(entry_.time_end);
    as_.alu_imm(Alu::kAdd, Size::k64, kRsp, kTiming + 8);
    emit_return(&as_, target_);
  }

  // From the program's return to the hook's.
  void end(Label bad, Label uncaught, Label finish, Label leave) {
    if (uses(kUsesExceptions)) {
      as_.alu_imm(Alu::kCmp, Size::k64, vmctx_field(WRING_VMCTX_OFFSET(exception)), 0);
      as_.jcc_long(kCcNe, uncaught);
    }
    check_verdict(bad);
    as_.bind(finish);
    finish_invocation();
    as_.bind(leave);
    restore();
  }

  void check_verdict(Label bad) {
    u32 range = entry_.verdict_max - entry_.verdict_min;
    if (range == ~u32{0}) return;
    Reg verdict = kRax;
    if (entry_.verdict_min) {
      verdict = kRcx;
      as_.lea(Size::k32, kRcx, {kRax, kNoReg, 0, false, -static_cast<i32>(entry_.verdict_min)});
    }
    as_.alu_imm(Alu::kCmp, Size::k32, verdict, static_cast<i32>(range));
    as_.jcc_long(kCcA, bad);
  }

  void finish_invocation() {
    if (entry_.own_stack)
      as_.mov(Size::k64, kRsp, stack(area_bytes_ + 8 * (kStackWords - 1)));
    else if (area_bytes_)
      as_.alu_imm(Alu::kAdd, Size::k64, kRsp, static_cast<i32>(area_bytes_));
    if (manages_fpu_) call_keeping(kRax, entry_.fpu_end);
    if (entry_.own_stack) give_stack();
    if (uses(kUsesFuel))
      as_.alu_store(Alu::kSub, Size::k64, vmctx_field(WRING_VMCTX_OFFSET(fuel_used)), kFuel);
    as_.alu_imm(Alu::kAdd, Size::k64, vmctx_field(WRING_VMCTX_OFFSET(turns)), 1);
  }

  void restore() {
    for (u32 i = saved_count_; i-- > 0;) as_.pop(saved_[i]);
    emit_return(&as_, target_);
  }

  // rdx is the value; leaves the verdict in eax.
  void report(wring_hook_event event) {
    if (!entry_.slow_path) return as_.mov_imm(kRax, entry_.default_verdict);
    as_.mov(Size::k64, kRdi, kVmCtx);
    as_.mov_imm(kRsi, event);
    if (event != WRING_HOOK_MISS) return call_from_invocation(entry_.slow_path);
    bool pad = saved_count_ % 2 == 0;
    if (pad) as_.push(kRdx);
    as_.call_address(entry_.slow_path);
    if (pad) as_.pop(kRdx);
  }

  // A call on the stack the program ran on.
  void call_from_invocation(u64 address) {
    bool pad = !entry_.own_stack && saved_count_ % 2 == 0;
    if (pad) as_.push(kRdx);
    as_.call_address(address);
    if (pad) as_.pop(kRdx);
  }

  const HookEntry& entry_;
  const Target& target_;
  CodeBuilder* code_;
  Assembler& as_;
  bool can_trap_ = false;
  bool manages_fpu_ = false;
  u32 area_bytes_ = 0;  // what tail calls pass arguments in
  Reg saved_[8];
  u32 saved_count_ = 0;
};

}  // namespace

u64 hook_first_slice(const HookEntry& entry, const CodeBuilder& code) {
  return code.uses & (kUsesFuel | kUsesUnknown) ? min<u64>(entry.fuel, kFuelSlice) : 0;
}

Err emit_hook_entry(const HookEntry& entry, const Target& target, CodeBuilder* code, u32* offset,
                    Diag* diag) {
  Arena scratch(kStubArenaBytes);
  Assembler as(&scratch, code);
  as.align(16);
  return HookEmitter(entry, target, code, &as).run(offset, diag);
}

}  // namespace wring::x64
