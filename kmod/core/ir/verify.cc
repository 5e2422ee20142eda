// SPDX-License-Identifier: GPL-2.0
// The IR verifier. Works on what a pass left, trusting nothing in it but array bounds (which are checked
// anyway), in one linear walk per property.
#include "core/ir/verify.h"

#include "core/ir/cfg.h"
#include "core/wasm/instr.h"

namespace wring::ir {

namespace {

class Verifier {
 public:
  Verifier(const Function& f, const char* pass, Diag* diag)
      : f_(f), pass_(pass), diag_(diag), arena_(kMaxCompileBytes) {}
  Err run();
  Err lowerable();

 private:
  Err edges();
  Err order();
  Err block_shape(BlockId b);
  Err uses(BlockId b);
  Err types(Value v);
  bool passes(Span<Value> args, Span<const ValType> types) const;
  bool call_types(const Inst& inst, Span<Value> args) const;
  bool vector_types(const Inst& inst, Span<Value> args) const;
  bool memory_types(const Inst& inst, Span<Value> args) const;
  bool float_types(const Inst& inst, Span<Value> args) const;
  bool is_vector_const(Value v) const { return f_.insts[v].op == Op::kVConst; }
  Err expect(bool ok, Value v, const char* what) {
    if (ok) return Err::kOk;
    const char* op = v < f_.insts.size() ? name_of(f_.insts[v].op) : "?";
    return diag_->fail(Err::kInvalid, f_.index, v < f_.insts.size() ? f_.insts[v].origin : kNone,
                       "IR: after %s: v%u (%s): %s", pass_, v, op, what);
  }
  Err expect_block(bool ok, BlockId b, const char* what) {
    if (ok) return Err::kOk;
    return diag_->fail(Err::kInvalid, f_.index, kNone, "IR: after %s: block %u: %s", pass_, b,
                       what);
  }
  Type type(Value v) const { return f_.insts[v].type; }

  const Function& f_;
  const char* pass_;
  Diag* diag_;
  Arena arena_;  // the function's own is left alone
  Dominators dominators_;
  Span<u32> position_;      // of a listed value in its block, plus one; 0: not listed
  Span<Value> edge_value_;  // by predecessor: the argument of the phi last checked
  Span<Value> edge_phi_;    // by predecessor: that phi, plus one
};

// Each edge is in both lists, as often in one as in the other.
Err Verifier::edges() {
  u32 n = f_.blocks.size();
  struct Edge {
    BlockId from;
    u32 next;
  };
  Vec<Edge> edges(&arena_);
  Span<u32> first = arena_.make_array<u32>(n);
  Span<u32> balance = arena_.make_array<u32>(n);
  if (!first.data() || !balance.data()) return diag_->no_memory();
  fill(first, kNone);
  for (BlockId b = 0; b < n; b++)
    for (BlockId succ : ticking(f_.blocks[b].succs)) {
      TRY(expect_block(succ < n, b, "successor out of range"));
      if (!edges.push({b, first[succ]})) return diag_->no_memory();
      first[succ] = edges.size() - 1;
    }
  for (BlockId b = 0; b < n; b++) {
    for (BlockId pred : ticking(f_.blocks[b].preds)) {
      TRY(expect_block(pred < n, b, "predecessor out of range"));
      balance[pred]++;
    }
    for (u32 e = first[b]; e != kNone; e = edges[e].next, tick()) balance[edges[e].from]--;
    bool even = true;
    for (BlockId pred : f_.blocks[b].preds) even &= balance[pred] == 0;
    for (u32 e = first[b]; e != kNone; e = edges[e].next, tick())
      even &= balance[edges[e].from] == 0;
    TRY(expect_block(even, b, "predecessors and successors disagree"));
  }
  return Err::kOk;
}

// Order, dominators and loops. A block's idom is a dominator if it dominates all forward predecessors.
Err Verifier::order() {
  u32 n = f_.blocks.size();
  TRY(expect_block(f_.blocks[0].preds.empty() && f_.blocks[0].idom == kNone, 0, "not an entry"));
  for (BlockId b = 1; b < n; b++, tick())
    TRY(expect_block(f_.blocks[b].idom < b, b, "immediate dominator does not precede it"));
  if (!dominators_.init(f_, &arena_)) return diag_->no_memory();
  for (BlockId b = 1; b < n; b++) {
    const Block& block = f_.blocks[b];
    bool forward = false, back = false;
    for (BlockId pred : ticking(block.preds)) {
      if (pred >= b) {
        back = true;
        TRY(expect_block(dominators_.dominates(b, pred), b,
                         "back edge to a block that does not dominate"));
      } else {
        forward = true;
        TRY(expect_block(dominators_.dominates(block.idom, pred), b, "wrong immediate dominator"));
      }
    }
    TRY(expect_block(forward, b, "out of order or unreachable"));
    TRY(expect_block(back == block.is_loop_header, b, "is_loop_header is wrong"));
  }
  Result<Span<BlockId>> last = loop_ends(f_, &arena_);
  if (!last.ok()) return diag_->no_memory();
  Vec<BlockId> open(&arena_);
  for (BlockId b = 0; b < n; b++, tick()) {
    const Block& block = f_.blocks[b];
    while (!open.empty() && last.value()[open.back()] < b) open.pop();
    if (block.is_loop_header && !open.push(b)) return diag_->no_memory();
    TRY(expect_block(open.empty() || dominators_.dominates(open.back(), b), b,
                     "loop is not contiguous"));
    TRY(expect_block(block.loop_header == (open.empty() ? kNone : open.back()), b,
                     "wrong loop header"));
    TRY(expect_block(block.loop_depth == open.size(), b, "wrong loop depth"));
  }
  return Err::kOk;
}

Err Verifier::block_shape(BlockId b) {
  const Block& block = f_.blocks[b];
  TRY(expect_block(!block.insts.empty(), b, "empty"));
  bool phis = true, merges = !block.preds.empty() && single_pred(block) == kNone;
  for (u32 i = 0; i < block.insts.size(); i++, tick()) {
    Value v = block.insts[i];
    TRY(expect_block(v < f_.insts.size(), b, "instruction out of range"));
    const Inst& inst = f_.insts[v];
    TRY(expect(inst.op < Op::kCount, v, "unknown operation"));
    TRY(expect(position_[v] == 0, v, "listed twice"));
    position_[v] = i + 1;
    TRY(expect(inst.block == b, v, "wrong block"));
    phis &= inst.op == Op::kPhi;
    TRY(expect(phis || inst.op != Op::kPhi, v, "phi after another instruction"));
    TRY(expect(merges || inst.op != Op::kPhi, v, "phi where nothing meets"));
    TRY(expect(is_terminator(inst.op) == (i + 1 == block.insts.size()), v, "terminator not last"));
    if (Function::has_pool_args(inst.op)) {
      TRY(expect(inst.pool <= f_.pool.size() && inst.count <= f_.pool.size() - inst.pool, v,
                 "arguments out of range"));
    } else {
      TRY(expect(inst.count == arg_count_of(inst.op), v, "wrong number of arguments"));
    }
    bool entry_only = inst.op == Op::kParam || inst.op == Op::kConst || inst.op == Op::kVConst ||
                      inst.op == Op::kVmCtx;
    TRY(expect(!entry_only || b == 0, v, "not in the entry block"));
  }
  Op last = f_.insts[block.insts.back()].op;
  u32 succs = block.succs.size();
  bool fits = last == Op::kJump     ? succs == 1
              : last == Op::kBranch ? succs == 2
              : last == Op::kSwitch ? succs >= 2
                                    : succs == 0;
  return expect_block(fits, b, "wrong number of successors");
}

// Definitions dominate uses.
Err Verifier::uses(BlockId b) {
  const Block& block = f_.blocks[b];
  for (u32 i = 0; i < block.insts.size(); i++, tick()) {
    Value v = block.insts[i];
    const Inst& inst = f_.insts[v];
    Span<Value> args = f_.args(v);
    bool is_phi = inst.op == Op::kPhi;
    if (is_phi)
      TRY(expect(args.size() == block.preds.size(), v,
                 "arguments and predecessors differ in number"));
    for (u32 j = 0; j < args.size(); j++, tick()) {
      Value arg = args[j];
      TRY(expect(arg < f_.insts.size() && position_[arg], v, "argument is not listed"));
      BlockId def = f_.insts[arg].block;
      BlockId use = is_phi ? block.preds[j] : b;
      bool before = is_phi || def != b ? dominators_.dominates(def, use) : position_[arg] <= i;
      TRY(expect(before, v, "argument does not dominate"));
      TRY(expect(type(arg) != Type::kVoid, v, "argument has no value"));
      if (!is_phi) continue;
      TRY(expect(type(arg) == inst.type, v, "argument of another type"));
      bool repeated = edge_phi_[use] == v + 1;
      TRY(expect(!repeated || edge_value_[use] == arg, v, "arguments of parallel edges differ"));
      edge_phi_[use] = v + 1;
      edge_value_[use] = arg;
    }
  }
  return Err::kOk;
}

bool is_int(Type type) { return type == Type::kI32 || type == Type::kI64; }
bool is_float(Type type) { return type == Type::kF32 || type == Type::kF64; }

// Whether a value of the type can be loaded, or stored, in that way.
bool fits_kind(Type type, u32 number, bool is_load) {
  MemKind kind = static_cast<MemKind>(number);
  switch (type) {
    case Type::kI32: return kind <= MemKind::k32U;
    case Type::kI64: return kind <= MemKind::k64;
    case Type::kF32: return kind == MemKind::k32U;
    case Type::kF64: return kind == MemKind::k64;
    case Type::kV128:
      return kind == MemKind::k128 || (is_load && kind > MemKind::k128 && kind <= MemKind::k64Zero);
    default: return false;
  }
}

// A lane's width and number.
bool fits_lane(u32 aux) {
  MemKind kind = static_cast<MemKind>(aux & 0xff);
  if (kind != MemKind::k8U && kind != MemKind::k16U && kind != MemKind::k32U &&
      kind != MemKind::k64)
    return false;
  return (aux >> 8) < 16 / bytes_of(kind);
}

bool fits_atomic(Type type, u32 aux) {
  MemKind kind = static_cast<MemKind>(aux & 0xff);
  bool fits = kind == MemKind::k8U || kind == MemKind::k16U || kind == MemKind::k32U ||
              (kind == MemKind::k64 && type == Type::kI64);
  return fits && is_int(type) && aux >> 8 <= static_cast<u32>(AtomicOp::kXchg);
}

// The types that a wasm instruction's table entry gives for an operation with that instruction in aux.
bool Verifier::vector_types(const Inst& inst, Span<Value> args) const {
  if (inst.aux >= static_cast<u32>(Opcode::kCount)) return false;
  const OpcodeInfo& info = info_of(static_cast<Opcode>(inst.aux));
  if (!info.fixed || info.access || info.operand_count != args.size() ||
      type_of(info.result) != inst.type)
    return false;
  for (u32 i = 0; i < args.size(); i++)
    if (type(args[i]) != type_of(info.operands[i])) return false;
  bool is_lane = inst.op == Op::kVExtract || inst.op == Op::kVReplace;
  return is_lane ? inst.imm >= 0 && inst.imm < info.lanes : info.lanes == 0;
}

// Linear memory: index, base where the operation has one, value.
bool Verifier::memory_types(const Inst& inst, Span<Value> args) const {
  if (type(args[0]) != Type::kI32 || inst.imm < 0 || inst.imm > 0xffff'ffff) return false;
  bool has_base = inst.op != Op::kLoad && inst.op != Op::kStore && inst.op != Op::kLoadLane &&
                  inst.op != Op::kStoreLane;
  if (has_base && (args.size() < 2 || type(args[1]) != Type::kI64)) return false;
  Span<Value> values = args.slice(has_base ? 2 : 1, args.size() - (has_base ? 2 : 1));
  for (Value value : values)
    if (type(value) != type(values[0])) return false;
  switch (inst.op) {
    case Op::kLoad:
    case Op::kLoadMem: return fits_kind(inst.type, inst.aux, true);
    case Op::kLoadLane:
    case Op::kLoadLaneMem:
      return inst.type == Type::kV128 && type(values[0]) == Type::kV128 && fits_lane(inst.aux);
    case Op::kStoreLane:
    case Op::kStoreLaneMem:
      return inst.type == Type::kVoid && type(values[0]) == Type::kV128 && fits_lane(inst.aux);
    case Op::kAtomicLoad: return fits_atomic(inst.type, inst.aux);
    case Op::kAtomicRmw: return type(values[0]) == inst.type && fits_atomic(inst.type, inst.aux);
    case Op::kAtomicCas:
      return values.size() == 2 && type(values[0]) == inst.type && fits_atomic(inst.type, inst.aux);
    default: break;
  }
  // Stores.
  if (inst.type != Type::kVoid || type(values[0]) != inst.operand_type) return false;
  return inst.op == Op::kAtomicStore ? fits_atomic(inst.operand_type, inst.aux)
                                     : fits_kind(inst.operand_type, inst.aux, false);
}

bool Verifier::float_types(const Inst& inst, Span<Value> args) const {
  Type from = type(args[0]);
  switch (inst.op) {
    case Op::kTruncS:
    case Op::kTruncU:
    case Op::kTruncSatS:
    case Op::kTruncSatU: return is_int(inst.type) && is_float(from) && inst.operand_type == from;
    case Op::kConvertS:
    case Op::kConvertU: return is_float(inst.type) && is_int(from) && inst.operand_type == from;
    case Op::kDemote: return inst.type == Type::kF32 && from == Type::kF64;
    case Op::kPromote: return inst.type == Type::kF64 && from == Type::kF32;
    case Op::kBitcast:
      return (inst.type == Type::kI32 && from == Type::kF32) ||
             (inst.type == Type::kF32 && from == Type::kI32) ||
             (inst.type == Type::kI64 && from == Type::kF64) ||
             (inst.type == Type::kF64 && from == Type::kI64);
    default: break;
  }
  Type wanted = is_float_compare(inst.op) ? inst.operand_type : inst.type;
  if (is_float_compare(inst.op) && inst.type != Type::kI32) return false;
  for (Value arg : args)
    if (type(arg) != wanted) return false;
  return is_float(wanted);
}

bool Verifier::passes(Span<Value> args, Span<const ValType> types) const {
  if (args.size() != types.size()) return false;
  for (u32 i = 0; i < args.size(); i++, tick())
    if (type(args[i]) != type_of(types[i])) return false;
  return true;
}

// Wasm calls and returns against the types of the module.
bool Verifier::call_types(const Inst& inst, Span<Value> args) const {
  bool is_ptr = inst.op == Op::kCallPtr || inst.op == Op::kTailCallPtr;
  bool is_tail = inst.op == Op::kTailCall || inst.op == Op::kTailCallPtr;
  if (is_ptr && (args.empty() || type(args[0]) != Type::kI64)) return false;
  if (is_tail && inst.type != Type::kVoid) return false;
  if (!f_.module) return true;
  u64 index = static_cast<u64>(inst.imm);
  if (index >= (is_ptr ? f_.module->types.size() : f_.module->functions.size())) return false;
  const FuncType& callee =
      is_ptr ? f_.module->types[index] : f_.module->func_type(static_cast<u32>(index));
  if (!passes(args.slice(is_ptr, args.size() - is_ptr), callee.params)) return false;
  if (is_tail) return callee.results.size() == f_.module->func_type(f_.index).results.size();
  return inst.type == (callee.results.empty() ? Type::kVoid : type_of(callee.results[0]));
}

Err Verifier::types(Value v) {
  const Inst& inst = f_.insts[v];
  constexpr Type kI32 = Type::kI32, kI64 = Type::kI64, kVoid = Type::kVoid, kV128 = Type::kV128;
  Span<Value> args = f_.args(v);
  auto arg_is = [&](u32 i, Type t) { return type(args[i]) == t; };
  bool has_int = is_int(inst.type);
  bool ok = true;
  switch (inst.op) {
    case Op::kParam: ok = inst.type != kVoid; break;
    case Op::kConst:
      ok = inst.type != kVoid && inst.type != kV128 &&
           ((inst.type != kI32 && inst.type != Type::kF32) || !(inst.imm >> 32));
      break;
    case Op::kVConst: ok = inst.type == kV128; break;
    case Op::kPhi: ok = inst.type != kVoid; break;
    case Op::kResult:
      ok = (effects_of(f_.insts[args[0]].op) & kCalls) && inst.aux >= 1 && inst.type != kVoid;
      break;
    case Op::kVmCtx:
    case Op::kMemBase: ok = inst.type == kI64; break;
    case Op::kSelect:
      ok = arg_is(0, kI32) && arg_is(1, inst.type) && arg_is(2, inst.type) && inst.type != kVoid;
      break;
    case Op::kMulHiU:
    case Op::kMulHiS: ok = inst.type == kI64 && arg_is(0, kI64) && arg_is(1, kI64); break;
    case Op::kWrap: ok = inst.type == kI32 && arg_is(0, kI64); break;
    case Op::kSExtI32:
    case Op::kZExtI32: ok = inst.type == kI64 && arg_is(0, kI32); break;
    case Op::kSExt32: ok = inst.type == kI64 && arg_is(0, kI64); break;
    case Op::kBswap16: ok = inst.type == kI32 && arg_is(0, kI32); break;
    case Op::kFAdd:
    case Op::kFSub:
    case Op::kFMul:
    case Op::kFDiv:
    case Op::kFMin:
    case Op::kFMax:
    case Op::kFCopysign:
    case Op::kFAbs:
    case Op::kFNeg:
    case Op::kFSqrt:
    case Op::kFCeil:
    case Op::kFFloor:
    case Op::kFTrunc:
    case Op::kFNearest:
    case Op::kFEq:
    case Op::kFNe:
    case Op::kFLt:
    case Op::kFLe:
    case Op::kFGt:
    case Op::kFGe:
    case Op::kTruncS:
    case Op::kTruncU:
    case Op::kTruncSatS:
    case Op::kTruncSatU:
    case Op::kConvertS:
    case Op::kConvertU:
    case Op::kDemote:
    case Op::kPromote:
    case Op::kBitcast: ok = float_types(inst, args); break;
    case Op::kV1:
    case Op::kV2:
    case Op::kV3:
    case Op::kVShift:
    case Op::kVSplat:
    case Op::kVTest:
    case Op::kVExtract:
    case Op::kVReplace: ok = vector_types(inst, args); break;
    case Op::kVShuffle:
      ok = inst.type == kV128 && arg_is(0, kV128) && arg_is(1, kV128) && is_vector_const(args[2]);
      break;
    case Op::kLoad:
    case Op::kStore:
    case Op::kLoadLane:
    case Op::kStoreLane:
    case Op::kLoadMem:
    case Op::kStoreMem:
    case Op::kLoadLaneMem:
    case Op::kStoreLaneMem:
    case Op::kAtomicLoad:
    case Op::kAtomicStore:
    case Op::kAtomicRmw:
    case Op::kAtomicCas: ok = memory_types(inst, args); break;
    case Op::kFence: ok = inst.type == kVoid; break;
    case Op::kLoadRaw:
      ok = fits_kind(inst.type, inst.aux, true) && arg_is(0, kI64) && fits_i32(inst.imm);
      break;
    case Op::kStoreRaw:
      ok = inst.type == kVoid && arg_is(0, kI64) && arg_is(1, inst.operand_type) &&
           fits_kind(inst.operand_type, inst.aux, false) && fits_i32(inst.imm);
      break;
    case Op::kAddRaw:
    case Op::kAtomicAddRaw:
      ok = inst.type == kVoid && arg_is(0, kI64) && arg_is(1, inst.operand_type) &&
           is_int(inst.operand_type) && fits_i32(inst.imm);
      break;
    case Op::kPerCpu: ok = inst.type == kI64 && arg_is(0, kI64) && fits_i32(inst.imm); break;
    case Op::kLoadGs: ok = has_int && fits_i32(inst.imm); break;
    case Op::kClampIndex:
      ok = inst.type == kI32 && arg_is(0, kI32) && arg_is(1, kI32) && inst.imm >= 0 &&
           inst.imm <= kPacketTailBytes;
      break;
    case Op::kMatchOrNull:
      ok = inst.type == kI64 && arg_is(0, kI64) && arg_is(1, kI64) && arg_is(2, kI64);
      break;
    case Op::kCall:
    case Op::kCallPtr:
    case Op::kTailCall:
    case Op::kTailCallPtr: ok = call_types(inst, args); break;
    case Op::kCallHost:
    case Op::kCallLib:
      ok = inst.type == kVoid || has_int;
      for (u32 i = 0; ok && i < args.size(); i++, tick()) ok = is_int(type(args[i]));
      break;
    case Op::kTrapIf: ok = inst.type == kVoid && arg_is(0, kI32); break;
    case Op::kFuel: ok = inst.type == kVoid && inst.imm > 0; break;
    case Op::kJump:
    case Op::kTrap: ok = inst.type == kVoid; break;
    case Op::kBranch:
    case Op::kSwitch: ok = inst.type == kVoid && arg_is(0, kI32); break;
    case Op::kReturn:
      ok = !f_.module || passes(args, f_.module->func_type(f_.index).results);
      break;
    case Op::kCount: ok = false; break;
    default:
      if (is_compare(inst.op)) {
        ok = inst.type == kI32 && is_int(inst.operand_type);
        ok = ok && arg_is(0, inst.operand_type) && arg_is(1, inst.operand_type);
      } else {  // the remaining integer operations
        ok = has_int;
        for (u32 i = 0; ok && i < args.size(); i++, tick()) ok = arg_is(i, inst.type);
      }
      break;
  }
  return expect(ok, v, "wrong type");
}

Err Verifier::run() {
  TRY(expect_block(!f_.blocks.empty(), 0, "no blocks"));
  TRY(edges());
  TRY(order());
  position_ = arena_.make_array<u32>(f_.insts.size());
  edge_value_ = arena_.make_array<Value>(f_.blocks.size());
  edge_phi_ = arena_.make_array<Value>(f_.blocks.size());
  if (!position_.data() || !edge_value_.data() || !edge_phi_.data()) return diag_->no_memory();
  for (BlockId b = 0; b < f_.blocks.size(); b++, tick()) TRY(block_shape(b));
  for (BlockId b = 0; b < f_.blocks.size(); b++, tick()) {
    TRY(uses(b));
    for (Value v : paced(f_.blocks[b].insts)) TRY(types(v));
  }
  return f_.clamps_speculation ? verify_clamps(f_, pass_, diag_) : Err::kOk;
}

Err Verifier::lowerable() {
  Span<BlockId> only = arena_.make_array<BlockId>(f_.blocks.size());
  if (!only.data()) return diag_->no_memory();
  for (BlockId b = 0; b < f_.blocks.size(); b++, tick()) only[b] = single_pred(f_.blocks[b]);
  for (BlockId b = 0; b < f_.blocks.size(); b++, tick()) {
    const Block& block = f_.blocks[b];
    for (BlockId succ : ticking(block.succs))
      TRY(expect_block(block.succs.size() == 1 || only[succ] == b, b, "critical edge"));
  }
  return Err::kOk;
}

}  // namespace

Err verify(const Function& f, const char* pass, Diag* diag) {
  return Verifier(f, pass, diag).run();
}

Err verify_lowerable(const Function& f, Diag* diag) {
  return Verifier(f, "the last pass", diag).lowerable();
}

}  // namespace wring::ir
