// SPDX-License-Identifier: GPL-2.0
// Code: compiled machine code of a module before and after it has an address.
//
// x64/ appends functions and stubs to a CodeBuilder; link.cc resolves calls between functions, lays the
// sections out and produces a CodeImage, which the host copies into executable memory and relocates.
#pragma once

#include "core/abi/cpu.h"
#include "core/abi/libcalls.h"
#include "core/base/result.h"
#include "core/base/vector.h"

namespace wring {

enum class RelocKind : u8 {
  kFunction,  // rel32 to function `index` of the module
  kAddress,   // rel32 to the absolute address `address` (host function, libcall, thunk)
  kStub,      // rel32 to shared stub `index` (StubId)
  kRodata,    // rel32 to offset `index` of the constant pool, less what follows the field
};

struct Reloc {
  RelocKind kind;
  u32 at;  // offset in the code of the 4-byte field; the value is target - (at + 4)
  u32 index;
  u64 address;
};

// A place where a trap can start. `pc` is the offset of the instruction after the stub's call, which is what
// wring_vmctx::trap_pc holds (relative to the code's start). Sorted by pc after linking.
struct TrapSite {
  u32 pc;
  u32 func;
  u32 origin;  // Wasm byte offset
  TrapReason reason;
  bool in_prologue = false;  // the frame is not allocated yet: trap_sp points to the return address
};

// A call whose return address may be found when unwinding: frame sizes come from FunctionCode.
// In a bridge (x64/x64.h) func is kNone and origin is the bridge's frame size.
struct CallSite {
  u32 pc;  // offset of the return address
  u32 func;
  u32 origin;
};

// A faulting instruction and where to go on: becomes an exception table entry (or its POSIX analogue).
struct FaultSite {
  u32 pc;     // offset of the instruction
  u32 fixup;  // offset of its trap stub
};

// Where the code of one Wasm instruction begins: for listings, only collected if CodeBuilder::want_lines.
struct LineSite {
  u32 pc;
  u32 origin;
};

// Code shared by all functions of a module, made by x64/stubs.
enum class StubId : u8 {
  kTrap,  // called by every trap stub: records trap_pc and trap_sp, unwinds, leaves the invocation
  kFuel,  // called by cold fuel stubs, preserves every general register; see abi/libcalls.def
  kFuelVectors,  // likewise, and vector registers; there if the code uses them
  kLeave,  // jumped to by kTrap when the trap is recorded: restores entry_sp and returns to the entry stub
  kCount,
};

struct FunctionCode {
  u32 entry = kNone;  // offset; direct calls
  u32 indirect_entry =
      kNone;  // offset of the landing pad for calls through tables and slots (endbr64 where
              // IBT is on, i32 parameters re-extended); kNone if not address_taken
  u32 end = 0;
  u32 frame_bytes = 0;  // distance from rsp in the body to the return address
  bool has_calls = false;
  bool reads_params = false;  // the ones in registers
  bool has_checked_stack = false;
};

// What a module's functions use of an invocation's state, so that hook entries need not set up the rest.
enum CodeUses : u32 {
  kUsesMemory = 1,  // linear memory
  kUsesFuel = 2,
  kUsesHost = 4,  // host or library calls, which see all of the vmctx
  kUsesPacket = 8,
  kUsesArgs = 16,         // the hook's arguments
  kUsesUnknown = 32,      // code of other instances: anything
  kUsesFpu = 64,          // vector registers, and so MXCSR
  kUsesExceptions = 128,  // may return with wring_vmctx::exception set
};

// A constant of 4, 8 or 16 bytes in the constant pool.
struct PooledConstant {
  u64 low, high;
  u32 bytes;  // 0: none
  u32 offset;
};

class CodeBuilder {
 public:
  explicit CodeBuilder(Arena* a)
      : arena(a), bytes(a), rodata(a), relocs(a), traps(a), calls(a), faults(a), lines(a) {}
  Arena* arena;
  LargeVec<u8> bytes;
  LargeVec<u8> rodata;
  Span<PooledConstant> pooled;  // by hash, the latest: most constants are there once
  LargeVec<Reloc> relocs;
  LargeVec<TrapSite> traps;
  LargeVec<CallSite> calls;
  LargeVec<FaultSite> faults;
  bool want_lines = false;
  LargeVec<LineSite> lines;      // ascending
  Span<FunctionCode> functions;  // by function index; imported ones stay empty
  Span<u32> array_entries;       // by function index: offset of the host's entry stub, or kNone
  u32 stubs[static_cast<u32>(StubId::kCount)] = {};
  u32 uses = 0;  // CodeUses of all functions
  // C functions that the program calls run on the stack that the host entered from (wring_vmctx::host_sp): they may
  // sleep, and the kernel's own rules for stacks apply. At hooks they run on the program's.
  bool calls_on_host_stack = false;
  u32 saved_registers =
      0;  // callee-saved registers that functions save: lost when a trap unwinds them
};

// A global that a trap puts back to what it was before the invocation (link/stack_pointers.h).
struct StackPointer {
  u32 global;
  // Every function of the module puts it back before it returns: it is the same before all invocations of an instance.
  bool rests;
};

// What the running machine and kernel ask of generated code.
struct Target {
  u32 cpu = 0;                     // CpuFeature bits
  bool ibt = false;                // endbr64 at indirect entries
  bool sls = false;                // int3 after ret and indirect jmp
  bool retpoline = false;          // indirect calls and jumps through indirect_thunks
  bool clamp_speculation = false;  // bounds checks hold under speculation (ir/verify.h)
  u64 return_thunk = 0;            // ret becomes jmp there, unless 0
  u64 indirect_thunks[16] = {};    // by register number
  u64 random = 0;                  // seed for constant blinding; 0: off
  bool far_calls = false;          // absolute addresses may be beyond rel32: go through an island
};
enum CpuFeature : u32 {
  kCpuBmi1 = WRING_TARGET_BMI1,
  kCpuBmi2 = WRING_TARGET_BMI2,
  kCpuLzcnt = WRING_TARGET_LZCNT,
  kCpuPopcnt = WRING_TARGET_POPCNT,
  kCpuMovbe = WRING_TARGET_MOVBE,
  kCpuSse41 = WRING_TARGET_SSE41,
  kCpuAvx = WRING_TARGET_AVX,
  kCpuAvx2 = WRING_TARGET_AVX2
};

}  // namespace wring
