// SPDX-License-Identifier: GPL-2.0
#include "selftests/fuzz/ioctl/modules.h"

#include <algorithm>
#include <iterator>

namespace wring::fuzz {

using test::Code;
using test::ModuleWriter;

namespace {

constexpr u32 kPackets = 1u << WRING_PROG_XDP | 1u << WRING_PROG_NETFILTER;
constexpr u32 kTracepoints = 1u << WRING_PROG_RAW_TRACEPOINT;
constexpr u32 kAll = kPackets | kTracepoints | 1u << WRING_PROG_MODULE;
constexpr u32 kInstances = 1u << kInstanceType;

struct HostFunction {
  const char* name;
  const char* params;
  const char* results;
  u32 where;  // bit n: programs of type n
};
constexpr HostFunction kHostFunctions[] = {
    {"pkt_read", "iii", "i", kPackets},       {"pkt_write", "iii", "i", kPackets},
    {"pkt_len", "", "i", kPackets},           {"pkt_load8", "i", "i", kPackets},
    {"pkt_load16", "i", "i", kPackets},       {"pkt_load32", "i", "i", kPackets},
    {"pkt_load64", "i", "l", kPackets},       {"pkt_store8", "ii", "", kPackets},
    {"pkt_store16", "ii", "", kPackets},      {"pkt_store32", "ii", "", kPackets},
    {"pkt_store64", "il", "", kPackets},      {"arg", "i", "l", kTracepoints},
    {"ktime_ns", "", "l", kAll | kInstances}, {"cpu_id", "", "i", kAll | kInstances},
    {"pid_tgid", "", "l", kTracepoints},      {"log", "iilll", "", kAll},
    {"map_lookup", "iii", "i", kAll},         {"map_update", "iiil", "i", kAll},
    {"map_delete", "ii", "i", kAll},          {"map_add", "iiil", "i", kAll},
    {"map_load64", "iii", "l", kAll},
};

// Locals of all functions here: parameter or not, i32s from 0 on, then an i64, then loop counters.
constexpr u32 kWord = 2, kCounter = 3, kCounters = 3;
const char kLocals[] = "iliii";

// One function, statement by statement.
class Writer {
 public:
  Writer(Choices* choices, ModuleWriter* module) : choices_(*choices), module_(*module) {}

  void import_functions(u32 type) {
    const u32 count = choices_.below(6);
    for (u32 i = 0; i < count; i++) {
      const HostFunction& host = choices_.pick(kHostFunctions);
      // One that is not for this type, now and then: it is refused.
      if (!(host.where >> type & 1) && !choices_.chance(1)) continue;
      module_.import("wring", host.name, module_.type(host.params, host.results));
      imports_.push_back(&host);
    }
  }
  void import_map(const std::string& name) {
    module_.import("wring_map", name, module_.type("", "i"));
    imports_.push_back(&kHandle);
  }
  u32 imports() const { return static_cast<u32>(imports_.size()); }

  // A function (i32) -> i32 whose index will be `self`.
  Code function(u32 self, u32 statements) {
    self_ = self;
    for (u32 i = 0; i < statements; i++) statement(0);
    if (choices_.chance(50))
      code_.i32(static_cast<i32>(choices_.below(5)));
    else
      code_.op(Opcode::kLocalGet, choices_.below(2));
    return std::move(code_);
  }

 private:
  static constexpr HostFunction kHandle = {"", "", "i", kAll};

  i32 number() {
    constexpr i32 kNumbers[] = {0, 1, 2, 4, 8, 14, 60, 64, 255, 4096, 65532, 65535, 65536, -1, -8};
    return choices_.chance(80) ? choices_.pick(kNumbers) : static_cast<i32>(choices_.bits());
  }
  void push(char type) {
    if (type == 'l') {
      if (choices_.chance(50))
        code_.op(Opcode::kLocalGet, kWord);
      else
        code_.i64(number());
    } else if (choices_.chance(60)) {
      code_.i32(number());
    } else {
      code_.op(Opcode::kLocalGet, choices_.below(2));
    }
  }
  void pop(char type) { code_.op(Opcode::kLocalSet, type == 'l' ? kWord : choices_.below(2)); }
  void address() {
    code_.i32(static_cast<i32>(choices_.chance(97) ? choices_.below(65520) : 65535));
  }

  void call_host() {
    if (imports_.empty()) return;
    const u32 index = choices_.below(imports());
    const HostFunction& host = *imports_[index];
    for (const char* type = host.params; *type; type++) push(*type);
    code_.op(Opcode::kCall, index);
    for (const char* type = host.results; *type; type++) pop(*type);
  }
  void loop(u32 depth) {
    if (depth >= kCounters) return;
    code_.i32(static_cast<i32>(1 + choices_.below(20))).op(Opcode::kLocalSet, kCounter + depth);
    code_.block(Opcode::kLoop, -64);
    statement(depth + 1);
    code_.op(Opcode::kLocalGet, kCounter + depth).i32(1).op(Opcode::kI32Sub);
    code_.op(Opcode::kLocalTee, kCounter + depth).op(Opcode::kBrIf, 0).end();
  }
  void condition(u32 depth) {
    push('i');
    code_.block(Opcode::kIf, -64);
    statement(std::min(depth + 1, kCounters));
    code_.end();
  }
  void floats() {
    code_.op(Opcode::kLocalGet, 0).op(Opcode::kF64ConvertI32S).f64(0x3ff8000000000000);
    code_.op(Opcode::kF64Mul).op(Opcode::kI32TruncSatF64S).op(Opcode::kLocalSet, 1);
  }
  void rare() {
    switch (choices_.below(5)) {
      case 0: code_.op(Opcode::kUnreachable); break;
      case 1: code_.block(Opcode::kLoop, -64).op(Opcode::kBr, 0).end(); break;
      case 2: code_.i32(0).op(Opcode::kCall, self_).op(Opcode::kLocalSet, 0); break;
      case 3: code_.i32(1).i32(0).op(Opcode::kI32DivS).op(Opcode::kLocalSet, 0); break;
      default: code_.i32(-1).op(Opcode::kI32Load, 0, 0xffffffff).op(Opcode::kLocalSet, 0);
    }
  }
  void statement(u32 depth) {
    if (choices_.chance(2)) return rare();
    switch (choices_.below(10)) {
      case 0:
        address();
        push('i');
        code_.op(Opcode::kI32Store, 0, choices_.below(16));
        break;
      case 1:
        address();
        code_.op(Opcode::kI64Load, 0, 0).op(Opcode::kLocalSet, kWord);
        break;
      case 2: loop(depth); break;
      case 3: condition(depth); break;
      case 4:
        code_.i32(static_cast<i32>(choices_.below(3))).op(Opcode::kMemoryGrow, 0);
        code_.op(Opcode::kLocalSet, 0);
        break;
      case 5: floats(); break;
      default: call_host();
    }
  }

  Choices& choices_;
  ModuleWriter& module_;
  std::vector<const HostFunction*> imports_;
  Code code_;
  u32 self_ = 0;
};

struct Section {
  usize begin, body, end;
  u8 id;
};

std::vector<Section> sections_of(const Body& module) {
  std::vector<Section> sections;
  for (usize at = 8; at < module.size();) {
    Section section = {at, 0, 0, module[at]};
    usize bytes = 0;
    u32 shift = 0;
    for (at++; at < module.size() && shift < 35; shift += 7) {
      bytes |= usize{module[at] & 0x7fu} << shift;
      if (!(module[at++] & 0x80)) break;
    }
    section.body = at;
    section.end = at = std::min(at + bytes, module.size());
    sections.push_back(section);
  }
  return sections;
}

// The writer knows no start functions.
void set_start(Body* module, u32 function) {
  Body start = {8, 0};
  test::put_leb(&start, function);
  start[1] = static_cast<u8>(start.size() - 2);
  usize at = module->size();
  for (const Section& section : sections_of(*module))
    if (section.id >= 9 && section.id != 13) at = std::min(at, section.begin);
  module->insert(module->begin() + static_cast<i64>(at), start.begin(), start.end());
}

}  // namespace

Candidate small_program(Choices* choices, u32 type) {
  Candidate candidate;
  ModuleWriter module;
  Writer writer(choices, &module);
  writer.import_functions(type);
  for (const char* name : {"m0", "m1", "m2"}) {
    if (!choices->chance(type == kInstanceType ? 1 : 25)) continue;
    writer.import_map(name);
    candidate.maps.push_back(name);
  }
  // Rarely more than there is room for.
  const u32 pages = choices->chance(90)   ? 1
                    : choices->chance(80) ? 1 + choices->below(40)
                                          : 1 << choices->below(14);
  module.memory(pages, pages + choices->below(4));
  module.global(ModuleWriter::kI32, true, 7);
  const u32 first = candidate.imports = writer.imports();
  const u32 functions = 1 + choices->below(2);
  for (u32 i = 0; i < functions; i++)
    module.function(module.type("i", "i"), kLocals,
                    writer.function(first + i, 1 + choices->below(8)));
  Code start;
  start.i32(static_cast<i32>(choices->below(100))).op(Opcode::kCall, first).op(Opcode::kDrop);
  const bool has_start = choices->chance(25);
  if (has_start) module.function(module.type("", ""), "", start);
  candidate.module = module.finish();
  if (has_start) set_start(&candidate.module, first + functions);
  candidate.entry = "f" + std::to_string(first + choices->below(functions));
  return candidate;
}

Candidate generated_module(Choices* choices) {
  test::GenerateOptions options;
  options.big_functions = choices->chance(5);
  test::ModulePair pair = test::generate_modules(choices, options);
  return {std::move(pair.module), std::move(pair.exporter), {}, {}, 0};
}

Body endless_start() {
  ModuleWriter module;
  Code code;
  code.block(Opcode::kLoop, -64).op(Opcode::kBr, 0).end();
  module.function(module.type("", ""), "", code);
  Body bytes = module.finish();
  set_start(&bytes, 0);
  return bytes;
}

void change_bytes(Choices* choices, Body* bytes) {
  if (bytes->empty()) return;
  const u32 changes = 1 + choices->below(4);
  for (u32 i = 0; i < changes; i++) {
    const usize at = choices->bits() % bytes->size();
    constexpr u8 kBytes[] = {0, 1, 0x7f, 0x80, 0xff, 0x0b, 0x40, 0x70};
    switch (choices->below(6)) {
      case 0: (*bytes)[at] ^= static_cast<u8>(1 << choices->below(8)); break;
      case 1: (*bytes)[at] = choices->pick(kBytes); break;
      case 2: bytes->insert(bytes->begin() + static_cast<i64>(at), choices->pick(kBytes)); break;
      case 3:
        if (bytes->size() > 1) bytes->erase(bytes->begin() + static_cast<i64>(at));
        break;
      case 4: (*bytes)[at] = (*bytes)[choices->bits() % bytes->size()]; break;
      default:
        // Mostly a section or a body ends early; rarely the module does.
        if (choices->chance(20)) bytes->resize(std::max<usize>(at, 1));
    }
  }
}

bool match_imports(const Body& module, const Body& exporter, std::vector<u32>* exports) {
  Module* importing = test::decode_module(module);
  Module* exporting = test::decode_module(exporter);
  if (importing && exporting) {
    for (const Import& import : importing->imports) {
      const Export* found = exporting->find_export(import.name);
      exports->push_back(found ? static_cast<u32>(found - exporting->exports.begin()) : ~0u);
    }
  }
  if (importing) module_free(importing);
  if (exporting) module_free(exporting);
  return importing && exporting;
}

}  // namespace wring::fuzz
