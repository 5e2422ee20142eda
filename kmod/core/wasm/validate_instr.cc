// SPDX-License-Identifier: GPL-2.0
// Validation of function bodies, continued: variables, references, memories and tables.
#include "core/wasm/validator.h"

namespace wring {

Err BodyValidator::apply(const Instr& in) {
  switch (in.op) {
    case Opcode::kDrop: {
      ValType dropped;
      return pop_any(&dropped);
    }
    case Opcode::kSelect: return select();
    case Opcode::kSelectT:
      TRY(pop(ValType::kI32));
      TRY(pop(in.type));
      TRY(pop(in.type));
      return push(in.type);
    case Opcode::kGlobalGet: return push(m_.globals[in.index].type.type);
    case Opcode::kGlobalSet: return set_global(in.index);
    case Opcode::kRefNull:
    case Opcode::kRefIsNull:
    case Opcode::kRefAsNonNull:
    case Opcode::kRefFunc: return apply_reference(in);
    case Opcode::kMemorySize:
    case Opcode::kMemoryGrow:
    case Opcode::kMemoryInit:
    case Opcode::kMemoryCopy:
    case Opcode::kMemoryFill: return apply_memory(in);
    case Opcode::kTableGet:
    case Opcode::kTableSet:
    case Opcode::kTableInit:
    case Opcode::kTableCopy:
    case Opcode::kTableGrow:
    case Opcode::kTableSize:
    case Opcode::kTableFill: return apply_table(in);
    default: return apply_control(in);
  }
}

Err BodyValidator::set_global(u32 global) {
  const GlobalType& type = m_.globals[global].type;
  if (!type.is_mutable)
    return features_.wasm3 ? invalid("immutable global %u", global)
                           : invalid("global is immutable: global %u", global);
  return pop(type.type);
}

Err BodyValidator::select() {
  ValType second, first;
  TRY(pop(ValType::kI32));
  TRY(pop_any(&second));
  TRY(pop_any(&first));
  if (is_ref(first) || is_ref(second) || first == kBottomRef || second == kBottomRef)
    return invalid("type mismatch: select of a reference needs a type");
  if (first == ValType::kBottom) first = second;
  if (second != first && second != ValType::kBottom) return mismatch(first, name_of(second));
  return push(first);
}

Err BodyValidator::apply_reference(const Instr& in) {
  ValType type;
  switch (in.op) {
    case Opcode::kRefNull: return push(in.type);
    case Opcode::kRefIsNull: TRY(pop_ref(&type)); return push(ValType::kI32);
    case Opcode::kRefAsNonNull: TRY(pop_ref(&type)); return push(as_non_null(type));
    case Opcode::kRefFunc:
      if (!m_.functions[in.index].address_taken)
        return invalid("undeclared function reference to function %u", in.index);
      return push(features_.wasm3 ? ref_to(m_.functions[in.index].type, false) : ValType::kFuncRef);
    default: WRING_UNREACHABLE();
  }
}

// Destination, source and size of a bulk operation, in that order on the stack.
Err BodyValidator::pop_bulk(ValType destination, ValType source, ValType size) {
  TRY(pop(size));
  TRY(pop(source));
  return pop(destination);
}

namespace {

// The type of sizes that are indices of both types.
ValType smaller(ValType a, ValType b) {
  return a == ValType::kI32 || b == ValType::kI32 ? ValType::kI32 : ValType::kI64;
}

}  // namespace

Err BodyValidator::apply_memory(const Instr& in) {
  if (in.op == Opcode::kMemoryInit)
    return pop_bulk(memory_index_type(in.index2), ValType::kI32, ValType::kI32);
  const ValType index = memory_index_type(in.index);
  switch (in.op) {
    case Opcode::kMemorySize: return push(index);
    case Opcode::kMemoryGrow: TRY(pop(index)); return push(index);
    case Opcode::kMemoryFill: return pop_bulk(index, ValType::kI32, index);
    case Opcode::kMemoryCopy: {
      const ValType source = memory_index_type(in.index2);
      return pop_bulk(index, source, smaller(index, source));
    }
    default: WRING_UNREACHABLE();
  }
}

Err BodyValidator::apply_table(const Instr& in) {
  if (in.op == Opcode::kTableInit)
    return pop_bulk(table_index_type(in.index2), ValType::kI32, ValType::kI32);
  const ValType elem = m_.tables[in.index].type.elem;
  const ValType index = table_index_type(in.index);
  switch (in.op) {
    case Opcode::kTableGet: TRY(pop(index)); return push(elem);
    case Opcode::kTableSet: TRY(pop(elem)); return pop(index);
    case Opcode::kTableSize: return push(index);
    case Opcode::kTableGrow:
      TRY(pop(index));
      TRY(pop(elem));
      return push(index);
    case Opcode::kTableFill: return pop_bulk(index, elem, index);
    case Opcode::kTableCopy: {
      const ValType source = table_index_type(in.index2);
      return pop_bulk(index, source, smaller(index, source));
    }
    default: WRING_UNREACHABLE();
  }
}

}  // namespace wring
