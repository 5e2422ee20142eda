// SPDX-License-Identifier: GPL-2.0
// The engine's C interface: stores, modules and code. Instances and invocations are in runtime/.
#include "core/engine.h"

#include "core/base/new.h"
#include "core/compile.h"
#include "core/runtime/instance.h"
#include "core/runtime/lifetime.h"

using namespace wring;  // NOLINT(google-build-using-namespace): everything below is C functions

static_assert(static_cast<int>(Err::kInternal) == WRING_ERR_INTERNAL);
static_assert(WRING_NO_INDEX == kNone);
static_assert(WRING_MIN_STACK_BYTES >= kStackHeadroomBytes);
static_assert(static_cast<int>(BindingKind::kConstant) == WRING_BIND_CONSTANT);
static_assert(static_cast<int>(MapKind::kPerCpuArray) == WRING_MAP_PERCPU_ARRAY);

namespace {

usize compile_bytes(const wring_limits& limits) {
  return limits.compile_bytes ? min<usize>(limits.compile_bytes, kMaxCompileBytes)
                              : kMaxCompileBytes;
}

u32 code_bytes(const wring_limits& limits) {
  return limits.code_bytes ? min(limits.code_bytes, kMaxCodeBytes) : kMaxCodeBytes;
}

// The end of the budget is a limit's doing, and named as one.
Err name_limit(Err err, const Operation& operation, const wring_limits& limits, Diag* diag) {
  if (err != Err::kNoMemory || !operation.is_over_budget()) return err;
  u32 func = diag->working_on;
  *diag = Diag();
  return diag->fail(Err::kLimit, func, kNone,
                    "compilation needs more memory than the limit of %zu bytes",
                    compile_bytes(limits));
}

wring_str to_str(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

char letter_of(ValType type) {
  switch (type) {
    case ValType::kI32: return 'i';
    case ValType::kI64: return 'l';
    case ValType::kF32: return 'f';
    case ValType::kF64: return 'd';
    case ValType::kV128: return 'v';
    default: break;
  }
  WRING_ASSERT(is_ref(type));
  switch (top_of(type)) {
    case ValType::kExternRef: return 'X';
    case ValType::kExnRef: return 'E';
    default: return 'F';
  }
}

template <usize N>
void to_letters(Span<const ValType> types, char (&out)[N]) {
  usize n = 0;
  for (ValType type : types) {
    if (n == N - 2) {
      out[n++] = '?';
      break;
    }
    out[n++] = letter_of(type);
  }
  out[n] = 0;
}

void describe(const Module& module, ExternKind kind, u32 index, wring_extern_desc* out) {
  out->kind = static_cast<u32>(kind);
  out->index = index;
  if (kind == ExternKind::kGlobal) {
    const GlobalType& type = module.globals[index].type;
    to_letters({&type.type, 1}, out->results);
    if (type.is_mutable) out->params[0] = 'm';
  }
  if (kind == ExternKind::kTable) to_letters({&module.tables[index].type.elem, 1}, out->results);
  if (kind == ExternKind::kTag) to_letters(module.tag_type(index).params, out->params);
  if (kind != ExternKind::kFunc) return;
  to_letters(module.func_type(index).params, out->params);
  to_letters(module.func_type(index).results, out->results);
}

bool is_name(Bytes bytes, const char* name) {
  for (u8 byte : bytes)
    if (*name == 0 || byte != static_cast<u8>(*name++)) return false;
  return *name == 0;
}

bool is_types(Span<const ValType> types, const char* letters) {
  for (ValType type : types)
    if (*letters == 0 || letter_of(type) != *letters++) return false;
  return *letters == 0;
}

struct IntrinsicSignature {
  const char* module;
  const char* name;
  const char* params;
  const char* results;
};
constexpr IntrinsicSignature kIntrinsics[] = {
#define HOST(...)
#define INTRINSIC(name, module, import, params, results, ...) {module, import, params, results},
#include "host/host.def"
#undef HOST
#undef INTRINSIC
};

Intrinsic find_intrinsic(const Module& module, const Import& import) {
  u32 i = 0;
  for (const IntrinsicSignature& intrinsic : kIntrinsics) {
    if (is_name(import.module, intrinsic.module) && is_name(import.name, intrinsic.name)) {
      const FuncType& type = module.func_type(import.index);
      bool fits =
          is_types(type.params, intrinsic.params) && is_types(type.results, intrinsic.results);
      return fits ? static_cast<Intrinsic>(i) : Intrinsic::kCount;
    }
    i++;
  }
  return Intrinsic::kCount;
}

Err convert_binding(const Module& module, const Import& import, const wring_binding& from,
                    FunctionBinding* to, Diag* diag) {
  if (from.kind > WRING_BIND_HOOK_HOST)
    return diag->fail(Err::kLink, kNone, import.offset, "binding of unknown kind %u", from.kind);
  to->needs_hook = from.kind == WRING_BIND_HOOK_HOST;
  to->kind = to->needs_hook ? BindingKind::kHost : static_cast<BindingKind>(from.kind);
  to->value = from.value;
  to->address = from.address;
  to->may_trap = from.may_trap != 0;
  to->may_sleep = from.may_sleep != 0;
  to->cost = from.cost;
  if (to->kind == BindingKind::kIntrinsic) {
    to->intrinsic = find_intrinsic(module, import);
    if (to->intrinsic == Intrinsic::kCount)
      return diag->fail(Err::kLink, kNone, import.offset,
                        "import is no intrinsic of that signature");
  }
  return Err::kOk;
}

Err convert_functions(const Module& module, const wring_compile_options& options, Arena* arena,
                      Span<const FunctionBinding>* out, Diag* diag) {
  if (options.function_count != module.imported_functions)
    return diag->fail(Err::kLink, kNone, kNone, "%u bindings for %u imported functions",
                      options.function_count, module.imported_functions);
  Span<FunctionBinding> functions = arena->make_array<FunctionBinding>(options.function_count);
  if (functions.size() != options.function_count) return diag->no_memory();
  for (const Import& import : paced(module.imports)) {
    if (import.kind != ExternKind::kFunc) continue;
    functions[import.index] = FunctionBinding();
    TRY(convert_binding(module, import, options.functions[import.index], &functions[import.index],
                        diag));
  }
  *out = functions;
  return Err::kOk;
}

Err convert_maps(const wring_compile_options& options, Arena* arena, Span<const MapBinding>* out,
                 Diag* diag) {
  Span<MapBinding> maps = arena->make_array<MapBinding>(options.map_count);
  if (maps.size() != options.map_count) return diag->no_memory();
  for (u32 i = 0; i < maps.size(); i++) {
    const wring_map_binding& from = options.maps[i];
    if (from.kind > WRING_MAP_PERCPU_ARRAY)
      return diag->fail(Err::kLink, kNone, kNone, "map binding of unknown kind %u", from.kind);
    maps[i] = {static_cast<MapKind>(from.kind), from.max_entries, from.elem_bytes, from.value_bytes,
               from.address};
  }
  *out = maps;
  return Err::kOk;
}

static_assert(kPacketTailBytes == WRING_PACKET_TAIL_BYTES);

void convert_target(const wring_target& from, Target* to) {
  to->cpu = from.cpu;
  to->ibt = from.ibt != 0;
  to->sls = from.sls != 0;
  to->retpoline = from.retpoline != 0;
  to->clamp_speculation = from.clamp_speculation != 0;
  to->far_calls = from.far_calls != 0;
  to->return_thunk = from.return_thunk;
  to->random = from.random;
  for (u32 i = 0; i < 16; i++) to->indirect_thunks[i] = from.indirect_thunks[i];
}

Err convert_options(const wring_module& module, const wring_compile_options& options, Arena* arena,
                    CompileRequest* out, Diag* diag) {
  out->module = module.module;
  out->type_ids = {module.type_ids, module.module->types.size()};
  TRY(convert_functions(*module.module, options, arena, &out->bindings.functions, diag));
  TRY(convert_maps(options, arena, &out->bindings.maps, diag));
  out->bindings.gs_this_cpu_off = options.target->gs_this_cpu_off;
  out->bindings.gs_cpu_number = options.target->gs_cpu_number;
  convert_target(*options.target, &out->target);
  out->hook = options.hook;
  out->check = options.check != WRING_CHECK_NONE;
  out->check_passes = options.check == WRING_CHECK_PASSES;
  out->optimize = options.unoptimized == 0;
  out->metered = options.metered != 0;
  out->max_bytes = compile_bytes(module.store->limits);
  if (module.store->limits.memory_pages)
    out->max_memory_pages = min(module.store->limits.memory_pages, kMaxMemoryPages);
  return Err::kOk;
}

Err compile(wring_module* module, const wring_compile_options& options, wring_code* code,
            Diag* diag) {
  auto* request = code->scratch.make<CompileRequest>();
  auto* builder = static_cast<CodeBuilder*>(code->scratch.alloc(sizeof(CodeBuilder)));
  if (!request || !builder) return diag->no_memory();
  new (builder) CodeBuilder(&code->scratch);
  TRY(convert_options(*module, options, &code->scratch, request, diag));
  CompileResult result;
  TRY(compile_module(*request, &code->scratch, builder, &result, diag));
  TRY(link::link(*builder, request->target, code_bytes(module->store->limits), &code->scratch,
                 &code->tables, &code->image, diag));

  Span<const FunctionBinding> functions = request->bindings.functions;
  code->binding_kinds = code->tables.make_array<BindingKind>(functions.size());
  if (code->binding_kinds.size() != functions.size()) return diag->no_memory();
  for (u32 i = 0; i < functions.size(); i++, tick()) code->binding_kinds[i] = functions[i].kind;
  code->target = request->target;
  code->tail_bytes = result.tail_bytes;
  code->hook_entry = result.hook_entry;
  code->hook_first_slice = result.hook_first_slice;
  code->stack.own_stack = result.needs_stack;
  code->stack.bytes = static_cast<u32>(min<u64>(result.stack_bytes, kNone));
  Span<StackPointer> stack_pointers =
      code->tables.make_array<StackPointer>(result.stack_pointers.size());
  if (stack_pointers.size() != result.stack_pointers.size()) return diag->no_memory();
  for (u32 i = 0; i < stack_pointers.size(); i++) stack_pointers[i] = result.stack_pointers[i];
  code->plan.stack_pointers = stack_pointers;
  code->plan.uses_fpu = (builder->uses & kUsesFpu) != 0 || result.calls_outside;
  return runtime::make_plan(code, result.growing_tables, result.has_throw, diag);
}

// The image's size with its padding.
u64 image_bytes(const wring_code& code) { return align_up(code.image.bytes, 16); }

Err intern_types(wring_module* module, Diag* diag) {
  const Module& decoded = *module->module;
  u32 count = decoded.types.size();
  if (count == 0) return Err::kOk;
  module->type_ids = static_cast<u32*>(take_memory(usize{count} * sizeof(u32)));
  if (!module->type_ids) return diag->no_memory();
  for (u32 begin = 0, end; begin < count; begin = end, tick()) {
    end = begin + 1;
    while (end < count && decoded.type_group_begin[end] == begin) end++;
    TRY(module->store->signatures.intern(decoded.types, begin, end, {module->type_ids, count},
                                         diag));
  }
  return Err::kOk;
}

Features features_of(const wring_limits& limits) {
  Features features;
  if (limits.features) {
    features.wasm3 = (limits.features & WRING_FEATURE_WASM3) != 0;
    features.threads = (limits.features & WRING_FEATURE_THREADS) != 0;
  }
  return features;
}

Err new_module(wring_store* store, Bytes input, wring_module** out, Diag* diag) {
  auto* module = make_object<wring_module>();
  if (!module) return diag->no_memory();
  module->store = store;
  Err err = decode(input, features_of(store->limits), compile_bytes(store->limits), &module->module,
                   diag);
  if (err == Err::kOk) err = intern_types(module, diag);
  if (err != Err::kOk) {
    runtime::unref(module);
    return err;
  }
  *out = module;
  return Err::kOk;
}

// Without the references that the code is to hold.
Err new_code(wring_module* module, const wring_compile_options& options, wring_code** out,
             Diag* diag) {
  auto* code = make_object<wring_code>(compile_bytes(module->store->limits));
  if (!code) return diag->no_memory();
  code->module = module;
  Err err = compile(module, options, code, diag);
  if (err != Err::kOk) {
    destroy_object(code);
    return err;
  }
  code->scratch.detach();
  code->tables.detach();
  *out = code;
  return Err::kOk;
}

Err place(wring_code* code, void* dst, u64 address, Diag* diag) {
  if (code->is_placed) return diag->fail(Err::kLimit, kNone, kNone, "code is placed already");
  constexpr int kInt3 = 0xcc;
  fill_bytes(dst, kInt3, image_bytes(*code));
  TRY(link::place(&code->image, static_cast<u8*>(dst), address, diag));
  runtime::place_plan(code);
  code->is_placed = true;
  return Err::kOk;
}

// Fills in *out by body(); what has gone wrong in there takes the place of the name.
template <class F>
int query(wring_extern_desc* out, F&& body) {
  Guard guard(Stage::kQuery);
  if (!wring_recovery_set(guard.point())) {
    body();
    return 0;
  }
  *out = {};
  for (out->name.data = guard.what(); out->name.data[out->name.len];) out->name.len++;
  return -WRING_ERR_INTERNAL;
}

}  // namespace

// ---- stores ----

extern "C" int wring_store_new(const wring_limits* limits, wring_store** out) {
  auto* store = make_object<wring_store>();
  if (!store) return -WRING_ERR_NOMEM;
  if (limits) store->limits = *limits;
  *out = store;
  return 0;
}

extern "C" void wring_store_put(wring_store* store) {
  if (store) runtime::drop_handle(store);
}

// ---- modules ----

extern "C" int wring_module_new(wring_store* store, const void* bytes, unsigned long long len,
                                wring_module** out, wring_error* err) {
  Diag diag;
  if (len > kMaxModuleBytes)
    return runtime::report(
        diag.fail(Err::kLimit, kNone, kNone, "module of %llu bytes exceeds the limit of %u", len,
                  kMaxModuleBytes),
        diag, err);
  Bytes input(static_cast<const u8*>(bytes), len);
  Operation operation;
  Err result =
      operation.run(Stage::kDecode, &diag, [&] { return new_module(store, input, out, &diag); });
  result = name_limit(result, operation, store->limits, &diag);
  if (result != Err::kOk) {
    int number = runtime::report(result, diag, err);
    runtime::name_function(input, err);
    return number;
  }
  runtime::take_handle(store);
  return 0;
}

extern "C" void wring_module_put(wring_module* module) {
  if (!module) return;
  wring_store* store = module->store;
  runtime::unref(module);
  runtime::drop_handle(store);
}

extern "C" unsigned int wring_module_import_count(const wring_module* module) {
  return module->module->imports.size();
}

extern "C" int wring_module_import(const wring_module* module, unsigned int i,
                                   wring_extern_desc* out) {
  *out = {};
  if (i >= module->module->imports.size()) return -WRING_ERR_LIMIT;
  return query(out, [&] {
    const Import& import = module->module->imports[i];
    out->module = to_str(import.module);
    out->name = to_str(import.name);
    out->offset = import.offset;
    describe(*module->module, import.kind, import.index, out);
  });
}

extern "C" unsigned int wring_module_export_count(const wring_module* module) {
  return module->module->exports.size();
}

extern "C" int wring_module_export(const wring_module* module, unsigned int i,
                                   wring_extern_desc* out) {
  *out = {};
  if (i >= module->module->exports.size()) return -WRING_ERR_LIMIT;
  return query(out, [&] {
    const Export& e = module->module->exports[i];
    out->name = to_str(e.name);
    out->offset = WRING_NO_INDEX;
    describe(*module->module, e.kind, e.index, out);
  });
}

extern "C" wring_str wring_module_bytes(const wring_module* module) {
  return to_str(module->module->bytes);
}

extern "C" int wring_module_custom(const wring_module* module, const char* name, unsigned int n,
                                   wring_str* out) {
  *out = {};
  for (const CustomSection& custom : module->module->customs) {
    if (!is_name(custom.name, name) || n-- > 0) continue;
    *out = to_str(custom.payload);
    return 0;
  }
  return -WRING_ERR_LIMIT;
}

extern "C" wring_str wring_module_function_name(const wring_module* module, unsigned int func) {
  if (func >= module->module->functions.size()) return {};
  return guarded(Stage::kQuery, wring_str{},
                 [&] { return to_str(module->module->function_name(func)); });
}

extern "C" unsigned int wring_module_start(const wring_module* module) {
  return module->module->start;
}

extern "C" int wring_import_is_intrinsic(const wring_module* module, unsigned int i) {
  if (i >= module->module->imports.size()) return 0;
  return guarded(Stage::kQuery, -WRING_ERR_INTERNAL, [&] {
    const Import& import = module->module->imports[i];
    return static_cast<int>(import.kind == ExternKind::kFunc &&
                            find_intrinsic(*module->module, import) != Intrinsic::kCount);
  });
}

// ---- code ----

extern "C" int wring_compile(wring_module* module, const wring_compile_options* options,
                             wring_code** out, wring_error* err) {
  Diag diag;
  Operation operation;
  Err result =
      operation.run(Stage::kCompile, &diag, [&] { return new_code(module, *options, out, &diag); });
  result = name_limit(result, operation, module->store->limits, &diag);
  if (result != Err::kOk) {
    int number = runtime::report(result, diag, err);
    runtime::name_function(*module->module, err);
    return number;
  }
  module->refs++;
  runtime::take_handle(module->store);
  return 0;
}

extern "C" void wring_code_put(wring_code* code) {
  if (!code) return;
  wring_store* store = code->module->store;
  runtime::unref(code);
  runtime::drop_handle(store);
}

extern "C" void wring_code_on_release(wring_code* code, void (*release)(void* arg), void* arg) {
  code->release = release;
  code->release_arg = arg;
}

extern "C" unsigned long long wring_code_size(const wring_code* code) { return image_bytes(*code); }

extern "C" int wring_code_place(wring_code* code, void* dst, unsigned long long address,
                                wring_error* err) {
  Diag diag;
  Operation operation;
  Err result =
      operation.run(Stage::kPlace, &diag, [&] { return place(code, dst, address, &diag); });
  if (result != Err::kOk) return runtime::report(result, diag, err);
  code->scratch.reset();
  return 0;
}

extern "C" unsigned int wring_code_fault_count(const wring_code* code) {
  return code->image.faults.size();
}

extern "C" int wring_code_fault(const wring_code* code, unsigned int i, unsigned int* pc,
                                unsigned int* fixup) {
  if (i >= code->image.faults.size()) return -WRING_ERR_LIMIT;
  *pc = code->image.faults.data()[i].pc;
  *fixup = code->image.faults.data()[i].fixup;
  return 0;
}

extern "C" unsigned int wring_cpu_features(void) { return x64::cpu_features(); }

extern "C" unsigned int wring_code_hook_offset(const wring_code* code) { return code->hook_entry; }
extern "C" unsigned long long wring_code_hook_first_slice(const wring_code* code) {
  return code->hook_first_slice;
}

extern "C" int wring_code_function(const wring_code* code, unsigned int func, unsigned int* begin,
                                   unsigned int* end) {
  *begin = *end = WRING_NO_INDEX;
  if (func >= code->image.functions.size()) return -WRING_ERR_LIMIT;
  const FunctionCode& function = code->image.functions.data()[func];
  if (function.entry == kNone) return -WRING_ERR_LIMIT;
  *begin = link::begin_of(function);
  *end = function.end;
  return 0;
}

extern "C" int wring_code_needs_stack(const wring_code* code) { return code->stack.own_stack; }

extern "C" int wring_code_uses_fpu(const wring_code* code) { return code->plan.uses_fpu; }

extern "C" unsigned int wring_code_stack_bytes(const wring_code* code) { return code->stack.bytes; }

extern "C" int wring_code_lookup(const wring_code* code, unsigned long long pc, unsigned int* func,
                                 unsigned int* offset) {
  u64 at = pc - code->image.address;
  if (!code->is_placed || at >= code->image.bytes) return -1;
  return guarded(Stage::kQuery, -1, [&] {
    const Module& module = *code->module->module;
    if (const TrapSite* trap = link::find_trap(code->image, static_cast<u32>(at))) {
      *func = module.function_at(trap->origin, trap->func);
      *offset = trap->origin;
      return 0;
    }
    if (const CallSite* call = link::find_call(code->image, static_cast<u32>(at))) {
      *func = module.function_at(call->origin, call->func);
      *offset = call->origin;
      return 0;
    }
    return -1;
  });
}
