// SPDX-License-Identifier: GPL-2.0
// The backward pass: blocks, virtual registers, constants.
#include "core/x64/lower.h"

#include "core/ir/cfg.h"

namespace wring::x64 {

using ir::Type;
using ir::Value;

namespace {
constexpr u32 kMaxBoundDepth = 3;  // upper_bound() looks at up to 2^3 inputs
}

Lowering::Lowering(const ir::Function& f, const Bindings& bindings, const Target& target,
                   const FunctionOptions& options, LoweredFunction* out, Diag* diag)
    : f_(f),
      bindings_(bindings),
      target_(target),
      options_(options),
      out_(out),
      diag_(diag),
      arena_(out->lir.arena),
      lir_(out->lir),
      pending_(arena_) {}

Err Lowering::prepare() {
  u32 values = f_.insts.size(), blocks = f_.blocks.size();
  ASSIGN_OR_RETURN(uses_, ir::count_uses(f_, arena_));
  vreg_of_ = arena_->make_array<VReg>(values);
  epoch_ = arena_->make_array<u32>(values);
  loop_constants_ = arena_->make_array<LoopConstant>(values);
  outermost_ = arena_->make_array<u32>(blocks);
  pending_at_ = arena_->make_array<u32>(blocks);
  pred_index_ = arena_->make_array<u32>(blocks);
  if (!pred_index_.data() || !vreg_of_.data() || !epoch_.data() || !loop_constants_.data() ||
      !outermost_.data() || !pending_at_.data() || !covered_.init(arena_, values) ||
      !lir_.blocks.resize(blocks))
    return diag_->no_memory();
  fill(vreg_of_, kNone);
  fill(pending_at_, kNone);
  fill(loop_constants_, LoopConstant());
  if (!layout_call(f_.module->func_type(f_.index), arena_, &layout_)) return diag_->no_memory();
  keeps_params_ = layout_.result_bytes == 0;
  compute_epochs();
  compute_loops();
  link_results();
  if (target_.clamp_speculation) find_addresses();
  return failed_ ? diag_->no_memory() : Err::kOk;
}

void Lowering::compute_epochs() {
  for (const ir::Block& block : paced(f_.blocks)) {
    u32 epoch = 0;
    for (Value v : paced(block.insts)) {
      epoch_[v] = epoch;
      Op op = at(v).op;
      u8 effects = ir::effects_of(op);
      if ((effects & (ir::kWrites | ir::kCalls | ir::kTraps)) && !is_load(op)) epoch++;
    }
  }
}

// What goes into addresses of host memory and code, and what that was computed from, as far as it was not loaded.
// (Indices of linear memory need only be 32 bits.)
void Lowering::find_addresses() {
  Vec<Value> found(arena_);
  if (!addresses_.init(arena_, f_.insts.size())) return fail_no_memory();
  auto add = [&](Value v) {
    if (addresses_.test(v)) return;
    addresses_.set(v);
    if (!found.push(v)) fail_no_memory();
  };
  for (const ir::Block& block : f_.blocks)
    for (Value v : block.insts) {
      Span<Value> args = f_.args(v);
      switch (at(v).op) {
        case Op::kLoadRaw:
        case Op::kStoreRaw:
        case Op::kAddRaw:
        case Op::kAtomicAddRaw:
        case Op::kCallPtr:
        case Op::kTailCallPtr: add(args[0]); break;
        case Op::kLoadMem:
        case Op::kStoreMem:
        case Op::kLoadLaneMem:
        case Op::kStoreLaneMem:
        case Op::kAtomicLoad:
        case Op::kAtomicStore:
        case Op::kAtomicRmw:
        case Op::kAtomicCas: add(args[1]); break;
        default: break;
      }
    }
  while (!found.empty() && !failed_) {
    Value v = found.pop();
    switch (at(v).op) {
      case Op::kAdd:
      case Op::kMul:
      case Op::kShl:
      case Op::kZExtI32:
      case Op::kPerCpu:
      case Op::kPhi:
        for (Value arg : f_.args(v)) add(arg);
        break;
      case Op::kSelect:
        add(arg(v, 1));
        add(arg(v, 2));
        break;
      case Op::kMatchOrNull: add(arg(v, 0)); break;
      default: break;
    }
  }
}

// Loops are contiguous, so that a loop ends where the depth falls to that of what surrounds it.
void Lowering::compute_loops() {
  Vec<u32> open(arena_);
  auto close_down_to = [&](u32 depth, u32 b) {
    while (open.size() > depth) lir_.blocks[open.pop()].loop_end = b;
  };
  for (u32 b = 0; b < f_.blocks.size(); b++, tick()) {
    const ir::Block& block = f_.blocks[b];
    close_down_to(block.loop_depth - (block.is_loop_header ? 1 : 0), b);
    if (block.is_loop_header && !open.push(b)) return fail_no_memory();
    outermost_[b] = open.empty() ? kNone : open[0];
    for (u32 i = 0; i < block.preds.size(); i++, tick()) pred_index_[block.preds[i]] = i;
  }
  close_down_to(0, f_.blocks.size());
}

Err Lowering::run() {
  TRY(prepare());
  for (u32 b = f_.blocks.size(); b-- > 0 && !failed_; tick(4)) lower_block(b);
  if (failed_) return diag_->no_memory();
  if (diag_->code != Err::kOk) return diag_->code;
  finish();
  return failed_ ? diag_->no_memory() : Err::kOk;
}

void Lowering::lower_block(ir::BlockId b) {
  const ir::Block& block = f_.blocks[b];
  ra::LirBlock& lir = lir_.blocks[b];
  block_ = b;
  lir.preds = block.preds.span();
  lir.succs = block.succs.span();
  lir.loop_depth = block.loop_depth;
  lir.loop_header = block.loop_header;
  lir.is_cold = block.is_cold;
  lir.end = lir_.insts.size();  // reversed until finish()
  tile_begin_ = lir_.insts.size();

  for (u32 i = block.insts.size(); i-- > 0 && !failed_; tick(16)) {
    Value v = block.insts[i];
    if (at(v).op == Op::kPhi) break;
    if (covered_.test(v)) continue;
    bool removable = (ir::effects_of(at(v).op) & ~(ir::kPure | ir::kReads)) == 0;
    if (removable && !is_needed(v)) continue;
    root_ = v;
    position_ = i;
    lower_inst(v);
    end_tile();
    if (i == block.insts.size() - 1) flush_constants(b);
  }
  if (b == 0) lower_params();

  u32 count = 0;
  for (Value v : paced(block.insts)) {
    if (at(v).op != Op::kPhi) break;
    count += is_param(v);
  }
  lir.params = arena_->make_array<VReg>(count);
  if (count && !lir.params.data()) return fail_no_memory();
  count = 0;
  for (Value v : paced(block.insts)) {
    if (at(v).op != Op::kPhi) break;
    if (is_param(v)) lir.params[count++] = result(v);
  }
  lir.begin = lir_.insts.size();
}

void Lowering::lower_inst(Value v) {
  switch (at(v).op) {
    case Op::kParam:
    case Op::kResult:
    case Op::kConst:
    case Op::kVConst:
    case Op::kVmCtx:
    case Op::kMemBase:
    case Op::kZExtI32:
      return;  // set by lower_params, lower_call; constants and aliases have no place of their own
    case Op::kPhi: WRING_UNREACHABLE();
    case Op::kSelect: return lower_select(v);
    case Op::kLoad:
    case Op::kLoadMem:
    case Op::kLoadRaw:
    case Op::kLoadGs:
      if (at(v).type == Type::kV128) return lower_simd(v);
      return lower_load(v);
    case Op::kLoadLane:
    case Op::kLoadLaneMem:
    case Op::kStoreLane:
    case Op::kStoreLaneMem: return lower_simd(v);
    case Op::kStore:
    case Op::kStoreMem:
    case Op::kStoreRaw: return lower_store(v);
    case Op::kAtomicLoad:
    case Op::kAtomicStore:
    case Op::kAtomicRmw:
    case Op::kAtomicCas:
    case Op::kFence: return lower_atomic(v);
    case Op::kAddRaw:
    case Op::kAtomicAddRaw: return lower_add_memory(v);
    case Op::kPerCpu: {
      Payload p;
      p.imm = at(v).imm;
      VReg a = reg(arg(v, 0));
      return add_insn(Lir::kAddPerCpu, Operands().def_like(result(v), 1).use(a), p);
    }
    case Op::kCall:
    case Op::kCallPtr:
    case Op::kCallHost:
    case Op::kCallLib: return lower_call(v);
    case Op::kTrapIf: return lower_trap_if(v);
    case Op::kFuel: {
      Payload p;
      p.imm = at(v).imm;
      p.flag = at(v).aux == 1;
      return add_insn(Lir::kFuel, Operands(), p);
    }
    case Op::kJump:
    case Op::kBranch:
    case Op::kSwitch:
    case Op::kTrap: return lower_terminator(v);
    case Op::kReturn: return lower_return(v);
    case Op::kTailCall:
    case Op::kTailCallPtr: return lower_tail_call(v);
    default:
      if (ir::is_compare(at(v).op) || ir::is_float_compare(at(v).op)) return lower_compare(v);
      if (ir::is_float(at(v).op)) return lower_float(v);
      if (ir::is_simd(at(v).op)) return lower_simd(v);
      return lower_arith(v);
  }
}

// ---- instructions

ra::VReg Lowering::new_vreg(Type type) {
  ra::VRegInfo info{ra::RegClass::kInt, 8, kNone, type == Type::kI32};
  if (type == Type::kF32 || type == Type::kF64 || type == Type::kV128) {
    info.cls = ra::RegClass::kVec;
    if (type == Type::kV128) {
      info.slot_bytes = 16;
      out_->has_wide = true;
    }
    out_->uses_vectors = true;
  }
  if (!lir_.vregs.push(info)) fail_no_memory();
  return lir_.vregs.size() - 1;
}

void Lowering::add_insn(Lir op, const Operands& operands, const Payload& payload) {
  ra::LirInst inst{};
  inst.op = static_cast<u16>(op);
  inst.operand_count = operands.count();
  inst.operands = lir_.operands.size();
  inst.data = out_->payloads.size();
  inst.origin = root_ == kNone ? f_.module->functions[f_.index].body.begin : at(root_).origin;
  if (op == Lir::kCall || op == Lir::kCallPtr || op == Lir::kCallHost) {
    inst.is_call = true;
    inst.clobbers = kCallClobbers;
  } else if (op == Lir::kMulHi) {
    inst.clobbers = ra::bit(kRax);
  }
  for (u8 i = 0; i < operands.count(); i++) {
    const ra::Operand& operand = operands[i];
    if (operand.kind == ra::OperandKind::kDef && operand.constraint == ra::Constraint::kFixed)
      inst.clobbers &= ~ra::bit(operand.reg);
    if (!lir_.operands.push(operand)) return fail_no_memory();
  }
  if (!out_->payloads.push(payload) || !lir_.insts.push(inst)) fail_no_memory();
}

void Lowering::end_tile() {
  for (u32 i = tile_begin_, j = lir_.insts.size(); i + 1 < j; i++)
    swap(lir_.insts[i], lir_.insts[--j]);
  tile_begin_ = lir_.insts.size();
}

// Turns the order around.
void Lowering::finish() {
  u32 count = lir_.insts.size();
  for (u32 i = 0, j = count; i + 1 < j; i++, tick()) swap(lir_.insts[i], lir_.insts[--j]);
  for (ra::LirBlock& block : paced(lir_.blocks)) {
    u32 begin = count - block.begin;
    block.begin = begin;
    block.end = count - block.end;
  }
  for (u32 i = 0; i < count; i++, tick()) {
    switch (static_cast<Lir>(lir_.insts[i].op)) {
      case Lir::kLoadParam:
        if (!keeps_params_) break;
        [[fallthrough]];
      case Lir::kImm:
      case Lir::kFloatImm:
      case Lir::kVecImm:
      case Lir::kVmCtx:
      case Lir::kMemBase: lir_.vregs[lir_.operands_of(i)[0].vreg].remat = i; break;
      default: break;
    }
  }
}

// ---- registers and constants

Value Lowering::strip_zext(Value v) const {
  return at(v).op == Op::kZExtI32 ? arg(v, 0) : v;  // whose operand is an I32
}

// Looks through what does not change the bits that matter. A Wrap that has a register anyway is
// used.
Value Lowering::resolve(Value v, Size size) const {
  for (u32 i = 0; i < kMaxChain; i++) {
    Op op = at(v).op;
    if (op != Op::kZExtI32 && (op != Op::kWrap || size == Size::k64 || is_needed(v))) return v;
    v = arg(v, 0);
  }
  return strip_zext(v);
}

ra::VReg Lowering::reg(Value v) {
  v = strip_zext(v);
  if (is_constant(v)) {
    u32 loop = outermost_[block_];
    if (loop == kNone || f_.blocks[block_].is_cold) return reg_at_use(v);
    LoopConstant& c = loop_constants_[v];
    if (c.loop != loop) {
      ir::BlockId before = f_.blocks[loop].idom;
      c = {loop, new_vreg(at(v).type)};
      if (!pending_.push({v, c.vreg, pending_at_[before], 0, false})) fail_no_memory();
      pending_at_[before] = pending_.size() - 1;
    }
    return c.vreg;
  }
  return result(v);
}

ra::VReg Lowering::reg_at_use(Value v) {
  v = strip_zext(v);
  if (!is_constant(v)) return reg(v);
  VReg vreg = new_vreg(at(v).type);
  set_constant(v, vreg);
  return vreg;
}

void Lowering::set_constant(Value v, VReg vreg) {
  const ir::Inst& inst = at(v);
  Payload p;
  p.imm = inst.imm;
  Lir op = Lir::kImm;
  switch (inst.op) {
    case Op::kVmCtx: op = Lir::kVmCtx; break;
    case Op::kMemBase: op = Lir::kMemBase; break;
    case Op::kVConst: return set_vector(vreg, ir::v128_of(inst), true);
    default:
      if (inst.type == Type::kI32 || inst.type == Type::kI64) break;
      op = Lir::kFloatImm;
      p.size = inst.type == Type::kF64 ? Size::k64 : Size::k32;
  }
  add_insn(op, Operands().def(vreg), p);
}

void Lowering::set_vector(VReg vreg, ir::V128 value, bool is_chosen) {
  Payload p;
  p.imm = out_->constants.size();
  p.flag = is_chosen;
  if (!out_->constants.push({value.low, value.high, 16})) fail_no_memory();
  add_insn(Lir::kVecImm, Operands().def(vreg), p);
}

ra::VReg Lowering::constant(i64 value) {
  VReg vreg = new_vreg();
  Payload p;
  p.imm = value;
  add_insn(Lir::kImm, Operands().def(vreg), p);
  return vreg;
}

ra::VReg Lowering::loop_vector(ir::V128 bits, u8 bytes, bool is_chosen) {
  u32 loop = outermost_[block_];
  if (loop == kNone || f_.blocks[block_].is_cold) return kNone;
  if (vectors_loop_ != loop) {
    vectors_loop_ = loop;
    loop_vector_count_ = 0;
  }
  for (u32 i = 0; i < loop_vector_count_; i++) {
    const LoopVector& known = loop_vectors_[i];
    if (known.bytes == bytes && known.bits.low == bits.low && known.bits.high == bits.high)
      return known.vreg;
  }
  if (loop_vector_count_ == kMaxLoopVectors) return kNone;
  VReg vreg = new_vreg(bytes == 16 ? Type::kV128 : bytes == 8 ? Type::kF64 : Type::kF32);
  ir::BlockId before = f_.blocks[loop].idom;
  PendingConstant pending{kNone, vreg, pending_at_[before], out_->constants.size(), is_chosen};
  if (!out_->constants.push({bits.low, bits.high, bytes}) || !pending_.push(pending))
    fail_no_memory();
  pending_at_[before] = pending_.size() - 1;
  loop_vectors_[loop_vector_count_++] = {bits, bytes, vreg};
  return vreg;
}

void Lowering::set_pending(const PendingConstant& pending) {
  if (pending.value != kNone) return set_constant(pending.value, pending.vreg);
  PoolConstant constant = out_->constants[pending.constant];
  if (constant.bytes == 16)
    return set_vector(pending.vreg, {constant.low, constant.high}, pending.is_chosen);
  Payload p;
  p.imm = static_cast<i64>(constant.low);
  p.size = constant.bytes == 8 ? Size::k64 : Size::k32;
  add_insn(Lir::kFloatImm, Operands().def(pending.vreg), p);
}

void Lowering::flush_constants(ir::BlockId b) {
  for (u32 i = pending_at_[b]; i != kNone && !failed_; i = pending_[i].next, tick())
    set_pending(pending_[i]);
  end_tile();
}

ra::VReg Lowering::result(Value v) {
  if (vreg_of_[v] != kNone) return vreg_of_[v];
  vreg_of_[v] = new_vreg(at(v).type);
  if (target_.clamp_speculation && !failed_) lir_.vregs.back().is_address = addresses_.test(v);
  return vreg_of_[v];
}

bool Lowering::is_last_use(Value v) const {
  v = strip_zext(v);
  const ir::Block& block = f_.blocks[block_];
  if (is_constant(v)) return outermost_[block_] == kNone || block.is_cold;
  // A value from outside the loop is needed again in the next iteration.
  return !is_needed(v) && is_in_this_loop(v);
}

bool Lowering::may_inline(i64 imm) const { return target_.random == 0 || fits_i8(imm); }

// Like the kernel's eBPF JIT, 16-bit displacements are left alone.
bool Lowering::may_displace(i64 disp) const {
  return fits_i32(disp) && (target_.random == 0 || disp == static_cast<i16>(disp));
}

bool Lowering::is_const(Value v, i64* value) const {
  v = strip_zext(v);
  if (at(v).op != Op::kConst) return false;
  *value = at(v).imm;
  return true;
}

bool Lowering::imm_of(Value v, Size size, i32* imm) const {
  i64 value;
  if (!is_const(v, &value)) return false;
  if (size != Size::k64) value = static_cast<i32>(value);
  *imm = static_cast<i32>(value);
  return fits_i32(value) && may_inline(value);
}

// The largest value v can have, taken as unsigned, as far as a look at its nearest inputs tells.
u64 Lowering::upper_bound(Value v, u32 depth) const {
  const ir::Inst& inst = at(v);
  u64 limit = inst.type == Type::kI64 ? ~u64{0} : 0xffff'ffff;
  if (inst.op == Op::kConst) return static_cast<u64>(inst.imm);
  if (ir::is_compare(inst.op)) return 1;
  if (depth == kMaxBoundDepth) return limit;
  auto bound = [&](u32 i) { return upper_bound(inst.arg[i], depth + 1); };
  i64 c;
  switch (inst.op) {
    case Op::kLoad:
    case Op::kLoadMem:
    case Op::kLoadRaw:
    case Op::kLoadGs: {
      auto kind = static_cast<ir::MemKind>(inst.aux);
      if (kind == ir::MemKind::k8U) return 0xff;
      if (kind == ir::MemKind::k16U) return 0xffff;
      return kind == ir::MemKind::k32U ? 0xffff'ffff : limit;
    }
    case Op::kBswap16: return 0xffff;
    case Op::kClz:
    case Op::kCtz:
    case Op::kPopcnt: return 64;
    case Op::kZExtI32: return bound(0);
    case Op::kWrap: {
      u64 a = bound(0);
      return a <= limit ? a : limit;
    }
    case Op::kAnd: return min(bound(0), bound(1));
    case Op::kOr:
    case Op::kXor: {
      u64 bits = bound(0) | bound(1);
      return bits ? ~u64{0} >> __builtin_clzll(bits) : 0;
    }
    case Op::kMul: {
      u64 product;
      return __builtin_mul_overflow(bound(0), bound(1), &product) ? limit : min(product, limit);
    }
    case Op::kSelect: return max(bound(1), bound(2));
    case Op::kAdd: {
      u64 a = bound(0), b = bound(1);
      return a <= limit - min(b, limit) ? a + b : limit;
    }
    case Op::kShrU:
      if (!is_const(inst.arg[1], &c)) return limit;
      return bound(0) >> (c & (inst.type == Type::kI64 ? 63 : 31));
    case Op::kShl: {
      if (!is_const(inst.arg[1], &c)) return limit;
      u32 k = c & (inst.type == Type::kI64 ? 63 : 31);
      u64 a = bound(0);
      return a <= limit >> k ? a << k : limit;
    }
    case Op::kRemU:
      if (!is_const(inst.arg[1], &c) || c == 0) return limit;
      return static_cast<u64>(c) - 1;
    default: return limit;
  }
}

Err lower(const ir::Function& f, const Bindings& bindings, const Target& target,
          const FunctionOptions& options, LoweredFunction* out, Diag* diag) {
  return Lowering(f, bindings, target, options, out, diag).run();
}

}  // namespace wring::x64
