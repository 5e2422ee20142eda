// SPDX-License-Identifier: GPL-2.0
// The end of a function's assembly: labels, short jumps, sites.
//
// Forward jumps were emitted in their long form. choose_short() marks those whose target is near,
// counting on what the jumps marked so far save: distances only shrink, so a mark never has to be
// taken back, and a fixed number of passes (each linear in the jumps) finds nearly all. compact()
// then moves the bytes together once. An offset x becomes x - saved_[n], where n is the number of
// jumps before x; a label knows its n.
#include "core/base/limits.h"
#include "core/x64/asm.h"

namespace wring::x64 {

namespace {

constexpr u32 kShrinkPasses = 3;
constexpr u32 kLineBytes = 64;
constexpr u32 kMaxPadBytes = kLineBytes - 1;
constexpr u32 kMaxTogetherBytes = 256;

void write_nops(u8* p, u32 bytes) {
  static constexpr u8 kNops[][9] = {{0x90},
                                    {0x66, 0x90},
                                    {0x0f, 0x1f, 0x00},
                                    {0x0f, 0x1f, 0x40, 0x00},
                                    {0x0f, 0x1f, 0x44, 0x00, 0x00},
                                    {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
                                    {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
                                    {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
                                    {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00}};
  while (bytes) {
    u32 n = min<u32>(bytes, sizeof(kNops[0]));
    __builtin_memcpy(p, kNops[n - 1], n);
    p += n;
    bytes -= n;
  }
}

// What code of `bytes` bytes at offset `at` needs in front of it: less than it is long itself.
u32 pad_before(u32 at, u32 bytes) {
  u32 in_line = at % kLineBytes;
  u32 lines = (bytes + kLineBytes - 1) / kLineBytes;
  return in_line + bytes > lines * kLineBytes && bytes <= kMaxTogetherBytes ? kLineBytes - in_line
                                                                            : 0;
}

}  // namespace

Assembler::Assembler(Arena* scratch, CodeBuilder* code)
    : code_(code),
      begin_(code->bytes.size()),
      first_reloc_(code->relocs.size()),
      first_trap_(code->traps.size()),
      first_call_(code->calls.size()),
      first_fault_(code->faults.size()),
      first_line_(code->lines.size()),
      labels_(scratch),
      jumps_(scratch),
      saved_(scratch) {}

Label Assembler::new_label() {
  if (!labels_.push({kNone, 0})) {
    failed_ = true;
    if (labels_.empty()) return 0;
    return labels_.size() - 1;  // never looked at: finish() fails
  }
  return labels_.size() - 1;
}

void Assembler::bind(Label label) {
  if (failed_) return;
  WRING_ASSERT(labels_[label].at == kNone);
  labels_[label] = {code_->bytes.size(), jumps_.size()};
}

void Assembler::trap_site(u32 func, u32 origin, TrapReason reason, bool in_prologue) {
  if (!code_->traps.push({here(), func, origin, reason, in_prologue})) failed_ = true;
}

void Assembler::call_site(u32 func, u32 origin) {
  if (!code_->calls.push({here(), func, origin})) failed_ = true;
}

void Assembler::fault_site(Label instruction, Label fixup) {
  if (!code_->faults.push({instruction, fixup})) failed_ = true;
}

void Assembler::line_site(u32 origin) {
  if (code_->want_lines && !code_->lines.push({here(), origin})) failed_ = true;
}

void Assembler::align(u32 alignment) {
  WRING_ASSERT(size() == 0);  // later padding would change with the jumps before it
  while (!failed_ && code_->bytes.size() % alignment) int3();
  begin_ = code_->bytes.size();
}

void Assembler::keep_together(Label end) {
  Jump pad{code_->bytes.size(), end, kNone, JumpKind::kPad, false, true, kMaxPadBytes, 0};
  for (u32 i = 0; i < kMaxPadBytes; i++) int3();
  pad.from = here();
  if (!failed_ && !jumps_.push(pad)) failed_ = true;
  if (!failed_) labels_[pad.from].jumps++;  // the pad precedes it
}

void Assembler::choose_short() {
  for (u32 pass = 0; pass < kShrinkPasses; pass++) {
    u32 total = 0;
    bool changed = false;
    for (u32 i = 0; i < jumps_.size(); i++, tick()) {
      saved_[i] = total;
      total += jumps_[i].saved;
    }
    saved_[jumps_.size()] = total;
    for (u32 i = 0; i < jumps_.size(); i++, tick()) {
      Jump& jump = jumps_[i];
      if (jump.is_short || jump.is_fixed) continue;
      const LabelInfo& target = labels_[jump.label];
      i64 to = i64{target.at} - saved_[target.jumps];
      i64 from = i64{jump.at} - saved_[i] + jump.length;
      // Forward: this jump's own shrinking moves both ends. Backward: it would bring `from` closer.
      if (!fits_i8(to - from)) continue;
      jump.is_short = true;
      jump.saved = jump.kind == JumpKind::kJmp ? 3 : 4;
      changed = true;
    }
    if (!changed) return;
  }
}

// Moves the bytes together and writes the displacements.
void Assembler::compact() {
  u32 total = 0;
  for (u32 i = 0; i < jumps_.size(); i++, tick()) {
    saved_[i] = total;
    total += jumps_[i].saved;
  }
  saved_[jumps_.size()] = total;
  // What pads enclose holds no other pad: its size is known before theirs.
  total = 0;
  for (u32 i = 0; i < jumps_.size(); i++, tick()) {
    Jump& jump = jumps_[i];
    if (jump.kind == JumpKind::kPad) {
      const LabelInfo &from = labels_[jump.from], &to = labels_[jump.label];
      u32 bytes = to.at - from.at - (saved_[to.jumps] - saved_[from.jumps]);
      jump.saved = static_cast<u8>(jump.length - pad_before(jump.at - total, bytes));
    }
    total += jump.saved;
  }
  total = 0;
  for (u32 i = 0; i < jumps_.size(); i++, tick()) {
    saved_[i] = total;
    total += jumps_[i].saved;
  }
  saved_[jumps_.size()] = total;
  for (LabelInfo& label : paced(labels_))
    if (label.at != kNone) label.at -= saved_[label.jumps];

  u8* base = code_->bytes.data();
  u32 end = code_->bytes.size();
  u32 from = begin_, to = begin_;  // everything before is in place
  for (const Jump& jump : paced(jumps_)) {
    u32 count = jump.at - from;
    if (to != from) copy_bytes(base + to, base + from, count);
    to += count;
    u32 length = jump.length - jump.saved;
    if (jump.kind == JumpKind::kPad) {
      write_nops(base + to, length);
      to += length;
      from = jump.at + jump.length;
      continue;
    }
    u32 wide = jump.is_short ? 1 : 4;
    if (jump.saved) {
      u8 opcode =
          jump.kind == JumpKind::kJmp ? 0xeb : static_cast<u8>(0x70 | (base[jump.at + 1] & 15));
      base[to] = opcode;
    } else if (to != jump.at) {
      __builtin_memmove(base + to, base + jump.at, length);
    }
    u32 origin = jump.kind == JumpKind::kDistance ? labels_[jump.from].at : to + length;
    WRING_ASSERT(labels_[jump.label].at != kNone && origin != kNone);
    u32 distance = labels_[jump.label].at - origin;
    WRING_ASSERT(wide == 4 || fits_i8(static_cast<i32>(distance)));
    for (u32 i = 0; i < wide; i++)
      base[to + length - wide + i] = static_cast<u8>(distance >> 8 * i);
    to += length;
    from = jump.at + jump.length;
  }
  if (to != from) copy_bytes(base + to, base + from, end - from);
  bool shrunk = code_->bytes.resize(end - total);
  WRING_ASSERT(shrunk);
}

void Assembler::resolve_sites() {
  for (u32 i = first_reloc_; i < code_->relocs.size(); i++, tick())
    code_->relocs[i].at = offset_of(code_->relocs[i].at);
  for (u32 i = first_trap_; i < code_->traps.size(); i++, tick())
    code_->traps[i].pc = offset_of(code_->traps[i].pc);
  for (u32 i = first_call_; i < code_->calls.size(); i++, tick())
    code_->calls[i].pc = offset_of(code_->calls[i].pc);
  for (u32 i = first_fault_; i < code_->faults.size(); i++, tick()) {
    FaultSite& site = code_->faults[i];
    site.pc = offset_of(site.pc);
    site.fixup = offset_of(site.fixup);
  }
  for (u32 i = first_line_; i < code_->lines.size(); i++, tick())
    code_->lines[i].pc = offset_of(code_->lines[i].pc);
}

Err Assembler::finish(Diag* diag) {
  if (failed_ || !saved_.resize(usize{jumps_.size()} + 1)) return diag->no_memory();
  if (code_->bytes.size() > kMaxCodeBytes)
    return diag->fail(Err::kLimit, kNone, kNone, "more than %u bytes of machine code",
                      kMaxCodeBytes);
  choose_short();
  compact();
  resolve_sites();
  return Err::kOk;
}

}  // namespace wring::x64
