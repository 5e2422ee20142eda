// SPDX-License-Identifier: GPL-2.0
// Executes LIR twice in lockstep, on virtual registers and on an allocation, and compares every value read.
//
// Instructions compute hashes of their inputs; branches follow them. Values of 16 bytes have two halves, and a
// move of 8 bytes destroys the upper half of the register it writes.
#pragma once

#include <optional>

#include "lir_builder.h"

namespace wring::ra::testing {

class Lockstep {
 public:
  Lockstep(const LirFunction& f, const AllocationResult& result, u64 seed)
      : f_(f), result_(result), seed_(seed), values_(f.vregs.size()), slots_(result.slots, 0xdead) {
    for (Value& reg : regs_) reg = {0xbad, 0xbad};
    first_edit_.resize(f.insts.size() + 1);
    u32 e = 0;
    for (u32 i = 0; i < f.insts.size(); i++) {
      first_edit_[i] = e;
      while (e < result.edits.size() && result.edits[e].inst == i) e++;
    }
    first_edit_.back() = e;
  }

  // Runs at most `steps` instructions. The first difference as text, or nothing.
  std::optional<std::string> run(u32 steps) {
    BlockIndex b = 0;
    while (true) {
      const LirBlock& block = f_.blocks[b];
      u64 decision = 0;
      for (u32 i = block.begin; i < block.end; i++) {
        if (steps-- == 0) return std::nullopt;
        for (u32 e = first_edit_[i]; e < first_edit_[i + 1]; e++) edit(result_.edits[e]);
        decision = 0;
        if (auto error = step(i, &decision)) return error;
      }
      if (block.succs.empty()) return std::nullopt;
      BlockIndex next = block.succs[decision % block.succs.size()];
      std::vector<Value> args;
      for (VReg arg : block.args) args.push_back(values_[arg]);
      for (u32 k = 0; k < args.size(); k++) values_[f_.blocks[next].params[k]] = args[k];
      b = next;
    }
  }

 private:
  struct Value {
    u64 low, high;
  };
  static u64 mix(u64 h, u64 x) {
    h = (h ^ x) * 0x9e3779b97f4a7c15;
    return h ^ (h >> 29);
  }
  Value read(Allocation a, u32 bytes) const {
    if (a.kind == Allocation::kReg) return regs_[a.index];
    return {slots_.at(a.index), bytes == 16 ? slots_.at(a.index + 1) : 0};
  }
  void write(Allocation a, u32 bytes, Value v) {
    if (a.kind == Allocation::kReg) {
      regs_[a.index] = {v.low, bytes == 16 ? v.high : 0xbad};
      return;
    }
    slots_.at(a.index) = v.low;
    if (bytes == 16) slots_.at(a.index + 1) = v.high;
  }
  void edit(const Edit& e) {
    switch (e.kind) {
      case Edit::kMove: write(e.to, e.bytes, read(e.from, e.bytes)); break;
      case Edit::kSwap: {
        Value from = read(e.from, e.bytes), to = read(e.to, e.bytes);
        write(e.from, e.bytes, to);
        write(e.to, e.bytes, from);
        break;
      }
      case Edit::kRemat: write(e.to, e.bytes, constant(e.remat)); break;
    }
  }
  Value constant(u32 inst) const { return {mix(seed_, inst), mix(seed_, ~u64{inst})}; }

  std::optional<std::string> step(u32 i, u64* decision) {
    const LirInst& inst = f_.insts[i];
    Span<Operand> operands = f_.operands_of(i);
    u64 hash = seed_;
    auto bytes = [&](u32 k) { return u32{f_.vregs[operands[k].vreg].slot_bytes}; };
    auto place = [&](u32 k) { return result_.operands[inst.operands + k]; };
    auto check = [&](u32 k) -> bool {
      Value got = read(place(k), bytes(k)), want = values_[operands[k].vreg];
      return got.low == want.low && (bytes(k) == 8 || got.high == want.high);
    };
    for (u32 k = 0; k < operands.size(); k++)
      if (operands[k].kind == OperandKind::kUse) {
        hash = mix(hash, values_[operands[k].vreg].low);
        if (bytes(k) == 16) hash = mix(hash, values_[operands[k].vreg].high);
      }
    if (inst.op == kOpConst) hash = 0;
    hash = mix(hash, i) ^ (inst.op == kOpConst ? 0 : ++tick_);
    auto result = [&](u32 k) {
      if (inst.op == kOpConst) return constant(i);
      return Value{mix(hash, k), mix(hash, k + 1000)};
    };
    auto wrong = [&](u32 k) {
      return "instruction " + std::to_string(i) + " reads something else than v" +
             std::to_string(operands[k].vreg) + " from " + name(place(k));
    };
    for (u32 k = 0; k < operands.size(); k++)
      if (operands[k].kind == OperandKind::kUse && !operands[k].other && !check(k)) return wrong(k);
    for (u32 k = 0; k < operands.size(); k++)
      if (operands[k].kind == OperandKind::kDef && operands[k].other)
        write(place(k), bytes(k), result(k));
    for (PReg r = 0; r < 32; r++)
      if (inst.clobbers >> r & 1) regs_[r] = {mix(hash, r + 77), 0xc10b};
    for (u32 k = 0; k < operands.size(); k++)
      if (operands[k].kind == OperandKind::kUse && operands[k].other && !check(k)) return wrong(k);
    for (u32 k = 0; k < operands.size(); k++)
      if (operands[k].kind == OperandKind::kDef) {
        if (!operands[k].other) write(place(k), bytes(k), result(k));
        values_[operands[k].vreg] = result(k);
      }
    *decision = mix(hash, 12345) >> 17;
    return std::nullopt;
  }

  const LirFunction& f_;
  const AllocationResult& result_;
  u64 seed_;
  u64 tick_ = 0;
  std::vector<Value> values_;
  Value regs_[32];
  std::vector<u64> slots_;
  std::vector<u32> first_edit_;
};

}  // namespace wring::ra::testing
