// SPDX-License-Identifier: GPL-2.0
// Element and data segments, and the constant expressions in them (spec, sections 4.5.4 and 3.3.10).
#include "core/base/nospec.h"
#include "core/runtime/bridge.h"
#include "core/runtime/instance.h"
#include "core/runtime/table.h"
#include "core/wasm/instr.h"

namespace wring::runtime {

namespace {

// i32 and i64 add, sub, mul (extended-const). False: not one of them.
bool apply(Opcode op, u64 left, u64* right) {
  u64 result;
  switch (op) {
    case Opcode::kI32Add:
    case Opcode::kI64Add: result = left + *right; break;
    case Opcode::kI32Sub:
    case Opcode::kI64Sub: result = left - *right; break;
    case Opcode::kI32Mul:
    case Opcode::kI64Mul: result = left * *right; break;
    default: return false;
  }
  *right = info_of(op).result == ValType::kI32 ? static_cast<u32>(result) : result;
  return true;
}

// What an instruction without operands yields. Without an instance, false if it needs one.
bool push_value(const Module& module, const wring_instance* instance, const Instr& instr,
                ConstValue* out) {
  *out = ConstValue();
  switch (instr.op) {
    case Opcode::kI32Const:
      out->words[0] = static_cast<u32>(static_cast<u64>(instr.value));
      return true;
    case Opcode::kI64Const:
    case Opcode::kF32Const:
    case Opcode::kF64Const: out->words[0] = static_cast<u64>(instr.value); return true;
    case Opcode::kV128Const:
      __builtin_memcpy(out->words, &module.bytes.slice(instr.list, 16)[0], 16);
      return true;
    case Opcode::kRefNull: return true;
    case Opcode::kGlobalGet:
      if (!instance) return false;
      __builtin_memcpy(out->words, instance->vmctx.globals[instr.index], sizeof(out->words));
      return true;
    case Opcode::kRefFunc:
      if (!instance) return false;
      out->words[0] = func_ref_of(*instance, instr.index);
      return true;
    default: WRING_UNREACHABLE();  // validation knows no other
  }
}

// `below` has room for the operands below the topmost, which are numbers; it is not used for references and vectors.
Err evaluate(const Module& module, const wring_instance* instance, Range expression, u64* below,
             bool* needs_instance, ConstValue* top, Diag* diag) {
  u32 depth = 0;
  Instr instr;
  *needs_instance = false;
  for (u32 at = expression.begin; at < expression.end; at = instr.next, tick()) {
    TRY(decode_instr(module.bytes, at, expression.end, kNone, &instr, diag));
    if (instr.op == Opcode::kEnd) break;
    if (depth >= 2 && apply(instr.op, below[depth - 2], &top->words[0])) {
      depth--;
      continue;
    }
    WRING_ASSERT(depth < kMaxConstDepth);
    if (depth > 0) below[depth - 1] = top->words[0];
    depth++;
    if (!push_value(module, instance, instr, top)) {
      *needs_instance = true;
      return Err::kOk;
    }
  }
  WRING_ASSERT(depth == 1);
  return Err::kOk;
}

}  // namespace

Err evaluate(const wring_instance& instance, Range expression, ConstValue* out, Diag* diag) {
  bool needs_instance;
  return evaluate(instance.module(), &instance, expression,
                  instance.code->module->store->const_operands, &needs_instance, out, diag);
}

bool evaluate_in_advance(const wring_module& module, Range expression, ConstValue* out) {
  bool needs_instance;
  Diag ignored;  // evaluate() reports it at instantiation
  return evaluate(*module.module, nullptr, expression, module.store->const_operands,
                  &needs_instance, out, &ignored) == Err::kOk &&
         !needs_instance;
}

bool init_table_in_bounds(const wring_instance& instance, u32 table, u32 segment, u64* dst,
                          u64* src, u64* n) {
  u32 size =
      instance.dropped_elements.test(segment) ? 0 : instance.module().elements[segment].size();
  return range_in_bounds(src, n, size) &&
         range_in_bounds(dst, n, instance.tables[table]->view.size);
}

void init_table(wring_instance* instance, u32 table, u32 segment, u64 dst, u64 src, u64 n) {
  const ElementSegment& elements = instance->module().elements[segment];
  Table* to = instance->tables[table];
  for (u64 i = 0; i < n; i++, tick()) {
    ConstValue value;
    if (elements.functions.empty()) {
      Diag diag;
      // An expression of a reference type is one instruction, which needs nothing of the store.
      Err err = evaluate(*instance, elements.expressions[src + i], &value, &diag);
      WRING_ASSERT(err == Err::kOk);
    } else {
      value.words[0] = func_ref_of(*instance, elements.functions[src + i]);
    }
    set_entries(to, dst + i, 1, value.words[0]);
  }
}

bool init_memory_in_bounds(const wring_instance& instance, u32 memory, u32 segment, u64* dst,
                           u64* src, u64* n) {
  u32 size =
      instance.dropped_datas.test(segment) ? 0 : instance.module().datas[segment].bytes.size();
  return range_in_bounds(src, n, size) &&
         range_in_bounds(dst, n, instance.memories[memory]->view.bytes);
}

void init_memory(wring_instance* instance, u32 memory, u32 segment, u64 dst, u64 src, u64 n) {
  if (n == 0) return;
  const Module& module = instance->module();
  const u8* from = module.bytes.data() + module.datas[segment].bytes.begin + src;
  copy_bytes(instance->memories[memory]->view.base + dst, from, n);
}

}  // namespace wring::runtime
