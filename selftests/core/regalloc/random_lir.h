// SPDX-License-Identifier: GPL-2.0
// Random structured LIR: straight lines, diamonds, loops, switches, early returns, calls, every constraint, both
// classes and widths, all that verify.h allows.
#pragma once

#include <random>

#include "lir_builder.h"

namespace wring::ra::testing {

struct RandomShape {
  u32 statements = 20;  // budget for the whole function
  u32 max_depth = 3;    // of nested control flow
  u32 live = 12;        // how many recent values operands are drawn from
  u32 call_percent = 8;
  u32 fixed_percent = 10;  // of operands
  u32 any_percent = 25;
  u32 reuse_percent = 50;  // of definitions
  u32 other_percent = 5;   // late uses and early defs
  u32 vec_percent = 25;    // of values
  u32 cold_percent = 15;   // of branches
  u32 control_percent = 25;
  bool cold_last = false;  // cold blocks move to the end of the function
};

class RandomLir {
 public:
  RandomLir(u32 seed, const RandomShape& shape) : rng_(seed), shape_(shape) {}

  // The function lives as long as this object.
  LirFunction& make() {
    budget_ = shape_.statements;
    builder_.block();
    add_block_info(false);
    for (u32 i = 0; i < 3; i++) straight(0);
    while (budget_ > 0) region(0);
    u32 count = rng_() % 3;
    std::vector<Operand> operands;
    for (u32 i = 0; i < count; i++) operands.push_back(use_any(any_value()));
    builder_.inst(operands, 0, kOpReturn);
    finish_block({});
    build();
    return builder_.finish();
  }

 private:
  struct Node {  // a block under construction; numbers in edges are those of nodes
    bool cold;
    std::vector<u32> succs;
    std::vector<VReg> args;
    std::vector<VReg> params;
    u32 first_inst, end_inst;
    int loop;  // index into loops_ or -1
  };
  struct Loop {
    u32 header;
    int parent;
  };

  bool chance(u32 percent) { return rng_() % 100 < percent; }

  VReg any_value() {
    if (scope_.empty()) define_value();
    u32 window = std::min<u32>(scope_.size(), shape_.live);
    if (chance(4)) return scope_[rng_() % scope_.size()];
    return scope_[scope_.size() - 1 - rng_() % window];
  }
  VReg value_of(RegClass cls) {
    for (u32 attempt = 0; attempt < 8; attempt++) {
      VReg v = any_value();
      if (f().vregs[v].cls == cls) return v;
    }
    VReg v = fresh(cls);
    builder_.inst({def(v)});
    scope_.push_back(v);
    return v;
  }
  LirFunction& f() { return builder_.function(); }
  VReg fresh(RegClass cls) {
    return cls == RegClass::kInt ? builder_.vreg() : builder_.vec(chance(50) ? 16 : 8);
  }
  VReg fresh() { return fresh(chance(shape_.vec_percent) ? RegClass::kVec : RegClass::kInt); }
  void define_value() {
    VReg v = fresh();
    builder_.inst({def(v)});
    scope_.push_back(v);
  }

  void straight(u32) {
    if (chance(15)) {
      VReg v = builder_.constant();
      scope_.push_back(v);
      return;
    }
    std::vector<Operand> operands;
    std::vector<VReg> defined;
    RegMask early = 0, late = 0;  // fixed registers taken
    bool call = chance(shape_.call_percent);
    u32 uses = rng_() % (call ? 6 : 4);
    u32 int_uses = 0;
    for (u32 i = 0; i < uses; i++) {
      VReg v = any_value();
      RegClass cls = f().vregs[v].cls;
      if (chance(call ? 80 : shape_.fixed_percent)) {
        PReg r = cls == RegClass::kInt ? kIntRegs[rng_() % 11] : kVecRegs[rng_() % 15];
        if (!(early & bit(r))) {
          early |= bit(r);
          operands.push_back(use_fixed(v, r));
          if (!call && chance(shape_.other_percent)) {
            operands.back().other = true;
            late |= bit(r);
          }
          continue;
        }
      }
      operands.push_back(chance(shape_.any_percent) ? use_any(v) : use(v));
      if (!call && chance(shape_.other_percent)) operands.back().other = true;
      int_uses++;
    }
    RegMask clobbers = 0;
    if (!call && chance(10))
      clobbers = (1u << kIntRegs[rng_() % 11]) | (1u << kVecRegs[rng_() % 15]);
    if (call) clobbers = kCallClobbers;
    clobbers &= ~late;
    u32 defs = chance(80) ? 1 : rng_() % 3;
    u32 reused = 0;
    for (u32 i = 0; i < defs; i++) {
      if (uses && !call && i == 0 && chance(shape_.reuse_percent)) {
        u32 k = rng_() % uses;
        Operand& source = operands[k];
        if (!source.other &&
            (source.constraint != Constraint::kFixed || !((late | clobbers) & bit(source.reg)))) {
          VRegInfo info = f().vregs[source.vreg];
          // A vector in a scalar's register and the other way round.
          VReg d = chance(60) ? builder_.vreg(info.cls, info.slot_bytes) : fresh(info.cls);
          if (source.constraint == Constraint::kFixed) late |= bit(source.reg);
          if (source.constraint == Constraint::kAny) source.constraint = Constraint::kReg;
          operands.push_back(def_reuse(d, static_cast<PReg>(k)));
          defined.push_back(d);
          reused++;
          continue;
        }
      }
      VReg d = fresh();
      RegClass cls = f().vregs[d].cls;
      PReg r = cls == RegClass::kInt ? kIntRegs[rng_() % 11] : kVecRegs[rng_() % 15];
      if (call) r = cls == RegClass::kInt ? kRax : kXmm0;
      bool is_early = !call && chance(shape_.other_percent);
      bool fixed = (call || chance(shape_.fixed_percent)) && !(late & bit(r)) &&
                   !(is_early && (early & bit(r)));
      if (call && !fixed) continue;
      if (fixed) {
        late |= bit(r);
        if (is_early) early |= bit(r);
        operands.push_back(def_fixed(d, r));
      } else {
        operands.push_back(!is_early && chance(10) ? def_any(d) : def(d));
      }
      operands.back().other = is_early;
      if (chance(90)) defined.push_back(d);
    }
    clobbers &= ~late;
    builder_.inst(operands, clobbers, call ? kOpCall : kOpPlain);
    for (VReg d : defined) scope_.push_back(d);
  }

  // Block construction. Nodes are filled one after the other.
  void add_block_info(bool cold) {
    Node node = {};
    node.cold = cold;
    node.first_inst = f().insts.size();
    node.loop = loop_;
    nodes_.push_back(node);
  }
  u32 start(bool cold, std::vector<VReg> params = {}) {
    add_block_info(cold);
    nodes_.back().params = params;
    for (VReg p : params) scope_.push_back(p);
    return nodes_.size() - 1;
  }
  void finish_block(std::vector<u32> succs, std::vector<VReg> args = {}) {
    nodes_.back().succs = succs;
    nodes_.back().args = args;
    nodes_.back().end_inst = f().insts.size();
  }
  void end_jump(u32 to, std::vector<VReg> args = {}) {
    builder_.inst(std::vector<Operand>(), 0, kOpBranch);
    finish_block({to}, args);
  }
  void end_branch(std::vector<u32> to) {
    VReg v = any_value();
    builder_.inst({chance(50) ? use(v) : use_any(v)}, 0, kOpBranch);
    finish_block(to);
  }

  void region(u32 depth, bool cold = false) {
    u32 count = 1 + rng_() % 6;
    for (u32 i = 0; i < count && budget_ > 0; i++) {
      budget_--;
      if (depth < shape_.max_depth && chance(shape_.control_percent)) {
        u32 kind = rng_() % 6;
        if (kind < 2)
          loop(depth, cold);
        else if (kind == 5)
          line(cold);
        else
          diamond(depth, cold, kind == 4 ? 3 + rng_() % 4 : 2);
      } else {
        straight(depth);
      }
    }
  }

  // A jump to a block that nothing else leads to, with arguments all the same.
  void line(bool cold) {
    std::vector<VReg> params, args;
    for (u32 i = rng_() % 4; i-- > 0;) params.push_back(fresh());
    for (VReg p : params) args.push_back(argument(p));
    end_jump(static_cast<u32>(nodes_.size()), args);
    start(cold, params);
  }

  void end_return() {
    builder_.inst({use_any(any_value())}, 0, kOpReturn);
    finish_block({});
  }

  void diamond(u32 depth, bool cold, u32 arms) {
    u32 fork = nodes_.size() - 1;
    end_branch(std::vector<u32>(arms, 0));
    std::vector<VReg> params;
    for (u32 i = rng_() % 4; i-- > 0;) {
      VReg p = fresh();
      params.push_back(p);
    }
    u32 scope = scope_.size();
    std::vector<u32> ends;
    for (u32 arm = 0; arm < arms; arm++) {
      // Several edges to one arm, and arms that never get to the join.
      if (arm > 1 && chance(20)) {
        nodes_[fork].succs[arm] = nodes_[fork].succs[rng_() % arm];
        continue;
      }
      bool cold_arm = cold || (arm > 0 && chance(shape_.cold_percent));
      nodes_[fork].succs[arm] = start(cold_arm);
      if (chance(70)) region(depth + 1, cold_arm);
      // (Not in loops, all of whose blocks lead on to their header.)
      if (arm > 0 && loop_ < 0 && chance(20)) {
        end_return();
        scope_.resize(scope);
        continue;
      }
      std::vector<VReg> args;
      for (VReg p : params) args.push_back(argument(p));
      end_jump(0, args);
      ends.push_back(nodes_.size() - 1);
      scope_.resize(scope);
    }
    u32 join = start(cold, params);
    for (u32 end : ends) nodes_[end].succs[0] = join;
  }
  VReg argument(VReg param) {
    VRegInfo info = f().vregs[param];
    for (u32 attempt = 0; attempt < 10; attempt++) {
      VReg v = any_value();
      if (f().vregs[v].cls == info.cls && f().vregs[v].slot_bytes == info.slot_bytes) return v;
    }
    VReg v = builder_.vreg(info.cls, info.slot_bytes);
    builder_.inst({def(v)});
    scope_.push_back(v);
    return v;
  }

  void loop(u32 depth, bool cold) {
    std::vector<VReg> params, args;
    for (u32 i = rng_() % 5; i-- > 0;) params.push_back(fresh());
    for (VReg p : params) args.push_back(argument(p));
    u32 scope = scope_.size();
    end_jump(0, args);
    u32 entry = nodes_.size() - 1;
    int outer = loop_;
    loop_ = static_cast<int>(loops_.size());
    loops_.push_back({static_cast<u32>(nodes_.size()), outer});
    u32 header = start(cold, params);
    nodes_[entry].succs[0] = header;
    region(depth + 1, cold);
    bool top_exit = chance(30);
    u32 exit_fork = kNone;
    if (top_exit) {
      exit_fork = nodes_.size() - 1;
      end_branch({0, 0});
      nodes_[exit_fork].succs[0] = start(cold);
      region(depth + 1, cold);
    }
    std::vector<VReg> back;
    for (VReg p : params) back.push_back(argument(p));
    u32 latch = nodes_.size() - 1;
    if (top_exit) {
      end_jump(header, back);
    } else {
      end_branch({0, 0});
      nodes_[latch].succs[0] = start(cold);
      end_jump(header, back);
    }
    loop_ = outer;
    scope_.resize(scope);
    for (VReg p : params) scope_.push_back(p);  // the header dominates the exit
    u32 after = start(cold);
    nodes_[top_exit ? exit_fork : latch].succs[1] = after;
  }

  // Lays the nodes out as blocks; instructions are sorted accordingly.
  void build() {
    std::vector<u32> order;
    for (u32 pass = 0; pass < 2; pass++)
      for (u32 n = 0; n < nodes_.size(); n++)
        if ((shape_.cold_last && nodes_[n].cold) == (pass == 1)) order.push_back(n);
    std::vector<BlockIndex> index(nodes_.size());
    for (u32 i = 0; i < order.size(); i++) index[order[i]] = i;
    std::vector<LirInst> insts(f().insts.begin(), f().insts.end());
    std::vector<u32> moved(insts.size());
    f().insts.clear();
    LirBuilder* b = &builder_;
    b->reset_blocks();
    for (u32 n : order) {
      b->block(nodes_[n].params);
      for (u32 i = nodes_[n].first_inst; i < nodes_[n].end_inst; i++) {
        moved[i] = f().insts.size();
        b->append(insts[i]);
      }
      std::vector<BlockIndex> succs;
      for (u32 s : nodes_[n].succs) succs.push_back(index[s]);
      b->edges(succs, nodes_[n].args);
      if (nodes_[n].cold) b->cold(index[n]);
    }
    for (VRegInfo& info : f().vregs)
      if (info.remat != kNone) info.remat = moved[info.remat];
    for (u32 n = 0; n < nodes_.size(); n++) {
      u32 level = 0;
      for (int l = nodes_[n].loop; l >= 0; l = loops_[l].parent) level++;
      LirBlock& block = f().blocks[index[n]];
      block.loop_depth = level;
      if (level) block.loop_header = index[loops_[nodes_[n].loop].header];
    }
    // A loop ends after its last block before the cold ones that were moved away.
    for (u32 n = 0; n < nodes_.size(); n++)
      for (int l = nodes_[n].loop; l >= 0; l = loops_[l].parent) {
        LirBlock& header = f().blocks[index[loops_[l].header]];
        bool moved_away = shape_.cold_last && nodes_[n].cold && !nodes_[loops_[l].header].cold;
        if (!moved_away) header.loop_end = std::max(header.loop_end, index[n] + 1);
      }
  }

  std::mt19937 rng_;
  RandomShape shape_;
  LirBuilder builder_;
  std::vector<VReg> scope_;
  std::vector<Node> nodes_;
  std::vector<Loop> loops_;
  int loop_ = -1;
  u32 budget_ = 0;
};

}  // namespace wring::ra::testing
