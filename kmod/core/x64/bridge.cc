// SPDX-License-Identifier: GPL-2.0
// Bridges between instances: see emit_bridge in x64.h.
#include "core/x64/abi.h"
#include "core/x64/stub_util.h"
#include "core/x64/x64.h"

namespace wring::x64 {

namespace {

constexpr u32 kSavedBytes = 8;  // the caller's vmctx
constexpr Reg kTemp = kR10;     // neither argument nor result

// What a bridge's call returns to: a nop with a memory operand that no other code has, whose displacement is the size
// of the bridge's area.
constexpr u32 kReturnMarker = 0x2504'1f0f;

// From the caller's vmctx, in kVmCtx, to the callee's. The code's address is in kScratch after it.
void emit_switch(Assembler* as, u64 vmctx, u64 code_address) {
  as->mov_imm(kScratch, vmctx);
  for (usize field = WRING_VMCTX_BRIDGED_BEGIN; field < WRING_VMCTX_BRIDGED_END; field += 8) {
    as->mov(Size::k64, kTemp, vmctx_field(field));
    as->mov_store(Size::k64, vmctx_field(field, kScratch), kTemp);
  }
  as->mov(Size::k64, kVmCtx, kScratch);
  as->mov(Size::k64, kMemoryBase, vmctx_field(WRING_VMCTX_OFFSET(memory_base)));
  as->mov_imm(kScratch, code_address);
}

// Words on the stack, from the lowest on.
void emit_copy(Assembler* as, u32 bytes, const Mem& to, const Mem& from) {
  for (u32 at = 0; at < bytes; at += 8) {
    Mem source = from, target = to;
    source.disp += static_cast<i32>(at);
    target.disp += static_cast<i32>(at);
    as->mov(Size::k64, kTemp, source);
    as->mov_store(Size::k64, target, kTemp);
  }
}

}  // namespace

// The frame, downwards: the caller's return address, its vmctx, the area, the bridge's return address. Who calls by a
// tail call in a function that a bridge called returns to that bridge: then its frame will do for this one as well,
// or becomes this one's where its area is too small. Tail calls between instances thus take no stack.
Err emit_bridge(const FuncType& type, u64 vmctx, u64 code_address, const Target& target,
                u32 tail_bytes, CodeBuilder* code, u32* offset, Diag* diag) {
  Arena scratch(kStubArenaBytes);
  Assembler as(&scratch, code);
  CallLayout layout;
  if (!layout_call(type, &scratch, &layout)) return diag->no_memory();
  u32 area = static_cast<u32>(align_up(max(layout.area_bytes(), tail_bytes), 16));
  u32 outer = area + kSavedBytes + kReturnAddressBytes;  // the caller's area
  Mem marker = {kScratch, kNoReg, 0, false, 0}, old_area = {kScratch, kNoReg, 0, false, 4};
  Label entry = as.here(), bridged = as.new_label(), larger = as.new_label();
  Label call = as.new_label(), thrown = as.new_label(), leave = as.new_label();

  // Nobody can clamp what follows from a mispredicted test: another instance's vmctx, or a frame of another shape; nor
  // what is loaded ahead of the copies.
  auto fence = [&] {
    if (target.clamp_speculation) as.lfence();
  };

  if (target.ibt) as.endbr64();
  as.mov(Size::k64, kScratch, stack(0));
  as.alu_imm(Alu::kCmp, Size::k32, marker, static_cast<i32>(kReturnMarker));
  as.jcc(kCcE, bridged);
  as.push(kVmCtx);
  if (area) as.alu_imm(Alu::kSub, Size::k64, kRsp, static_cast<i32>(area));
  emit_copy(&as, layout.param_bytes, stack(0), stack(outer));
  as.bind(call);
  fence();
  emit_switch(&as, vmctx, code_address);
  emit_indirect_call(&as, target, kScratch);
  as.call_site(kNone, area + kSavedBytes);
  as.data32(kReturnMarker);
  as.data32(area);
  emit_copy(&as, layout.result_bytes, stack(outer), stack(0));
  if (layout.result_bytes) fence();
  Mem exception = vmctx_field(WRING_VMCTX_OFFSET(exception));
  as.mov(Size::k64, kTemp, exception);
  as.test(Size::k64, kTemp, kTemp);
  as.jcc(kCcNe, thrown);
  as.bind(leave);
  if (area) as.alu_imm(Alu::kAdd, Size::k64, kRsp, static_cast<i32>(area));
  as.pop(kVmCtx);
  as.mov(Size::k64, kMemoryBase, vmctx_field(WRING_VMCTX_OFFSET(memory_base)));
  emit_return(&as, target);
  // The exception becomes the caller's.
  as.bind(thrown);
  as.mov_store_imm(Size::k64, exception, 0);
  as.mov(Size::k64, kScratch, stack(area));
  as.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(exception), kScratch), kTemp);
  as.jmp(leave);

  as.bind(bridged);
  as.alu_imm(Alu::kCmp, Size::k32, old_area, static_cast<i32>(area));
  as.jcc(kCcB, larger);
  fence();
  emit_switch(&as, vmctx, code_address);
  emit_indirect_jump(&as, target, kScratch);
  // The arguments move to where the larger area begins; the call puts its return address below.
  as.bind(larger);
  as.mov(Size::k32, kTemp, old_area);
  as.mov(Size::k64, kScratch, kRsp);
  i32 shift = static_cast<i32>(kReturnAddressBytes) - static_cast<i32>(area);
  as.lea(Size::k64, kRsp, {kRsp, kTemp, 0, false, shift});
  emit_copy(&as, layout.param_bytes, stack(0),
            {kScratch, kNoReg, 0, false, static_cast<i32>(kReturnAddressBytes)});
  as.jmp(call);
  WRING_ASSERT(as.stack_taken() == area + kSavedBytes && area <= kMaxStackAreaBytes);
  TRY(as.finish(diag));
  *offset = as.offset_of(entry);
  return Err::kOk;
}

}  // namespace wring::x64
