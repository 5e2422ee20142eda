// SPDX-License-Identifier: GPL-2.0
// Control-flow clean-up: jumps around a phi of constants, small diamonds, straight lines, returns.
#include "core/ir/cfg.h"
#include "core/ir/edit.h"
#include "core/opt/passes.h"

namespace wring::opt {

namespace {

// What an if may compute in its arms to become selects, and how many.
constexpr u32 kMaxSpeculated = 1;
constexpr u32 kMaxSelects = 2;
// Into how many predecessors a block that only returns is copied.
constexpr u32 kMaxReturnCopies = 8;
// Edges are moved one at a time only between blocks with few of them.
constexpr u32 kMaxThreadedPreds = 8;

u32 count_phis(const Function& f, const Block& block) {
  u32 n = 0;
  for (; n < block.insts.size() && f.insts[block.insts[n]].op == Op::kPhi; tick()) n++;
  return n;
}

class Cleanup {
 public:
  Cleanup(Function* f, Arena* scratch) : f_(f), scratch_(scratch) {}
  bool thread_jumps();
  bool convert_ifs();
  bool merge_lines();
  bool copy_returns();
  bool changed() const { return changed_; }

 private:
  bool thread_block(BlockId b);
  bool fold_condition(Value condition, Value phi, u64 constant, bool* taken) const;
  bool convert_if(BlockId b);
  bool is_arm(BlockId arm, BlockId from, BlockId* join) const;
  bool add_pred(BlockId block, BlockId pred, u32 like);
  void remove_pred(BlockId block, u32 index);
  u32 index_of_pred(const Block& block, BlockId pred) const {
    u32 i = 0;
    for (; block.preds[i] != pred; i++) tick();
    return i;
  }

  Function* f_;
  Arena* scratch_;
  Span<u32> uses_;
  bool changed_ = false;
};

// Adds pred to the block's predecessors; its phis get for it what they have for predecessor number `like`.
bool Cleanup::add_pred(BlockId block, BlockId pred, u32 like) {
  Block& b = f_->blocks[block];
  for (Value v : paced(b.insts)) {
    if (f_->insts[v].op != Op::kPhi) break;
    u32 start = f_->pool.size();
    Inst& phi = f_->insts[v];
    for (u32 i = 0; i < phi.count; i++, tick())
      if (!f_->pool.push(f_->pool[phi.pool + i])) return false;
    if (!f_->pool.push(f_->pool[phi.pool + like])) return false;
    phi.pool = start;
    phi.count++;
  }
  return b.preds.push(pred);
}

void Cleanup::remove_pred(BlockId block, u32 index) {
  Block& b = f_->blocks[block];
  for (Value v : paced(b.insts)) {
    Inst& phi = f_->insts[v];
    if (phi.op != Op::kPhi) break;
    for (u32 i = index + 1; i < phi.count; i++, tick())
      f_->pool[phi.pool + i - 1] = f_->pool[phi.pool + i];
    phi.count--;
  }
  for (u32 i = index + 1; i < b.preds.size(); i++, tick()) b.preds[i - 1] = b.preds[i];
  b.preds.pop();
}

// Which way a branch on `condition` goes when `phi` is the constant.
bool Cleanup::fold_condition(Value condition, Value phi, u64 constant, bool* taken) const {
  if (condition == phi) {
    *taken = constant != 0;
    return true;
  }
  const Inst& inst = f_->insts[condition];
  const Inst& right = f_->insts[inst.arg[1]];
  if ((inst.op != Op::kEq && inst.op != Op::kNe) || inst.arg[0] != phi || right.op != Op::kConst)
    return false;
  *taken = (constant == static_cast<u64>(right.imm)) == (inst.op == Op::kEq);
  return true;
}

// A block of nothing but a phi and a branch on it: predecessors for which the phi is a constant know where to go.
bool Cleanup::thread_block(BlockId b) {
  const Block& block = f_->blocks[b];
  u32 size = block.insts.size();
  if (size < 2 || size > 3 || block.is_loop_header || count_phis(*f_, block) != 1) return true;
  Value phi = block.insts[0], condition = block.insts[size - 2];
  const Inst& branch = f_->insts[block.insts[size - 1]];
  if (branch.op != Op::kBranch || branch.arg[0] != condition || uses_[phi] != 1) return true;
  if (condition != phi && uses_[condition] != 1) return true;
  if (block.succs[0] == block.succs[1]) return true;
  for (u32 i = block.preds.size(); i-- > 0; tick()) {
    const Inst value = f_->insts[f_->args(phi)[i]];
    BlockId pred = f_->blocks[b].preds[i];
    bool taken;
    // A predecessor with several edges keeps them apart from its others.
    if (value.op != Op::kConst || f_->blocks[pred].succs.size() != 1) continue;
    if (!fold_condition(condition, phi, static_cast<u64>(value.imm), &taken)) continue;
    BlockId target = f_->blocks[b].succs[taken ? 0 : 1];
    if (target <= b) continue;  // not another way round a loop
    if (f_->blocks[target].preds.size() > kMaxThreadedPreds) continue;
    if (!add_pred(target, pred, index_of_pred(f_->blocks[target], b))) return false;
    f_->blocks[pred].succs[0] = target;
    remove_pred(b, i);
    changed_ = true;
  }
  return true;
}

bool Cleanup::thread_jumps() {
  Result<Span<u32>> uses = count_uses(*f_, scratch_);
  if (!uses.ok()) return false;
  uses_ = uses.value();
  for (BlockId b = 1; b < f_->blocks.size(); b++, tick())
    if (f_->blocks[b].preds.size() <= kMaxThreadedPreds && !thread_block(b)) return false;
  return true;
}

// Whether `arm` is reached only from `from` and does next to nothing before it jumps to *join.
bool Cleanup::is_arm(BlockId arm, BlockId from, BlockId* join) const {
  const Block& block = f_->blocks[arm];
  if (block.preds.size() != 1 || block.preds[0] != from || block.succs.size() != 1) return false;
  if (f_->insts[block.insts.back()].op != Op::kJump || block.insts.size() > 1 + kMaxSpeculated)
    return false;
  *join = block.succs[0];
  if (block.insts.size() == 1) return true;
  const Inst& inst = f_->insts[block.insts[0]];
  if (inst.pinned) return false;
  switch (inst.op) {  // one cheap instruction each
    case Op::kAdd:
    case Op::kSub:
    case Op::kAnd:
    case Op::kOr:
    case Op::kXor:
    case Op::kShl:
    case Op::kShrS:
    case Op::kShrU:
    case Op::kZExtI32:
    case Op::kSExtI32:
    case Op::kWrap: return true;
    default: return false;
  }
}

// if (c) x = a; else x = b; where a and b are at hand or nearly so: x = select(c, a, b).
bool Cleanup::convert_if(BlockId b) {
  const Block& block = f_->blocks[b];
  Value branch = block.insts.back();
  if (f_->insts[branch].op != Op::kBranch) return true;
  BlockId arms[2] = {block.succs[0], block.succs[1]};
  BlockId join = kNone, joins[2] = {kNone, kNone};
  bool is_block[2];
  for (u32 i = 0; i < 2; i++) is_block[i] = is_arm(arms[i], b, &joins[i]);
  if (is_block[0] && is_block[1] && joins[0] == joins[1])
    join = joins[0];
  else if (is_block[0] && joins[0] == arms[1])
    is_block[1] = false, join = arms[1];
  else if (is_block[1] && joins[1] == arms[0])
    is_block[0] = false, join = arms[0];
  else
    return true;
  if (join <= b || f_->blocks[join].preds.size() != 2) return true;
  u32 phis = count_phis(*f_, f_->blocks[join]);
  if (phis == 0 || phis > kMaxSelects) return true;
  // Only integers have a conditional move.
  for (Value phi : f_->blocks[join].insts.span().slice(0, phis)) {
    Type type = f_->insts[phi].type;
    if (type != Type::kI32 && type != Type::kI64) return true;
  }
  u32 work = 0;
  for (u32 i = 0; i < 2; i++) work += is_block[i] ? f_->blocks[arms[i]].insts.size() - 1 : 0;
  if (work > kMaxSpeculated) return true;

  Vec<Value>& list = f_->blocks[b].insts;
  list.pop();
  for (u32 i = 0; i < 2; i++) {
    if (!is_block[i]) continue;
    Block& arm = f_->blocks[arms[i]];
    for (u32 j = 0; j + 1 < arm.insts.size(); j++) {
      f_->insts[arm.insts[j]].block = b;
      if (!list.push(arm.insts[j])) return false;
    }
  }
  Value condition = f_->insts[branch].arg[0];
  u32 from[2];
  for (u32 i = 0; i < 2; i++) from[i] = index_of_pred(f_->blocks[join], is_block[i] ? arms[i] : b);
  Block& target = f_->blocks[join];
  for (u32 i = 0; i < phis; i++) {
    // The phi becomes the select, so its users need not change.
    Inst& phi = f_->insts[target.insts[i]];
    Value x = f_->pool[phi.pool + from[0]], y = f_->pool[phi.pool + from[1]];
    Inst select = make_inst(Op::kSelect, phi.type, condition, x, y);
    select.origin = phi.origin;
    select.block = b;
    phi = select;
    if (!list.push(target.insts[i])) return false;
  }
  for (u32 i = phis; i < target.insts.size(); i++, tick()) target.insts[i - phis] = target.insts[i];
  if (!target.insts.resize(target.insts.size() - phis)) return false;

  Inst jump = make_inst(Op::kJump, Type::kVoid);
  jump.origin = f_->insts[branch].origin;
  jump.block = b;
  f_->insts[branch] = jump;
  if (!list.push(branch)) return false;
  Vec<BlockId>& succs = f_->blocks[b].succs;
  succs.clear();
  target.preds.clear();
  // The arms are not reached any more; they keep a proper form until they are removed.
  for (u32 i = 0; i < 2; i++)
    if (is_block[i]) f_->blocks[arms[i]].preds.clear();
  changed_ = true;
  for (u32 i = 0; i < 2; i++)
    if (is_block[i]) f_->blocks[arms[i]].succs.clear();
  return succs.push(join) && target.preds.push(b);
}

bool Cleanup::convert_ifs() {
  // Inner ones first, which are found later in the order.
  for (BlockId b = f_->blocks.size(); b-- > 0; tick())
    if (f_->blocks[b].succs.size() == 2 && !convert_if(b)) return false;
  return true;
}

// Appends a block to its only predecessor if that leads nowhere else. Lines are gathered at their heads, so that
// each instruction moves once.
bool Cleanup::merge_lines() {
  u32 n = f_->blocks.size();
  Span<BlockId> merged_into = scratch_->make_array<BlockId>(n);
  if (!merged_into.data()) return false;
  for (BlockId b = 0; b < n; b++, tick()) merged_into[b] = b;
  bool any = false;
  for (BlockId head = 0; head < n; head++, tick()) {
    if (merged_into[head] != head) continue;
    for (;; tick()) {
      Block& block = f_->blocks[head];
      if (block.succs.size() != 1) break;
      BlockId next = block.succs[0];
      Block& tail = f_->blocks[next];
      if (next <= head || tail.preds.size() != 1) break;
      block.insts.pop();  // the jump
      for (Value v : paced(tail.insts)) {
        f_->insts[v].block = head;
        if (!block.insts.push(v)) return false;
      }
      block.succs = tail.succs;
      tail.insts.clear();
      tail.preds.clear();
      tail.succs.init(f_->arena);
      merged_into[next] = head;
      any = true;
    }
  }
  if (!any) return true;
  changed_ = true;
  for (Block& block : paced(f_->blocks))
    for (BlockId& pred : ticking(block.preds)) pred = merged_into[pred];
  return true;
}

// Predecessors that jump to a block which only returns return themselves.
bool Cleanup::copy_returns() {
  for (BlockId b = 1; b < f_->blocks.size(); b++, tick()) {
    const Block& block = f_->blocks[b];
    u32 phis = count_phis(*f_, block);
    if (block.insts.size() != phis + 1 || f_->insts[block.insts.back()].op != Op::kReturn) continue;
    if (block.preds.size() < 2 || block.preds.size() > kMaxReturnCopies) continue;
    Value original = block.insts.back();
    for (u32 i = f_->blocks[b].preds.size(); i-- > 0; tick()) {
      BlockId pred = f_->blocks[b].preds[i];
      if (f_->blocks[pred].succs.size() != 1) continue;
      Inst copy = f_->insts[original];
      u32 start = f_->pool.size();
      for (u32 j = 0; j < copy.count; j++) {
        Value v = f_->pool[copy.pool + j];
        const Inst& inst = f_->insts[v];
        if (inst.op == Op::kPhi && inst.block == b) v = f_->pool[inst.pool + i];
        if (!f_->pool.push(v)) return false;
      }
      copy.pool = start;
      copy.block = pred;
      f_->insts[f_->blocks[pred].insts.back()] = copy;
      f_->blocks[pred].succs.clear();
      remove_pred(b, i);
      changed_ = true;
    }
  }
  return true;
}

Err run_step(Function* f, bool (Cleanup::*step)(), Arena* scratch, Diag* diag) {
  Cleanup cleanup(f, scratch);
  if (!(cleanup.*step)()) return diag->no_memory();
  return cleanup.changed() ? analyze_cfg(f, diag) : Err::kOk;
}

}  // namespace

Err clean_up_control_flow(Function* f, Arena* scratch, Diag* diag) {
  TRY(run_step(f, &Cleanup::thread_jumps, scratch, diag));
  TRY(run_step(f, &Cleanup::merge_lines, scratch, diag));
  TRY(run_step(f, &Cleanup::convert_ifs, scratch, diag));
  return run_step(f, &Cleanup::merge_lines, scratch, diag);
}

Err duplicate_returns(Function* f, Arena* scratch, Diag* diag) {
  return run_step(f, &Cleanup::copy_returns, scratch, diag);
}

}  // namespace wring::opt
