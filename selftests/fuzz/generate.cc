// SPDX-License-Identifier: GPL-2.0
// The sections of a generated module; bodies are generate_body.cc's.
#include "selftests/fuzz/generate.h"

#include <algorithm>

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

void put_name(Body* out, const std::string& name) {
  put_leb(out, name.size());
  out->insert(out->end(), name.begin(), name.end());
}

class ModuleGenerator {
 public:
  // exporter: the module to import from, or null.
  ModuleGenerator(Choices* choices, const GenerateOptions& options, const ModuleShape* exporter)
      : c_(*choices), options_(options), exporter_(exporter) {}

  const ModuleShape& shape() const { return shape_; }

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
    if (exporter_) put_imports(&out);
    items.clear();
    for (u32 f = shape_.imported_functions; f < function_count(); f++)
      put_leb(&items, shape_.functions[f]);
    put_section(&out, 3, function_count() - shape_.imported_functions, items);
    put_tables(&out);
    put_memory(&out);
    items.clear();
    for (u32 i = shape_.imported_tags; i < shape_.tags.size(); i++) put_tag(&items, i);
    put_section(&out, 13, shape_.tags.size() - shape_.imported_tags, items);
    put_globals(&out);
    put_exports(&out);
    put_elements(&out);
    if (!shape_.data.empty()) {
      out.insert(out.end(), {12, 1});
      put_leb(&out, shape_.data.size());
    }
    items.clear();
    for (u32 f = shape_.imported_functions; f < function_count(); f++) {
      Body body = generate_function(&c_, shape_, f);
      put_leb(&items, body.size());
      items.insert(items.end(), body.begin(), body.end());
    }
    put_section(&out, 10, function_count() - shape_.imported_functions, items);
    put_data(&out);
    return out;
  }

 private:
  u32 function_count() const { return static_cast<u32>(shape_.functions.size()); }
  u32 table_entries() const { return shape_.table_size + 2; }

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

  u32 add_function(const Signature& s, FunctionKind kind) {
    shape_.functions.push_back(type_index(s));
    shape_.kinds.push_back(kind);
    return function_count() - 1;
  }
  void add_callable(const Signature& s, FunctionKind kind) {
    shape_.callable.push_back(add_function(s, kind));
  }

  // What there is of the exporter, in its order; of the functions only some.
  void choose_imports() {
    const ModuleShape& from = *exporter_;
    shape_.uses = from.uses;
    shape_.alphabet = from.alphabet;
    shape_.table_size = from.table_size;
    for (u32 f = 0; f < from.functions.size(); f++) {
      const bool is_link = from.kinds[f] == FunctionKind::kChain;
      const bool is_callable =
          std::find(from.callable.begin(), from.callable.end(), f) != from.callable.end();
      if (!is_link && !(is_callable && c_.chance(60))) continue;
      imports_.push_back(f);
      add_function(from.signature(f), FunctionKind::kImported);
      if (is_callable) shape_.callable.push_back(function_count() - 1);
    }
    shape_.imported_functions = function_count();
    // The budget is one for both.
    shape_.imported_globals = 1 + c_.below(static_cast<u32>(from.globals.size()));
    shape_.globals.assign(from.globals.begin(), from.globals.begin() + shape_.imported_globals);
    while (shape_.globals.size() < 3)
      shape_.globals.push_back({shape_.globals.size() == 2 ? 'l' : 'i', true});
    if (!from.tags.empty()) {
      shape_.imported_tags = c_.below(static_cast<u32>(from.tags.size()) + 1);
      for (u32 i = 0; i < shape_.imported_tags; i++)
        shape_.tags.push_back(type_index(from.types[from.tags[i]]));
    }
    if (!from.memory_64.empty() && c_.chance(60)) {
      shape_.imported_memories = 1;
      shape_.memory_64.push_back(from.memory_64[0]);
      shape_.memory_max.push_back(from.memory_max[0]);
    }
    if (from.tables && c_.chance(80)) {
      shape_.imported_tables = shape_.tables = 1;
      shape_.table_max.push_back(from.table_max[0]);
    }
    for (u32 type : from.chain_types) shape_.chain_types.push_back(type_index(from.types[type]));
  }

  void choose_functions() {
    u32 functions = 1 + c_.below(6);
    u32 first = kNone;
    for (u32 i = 0; i < functions; i++) {
      // Types of the exporter's functions again: they may stand in their place in its table.
      Signature s = exporter_ && c_.chance(50)
                        ? exporter_->signature(c_.pick_of(exporter_->callable))
                        : signature(&c_, shape_.alphabet);
      if (first != kNone && c_.chance(25)) s = shape_.signature(first);
      add_callable(s, FunctionKind::kOrdinary);
      if (first == kNone) first = function_count() - 1;
    }
    for (u32 i = c_.chance(70) ? 1 + c_.below(4) : 0; i > 0; i--) {
      const Signature s = {types(&c_, shape_.alphabet, c_.below(4)),
                           types(&c_, shape_.alphabet, c_.chance(85) ? 1 : c_.below(4))};
      add_callable(s, c_.chance(25) ? FunctionKind::kNeverReturns : FunctionKind::kLeaf);
    }
    if (c_.chance(15)) add_function({"", "i"}, FunctionKind::kEndless);
    if (options_.big_functions && c_.below(256) == 255) {
      add_function(signature(&c_, shape_.alphabet), FunctionKind::kBig);
      const std::string wide = types(&c_, shape_.alphabet, 50u << c_.below(5));
      type_index({wide, wide});
    }
  }

  // Two functions for each of two signatures at most, here and in the exporter; and where the chain begins.
  void choose_chain() {
    if (!exporter_ && shape_.uses.tail_calls && c_.chance(50)) {
      const std::string results = types(&c_, shape_.alphabet, 1 + c_.below(2));
      for (u32 i = 0; i < 2; i++) {
        const u32 params = c_.chance(40) ? 6 + c_.below(14) : c_.below(5);
        shape_.chain_types.push_back(
            type_index({"i" + types(&c_, shape_.alphabet, params), results}));
      }
    }
    if (shape_.chain_types.empty()) return;
    for (u32 i = 0; i < shape_.imported_functions; i++)
      for (u32 side = 0; side < 2; side++)
        if (exporter_->kinds[imports_[i]] == FunctionKind::kChain &&
            shape_.functions[i] == shape_.chain_types[side])
          shape_.links[side].push_back(i);
    for (u32 side = 0; side < 2; side++)
      shape_.links[side].push_back(
          add_function(shape_.types[shape_.chain_types[side]], FunctionKind::kChain));
    add_function({"", shape_.types[shape_.chain_types[0]].results}, FunctionKind::kChainStart);
  }

  void choose_shape() {
    pages_ = exporter_ ? exporter_->memory_bytes / kPageBytes : c_.chance(5) ? 0 : 1 + c_.below(2);
    shape_.memory_bytes = pages_ * kPageBytes;
    if (exporter_)
      choose_imports();
    else
      choose_uses();
    choose_functions();
    // Types of blocks, and of indirect calls that nothing answers.
    for (u32 i = c_.below(4); i > 0; i--)
      shape_.types.push_back(
          {types(&c_, shape_.alphabet, c_.below(5)), types(&c_, shape_.alphabet, c_.below(5))});
    // The values of a tag are also what a block takes that catches them.
    for (u32 i = shape_.uses.exceptions ? 1 + c_.below(3) : 0; i > 0; i--)
      shape_.tags.push_back(type_index({types(&c_, shape_.alphabet, c_.below(4)), ""}));
    for (u32 tag : shape_.tags) {
      const std::string values = shape_.types[tag].params;
      type_index({"", values});
      type_index({"", values + "x"});
    }
    if (!exporter_) shape_.globals = {{'i', true}, {'i', true}, {'l', true}};
    for (u32 i = c_.below(4); i > 0; i--)
      shape_.globals.push_back(
          {shape_.alphabet[c_.below(static_cast<u32>(shape_.alphabet.size()))], c_.chance(70)});
    choose_memories();
    choose_tables();
    choose_chain();
  }

  void choose_memories() {
    u32 count = c_.chance(95) ? shape_.uses.multi_memory ? 2 + c_.below(2) : 1 : 0;
    while (shape_.memory_64.size() < count) {
      shape_.memory_64.push_back(shape_.uses.memory64 && c_.chance(70));
      shape_.memory_max.push_back(pages_ + c_.below(3));
    }
    shape_.has_memory = !shape_.memory_64.empty();
    if (shape_.has_memory)
      for (u32 i = c_.below(4); i > 0; i--) shape_.data.push_back({c_.below(200), c_.chance(50)});
  }

  void choose_tables() {
    shape_.tables = std::max(shape_.tables, c_.chance(20) ? 2u : c_.chance(85) ? 1u : 0u);
    const u32 callable = static_cast<u32>(shape_.callable.size());
    if (!exporter_)
      shape_.table_size =
          c_.chance(10) ? 1 + c_.below(40) : callable * (1 + c_.below(3)) + c_.below(2);
    while (shape_.table_max.size() < shape_.tables)
      shape_.table_max.push_back(table_entries() + c_.pick({0u, 0u, 5u}));
    if (shape_.tables == 0) return;
    if (shape_.imported_tables) {
      for (u32 type : exporter_->columns)
        shape_.columns.push_back(type_index(exporter_->types[type]));
    } else {
      for (u32 f : shape_.callable) shape_.columns.push_back(shape_.functions[f]);
      // The first one fills table 0.
      shape_.elements.push_back({shape_.table_size - c_.chance(10), false});
    }
    for (u32 i = c_.below(3); i > 0; i--)
      shape_.elements.push_back({c_.below(shape_.table_size + 1), c_.chance(80)});
    if (shape_.elements.empty()) shape_.elements.push_back({0, true});
  }

  void put_tag(Body* items, u32 tag) {
    items->push_back(0);
    put_leb(items, shape_.tags[tag]);
  }
  void put_table(Body* items, u32 table) {
    items->push_back(0x70);
    put_limits(items, table_entries(), shape_.table_max[table]);
  }
  void put_imports(Body* out) {
    Body items;
    u32 count = 0;
    auto import = [&](const std::string& name, u8 kind) {
      put_name(&items, "exporter");
      put_name(&items, name);
      items.push_back(kind);
      count++;
    };
    for (u32 i = 0; i < shape_.imported_functions; i++) {
      import(export_name(*exporter_, imports_[i]), 0);
      put_leb(&items, shape_.functions[i]);
    }
    for (u32 i = 0; i < shape_.imported_tables; i++) {
      import("table" + std::to_string(i), 1);
      put_table(&items, i);
    }
    for (u32 i = 0; i < shape_.imported_memories; i++) {
      import("memory" + std::to_string(i), 2);
      put_limits(&items, pages_, shape_.memory_max[i], shape_.memory_64[i]);
    }
    for (u32 i = 0; i < shape_.imported_globals; i++) {
      import("g" + std::to_string(i), 3);
      items.push_back(ModuleWriter::type_of_letter(shape_.globals[i].type));
      items.push_back(shape_.globals[i].is_mutable);
    }
    for (u32 i = 0; i < shape_.imported_tags; i++) {
      import("tag" + std::to_string(i), 4);
      put_tag(&items, i);
    }
    put_section(out, 2, count, items);
  }
  void put_tables(Body* out) {
    Body items;
    for (u32 i = shape_.imported_tables; i < shape_.tables; i++) put_table(&items, i);
    put_section(out, 4, shape_.tables - shape_.imported_tables, items);
  }
  void put_memory(Body* out) {
    Body items;
    u32 count = static_cast<u32>(shape_.memory_64.size());
    for (u32 i = shape_.imported_memories; i < count; i++)
      put_limits(&items, pages_, shape_.memory_max[i], shape_.memory_64[i]);
    put_section(out, 5, count - shape_.imported_memories, items);
  }
  void put_globals(Body* out) {
    Body items;
    for (u32 i = shape_.imported_globals; i < shape_.globals.size(); i++) {
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
    put_section(out, 6, shape_.globals.size() - shape_.imported_globals, items);
  }
  static std::string export_name(const ModuleShape& shape, u32 f) {
    const Signature& s = shape.signature(f);
    const bool is_link = std::count(shape.links[0].begin(), shape.links[0].end(), f) ||
                         std::count(shape.links[1].begin(), shape.links[1].end(), f);
    const char* kind = shape.kinds[f] == FunctionKind::kChainStart ? "t"
                       : shape.kinds[f] == FunctionKind::kEndless  ? "endless"
                       : is_link                                   ? "link"
                                                                   : "f";
    return kind + std::to_string(f) + ":" + s.params + ":" + s.results;
  }
  void put_exports(Body* out) {
    Body items;
    u32 count = 0;
    auto put = [&](const std::string& name, u8 kind, u32 index) {
      put_name(&items, name);
      items.push_back(kind);
      put_leb(&items, index);
      count++;
    };
    for (u32 f = 0; f < function_count(); f++) put(export_name(shape_, f), 0, f);
    for (u32 i = 0; i < shape_.memory_64.size(); i++) put("memory" + std::to_string(i), 2, i);
    for (u32 i = 0; i < shape_.globals.size(); i++) put("g" + std::to_string(i), 3, i);
    for (u32 i = 0; i < shape_.tables; i++) put("table" + std::to_string(i), 1, i);
    for (u32 i = 0; i < shape_.tags.size(); i++) put("tag" + std::to_string(i), 4, i);
    put_section(out, 7, count, items);
  }
  // A function of the type, defined here if there is one.
  u32 function_of(u32 type) {
    u32 found = c_.pick_of(shape_.callable);
    for (u32 f : shape_.callable)
      if (shape_.functions[f] == type) found = f;
    return found;
  }
  void put_elements(Body* out) {
    Body items;
    u32 count = static_cast<u32>(shape_.elements.size());
    auto put_active = [&](u32 at, u32 f) {
      items.push_back(0);
      put_const(&items, 0x41, at);
      put_leb(&items, 1);
      put_leb(&items, f);
      count++;
    };
    for (const ModuleShape::ElementSegment& segment : shape_.elements) {
      bool is_first = !shape_.imported_tables && &segment == shape_.elements.data();
      if (segment.is_passive) {
        items.insert(items.end(), {1, 0});
      } else {
        items.push_back(0);
        put_const(&items, 0x41, is_first ? 0 : c_.below(shape_.table_size - segment.entries + 1));
      }
      put_leb(&items, segment.entries);
      for (u32 i = 0; i < segment.entries; i++)
        put_leb(&items, c_.chance(is_first ? 3 : 50) ? c_.pick_of(shape_.callable)
                                                     : shape_.callable[i % shape_.callable.size()]);
    }
    // In the exporter's table, in the place of functions like them.
    if (shape_.imported_tables)
      for (u32 i = 0; i < shape_.table_size; i++) {
        const u32 type = shape_.columns[i % shape_.columns.size()];
        const u32 f = function_of(type);
        if (shape_.functions[f] == type && c_.chance(50)) put_active(i, f);
      }
    if (shape_.tables)
      for (u32 side = 0; side < 2; side++)
        if (!shape_.links[side].empty() && (!shape_.imported_tables || c_.chance(70)))
          put_active(shape_.table_size + side, shape_.links[side].back());
    put_section(out, 9, count, items);
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
  const ModuleShape* exporter_;
  ModuleShape shape_;
  std::vector<u32> imports_;  // by imported function: the exporter's
  u32 pages_ = 0;
};

}  // namespace

Body generate_module(Choices* choices, const GenerateOptions& options) {
  return ModuleGenerator(choices, options, nullptr).generate();
}

ModulePair generate_modules(Choices* choices, const GenerateOptions& options) {
  if (!choices->chance(20)) return {generate_module(choices, options), {}};
  ModuleGenerator exporter(choices, options, nullptr);
  ModulePair pair;
  pair.exporter = exporter.generate();
  pair.module = ModuleGenerator(choices, options, &exporter.shape()).generate();
  return pair;
}

Body module_of_input(const uint8_t* data, size_t size) {
  if (size == 0 || data[0] == 0) return Body(data, data + size);
  Choices choices(data, size);
  GenerateOptions options;
  options.big_functions = false;
  return generate_modules(&choices, options).module;
}

}  // namespace wring::test
