// SPDX-License-Identifier: GPL-2.0
// Decoder, continued: element and data segments (spec, sections 5.5.12 and 5.5.14).
#include "core/wasm/decoder.h"

namespace wring {

Err Decoder::read_elements(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, 0, kMaxSegments, "element segments", &count));
  Span<ElementSegment> elements = m_->arena.make_array<ElementSegment>(count);
  if (elements.size() != count) return diag_->no_memory();
  for (ElementSegment& element : paced(elements)) TRY(read_element(r, &element));
  m_->elements = elements;
  return Err::kOk;
}

// The flags: bit 0: not active; bit 1: an explicit table, or declared if not active;
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
  // A list of function indices has no null; 2.0 has no type for that.
  out->type = expressions || !features_.wasm3 ? ValType::kFuncRef : as_non_null(ValType::kFuncRef);
  out->table = 0;
  if (active) {
    if (flags & 2) TRY(r->read_u32(&out->table));
    const bool is_64 = out->table < tables_.size() && tables_[out->table].type.limits.is_64;
    TRY(read_const_expr(r, is_64 ? ValType::kI64 : ValType::kI32, &out->offset));
  }
  if (flags & 3) {
    if (expressions) {
      TRY(read_ref_type(r, &out->type));
    } else {
      u8 kind = 0;
      TRY(r->read_u8(&kind));
      if (kind != 0) return r->malformed(r->offset() - 1, "malformed element kind");
    }
  }
  if (active) {
    if (out->table >= tables_.size())
      invalid(start, "unknown table %u", out->table);
    else if (!is_subtype(out->type, tables_[out->table].type.elem))
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
    for (Range& range : paced(list)) TRY(read_const_expr(r, out->type, &range));
    out->expressions = list;
    return Err::kOk;
  }
  Span<u32> list = m_->arena.make_array<u32>(count);
  if (list.size() != count) return diag_->no_memory();
  for (u32& function : paced(list)) {
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
  for (DataSegment& data : paced(datas)) {
    const u32 start = r->offset();
    u32 flags = 0;  // 0: active; 1: passive; 2: active in an explicit memory
    TRY(r->read_u32(&flags));
    if (flags > 2) return r->malformed(start, "malformed data segment kind");
    data.mode = flags == 1 ? SegmentMode::kPassive : SegmentMode::kActive;
    if (flags == 2) TRY(r->read_u32(&data.memory));
    if (data.mode == SegmentMode::kActive) {
      const bool is_known = data.memory < memories_.size();
      if (!is_known) invalid(start, "unknown memory %u", data.memory);
      const bool is_64 = is_known && memories_[data.memory].type.limits.is_64;
      TRY(read_const_expr(r, is_64 ? ValType::kI64 : ValType::kI32, &data.offset));
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
