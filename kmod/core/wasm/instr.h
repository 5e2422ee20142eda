// SPDX-License-Identifier: GPL-2.0
// Instruction decoding: one instruction at a time, for every consumer (validation, SSA building, listings).
//
// The opcode table is opcodes.def, one line an instruction:
//   OPCODE(Name, prefix, code, "text.name", Immediate, "signature", Feature)
// Name is the text name in CamelCase without dots and underscores (I32Add, LocalGet, I32TruncSatF64U,
// I64Extend8S, BrTable, CallIndirect, MemoryFill, I32Load8S).
#pragma once

#include "core/wasm/module.h"

namespace wring {

enum class Opcode : u16 {
#define OPCODE(name, prefix, code, text, imm, sig, feature) k##name,
#include "core/wasm/opcodes.def"
#undef OPCODE
  kCount
};

// The kinds of immediates (spec, section 5.4).
enum class Imm : u8 {
  kNone,
  kBlock,      // block type
  kLabel,      // label index
  kLabels,     // br_table
  kFunc,       // function index
  kTypeTable,  // call_indirect: type index, table index
  kLocal,
  kGlobal,
  kTable,
  kTableTable,  // table.copy: destination, source
  kElemTable,   // table.init: segment, table
  kElem,
  kMemory,        // memory.size, memory.grow, memory.fill
  kMemoryMemory,  // memory.copy: destination, source
  kDataMemory,    // memory.init: segment, memory
  kData,
  kMemArg,
  kMemArgLane,
  kI32,
  kI64,
  kF32,
  kF64,
  kV128,  // v128.const, i8x16.shuffle: 16 bytes
  kLane,
  kTypes,  // select t*
  kRefType,
  kType,      // call_ref, return_call_ref
  kTag,       // throw
  kTryTable,  // block type, then catch clauses
  kFence,     // atomic.fence: one zero byte
};

struct MemArg {
  u32 align;  // log2
  u32 memory;
  u64 offset;
};

// A block type: either a type index or at most one result.
struct BlockType {
  u32 type = kNone;                   // index into Module::types, or kNone
  ValType result = ValType::kBottom;  // if type == kNone: the result, kBottom = none
};

// decode_instr sets op, offset, next and what belongs to the opcode's kind of immediate; the rest is unspecified.
struct Instr {
  Opcode op;
  u32 offset;  // of the opcode, in Module::bytes
  u32 next;    // offset of the following instruction
  // Label, function, type, local, global, table (destination), segment, memory; br_table: default label;
  // select t*: number of types.
  u32 index;
  // Second index: the table of call_indirect and table.init, the source of table.copy and memory.copy, the
  // memory of memory.init; br_table: number of targets without the default; try_table: number of catch clauses.
  u32 index2;
  // Offset of the first target's LEB128 (br_table), the first type (select t*), the 16 bytes (v128.const,
  // i8x16.shuffle), the first catch clause (try_table).
  u32 list;
  u8 lane;
  ValType type;  // select t: the type; ref.null: the reference type
  BlockType block;
  MemArg mem;
  i64 value;  // i32.const (sign-extended), i64.const; f32.const, f64.const: the bits, zero-extended
};

// The proposal that brought an instruction.
enum class Feature : u8 {
  kMvp,
  kSignExt,
  kSatFloat,
  kBulk,
  kRef,
  kSimd,
  kTailCall,
  kRelaxedSimd,
  kExceptions,
  kFuncRef,
  kThreads
};

// A number type, v128 or kBottom in one byte.
struct NumType {
  u8 code = 0;
  constexpr NumType() = default;
  constexpr NumType(ValType type) : code(static_cast<u8>(type)) {}           // NOLINT
  constexpr operator ValType() const { return static_cast<ValType>(code); }  // NOLINT
};

struct OpcodeInfo {
  const char* text;
  const char* signature;
  Imm imm;
  u8 prefix;
  u16 code;
  Feature feature;
  // From the signature, unless it is "*":
  bool fixed;  // the signature is not "*"
  u8 operand_count;
  NumType operands[3];  // in the order they were pushed
  NumType result;       // kBottom: none
  u8 access;            // bytes accessed in memory, 0 for other instructions
  u8 lanes;             // exclusive bound of the lane immediate, 0 if there is none
};
extern const OpcodeInfo kOpcodes[static_cast<u32>(Opcode::kCount)];
inline const OpcodeInfo& info_of(Opcode op) {
  WRING_ASSERT(op < Opcode::kCount);
  return kOpcodes[static_cast<u32>(op)];
}

// Decodes the instruction at `offset` (<= end <= bytes.size()). Malformed or unknown instructions and
// out-of-range bytes are errors, reported to diag with function `func`, and so are instructions beyond `features`.
// Indices are not checked here: validation does. Neither allocates nor sleeps.
Err decode_instr(Bytes bytes, u32 offset, u32 end, u32 func, Instr* out, Diag* diag,
                 Features features = Features());

// Iterates over br_table's targets: returns the label and advances *offset. Only for validated code.
u32 next_label(Bytes bytes, u32* offset);

// try_table's catch clauses. Labels count from outside the try_table (spec, section 3.3.8.10).
struct CatchClause {
  enum Kind : u8 { kCatch, kCatchRef, kCatchAll, kCatchAllRef } kind;
  u32 tag;  // kCatch, kCatchRef
  u32 label;
};
// Iterates over them: returns the clause and advances *offset. Only for validated code.
CatchClause next_catch(Bytes bytes, u32* offset);

// A local declaration run at the start of a body; `*offset` advances past it. Only for validated code.
struct LocalRun {
  u32 count;
  ValType type;
};
u32 local_run_count(Bytes bytes, u32* offset);
LocalRun next_local_run(Bytes bytes, u32* offset);

}  // namespace wring
