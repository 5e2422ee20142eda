// SPDX-License-Identifier: GPL-2.0
// The names of proposals, and the options that make compilers do without them.
#include "core/wasm/unsupported.h"

namespace wring {

namespace {

struct Text {
  const char* name;
  const char* advice;
};

Text text_of(Unsupported proposal) {
  switch (proposal) {
    case Unsupported::kNone: break;
    case Unsupported::kGarbageCollection: return {"garbage-collected types are", ""};
    case Unsupported::kLegacyExceptions:
      return {"legacy exception handling is",
              "; build with -sWASM_LEGACY_EXCEPTIONS=0 (emcc), -mllvm -wasm-use-legacy-eh=false "
              "(clang)"};
    case Unsupported::kStringRefs: return {"string references are", ""};
    case Unsupported::kStackSwitching: return {"stack switching is", ""};
    case Unsupported::kSharedEverything: return {"shared-everything threads are", ""};
    case Unsupported::kWideArithmetic:
      return {"wide arithmetic is", "; build with -mno-wide-arithmetic"};
    case Unsupported::kHalfPrecision: return {"half precision is", "; build with -mno-fp16"};
    case Unsupported::kMemoryControl: return {"memory control is", ""};
    case Unsupported::kComponents:
      return {"components are",
              "; build a core module (wasm32-wasip1) or take one out (wasm-tools component "
              "unbundle)"};
  }
  WRING_UNREACHABLE();
}

bool is_between(u32 low, u32 code, u32 high) { return low <= code && code <= high; }

}  // namespace

Unsupported proposal_of_opcode(u8 prefix, u32 code) {
  switch (prefix) {
    case 0:
      // try, catch, rethrow, delegate, catch_all
      if (code == 0x06 || code == 0x07 || code == 0x09 || code == 0x18 || code == 0x19)
        return Unsupported::kLegacyExceptions;
      if (code == 0xd3) return Unsupported::kGarbageCollection;  // ref.eq
      // cont.new to switch
      return is_between(0xe0, code, 0xe6) ? Unsupported::kStackSwitching : Unsupported::kNone;
    case 0xfb:
      return is_between(0x80, code, 0xb7) ? Unsupported::kStringRefs
                                          : Unsupported::kGarbageCollection;
    case 0xfc:
      if (code == 0x12) return Unsupported::kMemoryControl;  // memory.discard
      // i64.add128, i64.sub128, i64.mul_wide_s, i64.mul_wide_u
      if (is_between(0x13, code, 0x16)) return Unsupported::kWideArithmetic;
      // f32.load_f16, f32.store_f16
      return is_between(0x30, code, 0x31) ? Unsupported::kHalfPrecision : Unsupported::kNone;
    case 0xfd:
      return is_between(0x120, code, 0x14f) ? Unsupported::kHalfPrecision : Unsupported::kNone;
    case 0xfe:
      // pause; global.atomic.get and on
      return code == 0x04 || is_between(0x4f, code, 0x72) ? Unsupported::kSharedEverything
                                                          : Unsupported::kNone;
    default: return Unsupported::kNone;
  }
}

Unsupported proposal_of_heap_type(u8 byte) {
  switch (byte) {
    case 0x6a:  // array
    case 0x6b:  // struct
    case 0x6c:  // i31
    case 0x6d:  // eq
    case 0x6e:  // any
    case 0x71:  // none
      return Unsupported::kGarbageCollection;
    case 0x67:  // stringref
    case 0x66:  // stringview_wtf8
    case 0x62:  // stringview_wtf16
    case 0x61:  // stringview_iter
      return Unsupported::kStringRefs;
    case 0x68:  // cont
    case 0x75:  // nocont
      return Unsupported::kStackSwitching;
    case 0x65:  // shared
      return Unsupported::kSharedEverything;
    default: return Unsupported::kNone;
  }
}

Unsupported proposal_of_type_form(u8 form) {
  switch (form) {
    case 0x50:  // sub
    case 0x4f:  // sub final, with supertypes
    case 0x5f:  // struct
    case 0x5e:  // array
      return Unsupported::kGarbageCollection;
    case 0x5d:  // cont
      return Unsupported::kStackSwitching;
    case 0x65:  // shared
      return Unsupported::kSharedEverything;
    default: return Unsupported::kNone;
  }
}

Err fail_unsupported(Diag* diag, u32 func, u32 offset, Unsupported proposal, const char* what,
                     u32 code) {
  const Text text = text_of(proposal);
  return diag->fail(Err::kUnsupported, func, offset, "%s not supported: %s 0x%02x%s", text.name,
                    what, code, text.advice);
}

}  // namespace wring
