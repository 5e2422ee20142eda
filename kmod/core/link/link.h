// SPDX-License-Identifier: GPL-2.0
// The linker: a CodeBuilder's pieces -> one relocatable image, and later the image at its address.
//
// An image is [text | constant pool | islands], each part 16-byte aligned. Islands are jumps to absolute
// addresses; there are some only if the target says far_calls, and only used where rel32 does not reach.
#pragma once

#include "core/link/code.h"

namespace wring::link {

struct CodeImage {
  // Needed until the image is placed; in the arena given as `scratch`.
  Span<const u8> text;
  Span<const u8> rodata;
  Span<const Reloc> relocs;
  Span<const u64> island_targets;  // ascending

  // Needed as long as the code may run: in the arena given as `tables`. Sorted by pc, offsets from `address`.
  Span<const TrapSite> traps;
  Span<const CallSite> calls;
  Span<const FaultSite> faults;
  Span<const FunctionCode> functions;  // by function index
  Span<const u32> by_address;  // indices of functions that have code, in the order of their entries
  Span<const u32> array_entries;  // by function index
  u32 rodata_offset = 0;
  u32 island_offset = 0;
  u32 bytes = 0;    // of the whole image
  u64 address = 0;  // 0: not placed
};

// Checks and sorts what the builder collected. The builder's own arena must outlive `scratch` uses: text, rodata and
// relocs stay views of it. Err::kLimit if the image exceeds max_bytes.
Err link(const CodeBuilder& code, const Target& target, u32 max_bytes, Arena* scratch,
         Arena* tables, CodeImage* out, Diag* diag);

// Writes the image, relocated for `address`, to dst (image->bytes of it). Err::kLimit when a relocation is out of
// reach. Sets image->address and forgets text, rodata and relocs.
Err place(CodeImage* image, u8* dst, u64 address, Diag* diag);

// Where the function's code begins: the landing pad may precede the entry.
inline u32 begin_of(const FunctionCode& function) {
  return min(function.entry, function.indirect_entry);
}

// Lookups by offset from the image's start; nullptr if there is none. Any context.
const TrapSite* find_trap(const CodeImage& image, u32 pc);
const CallSite* find_call(const CodeImage& image, u32 pc);
// The function whose code contains pc, or kNone.
u32 find_function(const CodeImage& image, u32 pc);

}  // namespace wring::link
