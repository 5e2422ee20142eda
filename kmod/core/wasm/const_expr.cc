// SPDX-License-Identifier: GPL-2.0
// Decoder, continued: constant expressions (spec, section 3.4.14).
#include "core/wasm/decoder.h"
#include "core/wasm/subtype.h"

namespace wring {

bool Decoder::is_subtype(ValType a, ValType b) const {
  return wring::is_subtype(m_->type_canonical, a, b);
}

void Decoder::reference_function(u32 function, u32 offset) {
  if (function < functions_.size())
    functions_[function].address_taken = true;
  else
    invalid(offset, "unknown function %u", function);
}

Err Decoder::push_const(u32 offset, ValType type) {
  if (const_stack_.size() == kMaxConstDepth)
    return diag_->fail(Err::kLimit, kNone, offset,
                       "constant expression with more than %u operands at once", kMaxConstDepth);
  return const_stack_.push(type) ? Err::kOk : diag_->no_memory();
}

// i32.add and its like: two operands of the result's type become one.
void Decoder::combine_consts(const Instr& in) {
  const ValType type = info_of(in.op).result;
  for (u32 i = 0; i < 2; i++) {
    const bool is_missing = const_stack_.empty();
    const ValType found = is_missing ? ValType::kBottom : const_stack_.pop();
    if (is_missing)
      invalid(in.offset, "type mismatch: expected %s, found nothing in %s", name_of(type),
              info_of(in.op).text);
    else if (found != type && found != ValType::kBottom)
      invalid(in.offset, "type mismatch: expected %s, found %s in %s", name_of(type),
              name_of(found), info_of(in.op).text);
  }
}

// In 2.0 only imported globals are in scope; in 3.0 all before the expression.
ValType Decoder::const_global_type(const Instr& in) {
  const u32 known = features_.wasm3 ? globals_.size() : m_->imported_globals;
  if (in.index >= known) {
    invalid(in.offset, "unknown global %u", in.index);
    return ValType::kBottom;
  }
  const GlobalType& global = globals_[in.index].type;
  if (global.is_mutable)
    invalid(in.offset, "constant expression required: global %u is mutable", in.index);
  return global.type;
}

Err Decoder::check_const_instr(const Instr& in) {
  ValType type = info_of(in.op).result;
  switch (in.op) {
    case Opcode::kI32Const:
    case Opcode::kI64Const:
    case Opcode::kF32Const:
    case Opcode::kF64Const:
    case Opcode::kV128Const: break;
    case Opcode::kRefNull:
      check_type(in.offset, in.type);
      type = in.type;
      break;
    case Opcode::kRefFunc:
      reference_function(in.index, in.offset);
      type = ValType::kFuncRef;
      if (features_.wasm3 && in.index < functions_.size())
        type = ref_to(min(functions_[in.index].type, kMaxTypeIndex), false);
      break;
    case Opcode::kGlobalGet: type = const_global_type(in); break;
    case Opcode::kI32Add:
    case Opcode::kI32Sub:
    case Opcode::kI32Mul:
    case Opcode::kI64Add:
    case Opcode::kI64Sub:
    case Opcode::kI64Mul:
      if (features_.wasm3) {
        combine_consts(in);
        break;
      }
      [[fallthrough]];
    default:
      invalid(in.offset, "constant expression required: %s is not constant", info_of(in.op).text);
      type = ValType::kBottom;
      break;
  }
  return push_const(in.offset, type);
}

Err Decoder::read_const_expr(Reader* r, ValType type, Range* out) {
  out->begin = r->offset();
  const_stack_.clear();
  u32 depth = 0;            // of blocks: not constant, but they can be well-formed
  bool is_constant = true;  // so far: after that only the format matters
  for (;; tick()) {
    Instr in;
    const u32 start = r->offset();
    TRY(decode_instr(m_->bytes, start, r->end(), kNone, &in, diag_, features_));
    TRY(r->skip(in.next - start));
    if (in.op == Opcode::kEnd && depth-- == 0) break;
    if (in.op == Opcode::kEnd) continue;
    const Imm imm = info_of(in.op).imm;
    if (imm == Imm::kBlock || imm == Imm::kTryTable) depth++;
    if (is_constant) TRY(check_const_instr(in));
    is_constant = invalid_->code == Err::kOk;
  }
  out->end = r->offset();
  if (!is_constant) return Err::kOk;
  if (const_stack_.size() != 1)
    invalid(out->begin, "type mismatch: constant expression leaves %u values, expected one %s",
            const_stack_.size(), name_of(type));
  else if (!is_subtype(const_stack_[0], type))
    invalid(out->begin, "type mismatch: expected %s, found %s", name_of(type),
            name_of(const_stack_[0]));
  return Err::kOk;
}

}  // namespace wring
