// SPDX-License-Identifier: GPL-2.0
// Instruction decoding, driven by the tables that opcodes.def expands to.
#include "core/wasm/instr.h"

#include "core/base/pace.h"
#include "core/wasm/reader.h"
#include "core/wasm/unsupported.h"

namespace wring {

namespace {

constexpr ValType type_of_letter(char letter) {
  switch (letter) {
    case 'i': return ValType::kI32;
    case 'I': return ValType::kI64;
    case 'f': return ValType::kF32;
    case 'F': return ValType::kF64;
    case 'v': return ValType::kV128;
    default: return ValType::kBottom;
  }
}

// The number after the 'x' of "i8x16.", "f64x2.", ...
constexpr u8 lanes_in_name(const char* text) {
  while (*text != 'x') text++;
  u8 lanes = 0;
  for (text++; *text >= '0' && *text <= '9'; text++)
    lanes = static_cast<u8>(lanes * 10 + (*text - '0'));
  return lanes;
}

constexpr OpcodeInfo make_info(u8 prefix, u16 code, const char* text, Imm imm,
                               const char* signature, Feature feature) {
  OpcodeInfo info{};
  info.text = text;
  info.signature = signature;
  info.imm = imm;
  info.prefix = prefix;
  info.code = code;
  info.feature = feature;
  const char* s = signature;
  if (*s != '*') {
    info.fixed = true;
    for (; *s != ':'; s++) info.operands[info.operand_count++] = type_of_letter(*s);
    s++;
    if (*s && *s != '@') info.result = type_of_letter(*s++);
    if (*s == '@')
      for (s++; *s; s++) info.access = static_cast<u8>(info.access * 10 + (*s - '0'));
  }
  if (imm == Imm::kLane) info.lanes = lanes_in_name(text);
  if (imm == Imm::kMemArgLane) info.lanes = static_cast<u8>(16 / info.access);
  return info;
}

}  // namespace

constexpr OpcodeInfo kOpcodes[static_cast<u32>(Opcode::kCount)] = {
#define OPCODE(name, prefix, code, text, imm, sig, feature) \
  make_info(prefix, code, text, Imm::k##imm, sig, Feature::k##feature),
#include "core/wasm/opcodes.def"
#undef OPCODE
};

namespace {

// What decoding has to know of an opcode, in one word. `op` is kCount where there is none.
struct Code {
  Opcode op = Opcode::kCount;
  Imm imm = Imm::kNone;
  Feature feature = Feature::kMvp;
};

// From a prefix and a code.
struct CodeMap {
  Code plain[256];
  Code fc[32];
  Code fd[0x120];
  Code fe[0x50];
};

constexpr CodeMap make_code_map() {
  CodeMap map{};
  for (u32 i = 0; i < static_cast<u32>(Opcode::kCount); i++) {
    const OpcodeInfo& info = kOpcodes[i];
    Code* table = info.prefix == 0      ? map.plain
                  : info.prefix == 0xfc ? map.fc
                  : info.prefix == 0xfd ? map.fd
                                        : map.fe;
    table[info.code] = {static_cast<Opcode>(i), info.imm, info.feature};
  }
  return map;
}
constexpr CodeMap kCodes = make_code_map();

bool is_enabled(Code code, Features features) {
  if (code.op == Opcode::kCount) return false;
  return code.feature <= Feature::kSimd ||
         (code.feature == Feature::kThreads ? features.threads : features.wasm3);
}

// From 0xfb on.
constexpr const char* kPrefixes[] = {"opcode 0xfb", "opcode 0xfc", "opcode 0xfd", "opcode 0xfe"};

// The second part of an opcode, after its prefix.
Err read_prefixed(Reader* r, u8 prefix, Code* out) {
  const u32 start = r->offset() - 1;
  u32 code = 0;
  TRY(r->read_u32(&code));
  const auto find = [&](Span<const Code> codes) {
    if (code < codes.size()) *out = codes[code];
  };
  switch (prefix) {
    case 0xfc: find(kCodes.fc); break;
    case 0xfd: find(kCodes.fd); break;
    case 0xfe: find(kCodes.fe); break;
    default: break;
  }
  if (is_enabled(*out, r->features())) return Err::kOk;
  const Unsupported proposal = proposal_of_opcode(prefix, code);
  if (proposal != Unsupported::kNone && r->features().wasm3)
    return fail_unsupported(r->diag(), r->func(), start, proposal, kPrefixes[prefix - 0xfb], code);
  return r->diag()->fail(Err::kMalformed, r->func(), start, "illegal opcode 0x%02x 0x%02x", prefix,
                         code);
}

// A byte that is not an opcode by itself.
Err read_other_opcode(Reader* r, u8 byte, Code* out) {
  if (byte >= 0xfb && byte <= 0xfe) return read_prefixed(r, byte, out);
  const Unsupported proposal = proposal_of_opcode(0, byte);
  if (proposal != Unsupported::kNone && r->features().wasm3)
    return fail_unsupported(r->diag(), r->func(), r->offset() - 1, proposal, "opcode", byte);
  return r->diag()->fail(Err::kMalformed, r->func(), r->offset() - 1, "illegal opcode 0x%02x",
                         byte);
}

Err read_opcode(Reader* r, Code* out) {
  u8 byte = 0;
  TRY(r->read_u8(&byte));
  *out = kCodes.plain[byte];
  return is_enabled(*out, r->features()) ? Err::kOk : read_other_opcode(r, byte, out);
}

// A byte that is zero: where 2.0 has no memory index yet, or the ordering of a fence.
Err read_zero_byte(Reader* r, u32* out) {
  u8 byte = 0;
  TRY(r->read_u8(&byte));
  if (byte != 0) return r->malformed(r->offset() - 1, "zero byte expected");
  *out = 0;
  return Err::kOk;
}

Err read_memory(Reader* r, u32* out) {
  return r->features().wasm3 ? r->read_u32(out) : read_zero_byte(r, out);
}

// Bit 6 of the alignment says that a memory index follows.
constexpr u32 kHasMemory = 0x40;

Err read_mem_arg(Reader* r, MemArg* out) {
  const u32 start = r->offset();
  u32 flags = 0;
  TRY(r->read_u32(&flags));
  out->memory = 0;
  if (!r->features().wasm3) {
    if (flags >= 32) return r->malformed(start, "malformed memop flags");
    out->align = flags;
    u32 offset = 0;
    TRY(r->read_u32(&offset));
    out->offset = offset;
    return Err::kOk;
  }
  if (flags >= 2 * kHasMemory) return r->malformed(start, "malformed memop flags");
  out->align = flags & (kHasMemory - 1);
  if (flags & kHasMemory) TRY(r->read_u32(&out->memory));
  return r->read_u64(&out->offset);
}

// 0x40, a value type, or a type index as a non-negative s33; the first two begin with a negative single byte.
Err read_block_type(Reader* r, BlockType* out) {
  const u32 start = r->offset();
  *out = BlockType();
  i64 value = 0;
  TRY(r->read_s33(&value));
  if (value >= 0) {
    out->type = static_cast<u32>(value);
    return Err::kOk;
  }
  if (r->offset() != start + 1) return r->malformed(start, "malformed block type");
  if (value == -0x40) return Err::kOk;
  const ValType type = static_cast<ValType>(value & 0x7f);
  if (is_num(type)) {
    out->result = type;
    return Err::kOk;
  }
  r->rewind(start);
  return r->read_val_type(&out->result);
}

Err read_labels(Reader* r, Instr* out) {
  const u32 start = r->offset();
  u32 count = 0;
  TRY(r->read_u32(&count));
  if (count >= r->remaining())
    return r->unexpected_end();  // a target takes a byte, and so does the default
  if (count > kMaxBrTableTargets)
    return r->diag()->fail(Err::kLimit, r->func(), start,
                           "br_table has %u targets, the limit is %u", count, kMaxBrTableTargets);
  out->index2 = count;
  out->list = r->offset();
  u32 label = 0;
  for (u32 i = 0; i < count; i++, tick()) TRY(r->read_u32(&label));
  return r->read_u32(&out->index);
}

Err read_types(Reader* r, Instr* out) {
  TRY(r->read_u32(&out->index));
  if (out->index > r->remaining()) return r->unexpected_end();
  out->list = r->offset();
  out->type = ValType::kBottom;
  for (u32 i = 0; i < out->index; i++, tick()) {
    ValType type = ValType::kBottom;
    TRY(r->read_val_type(&type));
    if (i == 0) out->type = type;
  }
  return Err::kOk;
}

// A clause is a kind and a label, and before that a tag for the first two kinds.
Err read_try_table(Reader* r, Instr* out) {
  TRY(read_block_type(r, &out->block));
  const u32 start = r->offset();
  u32 count = 0;
  TRY(r->read_u32(&count));
  if (count > r->remaining() / 2) return r->unexpected_end();
  if (count > kMaxCatchClauses)
    return r->diag()->fail(Err::kLimit, r->func(), start,
                           "try_table has %u catch clauses, the limit is %u", count,
                           kMaxCatchClauses);
  out->index2 = count;
  out->list = r->offset();
  u32 index = 0;
  for (u32 i = 0; i < count; i++, tick()) {
    u8 kind = 0;
    TRY(r->read_u8(&kind));
    if (kind > CatchClause::kCatchAllRef)
      return r->malformed(r->offset() - 1, "malformed catch clause");
    if (kind <= CatchClause::kCatchRef) TRY(r->read_u32(&index));
    TRY(r->read_u32(&index));
  }
  return Err::kOk;
}

Err read_immediates(Reader* r, Imm imm, Instr* out) {
  switch (imm) {
    case Imm::kNone: return Err::kOk;
    case Imm::kBlock: return read_block_type(r, &out->block);
    case Imm::kLabel:
    case Imm::kFunc:
    case Imm::kLocal:
    case Imm::kGlobal:
    case Imm::kTable:
    case Imm::kElem:
    case Imm::kData:
    case Imm::kType:
    case Imm::kTag: return r->read_u32(&out->index);
    case Imm::kTypeTable:
    case Imm::kTableTable:
    case Imm::kElemTable: TRY(r->read_u32(&out->index)); return r->read_u32(&out->index2);
    case Imm::kLabels: return read_labels(r, out);
    case Imm::kMemory: return read_memory(r, &out->index);
    case Imm::kMemoryMemory: TRY(read_memory(r, &out->index)); return read_memory(r, &out->index2);
    case Imm::kDataMemory: TRY(r->read_u32(&out->index)); return read_memory(r, &out->index2);
    case Imm::kMemArg: return read_mem_arg(r, &out->mem);
    case Imm::kMemArgLane: TRY(read_mem_arg(r, &out->mem)); return r->read_u8(&out->lane);
    case Imm::kI32: return r->read_s32(&out->value);
    case Imm::kI64: return r->read_s64(&out->value);
    case Imm::kF32: {
      u32 bits = 0;
      TRY(r->read_fixed32(&bits));
      out->value = bits;
      return Err::kOk;
    }
    case Imm::kF64: {
      u64 bits = 0;
      TRY(r->read_fixed64(&bits));
      out->value = static_cast<i64>(bits);
      return Err::kOk;
    }
    case Imm::kV128: out->list = r->offset(); return r->skip(16);
    case Imm::kLane: return r->read_u8(&out->lane);
    case Imm::kTypes: return read_types(r, out);
    case Imm::kRefType: return r->read_heap_type(&out->type);
    case Imm::kTryTable: return read_try_table(r, out);
    case Imm::kFence: return read_zero_byte(r, &out->index);
  }
  WRING_UNREACHABLE();
}

// The value of a LEB128 that has been decoded successfully before.
u32 reread_u32(Bytes bytes, u32* offset) {
  u32 value = 0;
  u32 shift = 0;
  u8 byte = 0;
  do {
    byte = bytes[(*offset)++];
    value |= u32{byte & 0x7fu} << shift;
    shift += 7;
  } while ((byte & 0x80) && shift < 35);
  return value;
}

}  // namespace

Err decode_instr(Bytes bytes, u32 offset, u32 end, u32 func, Instr* out, Diag* diag,
                 Features features) {
  Reader r(bytes, offset, end, func, diag, features);
  out->offset = offset;
  Code code;
  TRY(read_opcode(&r, &code));
  out->op = code.op;
  TRY(read_immediates(&r, code.imm, out));
  out->next = r.offset();
  return Err::kOk;
}

u32 next_label(Bytes bytes, u32* offset) { return reread_u32(bytes, offset); }

CatchClause next_catch(Bytes bytes, u32* offset) {
  CatchClause clause{};
  clause.kind = static_cast<CatchClause::Kind>(bytes[(*offset)++]);
  if (clause.kind <= CatchClause::kCatchRef) clause.tag = reread_u32(bytes, offset);
  clause.label = reread_u32(bytes, offset);
  return clause;
}

u32 local_run_count(Bytes bytes, u32* offset) { return reread_u32(bytes, offset); }

LocalRun next_local_run(Bytes bytes, u32* offset) {
  LocalRun run;
  run.count = reread_u32(bytes, offset);
  Diag ignored;
  Reader r(bytes, *offset, bytes.size(), kNone, &ignored);
  const Err err = r.read_val_type(&run.type);
  WRING_ASSERT(err == Err::kOk);
  *offset = r.offset();
  return run;
}

}  // namespace wring
