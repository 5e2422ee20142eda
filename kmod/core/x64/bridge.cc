// SPDX-License-Identifier: GPL-2.0
// Bridges between instances: see emit_bridge in x64.h.
#include "core/x64/stub_util.h"
#include "core/x64/x64.h"

namespace wring::x64 {

namespace {

constexpr u32 kSavedBytes = 8;  // the caller's vmctx
constexpr Reg kTemp = kR10;     // neither argument nor result

Mem stack(u32 offset) { return {kRsp, kNoReg, 0, false, static_cast<i32>(offset)}; }

}  // namespace

Err emit_bridge(const FuncType& type, u64 vmctx, u64 code_address, const Target& target,
                CodeBuilder* code, u32* offset, Diag* diag) {
  Arena scratch(kStubArenaBytes);
  Assembler as(&scratch, code);
  u32 params = type.params.size(), results = type.results.size();
  u32 stack_params = params > kArgRegCount ? params - kArgRegCount : 0;
  u32 stack_results = results > kResultRegCount ? results - kResultRegCount : 0;
  u32 area = static_cast<u32>(align_up(8 * (u64{stack_params} + stack_results), 16));
  u32 outer = area + kSavedBytes + 8;  // the caller's stack arguments lie above the return address

  Label entry = as.here();
  if (target.ibt) as.endbr64();
  as.push(kVmCtx);
  if (area) as.alu_imm(Alu::kSub, Size::k64, kRsp, static_cast<i32>(area));
  as.mov_imm(kScratch, vmctx);
  for (usize field = WRING_VMCTX_BRIDGED_BEGIN; field < WRING_VMCTX_BRIDGED_END; field += 8) {
    as.mov(Size::k64, kTemp, vmctx_field(field));
    as.mov_store(Size::k64, vmctx_field(field, kScratch), kTemp);
  }
  for (u32 i = 0; i < stack_params; i++) {
    as.mov(Size::k64, kTemp, stack(outer + 8 * i));
    as.mov_store(Size::k64, stack(8 * i), kTemp);
  }
  as.mov(Size::k64, kVmCtx, kScratch);
  as.mov(Size::k64, kMemoryBase, vmctx_field(WRING_VMCTX_OFFSET(memory_base)));
  as.mov_imm(kScratch, code_address);
  emit_indirect_call(&as, target, kScratch);
  as.call_site(kNone, area + kSavedBytes);
  for (u32 i = stack_params; i < stack_params + stack_results; i++) {
    as.mov(Size::k64, kTemp, stack(8 * i));
    as.mov_store(Size::k64, stack(outer + 8 * i), kTemp);
  }
  if (area) as.alu_imm(Alu::kAdd, Size::k64, kRsp, static_cast<i32>(area));
  as.pop(kVmCtx);
  as.mov(Size::k64, kMemoryBase, vmctx_field(WRING_VMCTX_OFFSET(memory_base)));
  emit_return(&as, target);
  TRY(as.finish(diag));
  *offset = as.offset_of(entry);
  return Err::kOk;
}

}  // namespace wring::x64
