// SPDX-License-Identifier: GPL-2.0
// The linker: layout, relocation and the sorted tables of a module's code.
#include "core/link/link.h"

#include "core/base/sort.h"

namespace wring::link {

namespace {

constexpr u32 kIslandBytes = 16;

u32 pc_of_trap(const TrapSite& site) { return site.pc; }
u32 pc_of_call(const CallSite& site) { return site.pc; }
u32 pc_of_fault(const FaultSite& site) { return site.pc; }
u64 itself(u64 x) { return x; }

// Copies a table into the arena and sorts it by `key`.
template <class T, class Key>
Err sorted_copy(const LargeVec<T>& from, Arena* arena, Span<const T>* out, Key key, Diag* diag) {
  Span<T> copy = arena->make_array<T>(from.size());
  if (copy.size() != from.size()) return diag->no_memory();
  for (u32 i = 0; i < from.size(); i++, tick()) copy[i] = from[i];
  sort_by(copy, key);
  *out = copy;
  return Err::kOk;
}

// The distinct absolute addresses the code refers to, ascending.
Err collect_islands(const CodeBuilder& code, Arena* scratch, Span<const u64>* out, Diag* diag) {
  Vec<u64> targets(scratch);
  for (const Reloc& reloc : paced(code.relocs))
    if (reloc.kind == RelocKind::kAddress && !targets.push(reloc.address)) return diag->no_memory();
  sort_by(targets.span(), itself);
  u32 distinct = 0;
  for (u32 i = 0; i < targets.size(); i++, tick())
    if (distinct == 0 || targets[distinct - 1] != targets[i]) targets[distinct++] = targets[i];
  *out = targets.span().slice(0, distinct);
  return Err::kOk;
}

Err index_functions(const CodeBuilder& code, Arena* tables, CodeImage* out, Diag* diag) {
  Span<FunctionCode> functions = tables->make_array<FunctionCode>(code.functions.size());
  Span<u32> array_entries = tables->make_array<u32>(code.array_entries.size());
  Vec<u32> by_address(tables);
  if (functions.size() != code.functions.size() ||
      array_entries.size() != code.array_entries.size() || !by_address.reserve(functions.size()))
    return diag->no_memory();
  for (u32 i = 0; i < functions.size(); i++, tick()) {
    functions[i] = code.functions[i];
    if (functions[i].entry != kNone && !by_address.push(i)) return diag->no_memory();
  }
  for (u32 i = 0; i < array_entries.size(); i++, tick()) array_entries[i] = code.array_entries[i];
  sort_by(by_address.span(), [&](u32 f) { return begin_of(functions[f]); });
  out->functions = functions;
  out->array_entries = array_entries;
  out->by_address = by_address.span();
  return Err::kOk;
}

// Where a relocation leads, as an offset from the image's start; kAddress relocations are handled apart.
u64 local_target(const CodeImage& image, const Reloc& reloc) {
  switch (reloc.kind) {
    case RelocKind::kFunction: {
      u32 entry = image.functions[reloc.index].entry;
      WRING_ASSERT(entry != kNone);
      return entry;
    }
    case RelocKind::kStub: return reloc.index;  // resolved to the stub's offset by link()
    case RelocKind::kRodata: return image.rodata_offset + reloc.index;  // index may be "negative"
    case RelocKind::kAddress: break;
  }
  WRING_UNREACHABLE();
}

}  // namespace

Err link(const CodeBuilder& code, const Target& target, u32 max_bytes, Arena* scratch,
         Arena* tables, CodeImage* out, Diag* diag) {
  *out = CodeImage();
  TRY(sorted_copy(code.traps, tables, &out->traps, pc_of_trap, diag));
  TRY(sorted_copy(code.calls, tables, &out->calls, pc_of_call, diag));
  TRY(sorted_copy(code.faults, tables, &out->faults, pc_of_fault, diag));
  TRY(index_functions(code, tables, out, diag));
  if (target.far_calls) TRY(collect_islands(code, scratch, &out->island_targets, diag));

  u64 rodata = align_up(code.bytes.size(), 16);
  u64 islands = align_up(rodata + code.rodata.size(), 16);
  u64 bytes = islands + u64{out->island_targets.size()} * kIslandBytes;
  if (bytes > max_bytes)
    return diag->fail(Err::kLimit, kNone, kNone, "code of %llu bytes exceeds the limit of %u",
                      static_cast<unsigned long long>(bytes), max_bytes);
  out->text = code.bytes.span();
  out->rodata = code.rodata.span();
  out->rodata_offset = static_cast<u32>(rodata);
  out->island_offset = static_cast<u32>(islands);
  out->bytes = static_cast<u32>(bytes);

  for (Reloc& reloc : paced(code.relocs)) {
    WRING_ASSERT(code.bytes.size() >= 4 && reloc.at <= code.bytes.size() - 4);
    if (reloc.kind == RelocKind::kStub) reloc.index = code.stubs[reloc.index];
  }
  out->relocs = code.relocs.span();
  return Err::kOk;
}

Err place(CodeImage* image, u8* dst, u64 address, Diag* diag) {
  WRING_ASSERT(image->address == 0 && address != 0);
  constexpr u8 kInt3 = 0xcc;
  fill_bytes(dst, kInt3, image->bytes);
  copy_bytes(dst, image->text.data(), image->text.size());
  copy_bytes(dst + image->rodata_offset, image->rodata.data(), image->rodata.size());
  for (u32 i = 0; i < image->island_targets.size(); i++, tick()) {
    static constexpr u8 kJumpToNextQword[] = {0xff, 0x25, 2, 0, 0, 0, kInt3, kInt3};
    u8* island = dst + image->island_offset + u64{i} * kIslandBytes;
    __builtin_memcpy(island, kJumpToNextQword, sizeof(kJumpToNextQword));
    __builtin_memcpy(island + sizeof(kJumpToNextQword), &image->island_targets[i], sizeof(u64));
  }

  for (const Reloc& reloc : paced(image->relocs)) {
    i64 from = static_cast<i64>(u64{reloc.at} + 4);
    i64 distance;
    if (reloc.kind == RelocKind::kAddress) {
      distance = static_cast<i64>(reloc.address - address) - from;
      if (!fits_i32(distance) && !image->island_targets.empty()) {
        u32 island = lower_bound(image->island_targets, reloc.address, itself);
        distance = static_cast<i64>(u64{image->island_offset} + u64{island} * kIslandBytes) - from;
      }
    } else {
      distance = static_cast<i64>(local_target(*image, reloc)) - from;
    }
    if (!fits_i32(distance))
      return diag->fail(Err::kLimit, kNone, kNone, "code at %llx is out of reach of address %llx",
                        static_cast<unsigned long long>(address),
                        static_cast<unsigned long long>(reloc.address));
    i32 value = static_cast<i32>(distance);
    __builtin_memcpy(dst + reloc.at, &value, sizeof(value));
  }
  image->address = address;
  image->text = {};
  image->rodata = {};
  image->relocs = {};
  image->island_targets = {};
  return Err::kOk;
}

const TrapSite* find_trap(const CodeImage& image, u32 pc) {
  u32 i = lower_bound(image.traps, pc, pc_of_trap);
  return i < image.traps.size() && image.traps[i].pc == pc ? &image.traps[i] : nullptr;
}

const CallSite* find_call(const CodeImage& image, u32 pc) {
  u32 i = lower_bound(image.calls, pc, pc_of_call);
  return i < image.calls.size() && image.calls[i].pc == pc ? &image.calls[i] : nullptr;
}

u32 find_function(const CodeImage& image, u32 pc) {
  u32 after = lower_bound(image.by_address, u64{pc} + 1,
                          [&](u32 f) { return u64{begin_of(image.functions[f])}; });
  if (after == 0) return kNone;
  u32 f = image.by_address[after - 1];
  return pc < image.functions[f].end ? f : kNone;
}

}  // namespace wring::link
