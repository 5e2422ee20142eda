// SPDX-License-Identifier: GPL-2.0
// The parts of Reader that are not on the path of every instruction.
#include "core/wasm/reader.h"

#include "core/base/pace.h"
#include "core/wasm/unsupported.h"

namespace wring {

Err Reader::unexpected_end() { return malformed(end_, "unexpected end of section or function"); }

// The spec bounds an N-bit integer to ceil(N / 7) bytes and wants the last one's unused bits to be zero, or
// copies of the sign.
Err Reader::read_leb(u32 bits, bool is_signed, u64* out) {
  const u32 start = pos_;
  const u32 max_bytes = (bits + 6) / 7;
  u64 value = 0;
  u32 shift = 0;
  u8 byte = 0;
  do {
    if (shift == max_bytes * 7) return malformed(start, "integer representation too long");
    TRY(read_u8(&byte));
    value |= u64{byte & 0x7fu} << shift;
    shift += 7;
  } while (byte & 0x80);

  if (shift > bits) {
    u32 used = bits - (shift - 7);  // bits of the last byte that count: 1 to 6
    u32 rest = (byte & 0x7fu) >> (is_signed ? used - 1 : used);
    u32 ones = 0x7fu >> (used - 1);
    if (rest != 0 && !(is_signed && rest == ones)) return malformed(start, "integer too large");
  }
  if (is_signed && shift < 64 && (byte & 0x40)) value |= ~u64{0} << shift;
  *out = value;
  return Err::kOk;
}

Err Reader::read_fixed32(u32* out) {
  if (remaining() < 4) return unexpected_end();
  __builtin_memcpy(out, data_ + pos_, 4);
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  pos_ += 4;
  return Err::kOk;
}

Err Reader::read_fixed64(u64* out) {
  if (remaining() < 8) return unexpected_end();
  __builtin_memcpy(out, data_ + pos_, 8);
  pos_ += 8;
  return Err::kOk;
}

Err Reader::skip(u32 count) {
  if (remaining() < count) return unexpected_end();
  pos_ += count;
  return Err::kOk;
}

Err Reader::read_bytes(u32 count, Bytes* out) {
  const u32 start = pos_;
  TRY(skip(count));
  *out = Bytes(data_ + start, count);
  return Err::kOk;
}

Err Reader::read_name(Bytes* out) {
  const u32 start = pos_;
  u32 length = 0;
  TRY(read_u32(&length));
  if (length > remaining()) return malformed(start, "length out of bounds");
  const u32 text = pos_;
  TRY(read_bytes(length, out));
  if (!is_utf8(*out)) return malformed(text, "malformed UTF-8 encoding");
  return Err::kOk;
}

// The nullable reference to the abstract heap type that the byte encodes; `otherwise` is what to say if there is none.
Err Reader::abstract_heap(u32 start, u8 byte, const char* otherwise, ValType* out) {
  switch (byte) {
    case 0x70:  // func
    case 0x6f:  // extern
      *out = static_cast<ValType>(byte);
      return Err::kOk;
    case 0x69:  // exn
    case 0x72:  // noextern
    case 0x73:  // nofunc
    case 0x74:  // noexn
      if (!features_.wasm3) break;
      *out = static_cast<ValType>(byte);
      return Err::kOk;
    default: break;
  }
  const Unsupported proposal = proposal_of_heap_type(byte);
  if (proposal != Unsupported::kNone && features_.wasm3)
    return fail_unsupported(diag_, func_, start, proposal, "heap type", byte);
  return malformed(start, otherwise);
}

Err Reader::read_heap_type(ValType* out) {
  const u32 start = pos_;
  if (!features_.wasm3) {
    u8 byte = 0;
    TRY(read_u8(&byte));
    return abstract_heap(start, byte, "malformed reference type", out);
  }
  i64 value = 0;
  TRY(read_s33(&value));
  if (value >= 0) {
    *out = ref_to(static_cast<u32>(min<i64>(value, kMaxTypeIndex)), true);
    return Err::kOk;
  }
  // Abstract heap types are negative single bytes.
  if (pos_ != start + 1) return malformed(start, "malformed heap type");
  return abstract_heap(start, data_[start], "malformed heap type", out);
}

// The rest of a reference type whose first byte is `form`: 0x63 (nullable) or 0x64.
Err Reader::read_typed_ref(u32 start, u8 form, ValType* out) {
  if (!features_.wasm3) return malformed(start, "malformed reference type");
  TRY(read_heap_type(out));
  if (form == 0x64) *out = as_non_null(*out);
  return Err::kOk;
}

Err Reader::read_val_type(ValType* out) {
  const u32 start = pos_;
  u8 byte = 0;
  TRY(read_u8(&byte));
  const ValType type = static_cast<ValType>(byte);
  if (is_num(type) || type == ValType::kV128) {
    *out = type;
    return Err::kOk;
  }
  if (features_.wasm3 && (byte == 0x63 || byte == 0x64)) return read_typed_ref(start, byte, out);
  return abstract_heap(start, byte, "malformed value type", out);
}

Err Reader::read_ref_type(ValType* out) {
  const u32 start = pos_;
  u8 byte = 0;
  TRY(read_u8(&byte));
  if (byte == 0x63 || byte == 0x64) return read_typed_ref(start, byte, out);
  return abstract_heap(start, byte, "malformed reference type", out);
}

bool is_utf8(Bytes text) {
  u32 i = 0;
  const u32 size = text.size();
  for (; i < size; tick()) {
    const u8 lead = text[i++];
    if (lead < 0x80) continue;
    u32 more;                    // continuation bytes
    u8 low = 0x80, high = 0xbf;  // range of the first of them
    if (lead >= 0xc2 && lead <= 0xdf) {
      more = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2;
      if (lead == 0xe0) low = 0xa0;   // overlong
      if (lead == 0xed) high = 0x9f;  // surrogates
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3;
      if (lead == 0xf0) low = 0x90;   // overlong
      if (lead == 0xf4) high = 0x8f;  // above U+10FFFF
    } else {
      return false;
    }
    if (size - i < more) return false;
    if (text[i] < low || text[i] > high) return false;
    for (u32 k = 1; k < more; k++)
      if ((text[i + k] & 0xc0) != 0x80) return false;
    i += more;
  }
  return true;
}

}  // namespace wring
