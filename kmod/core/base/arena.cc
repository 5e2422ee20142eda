// SPDX-License-Identifier: GPL-2.0
// Arena: chunks from the platform, doubling from 16 KiB up to 1 MiB, or as large as a block that needs more.
#include "core/base/arena.h"

#include "core/base/pace.h"
#include "core/base/recovery.h"

namespace wring {

namespace {
constexpr usize kAlign = 16;
constexpr usize kFirstChunk = 16 * 1024;
constexpr usize kLargestChunk = 1024 * 1024;
constexpr usize kLargestBlock = ~usize{0} / 2;  // far too much, but can still be added to
constexpr usize kTakenPerStep = 1024, kFreedPerStep = 4096;
constexpr usize kLinks = 16;  // at a chunk's beginning
constexpr usize kHeader =
    kLinks + kTakenHeader;  // of what the platform is asked for, in sizes it likes
}  // namespace

// A chunk of `bytes`, headers included, from the platform.
Arena::Chunk* Arena::new_chunk(usize bytes) {
  if (!has_left(bytes) || bytes > kLargestBlock) {
    note_over_budget();
    return nullptr;
  }
  tick(static_cast<u32>(bytes / kTakenPerStep));
  auto* chunk = static_cast<Chunk*>(take_memory(bytes - kTakenHeader, is_detached_));
  if (!chunk) return nullptr;
  used_ += bytes;
  chunk->bytes = bytes;
  return chunk;
}

// A chunk with room for `bytes`: one that a rewind has given up, else a new one.
Arena::Chunk* Arena::take_chunk(usize bytes, bool* is_dirty) {
  bytes += kHeader;
  if (spare_ && spare_->bytes >= bytes) {
    Chunk* chunk = spare_;
    spare_ = chunk->next;
    *is_dirty = true;
    return chunk;
  }
  usize chunk_bytes = chunks_ ? min(chunks_->bytes * 2, kLargestChunk) : kFirstChunk;
  chunk_bytes = max(chunk_bytes, bytes);
  if (!has_left(chunk_bytes)) {
    free_spare();
    chunk_bytes = bytes;  // the budget's tail: exactly what is asked for
  }
  *is_dirty = false;
  return new_chunk(chunk_bytes);
}

void* Arena::alloc(usize bytes) {
  usize dirty;
  void* p = take(bytes, &dirty);
  if (p) fill_bytes(p, 0, dirty);
  return p;
}

void* Arena::take(usize bytes, usize* dirty) {
  *dirty = 0;
  bytes = min(bytes, kLargestBlock);
  bytes = align_up(bytes ? bytes : 1, kAlign);
  if (static_cast<usize>(limit_ - cursor_) < bytes) {
    bool is_dirty;
    Chunk* chunk = take_chunk(bytes, &is_dirty);
    if (!chunk) return nullptr;
    chunk->next = chunks_;
    chunks_ = chunk;
    u8* start = reinterpret_cast<u8*>(chunk) + kLinks;
    u8* end = start + chunk->bytes - kHeader;
    // A large block gets a chunk of its own; small ones go on where more room is left.
    if (end - (start + bytes) < limit_ - cursor_) {
      if (is_dirty) *dirty = bytes;
      return start;
    }
    cursor_ = start;
    limit_ = end;
    dirty_ = is_dirty ? end : nullptr;
  }
  u8* p = cursor_;
  cursor_ += bytes;
  if (p < dirty_) *dirty = min(bytes, static_cast<usize>(dirty_ - p));
  return p;
}

void* Arena::alloc_alone(usize bytes) {
  Chunk* chunk = new_chunk(min(bytes, kLargestBlock) + kHeader);
  if (!chunk) return nullptr;
  // The size of the latest chunk says how large the next one should be: let this one not be the latest.
  Chunk** at = chunks_ ? &chunks_->next : &chunks_;
  chunk->next = *at;
  *at = chunk;
  return reinterpret_cast<u8*>(chunk) + kLinks;
}

void Arena::give_back(void* p) {
  auto* chunk = reinterpret_cast<Chunk*>(static_cast<u8*>(p) - kLinks);
  Chunk** at = &chunks_;
  while (*at != chunk) at = &(*at)->next;
  *at = chunk->next;
  used_ -= chunk->bytes;
  free_chunk(chunk);
}

void Arena::free_chunk(Chunk* chunk) {
  tick_and_go_on(static_cast<u32>(chunk->bytes / kFreedPerStep) + 1);
  give_memory(chunk);
}

void Arena::rewind(const Mark& mark) {
  // If the cursor has moved on to another chunk, how far the mark's was used is not known.
  dirty_ = limit_ == mark.limit ? max(dirty_, cursor_) : mark.limit;
  while (chunks_ != mark.chunk) {
    Chunk* chunk = chunks_;
    chunks_ = chunk->next;
    chunk->next = spare_;
    spare_ = chunk;
  }
  cursor_ = mark.cursor;
  limit_ = mark.limit;
}

void Arena::free_spare() {
  while (spare_) {
    Chunk* next = spare_->next;
    used_ -= spare_->bytes;
    free_chunk(spare_);
    spare_ = next;
  }
}

void Arena::reset() {
  static_assert(sizeof(Chunk) <= kLinks);
  free_spare();
  while (chunks_) {
    Chunk* next = chunks_->next;
    free_chunk(chunks_);
    chunks_ = next;
  }
  cursor_ = limit_ = dirty_ = nullptr;
  used_ = 0;
}

}  // namespace wring
