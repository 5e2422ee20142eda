// SPDX-License-Identifier: GPL-2.0
// Signatures: a hash table with linear probing. The hash is not keyed, so a guest can make its types collide: the
// number of probes is capped.
#include "core/runtime/signatures.h"

#include "core/base/limits.h"

namespace wring::runtime {

namespace {

constexpr u32 kFirstSlots = 64;

// Besides value types a key holds references to other types, as ids or places in the group, and lengths: a word's upper
// half tells them apart.
constexpr u64 kOutside = u64{1} << 32, kInside = u64{2} << 32, kLength = u64{3} << 32;

u64 hash_of(Span<const u64> key) {
  constexpr u64 kFnvBasis = 0xcbf29ce484222325, kFnvPrime = 0x100000001b3;
  u64 hash = kFnvBasis;
  for (u64 word : paced(key)) hash = (hash ^ word ^ word >> 29) * kFnvPrime;
  return hash ^ hash >> 32;
}

bool is_equal(Span<const u64> a, Span<const u64> b) {
  tick(a.size() / 64);
  return a.size() == b.size() && __builtin_memcmp(a.data(), b.data(), a.size() * sizeof(u64)) == 0;
}

}  // namespace

Err Signatures::make_key(Span<const FuncType> types, u32 begin, u32 end, Span<const u32> ids,
                         Vec<u64>* out, Diag* diag) const {
  auto append = [&](Span<const ValType> list) {
    bool ok = out->push(kLength | list.size());
    for (ValType type : paced(list)) {
      u64 word = static_cast<u32>(type);
      if (is_concrete(type)) {
        u32 index = type_index_of(type);
        WRING_ASSERT(index < end);
        u64 nullable = u64{is_nullable(type)} << 40;
        word =
            index < begin ? kOutside | nullable | ids[index] : kInside | nullable | (index - begin);
      }
      ok &= out->push(word);
    }
    return ok;
  };
  usize words = 0;
  for (u32 i = begin; i < end; i++, tick())
    words += 2 + types[i].params.size() + types[i].results.size();
  if (!out->reserve(words)) return diag->no_memory();
  for (u32 i = begin; i < end; i++, tick())
    if (!append(types[i].params) || !append(types[i].results)) return diag->no_memory();
  return Err::kOk;
}

u32 Signatures::find_slot(u64 hash, Span<const u64> key) const {
  u32 mask = slot_count_ - 1;
  u32 slot = static_cast<u32>(hash) & mask;
  for (u32 probes = 0; probes < kMaxSignatureProbes; probes++, tick()) {
    const Group* group = slots_[slot];
    if (!group || (group->hash == hash && is_equal(group->key, key))) return slot;
    slot = (slot + 1) & mask;
  }
  return kNone;
}

Err Signatures::grow(Diag* diag) {
  u32 count = slot_count_ ? slot_count_ * 2 : kFirstSlots;
  auto** slots = static_cast<Group**>(take_memory(usize{count} * sizeof(Group*)));
  if (!slots) return diag->no_memory();
  for (u32 i = 0; i < slot_count_; i++, tick()) {
    if (!slots_[i]) continue;
    u32 slot = static_cast<u32>(slots_[i]->hash) & (count - 1);
    while (slots[slot]) slot = (slot + 1) & (count - 1);
    slots[slot] = slots_[i];
  }
  keep_memory(slots);
  give_memory(slots_);
  slots_ = slots;
  slot_count_ = count;
  return Err::kOk;
}

Err Signatures::intern(Span<const FuncType> types, u32 begin, u32 end, Span<u32> ids, Diag* diag) {
  Arena::Mark mark = arena_.mark();
  Vec<u64> key(&arena_);
  TRY(make_key(types, begin, end, ids, &key, diag));
  u64 hash = hash_of(key.span());
  if (used_ >= slot_count_ / 2) TRY(grow(diag));
  u32 slot = find_slot(hash, key.span());
  bool is_new = slot != kNone && !slots_[slot];
  if (slot == kNone || (is_new && end - begin > kMaxStoreSignatures - ids_))
    return diag->fail(Err::kLimit, kNone, kNone,
                      "a store's function types exceed the limit of %u, or that of %u alike",
                      kMaxStoreSignatures, kMaxSignatureProbes);
  if (is_new) {
    auto* group = arena_.make<Group>();
    if (!group) return diag->no_memory();
    *group = {hash, ids_ + 1, key.span()};
    slots_[slot] = group;
    used_++;
    ids_ += end - begin;
  }
  u32 first = slots_[slot]->first_id;
  for (u32 i = begin; i < end; i++) ids[i] = first + (i - begin);
  if (!is_new) arena_.rewind(mark);
  return Err::kOk;
}

}  // namespace wring::runtime
