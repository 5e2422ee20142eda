// SPDX-License-Identifier: GPL-2.0
// Element and data segments, and the constant expressions in them (spec, sections 4.5.4 and 3.3.7).
#include "core/runtime/bridge.h"
#include "core/runtime/instance.h"
#include "core/wasm/instr.h"

namespace wring::runtime {

namespace {

// Constant expressions of 2.0 need one place; those of extended-const rarely more than three.
constexpr u32 kConstStackDepth = 12;

bool in_bounds(u64 begin, u64 n, u64 size) { return begin <= size && n <= size - begin; }

u64 truncate(ValType type, u64 bits) {
  return type == ValType::kI32 ? static_cast<u32>(bits) : bits;
}

// i32 and i64 add, sub, mul (extended-const). False: not one of them.
bool apply(Opcode op, ConstValue* left, const ConstValue& right) {
  u64 a = left->words[0], b = right.words[0];
  switch (op) {
    case Opcode::kI32Add:
    case Opcode::kI64Add: a += b; break;
    case Opcode::kI32Sub:
    case Opcode::kI64Sub: a -= b; break;
    case Opcode::kI32Mul:
    case Opcode::kI64Mul: a *= b; break;
    default: return false;
  }
  left->words[0] = truncate(info_of(op).result, a);
  return true;
}

}  // namespace

Err evaluate(const wring_instance& instance, Range expression, ConstValue* out, Diag* diag) {
  const Module& module = instance.module();
  ConstValue stack[kConstStackDepth];
  u32 depth = 0;
  Instr instr;
  for (u32 at = expression.begin; at < expression.end; at = instr.next) {
    TRY(decode_instr(module.bytes, at, expression.end, kNone, &instr, diag));
    if (instr.op == Opcode::kEnd) break;
    if (depth >= 2 && apply(instr.op, &stack[depth - 2], stack[depth - 1])) {
      depth--;
      continue;
    }
    if (depth == kConstStackDepth)
      return diag->fail(Err::kLimit, kNone, at, "constant expression needs more than %u values",
                        kConstStackDepth);
    ConstValue& value = stack[depth++];
    value = ConstValue();
    switch (instr.op) {
      case Opcode::kI32Const:
        value.words[0] = truncate(ValType::kI32, static_cast<u64>(instr.value));
        break;
      case Opcode::kI64Const:
      case Opcode::kF32Const:
      case Opcode::kF64Const: value.words[0] = static_cast<u64>(instr.value); break;
      case Opcode::kV128Const:
        __builtin_memcpy(value.words, &module.bytes.slice(instr.list, 16)[0], 16);
        break;
      case Opcode::kGlobalGet:
        __builtin_memcpy(value.words, instance.vmctx.globals[instr.index], 16);
        break;
      case Opcode::kRefFunc: value.func = instr.index; break;
      case Opcode::kRefNull: break;
      default:
        return diag->fail(Err::kUnsupported, kNone, at,
                          "not supported yet: %s in a constant expression", info_of(instr.op).text);
    }
  }
  WRING_ASSERT(depth == 1);
  *out = stack[0];
  return Err::kOk;
}

wring_table_entry table_entry_of(const wring_instance& instance, u32 func) {
  const wring_code& code = *instance.code;
  if (instance.module().is_imported_function(func) &&
      code.binding_kinds[func] == BindingKind::kWasm) {
    const wring_import_slot& slot = instance.vmctx.imports[func];
    return {slot.code, slot.type_id};
  }
  u64 type_id = code.module->type_ids[instance.module().functions[func].type];
  if (instance.bridge_code) return {instance.bridge_code + instance.bridges[func], type_id};
  u32 entry = code.image.functions[func].indirect_entry;
  WRING_ASSERT(entry != kNone);
  return {reinterpret_cast<void*>(code.image.address + entry), type_id};
}

bool init_table_in_bounds(const wring_instance& instance, u32 table, u32 segment, u32 dst, u32 src,
                          u32 n) {
  u32 size =
      instance.dropped_elements.test(segment) ? 0 : instance.module().elements[segment].size();
  return in_bounds(src, n, size) && in_bounds(dst, n, instance.tables[table]->view.size);
}

void init_table(wring_instance* instance, u32 table, u32 segment, u32 dst, u32 src, u32 n) {
  const ElementSegment& elements = instance->module().elements[segment];
  wring_table_entry* entries = instance->tables[table]->view.entries;
  for (u32 i = 0; i < n; i++) {
    u32 func;
    if (elements.functions.empty()) {
      ConstValue value;
      Diag diag;
      // wring_compile has refused what evaluate() cannot do; references need one place on its stack.
      Err err = evaluate(*instance, elements.expressions[u64{src} + i], &value, &diag);
      WRING_ASSERT(err == Err::kOk);
      func = value.func;
    } else {
      func = elements.functions[u64{src} + i];
    }
    entries[u64{dst} + i] = func == kNone ? wring_table_entry{} : table_entry_of(*instance, func);
  }
}

bool init_memory_in_bounds(const wring_instance& instance, u32 memory, u32 segment, u32 dst,
                           u32 src, u32 n) {
  u32 size =
      instance.dropped_datas.test(segment) ? 0 : instance.module().datas[segment].bytes.size();
  return in_bounds(src, n, size) && in_bounds(dst, n, instance.memories[memory]->view.bytes);
}

void init_memory(wring_instance* instance, u32 memory, u32 segment, u32 dst, u32 src, u32 n) {
  if (n == 0) return;
  const Module& module = instance->module();
  const u8* from = module.bytes.data() + module.datas[segment].bytes.begin + src;
  __builtin_memcpy(instance->memories[memory]->view.base + dst, from, n);
}

}  // namespace wring::runtime
