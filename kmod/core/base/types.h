// SPDX-License-Identifier: GPL-2.0
// Fixed-width integers, small utilities and assertions: the engine's stand-in for the standard library.
#pragma once

#include "core/platform.h"

#if __STDC_HOSTED__
#include <new>
#else
inline void* operator new(__SIZE_TYPE__, void* place) noexcept { return place; }
#endif

namespace wring {

using u8 = __UINT8_TYPE__;
using u16 = __UINT16_TYPE__;
using u32 = __UINT32_TYPE__;
using u64 = __UINT64_TYPE__;
using i8 = __INT8_TYPE__;
using i16 = __INT16_TYPE__;
using i32 = __INT32_TYPE__;
using i64 = __INT64_TYPE__;
using usize = __SIZE_TYPE__;

constexpr u32 kNone = ~0u;  // "no index" wherever an index is a u32

template <class T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}
template <class T>
void swap(T& a, T& b) {
  T t = a;
  a = b;
  b = t;
}

template <class To, class From>
To bit_cast(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, from);
}

constexpr bool is_power_of_two(u64 x) { return x != 0 && (x & (x - 1)) == 0; }
constexpr u64 align_up(u64 x, u64 alignment) { return (x + alignment - 1) & ~(alignment - 1); }
constexpr u32 count_trailing_zeros(u64 x) { return static_cast<u32>(__builtin_ctzll(x)); }
// Without the builtin, which may become a library call.
constexpr u32 count_ones(u64 x) {
  u32 n = 0;
  for (; x != 0; x &= x - 1) n++;
  return n;
}
constexpr bool fits_i32(i64 x) { return x == static_cast<i32>(x); }
constexpr bool fits_i8(i64 x) { return x == static_cast<i8>(x); }

}  // namespace wring

// A broken invariant: goes back to the innermost recovery point (base/recovery.h). Does not return, which objtool would
// not believe.
extern "C" [[gnu::cold]] void wring_panic(const char* what);

namespace wring {

// Always inline, so that objtool sees the trap that ends the path.
[[noreturn, gnu::always_inline, gnu::cold]] inline void panic(const char* what) {
  wring_panic(what);
  __builtin_trap();
}

}  // namespace wring

// Builds for fault injection (base/inject.h) ask at every assertion whether it is to fail.
#ifdef WRING_INJECT
extern "C" int wring_inject_assertion(void);
#define WRING_INJECTED_ (!__builtin_is_constant_evaluated() && wring_inject_assertion())
#else
#define WRING_INJECTED_ false
#endif

// An engine invariant, checked in every build: it guards memory safety, never input.
#define WRING_STRINGIFY_(x) #x
#define WRING_STRINGIFY(x) WRING_STRINGIFY_(x)
#define WRING_ASSERT(cond)                                                 \
  (__builtin_expect(!(cond) || WRING_INJECTED_, 0)                         \
       ? ::wring::panic(__FILE__ ":" WRING_STRINGIFY(__LINE__) ": " #cond) \
       : static_cast<void>(0))
#define WRING_UNREACHABLE() ::wring::panic(__FILE__ ":" WRING_STRINGIFY(__LINE__) ": unreachable")
