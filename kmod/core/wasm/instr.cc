// SPDX-License-Identifier: GPL-2.0
// Instruction decoding, driven by the tables that opcodes.def expands to.
#include "core/wasm/instr.h"

#include "core/wasm/reader.h"

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

// From a prefix and a code to the opcode; kCount where there is none.
struct CodeMap {
  Opcode plain[256];
  Opcode fc[32];
  Opcode fd[256];
};

constexpr CodeMap make_code_map() {
  CodeMap map{};
  for (Opcode& op : map.plain) op = Opcode::kCount;
  for (Opcode& op : map.fc) op = Opcode::kCount;
  for (Opcode& op : map.fd) op = Opcode::kCount;
  for (u32 i = 0; i < static_cast<u32>(Opcode::kCount); i++) {
    const OpcodeInfo& info = kOpcodes[i];
    Opcode* table = info.prefix == 0 ? map.plain : info.prefix == 0xfc ? map.fc : map.fd;
    table[info.code] = static_cast<Opcode>(i);
  }
  return map;
}
constexpr CodeMap kCodes = make_code_map();

Err read_opcode(Reader* r, Opcode* out) {
  const u32 start = r->offset();
  u8 byte = 0;
  TRY(r->read_u8(&byte));
  *out = kCodes.plain[byte];
  if (*out != Opcode::kCount) return Err::kOk;
  if (byte != 0xfc && byte != 0xfd)
    return r->diag()->fail(Err::kMalformed, r->func(), start, "illegal opcode 0x%02x", byte);
  u32 code = 0;
  TRY(r->read_u32(&code));
  if (byte == 0xfc && code < sizeof(kCodes.fc) / sizeof(Opcode)) *out = kCodes.fc[code];
  if (byte == 0xfd && code < sizeof(kCodes.fd) / sizeof(Opcode)) *out = kCodes.fd[code];
  if (*out != Opcode::kCount) return Err::kOk;
  return r->diag()->fail(Err::kMalformed, r->func(), start, "illegal opcode 0x%02x 0x%02x", byte,
                         code);
}

// A memory index is a single zero byte where the format has only one memory.
Err read_zero_byte(Reader* r, u32* out) {
  u8 byte = 0;
  TRY(r->read_u8(&byte));
  if (byte != 0) return r->malformed(r->offset() - 1, "zero byte expected");
  *out = 0;
  return Err::kOk;
}

Err read_mem_arg(Reader* r, MemArg* out) {
  const u32 start = r->offset();
  TRY(r->read_u32(&out->align));
  if (out->align >= 32) return r->malformed(start, "malformed memop flags");
  u32 offset = 0;
  TRY(r->read_u32(&offset));
  out->offset = offset;
  out->memory = 0;
  return Err::kOk;
}

// 0x40, a value type, or a type index as a non-negative s33; the first two are negative single bytes.
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
  if (!is_num(type) && type != ValType::kV128 && !is_ref(type))
    return r->malformed(start, "malformed block type");
  out->result = type;
  return Err::kOk;
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
  for (u32 i = 0; i < count; i++) TRY(r->read_u32(&label));
  return r->read_u32(&out->index);
}

Err read_types(Reader* r, Instr* out) {
  TRY(r->read_u32(&out->index));
  if (out->index > r->remaining()) return r->unexpected_end();
  out->list = r->offset();
  out->type = ValType::kBottom;
  for (u32 i = 0; i < out->index; i++) {
    ValType type = ValType::kBottom;
    TRY(r->read_val_type(&type));
    if (i == 0) out->type = type;
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
    case Imm::kData: return r->read_u32(&out->index);
    case Imm::kTypeTable:
    case Imm::kTableTable:
    case Imm::kElemTable: TRY(r->read_u32(&out->index)); return r->read_u32(&out->index2);
    case Imm::kLabels: return read_labels(r, out);
    case Imm::kMemory: return read_zero_byte(r, &out->index);
    case Imm::kMemoryMemory:
      TRY(read_zero_byte(r, &out->index));
      return read_zero_byte(r, &out->index2);
    case Imm::kDataMemory: TRY(r->read_u32(&out->index)); return read_zero_byte(r, &out->index2);
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
    case Imm::kRefType: return r->read_ref_type(&out->type);
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

Err decode_instr(Bytes bytes, u32 offset, u32 end, u32 func, Instr* out, Diag* diag) {
  Reader r(bytes, offset, end, func, diag);
  out->offset = offset;
  TRY(read_opcode(&r, &out->op));
  TRY(read_immediates(&r, info_of(out->op).imm, out));
  out->next = r.offset();
  return Err::kOk;
}

u32 next_label(Bytes bytes, u32* offset) { return reread_u32(bytes, offset); }

u32 local_run_count(Bytes bytes, u32* offset) { return reread_u32(bytes, offset); }

LocalRun next_local_run(Bytes bytes, u32* offset) {
  LocalRun run;
  run.count = reread_u32(bytes, offset);
  run.type = static_cast<ValType>(bytes[(*offset)++]);
  return run;
}

}  // namespace wring
