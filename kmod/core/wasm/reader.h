// SPDX-License-Identifier: GPL-2.0
// Reader: a bounds-checked cursor over a part of a module: bytes, LEB128 integers, names (spec, section 5.2).
//
// Every read either succeeds and advances, or reports Err::kMalformed with the offset of what is wrong (for
// an integer: of its first byte) and leaves the cursor somewhere at or after it. Neither allocates nor sleeps.
#pragma once

#include "core/base/result.h"
#include "core/base/span.h"
#include "core/wasm/types.h"

namespace wring {

class Reader {
 public:
  // Reads bytes [begin, end) of `bytes`; errors name the function `func`, which may be kNone. Types and
  // instructions beyond `features` are malformed.
  Reader(Bytes bytes, u32 begin, u32 end, u32 func, Diag* diag, Features features = Features())
      : data_(bytes.data()),
        size_(bytes.size()),
        pos_(begin),
        end_(end),
        func_(func),
        features_(features),
        diag_(diag) {
    WRING_ASSERT(begin <= end && end <= size_);
  }

  u32 offset() const { return pos_; }
  u32 end() const { return end_; }
  u32 remaining() const { return end_ - pos_; }
  bool at_end() const { return pos_ == end_; }
  Diag* diag() const { return diag_; }
  u32 func() const { return func_; }
  Features features() const { return features_; }

  Err read_u8(u8* out) {
    if (pos_ == end_) return unexpected_end();
    *out = data_[pos_++];
    return Err::kOk;
  }
  Err read_u32(u32* out) {
    if (pos_ != end_ && data_[pos_] < 0x80) {
      *out = data_[pos_++];
      return Err::kOk;
    }
    u64 value = 0;
    Err err = read_leb(32, false, &value);
    *out = static_cast<u32>(value);
    return err;
  }
  Err read_u64(u64* out) {
    if (pos_ != end_ && data_[pos_] < 0x80) {
      *out = data_[pos_++];
      return Err::kOk;
    }
    return read_leb(64, false, out);
  }
  // Signed integers of 32, 33 and 64 bits, sign-extended.
  Err read_s32(i64* out) { return read_signed(32, out); }
  Err read_s33(i64* out) { return read_signed(33, out); }
  Err read_s64(i64* out) { return read_signed(64, out); }
  // Little-endian words.
  Err read_fixed32(u32* out);
  Err read_fixed64(u64* out);
  // Advances by `count` bytes, which become *out.
  Err read_bytes(u32 count, Bytes* out);
  Err skip(u32 count);
  // Goes back to an offset where the cursor has been.
  void rewind(u32 offset) {
    WRING_ASSERT(offset <= pos_);
    pos_ = offset;
  }
  // A length and that many bytes of UTF-8.
  Err read_name(Bytes* out);
  // Types. Type indices are not checked, but cut to kMaxTypeIndex, which is beyond every type section. Types of the
  // garbage collector are Err::kUnsupported. A heap type becomes the nullable reference to it.
  Err read_val_type(ValType* out);
  Err read_ref_type(ValType* out);
  Err read_heap_type(ValType* out);

  Err malformed(u32 offset, const char* text) {
    return diag_->fail(Err::kMalformed, func_, offset, "%s", text);
  }
  Err unexpected_end();

 private:
  Err read_signed(u32 bits, i64* out) {
    if (pos_ != end_ && data_[pos_] < 0x80) {
      *out = static_cast<i64>(u64{data_[pos_++]} << 57) >> 57;
      return Err::kOk;
    }
    return read_leb(bits, true, reinterpret_cast<u64*>(out));
  }
  Err read_leb(u32 bits, bool is_signed, u64* out);
  Err read_typed_ref(u32 start, u8 form, ValType* out);
  Err abstract_heap(u32 start, u8 byte, const char* otherwise, ValType* out);

  const u8* data_;
  u32 size_;
  u32 pos_;
  u32 end_;
  u32 func_;
  Features features_;
  Diag* diag_;
};

// Well-formed UTF-8 (Unicode, table 3-7): no overlong forms, surrogates or values above U+10FFFF.
bool is_utf8(Bytes text);

}  // namespace wring
