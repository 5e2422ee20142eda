// SPDX-License-Identifier: GPL-2.0
// Writes Wasm binaries for tests: bytes of bodies by hand, sections around them by this.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/wasm/instr.h"

namespace wring::test {

using Body = std::vector<u8>;

inline void put_leb(Body* out, u64 value) {
  do {
    u8 byte = value & 0x7f;
    value >>= 7;
    out->push_back(value ? byte | 0x80 : byte);
  } while (value);
}
inline void put_sleb(Body* out, i64 value) {
  for (;;) {
    u8 byte = value & 0x7f;
    value >>= 7;
    bool last = (value == 0 && !(byte & 0x40)) || (value == -1 && (byte & 0x40));
    out->push_back(last ? byte : byte | 0x80);
    if (last) return;
  }
}

// One function's code, instruction by instruction.
struct Code {
  Body bytes;
  Code& op(Opcode opcode) {
    const OpcodeInfo& info = info_of(opcode);
    if (info.prefix) {
      bytes.push_back(info.prefix);
      put_leb(&bytes, info.code);
    } else {
      bytes.push_back(static_cast<u8>(info.code));
    }
    return *this;
  }
  Code& op(Opcode opcode, u64 index) {
    op(opcode);
    put_leb(&bytes, index);
    return *this;
  }
  Code& op(Opcode opcode, u64 a, u64 b) {
    op(opcode, a);
    put_leb(&bytes, b);
    return *this;
  }
  Code& i32(wring::i32 value) {
    op(Opcode::kI32Const);
    put_sleb(&bytes, value);
    return *this;
  }
  Code& i64(wring::i64 value) {
    op(Opcode::kI64Const);
    put_sleb(&bytes, value);
    return *this;
  }
  Code& f32(u32 bits) {
    op(Opcode::kF32Const);
    return raw(&bits, 4);
  }
  Code& f64(u64 bits) {
    op(Opcode::kF64Const);
    return raw(&bits, 8);
  }
  Code& v128(u64 low, u64 high) {
    op(Opcode::kV128Const);
    raw(&low, 8);
    return raw(&high, 8);
  }
  Code& raw(const void* data, size_t size) {
    const u8* from = static_cast<const u8*>(data);
    bytes.insert(bytes.end(), from, from + size);
    return *this;
  }
  // Accesses of memories other than the first.
  Code& access(Opcode opcode, u32 align, u32 memory, u64 offset) {
    op(opcode, align | 0x40);
    put_leb(&bytes, memory);
    put_leb(&bytes, offset);
    return *this;
  }
  // clauses: kind, then tag where the kind has one, then label.
  Code& try_table(wring::i64 type, const std::vector<std::vector<u32>>& clauses) {
    block(Opcode::kTryTable, type);
    put_leb(&bytes, clauses.size());
    for (const auto& clause : clauses)
      for (u32 x : clause) put_leb(&bytes, x);
    return *this;
  }
  // A block type: 0x40, a value type, or a type index.
  Code& block(Opcode opcode, wring::i64 type) {
    op(opcode);
    put_sleb(&bytes, type);
    return *this;
  }
  Code& br_table(const std::vector<u32>& targets, u32 otherwise) {
    op(Opcode::kBrTable, targets.size());
    for (u32 t : targets) put_leb(&bytes, t);
    put_leb(&bytes, otherwise);
    return *this;
  }
  Code& end() { return op(Opcode::kEnd); }
};

class ModuleWriter {
 public:
  static constexpr u8 kI32 = 0x7f, kI64 = 0x7e, kF32 = 0x7d, kF64 = 0x7c, kV128 = 0x7b,
                      kFuncRef = 0x70, kExternRef = 0x6f, kExnRef = 0x69;

  // i32 i, i64 l, f32 f, f64 d, v128 v; funcref p, externref r, exnref x.
  static u8 type_of_letter(char letter) {
    switch (letter) {
      case 'i': return kI32;
      case 'l': return kI64;
      case 'f': return kF32;
      case 'd': return kF64;
      case 'v': return kV128;
      case 'p': return kFuncRef;
      case 'r': return kExternRef;
      default: return kExnRef;
    }
  }

  // Index of the type; equal ones share it.
  u32 type(const std::string& params, const std::string& results) {
    Body bytes = {0x60};
    for (const std::string* list : {&params, &results}) {
      put_leb(&bytes, list->size());
      for (char c : *list) bytes.push_back(type_of_letter(c));
    }
    auto [known, is_new] = type_index_.try_emplace(bytes, types_.size());
    if (is_new) types_.push_back(bytes);
    return known->second;
  }
  // Imports come first.
  u32 import(const std::string& module, const std::string& name, u32 type) {
    Body bytes;
    put_name(&bytes, module);
    put_name(&bytes, name);
    bytes.push_back(0);
    put_leb(&bytes, type);
    imports_.push_back(bytes);
    return static_cast<u32>(imports_.size() - 1);
  }
  // `locals` by letter, as in type(). The final end is added. Exported as f<index>.
  u32 function(u32 type, const std::string& locals, const Code& code) {
    Body body;
    Body runs;
    u32 count = 0;
    for (size_t i = 0; i < locals.size(); count++) {
      size_t j = locals.find_first_not_of(locals[i], i);
      if (j == std::string::npos) j = locals.size();
      put_leb(&runs, j - i);
      runs.push_back(type_of_letter(locals[i]));
      i = j;
    }
    put_leb(&body, count);
    body.insert(body.end(), runs.begin(), runs.end());
    body.insert(body.end(), code.bytes.begin(), code.bytes.end());
    body.push_back(0x0b);
    functions_.push_back({type, body});
    return static_cast<u32>(imports_.size() + functions_.size() - 1);
  }
  u32 global(u8 type, bool is_mutable, i64 value) {
    Code init;
    if (type == kI32)
      init.i32(static_cast<i32>(value));
    else
      init.i64(value);
    return global(type, is_mutable, init);
  }
  // `init` without its end.
  u32 global(u8 type, bool is_mutable, const Code& init) {
    Body bytes = {type, is_mutable};
    bytes.insert(bytes.end(), init.bytes.begin(), init.bytes.end());
    bytes.push_back(0x0b);
    globals_.push_back(bytes);
    return static_cast<u32>(globals_.size() - 1);
  }
  u32 tag(u32 type) {
    Body bytes = {0};
    put_leb(&bytes, type);
    tags_.push_back(bytes);
    return static_cast<u32>(tags_.size() - 1);
  }
  u32 memory(u32 pages, u32 max, bool is_64 = false) {
    Body bytes = {static_cast<u8>(is_64 ? 5 : 1)};
    put_leb(&bytes, pages);
    put_leb(&bytes, max);
    memories_.push_back(bytes);
    return static_cast<u32>(memories_.size() - 1);
  }
  // Another table, of nulls.
  u32 table_of(u8 type, u32 size, u32 max, bool is_64 = false) {
    Body bytes = {type, static_cast<u8>(is_64 ? 5 : 1)};
    put_leb(&bytes, size);
    put_leb(&bytes, max);
    tables_.push_back(bytes);
    return static_cast<u32>(tables_.size() - 1);
  }
  // Entry i of the table, which is the first, is functions[i]; `size` entries, growable if max > size.
  void table(const std::vector<u32>& functions, u32 size, u32 max) {
    table_of(kFuncRef, size, max);
    elements_ = {1, 0, 0x41, 0, 0x0b};
    put_leb(&elements_, functions.size());
    for (u32 f : functions) put_leb(&elements_, f);
  }

  // An active segment of the first memory.
  void data(u32 offset, const Body& contents) {
    Code at;
    at.i32(static_cast<i32>(offset)).end();
    Body bytes = {0};
    bytes.insert(bytes.end(), at.bytes.begin(), at.bytes.end());
    put_leb(&bytes, contents.size());
    bytes.insert(bytes.end(), contents.begin(), contents.end());
    data_.push_back(bytes);
  }

  Body finish() const {
    Body out = {0, 'a', 's', 'm', 1, 0, 0, 0};
    section(&out, 1, types_);
    section(&out, 2, imports_);
    Body types, codes, exports;
    for (u32 i = 0; i < functions_.size(); i++) {
      put_leb(&types, functions_[i].type);
      put_leb(&codes, functions_[i].body.size());
      codes.insert(codes.end(), functions_[i].body.begin(), functions_[i].body.end());
      put_name(&exports, "f" + std::to_string(imports_.size() + i));
      exports.push_back(0);
      put_leb(&exports, imports_.size() + i);
    }
    counted(&out, 3, functions_.size(), types);
    section(&out, 4, tables_);
    section(&out, 5, memories_);
    section(&out, 13, tags_);
    section(&out, 6, globals_);
    counted(&out, 7, functions_.size(), exports);
    raw(&out, 9, elements_);
    counted(&out, 10, functions_.size(), codes);
    section(&out, 11, data_);
    return out;
  }

 private:
  struct Function {
    u32 type;
    Body body;
  };
  static void put_name(Body* out, const std::string& name) {
    put_leb(out, name.size());
    out->insert(out->end(), name.begin(), name.end());
  }
  static void raw(Body* out, u8 id, const Body& bytes) {
    if (bytes.empty()) return;
    out->push_back(id);
    put_leb(out, bytes.size());
    out->insert(out->end(), bytes.begin(), bytes.end());
  }
  static void counted(Body* out, u8 id, u64 count, const Body& items) {
    if (!count) return;
    Body bytes;
    put_leb(&bytes, count);
    bytes.insert(bytes.end(), items.begin(), items.end());
    raw(out, id, bytes);
  }
  static void section(Body* out, u8 id, const std::vector<Body>& items) {
    Body bytes;
    for (const Body& item : items) bytes.insert(bytes.end(), item.begin(), item.end());
    counted(out, id, items.size(), bytes);
  }
  std::vector<Body> types_, imports_, globals_, tables_, memories_, tags_, data_;
  std::map<Body, u32> type_index_;
  std::vector<Function> functions_;
  Body elements_;
};

// nullptr if it does not decode: then *message says why.
inline Module* decode_module(const Body& bytes, std::string* message = nullptr) {
  Module* module = nullptr;
  Diag diag;
  Err err = decode({bytes.data(), bytes.size()}, Features(), usize{1} << 29, &module, &diag);
  if (err == Err::kOk) return module;
  if (message) *message = std::to_string(diag.offset) + ": " + diag.message;
  return nullptr;
}

}  // namespace wring::test
