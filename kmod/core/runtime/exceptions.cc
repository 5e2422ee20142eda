// SPDX-License-Identifier: GPL-2.0
// Exceptions: pools, and a mark-and-sweep collection. Marked exceptions form a list through `next`, which is both the
// mark and what remains to be looked at.
#include "core/runtime/exceptions.h"

#include "core/base/limits.h"
#include "core/base/recovery.h"
#include "core/runtime/instance.h"

namespace wring::runtime {

namespace {

// Ends the list of marked exceptions, so that even the last one's `next` is not null.
wring_exception* const kListEnd = reinterpret_cast<wring_exception*>(u64{1});

class Collector {
 public:
  Collector(wring_vmctx* vmctx, GoesOn goes_on)
      : vmctx_(vmctx), self_(instance_of(vmctx)), goes_on_(goes_on) {}

  bool run() {
    for_each_instance([&](wring_instance* i) {
      i->exceptions.extend_range(&low_, &high_);
      // Of a collection that was abandoned.
      i->exceptions.for_each_used([](wring_exception* exception) { exception->next = nullptr; });
    });
    scan_stack(*vmctx_);
    for_each_instance([&](wring_instance* instance) { scan_instance(*instance); });
    while (marked_ != kListEnd && !is_stopped_) {
      wring_exception* exception = marked_;
      marked_ = exception->next;
      // Off the list, but still marked.
      exception->next = kListEnd;
      scan(exception->values, exception->value_words);
    }
    if (is_stopped_) return false;
    for_each_instance([](wring_instance* instance) {
      instance->exceptions.for_each_used([&](wring_exception* exception) {
        if (exception->next)
          exception->next = nullptr;
        else
          instance->exceptions.give_back(exception);
      });
    });
    return true;
  }
  u64 scanned_bytes() const { return scanned_ * sizeof(u64); }

 private:
  // Those that may hold references to each other's exceptions.
  template <class F>
  void for_each_instance(F&& f) {
    if (!self_->is_linked) return f(self_);
    for (wring_instance* i = self_->code->module->store->linked; i; i = i->next) f(i);
  }

  void mark(u64 word) {
    if (word < low_ || word >= high_) return;
    for_each_instance([&](wring_instance* instance) {
      scanned_++;
      wring_exception* exception = instance->exceptions.find(word);
      if (!exception || exception->next) return;
      exception->next = marked_;
      marked_ = exception;
    });
  }

  void scan(const unsigned long long* words, u64 count) {
    for (u64 i = 0; i < count && !is_stopped_; i++) {
      mark(words[i]);
      if (++scanned_ < ask_at_) continue;
      ask_at_ = scanned_ + kPieceWords;
      is_stopped_ = !goes_on_(vmctx_);
    }
  }

  void scan_instance(const wring_instance& instance) {
    mark(reinterpret_cast<u64>(instance.vmctx.exception));
    if (!instance.code->plan.has_exn_places) return;
    const Module& module = instance.module();
    for (u32 i = 0; i < module.globals.size(); i++)
      if (instance.vmctx.globals[i] && is_exn(module.globals[i].type.type))
        scan(static_cast<const unsigned long long*>(instance.vmctx.globals[i]), 1);
    for (const Table* table : instance.tables)
      if (table && is_exn(table->type.elem)) scan(table->view.words, table->view.size);
  }

  static bool is_exn(ValType type) { return is_ref(type) && top_of(type) == ValType::kExnRef; }

  // From this function's own frame, into which callers' registers have been saved, to the entry stub's: on one stack
  // or, where library calls are made on the host's, on two.
  __attribute__((noinline)) void scan_stack(const wring_vmctx& vmctx) {
    __builtin_unwind_init();
    volatile u64 here = 0;
    u64 begin = reinterpret_cast<u64>(&here) & ~u64{7};
    u64 end = reinterpret_cast<u64>(vmctx.entry_sp);
    if (vmctx.guest_sp) {
      scan_frames(begin, reinterpret_cast<u64>(vmctx.host_sp));
      begin = reinterpret_cast<u64>(vmctx.guest_sp);
    }
    scan_frames(begin, end);
  }

  // Not instrumented: it reads the frames of others, gaps included.
  __attribute__((noinline, no_sanitize("address", "undefined"))) void scan_frames(u64 at, u64 end) {
    for (; at + 8 <= end; at += 8) {
      mark(*reinterpret_cast<const volatile u64*>(at));
      scanned_++;
    }
  }

  wring_vmctx* vmctx_;
  wring_instance* self_;
  GoesOn goes_on_;
  bool is_stopped_ = false;
  static constexpr u64 kPieceWords = kBulkPieceBytes / sizeof(u64);
  u64 ask_at_ = kPieceWords;  // when scanned_ is that much
  wring_exception* marked_ = kListEnd;
  u64 scanned_ = 0;
  u64 low_ = ~u64{0}, high_ = 0;  // where all of them are
};

}  // namespace

ExceptionPool::Shape ExceptionPool::shape_for(u32 value_words) {
  u64 bytes = align_up(sizeof(wring_exception) + u64{value_words} * sizeof(u64), 16);
  u64 slots = max<u64>(kMinExceptionSlots, min<u64>(kExceptionSlots, kExceptionPoolBytes / bytes));
  return {static_cast<u32>(bytes), static_cast<u32>(slots)};
}

bool ExceptionPool::init(Shape shape, Arena* arena) {
  slot_bytes_ = shape.slot_bytes;
  if (slot_bytes_ == 0) return true;
  auto* chunk = static_cast<Chunk*>(arena->alloc(sizeof(Chunk) + usize{shape.slots} * slot_bytes_));
  if (!chunk) return false;
  add(chunk, shape.slots, false);
  return true;
}

void ExceptionPool::add(Chunk* chunk, u32 slots, bool is_allocated) {
  *chunk = {chunks_, slots, is_allocated};
  chunks_ = chunk;
  slots_ += slots;
  for (u32 i = slots; i-- > 0;) give_back(slot(*chunk, i));
}

void ExceptionPool::reset() {
  while (chunks_) {
    Chunk* chunk = chunks_;
    chunks_ = chunk->next;
    if (chunk->is_allocated) give_memory(chunk);
  }
  free_ = nullptr;
  slots_ = 0;
}

wring_exception* ExceptionPool::take() {
  wring_exception* exception = free_;
  if (!exception) return nullptr;
  free_ = exception->next;
  __builtin_memset(exception, 0, slot_bytes_);
  return exception;
}

void ExceptionPool::give_back(wring_exception* exception) {
  exception->tag = nullptr;
  exception->next = free_;
  free_ = exception;
}

bool ExceptionPool::grow() {
  if (slots_ == 0 || slots_ >= kMaxExceptions) return false;
  u32 slots = min(slots_, kMaxExceptions - slots_);
  if ((u64{slots_} + slots) * slot_bytes_ > kMaxExceptionBytes) return false;
  auto* chunk = static_cast<Chunk*>(take_memory(sizeof(Chunk) + usize{slots} * slot_bytes_));
  if (!chunk) return false;
  add(chunk, slots, true);
  return true;
}

void ExceptionPool::extend_range(u64* low, u64* high) const {
  for (const Chunk* chunk = chunks_; chunk; chunk = chunk->next) {
    u64 begin = reinterpret_cast<u64>(chunk + 1);
    *low = min(*low, begin);
    *high = max(*high, begin + u64{chunk->slots} * slot_bytes_);
  }
}

wring_exception* ExceptionPool::find(u64 address) const {
  for (const Chunk* chunk = chunks_; chunk; chunk = chunk->next) {
    u64 offset = address - reinterpret_cast<u64>(chunk + 1);
    if (offset >= u64{chunk->slots} * slot_bytes_) continue;
    wring_exception* exception = slot(*chunk, static_cast<u32>(offset / slot_bytes_));
    return exception->tag ? exception : nullptr;
  }
  return nullptr;
}

u32 value_words(const FuncType& tag) {
  u32 words = 0;
  for (ValType type : tag.params) words += type == ValType::kV128 ? 2 : 1;
  return words;
}

void free_exception(wring_vmctx* vmctx, wring_exception* exception) {
  wring_instance* self = instance_of(vmctx);
  if (self->exceptions.owns(*exception)) return self->exceptions.give_back(exception);
  if (!self->is_linked) return;
  for (wring_instance* i = self->code->module->store->linked; i; i = i->next)
    if (i->exceptions.owns(*exception)) return i->exceptions.give_back(exception);
}

bool collect_exceptions(wring_vmctx* vmctx, GoesOn goes_on, u64* scanned_bytes) {
  Collector collector(vmctx, goes_on);
  bool is_done = collector.run();
  *scanned_bytes = collector.scanned_bytes();
  return is_done;
}

}  // namespace wring::runtime
