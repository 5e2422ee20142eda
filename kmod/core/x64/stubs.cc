// SPDX-License-Identifier: GPL-2.0
// The code all functions of a module share: trap and fuel stubs, and the host's entries to functions.
#include "core/x64/abi.h"
#include "core/x64/stub_util.h"
#include "core/x64/x64.h"

namespace wring::x64 {

namespace {

// What calls of C functions change, less the scratch register, which is never live at a fuel check.
constexpr Reg kCallerSaved[] = {kRax, kRcx, kRdx, kRsi, kRdi, kR8, kR9, kR10};
constexpr u32 kCallerSavedCount = sizeof(kCallerSaved) / sizeof(Reg);
// What C functions preserve.
constexpr Reg kHostSaved[] = {kRbx, kRbp, kR12, kR13, kR14, kR15};
constexpr u32 kHostSavedCount = sizeof(kHostSaved) / sizeof(Reg);

// Vector registers, less the scratch register.
constexpr u32 kSavedVectors = kVecRegs - 1;
static_assert(kVecScratch == kSavedVectors);

constexpr i32 kStackAlignment = 16;

// Called at a trap site. Falls through to leave().
void emit_trap(Assembler* as) {
  as->pop(kRax);
  as->mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(trap_pc)), kRax);
  as->mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(trap_sp)), kRsp);
  as->mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(fuel)), kFuel);
  as->alu_imm(Alu::kAnd, Size::k64, kRsp, -kStackAlignment);
  as->mov(Size::k64, kRdi, kVmCtx);
  as->call_address(libcall_address(Libcall::kRecordTrap));
}

// Goes to the entry stub's trap exit, at a fixed distance from where its call would have returned
// to. What lies below rsp may be overwritten by an interrupt at any time, so that rsp stays below
// the return address.
void emit_leave(Assembler* as, const Target& target) {
  as->mov(Size::k64, kRcx, vmctx_field(WRING_VMCTX_OFFSET(entry_sp)));
  as->lea(Size::k64, kRsp, {kRcx, kNoReg, 0, false, -8});
  as->alu_imm(Alu::kAdd, Size::k64, stack(0), kTrapExitDistance);
  emit_return(as, target);
}

// A slice of the entered vmctx's reserve, if it is not time yet to ask the library: 12 ns or so, every few thousand
// instructions. Falls through where there is more to be done, with all registers as they were.
void emit_next_slice(Assembler* as, const Target& target) {
  Label ask = as->new_label();
  constexpr Reg kUsed[] = {kRax, kRcx, kRdx};
  auto restore = [&] {
    for (u32 i = sizeof(kUsed) / sizeof(Reg); i-- > 0;) as->pop(kUsed[i]);
  };
  Mem reserve = vmctx_field(WRING_VMCTX_OFFSET(fuel_reserve), kRcx);
  for (Reg reg : kUsed) as->push(reg);
  as->mov(Size::k64, kRcx, vmctx_field(WRING_VMCTX_OFFSET(root)));
  as->rdtsc();
  as->shift_imm(Shift::kShl, Size::k64, kRdx, 32);
  as->alu(Alu::kOr, Size::k64, kRax, kRdx);
  as->alu(Alu::kCmp, Size::k64, kRax, vmctx_field(WRING_VMCTX_OFFSET(check_at), kRcx));
  as->jcc(kCcAe, ask);
  as->mov(Size::k64, kRdx, vmctx_field(WRING_VMCTX_OFFSET(fuel_slice), kRcx));
  as->mov(Size::k64, kRax, reserve);
  as->alu(Alu::kCmp, Size::k64, kRax, kRdx);
  as->cmov(kCcB, Size::k64, kRdx, kRax);
  as->alu_store(Alu::kSub, Size::k64, reserve, kRdx);
  as->alu_store(Alu::kAdd, Size::k64, vmctx_field(WRING_VMCTX_OFFSET(fuel_used), kRcx), kRdx);
  as->alu(Alu::kAdd, Size::k64, kFuel, kRdx);
  as->jcc(kCcLe, ask);
  restore();
  emit_return(as, target);
  as->bind(ask);
  restore();
}

// Called when the fuel went below zero; `trap` is StubId::kTrap.
void emit_fuel(Assembler* as, const Target& target, Label trap, bool vectors, bool on_host_stack) {
  emit_next_slice(as, target);
  for (Reg reg : kCallerSaved) as->push(reg);
  as->push(kRbp);
  as->push(kRbx);
  as->mov(Size::k64, kRbp, kRsp);
  as->alu_imm(Alu::kAnd, Size::k64, kRsp, -kStackAlignment);
  if (vectors) {
    as->alu_imm(Alu::kSub, Size::k64, kRsp, kSavedVectors * 16);
    for (u32 i = 0; i < kSavedVectors; i++) as->vec_store(16, stack(16 * i), xmm(i));
  }
  as->mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(fuel)), kFuel);
  as->mov(Size::k64, kRbx, kRsp);
  if (on_host_stack) as->mov(Size::k64, kRsp, vmctx_field(WRING_VMCTX_OFFSET(host_sp)));
  as->mov(Size::k64, kRdi, kVmCtx);
  as->call_address(libcall_address(Libcall::kFuelRefill));
  as->mov(Size::k64, kRsp, kRbx);
  if (vectors)
    for (u32 i = 0; i < kSavedVectors; i++) as->vec_load(16, xmm(i), stack(16 * i));
  as->mov(Size::k64, kRsp, kRbp);
  as->pop(kRbx);
  as->pop(kRbp);
  Label exhausted = as->new_label();
  as->test(Size::k64, kRax, kRax);
  as->jcc(kCcLe, exhausted);
  as->mov(Size::k64, kFuel, kRax);
  for (u32 i = kCallerSavedCount; i-- > 0;) as->pop(kCallerSaved[i]);
  emit_return(as, target);
  as->bind(exhausted);
  as->mov(Size::k64, kFuel, vmctx_field(WRING_VMCTX_OFFSET(fuel)));
  as->alu_imm(Alu::kAdd, Size::k64, kRsp,
              8 * kCallerSavedCount);  // to the return address, which names the site
  as->jmp(trap);
}

Mem argv(u32 offset) { return {kScratch, kNoReg, 0, false, static_cast<i32>(offset)}; }

// Of the function the host calls, from byte `at` of argv.
void load_argument(Assembler* as, ValType type, const Place& to, u32 at) {
  if (to.reg >= kFirstVec && to.reg != ra::kNoPReg) {
    u32 bytes = type == ValType::kF32 ? 4 : stack_bytes_of(type);
    return as->vec_load(bytes, xmm(to.reg - kFirstVec), argv(at));
  }
  Size size = type == ValType::kI32 || type == ValType::kF32 ? Size::k32 : Size::k64;
  if (to.reg != ra::kNoPReg) return as->mov(size, static_cast<Reg>(to.reg), argv(at));
  for (u32 i = 0; i < stack_bytes_of(type); i += 8) {
    as->mov(size, kRax, argv(at + i));
    as->mov_store(Size::k64, stack(to.offset + i), kRax);
  }
}

// To byte `at` of argv.
void store_result(Assembler* as, ValType type, const Place& from, u32 at) {
  if (from.reg >= kFirstVec && from.reg != ra::kNoPReg) {
    if (type == ValType::kF32) {
      as->mov_store_imm(Size::k64, argv(at), 0);
      return as->vec_store(4, argv(at), xmm(from.reg - kFirstVec));
    }
    return as->vec_store(stack_bytes_of(type), argv(at), xmm(from.reg - kFirstVec));
  }
  if (from.reg != ra::kNoPReg)
    return as->mov_store(Size::k64, argv(at), static_cast<Reg>(from.reg));
  Size size = type == ValType::kI32 || type == ValType::kF32 ? Size::k32 : Size::k64;
  for (u32 i = 0; i < stack_bytes_of(type); i += 8) {
    as->mov(size, kR10, stack(from.offset + i));
    as->mov_store(Size::k64, argv(at + i), kR10);
  }
}

void restore_host_registers(Assembler* as, const Target& target) {
  for (u32 i = kHostSavedCount; i-- > 0;) as->pop(kHostSaved[i]);
  emit_return(as, target);
}

}  // namespace

Err emit_stubs(const Target& target, CodeBuilder* code, Diag* diag) {
  Arena scratch(kStubArenaBytes);
  Assembler as(&scratch, code);
  as.set_avx(target.cpu & kCpuAvx);
  Label trap = as.here();
  emit_trap(&as);
  Label leave = as.here();
  emit_leave(&as, target);
  Label fuel = as.here();
  emit_fuel(&as, target, trap, false, code->calls_on_host_stack);
  Label fuel_vectors = as.here();
  if (code->uses & kUsesFpu) emit_fuel(&as, target, trap, true, code->calls_on_host_stack);
  TRY(as.finish(diag));
  code->stubs[static_cast<u32>(StubId::kTrap)] = as.offset_of(trap);
  code->stubs[static_cast<u32>(StubId::kLeave)] = as.offset_of(leave);
  code->stubs[static_cast<u32>(StubId::kFuel)] = as.offset_of(fuel);
  code->stubs[static_cast<u32>(StubId::kFuelVectors)] = as.offset_of(fuel_vectors);
  return Err::kOk;
}

// The host's stack: its registers, vmctx, argv; from there on C functions use it. The program's stack: the
// host's rsp, padding, the area for arguments and results, where entry_sp is.
Err emit_array_entry(const FuncType& type, u32 func, const Target& target, u32 tail_bytes,
                     CodeBuilder* code, u32* area_bytes, Diag* diag) {
  Arena scratch(kStubArenaBytes);
  Assembler as(&scratch, code);
  as.set_avx(target.cpu & kCpuAvx);
  CallLayout layout;
  if (!layout_call(type, &scratch, &layout)) return diag->no_memory();
  // An odd number of words: with the host's rsp above them they keep the alignment.
  u32 area = static_cast<u32>(align_up(max(layout.area_bytes(), tail_bytes), 16)) + 8;
  *area_bytes = area;

  if (target.ibt) as.endbr64();
  for (Reg reg : kHostSaved) as.push(reg);
  as.push(kRdi);
  as.push(kRsi);
  as.mov(Size::k64, kVmCtx, kRdi);
  as.mov(Size::k64, kScratch, kRsi);
  as.mov(Size::k64, kMemoryBase, vmctx_field(WRING_VMCTX_OFFSET(memory_base)));
  as.mov(Size::k64, kFuel, vmctx_field(WRING_VMCTX_OFFSET(fuel)));
  as.mov(Size::k64, kRbx, kRsp);
  as.alu_imm(Alu::kAnd, Size::k64, kRsp, -kStackAlignment);
  as.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(host_sp)), kRsp);
  as.mov(Size::k64, kRsp, vmctx_field(WRING_VMCTX_OFFSET(stack_top)));
  as.push(kRbx);
  as.alu_imm(Alu::kSub, Size::k64, kRsp, static_cast<i32>(area));
  as.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(entry_sp)), kRsp);
  u32 at = 0;
  for (u32 i = 0; i < type.params.size(); i++) {
    if (is_vector(type.params[i])) code->uses |= kUsesFpu;
    load_argument(&as, type.params[i], layout.params[i], at);
    at += stack_bytes_of(type.params[i]);
  }
  as.call_function(func);
  Label returned = as.here(), done = as.new_label();
  as.jmp_long(done);

  pad_to_trap_exit(&as, returned);
  as.mov(Size::k64, kRsp, stack(area));
  as.pop(kRsi);
  as.pop(kRdi);
  as.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(fuel), kRdi), kFuel);
  as.mov(Size::k32, kRax, vmctx_field(WRING_VMCTX_OFFSET(trap_reason), kRdi));
  restore_host_registers(&as, target);

  as.bind(done);
  as.mov(Size::k64, kScratch, stack(area));
  as.mov(Size::k64, kScratch, Mem{kScratch, kNoReg, 0, false, 0});  // argv
  at = 0;
  for (u32 i = 0; i < type.results.size(); i++) {
    if (is_vector(type.results[i])) code->uses |= kUsesFpu;
    store_result(&as, type.results[i], layout.results[i], at);
    at += stack_bytes_of(type.results[i]);
  }
  as.mov(Size::k64, kRsp, stack(area));
  as.pop(kRsi);
  as.pop(kRdi);
  as.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(fuel), kRdi), kFuel);
  as.zero(kRax);
  restore_host_registers(&as, target);
  constexpr u32 kHostWords = kHostSavedCount + 2;  // and vmctx, argv; of the host's stack
  WRING_ASSERT(as.stack_taken() == 8 * (kHostWords + 1) + area && area <= kMaxStackAreaBytes + 8);
  return as.finish(diag);
}

}  // namespace wring::x64
