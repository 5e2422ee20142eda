// SPDX-License-Identifier: GPL-2.0
// Bridges between instances: see emit_bridge in x64.h.
#include "core/x64/abi.h"
#include "core/x64/stub_util.h"
#include "core/x64/x64.h"

namespace wring::x64 {

namespace {

constexpr u32 kSavedBytes = 8;  // the caller's vmctx
constexpr Reg kTemp = kR10;     // neither argument nor result

}  // namespace

Err emit_bridge(const FuncType& type, u64 vmctx, u64 code_address, const Target& target,
                u32 tail_bytes, CodeBuilder* code, u32* offset, Diag* diag) {
  Arena scratch(kStubArenaBytes);
  Assembler as(&scratch, code);
  CallLayout layout;
  if (!layout_call(type, &scratch, &layout)) return diag->no_memory();
  u32 area = static_cast<u32>(align_up(max(layout.area_bytes(), tail_bytes), 16));
  u32 outer = area + kSavedBytes + kReturnAddressBytes;  // the caller's area

  Label entry = as.here();
  if (target.ibt) as.endbr64();
  as.push(kVmCtx);
  if (area) as.alu_imm(Alu::kSub, Size::k64, kRsp, static_cast<i32>(area));
  as.mov_imm(kScratch, vmctx);
  for (usize field = WRING_VMCTX_BRIDGED_BEGIN; field < WRING_VMCTX_BRIDGED_END; field += 8) {
    as.mov(Size::k64, kTemp, vmctx_field(field));
    as.mov_store(Size::k64, vmctx_field(field, kScratch), kTemp);
  }
  for (u32 at = 0; at < layout.param_bytes; at += 8) {
    as.mov(Size::k64, kTemp, stack(outer + at));
    as.mov_store(Size::k64, stack(at), kTemp);
  }
  as.mov(Size::k64, kVmCtx, kScratch);
  as.mov(Size::k64, kMemoryBase, vmctx_field(WRING_VMCTX_OFFSET(memory_base)));
  as.mov_imm(kScratch, code_address);
  emit_indirect_call(&as, target, kScratch);
  as.call_site(kNone, area + kSavedBytes);
  for (u32 at = 0; at < layout.result_bytes; at += 8) {
    as.mov(Size::k64, kTemp, stack(at));
    as.mov_store(Size::k64, stack(outer + at), kTemp);
  }
  Mem exception = vmctx_field(WRING_VMCTX_OFFSET(exception));
  Label thrown = as.new_label(), leave = as.new_label();
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
  TRY(as.finish(diag));
  *offset = as.offset_of(entry);
  return Err::kOk;
}

}  // namespace wring::x64
