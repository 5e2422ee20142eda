// SPDX-License-Identifier: GPL-2.0
// An IR interpreter for tests: runs ir::Functions of one module on a real vmctx and a byte vector as memory, so
// that SSA construction and every pass can be tested by what programs compute, without a back end.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/abi/libcalls.h"
#include "core/ir/build.h"
#include "core/ir/verify.h"
#include "core/opt/opt.h"
#include "core/wasm/instr.h"
#include "selftests/core/ir/interpret_simd.h"

namespace wring::test {

// A module whose functions have been built; `optimized` says how far they were taken.
class Program {
 public:
  // Takes over the module. bindings: one per imported function; empty: all are Wasm imports.
  Program(Module* module, std::vector<FunctionBinding> bindings, std::vector<MapBinding> maps);
  ~Program() { module_free(module_); }
  Program(const Program&) = delete;

  const Module& module() const { return *module_; }
  // What is to become of a function that has been built.
  using Optimizer = std::function<Err(ir::Function*, opt::PassObserver*, Diag*)>;
  // Builds (and optimizes) every defined function, verifying each step. A function that is not supported
  // stays null; other errors end up in error().
  void compile(const Optimizer& optimizer);
  void compile(bool optimized) { compile(optimized ? Optimizer(opt::optimize) : Optimizer()); }
  const ir::Function* function(u32 index) const { return functions_[index].get(); }
  const std::string& error() const { return error_; }
  u32 type_id(u32 type) const { return type_ids_[type]; }
  bool clamp_speculation = false;  // what the next compile() builds; see ir::Function
  Bindings& bindings() { return bindings_; }
  const Bindings& bindings() const { return bindings_; }

 private:
  Module* module_;
  std::vector<FunctionBinding> function_bindings_;
  std::vector<MapBinding> maps_;
  Bindings bindings_;
  std::vector<u32> type_ids_;
  std::vector<std::unique_ptr<Arena>> arenas_;
  std::vector<std::unique_ptr<ir::Function>> functions_;
  std::string error_;
};

// What a call came to. kSkipped: the interpreter's own limits, or a function that is not supported.
struct Outcome {
  enum Kind { kReturned, kTrapped, kSkipped } kind = kSkipped;
  TrapReason trap = TrapReason::kNone;
  std::vector<u64> results;  // a v128 is two words, low and high
  bool operator==(const Outcome& o) const {
    return kind == o.kind && trap == o.trap && results == o.results;
  }
};

using ir::MemKind;

using HostFunction = std::function<u64(wring_vmctx*, const std::vector<u64>& args)>;

// One instance of a Program.
class Instance {
 public:
  explicit Instance(const Program& program);
  // Evaluates initializers and copies active segments, then runs the start function.
  Outcome instantiate();
  Outcome call(u32 func, const std::vector<u64>& args);

  wring_vmctx* vmctx() { return &ctx_; }
  std::vector<u8>& memory(u32 index = 0) { return memories_[index]; }
  u64 global(u32 index) const { return cells_[index][0]; }
  u64 fuel_used() const { return fuel_used_; }
  u64 steps() const { return steps_; }
  void set_host(u32 func, HostFunction host) { hosts_[func] = std::move(host); }
  void set_gs(i64 displacement, u64 value) { gs_[displacement] = value; }

  u64 max_steps = 3'000'000;
  u32 max_depth = 300;

 private:
  enum class Status { kOk, kTrap, kSkip };
  using Words = std::vector<V128>;  // values; what is narrower than 128 bits is in the low half
  struct Exception {
    std::vector<u64> words;
    wring_exception* get() { return reinterpret_cast<wring_exception*>(words.data()); }
  };
  Status run(u32 func, Words params, Words* results);
  Status call_of(const ir::Inst& inst, const Words& args, Words* results);
  Status memory_access(const ir::Function& f, ir::Value v, const Words& values, V128* out);
  Status atomic(const ir::Function& f, ir::Value v, u8* at, const Words& values, V128* out);
  Status trap(TrapReason reason) {
    ctx_.trap_reason = static_cast<u32>(reason);
    return Status::kTrap;
  }
  V128 constant(Range expression);
  Status libcall(Libcall call, const Words& args, u64* result);
  Status bulk_table(Libcall call, const Words& args, u64* result);
  Status table_init(u32 table, const ElementSegment& segment, bool dropped, u64 dst, u64 src,
                    u64 n);
  Status memory_init(u32 memory, const DataSegment& segment, bool dropped, u64 dst, u64 src, u64 n);
  bool holds_functions(u32 table) const {
    return top_of(module_.tables[table].type.elem) == ValType::kFuncRef;
  }
  void set_entry(u32 table, u64 index, u64 ref);
  u64 get_entry(u32 table, u64 index) const;
  u64 new_exception(u32 tag, u32 func, u32 origin);
  // A memory's base is only its number here, so that vectors may move.
  u32 memory_of(u64 base) const { return static_cast<u32>(base >> 32) - 1; }
  static u8* base_of(u32 memory) { return reinterpret_cast<u8*>((u64{memory} + 1) << 32); }
  static u64 extend(u64 value, MemKind kind, ir::Type type);
  static V128 read(const u8* at, MemKind kind, ir::Type type);

  const Program& program_;
  const Module& module_;
  wring_vmctx ctx_ = {};
  std::vector<std::vector<u8>> memories_;
  std::vector<wring_memory_view> memory_views_;
  std::vector<wring_memory_view*> memory_pointers_;
  std::vector<std::vector<u64>> entries_;  // of tables, at their greatest size
  std::vector<wring_table_view> views_;
  std::vector<wring_table_view*> view_pointers_;
  std::vector<std::vector<u64>> cells_;
  std::vector<void*> cell_pointers_;
  std::vector<wring_func_ref> functions_;  // code: its own address
  std::vector<wring_tag> tags_;
  std::vector<const wring_tag*> tag_pointers_;
  std::vector<std::unique_ptr<Exception>> exceptions_;
  std::vector<bool> dropped_data_, dropped_elements_;
  std::map<u32, HostFunction> hosts_;
  std::map<i64, u64> gs_;
  u64 fuel_used_ = 0;
  u64 steps_ = 0;
  u32 depth_ = 0;
};

// ---- Program ----

struct VerifyingObserver final : opt::PassObserver {
  Err after_pass(const char* pass, const ir::Function& f, Diag* diag) override {
    return ir::verify(f, pass, diag);
  }
};

inline Program::Program(Module* module, std::vector<FunctionBinding> bindings,
                        std::vector<MapBinding> maps)
    : module_(module), function_bindings_(std::move(bindings)), maps_(std::move(maps)) {
  function_bindings_.resize(module->imported_functions);
  bindings_.functions = {function_bindings_.data(), function_bindings_.size()};
  bindings_.maps = {maps_.data(), maps_.size()};
  for (u32 i = 0; i < module->types.size(); i++) {
    u32 id = i + 1;
    for (u32 j = i; j-- > 0;)
      if (equal(module->types[i], module->types[j])) id = type_ids_[j];
    type_ids_.push_back(id);
  }
}

inline void Program::compile(const Optimizer& optimizer) {
  u32 count = module_->functions.size();
  functions_.clear();
  arenas_.clear();
  functions_.resize(count);
  arenas_.resize(count);
  ir::BuildContext context = {};
  context.module = module_;
  context.bindings = &bindings_;
  context.clamp_speculation = clamp_speculation;
  context.type_ids = {type_ids_.data(), type_ids_.size()};
  std::vector<u8> may_throw(count, !module_->tags.empty());
  context.may_throw = {may_throw.data(), may_throw.size()};
  context.indirect_may_throw = !module_->tags.empty();
  for (u32 i = module_->imported_functions; i < count; i++) {
    arenas_[i] = std::make_unique<Arena>(kMaxCompileBytes);
    auto f = std::make_unique<ir::Function>(arenas_[i].get());
    Diag diag;
    VerifyingObserver observer;
    Err err = ir::build(context, i, f.get(), &diag);
    if (err == Err::kUnsupported) continue;
    if (err == Err::kOk) err = ir::verify(*f, "build", &diag);
    if (err == Err::kOk && optimizer) err = optimizer(f.get(), &observer, &diag);
    if (err != Err::kOk) {
      error_ = "function " + std::to_string(i) + " offset " + std::to_string(diag.offset) + ": " +
               diag.message;
      return;
    }
    functions_[i] = std::move(f);
  }
}

// ---- Instance ----

inline Instance::Instance(const Program& program) : program_(program), module_(program.module()) {}

inline V128 Instance::constant(Range expression) {
  Diag diag;
  std::vector<V128> stack;
  for (u32 at = expression.begin; at < expression.end;) {
    Instr in;
    if (decode_instr(module_.bytes, at, expression.end, kNone, &in, &diag) != Err::kOk) break;
    at = in.next;
    if (in.op == Opcode::kEnd) break;
    switch (in.op) {
      case Opcode::kI32Const: stack.push_back({static_cast<u32>(in.value), 0}); break;
      case Opcode::kGlobalGet: stack.push_back({cells_[in.index][0], cells_[in.index][1]}); break;
      case Opcode::kRefFunc:
        stack.push_back({reinterpret_cast<u64>(&functions_[in.index]), 0});
        break;
      case Opcode::kRefNull: stack.push_back({0, 0}); break;
      case Opcode::kV128Const: {
        V128 value;
        std::memcpy(&value, module_.bytes.data() + in.list, 16);
        stack.push_back(value);
        break;
      }
      case Opcode::kI64Const:
      case Opcode::kF32Const:
      case Opcode::kF64Const: stack.push_back({static_cast<u64>(in.value), 0}); break;
      default: {  // addition, subtraction, multiplication
        u64 b = stack.back().low;
        stack.pop_back();
        u64 a = stack.back().low;
        bool wide = in.op >= Opcode::kI64Add;
        ir::Op op = in.op == Opcode::kI32Add || in.op == Opcode::kI64Add   ? ir::Op::kAdd
                    : in.op == Opcode::kI32Sub || in.op == Opcode::kI64Sub ? ir::Op::kSub
                                                                           : ir::Op::kMul;
        stack.back().low = interpret_binary(op, wide, a, b);
      }
    }
  }
  return stack.empty() ? V128{0, 0} : stack.back();
}

inline bool in_range(u64 at, u64 n, u64 size) { return n <= size && at <= size - n; }

inline void Instance::set_entry(u32 table, u64 index, u64 ref) {
  if (!holds_functions(table)) {
    views_[table].words[index] = ref;
    return;
  }
  wring_table_entry& entry = views_[table].entries[index];
  entry = {};
  if (!ref) return;
  entry.ref = reinterpret_cast<const wring_func_ref*>(ref);
  entry.code = entry.ref->code;
  entry.type_id = entry.ref->type_id;
}
inline u64 Instance::get_entry(u32 table, u64 index) const {
  return holds_functions(table) ? reinterpret_cast<u64>(views_[table].entries[index].ref)
                                : views_[table].words[index];
}

inline Outcome Instance::instantiate() {
  constexpr u64 kMaxEntries = 1'000'000, kMaxGrowth = 10'000;
  functions_.resize(module_.functions.size());
  for (u32 i = 0; i < functions_.size(); i++)
    functions_[i] = {&functions_[i], program_.type_id(module_.functions[i].type)};
  for (const Global& global : module_.globals) {
    V128 value = {0, 0};
    if (global.init.size()) value = constant(global.init);
    cells_.push_back({value.low, value.high});
  }
  for (auto& cell : cells_) cell_pointers_.push_back(cell.data());
  for (u32 i = 0; i < module_.tables.size(); i++) {
    const Limits& limits = module_.tables[i].type.limits;
    // Small ones only: a fuzzed table may ask for millions of entries.
    if (limits.min > kMaxEntries) return {};
    u64 most =
        limits.has_max ? std::min(limits.max, limits.min + kMaxGrowth) : limits.min + kMaxGrowth;
    entries_.push_back(std::vector<u64>(most * (holds_functions(i) ? 3 : 1)));
    wring_table_view view = {};
    view.words = reinterpret_cast<unsigned long long*>(entries_.back().data());
    view.size = static_cast<u32>(limits.min);
    view.max = static_cast<u32>(most);
    views_.push_back(view);
  }
  for (u32 i = 0; i < module_.tables.size(); i++) {
    view_pointers_.push_back(&views_[i]);
    if (!module_.tables[i].init.size()) continue;
    u64 ref = constant(module_.tables[i].init).low;
    for (u64 j = 0; j < views_[i].size; j++) set_entry(i, j, ref);
  }
  for (u32 i = 0; i < module_.memories.size(); i++) {
    const Limits& limits = module_.memories[i].type.limits;
    if (limits.min > 256) return {};
    memories_.push_back(std::vector<u8>(limits.min * kWasmPageBytes));
    u64 max = limits.has_max ? std::min<u64>(limits.max, kMaxMemoryPages) : kMaxMemoryPages;
    memory_views_.push_back({base_of(i), memories_[i].size(), max * kWasmPageBytes});
  }
  if (memories_.empty()) memories_.push_back({});
  for (auto& view : memory_views_) memory_pointers_.push_back(&view);
  for (const Tag& tag : module_.tags) tags_.push_back({program_.type_id(tag.type)});
  for (auto& tag : tags_) tag_pointers_.push_back(&tag);
  if (!memory_views_.empty()) ctx_.memory = &memory_views_[0];
  ctx_.memories = memory_pointers_.data();
  ctx_.tables = view_pointers_.data();
  ctx_.functions = functions_.data();
  ctx_.tags = tag_pointers_.data();
  ctx_.globals = cell_pointers_.data();
  dropped_data_.resize(module_.datas.size());
  dropped_elements_.resize(module_.elements.size());

  for (u32 i = 0; i < module_.elements.size(); i++) {
    const ElementSegment& segment = module_.elements[i];
    if (segment.mode == SegmentMode::kPassive) continue;
    if (segment.mode == SegmentMode::kActive) {
      u64 dst = constant(segment.offset).low;
      if (table_init(segment.table, segment, false, dst, 0, segment.size()) != Status::kOk)
        return {Outcome::kTrapped, static_cast<TrapReason>(ctx_.trap_reason), {}};
    }
    dropped_elements_[i] = true;
  }
  for (u32 i = 0; i < module_.datas.size(); i++) {
    const DataSegment& segment = module_.datas[i];
    if (segment.mode != SegmentMode::kActive) continue;
    u64 dst = constant(segment.offset).low;
    if (memory_init(segment.memory, segment, false, dst, 0, segment.bytes.size()) != Status::kOk)
      return {Outcome::kTrapped, static_cast<TrapReason>(ctx_.trap_reason), {}};
    dropped_data_[i] = true;
  }
  if (module_.start != kNone) return call(module_.start, {});
  return {Outcome::kReturned, TrapReason::kNone, {}};
}

inline Outcome Instance::call(u32 func, const std::vector<u64>& args) {
  Outcome out;
  ctx_.trap_reason = 0;
  ctx_.exception = nullptr;
  steps_ = depth_ = 0;
  const FuncType& type = module_.func_type(func);
  Words params, results;
  for (size_t i = 0; i < args.size();) {
    bool is_vector = type.params[params.size()] == ValType::kV128;
    params.push_back({args[i], is_vector ? args[i + 1] : 0});
    i += is_vector ? 2 : 1;
  }
  Status status = run(func, params, &results);
  if (status == Status::kOk && ctx_.exception) status = trap(TrapReason::kUncaughtException);
  switch (status) {
    case Status::kOk:
      out.kind = Outcome::kReturned;
      for (u32 i = 0; i < results.size(); i++) {
        out.results.push_back(results[i].low);
        if (type.results[i] == ValType::kV128) out.results.push_back(results[i].high);
      }
      break;
    case Status::kTrap:
      out.kind = Outcome::kTrapped;
      out.trap = static_cast<TrapReason>(ctx_.trap_reason);
      break;
    case Status::kSkip: break;
  }
  return out;
}

inline u64 Instance::extend(u64 value, MemKind kind, ir::Type type) {
  switch (kind) {
    case MemKind::k8U: value = static_cast<u8>(value); break;
    case MemKind::k8S: value = static_cast<u64>(static_cast<i8>(value)); break;
    case MemKind::k16U: value = static_cast<u16>(value); break;
    case MemKind::k16S: value = static_cast<u64>(static_cast<i16>(value)); break;
    case MemKind::k32U: value = static_cast<u32>(value); break;
    case MemKind::k32S: value = static_cast<u64>(static_cast<i32>(value)); break;
    default: break;
  }
  return type == ir::Type::kI32 ? static_cast<u32>(value) : value;
}

inline V128 Instance::read(const u8* at, MemKind kind, ir::Type type) {
  if (type == ir::Type::kV128) return load_vector(at, kind);
  u64 raw = 0;
  std::memcpy(&raw, at, std::min<u32>(bytes_of(kind), sizeof(raw)));
  return {extend(raw, kind, type), 0};
}

inline Instance::Status Instance::table_init(u32 table, const ElementSegment& segment, bool dropped,
                                             u64 dst, u64 src, u64 n) {
  if (!in_range(src, n, dropped ? 0 : segment.size()) || !in_range(dst, n, views_[table].size))
    return trap(TrapReason::kTableOutOfBounds);
  for (u64 i = 0; i < n; i++) {
    u64 ref = segment.functions.empty()
                  ? constant(segment.expressions[src + i]).low
                  : reinterpret_cast<u64>(&functions_[segment.functions[src + i]]);
    set_entry(table, dst + i, ref);
  }
  return Status::kOk;
}

inline Instance::Status Instance::memory_init(u32 memory, const DataSegment& segment, bool dropped,
                                              u64 dst, u64 src, u64 n) {
  if (!in_range(src, n, dropped ? 0 : segment.bytes.size()) ||
      !in_range(dst, n, memories_[memory].size()))
    return trap(TrapReason::kMemoryOutOfBounds);
  if (n) std::memcpy(&memories_[memory][dst], module_.bytes.data() + segment.bytes.begin + src, n);
  return Status::kOk;
}

inline u64 Instance::new_exception(u32 tag, u32 func, u32 origin) {
  u32 words = 0;
  for (ValType type : module_.tag_type(tag).params) words += type == ValType::kV128 ? 2 : 1;
  auto exception = std::make_unique<Exception>();
  exception->words.resize(sizeof(wring_exception) / 8 + words);
  exception->get()->tag = tag_pointers_[tag];
  exception->get()->throw_func = func;
  exception->get()->throw_offset = origin;
  exception->get()->value_words = words;
  exceptions_.push_back(std::move(exception));
  return reinterpret_cast<u64>(exceptions_.back()->get());
}

inline Instance::Status Instance::bulk_table(Libcall call, const Words& a, u64* result) {
  u32 table = static_cast<u32>(a[0].low);
  wring_table_view& view = views_[table];
  switch (call) {
    case Libcall::kTableGet:
    case Libcall::kTableSet:
      if (a[1].low >= view.size) return trap(TrapReason::kTableOutOfBounds);
      if (call == Libcall::kTableGet)
        *result = get_entry(table, a[1].low);
      else
        set_entry(table, a[1].low, a[2].low);
      return Status::kOk;
    case Libcall::kTableGrow: {
      const Limits& limits = module_.tables[table].type.limits;
      *result = ~u64{0};
      u64 most = std::min<u64>(limits.has_max ? limits.max : ~u64{0}, kMaxTableEntries);
      if (!in_range(view.size, a[2].low, most)) return Status::kOk;
      if (view.size + a[2].low > view.max) return Status::kSkip;
      *result = view.size;
      view.size += static_cast<u32>(a[2].low);
      for (u64 i = *result; i < view.size; i++) set_entry(table, i, a[1].low);
      return Status::kOk;
    }
    case Libcall::kTableFill:
      if (!in_range(a[1].low, a[3].low, view.size)) return trap(TrapReason::kTableOutOfBounds);
      for (u64 i = 0; i < a[3].low; i++) set_entry(table, a[1].low + i, a[2].low);
      return Status::kOk;
    case Libcall::kTableInit:
      return table_init(table, module_.elements[a[1].low], dropped_elements_[a[1].low], a[2].low,
                        a[3].low, a[4].low);
    default: {
      u32 from = static_cast<u32>(a[1].low);
      u64 n = a[4].low;
      if (!in_range(a[3].low, n, views_[from].size) || !in_range(a[2].low, n, view.size))
        return trap(TrapReason::kTableOutOfBounds);
      std::vector<u64> refs;
      for (u64 i = 0; i < n; i++) refs.push_back(get_entry(from, a[3].low + i));
      for (u64 i = 0; i < n; i++) set_entry(table, a[2].low + i, refs[i]);
      return Status::kOk;
    }
  }
}

inline Instance::Status Instance::libcall(Libcall call, const Words& a, u64* result) {
  u32 memory = a.empty() ? 0 : static_cast<u32>(a[0].low);
  switch (call) {
    case Libcall::kMemoryGrow: {
      std::vector<u8>& bytes = memories_[memory];
      u64 old = bytes.size(), most = memory_views_[memory].max_bytes;
      *result = ~u64{0};
      if (!in_range(old / kWasmPageBytes, a[1].low, most / kWasmPageBytes)) return Status::kOk;
      if (a[1].low > 1024) return Status::kSkip;
      bytes.resize(old + a[1].low * kWasmPageBytes);
      memory_views_[memory].bytes = bytes.size();
      *result = old / kWasmPageBytes;
      return Status::kOk;
    }
    case Libcall::kMemoryFill:
      if (!in_range(a[1].low, a[3].low, memories_[memory].size()))
        return trap(TrapReason::kMemoryOutOfBounds);
      if (a[3].low) std::memset(&memories_[memory][a[1].low], static_cast<int>(a[2].low), a[3].low);
      return Status::kOk;
    case Libcall::kMemoryCopy: {
      std::vector<u8>& from = memories_[a[1].low];
      if (!in_range(a[2].low, a[4].low, memories_[memory].size()) ||
          !in_range(a[3].low, a[4].low, from.size()))
        return trap(TrapReason::kMemoryOutOfBounds);
      if (a[4].low) std::memmove(&memories_[memory][a[2].low], &from[a[3].low], a[4].low);
      return Status::kOk;
    }
    case Libcall::kMemoryInit:
      return memory_init(memory, module_.datas[a[1].low], dropped_data_[a[1].low], a[2].low,
                         a[3].low, a[4].low);
    case Libcall::kDataDrop: dropped_data_[a[0].low] = true; return Status::kOk;
    case Libcall::kElemDrop: dropped_elements_[a[0].low] = true; return Status::kOk;
    case Libcall::kExnNew:
      *result = new_exception(static_cast<u32>(a[0].low), static_cast<u32>(a[1].low),
                              static_cast<u32>(a[2].low));
      return Status::kOk;
    case Libcall::kExnFree:
      // What is used afterwards shows.
      if (auto* e = reinterpret_cast<wring_exception*>(a[0].low); !e->is_escaped) {
        e->tag = nullptr;
        std::memset(e->values, 0xcd, e->value_words * 8);
      }
      return Status::kOk;
    case Libcall::kTableGet:
    case Libcall::kTableSet:
    case Libcall::kTableGrow:
    case Libcall::kTableFill:
    case Libcall::kTableInit:
    case Libcall::kTableCopy: return bulk_table(call, a, result);
    default: return Status::kSkip;
  }
}

inline Instance::Status Instance::call_of(const ir::Inst& inst, const Words& args, Words* results) {
  using ir::Op;
  bool through_pointer = inst.op == Op::kCallPtr;
  Words in(args.begin() + through_pointer, args.end());
  u32 callee = static_cast<u32>(inst.imm);
  if (inst.op == Op::kCallLib) {
    u64 result = 0;
    Status status = libcall(static_cast<Libcall>(inst.imm), in, &result);
    results->push_back({result, 0});
    // The generated code looks at vmctx->trap_reason itself.
    return status == Status::kTrap ? Status::kOk : status;
  }
  if (through_pointer)
    callee = static_cast<u32>(reinterpret_cast<wring_func_ref*>(args[0].low) - functions_.data());
  if (callee >= module_.imported_functions) return run(callee, in, results);
  auto host = hosts_.find(callee);
  if (host == hosts_.end()) return Status::kSkip;
  std::vector<u64> words;
  for (const V128& word : in) words.push_back(word.low);
  results->push_back({host->second(&ctx_, words), 0});
  return Status::kOk;
}

inline Instance::Status Instance::atomic(const ir::Function& f, ir::Value v, u8* at,
                                         const Words& values, V128* out) {
  using ir::AtomicOp;
  using ir::Op;
  const ir::Inst& inst = f.insts[v];
  u32 bytes = bytes_of(static_cast<MemKind>(inst.aux & 0xff));
  auto arg = [&](u32 n) { return values[f.args(v)[n]].low; };
  if (static_cast<u64>(at - memories_[memory_of(arg(1))].data()) % bytes) std::abort();
  u64 mask = bytes == 8 ? ~u64{0} : (u64{1} << 8 * bytes) - 1;
  u64 old = 0;
  std::memcpy(&old, at, bytes);
  u64 stored = old;
  if (inst.op == Op::kAtomicStore) stored = arg(2);
  if (inst.op == Op::kAtomicCas && old == (arg(2) & mask)) stored = arg(3);
  if (inst.op == Op::kAtomicRmw) {
    u64 operand = arg(2);
    switch (static_cast<AtomicOp>(inst.aux >> 8)) {
      case AtomicOp::kAdd: stored = old + operand; break;
      case AtomicOp::kSub: stored = old - operand; break;
      case AtomicOp::kAnd: stored = old & operand; break;
      case AtomicOp::kOr: stored = old | operand; break;
      case AtomicOp::kXor: stored = old ^ operand; break;
      case AtomicOp::kXchg: stored = operand; break;
    }
  }
  std::memcpy(at, &stored, bytes);
  *out = {old, 0};
  return Status::kOk;
}

// All accesses of linear memories.
inline Instance::Status Instance::memory_access(const ir::Function& f, ir::Value v,
                                                const Words& values, V128* out) {
  using ir::Op;
  const ir::Inst& inst = f.insts[v];
  Span<ir::Value> args = f.args(v);
  bool has_base = inst.op != Op::kLoad && inst.op != Op::kStore && inst.op != Op::kLoadLane &&
                  inst.op != Op::kStoreLane;
  std::vector<u8>& memory = memories_[has_base ? memory_of(values[args[1]].low) : 0];
  MemKind kind = static_cast<MemKind>(inst.aux & 0xff);
  u64 index = values[args[0]].low + static_cast<u64>(inst.imm);
  if (!in_range(index, bytes_of(kind), memory.size())) return trap(TrapReason::kMemoryOutOfBounds);
  u8* at = &memory[index];
  u32 lane = inst.aux >> 8;
  V128 value = values[args[args.size() - 1]];
  switch (inst.op) {
    case Op::kLoad:
    case Op::kLoadMem: *out = read(at, kind, inst.type); break;
    case Op::kStore:
    case Op::kStoreMem: std::memcpy(at, &value, bytes_of(kind)); break;
    case Op::kLoadLane:
    case Op::kLoadLaneMem: {
      u64 word = 0;
      std::memcpy(&word, at, bytes_of(kind));
      *out = replace_lane(value, bytes_of(kind), lane, word);
      break;
    }
    case Op::kStoreLane:
    case Op::kStoreLaneMem:
      std::memcpy(at, reinterpret_cast<u8*>(&value) + lane * bytes_of(kind), bytes_of(kind));
      break;
    default: return atomic(f, v, at, values, out);
  }
  return Status::kOk;
}

inline bool is_memory_access(ir::Op op) {
  return op >= ir::Op::kLoad && op <= ir::Op::kAtomicCas && op != ir::Op::kMemBase;
}

inline Instance::Status Instance::run(u32 func, Words params, Words* results) {
  using ir::Op;
  using ir::Type;
  if (depth_ >= max_depth) return Status::kSkip;
  const ir::Function* f = func < module_.imported_functions ? nullptr : program_.function(func);
  if (!f) return Status::kSkip;
  depth_++;
  Words values(f->insts.size());
  std::map<ir::Value, Words> more;  // results of calls with several
  ir::BlockId block = 0, from = kNone;
  Words phis;
  for (;;) {
    const ir::Block& b = f->blocks[block];
    ir::BlockId next = kNone;
    // Phis read their arguments all at once.
    phis.clear();
    u32 edge = 0;
    while (from != kNone && b.preds[edge] != from) edge++;
    for (ir::Value v : b.insts) {
      if (f->insts[v].op != Op::kPhi) break;
      phis.push_back(values[f->args(v)[edge]]);
    }
    for (u32 i = 0; i < b.insts.size(); i++) {
      ir::Value v = b.insts[i];
      const ir::Inst& inst = f->insts[v];
      Span<ir::Value> args = f->args(v);
      auto arg = [&](u32 n) { return values[args[n]].low; };
      auto whole = [&](u32 n) { return values[args[n]]; };
      MemKind kind = static_cast<MemKind>(inst.aux);
      Opcode opcode = static_cast<Opcode>(inst.aux);
      bool wide = inst.type == Type::kI64;
      u64& out = values[v].low;
      V128& out128 = values[v];
      if (++steps_ > max_steps) return Status::kSkip;
      if (is_memory_access(inst.op)) {
        Status status = memory_access(*f, v, values, &out128);
        if (status != Status::kOk) return status;
        continue;
      }
      switch (inst.op) {
        case Op::kParam: out128 = params[inst.aux]; break;
        case Op::kConst: out = static_cast<u64>(inst.imm); break;
        case Op::kVConst: out128 = v128_of(inst); break;
        case Op::kPhi: out128 = phis[i]; break;
        case Op::kResult: out128 = more[args[0]][inst.aux]; break;
        case Op::kVmCtx: out = reinterpret_cast<u64>(&ctx_); break;
        case Op::kMemBase: out = reinterpret_cast<u64>(base_of(0)); break;
        case Op::kSelect: out128 = arg(0) ? whole(1) : whole(2); break;
        case Op::kMatchOrNull: out = arg(1) == arg(2) ? arg(0) : 0; break;
        case Op::kV1: out128 = interpret_vector1(opcode, whole(0)); break;
        case Op::kV2: out128 = interpret_vector2(opcode, whole(0), whole(1)); break;
        case Op::kV3: out128 = interpret_vector3(opcode, whole(0), whole(1), whole(2)); break;
        case Op::kVShift: out128 = interpret_shift(opcode, whole(0), arg(1)); break;
        case Op::kVSplat: out128 = interpret_splat(opcode, arg(0)); break;
        case Op::kVTest: out = interpret_test(opcode, whole(0)); break;
        case Op::kVExtract:
          out = interpret_extract(opcode, whole(0), static_cast<u32>(inst.imm));
          break;
        case Op::kVReplace:
          out128 = interpret_replace(opcode, whole(0), static_cast<u32>(inst.imm), arg(1));
          break;
        case Op::kVShuffle: out128 = interpret_shuffle(whole(0), whole(1), whole(2)); break;
        case Op::kTruncS:
        case Op::kTruncU:
        case Op::kTruncSatS:
        case Op::kTruncSatU: {
          bool is_signed = inst.op == Op::kTruncS || inst.op == Op::kTruncSatS, fits;
          double x = inst.operand_type == Type::kF32 ? static_cast<double>(f32_of(arg(0)))
                                                     : f64_of(arg(0));
          out = truncate_bits(x, wide, is_signed, &fits);
          if (fits || inst.op == Op::kTruncSatS || inst.op == Op::kTruncSatU) break;
          return trap(std::isnan(x) ? TrapReason::kInvalidConversion
                                    : TrapReason::kIntegerOverflow);
        }
        case Op::kConvertS:
        case Op::kConvertU: {
          bool from_wide = inst.operand_type == Type::kI64, is_signed = inst.op == Op::kConvertS;
          out = inst.type == Type::kF32
                    ? bits_of(from_integer<float>(arg(0), from_wide, is_signed))
                    : bits_of(from_integer<double>(arg(0), from_wide, is_signed));
          break;
        }
        case Op::kDemote: out = bits_of(static_cast<float>(f64_of(arg(0)))); break;
        case Op::kPromote: out = bits_of(static_cast<double>(f32_of(arg(0)))); break;
        case Op::kFence: break;
        case Op::kLoadRaw:
          out128 =
              read(reinterpret_cast<u8*>(arg(0) + static_cast<u64>(inst.imm)), kind, inst.type);
          break;
        case Op::kStoreRaw:
          std::memcpy(reinterpret_cast<void*>(arg(0) + static_cast<u64>(inst.imm)),
                      &values[args[1]], bytes_of(kind));
          break;
        case Op::kAddRaw:
        case Op::kAtomicAddRaw: {
          void* at = reinterpret_cast<void*>(arg(0) + static_cast<u64>(inst.imm));
          u64 raw = 0;
          std::memcpy(&raw, at, bytes_of(kind));
          raw += arg(1);
          std::memcpy(at, &raw, bytes_of(kind));
          break;
        }
        case Op::kPerCpu: out = arg(0) + gs_[inst.imm]; break;
        case Op::kLoadGs: out = extend(gs_[inst.imm], kind, inst.type); break;
        case Op::kCall:
        case Op::kCallPtr:
        case Op::kCallHost:
        case Op::kCallLib: {
          Words in, res;
          for (u32 n = 0; n < args.size(); n++) in.push_back(whole(n));
          Status status = call_of(inst, in, &res);
          if (status != Status::kOk) return status;
          if (inst.type != Type::kVoid) out128 = res[0];
          if (res.size() > 1) more[v] = std::move(res);
          break;
        }
        case Op::kTailCall:
        case Op::kTailCallPtr: {
          Words in;
          for (u32 n = 0; n < args.size(); n++) in.push_back(whole(n));
          ir::Inst call = inst;
          call.op = inst.op == Op::kTailCall ? Op::kCall : Op::kCallPtr;
          results->clear();
          depth_--;
          return call_of(call, in, results);
        }
        case Op::kTrapIf:
          if (!arg(0)) break;
          [[fallthrough]];
        case Op::kTrap:
          if (inst.aux == static_cast<u16>(TrapReason::kHostError)) return Status::kTrap;
          return trap(static_cast<TrapReason>(inst.aux));
        case Op::kFuel: fuel_used_ += static_cast<u64>(inst.imm); break;
        case Op::kJump: next = b.succs[0]; break;
        case Op::kBranch: next = b.succs[arg(0) ? 0 : 1]; break;
        case Op::kSwitch: next = b.succs[std::min<u64>(arg(0), b.succs.size() - 1)]; break;
        case Op::kReturn:
          results->clear();
          for (u32 n = 0; n < args.size(); n++) results->push_back(whole(n));
          depth_--;
          return Status::kOk;
        default:
          if (inst.op >= Op::kFAdd && inst.op <= Op::kFGe)
            out =
                interpret_float(inst.op, is_float_compare(inst.op) ? inst.operand_type : inst.type,
                                arg(0), args.size() == 2 ? arg(1) : 0);
          else if (args.size() == 2)
            out = interpret_binary(inst.op,
                                   wide || (is_compare(inst.op) && inst.operand_type == Type::kI64),
                                   arg(0), arg(1));
          else
            out = interpret_unary(inst.op, wide, arg(0));
          break;
      }
      // What every producer of an I32 guarantees.
      if (inst.type == Type::kI32 && out >> 32) std::abort();
    }
    from = block;
    block = next;
  }
}

}  // namespace wring::test
