// SPDX-License-Identifier: GPL-2.0
// Text form of the IR.
#include "core/ir/dump.h"

#include "core/abi/libcalls.h"
#include "core/wasm/instr.h"

namespace wring {

bool print(TextSink* sink, const char* fmt, ...) {
  char line[128];
  __builtin_va_list args;
  __builtin_va_start(args, fmt);
  int size = wring_os_vformat(line, sizeof(line), fmt, args);
  __builtin_va_end(args);
  if (size < 0) return false;
  return sink->write(line, min<usize>(static_cast<usize>(size), sizeof(line) - 1));
}

namespace ir {

namespace {

const char* const kTrapNames[] = {
#define TRAP(name, text) #name,
#include "core/abi/traps.def"
#undef TRAP
};
const char* const kLibcallNames[] = {
#define LIBCALL(name, symbol, params, results, may_trap) #name,
#include "core/abi/libcalls.def"
#undef LIBCALL
};
const char* const kMemNames[] = {"8u",      "8s",      "16u",     "16s",    "32u",
                                 "32s",     "64",      "128",     "8x8s",   "8x8u",
                                 "16x4s",   "16x4u",   "32x2s",   "32x2u",  "8splat",
                                 "16splat", "32splat", "64splat", "32zero", "64zero"};
const char* const kAtomicNames[] = {"add", "sub", "and", "or", "xor", "xchg"};

template <usize N>
const char* lookup(const char* const (&names)[N], u64 index) {
  return index < N ? names[index] : "?";
}

const char* opcode_text(u32 opcode) {
  return opcode < static_cast<u32>(Opcode::kCount) ? info_of(static_cast<Opcode>(opcode)).text
                                                   : "?";
}

// What follows the operation's name besides its arguments.
bool dump_extra(const Inst& inst, TextSink* sink) {
  long long imm = inst.imm;
  switch (inst.op) {
    case Op::kConst:
      if (inst.type == Type::kI32) imm = static_cast<i32>(inst.imm);
      return inst.type == Type::kF32 || inst.type == Type::kF64 ? print(sink, " 0x%llx", imm)
                                                                : print(sink, " %lld", imm);
    case Op::kVConst:
      return print(sink, " 0x%016llx%016llx", static_cast<unsigned long long>(v128_of(inst).high),
                   imm);
    case Op::kParam:
    case Op::kResult: return print(sink, " %u", inst.aux);
    case Op::kLoad:
    case Op::kStore:
    case Op::kLoadMem:
    case Op::kStoreMem:
    case Op::kLoadRaw:
    case Op::kStoreRaw:
    case Op::kAddRaw:
    case Op::kAtomicAddRaw:
    case Op::kLoadGs: return print(sink, ".%s +%lld", lookup(kMemNames, inst.aux), imm);
    case Op::kLoadLane:
    case Op::kStoreLane:
    case Op::kLoadLaneMem:
    case Op::kStoreLaneMem:
      return print(sink, ".%s[%u] +%lld", lookup(kMemNames, inst.aux & 0xff), inst.aux >> 8, imm);
    case Op::kAtomicLoad:
    case Op::kAtomicStore:
    case Op::kAtomicCas: return print(sink, ".%s +%lld", lookup(kMemNames, inst.aux & 0xff), imm);
    case Op::kAtomicRmw:
      return print(sink, ".%s.%s +%lld", lookup(kAtomicNames, inst.aux >> 8),
                   lookup(kMemNames, inst.aux & 0xff), imm);
    case Op::kV1:
    case Op::kV2:
    case Op::kV3:
    case Op::kVShift:
    case Op::kVSplat:
    case Op::kVTest: return print(sink, " %s", opcode_text(inst.aux));
    case Op::kVExtract:
    case Op::kVReplace: return print(sink, " %s %lld", opcode_text(inst.aux), imm);
    case Op::kPerCpu: return print(sink, " +%lld", imm);
    case Op::kClampIndex: return imm ? print(sink, " beyond %lld", imm) : true;
    case Op::kCall:
    case Op::kTailCall:
    case Op::kCallHost: return print(sink, " func %lld", imm);
    case Op::kCallPtr:
    case Op::kTailCallPtr: return print(sink, " type %lld", imm);
    case Op::kCallLib: return print(sink, " %s", lookup(kLibcallNames, static_cast<u64>(imm)));
    case Op::kTrapIf:
    case Op::kTrap: return print(sink, " %s", lookup(kTrapNames, inst.aux));
    case Op::kFuel: return print(sink, " %lld", imm);
    default:
      return inst.operand_type != Type::kVoid ? print(sink, ".%s", name_of(inst.operand_type))
                                              : true;
  }
}

bool dump_inst(const Function& f, Value v, TextSink* sink) {
  const Inst& inst = f.insts[v];
  bool ok = print(sink, "  ");
  if (inst.type != Type::kVoid) ok = ok && print(sink, "v%u:%s = ", v, name_of(inst.type));
  ok = ok && print(sink, "%s", name_of(inst.op)) && dump_extra(inst, sink);
  const char* separator = " ";
  for (Value arg : f.args(v)) {
    ok = ok && print(sink, "%sv%u", separator, arg);
    separator = ", ";
  }
  if (inst.invariant) ok = ok && print(sink, " invariant");
  if (inst.pinned) ok = ok && print(sink, " pinned");
  if (is_terminator(inst.op))
    for (BlockId succ : f.blocks[inst.block].succs) ok = ok && print(sink, " b%u", succ);
  return ok && print(sink, "  @%u\n", inst.origin);
}

}  // namespace

void dump(const Function& f, TextSink* sink) {
  if (!print(sink, "function %u\n", f.index)) return;
  for (BlockId b = 0; b < f.blocks.size(); b++) {
    const Block& block = f.blocks[b];
    bool ok = print(sink, "b%u:", b);
    const char* separator = "  <- ";
    for (BlockId pred : block.preds) {
      ok = ok && print(sink, "%sb%u", separator, pred);
      separator = ", ";
    }
    if (block.loop_depth)
      ok = ok && print(sink, "  loop b%u depth %u", block.loop_header, block.loop_depth);
    if (block.is_cold) ok = ok && print(sink, "  cold");
    if (!ok || !print(sink, "\n")) return;
    for (Value v : block.insts)
      if (!dump_inst(f, v, sink)) return;
  }
}

}  // namespace ir
}  // namespace wring
