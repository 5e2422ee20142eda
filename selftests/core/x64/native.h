// SPDX-License-Identifier: GPL-2.0
// Hand-made IR as machine code: builds functions, compiles them with the allocation checker on, links them, and runs
// them on a vmctx and a linear memory of its own.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "core/ir/cfg.h"
#include "core/ir/edit.h"
#include "core/ir/verify.h"
#include "core/link/link.h"
#include "core/x64/abi.h"
#include "core/x64/x64.h"
#include "selftests/core/x64/thunks.h"
#include "selftests/host/platform_posix.h"

namespace wring::test {

using ir::MemKind;
using ir::Op;
using ir::Type;
using ir::Value;

// Everything the target has to offer on this machine.
inline Target native_target() {
  wring_target t = wring_posix_target();
  Target target;
  target.cpu = t.cpu;
  return target;
}
inline Target target_of(const TargetVariant& variant) {
  wring_target t = wring_posix_target();
  apply(variant, &t);
  Target target;
  target.cpu = t.cpu;
  target.ibt = t.ibt;
  target.sls = t.sls;
  target.retpoline = t.retpoline;
  target.clamp_speculation = t.clamp_speculation;
  target.return_thunk = t.return_thunk;
  for (u32 i = 0; i < 16; i++) target.indirect_thunks[i] = t.indirect_thunks[i];
  target.random = t.random;
  return target;
}

// One function's IR. Instructions go to the current block.
class IrBuilder {
 public:
  explicit IrBuilder(ir::Function* f) : f_(f) {
    block();
    at(0);
  }
  ir::BlockId block() {
    ir::BlockId b = ir::add_block(f_);
    f_->blocks[b].insts.init(f_->arena);
    return b;
  }
  void at(ir::BlockId b) { current_ = b; }
  ir::BlockId current() const { return current_; }

  Value param(u32 index, Type type) {
    auto [it, fresh] = params_.insert({index, kNone});
    if (!fresh) return it->second;
    ir::Inst inst = ir::make_inst(Op::kParam, type);
    inst.aux = static_cast<u16>(index);
    return it->second = add_first(inst);
  }
  Value c32(u32 value) { return constant(Type::kI32, value); }
  Value c64(u64 value) { return constant(Type::kI64, value); }
  Value constant(Type type, u64 value) {
    ir::Inst inst = ir::make_inst(Op::kConst, type);
    inst.imm = ir::normalize(type, value);
    return add_first(inst);
  }
  Value v128(u64 low, u64 high) {
    ir::Inst inst = ir::make_inst(Op::kVConst, Type::kV128);
    ir::set_v128(&inst, {low, high});
    return add_first(inst);
  }
  Value vmctx() { return add_first(ir::make_inst(Op::kVmCtx, Type::kI64)); }
  Value op(Op op, Type type, Value a) { return add(ir::make_inst(op, type, a)); }
  Value op(Op op, Type type, Value a, Value b) { return add(ir::make_inst(op, type, a, b)); }
  Value select(Type type, Value c, Value a, Value b) {
    return add(ir::make_inst(Op::kSelect, type, c, a, b));
  }
  Value compare(Op op, Type operands, Value a, Value b) {
    return add(ir::make_compare(op, operands, a, b));
  }
  Value convert(Op op, Type to, Type from, Value a) {
    ir::Inst inst = ir::make_inst(op, to, a);
    inst.operand_type = from;
    return add(inst);
  }
  Value load(Type type, MemKind kind, Value index, u32 offset = 0) {
    return access(ir::make_inst(Op::kLoad, type, index), kind, offset);
  }
  void store(Type type, MemKind kind, Value index, Value value, u32 offset = 0) {
    ir::Inst inst = ir::make_inst(Op::kStore, Type::kVoid, index, value);
    inst.operand_type = type;
    access(inst, kind, offset);
  }
  Value load_raw(Type type, MemKind kind, Value address, i32 disp = 0) {
    return access(ir::make_inst(Op::kLoadRaw, type, address), kind, disp);
  }
  void write_raw(Op op, Type type, MemKind kind, Value address, Value value, i32 disp = 0) {
    ir::Inst inst = ir::make_inst(op, Type::kVoid, address, value);
    inst.operand_type = type;
    access(inst, kind, disp);
  }
  Value with_imm(Op op, Type type, i64 imm, std::vector<Value> args = {},
                 MemKind kind = MemKind::k8U) {
    ir::Inst inst = args.empty() ? ir::make_inst(op, type) : ir::make_inst(op, type, args[0]);
    inst.imm = imm;
    inst.aux = static_cast<u16>(kind);
    return add(inst);
  }
  // An access by base (Op::kLoadMem ... kAtomicCas) with all there is to say.
  Value access_of(Op op, Type result, Type type, u16 aux, i64 offset,
                  const std::vector<Value>& args) {
    ir::Inst inst = ir::make_inst(op, result);
    inst.operand_type = type;
    inst.aux = aux;
    inst.imm = offset;
    if (ir::Function::has_pool_args(op)) return add(pooled(inst, args));
    inst.count = static_cast<u32>(args.size());
    for (u32 i = 0; i < args.size(); i++) inst.arg[i] = args[i];
    return add(inst);
  }
  void trap_if(Value c, TrapReason reason) {
    ir::Inst inst = ir::make_inst(Op::kTrapIf, Type::kVoid, c);
    inst.aux = static_cast<u16>(reason);
    add(inst);
  }
  void fuel(i64 units) { with_imm(Op::kFuel, Type::kVoid, units); }
  // Op::kCall, kCallHost, kCallLib (imm: index) or kCallPtr (imm: type, first argument: address).
  Value call(Op op, Type type, i64 imm, std::vector<Value> args) {
    ir::Inst inst = ir::make_inst(op, type);
    inst.imm = imm;
    return add(pooled(inst, args));
  }
  Value result(Value call, u32 index, Type type) {
    ir::Inst inst = ir::make_inst(Op::kResult, type, call);
    inst.aux = static_cast<u16>(index);
    return add(inst);
  }
  Value phi(Type type, u32 preds) {
    return add(pooled(ir::make_inst(Op::kPhi, type), std::vector<Value>(preds)));
  }
  void set_phi(Value phi, u32 pred, Value value) { f_->args(phi)[pred] = value; }

  // Op::kTailCall or kTailCallPtr, as call().
  void tail_call(Op op, i64 imm, std::vector<Value> args) {
    ir::Inst inst = ir::make_inst(op, Type::kVoid);
    inst.imm = imm;
    add(pooled(inst, args));
  }
  void ret(std::vector<Value> results) {
    add(pooled(ir::make_inst(Op::kReturn, Type::kVoid), results));
  }
  void jump(ir::BlockId to) {
    add(ir::make_inst(Op::kJump, Type::kVoid));
    edge(to);
  }
  void branch(Value c, ir::BlockId yes, ir::BlockId no) {
    add(ir::make_inst(Op::kBranch, Type::kVoid, c));
    edge(yes);
    edge(no);
  }
  void switch_to(Value index, const std::vector<ir::BlockId>& targets) {
    add(ir::make_inst(Op::kSwitch, Type::kVoid, index));
    for (ir::BlockId to : targets) edge(to);
  }
  void trap(TrapReason reason) {
    ir::Inst inst = ir::make_inst(Op::kTrap, Type::kVoid);
    inst.aux = static_cast<u16>(reason);
    add(inst);
  }
  // The Wasm offset that the next instructions come from.
  u32 origin = 1;

 private:
  Value add(ir::Inst inst) {
    inst.origin = origin;
    inst.block = current_;
    Value v = f_->insts.size();
    EXPECT_TRUE(f_->insts.push(inst) && f_->blocks[current_].insts.push(v));
    return v;
  }
  // Parameters and constants live in the entry block.
  Value add_first(const ir::Inst& inst) {
    ir::BlockId back = current_;
    current_ = 0;
    Value v = add(inst);
    Vec<Value>& list = f_->blocks[0].insts;
    for (u32 i = list.size() - 1; i > 0; i--) list[i] = list[i - 1];
    list[0] = v;
    current_ = back;
    return v;
  }
  Value access(ir::Inst inst, MemKind kind, i64 offset) {
    inst.aux = static_cast<u16>(kind);
    inst.imm = offset;
    return add(inst);
  }
  ir::Inst pooled(ir::Inst inst, const std::vector<Value>& args) {
    inst.pool = f_->pool.size();
    inst.count = static_cast<u32>(args.size());
    for (Value v : args) EXPECT_TRUE(f_->pool.push(v));
    return inst;
  }
  void edge(ir::BlockId to) { EXPECT_TRUE(ir::add_edge(f_, current_, to)); }

  ir::Function* f_;
  ir::BlockId current_ = 0;
  std::map<u32, Value> params_;
};

struct Called {
  u32 trap = 0;
  std::vector<u64> results;
};

// A module of hand-made functions. Signatures are letters: i, l, f, d, v.
class NativeModule {
 public:
  static constexpr usize kArena = 512 << 20;
  static constexpr u64 kStackBytes = 1 << 20;

  explicit NativeModule(const Target& t = native_target())
      : target(t), module(kArena), arena_(kArena), code(&arena_) {
    memory = wring_os_memory_reserve(kWasmPageBytes);
    EXPECT_NE(memory, nullptr);
    view_ = {memory, kWasmPageBytes, kWasmPageBytes};
    ctx.memory_base = memory;
    ctx.memory = &view_;
    ctx.root = &ctx;
    ctx.fuel = 1 << 30;
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaction(SIGSEGV, &action, &old_action_);
    stack_.resize(kStackBytes / 16);
    hook_stack = wring_hook_stack_init(stack_.data(), kStackBytes, nullptr);
    ctx.stack_top = hook_stack;
    ctx.stack_limit = hook_stack->limit;
  }
  ~NativeModule() {
    if (text_) munmap(text_, mapped_);
    wring_os_memory_release(memory, kWasmPageBytes);
    sigaction(SIGSEGV, &old_action_, nullptr);
  }
  NativeModule(const NativeModule&) = delete;

  struct Options {
    bool check_stack = false, consume_fuel = false, address_taken = false;
  };
  using Body = std::function<void(IrBuilder&)>;

  // Declares a function; bodies may refer to every function declared before they are built by
  // finish().
  u32 add(const std::string& params, const std::string& results, Body body) {
    return add(params, results, std::move(body), {});
  }
  u32 add(const std::string& params, const std::string& results, Body body, Options options) {
    functions_.push_back({params, results, std::move(body), options});
    return static_cast<u32>(functions_.size() - 1);
  }
  // C functions for Op::kCallHost, by imm.
  void bind(std::vector<u64> addresses) {
    for (u64 address : addresses) {
      FunctionBinding binding;
      binding.kind = BindingKind::kHost;
      binding.address = address;
      bindings_.push_back(binding);
    }
  }
  // Emitted after the functions.
  void add_hook(const x64::HookEntry& hook) {
    hook_ = hook;
    has_hook_ = true;
  }

  // A bridge into another module's instance; its number.
  u32 add_bridge(u32 type, wring_vmctx* vmctx, u64 entry, u32 callee_tail_bytes = 0) {
    bridges_.push_back({type, vmctx, entry, callee_tail_bytes, 0});
    return static_cast<u32>(bridges_.size() - 1);
  }
  u32 bridge_offset(u32 number) const { return bridges_[number].offset; }

  void finish() {
    ASSERT_NO_FATAL_FAILURE(build());
    link();
  }

  // Arguments and results in words: a v128 takes two.
  Called call(u32 func, const std::vector<u64>& args) {
    const std::string& letters = functions_[func].results;
    usize words = letters.size() + std::count(letters.begin(), letters.end(), 'v');
    std::vector<unsigned long long> argv(args.begin(), args.end());
    argv.resize(std::max(args.size(), words) + 1, 0xdead);
    ctx.trap_reason = 0;
    ctx.trap_frame_count = 0;
    auto entry = reinterpret_cast<u32 (*)(wring_vmctx*, unsigned long long*)>(
        text_ + code.array_entries[func]);
    Called run;
    run.trap = guarded_call([&] { return entry(&ctx, argv.data()); });
    if (!run.trap) run.results.assign(argv.begin(), argv.begin() + static_cast<i64>(words));
    return run;
  }
  u64 value(u32 func, const std::vector<u64>& args) {
    Called run = call(func, args);
    EXPECT_EQ(run.trap, 0u) << wring_trap_text(run.trap);
    return run.results.empty() ? 0xdeadbeef : run.results[0];
  }
  // Runs f with faults in this module's code sent to their trap stubs.
  template <class F>
  u32 guarded_call(F&& f) {
    current() = this;
    return f();
  }

  const u8* stack_bottom() const { return reinterpret_cast<const u8*>(stack_.data()); }
  const u8* text_of(u32 func) const { return text_ + code.functions[func].entry; }
  const u8* hook_text() const { return text_ + hook_offset; }
  u64 address() const { return reinterpret_cast<u64>(text_); }
  // The site of the last trap.
  const TrapSite* last_site() const { return last_site_; }

  Target target;
  Module module;
  wring_vmctx ctx = {};
  wring_hook_stack* hook_stack = nullptr;  // at the top of the stack that ctx.stack_top is
  bool calls_on_host_stack = false;
  u8* memory = nullptr;
  u32 hook_offset = kNone;
  i64 refill = 0;  // what the fuel stub's call returns
  u32 refills = 0;
  NativeModule* also = nullptr;  // whose code may trap in this one's invocations
  bool tail_calls = false;       // reserve room for those of functions of any type here
  u32 tail_bytes = 0;

  // Changes every register a C function may.
  static void clobber() {
    asm volatile(
        "mov $-1, %%rcx; mov $-1, %%rdx; mov $-1, %%rsi; mov $-1, %%rdi; mov $-1, %%r8; mov $-1, "
        "%%r9;"
        "mov $-1, %%r10; mov $-1, %%r11" ::
            : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc");
    clobber_vectors();
  }

 private:
  struct Declared {
    std::string params, results;
    Body body;
    Options options;
  };

  struct Bridge {
    u32 type;
    wring_vmctx* vmctx;
    u64 entry;
    u32 tail_bytes;
    u32 offset;
  };

  static NativeModule*& current() {
    static NativeModule* module;
    return module;
  }

  static ValType type_of(char letter) {
    switch (letter) {
      case 'i': return ValType::kI32;
      case 'l': return ValType::kI64;
      case 'f': return ValType::kF32;
      case 'd': return ValType::kF64;
      default: EXPECT_EQ(letter, 'v'); return ValType::kV128;
    }
  }
  FuncType type_of(const Declared& d) {
    auto list = [&](const std::string& letters) {
      Span<ValType> types = arena_.make_array<ValType>(letters.size());
      for (u32 i = 0; i < types.size(); i++) types[i] = type_of(letters[i]);
      return types;
    };
    return {list(d.params), list(d.results)};
  }

  void build() {
    u32 count = static_cast<u32>(functions_.size());
    Span<FuncType> types = arena_.make_array<FuncType>(count);
    Span<Function> functions = arena_.make_array<Function>(count);
    code.functions = arena_.make_array<FunctionCode>(count);
    code.array_entries = arena_.make_array<u32>(count);
    for (u32 i = 0; i < count; i++) {
      types[i] = type_of(functions_[i]);
      functions[i] = {};
      functions[i].type = i;
      functions[i].address_taken = functions_[i].options.address_taken;
      code.functions[i] = FunctionCode();
      if (tail_calls) tail_bytes = max(tail_bytes, x64::stack_param_bytes(types[i]));
    }
    module.types = types;
    module.functions = functions;
    code.calls_on_host_stack = calls_on_host_stack;
    Diag diag;
    Bindings bindings;
    bindings.functions = {bindings_.data(), bindings_.size()};
    for (u32 i = 0; i < count; i++) {
      Arena scratch(kArena);
      ir::Function f(&scratch);
      f.module = &module;
      f.index = i;
      IrBuilder builder(&f);
      functions_[i].body(builder);
      ASSERT_EQ(ir::analyze_cfg(&f, &diag), Err::kOk) << diag.message;
      ASSERT_EQ(ir::split_critical_edges(&f, &diag), Err::kOk) << diag.message;
      ASSERT_EQ(ir::verify(f, "test", &diag), Err::kOk) << diag.message;
      x64::FunctionOptions options;
      options.check_stack = functions_[i].options.check_stack;
      options.entry_cost = functions_[i].options.consume_fuel;
      options.tail_bytes = tail_bytes;
      ASSERT_EQ(x64::compile_function(f, bindings, target, options, true, &scratch, &code, &diag),
                Err::kOk)
          << diag.message;
    }
    ASSERT_EQ(x64::emit_stubs(target, &code, &diag), Err::kOk);
    for (u32 i = 0; i < count; i++) {
      code.array_entries[i] = code.bytes.size();
      u32 area;
      ASSERT_EQ(x64::emit_array_entry(types[i], i, target, tail_bytes, &code, &area, &diag),
                Err::kOk);
    }
    for (Bridge& bridge : bridges_)
      ASSERT_EQ(
          x64::emit_bridge(types[bridge.type], reinterpret_cast<u64>(bridge.vmctx), bridge.entry,
                           target, bridge.tail_bytes, &code, &bridge.offset, &diag),
          Err::kOk);
    if (has_hook_) {
      ASSERT_EQ(x64::emit_hook_entry(hook_, target, &code, &hook_offset, &diag), Err::kOk);
    }
  }

  void link() {
    // Library calls of the stubs come to this class.
    for (Reloc& reloc : code.relocs) {
      if (reloc.kind != RelocKind::kAddress) continue;
      if (reloc.address == libcall_address(Libcall::kRecordTrap))
        reloc.address = reinterpret_cast<u64>(&record_trap);
      if (reloc.address == libcall_address(Libcall::kFuelRefill))
        reloc.address = reinterpret_cast<u64>(&refill_fuel);
      if (reloc.address == libcall_address(Libcall::kUncaught))
        reloc.address = reinterpret_cast<u64>(&uncaught);
    }
    Diag diag;
    ASSERT_EQ(link::link(code, target, kMaxCodeBytes, &arena_, &arena_, &image_, &diag), Err::kOk)
        << diag.message;
    mapped_ = align_up(image_.bytes, 4096);
    // Near this program, whose functions it calls.
    u64 hint = align_up(reinterpret_cast<u64>(&wring_test_thunk_calls), 4096);
    for (u32 i = 0; i < 4096 && !text_; i++) {
      hint += mapped_ + 65536;
      void* p = mmap(reinterpret_cast<void*>(hint), mapped_, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
      if (p != MAP_FAILED) text_ = static_cast<u8*>(p);
    }
    ASSERT_NE(text_, nullptr);
    ASSERT_EQ(link::place(&image_, text_, address(), &diag), Err::kOk) << diag.message;
    ASSERT_EQ(mprotect(text_, mapped_, PROT_READ | PROT_EXEC), 0);
  }

  static void on_fault(int signal, siginfo_t*, void* context) {
    greg_t& rip = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
    NativeModule* self = current();
    u64 offset = static_cast<u64>(rip) - self->address();
    for (const FaultSite& site : self->image_.faults)
      if (site.pc == offset) {
        rip = static_cast<greg_t>(self->address() + site.fixup);
        return;
      }
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
  }
  static void record_trap(wring_vmctx* ctx) {
    NativeModule* self = current();
    EXPECT_EQ(reinterpret_cast<u64>(__builtin_frame_address(0)) % 16, 0u) << "misaligned stack";
    u64 pc = reinterpret_cast<u64>(ctx->trap_pc);
    NativeModule* owner =
        self->also && pc - self->address() >= self->image_.bytes ? self->also : self;
    self->last_site_ = link::find_trap(owner->image_, static_cast<u32>(pc - owner->address()));
    EXPECT_NE(self->last_site_, nullptr);
    ctx->root->trap_reason = self->last_site_ ? static_cast<u32>(self->last_site_->reason) : 0;
  }
  static u32 uncaught(wring_vmctx* ctx) {
    EXPECT_EQ(reinterpret_cast<u64>(__builtin_frame_address(0)) % 16, 0u) << "misaligned stack";
    ctx->exception = nullptr;
    return ctx->trap_reason = static_cast<u32>(TrapReason::kUncaughtException);
  }
  static long long refill_fuel(wring_vmctx* ctx) {
    NativeModule* self = current();
    EXPECT_EQ(reinterpret_cast<u64>(__builtin_frame_address(0)) % 16, 0u) << "misaligned stack";
    EXPECT_LT(ctx->fuel, 0);
    self->refills++;
    clobber();
    return self->refill;
  }
  static void clobber_vectors() {
    asm volatile(
        "pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm1, %%xmm1; pcmpeqd %%xmm2, %%xmm2; pcmpeqd %%xmm3, "
        "%%xmm3;"
        "pcmpeqd %%xmm4, %%xmm4; pcmpeqd %%xmm5, %%xmm5; pcmpeqd %%xmm6, %%xmm6; pcmpeqd %%xmm7, "
        "%%xmm7;"
        "pcmpeqd %%xmm8, %%xmm8; pcmpeqd %%xmm9, %%xmm9; pcmpeqd %%xmm10, %%xmm10; pcmpeqd "
        "%%xmm11, %%xmm11;"
        "pcmpeqd %%xmm12, %%xmm12; pcmpeqd %%xmm13, %%xmm13; pcmpeqd %%xmm14, %%xmm14; pcmpeqd "
        "%%xmm15, %%xmm15" ::
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
              "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  }

  struct sigaction old_action_ = {};
  std::vector<Declared> functions_;
  std::vector<FunctionBinding> bindings_;
  std::vector<Bridge> bridges_;
  x64::HookEntry hook_ = {};
  bool has_hook_ = false;
  wring_memory_view view_ = {};
  struct alignas(16) StackWord {
    u8 bytes[16];
  };
  std::vector<StackWord> stack_;
  const TrapSite* last_site_ = nullptr;
  Arena arena_;
  link::CodeImage image_;
  u8* text_ = nullptr;
  usize mapped_ = 0;

 public:
  CodeBuilder code;
};

}  // namespace wring::test
