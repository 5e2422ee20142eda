// SPDX-License-Identifier: GPL-2.0
// Signatures: a hash table with linear probing. The hash is not keyed, so a guest can make its types collide: the
// number of probes is capped.
#include "core/runtime/signatures.h"

#include "core/base/limits.h"

namespace wring::runtime {

namespace {

constexpr u32 kFirstSlots = 64;

u64 hash_of(const FuncType& type) {
  constexpr u64 kFnvBasis = 0xcbf29ce484222325, kFnvPrime = 0x100000001b3;
  u64 hash = kFnvBasis;
  for (ValType t : type.params) hash = (hash ^ static_cast<u8>(t)) * kFnvPrime;
  hash = (hash ^ 0xff) * kFnvPrime;
  for (ValType t : type.results) hash = (hash ^ static_cast<u8>(t)) * kFnvPrime;
  return hash ^ hash >> 32;
}

}  // namespace

u32 Signatures::find_slot(u64 hash, const FuncType& type) const {
  u32 mask = slot_count_ - 1;
  u32 slot = static_cast<u32>(hash) & mask;
  for (u32 probes = 0; probes < kMaxSignatureProbes; probes++) {
    const Signature* signature = slots_[slot];
    if (!signature || (signature->hash == hash && equal(signature->type, type))) return slot;
    slot = (slot + 1) & mask;
  }
  return kNone;
}

Err Signatures::grow(Diag* diag) {
  u32 count = slot_count_ ? slot_count_ * 2 : kFirstSlots;
  auto** slots = static_cast<Signature**>(wring_os_alloc(usize{count} * sizeof(Signature*)));
  if (!slots) return diag->no_memory();
  for (u32 i = 0; i < slot_count_; i++) {
    if (!slots_[i]) continue;
    u32 slot = static_cast<u32>(slots_[i]->hash) & (count - 1);
    while (slots[slot]) slot = (slot + 1) & (count - 1);
    slots[slot] = slots_[i];
  }
  wring_os_free(slots_);
  slots_ = slots;
  slot_count_ = count;
  return Err::kOk;
}

Err Signatures::intern(const FuncType& type, u32* id, Diag* diag) {
  u64 hash = hash_of(type);
  if (used_ >= slot_count_ / 2) TRY(grow(diag));
  u32 slot = find_slot(hash, type);
  if (slot != kNone && slots_[slot]) {
    *id = slots_[slot]->id;
    return Err::kOk;
  }
  if (slot == kNone || used_ >= kMaxStoreSignatures)
    return diag->fail(Err::kLimit, kNone, kNone,
                      "too many or too similar function types in a store");
  auto* signature = arena_.make<Signature>();
  Span<ValType> params = arena_.make_array<ValType>(type.params.size());
  Span<ValType> results = arena_.make_array<ValType>(type.results.size());
  if (!signature || params.size() != type.params.size() || results.size() != type.results.size())
    return diag->no_memory();
  for (u32 i = 0; i < params.size(); i++) params[i] = type.params[i];
  for (u32 i = 0; i < results.size(); i++) results[i] = type.results[i];
  *signature = {hash, ++used_, {params, results}};
  slots_[slot] = signature;
  *id = used_;
  return Err::kOk;
}

}  // namespace wring::runtime
