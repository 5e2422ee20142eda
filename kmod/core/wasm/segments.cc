// SPDX-License-Identifier: GPL-2.0
// Decoder, continued: element and data segments, and the constant expressions that place and fill them.
#include "core/wasm/decoder.h"

namespace wring {

void Decoder::reference_function(u32 function, u32 offset) {
  if (function < functions_.size())
    functions_[function].address_taken = true;
  else
    invalid(offset, "unknown function %u", function);
}

// What a constant instruction pushes; kBottom for one that is not constant (spec, section 3.3.9).
ValType Decoder::check_const_instr(const Instr& in) {
  switch (in.op) {
    case Opcode::kI32Const:
    case Opcode::kI64Const:
    case Opcode::kF32Const:
    case Opcode::kF64Const:
    case Opcode::kV128Const: return info_of(in.op).result;
    case Opcode::kRefNull: return in.type;
    case Opcode::kRefFunc: reference_function(in.index, in.offset); return ValType::kFuncRef;
    case Opcode::kGlobalGet:
      // Only imported globals are in scope here.
      if (in.index >= m_->imported_globals) {
        invalid(in.offset, "unknown global %u", in.index);
        return ValType::kBottom;
      }
      if (globals_[in.index].type.is_mutable)
        invalid(in.offset, "constant expression required: global %u is mutable", in.index);
      return globals_[in.index].type.type;
    default:
      invalid(in.offset, "constant expression required: %s is not constant", info_of(in.op).text);
      return ValType::kBottom;
  }
}

Err Decoder::read_const_expr(Reader* r, ValType type, Range* out) {
  out->begin = r->offset();
  u32 depth = 0;   // of blocks: not constant, but they can be well-formed
  u32 values = 0;  // on the stack
  ValType found = ValType::kBottom;
  for (;;) {
    Instr in;
    const u32 start = r->offset();
    TRY(decode_instr(m_->bytes, start, r->end(), kNone, &in, diag_));
    TRY(r->skip(in.next - start));
    if (in.op == Opcode::kEnd && depth-- == 0) break;
    if (in.op == Opcode::kEnd) continue;
    if (info_of(in.op).imm == Imm::kBlock) depth++;
    found = check_const_instr(in);
    values++;
  }
  out->end = r->offset();
  if (values != 1)
    invalid(out->begin, "type mismatch: constant expression leaves %u values, expected one %s",
            values, name_of(type));
  else if (found != type)
    invalid(out->begin, "type mismatch: expected %s, found %s", name_of(type), name_of(found));
  return Err::kOk;
}

Err Decoder::read_elements(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, 0, kMaxSegments, "element segments", &count));
  Span<ElementSegment> elements = m_->arena.make_array<ElementSegment>(count);
  if (elements.size() != count) return diag_->no_memory();
  for (ElementSegment& element : elements) TRY(read_element(r, &element));
  m_->elements = elements;
  return Err::kOk;
}

// The flags (spec, section 5.5.12): bit 0: not active; bit 1: an explicit table, or declared if not active;
// bit 2: expressions instead of function indices.
Err Decoder::read_element(Reader* r, ElementSegment* out) {
  const u32 start = r->offset();
  u32 flags = 0;
  TRY(r->read_u32(&flags));
  if (flags > 7) return r->malformed(start, "malformed element segment kind");
  const bool active = !(flags & 1);
  const bool expressions = flags & 4;
  out->mode = active      ? SegmentMode::kActive
              : flags & 2 ? SegmentMode::kDeclared
                          : SegmentMode::kPassive;
  out->type = ValType::kFuncRef;
  out->table = 0;
  if (active) {
    if (flags & 2) TRY(r->read_u32(&out->table));
    TRY(read_const_expr(r, ValType::kI32, &out->offset));
  }
  if (flags & 3) {
    if (expressions) {
      TRY(r->read_ref_type(&out->type));
    } else {
      u8 kind = 0;
      TRY(r->read_u8(&kind));
      if (kind != 0) return r->malformed(r->offset() - 1, "malformed element kind");
    }
  }
  if (active) {
    if (out->table >= tables_.size())
      invalid(start, "unknown table %u", out->table);
    else if (tables_[out->table].type.elem != out->type)
      invalid(start, "type mismatch: element segment of %s for a table of %s", name_of(out->type),
              name_of(tables_[out->table].type.elem));
  }
  return read_element_list(r, expressions, out);
}

Err Decoder::read_element_list(Reader* r, bool expressions, ElementSegment* out) {
  u32 count = 0;
  TRY(read_count(r, 0, kMaxTableEntries, "elements", &count));
  if (expressions) {
    Span<Range> list = m_->arena.make_array<Range>(count);
    if (list.size() != count) return diag_->no_memory();
    for (Range& range : list) TRY(read_const_expr(r, out->type, &range));
    out->expressions = list;
    return Err::kOk;
  }
  Span<u32> list = m_->arena.make_array<u32>(count);
  if (list.size() != count) return diag_->no_memory();
  for (u32& function : list) {
    const u32 start = r->offset();
    TRY(r->read_u32(&function));
    reference_function(function, start);
  }
  out->functions = list;
  return Err::kOk;
}

Err Decoder::read_datas(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, 0, kMaxSegments, "data segments", &count));
  Span<DataSegment> datas = m_->arena.make_array<DataSegment>(count);
  if (datas.size() != count) return diag_->no_memory();
  for (DataSegment& data : datas) {
    const u32 start = r->offset();
    u32 flags = 0;  // 0: active; 1: passive; 2: active in an explicit memory
    TRY(r->read_u32(&flags));
    if (flags > 2) return r->malformed(start, "malformed data segment kind");
    data.mode = flags == 1 ? SegmentMode::kPassive : SegmentMode::kActive;
    if (flags == 2) TRY(r->read_u32(&data.memory));
    if (data.mode == SegmentMode::kActive) {
      if (data.memory >= memories_.size()) invalid(start, "unknown memory %u", data.memory);
      TRY(read_const_expr(r, ValType::kI32, &data.offset));
    }
    u32 size = 0;
    TRY(r->read_u32(&size));
    data.bytes.begin = r->offset();
    TRY(r->skip(size));
    data.bytes.end = r->offset();
  }
  m_->datas = datas;
  return Err::kOk;
}

}  // namespace wring
