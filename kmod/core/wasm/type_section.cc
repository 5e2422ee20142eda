// SPDX-License-Identifier: GPL-2.0
// Decoder, continued: the type section, and the types of tables, memories, globals and tags (spec, section 5.3).
#include "core/wasm/decoder.h"
#include "core/wasm/subtype.h"

namespace wring {

namespace {

enum TypeForm : u8 {
  kRecForm = 0x4e,
  kSubFinalForm = 0x4f,
  kSubForm = 0x50,
  kFuncForm = 0x60,
};

// Flags of limits.
constexpr u8 kHasMax = 1, kShared = 2, kIs64 = 4, kPageSize = 8;

constexpr u64 kMaxPages64 = u64{1} << 48;  // what the spec allows a 64-bit memory

}  // namespace

Err Decoder::read_types(Reader* r) {
  u32 count = 0;  // of recursion groups
  TRY(read_count(r, 0, kMaxTypes, "types", &count));
  if (!types_.reserve(count) || !groups_.reserve(count)) return diag_->no_memory();
  for (u32 i = 0; i < count; i++, tick()) TRY(read_group(r));
  Span<u32> canonical = m_->arena.make_array<u32>(types_.size());
  if (canonical.size() != types_.size()) return diag_->no_memory();
  TRY(canonicalize_types(types_.span(), groups_.span(), &m_->arena, canonical, diag_));
  m_->types = types_.span();
  m_->type_group_begin = groups_.span();
  m_->type_canonical = canonical;
  return Err::kOk;
}

// One type, or `rec` and several that may refer to each other.
Err Decoder::read_group(Reader* r) {
  const u32 start = r->offset();
  const u32 begin = types_.size();
  u8 form = 0;
  u32 count = 1;
  TRY(r->read_u8(&form));
  if (form == kRecForm && features_.wasm3)
    TRY(read_count(r, begin, kMaxTypes, "types", &count));
  else
    r->rewind(start);
  if (begin + count > kMaxTypes)
    return diag_->fail(Err::kLimit, kNone, start, "too many types, the limit is %u", kMaxTypes);
  known_types_ = features_.wasm3 ? begin + count : begin;
  for (u32 i = 0; i < count; i++, tick()) {
    if (!groups_.push(begin)) return diag_->no_memory();
    TRY(read_sub_type(r));
  }
  return Err::kOk;
}

// Only types without declared subtypes and supertypes: those are of use to garbage-collected types only.
Err Decoder::read_sub_type(Reader* r) {
  const u32 start = r->offset();
  u8 form = 0;
  TRY(r->read_u8(&form));
  if (features_.wasm3 && (form == kSubForm || form == kSubFinalForm)) {
    u32 supertypes = 0;
    TRY(r->read_u32(&supertypes));
    if (form == kSubForm || supertypes) return unsupported_type(start, form);
    TRY(r->read_u8(&form));
  }
  if (features_.wasm3 && proposal_of_type_form(form) != Unsupported::kNone)
    return unsupported_type(start, form);
  // The form is a one-byte s7: a continuation bit makes it too long.
  if (form & 0x80) return r->malformed(start, "integer representation too long");
  if (form != kFuncForm) return r->malformed(start, "malformed function type");
  return read_func_type(r);
}

Err Decoder::read_func_type(Reader* r) {
  FuncType type;
  TRY(read_type_list(r, kMaxParams, "parameters", &type.params));
  TRY(read_type_list(r, kMaxResults, "results", &type.results));
  return types_.push(type) ? Err::kOk : diag_->no_memory();
}

Err Decoder::read_type_list(Reader* r, u32 limit, const char* what, Span<const ValType>* out) {
  u32 count = 0;
  TRY(read_count(r, 0, limit, what, &count));
  Span<ValType> types = m_->arena.make_array<ValType>(count);
  if (types.size() != count) return diag_->no_memory();
  for (ValType& type : ticking(types)) TRY(read_val_type(r, &type));
  *out = types;
  return Err::kOk;
}

void Decoder::check_type(u32 offset, ValType type) {
  if (is_concrete(type) && type_index_of(type) >= known_types_)
    invalid(offset, "unknown type %u", type_index_of(type));
}

Err Decoder::read_val_type(Reader* r, ValType* out) {
  const u32 start = r->offset();
  TRY(r->read_val_type(out));
  check_type(start, *out);
  return Err::kOk;
}

Err Decoder::read_ref_type(Reader* r, ValType* out) {
  const u32 start = r->offset();
  TRY(r->read_ref_type(out));
  check_type(start, *out);
  return Err::kOk;
}

Err Decoder::read_type_index(Reader* r, u32* out) {
  const u32 start = r->offset();
  TRY(r->read_u32(out));
  if (*out >= m_->types.size()) invalid(start, "unknown type %u", *out);
  return Err::kOk;
}

// 3.0 has 64-bit numbers here, whatever the index type.
Err Decoder::read_bound(Reader* r, u64* out) {
  if (features_.wasm3) return r->read_u64(out);
  u32 bound = 0;
  TRY(r->read_u32(&bound));
  *out = bound;
  return Err::kOk;
}

Err Decoder::read_limits(Reader* r, bool may_be_shared, Limits* out, bool* is_shared) {
  const u32 start = r->offset();
  u8 flags = 0;
  TRY(r->read_u8(&flags));
  u8 known = kHasMax;
  if (may_be_shared && features_.threads) known |= kShared;
  if (features_.wasm3) {
    // Malformed it is, as the specification has it, though the proposal is known by name.
    if (may_be_shared && (flags & ~(known | kIs64)) == kPageSize)
      return r->malformed(start,
                          "malformed limits flags: custom page sizes are not supported; link "
                          "without --page-size");
    if (flags & ~(known | kIs64)) return r->malformed(start, "malformed limits flags");
  } else {
    // The flags are an integer of one or two bits.
    if (flags & 0x80) return r->malformed(start, "integer representation too long");
    if (flags & ~known) return r->malformed(start, "integer too large");
  }
  out->has_max = flags & kHasMax;
  out->is_64 = flags & kIs64;
  *is_shared = flags & kShared;
  TRY(read_bound(r, &out->min));
  if (out->has_max) TRY(read_bound(r, &out->max));
  if (out->has_max && out->min > out->max)
    invalid(start, "size minimum must not be greater than maximum");
  return Err::kOk;
}

Err Decoder::read_table_type(Reader* r, TableType* out) {
  const u32 start = r->offset();
  TRY(read_ref_type(r, &out->elem));
  bool is_shared;
  TRY(read_limits(r, false, &out->limits, &is_shared));
  const Limits& limits = out->limits;
  if (!limits.is_64 && (limits.min > ~u32{0} || (limits.has_max && limits.max > ~u32{0})))
    invalid(start, "table size must be at most 2^32-1");
  return Err::kOk;
}

Err Decoder::read_memory_type(Reader* r, MemoryType* out) {
  const u32 start = r->offset();
  TRY(read_limits(r, true, &out->limits, &out->is_shared));
  const Limits& limits = out->limits;
  const u64 most = limits.is_64 ? kMaxPages64 : kMaxMemoryPages;
  if (limits.min > most || (limits.has_max && limits.max > most))
    invalid(start, limits.is_64 ? "memory size must be at most 2^48 pages"
                                : "memory size must be at most 65536 pages (4GiB)");
  if (out->is_shared && !limits.has_max) invalid(start, "shared memory must have maximum");
  return Err::kOk;
}

Err Decoder::read_global_type(Reader* r, GlobalType* out) {
  TRY(read_val_type(r, &out->type));
  u8 mutability = 0;
  TRY(r->read_u8(&mutability));
  if (mutability > 1) return r->malformed(r->offset() - 1, "malformed mutability");
  out->is_mutable = mutability == 1;
  return Err::kOk;
}

Err Decoder::read_tag_type(Reader* r, Tag* out) {
  u8 attribute = 0;
  TRY(r->read_u8(&attribute));
  if (attribute != 0) return r->malformed(r->offset() - 1, "malformed tag attribute");
  const u32 start = r->offset();
  TRY(read_type_index(r, &out->type));
  if (out->type < m_->types.size() && !m_->types[out->type].results.empty())
    invalid(start, "non-empty tag result type");
  return Err::kOk;
}

}  // namespace wring
