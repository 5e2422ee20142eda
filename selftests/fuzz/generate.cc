// SPDX-License-Identifier: GPL-2.0
// The sections of a generated module; bodies are generate_body.cc's.
#include "selftests/fuzz/generate.h"

namespace wring::test {

namespace {

constexpr u32 kPageBytes = 65'536;

// Runs of one type and mixtures.
std::string types(Choices* c, const std::string& alphabet, u32 count) {
  std::string out;
  const u32 other = c->pick({50u, 0u, 100u, 50u});
  const char first = alphabet[c->below(static_cast<u32>(alphabet.size()))];
  while (out.size() < count)
    out += c->chance(other) ? alphabet[c->below(static_cast<u32>(alphabet.size()))] : first;
  return out;
}

// Mostly what fits registers; now and then what does not.
Signature signature(Choices* c, const std::string& alphabet) {
  u32 params = c->chance(15) ? 5 + c->below(20) : c->below(5);
  u32 results = c->chance(12) ? 2 + c->below(12) : c->chance(85) ? 1 : 0;
  if (c->chance(1)) params = 40 + c->below(60);
  return {types(c, alphabet, params), types(c, alphabet, results)};
}

void put_types(Body* out, const std::string& letters) {
  put_leb(out, letters.size());
  for (char c : letters) out->push_back(ModuleWriter::type_of_letter(c));
}

void put_section(Body* out, u8 id, u64 count, const Body& items) {
  if (count == 0) return;
  Body head;
  put_leb(&head, count);
  out->push_back(id);
  put_leb(out, head.size() + items.size());
  out->insert(out->end(), head.begin(), head.end());
  out->insert(out->end(), items.begin(), items.end());
}

void put_limits(Body* out, u32 least, u32 most, bool is_64 = false) {
  out->push_back(is_64 ? 5 : 1);
  put_leb(out, least);
  put_leb(out, most);
}

void put_const(Body* out, u8 opcode, i64 value) {
  out->push_back(opcode);
  put_sleb(out, value);
  out->push_back(0x0b);
}

void put_export(Body* out, const std::string& name, u8 kind, u32 index) {
  put_leb(out, name.size());
  out->insert(out->end(), name.begin(), name.end());
  out->push_back(kind);
  put_leb(out, index);
}

class ModuleGenerator {
 public:
  ModuleGenerator(Choices* choices, const GenerateOptions& options)
      : c_(*choices), options_(options) {}

  Body generate() {
    choose_shape();
    Body out = {0x00, 'a', 's', 'm', 1, 0, 0, 0};
    Body items;
    for (const Signature& type : shape_.types) {
      items.push_back(0x60);
      put_types(&items, type.params);
      put_types(&items, type.results);
    }
    put_section(&out, 1, shape_.types.size(), items);
    items.clear();
    for (u32 type : shape_.functions) put_leb(&items, type);
    put_section(&out, 3, shape_.functions.size(), items);
    put_tables(&out);
    put_memory(&out);
    items.clear();
    for (u32 type : shape_.tags) {
      items.push_back(0);
      put_leb(&items, type);
    }
    put_section(&out, 13, shape_.tags.size(), items);
    put_globals(&out);
    put_exports(&out);
    put_elements(&out);
    if (!shape_.data.empty()) {
      out.insert(out.end(), {12, 1});
      put_leb(&out, shape_.data.size());
    }
    items.clear();
    for (u32 f = 0; f < shape_.functions.size(); f++) {
      Body body = generate_function(&c_, shape_, f);
      put_leb(&items, body.size());
      items.insert(items.end(), body.begin(), body.end());
    }
    put_section(&out, 10, shape_.functions.size(), items);
    put_data(&out);
    return out;
  }

 private:
  u32 function_count() const { return static_cast<u32>(shape_.functions.size()); }

  // Modules that use little are as important as those that use everything.
  void choose_uses() {
    GenerateOptions& uses = shape_.uses;
    uses.floats = options_.floats && c_.chance(50);
    uses.simd = options_.simd && uses.floats && c_.chance(50);
    uses.relaxed_simd = options_.relaxed_simd && uses.simd && c_.chance(50);
    uses.references = options_.references && c_.chance(40);
    uses.tail_calls = options_.tail_calls && c_.chance(30);
    uses.atomics = options_.atomics && c_.chance(25);
    uses.memory64 = options_.memory64 && c_.chance(25);
    uses.multi_memory = options_.multi_memory && c_.chance(25);
    uses.call_ref = options_.call_ref && uses.references && c_.chance(50);
    uses.exceptions = options_.exceptions && c_.chance(30);
    shape_.alphabet = uses.simd ? "iilfdvv" : uses.floats ? "iilffdd" : "iil";
  }

  u32 type_index(const Signature& s) {
    u32 type = 0;
    while (type < shape_.types.size() && shape_.types[type] != s) type++;
    if (type == shape_.types.size()) shape_.types.push_back(s);
    return type;
  }

  void choose_shape() {
    choose_uses();
    u32 functions = 1 + c_.below(6);
    for (u32 i = 0; i < functions; i++) {
      u32 type = type_index(signature(&c_, shape_.alphabet));
      shape_.functions.push_back(
          c_.chance(25) ? shape_.functions.empty() ? type : shape_.functions[0] : type);
    }
    // Types of blocks, and of indirect calls that nothing answers.
    for (u32 i = c_.below(4); i > 0; i--)
      shape_.types.push_back(
          {types(&c_, shape_.alphabet, c_.below(5)), types(&c_, shape_.alphabet, c_.below(5))});
    // The values of a tag are also what a block takes that catches them.
    for (u32 i = shape_.uses.exceptions ? 1 + c_.below(3) : 0; i > 0; i--) {
      const std::string values = types(&c_, shape_.alphabet, c_.below(4));
      shape_.tags.push_back(type_index({values, ""}));
      type_index({"", values});
      type_index({"", values + "x"});
    }
    shape_.globals = {{'i', true}, {'i', true}, {'l', true}};
    for (u32 i = c_.below(4); i > 0; i--)
      shape_.globals.push_back(
          {shape_.alphabet[c_.below(static_cast<u32>(shape_.alphabet.size()))], c_.chance(70)});
    shape_.has_memory = c_.chance(95);
    pages_ = c_.chance(5) ? 0 : 1 + c_.below(2);
    shape_.memory_bytes = pages_ * kPageBytes;
    for (u32 i = !shape_.has_memory         ? 0
                 : shape_.uses.multi_memory ? 2 + c_.below(2)
                                            : 1;
         i > 0; i--)
      shape_.memory_64.push_back(shape_.uses.memory64 && c_.chance(70));
    shape_.tables = c_.chance(20) ? 2 : c_.chance(85) ? 1 : 0;
    shape_.table_size =
        c_.chance(10) ? 1 + c_.below(40) : functions * (1 + c_.below(3)) + c_.below(2);
    if (shape_.has_memory)
      for (u32 i = c_.below(4); i > 0; i--) shape_.data.push_back({c_.below(200), c_.chance(50)});
    // The first one fills table 0.
    if (shape_.tables) shape_.elements.push_back({shape_.table_size - c_.chance(10), false});
    for (u32 i = shape_.tables ? c_.below(3) : 0; i > 0; i--)
      shape_.elements.push_back({c_.below(shape_.table_size + 1), c_.chance(80)});
  }

  void put_tables(Body* out) {
    Body items;
    for (u32 i = 0; i < shape_.tables; i++) {
      items.push_back(0x70);
      put_limits(&items, shape_.table_size, shape_.table_size + c_.pick({0u, 0u, 5u}));
    }
    put_section(out, 4, shape_.tables, items);
  }
  void put_memory(Body* out) {
    Body items;
    for (bool is_64 : shape_.memory_64) put_limits(&items, pages_, pages_ + c_.below(3), is_64);
    put_section(out, 5, shape_.memory_64.size(), items);
  }
  void put_globals(Body* out) {
    Body items;
    for (u32 i = 0; i < shape_.globals.size(); i++) {
      const ModuleShape::Global& global = shape_.globals[i];
      items.push_back(ModuleWriter::type_of_letter(global.type));
      items.push_back(global.is_mutable);
      i64 value = static_cast<i64>(c_.bits() >> c_.below(64));
      if (i == 0) value = 5 + c_.below(60);
      Code init;
      switch (global.type) {
        case 'i': init.i32(static_cast<wring::i32>(value)); break;
        case 'l': init.i64(value); break;
        case 'f': init.f32(finite32(value)); break;
        case 'd': init.f64(finite64(value)); break;
        default: init.v128(static_cast<u64>(value), ~static_cast<u64>(value) << 3); break;
      }
      init.end();
      items.insert(items.end(), init.bytes.begin(), init.bytes.end());
    }
    put_section(out, 6, shape_.globals.size(), items);
  }
  void put_exports(Body* out) {
    Body items;
    for (u32 f = 0; f < function_count(); f++) {
      const Signature& s = shape_.signature(f);
      put_export(&items, "f" + std::to_string(f) + ":" + s.params + ":" + s.results, 0, f);
    }
    for (u32 i = 0; i < shape_.memory_64.size(); i++)
      put_export(&items, "memory" + std::to_string(i), 2, i);
    for (u32 i = 0; i < shape_.globals.size(); i++)
      put_export(&items, "g" + std::to_string(i), 3, i);
    put_section(out, 7, function_count() + shape_.memory_64.size() + shape_.globals.size(), items);
  }
  void put_elements(Body* out) {
    Body items;
    for (const ModuleShape::ElementSegment& segment : shape_.elements) {
      bool is_first = &segment == shape_.elements.data();
      if (segment.is_passive) {
        items.insert(items.end(), {1, 0});
      } else {
        items.push_back(0);
        put_const(&items, 0x41, is_first ? 0 : c_.below(shape_.table_size - segment.entries + 1));
      }
      put_leb(&items, segment.entries);
      for (u32 i = 0; i < segment.entries; i++)
        put_leb(&items,
                c_.chance(is_first ? 3 : 50) ? c_.below(function_count()) : i % function_count());
    }
    put_section(out, 9, shape_.elements.size(), items);
  }
  void put_data(Body* out) {
    Body items;
    for (const ModuleShape::DataSegment& segment : shape_.data) {
      bool passive = segment.is_passive || segment.bytes > shape_.memory_bytes;
      items.push_back(passive);
      if (!passive)
        put_const(&items, shape_.memory_64[0] ? 0x42 : 0x41,
                  c_.below(shape_.memory_bytes - segment.bytes + 1) & 0x3ff);
      put_leb(&items, segment.bytes);
      u64 pattern = c_.bits();
      for (u32 i = 0; i < segment.bytes; i++, pattern = pattern * 0x5851'f42d'4c95'7f2d + 1)
        items.push_back(static_cast<u8>(pattern >> 56));
    }
    put_section(out, 11, shape_.data.size(), items);
  }

  // Bits of a float that is no NaN.
  static u32 finite32(i64 value) { return static_cast<u32>(value) & 0xbfff'ffff; }
  static u64 finite64(i64 value) { return static_cast<u64>(value) & 0xbfff'ffff'ffff'ffff; }

  Choices& c_;
  const GenerateOptions options_;
  ModuleShape shape_;
  u32 pages_ = 0;
};

}  // namespace

Body generate_module(Choices* choices, const GenerateOptions& options) {
  return ModuleGenerator(choices, options).generate();
}

Body module_of_input(const uint8_t* data, size_t size) {
  if (size == 0 || data[0] == 0) return Body(data, data + size);
  Choices choices(data, size);
  return generate_module(&choices);
}

}  // namespace wring::test
