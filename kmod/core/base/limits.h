// SPDX-License-Identifier: GPL-2.0
// Every limit of the engine, in one place. Exceeding one is Err::kLimit with a message naming it.
#pragma once

#include "core/base/types.h"

namespace wring {

constexpr u32 kMaxModuleBytes = 64u << 20;
constexpr u32 kMaxTypes = 100'000;
constexpr u32 kMaxFunctions = 200'000;
constexpr u32 kMaxImports = 10'000;
constexpr u32 kMaxExports = 100'000;
constexpr u32 kMaxCustomSections = 10'000;
constexpr u32 kMaxGlobals = 100'000;
constexpr u32 kMaxTables = 100;
constexpr u32 kMaxMemories = 100;
constexpr u32 kMaxTags = 10'000;
constexpr u32 kMaxConstDepth = 64;  // operands of a constant expression at once
constexpr u32 kMaxSegments = 100'000;
constexpr u32 kMaxTableEntries = 1'000'000;
constexpr u32 kMaxParams = 1'000;
constexpr u32 kMaxResults = 1'000;
constexpr u32 kMaxLocals = 50'000;
constexpr u32 kMaxFunctionBytes = 8u << 20;
constexpr u32 kMaxBrTableTargets = 65'520;
constexpr u32 kMaxCatchClauses = 10'000;
constexpr u32 kMaxBlockDepth = 100'000;
constexpr u32 kMaxOperandDepth = 1'000'000;  // values on a function's operand stack
constexpr u32 kMaxMemoryPages = 65'536;      // 4 GiB: the whole 32-bit index space
constexpr u32 kWasmPageBytes = 65'536;

// No hook's packet has more linear bytes (wring_vmctx::pkt_len): the optimizer relies on it.
constexpr u64 kMaxPacketBytes = u64{1} << 30;
// What may be read from the start of any packet, or behind its end, without reaching beyond the buffer that it lies in.
constexpr u32 kPacketTailBytes = 256;

// Compilation: per function and whole-module memory the compiler may take.
constexpr usize kMaxCompileBytes = usize{1} << 30;
constexpr u32 kMaxCodeBytes = 512u << 20;
constexpr u32 kMaxFrameBytes = 1u << 20;  // of one function

// SSA construction, per function: values carried along edges of the control-flow graph plus steps between
// states of the locals. Real code stays far below; it bounds what a hostile body can make of many locals times
// many branches.
constexpr u64 kMaxSsaWork = u64{32} << 20;
constexpr u32 kSsaPhiWork =
    8;  // what a phi counts: it takes that much more memory than a carried value

// Shadow stack pointers of a module that traps put back (link/stack_pointers.h). Modules that linkers made have one.
constexpr u32 kMaxStackPointers = 8;

// Stack (abi/vmctx.h): what a hook's program that calls no C functions may use of whatever stack the hook is called
// on, the entry included, which is what the kernel's own functions of that size take for granted. All others run on
// one that they take.
constexpr u32 kHookEntryStackBytes =
    192;  // the most an entry takes itself, beyond the area for tail calls' arguments
constexpr u32 kInlineStackBytes = 512 + kHookEntryStackBytes;
constexpr u32 kMaxTrapFrames = 16;
// Frames up to this size need no check of their own; a chain of unchecked calls stays below the second figure, so
// a stack limit leaves room for both, and for what host calls and interrupts need.
constexpr u32 kSmallFrameBytes = 2048;
constexpr u32 kMaxUncheckedStackBytes = 6 * 1024;
constexpr u32 kHostStackBytes = 16 * 1024;
// Entries and bridges do not check the stack; only what they pass arguments and results in is large. No two of them
// come without a check in between.
constexpr u32 kMaxStackAreaBytes = 16 * max(kMaxParams, kMaxResults);
constexpr u32 kStackHeadroomBytes =
    kMaxStackAreaBytes + kSmallFrameBytes + kMaxUncheckedStackBytes + kHostStackBytes;
// Function types of a store's modules together, and how many of them may collide in its hash table.
constexpr u32 kMaxStoreSignatures = 1'000'000;
constexpr u32 kMaxSignatureProbes = 4096;
// Exceptions alive at a time, of one instance; how many there is room for in advance, as far as the bytes suffice.
constexpr u32 kMaxExceptions = 4096;
constexpr u32 kExceptionSlots = 64;
constexpr u32 kMinExceptionSlots = 4;
constexpr u32 kExceptionPoolBytes = 8 * 1024;
constexpr u64 kMaxExceptionBytes = u64{4} << 20;
// Instances of a store that may reach each other: what is done for all of them (stack pointers at every invocation, a
// search for exceptions nobody refers to) takes a few milliseconds at most.
constexpr u32 kMaxLinkedInstances = 4096;
// Fuel is handed out in slices, between which the time is looked at (runtime/slices.h). The slowest code, which misses
// every cache, takes some 20 ns for a unit; code and data of so many bytes together stay in the caches, and then it is
// some 2 ns.
constexpr u32 kFuelSlice = 5 * 1024;
constexpr u32 kCachedFuelSlice = 1u << 16;
constexpr u64 kCachedBytes = 256 * 1024;
// How long an invocation that may sleep runs until others get a turn.
constexpr u32 kTurnMicroseconds = 50;
constexpr u32 kNmiMicroseconds = 250;  // the most that a hook may take in an NMI
// Bulk operations cost one unit of fuel for this many bytes, and look at the time after so many.
constexpr u32 kBulkBytesPerFuel = 64;
constexpr u32 kBulkPieceBytes = 64 * 1024;
// The search for exceptions goes from place to place, each a cache line or more, some 100 ns.
constexpr u32 kCollectorPieceBytes = 16 * 1024;

}  // namespace wring
