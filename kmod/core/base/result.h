// SPDX-License-Identifier: GPL-2.0
// Errors: Err says what kind, Diag holds the one message (what, function, byte offset) shown to the user.
//
// Functions that can fail return Err or Result<T>. Whoever detects an error writes it to the Diag of the
// operation with Diag::fail and returns the Err; everybody above passes it on with TRY.
#pragma once

#include "core/base/types.h"

namespace wring {

enum class [[nodiscard]] Err : u8{
    kOk = 0,
    kNoMemory,     // an allocation failed
    kMalformed,    // the binary format is violated (spec, chapter 5)
    kInvalid,      // validation fails (spec, chapter 3)
    kUnsupported,  // valid, but not supported yet
    kLimit,        // a limit of base/limits.h or of the caller is exceeded
    kLink,         // an import is unknown or of the wrong type
    kTrap,         // instantiation trapped
    kInterrupted,  // wring_os_yield asked to stop
    kInternal,     // an invariant of the engine is broken (base/recovery.h)
};

struct Diag {
  Err code = Err::kOk;
  u32 func = kNone;        // function index in the module's index space, or kNone
  u32 offset = kNone;      // byte offset in the module, or kNone
  u32 working_on = kNone;  // the function being validated or compiled, for errors that know of none
  char message[160] = {};

  // Records the first error and returns its code; later calls keep the first. printf-like. The message is one
  // printable line whatever the arguments hold: control characters become '?'.
  Err fail(Err code, u32 func, u32 offset, const char* fmt, ...)
      __attribute__((format(printf, 5, 6)));
  Err vfail(Err code, u32 func, u32 offset, const char* fmt, __builtin_va_list args);
  Err no_memory() { return fail(Err::kNoMemory, kNone, kNone, "out of memory"); }
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(value) {}             // NOLINT(google-explicit-constructor)
  Result(Err error) : value_(), error_(error) {  // NOLINT(google-explicit-constructor)
    WRING_ASSERT(error != Err::kOk);
  }
  bool ok() const { return error_ == Err::kOk; }
  Err error() const { return error_; }
  T& value() {
    WRING_ASSERT(ok());
    return value_;
  }

 private:
  T value_;
  Err error_ = Err::kOk;
};

}  // namespace wring

// TRY(expr): expr is an Err; returns it from the enclosing function unless it is kOk.
#define TRY(expr)                                                                       \
  do {                                                                                  \
    if (::wring::Err try_err_ = (expr); try_err_ != ::wring::Err::kOk) return try_err_; \
  } while (0)

// ASSIGN_OR_RETURN(auto x, expr): expr is a Result<T>.
#define WRING_CONCAT_(a, b) a##b
#define WRING_CONCAT(a, b) WRING_CONCAT_(a, b)
#define ASSIGN_OR_RETURN(decl, expr) ASSIGN_OR_RETURN_(decl, expr, WRING_CONCAT(result_, __LINE__))
#define ASSIGN_OR_RETURN_(decl, expr, tmp) \
  auto tmp = (expr);                       \
  if (!tmp.ok()) return tmp.error();       \
  decl = tmp.value()
