// SPDX-License-Identifier: GPL-2.0
// Listings: run the compiler's pipeline on a module whose function imports, but for intrinsics and maps, are all left
// to other instances.
#include "selftests/host/listing.h"

#include <Zydis/Zydis.h>

#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "core/base/new.h"
#include "core/compile.h"
#include "core/ir/dump.h"
#include "core/link/link.h"
#include "core/runtime/lifetime.h"
#include "selftests/host/in_process.h"
#include "selftests/host/platform_posix.h"

namespace wring::host {

namespace {

std::string text_of(const Diag& diag, const wring::Module& module) {
  wring_error error = {};
  runtime::report(diag.code, diag, &error);
  runtime::name_function(module, &error);
  return describe(error);
}

// A decoded module and what the pipeline needs besides.
class Subject {
 public:
  // The error, or an empty string.
  std::string load(const std::string& bytes) {
    wring_limits limits = {};
    wring_store* store = nullptr;
    wring_module* loaded = nullptr;
    wring_error error;
    if (wring_store_new(&limits, &store) != 0) return "out of memory";
    store_.reset(store);
    if (wring_module_new(store, bytes.data(), bytes.size(), &loaded, &error) != 0)
      return describe(error);
    loaded_.reset(loaded);
    bindings_.resize(module().imported_functions);
    for (const Import& import : module().imports)
      if (import.kind == ExternKind::kFunc) bind(import);
    request.bindings.maps = {maps_.data(), maps_.size()};
    request.module = &module();
    request.bindings.functions = {bindings_.data(), bindings_.size()};
    request.type_ids = {loaded->type_ids, module().types.size()};
    request.target.cpu = wring_cpu_features();
    request.check = true;
    request.max_bytes = kMaxCompileBytes;
    return "";
  }
  // The call graph, which the builder asks who may throw.
  Err make_graph(Diag* diag) {
    return graph.build(module(), request.bindings, request.type_ids, &graph_arena_, diag);
  }
  const wring::Module& module() const { return *loaded_->module; }
  std::string name_of(u32 func) const {
    Bytes name = module().function_name(func);
    std::string text;
    for (u8 c : name) text += c > ' ' && c <= '~' ? static_cast<char>(c) : '?';
    return text;
  }
  bool is_wanted(u32 func, const std::string& wanted) const {
    return wanted.empty() || wanted == std::to_string(func) || wanted == name_of(func);
  }

  CompileRequest request;
  link::CallGraph graph;

 private:
  static std::string_view text(Bytes name) {
    return {reinterpret_cast<const char*>(name.data()), name.size()};
  }
  void bind(const Import& import) {
    FunctionBinding& to = bindings_[import.index];
    if (text(import.module) == "wring_map") {
      to.kind = BindingKind::kConstant;
      to.value = static_cast<u32>(maps_.size());
      maps_.push_back({MapKind::kArray, 100, 8, 8, 0x1000});
    }
    if (text(import.module) != "wring") return;
    static constexpr std::string_view kNames[] = {
#define HOST(...)
#define INTRINSIC(name, module, import, params, results, ...) import,
#include "host/host.def"
#undef HOST
#undef INTRINSIC
    };
    for (u32 i = 0; i < std::size(kNames); i++) {
      if (text(import.name) != kNames[i]) continue;
      to.kind = BindingKind::kIntrinsic;
      to.intrinsic = static_cast<Intrinsic>(i);
      to.address = 1;  // of the out-of-line form
    }
  }

  Arena graph_arena_{kMaxCompileBytes};
  Store store_;
  host::Module loaded_;
  std::vector<FunctionBinding> bindings_;
  std::vector<MapBinding> maps_;
};

struct Stdout final : TextSink {
  bool write(const char* text, usize size) override {
    return fwrite(text, 1, size, stdout) == size;
  }
};

struct DumpingObserver final : opt::PassObserver {
  Err after_pass(const char* pass, const ir::Function& f, Diag*) override {
    printf("; after %s\n", pass);
    ir::dump(f, &out);
    return Err::kOk;
  }
  Stdout out;
};

// ---- machine code ----

class AsmListing {
 public:
  explicit AsmListing(const Subject& subject, const CodeBuilder& code)
      : subject_(subject), code_(code) {
    ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisFormatterInit(&formatter_, ZYDIS_FORMATTER_STYLE_INTEL);
    for (const Reloc& reloc : code.relocs) relocs_[reloc.at] = &reloc;
    u32 last = kNone;
    for (const LineSite& line : code.lines) {
      if (line.origin != last) origins_[line.pc] = line.origin;
      last = line.origin;
    }
    for (const TrapSite& trap : code.traps) traps_[trap.pc] = &trap;
  }

  void function(u32 func) const {
    const FunctionCode& compiled = code_.functions[func];
    u32 begin = link::begin_of(compiled);
    printf("function %u \"%s\": %u bytes, frame %u%s\n", func, subject_.name_of(func).c_str(),
           compiled.end - begin, compiled.frame_bytes,
           compiled.has_checked_stack ? ", stack checked" : "");
    std::set<u32> labels = branch_targets(begin, compiled.end);
    for (u32 at = begin; at < compiled.end;) at = line(at, begin, compiled.end, labels);
    printf("\n");
  }

 private:
  bool decode(u32 at, u32 end, ZydisDecodedInstruction* in, ZydisDecodedOperand* operands) const {
    return ZYAN_SUCCESS(
        ZydisDecoderDecodeFull(&decoder_, code_.bytes.data() + at, end - at, in, operands));
  }

  // The target of a jump or call within the function, or kNone.
  static u32 local_target(const ZydisDecodedInstruction& in, const ZydisDecodedOperand* operands,
                          u32 at) {
    if (in.operand_count_visible == 0 || operands[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE ||
        !operands[0].imm.is_relative)
      return kNone;
    return at + in.length + static_cast<u32>(operands[0].imm.value.s);
  }

  const Reloc* reloc_in(u32 at, u32 length) const {
    auto found = relocs_.lower_bound(at);
    return found != relocs_.end() && found->first < at + length ? found->second : nullptr;
  }

  std::set<u32> branch_targets(u32 begin, u32 end) const {
    std::set<u32> targets;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    for (u32 at = begin; at < end; at += in.length) {
      if (!decode(at, end, &in, operands)) break;
      u32 target = local_target(in, operands, at);
      if (target != kNone && !reloc_in(at, in.length)) targets.insert(target);
    }
    return targets;
  }

  // after: the bytes between the relocated field and the end of the instruction.
  std::string symbol(const Reloc& reloc, u32 after) const {
    switch (reloc.kind) {
      case RelocKind::kFunction:
        return "function " + std::to_string(reloc.index) + " " + subject_.name_of(reloc.index);
      case RelocKind::kStub: {
        const char* names[] = {"trap", "fuel", "fuel", "leave"};  // in the order of StubId
        static_assert(std::size(names) == static_cast<u32>(StubId::kCount));
        return std::string("stub ") + names[reloc.index];
      }
      case RelocKind::kRodata: return "constant pool + " + std::to_string(reloc.index + after);
      case RelocKind::kAddress: break;
    }
    for (u32 i = 0; i < static_cast<u32>(Libcall::kCount); i++)
      if (libcall_address(static_cast<Libcall>(i)) == reloc.address) return libcall_names()[i];
    return "host function";
  }

  static const std::vector<std::string>& libcall_names() {
    static const std::vector<std::string> names = {
#define LIBCALL(name, symbol, params, results, may_trap) #symbol,
#include "core/abi/libcalls.def"
#undef LIBCALL
    };
    return names;
  }

  std::string comment(u32 at, u32 length) const {
    std::string text;
    if (const Reloc* reloc = reloc_in(at, length))
      text += " -> " + symbol(*reloc, at + length - (reloc->at + 4));
    auto trap = traps_.find(at + length);
    if (trap != traps_.end())
      text += std::string(" (") + wring_trap_text(static_cast<u32>(trap->second->reason)) + ")";
    auto origin = origins_.find(at);
    if (origin != origins_.end()) text += " @" + std::to_string(origin->second);
    return text.empty() ? "" : "  ;" + text;
  }

  u32 line(u32 at, u32 begin, u32 end, const std::set<u32>& labels) const {
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    char text[128];
    if (labels.count(at)) printf("L%u:\n", at - begin);
    if (!decode(at, end, &in, operands)) {
      printf("  %5u  .byte %#x\n", at - begin, code_.bytes[at]);
      return at + 1;
    }
    u32 target = local_target(in, operands, at);
    if (target != kNone) {
      std::string mnemonic = ZydisMnemonicGetString(in.mnemonic);
      snprintf(text, sizeof(text), "%s %s", mnemonic.c_str(),
               reloc_in(at, in.length) ? "..." : ("L" + std::to_string(target - begin)).c_str());
    } else {
      ZydisFormatterFormatInstruction(&formatter_, &in, operands, in.operand_count_visible, text,
                                      sizeof(text), ZYDIS_RUNTIME_ADDRESS_NONE, nullptr);
    }
    printf("  %5u  %-40s%s\n", at - begin, text, comment(at, in.length).c_str());
    return at + in.length;
  }

  const Subject& subject_;
  const CodeBuilder& code_;
  ZydisDecoder decoder_;
  ZydisFormatter formatter_;
  std::map<u32, const Reloc*> relocs_;
  std::map<u32, u32> origins_;
  std::map<u32, const TrapSite*> traps_;
};

}  // namespace

std::string list_ir(const std::string& module_bytes, const ListingOptions& options) {
  Subject subject;
  if (std::string error = subject.load(module_bytes); !error.empty()) return error;
  Diag graph_diag;
  subject.request.target.clamp_speculation = options.clamped;
  if (subject.make_graph(&graph_diag) != Err::kOk) return text_of(graph_diag, subject.module());
  bool found = false;
  for (u32 func = subject.module().imported_functions; func < subject.module().functions.size();
       func++) {
    if (!subject.is_wanted(func, options.func)) continue;
    found = true;
    Arena arena(kMaxCompileBytes);
    ir::Function f(&arena);
    DumpingObserver dumping;
    Diag diag;
    Err err = compile_to_ir(subject.request, &subject.graph, func, &f,
                            options.all_passes ? &dumping : nullptr, &diag);
    if (err != Err::kOk) return text_of(diag, subject.module());
    if (!options.all_passes) ir::dump(f, &dumping.out);
    printf("\n");
  }
  return found ? "" : "no such function: " + options.func;
}

std::string list_asm(const std::string& module_bytes, const ListingOptions& options) {
  Subject subject;
  if (std::string error = subject.load(module_bytes); !error.empty()) return error;
  Arena arena(kMaxCompileBytes);
  CodeBuilder code(&arena);
  code.want_lines = true;
  subject.request.target.clamp_speculation = options.clamped;
  if (options.baseline_cpu) subject.request.target.cpu = kCpuSse41;
  CompileResult result;
  Diag diag;
  if (compile_module(subject.request, &arena, &code, &result, &diag) != Err::kOk)
    return text_of(diag, subject.module());
  AsmListing listing(subject, code);
  bool found = false;
  for (u32 func = 0; func < code.functions.size(); func++) {
    if (code.functions[func].entry == kNone || !subject.is_wanted(func, options.func)) continue;
    found = true;
    listing.function(func);
  }
  return found ? "" : "no such function: " + options.func;
}

}  // namespace wring::host
