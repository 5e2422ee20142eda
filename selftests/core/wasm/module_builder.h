// SPDX-License-Identifier: GPL-2.0
// Test support: assembles small Wasm binaries byte by byte, valid or not, and decodes them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "core/wasm/module.h"

namespace wring::testing {

using Bin = std::vector<uint8_t>;

inline Bin operator+(Bin a, const Bin& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline Bin uleb(uint64_t value) {
  Bin out;
  do {
    uint8_t byte = value & 0x7f;
    value >>= 7;
    out.push_back(value ? byte | 0x80 : byte);
  } while (value);
  return out;
}

inline Bin sleb(int64_t value) {
  Bin out;
  for (;;) {
    uint8_t byte = value & 0x7f;
    value >>= 7;
    const bool last = (value == 0 && !(byte & 0x40)) || (value == -1 && (byte & 0x40));
    out.push_back(last ? byte : byte | 0x80);
    if (last) return out;
  }
}

inline Bin str(const std::string& text) {
  return uleb(text.size()) + Bin(text.begin(), text.end());
}

// `count` items that are already one after the other.
inline Bin counted(uint64_t count, const Bin& items) { return uleb(count) + items; }
inline Bin vec(std::initializer_list<Bin> items) {
  Bin out = uleb(items.size());
  for (const Bin& item : items) out = out + item;
  return out;
}
inline Bin repeat(size_t times, const Bin& what) {
  Bin out;
  out.reserve(times * what.size());
  for (size_t i = 0; i < times; i++) out.insert(out.end(), what.begin(), what.end());
  return out;
}

inline Bin header() { return {0, 'a', 's', 'm', 1, 0, 0, 0}; }
inline Bin section(uint8_t id, const Bin& payload) {
  return Bin{id} + uleb(payload.size()) + payload;
}
inline Bin custom(const std::string& name, const Bin& payload) {
  return section(0, str(name) + payload);
}
inline Bin types(std::initializer_list<Bin> items) { return section(1, vec(items)); }
inline Bin func_type(const Bin& params, const Bin& results) {
  return Bin{0x60} + uleb(params.size()) + params + uleb(results.size()) + results;
}
// A code section's entry: no locals unless `locals` (the vector of runs) is given.
inline Bin body(const Bin& code, const Bin& locals = {0}) {
  return uleb(locals.size() + code.size()) + locals + code;
}
// One function of type `type`; `before` are sections 4 to 9 and 12.
inline Bin function_module(const Bin& type, const Bin& code, const Bin& before = {},
                           const Bin& locals = {0}) {
  return header() + types({type}) + section(3, vec({{0}})) + before +
         section(10, vec({body(code, locals)}));
}
// [] -> [] with a memory of one page.
inline Bin memory_module(const Bin& code) {
  return function_module(func_type({}, {}), code, section(5, {1, 0, 1}));
}

constexpr uint8_t kI32 = 0x7f, kI64 = 0x7e, kF32 = 0x7d, kF64 = 0x7c, kV128 = 0x7b, kFuncRef = 0x70,
                  kExternRef = 0x6f, kExnRef = 0x69;
// In front of a heap type: a reference to it.
constexpr uint8_t kRefNull = 0x63, kRef = 0x64;

struct Decoded {
  std::unique_ptr<Module, void (*)(Module*)> module{nullptr, module_free};
  Err err = Err::kOk;
  Diag diag;
};

constexpr Features kWasm2 = {false, false};

inline Decoded decode_bin(const Bin& bin, size_t max_bytes = size_t{256} << 20,
                          Features features = Features()) {
  // An allocation of the exact size, so that sanitizers see reads beyond it.
  std::unique_ptr<uint8_t[]> exact(new uint8_t[bin.size()]);
  for (size_t i = 0; i < bin.size(); i++) exact[i] = bin[i];
  Decoded out;
  Module* module = nullptr;
  out.err = decode(Bytes(exact.get(), bin.size()), features, max_bytes, &module, &out.diag);
  out.module.reset(module);
  return out;
}

inline Bytes bytes_of(const char* text) {
  return Bytes(reinterpret_cast<const u8*>(text), __builtin_strlen(text));
}
inline std::string text_of(Bytes bytes) { return std::string(bytes.begin(), bytes.end()); }

}  // namespace wring::testing

// Checks that a binary is rejected with that class of error, at that byte of the module and with that text first.
#define EXPECT_REJECTED(bin, error, at, text) \
  EXPECT_REJECTED_AS(::wring::Features(), bin, error, at, text)
#define EXPECT_REJECTED_AS(features, bin, error, at, text)                                       \
  do {                                                                                           \
    const ::wring::testing::Decoded rejected_ =                                                  \
        ::wring::testing::decode_bin(bin, size_t{256} << 20, features);                          \
    EXPECT_EQ(static_cast<int>(rejected_.err), static_cast<int>(error));                         \
    EXPECT_EQ(rejected_.module, nullptr);                                                        \
    EXPECT_EQ(static_cast<int>(rejected_.diag.code), static_cast<int>(error));                   \
    EXPECT_EQ(rejected_.diag.offset, static_cast<::wring::u32>(at)) << rejected_.diag.message;   \
    EXPECT_EQ(std::string(rejected_.diag.message).rfind(text, 0), 0u) << rejected_.diag.message; \
  } while (0)
#define EXPECT_MALFORMED(bin, at, text) EXPECT_REJECTED(bin, ::wring::Err::kMalformed, at, text)
#define EXPECT_INVALID(bin, at, text) EXPECT_REJECTED(bin, ::wring::Err::kInvalid, at, text)
#define EXPECT_UNSUPPORTED(bin, at, text) EXPECT_REJECTED(bin, ::wring::Err::kUnsupported, at, text)
#define EXPECT_LIMIT(bin, at, text) EXPECT_REJECTED(bin, ::wring::Err::kLimit, at, text)
#define EXPECT_VALID(bin) EXPECT_VALID_AS(::wring::Features(), bin)
#define EXPECT_VALID_AS(features, bin)                                  \
  do {                                                                  \
    const ::wring::testing::Decoded valid_ =                            \
        ::wring::testing::decode_bin(bin, size_t{256} << 20, features); \
    EXPECT_EQ(static_cast<int>(valid_.err), 0)                          \
        << valid_.diag.message << " at " << valid_.diag.offset;         \
  } while (0)
