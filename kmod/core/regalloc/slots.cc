// SPDX-License-Identifier: GPL-2.0
// Slot assignment: a linear scan over the live ranges of the spilled values, in order of their beginnings.
#include "core/regalloc/slots.h"

namespace wring::ra {
namespace {

struct Busy {
  u32 until;
  u32 slot;
  u8 wide;
};

// A binary heap, the earliest end on top.
class Heap {
 public:
  explicit Heap(Arena* arena) : items_(arena) {}
  bool empty() const { return items_.empty(); }
  const Busy& top() const { return items_[0]; }
  [[nodiscard]] bool push(Busy item) {
    if (!items_.push(item)) return false;
    u32 at = items_.size() - 1;
    while (at > 0 && items_[(at - 1) / 2].until > item.until) {
      items_[at] = items_[(at - 1) / 2];
      at = (at - 1) / 2;
    }
    items_[at] = item;
    return true;
  }
  Busy pop() {
    Busy result = items_[0], last = items_.pop();
    u32 size = items_.size(), at = 0;
    if (size == 0) return result;
    while (2 * at + 1 < size) {
      u32 child = 2 * at + 1;
      if (child + 1 < size && items_[child + 1].until < items_[child].until) child++;
      if (items_[child].until >= last.until) break;
      items_[at] = items_[child];
      at = child;
    }
    items_[at] = last;
    return result;
  }

 private:
  Vec<Busy> items_;
};

}  // namespace

Err assign_slots(const LirFunction& f, const Liveness& live, const ScanResult& scan, Hints* hints,
                 Arena* arena, SlotAssignment* out) {
  bool spilled = false;
  for (u8 in_memory : paced(scan.in_memory)) spilled |= in_memory;
  usize vregs = usize{f.vregs.size()} + 1, points = 2 * usize{f.insts.size()} + 2;
  out->slot = arena->make_array<u32>(vregs);
  out->at_drops = arena->make_array<u8>(vregs);
  if (!out->slot.data() || !out->at_drops.data()) return Err::kNoMemory;
  fill(out->slot, kNone);
  if (!spilled) return Err::kOk;
  Span<VReg> head = arena->make_array<VReg>(points);  // values by the beginning of their range
  Span<VReg> next = arena->make_array<VReg>(vregs);
  Span<u32> preferred = arena->make_array<u32>(vregs);  // per group of tied values: a slot plus one
  if (!head.data() || !next.data() || !preferred.data()) return Err::kNoMemory;
  fill(head, kNone);
  for (VReg v = f.vregs.size(); v-- > 0; tick()) {
    if (!scan.in_memory[v]) continue;
    out->at_drops[v] = scan.def_reg[v] != kNoPReg && f.vregs[v].remat == kNone &&
                       scan.drop_weight[v] < scan.def_weight[v];
    next[v] = head[live.ranges[v].first];
    head[live.ranges[v].first] = v;
  }

  Heap busy(arena);
  Vec<u32> free_slots[2] = {Vec<u32>(arena),
                            Vec<u32>(arena)};  // per width; may name slots taken since
  Vec<u8> is_free(arena);                      // per unit
  Vec<u8> is_wide(arena);                      // per unit: a slot keeps the width it was made with
  for (u32 point = 0; point < points; point++, tick()) {
    if (head[point] == kNone) continue;
    while (!busy.empty() && busy.top().until <= point) {
      tick(16);
      Busy ended = busy.pop();
      is_free[ended.slot] = 1;
      if (!free_slots[ended.wide].push(ended.slot)) return Err::kNoMemory;
    }
    for (VReg v = head[point]; v != kNone; v = next[v], tick()) {
      u8 wide = f.vregs[v].slot_bytes == 16;
      u32& wish = preferred[hints->group(v)];
      u32 slot = kNone;
      // Values of one group may differ in width: a scalar and the vector made in its register.
      if (wish && is_free[wish - 1] && is_wide[wish - 1] == wide) slot = wish - 1;
      while (slot == kNone && !free_slots[wide].empty()) {
        u32 candidate = free_slots[wide].pop();
        if (is_free[candidate]) slot = candidate;
      }
      if (slot == kNone) {
        bool skip = wide && out->count % 2;
        slot = out->count + skip;
        usize units = usize{slot} + (wide ? 2 : 1);
        if (!is_free.resize(units) || !is_wide.resize(units)) return Err::kNoMemory;
        is_wide[slot] = wide;
        if (skip) {
          is_free[out->count] = 1;
          if (!free_slots[0].push(out->count)) return Err::kNoMemory;
        }
        out->count = is_free.size();
      }
      is_free[slot] = 0;
      out->slot[v] = slot;
      wish = slot + 1;
      if (!busy.push({live.ranges[v].last, slot, wide})) return Err::kNoMemory;
    }
  }
  return Err::kOk;
}

}  // namespace wring::ra
