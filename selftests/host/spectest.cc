// SPDX-License-Identifier: GPL-2.0
// spectest: no-op print functions, constants 666, tables of 10 to 20 and memories of 1 to 2 pages (the test suite's
// harness/README of WebAssembly/spec).
#include "selftests/host/spectest.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace wring::host {

namespace {

struct PrintFunction {
  const char* name;
  std::vector<uint8_t> params;
};

constexpr uint8_t kI32 = 0x7f, kI64 = 0x7e, kF32 = 0x7d, kF64 = 0x7c;

const std::vector<PrintFunction>& print_functions() {
  static const std::vector<PrintFunction> functions = {{"print", {}},
                                                       {"print_i32", {kI32}},
                                                       {"print_i64", {kI64}},
                                                       {"print_f32", {kF32}},
                                                       {"print_f64", {kF64}},
                                                       {"print_i32_f32", {kI32, kF32}},
                                                       {"print_f64_f64", {kF64, kF64}}};
  return functions;
}

std::string leb(size_t n) {
  std::string out;
  do {
    uint8_t byte = n & 0x7f;
    n >>= 7;
    out += static_cast<char>(n ? byte | 0x80 : byte);
  } while (n);
  return out;
}

std::string name_of(const std::string& text) { return leb(text.size()) + text; }

std::string bytes(std::initializer_list<uint8_t> list) {
  return std::string(reinterpret_cast<const char*>(list.begin()), list.size());
}

std::string section(uint8_t id, const std::string& payload) {
  return bytes({id}) + leb(payload.size()) + payload;
}

std::string vector_section(uint8_t id, const std::vector<std::string>& items) {
  std::string payload = leb(items.size());
  for (const std::string& item : items) payload += item;
  return section(id, payload);
}

template <class T>
std::string raw(T value) {
  std::string out(sizeof(value), 0);
  std::memcpy(out.data(), &value, sizeof(value));
  return out;
}

constexpr uint8_t kTableExport = 1, kMemoryExport = 2, kGlobalExport = 3;

std::string header() { return bytes({0, 'a', 's', 'm', 1, 0, 0, 0}); }

std::string base_module() {
  const std::vector<PrintFunction>& functions = print_functions();
  std::vector<std::string> types, declarations, exports, bodies;
  for (size_t i = 0; i < functions.size(); i++) {
    const std::vector<uint8_t>& params = functions[i].params;
    types.push_back(bytes({0x60}) + leb(params.size()) + std::string(params.begin(), params.end()) +
                    bytes({0}));
    declarations.push_back(leb(i));
    bodies.push_back(bytes({2, 0, 0x0b}));
    exports.push_back(name_of(functions[i].name) + bytes({0}) + leb(i));
  }
  exports.push_back(name_of("table") + bytes({kTableExport, 0}));
  exports.push_back(name_of("memory") + bytes({kMemoryExport, 0}));
  const char* globals[] = {"global_i32", "global_i64", "global_f32", "global_f64"};
  for (uint8_t i = 0; i < 4; i++)
    exports.push_back(name_of(globals[i]) + bytes({kGlobalExport, i}));

  constexpr uint8_t kI32Const = 0x41, kI64Const = 0x42, kF32Const = 0x43, kF64Const = 0x44,
                    kEnd = 0x0b;
  const std::string k666 = bytes({0x9a, 0x05});
  return header() + vector_section(1, types) + vector_section(3, declarations) +
         vector_section(4, {bytes({0x70, 1, 10, 20})}) + vector_section(5, {bytes({1, 1, 2})}) +
         vector_section(6, {bytes({kI32, 0, kI32Const}) + k666 + bytes({kEnd}),
                            bytes({kI64, 0, kI64Const}) + k666 + bytes({kEnd}),
                            bytes({kF32, 0, kF32Const}) + raw(666.6f) + bytes({kEnd}),
                            bytes({kF64, 0, kF64Const}) + raw(666.6) + bytes({kEnd})}) +
         vector_section(7, exports) + vector_section(10, bodies);
}

}  // namespace

std::vector<std::string> spectest_modules() {
  constexpr uint8_t kMax = 1, kShared = 2, kIndex64 = 4;  // flags of limits
  return {base_module(),
          header() + vector_section(4, {bytes({0x70, kMax | kIndex64, 10, 20})}) +
              vector_section(7, {name_of("table64") + bytes({kTableExport, 0})}),
          header() + vector_section(5, {bytes({kMax | kShared, 1, 2})}) +
              vector_section(7, {name_of("shared_memory") + bytes({kMemoryExport, 0})})};
}

}  // namespace wring::host
