// SPDX-License-Identifier: GPL-2.0
// Diag: formatting of the one error message of an operation.
#include "core/base/result.h"

namespace wring {

Err Diag::vfail(Err new_code, u32 new_func, u32 new_offset, const char* fmt,
                __builtin_va_list args) {
  if (code != Err::kOk) return code;
  code = new_code;
  func = new_func;
  offset = new_offset;
  wring_os_vformat(message, sizeof(message), fmt, args);
  for (char* c = message; *c; c++)
    if (static_cast<u8>(*c) < 0x20 || *c == 0x7f) *c = '?';
  return code;
}

Err Diag::fail(Err new_code, u32 new_func, u32 new_offset, const char* fmt, ...) {
  __builtin_va_list args;
  __builtin_va_start(args, fmt);
  Err err = vfail(new_code, new_func, new_offset, fmt, args);
  __builtin_va_end(args);
  return err;
}

}  // namespace wring
