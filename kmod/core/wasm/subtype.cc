// SPDX-License-Identifier: GPL-2.0
// Iso-recursive type equality by hashing recursion groups, and subtyping on top of it.
#include "core/wasm/subtype.h"

#include "core/base/limits.h"
#include "core/base/pace.h"

namespace wring {

namespace {

// Whether heap type `a` is below heap type `b`.
bool is_heap_subtype(Span<const u32> canonical, ValType a, ValType b) {
  if (is_concrete(a) && is_concrete(b)) {
    const u32 x = type_index_of(a), y = type_index_of(b);
    return x == y || (x < canonical.size() && y < canonical.size() && canonical[x] == canonical[y]);
  }
  if (heap_of(a) == heap_of(b) || heap_of(a) == heap_of(ValType::kBottom)) return true;
  switch (static_cast<ValType>(heap_of(a))) {
    case ValType::kNullFuncRef: return top_of(b) == ValType::kFuncRef;
    case ValType::kNullExternRef: return top_of(b) == ValType::kExternRef;
    case ValType::kNullExnRef: return top_of(b) == ValType::kExnRef;
    default: return is_concrete(a) && heap_of(b) == heap_of(ValType::kFuncRef);
  }
}

}  // namespace

bool is_proper_subtype(Span<const u32> canonical, ValType a, ValType b) {
  if (a == b) return false;
  if (a == ValType::kBottom) return true;
  if (!is_ref(b) || (!is_ref(a) && a != kBottomRef)) return false;
  if (is_nullable(a) && !is_nullable(b)) return false;
  return is_heap_subtype(canonical, a, b);
}

bool is_subtype(Span<const u32> canonical, Span<const ValType> a, Span<const ValType> b) {
  if (a.size() != b.size()) return false;
  if (equal(a, b)) return true;
  for (u32 i = 0; i < a.size(); i++, tick())
    if (!is_subtype(canonical, a[i], b[i])) return false;
  return true;
}

namespace {

// Groups with the same hash that differ: an attempt to make this slow.
constexpr u32 kMaxFalseMatches = 16;
constexpr u32 kInternal =
    1u << 30;  // in a token: the type index counts from the group's first type

struct Slot {
  u64 hash;
  u32 group;  // first type, plus 1; 0: empty
  u32 size;
};

class Canonicalizer {
 public:
  Canonicalizer(Span<const FuncType> types, Span<const u32> group_begin, Span<u32> canonical)
      : types_(types), group_begin_(group_begin), canonical_(canonical) {}

  Err run(Arena* scratch, Diag* diag) {
    usize slots = 16;
    while (slots < usize{types_.size()} * 2) slots *= 2;
    slots_ = scratch->make_array<Slot>(slots);
    if (slots_.size() != slots) return diag->no_memory();
    for (u32 begin = 0; begin < types_.size(); tick()) {
      u32 end = begin + 1;
      while (end < types_.size() && group_begin_[end] == begin) end++;
      Slot* slot = find(begin, end - begin);
      if (!slot)
        return diag->fail(Err::kLimit, kNone, kNone,
                          "the recursion group of type %u collides with too many others", begin);
      for (u32 i = begin; i < end; i++, tick()) canonical_[i] = slot->group - 1 + (i - begin);
      begin = end;
    }
    return Err::kOk;
  }

 private:
  // What a value type means independently of where its group is.
  u32 token(ValType type, u32 group) const {
    if (!is_concrete(type)) return static_cast<u32>(type);
    const u32 index = type_index_of(type);
    if (index >= group)
      return static_cast<u32>(ref_to(index - group, is_nullable(type))) | kInternal;
    return static_cast<u32>(ref_to(canonical_[index], is_nullable(type)));
  }

  static u64 mix(u64 hash, u64 value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
  }
  u64 mix_list(u64 hash, Span<const ValType> list, u32 group) const {
    hash = mix(hash, list.size());
    for (ValType type : paced(list)) hash = mix(hash, token(type, group));
    return hash;
  }
  u64 hash_of(u32 group, u32 size) const {
    u64 hash = size;
    for (u32 i = 0; i < size; i++, tick()) {
      hash = mix_list(hash, types_[group + i].params, group);
      hash = mix_list(hash, types_[group + i].results, group);
    }
    return hash;
  }

  bool same_list(Span<const ValType> a, u32 group_a, Span<const ValType> b, u32 group_b) const {
    if (a.size() != b.size()) return false;
    for (u32 i = 0; i < a.size(); i++, tick())
      if (token(a[i], group_a) != token(b[i], group_b)) return false;
    return true;
  }
  bool same_group(u32 a, u32 b, u32 size) const {
    for (u32 i = 0; i < size; i++, tick())
      if (!same_list(types_[a + i].params, a, types_[b + i].params, b) ||
          !same_list(types_[a + i].results, a, types_[b + i].results, b))
        return false;
    return true;
  }

  // The slot of the first group equal to this one, which may be this one; nullptr after too many collisions.
  Slot* find(u32 group, u32 size) {
    const u64 hash = hash_of(group, size);
    const usize mask = slots_.size() - 1;
    usize at = (hash ^ hash >> 32) & mask;
    for (u32 probes = 0; probes < kMaxSignatureProbes; probes++, at = (at + 1) & mask, tick()) {
      Slot& slot = slots_[at];
      if (!slot.group) {
        slot = {hash, group + 1, size};
        return &slot;
      }
      if (slot.hash != hash || slot.size != size) continue;
      if (same_group(slot.group - 1, group, size)) return &slot;
      if (++false_matches_ > kMaxFalseMatches) return nullptr;
    }
    return nullptr;
  }

  Span<const FuncType> types_;
  Span<const u32> group_begin_;
  Span<u32> canonical_;
  Span<Slot> slots_;
  u32 false_matches_ = 0;
};

}  // namespace

Err canonicalize_types(Span<const FuncType> types, Span<const u32> group_begin, Arena* scratch,
                       Span<u32> canonical, Diag* diag) {
  ArenaScope scope(scratch);
  return Canonicalizer(types, group_begin, canonical).run(scratch, diag);
}

}  // namespace wring
