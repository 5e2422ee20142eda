// SPDX-License-Identifier: GPL-2.0
// The compiler's pipeline: functions are compiled callees first, so that a caller knows how much stack is used
// below it, each in memory that is used again for the next.
#include "core/compile.h"

#include "core/base/new.h"
#include "core/ir/verify.h"

namespace wring {

namespace {

constexpr u64 kReturnAddressBytes = 8;
// What may lie below a function that does not check the stack: with its own frame, kMaxUncheckedStackBytes.
constexpr u64 kMaxUncheckedCallees =
    kMaxUncheckedStackBytes - kSmallFrameBytes - kReturnAddressBytes;

// What calls cost, as far as the call graph knows by now.
class Prices final : public opt::CallCosts {
 public:
  Prices(link::CallGraph* graph, const Bindings& bindings) : graph_(graph), bindings_(bindings) {}
  u64 of_function(u32 func) const override { return graph_->unpaid(func); }
  u64 of_type(u32 type) const override { return graph_->unpaid_indirect(type); }
  u64 of_host(u32 func) const override { return bindings_.functions[func].cost; }

 private:
  link::CallGraph* graph_;
  const Bindings& bindings_;
};

struct VerifyingObserver final : opt::PassObserver {
  Err after_pass(const char* pass, const ir::Function& f, Diag* diag) override {
    return ir::verify(f, pass, diag);
  }
};

bool is_exported(const Module& module, u32 func) {
  return !module.function_exports.empty() && module.function_exports[func] != kNone;
}

// The state of one module's compilation.
struct ModuleCompiler {
  const CompileRequest& request;
  const Module& module;
  CodeBuilder* code;
  CompileResult* result;
  Arena graph_arena;
  Arena function_arena;
  link::CallGraph graph;
  u32 entry_area_bytes = 0;   // the most that an entry takes for arguments and results in memory
  bool checks_stack = false;  // prologues do

  ModuleCompiler(const CompileRequest* r, CodeBuilder* c, CompileResult* out)
      : request(*r),
        module(*r->module),
        code(c),
        result(out),
        graph_arena(r->max_bytes),
        function_arena(r->max_bytes) {}
  Err run(Arena* arena, Diag* diag);

  // Whether the function is another instance's.
  bool is_foreign(u32 func) const {
    return module.is_imported_function(func) &&
           request.bindings.functions[func].kind == BindingKind::kWasm;
  }
  Err function(u32 func, Diag* diag);
  Err note_graph(Arena* arena, Diag* diag);
  Err functions(Diag* diag);
  Err adapters(Diag* diag);
  Err array_entries(Diag* diag);
  Err array_entry(u32 func, Diag* diag);
  Err check_hook(Diag* diag);
  Err check_start(Diag* diag);
  Err hook_entry(Diag* diag);
};

Err ModuleCompiler::function(u32 func, Diag* diag) {
  diag->working_on = func;
  u64 below = graph.callee_depth(func);
  x64::FunctionOptions options;
  options.check_stack = graph.is_recursive(func) || below > kMaxUncheckedCallees;
  options.tail_bytes = result->tail_bytes;

  function_arena.rewind({});
  {
    ir::Function f(&function_arena);
    TRY(compile_to_ir(request, &graph, func, &f, nullptr, diag));
    // Programs of hooks are linked to nothing.
    bool is_reachable = is_exported(module, func) || module.functions[func].address_taken;
    u64 most = is_reachable && !request.hook ? link::CallGraph::kMaxUnpaidOutside
                                             : link::CallGraph::kMaxUnpaid;
    if (graph.note_cost(func, f.unpaid, most) && request.metered)
      options.entry_cost = static_cast<u32>(max<u64>(f.unpaid, 1));
    TRY(x64::compile_function(f, request.bindings, request.target, options, request.check,
                              &function_arena, code, diag));
  }

  const FunctionCode& compiled = code->functions[func];
  u64 own = u64{compiled.frame_bytes} + kReturnAddressBytes;
  // Calls of other instances' functions go past their adapters.
  if (!is_foreign(func)) graph.note(func, own, compiled.has_checked_stack);
  if (compiled.has_checked_stack)
    checks_stack = true;
  else
    result->stack_bytes = max(result->stack_bytes, own + below);
  return Err::kOk;
}

Err ModuleCompiler::functions(Diag* diag) {
  for (u32 func : paced(graph.bottom_up())) TRY(function(func, diag));
  return Err::kOk;
}

// Imported functions that can be reached other than by a direct call need code of their own. Those of other
// instances only for the host, which enters through an array entry: tables hold their import slots.
Err ModuleCompiler::adapters(Diag* diag) {
  for (u32 func = 0; func < module.imported_functions; func++, tick()) {
    bool is_entered = is_exported(module, func) || module.start == func;
    if (is_entered || (!is_foreign(func) && module.functions[func].address_taken))
      TRY(function(func, diag));
  }
  return Err::kOk;
}

Err ModuleCompiler::array_entry(u32 func, Diag* diag) {
  if (code->array_entries[func] != kNone || code->functions[func].entry == kNone) return Err::kOk;
  diag->working_on = func;
  u32 offset = code->bytes.size(), area;
  TRY(x64::emit_array_entry(module.func_type(func), func, request.target, result->tail_bytes, code,
                            &area, diag));
  entry_area_bytes = max(entry_area_bytes, area);
  code->array_entries[func] = offset;
  return Err::kOk;
}

Err ModuleCompiler::array_entries(Diag* diag) {
  for (const Export& e : paced(module.exports))
    if (e.kind == ExternKind::kFunc) TRY(array_entry(e.index, diag));
  if (module.start != kNone) TRY(array_entry(module.start, diag));
  if (request.hook) TRY(array_entry(request.hook->func, diag));
  return Err::kOk;
}

Err ModuleCompiler::check_hook(Diag* diag) {
  if (!request.hook) return Err::kOk;
  u32 func = request.hook->func;
  if (func >= module.functions.size() || module.is_imported_function(func))
    return diag->fail(Err::kInvalid, func, kNone,
                      "the hook's function is not defined in the module");
  const FuncType& type = module.func_type(func);
  if (type.params.size() > 1 || (type.params.size() == 1 && type.params[0] != ValType::kI32) ||
      type.results.size() != 1 || type.results[0] != ValType::kI32)
    return diag->fail(Err::kInvalid, func, module.functions[func].body.begin,
                      "the hook's function is not () -> i32 or (i32) -> i32");
  return Err::kOk;
}

// The start function runs before any hook does.
Err ModuleCompiler::check_start(Diag* diag) {
  if (module.start == kNone) return Err::kOk;
  u32 func;
  TRY(graph.find_hook_import(module.start, &func, diag));
  if (func == kNone) return Err::kOk;
  for (const Import& import : paced(module.imports)) {
    if (import.kind != ExternKind::kFunc || import.index != func) continue;
    auto text = [](Bytes name) { return reinterpret_cast<const char*>(name.data()); };
    auto length = [](Bytes name) { return static_cast<int>(min(name.size(), 32u)); };
    return diag->fail(Err::kLink, module.start, import.offset,
                      "import %u \"%.*s\" \"%.*s\" needs a hook, and start function %u calls it",
                      static_cast<u32>(&import - module.imports.data()), length(import.module),
                      text(import.module), length(import.name), text(import.name), module.start);
  }
  return Err::kOk;
}

Err ModuleCompiler::hook_entry(Diag* diag) {
  if (!request.hook) return Err::kOk;
  x64::HookEntry hook = {*request.hook, result->needs_stack, checks_stack, result->tail_bytes,
                         result->stack_pointers};
  result->hook_first_slice = x64::hook_first_slice(hook, *code);
  return x64::emit_hook_entry(hook, request.target, code, &result->hook_entry, diag);
}

Err ModuleCompiler::run(Arena* arena, Diag* diag) {
  u32 functions_count = module.functions.size();
  code->calls_on_host_stack = !request.hook;
  code->functions = arena->make_array<FunctionCode>(functions_count);
  code->array_entries = arena->make_array<u32>(functions_count);
  if (code->functions.size() != functions_count || code->array_entries.size() != functions_count)
    return diag->no_memory();
  for (u32 i = 0; i < functions_count; i++, tick()) {
    code->functions[i] = FunctionCode();
    code->array_entries[i] = kNone;
  }
  TRY(check_hook(diag));
  TRY(graph.build(module, request.bindings, request.type_ids, &graph_arena, diag));
  TRY(check_start(diag));
  TRY(note_graph(arena, diag));
  TRY(adapters(diag));
  TRY(functions(diag));
  diag->working_on = kNone;
  TRY(x64::emit_stubs(request.target, code, diag));
  TRY(array_entries(diag));
  diag->working_on = kNone;
  result->stack_bytes += max(entry_area_bytes, result->tail_bytes);
  // C functions take what they take, and may call whatever has hooks.
  constexpr u32 kCallsC = kUsesHost | kUsesFpu | kUsesUnknown;
  result->needs_stack = checks_stack ||
                        result->stack_bytes + kHookEntryStackBytes > kInlineStackBytes ||
                        (code->uses & kCallsC) != 0 || (request.hook && request.hook->may_nest);
  return hook_entry(diag);
}

Err ModuleCompiler::note_graph(Arena* arena, Diag* diag) {
  graph.tail_called_types().for_each([&](u32 type) {
    result->tail_bytes = max(result->tail_bytes, x64::stack_param_bytes(module.types[type]));
  });
  result->has_throw = graph.has_throw();
  result->calls_outside = graph.calls_outside();
  Span<StackPointer> stack_pointers =
      arena->make_array<StackPointer>(graph.stack_pointers().size());
  if (stack_pointers.size() != graph.stack_pointers().size()) return diag->no_memory();
  for (u32 i = 0; i < stack_pointers.size(); i++) stack_pointers[i] = graph.stack_pointers()[i];
  result->stack_pointers = stack_pointers;
  if (graph.calls_outside()) code->uses |= kUsesUnknown;
  if (!result->growing_tables.init(arena, module.tables.size())) return diag->no_memory();
  result->growing_tables.merge(graph.growing_tables());
  for (u8 throws : paced(graph.may_throw()))
    if (throws) code->uses |= kUsesExceptions;
  return Err::kOk;
}

}  // namespace

Err compile_to_ir(const CompileRequest& request, link::CallGraph* graph, u32 func,
                  ir::Function* out, opt::PassObserver* observer, Diag* diag) {
  VerifyingObserver verifying;
  if (!observer && request.check_passes) observer = &verifying;
  ir::BuildContext context;
  context.module = request.module;
  context.bindings = &request.bindings;
  context.type_ids = request.type_ids;
  context.metered = request.metered;
  context.clamp_speculation = request.target.clamp_speculation;
  context.max_memory_pages = request.max_memory_pages;
  context.may_throw = graph->may_throw();
  context.indirect_may_throw = graph->indirect_may_throw();
  TRY(ir::build(context, func, out, diag));
  bool check_stages = request.check && observer != &verifying;  // which has done it
  if (observer) TRY(observer->after_pass("build", *out, diag));
  if (check_stages) TRY(ir::verify(*out, "build", diag));
  TRY(request.optimize ? opt::optimize(out, observer, diag) : opt::prepare(out, observer, diag));
  if (request.metered) {
    Prices prices(graph, request.bindings);
    TRY(opt::meter(out, prices, request.optimize, observer, diag));
  }
  if (check_stages) TRY(ir::verify(*out, "optimizing", diag));
  return request.check ? ir::verify_lowerable(*out, diag) : Err::kOk;
}

Err compile_module(const CompileRequest& request, Arena* arena, CodeBuilder* code,
                   CompileResult* result, Diag* diag) {
  auto* compiler = make_object<ModuleCompiler>(&request, code, result);
  if (!compiler) return diag->no_memory();
  Err err = compiler->run(arena, diag);
  destroy_object(compiler);
  return err;
}

}  // namespace wring
