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

#include "core/ir/build.h"
#include "core/ir/verify.h"
#include "core/opt/opt.h"
#include "core/runtime/libcalls.h"
#include "core/wasm/instr.h"

namespace wring::test {

// A module whose functions have been built; `optimized` says how far they were taken.
class Program {
 public:
  // Takes over the module. bindings: one per imported function; empty: all are Wasm imports.
  Program(Module* module, std::vector<FunctionBinding> bindings, std::vector<MapBinding> maps);
  ~Program() { module_free(module_); }
  Program(const Program&) = delete;

  const Module& module() const { return *module_; }
  // Builds (and optimizes) every defined function, verifying each step. A function that is not supported
  // stays null; other errors end up in error().
  void compile(bool optimized);
  const ir::Function* function(u32 index) const { return functions_[index].get(); }
  const std::string& error() const { return error_; }
  u32 type_id(u32 type) const { return type_ids_[type]; }
  Bindings& bindings() { return bindings_; }

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
  std::vector<u64> results;
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
  std::vector<u8>& memory() { return memory_; }
  u64 global(u32 index) const { return cells_[index][0]; }
  u64 fuel_used() const { return fuel_used_; }
  u64 steps() const { return steps_; }
  void set_host(u32 func, HostFunction host) { hosts_[func] = std::move(host); }
  void set_gs(i64 displacement, u64 value) { gs_[displacement] = value; }

  u64 max_steps = 3'000'000;
  u32 max_depth = 300;

 private:
  struct FunctionRef {
    u32 func;
  };
  enum class Status { kOk, kTrap, kSkip };
  Status run(u32 func, const std::vector<u64>& args, std::vector<u64>* results);
  Status trap(TrapReason reason) {
    ctx_.trap_reason = static_cast<u32>(reason);
    return Status::kTrap;
  }
  u64 constant(Range expression);
  Status libcall(Libcall call, const std::vector<u64>& args, u64* result);
  Status table_init(u32 table, const ElementSegment& segment, bool dropped, u64 dst, u64 src,
                    u64 n);
  Status memory_init(const DataSegment& segment, bool dropped, u64 dst, u64 src, u64 n);
  void set_entry(wring_table_view* view, u32 index, u32 func);
  static u64 extend(u64 value, MemKind kind, ir::Type type);

  const Program& program_;
  const Module& module_;
  wring_vmctx ctx_ = {};
  std::vector<u8> memory_;
  wring_memory_view memory_view_ = {};
  std::vector<std::vector<wring_table_entry>> entries_;
  std::vector<wring_table_view> views_;
  std::vector<wring_table_view*> view_pointers_;
  std::vector<std::vector<u64>> cells_;
  std::vector<void*> cell_pointers_;
  std::vector<wring_import_slot> slots_;
  std::vector<FunctionRef> refs_;
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

inline void Program::compile(bool optimized) {
  u32 count = module_->functions.size();
  functions_.clear();
  arenas_.clear();
  functions_.resize(count);
  arenas_.resize(count);
  ir::BuildContext context = {};
  context.module = module_;
  context.bindings = &bindings_;
  context.type_ids = {type_ids_.data(), type_ids_.size()};
  for (u32 i = module_->imported_functions; i < count; i++) {
    arenas_[i] = std::make_unique<Arena>(kMaxCompileBytes);
    auto f = std::make_unique<ir::Function>(arenas_[i].get());
    Diag diag;
    VerifyingObserver observer;
    Err err = ir::build(context, i, f.get(), &diag);
    if (err == Err::kUnsupported) continue;
    if (err == Err::kOk) err = ir::verify(*f, "build", &diag);
    if (err == Err::kOk && optimized) err = opt::optimize(f.get(), &observer, &diag);
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

inline u64 Instance::constant(Range expression) {
  Diag diag;
  Instr in;
  if (decode_instr(module_.bytes, expression.begin, expression.end, kNone, &in, &diag) != Err::kOk)
    return 0;
  switch (in.op) {
    case Opcode::kI32Const: return static_cast<u32>(in.value);
    case Opcode::kGlobalGet: return cells_[in.index][0];
    case Opcode::kRefFunc: return reinterpret_cast<u64>(&refs_[in.index]);
    case Opcode::kRefNull:
    case Opcode::kV128Const: return 0;
    default: return static_cast<u64>(in.value);
  }
}

inline void Instance::set_entry(wring_table_view* view, u32 index, u32 func) {
  wring_table_entry& entry = view->entries[index];
  entry = {};
  if (func == kNone) return;
  entry.code = &refs_[func];
  entry.type_id = program_.type_id(module_.functions[func].type);
}

inline Outcome Instance::instantiate() {
  for (u32 i = 0; i < module_.functions.size(); i++) refs_.push_back({i});
  for (const Global& global : module_.globals) {
    cells_.push_back({0, 0});
    if (global.init.size()) cells_.back()[0] = constant(global.init);
  }
  for (auto& cell : cells_) cell_pointers_.push_back(cell.data());
  for (const Table& table : module_.tables) {
    // Small ones only: a fuzzed table may ask for millions of entries.
    if (table.type.limits.min > 1'000'000) return {};
    entries_.push_back(std::vector<wring_table_entry>(table.type.limits.min));
    wring_table_view view = {};
    view.entries = entries_.back().data();
    view.size = view.max = static_cast<u32>(table.type.limits.min);
    views_.push_back(view);
  }
  for (auto& view : views_) view_pointers_.push_back(&view);
  if (!module_.memories.empty()) {
    const Limits& limits = module_.memories[0].type.limits;
    if (limits.min > 256) return {};
    memory_.resize(limits.min * kWasmPageBytes);
    memory_view_.max_bytes = (limits.has_max ? limits.max : kMaxMemoryPages) * kWasmPageBytes;
  }
  memory_view_.bytes = memory_.size();
  for (u32 i = 0; i < module_.imported_functions; i++)
    slots_.push_back({&refs_[i], program_.type_id(module_.functions[i].type)});
  ctx_.memory = &memory_view_;
  ctx_.tables = view_pointers_.data();
  ctx_.imports = slots_.data();
  ctx_.globals = cell_pointers_.data();
  dropped_data_.resize(module_.datas.size());
  dropped_elements_.resize(module_.elements.size());

  for (u32 i = 0; i < module_.elements.size(); i++) {
    const ElementSegment& segment = module_.elements[i];
    if (segment.mode == SegmentMode::kPassive) continue;
    if (segment.mode == SegmentMode::kActive) {
      u64 dst = static_cast<u32>(constant(segment.offset));
      if (table_init(segment.table, segment, false, dst, 0, segment.size()) != Status::kOk)
        return {Outcome::kTrapped, static_cast<TrapReason>(ctx_.trap_reason), {}};
    }
    dropped_elements_[i] = true;
  }
  for (u32 i = 0; i < module_.datas.size(); i++) {
    const DataSegment& segment = module_.datas[i];
    if (segment.mode != SegmentMode::kActive) continue;
    u64 dst = static_cast<u32>(constant(segment.offset));
    if (memory_init(segment, false, dst, 0, segment.bytes.size()) != Status::kOk)
      return {Outcome::kTrapped, static_cast<TrapReason>(ctx_.trap_reason), {}};
    dropped_data_[i] = true;
  }
  if (module_.start != kNone) return call(module_.start, {});
  return {Outcome::kReturned, TrapReason::kNone, {}};
}

inline Outcome Instance::call(u32 func, const std::vector<u64>& args) {
  Outcome out;
  ctx_.trap_reason = 0;
  steps_ = depth_ = 0;
  switch (run(func, args, &out.results)) {
    case Status::kOk: out.kind = Outcome::kReturned; break;
    case Status::kTrap:
      out.kind = Outcome::kTrapped;
      out.trap = static_cast<TrapReason>(ctx_.trap_reason);
      out.results.clear();
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
    case MemKind::k64: break;
  }
  return type == ir::Type::kI32 ? static_cast<u32>(value) : value;
}

inline Instance::Status Instance::table_init(u32 table, const ElementSegment& segment, bool dropped,
                                             u64 dst, u64 src, u64 n) {
  wring_table_view* view = &views_[table];
  if (src + n > (dropped ? 0 : segment.size()) || dst + n > view->size)
    return trap(TrapReason::kTableOutOfBounds);
  for (u64 i = 0; i < n; i++) {
    u32 func = kNone;
    if (!segment.functions.empty()) {
      func = segment.functions[src + i];
    } else if (u64 ref = constant(segment.expressions[src + i])) {
      func = reinterpret_cast<FunctionRef*>(ref)->func;
    }
    set_entry(view, static_cast<u32>(dst + i), func);
  }
  return Status::kOk;
}

inline Instance::Status Instance::memory_init(const DataSegment& segment, bool dropped, u64 dst,
                                              u64 src, u64 n) {
  if (src + n > (dropped ? 0 : segment.bytes.size()) || dst + n > memory_.size())
    return trap(TrapReason::kMemoryOutOfBounds);
  if (n) std::memcpy(&memory_[dst], module_.bytes.data() + segment.bytes.begin + src, n);
  return Status::kOk;
}

inline Instance::Status Instance::libcall(Libcall call, const std::vector<u64>& a, u64* result) {
  switch (call) {
    case Libcall::kMemoryGrow: {
      u64 old = memory_.size();
      u64 bytes = old + a[0] * kWasmPageBytes;
      *result = 0xffff'ffff;
      if (bytes > memory_view_.max_bytes) return Status::kOk;
      if (bytes > (u64{64} << 20)) return Status::kSkip;
      memory_.resize(bytes);
      memory_view_.bytes = bytes;
      *result = old / kWasmPageBytes;
      return Status::kOk;
    }
    case Libcall::kMemoryFill:
      if (a[0] + a[2] > memory_.size()) return trap(TrapReason::kMemoryOutOfBounds);
      if (a[2]) std::memset(&memory_[a[0]], static_cast<int>(a[1]), a[2]);
      return Status::kOk;
    case Libcall::kMemoryCopy:
      if (a[0] + a[2] > memory_.size() || a[1] + a[2] > memory_.size())
        return trap(TrapReason::kMemoryOutOfBounds);
      if (a[2]) std::memmove(&memory_[a[0]], &memory_[a[1]], a[2]);
      return Status::kOk;
    case Libcall::kMemoryInit:
      return memory_init(module_.datas[a[0]], dropped_data_[a[0]], a[1], a[2], a[3]);
    case Libcall::kDataDrop: dropped_data_[a[0]] = true; return Status::kOk;
    case Libcall::kElemDrop: dropped_elements_[a[0]] = true; return Status::kOk;
    case Libcall::kTableInit:
      return table_init(static_cast<u32>(a[0]), module_.elements[a[1]], dropped_elements_[a[1]],
                        a[2], a[3], a[4]);
    case Libcall::kTableCopy: {
      const wring_table_view &to = views_[a[0]], &from = views_[a[1]];
      if (a[3] + a[4] > from.size || a[2] + a[4] > to.size)
        return trap(TrapReason::kTableOutOfBounds);
      if (a[4])
        std::memmove(to.entries + a[2], from.entries + a[3], a[4] * sizeof(wring_table_entry));
      return Status::kOk;
    }
    default: return Status::kSkip;
  }
}

inline u64 interpret_binary(ir::Op op, bool wide, u64 a, u64 b) {
  using ir::Op;
  u32 bits = wide ? 64 : 32;
  u64 shift = b % bits;
  i64 sa = wide ? static_cast<i64>(a) : static_cast<i32>(a);
  i64 sb = wide ? static_cast<i64>(b) : static_cast<i32>(b);
  u64 mask = wide ? ~u64{0} : 0xffff'ffff;
  switch (op) {
    case Op::kAdd: return (a + b) & mask;
    case Op::kSub: return (a - b) & mask;
    case Op::kMul: return (a * b) & mask;
    case Op::kMulHiU: return static_cast<u64>((static_cast<unsigned __int128>(a) * b) >> 64);
    case Op::kMulHiS: return static_cast<u64>((static_cast<__int128>(sa) * sb) >> 64);
    case Op::kDivS: return (sb == -1 ? 0 - a : static_cast<u64>(sa / sb)) & mask;
    case Op::kDivU: return a / b;
    case Op::kRemS: return (sb == -1 ? 0 : static_cast<u64>(sa % sb)) & mask;
    case Op::kRemU: return a % b;
    case Op::kAnd: return a & b;
    case Op::kOr: return a | b;
    case Op::kXor: return a ^ b;
    case Op::kShl: return (a << shift) & mask;
    case Op::kShrS: return static_cast<u64>(sa >> shift) & mask;
    case Op::kShrU: return a >> shift;
    case Op::kRotl: return ((a << shift) | (shift ? a >> (bits - shift) : 0)) & mask;
    case Op::kRotr: return ((a >> shift) | (shift ? a << (bits - shift) : 0)) & mask;
    case Op::kEq: return a == b;
    case Op::kNe: return a != b;
    case Op::kLtS: return sa < sb;
    case Op::kLtU: return a < b;
    case Op::kLeS: return sa <= sb;
    case Op::kLeU: return a <= b;
    case Op::kGtS: return sa > sb;
    case Op::kGtU: return a > b;
    case Op::kGeS: return sa >= sb;
    case Op::kGeU: return a >= b;
    case Op::kClampIndex: return a < b ? a : 0;
    default: std::abort();
  }
}

inline u64 interpret_unary(ir::Op op, bool wide, u64 a) {
  using ir::Op;
  u64 mask = wide ? ~u64{0} : 0xffff'ffff;
  switch (op) {
    case Op::kClz:
      return a ? static_cast<u64>(__builtin_clzll(a)) - (wide ? 0 : 32) : wide ? 64 : 32;
    case Op::kCtz: return a ? static_cast<u64>(__builtin_ctzll(a)) : wide ? 64 : 32;
    case Op::kPopcnt: return static_cast<u64>(__builtin_popcountll(a));
    case Op::kBswap: return wide ? __builtin_bswap64(a) : __builtin_bswap32(static_cast<u32>(a));
    case Op::kBswap16: return __builtin_bswap16(static_cast<u16>(a));
    case Op::kWrap: return static_cast<u32>(a);
    case Op::kSExtI32: return static_cast<u64>(static_cast<i32>(a));
    case Op::kZExtI32: return a;
    case Op::kSExt8: return static_cast<u64>(static_cast<i8>(a)) & mask;
    case Op::kSExt16: return static_cast<u64>(static_cast<i16>(a)) & mask;
    case Op::kSExt32: return static_cast<u64>(static_cast<i32>(a));
    default: std::abort();
  }
}

inline Instance::Status Instance::run(u32 func, const std::vector<u64>& params,
                                      std::vector<u64>* results) {
  using ir::Op;
  if (depth_ >= max_depth) return Status::kSkip;
  const ir::Function* f = func < module_.imported_functions ? nullptr : program_.function(func);
  if (!f) return Status::kSkip;
  depth_++;
  std::vector<u64> values(f->insts.size());
  std::map<ir::Value, std::vector<u64>> more;  // results of calls with several
  ir::BlockId block = 0, from = kNone;
  std::vector<u64> phis;
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
      auto arg = [&](u32 n) { return values[args[n]]; };
      MemKind kind = static_cast<MemKind>(inst.aux);
      bool wide = inst.type == ir::Type::kI64;
      u64& out = values[v];
      if (++steps_ > max_steps) return Status::kSkip;
      switch (inst.op) {
        case Op::kParam: out = params[inst.aux]; break;
        case Op::kConst: out = static_cast<u64>(inst.imm); break;
        case Op::kPhi: out = phis[i]; break;
        case Op::kResult: out = more[args[0]][inst.aux]; break;
        case Op::kVmCtx: out = reinterpret_cast<u64>(&ctx_); break;
        case Op::kSelect: out = arg(0) ? arg(1) : arg(2); break;
        case Op::kLoad: {
          u64 at = arg(0) + static_cast<u64>(inst.imm);
          if (at + bytes_of(kind) > memory_.size()) return trap(TrapReason::kMemoryOutOfBounds);
          u64 raw = 0;
          std::memcpy(&raw, &memory_[at], bytes_of(kind));
          out = extend(raw, kind, inst.type);
          break;
        }
        case Op::kStore: {
          u64 at = arg(0) + static_cast<u64>(inst.imm);
          if (at + bytes_of(kind) > memory_.size()) return trap(TrapReason::kMemoryOutOfBounds);
          u64 raw = arg(1);
          std::memcpy(&memory_[at], &raw, bytes_of(kind));
          break;
        }
        case Op::kLoadRaw: {
          u64 raw = 0;
          std::memcpy(&raw, reinterpret_cast<void*>(arg(0) + static_cast<u64>(inst.imm)),
                      bytes_of(kind));
          out = extend(raw, kind, inst.type);
          break;
        }
        case Op::kStoreRaw:
        case Op::kAddRaw:
        case Op::kAtomicAddRaw: {
          void* at = reinterpret_cast<void*>(arg(0) + static_cast<u64>(inst.imm));
          u64 raw = 0;
          if (inst.op != Op::kStoreRaw) std::memcpy(&raw, at, bytes_of(kind));
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
          std::vector<u64> in, res;
          for (u32 n = inst.op == Op::kCallPtr; n < args.size(); n++) in.push_back(arg(n));
          u32 callee = static_cast<u32>(inst.imm);
          if (inst.op == Op::kCallPtr) callee = reinterpret_cast<FunctionRef*>(arg(0))->func;
          Status status = Status::kOk;
          if (inst.op == Op::kCallLib) {
            res.resize(1);
            status = libcall(static_cast<Libcall>(inst.imm), in, &res[0]);
            // The generated code looks at vmctx->trap_reason itself.
            if (status == Status::kTrap) status = Status::kOk;
          } else if (callee < module_.imported_functions) {
            auto host = hosts_.find(callee);
            if (host == hosts_.end()) return Status::kSkip;
            res.push_back(host->second(&ctx_, in));
          } else {
            status = run(callee, in, &res);
          }
          if (status != Status::kOk) return status;
          if (inst.type != ir::Type::kVoid) out = res[0];
          more[v] = std::move(res);
          break;
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
          for (u32 n = 0; n < args.size(); n++) results->push_back(arg(n));
          depth_--;
          return Status::kOk;
        default:
          if (args.size() == 2)
            out = interpret_binary(
                inst.op, wide || (is_compare(inst.op) && inst.operand_type == ir::Type::kI64),
                arg(0), arg(1));
          else
            out = interpret_unary(inst.op, wide, arg(0));
          break;
      }
      // What every producer of an I32 guarantees.
      if (inst.type == ir::Type::kI32 && out >> 32) std::abort();
    }
    from = block;
    block = next;
  }
}

}  // namespace wring::test
