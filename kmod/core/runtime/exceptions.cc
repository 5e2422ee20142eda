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

// What steps count, in words: those of a cache line, times the places that are looked at.
constexpr u64 kLineWords = 8;
constexpr u64 kGlobalWords = 2 * kLineWords;    // the pointer to it, and its cell
constexpr u64 kLookupWords = 8 * kLineWords;    // the upper levels of the search stay in the caches
constexpr u64 kInstanceWords = 8 * kLineWords;  // the object, its plan, where its lists begin
constexpr u64 kPieceWords = kCollectorPieceBytes / sizeof(u64);

// Each step returns whether it may go on.
class Collector {
 public:
  Collector(wring_vmctx* vmctx, GoesOn goes_on)
      : vmctx_(vmctx), self_(instance_of(vmctx)), goes_on_(goes_on) {
    if (self_->is_linked) {
      index_ = &self_->code->module->store->exceptions;
      low_ = index_->begin();
      high_ = index_->end();
    } else {
      self_->exceptions.extend_range(&low_, &high_);
    }
  }

  bool run() {
    return clear_marks() && scan_stack(*vmctx_) && scan_instances() && scan_marked() && sweep() &&
           ask();
  }

 private:
  // Counts work: to be called for every step, before it is done.
  bool count(u64 words) {
    words_ += words;
    return words_ < kPieceWords || ask();
  }
  bool ask() {
    u64 bytes = words_ * sizeof(u64);
    words_ = 0;
    return goes_on_(vmctx_, bytes);
  }

  // Those that may hold references to each other's exceptions.
  template <class F>
  bool for_each_instance(F&& f) {
    for (wring_instance* i = first_linked(self_); i; i = i->next)
      if (!count(kInstanceWords) || !f(*i)) return false;
    return true;
  }
  // All exceptions in use; f returns nothing.
  template <class F>
  bool for_each_exception(F&& f) {
    return for_each_instance([&](wring_instance& instance) {
      return instance.exceptions.for_each_slot([&](wring_exception* exception) {
        if (!count(kLineWords)) return false;
        if (exception->tag) f(instance, exception);
        return true;
      });
    });
  }

  // Of a collection that was abandoned.
  bool clear_marks() {
    return for_each_exception(
        [](wring_instance&, wring_exception* exception) { exception->next = nullptr; });
  }

  bool sweep() {
    return for_each_exception([](wring_instance& instance, wring_exception* exception) {
      if (exception->next)
        exception->next = nullptr;
      else
        instance.exceptions.give_back(exception);
    });
  }

  bool scan_marked() {
    while (marked_ != kListEnd) {
      wring_exception* exception = marked_;
      marked_ = exception->next;
      // Off the list, but still marked.
      exception->next = kListEnd;
      if (!count(kLineWords) || !scan(exception->values, exception->value_words)) return false;
    }
    return true;
  }

  // Most words are no addresses of exceptions, which takes one look at them.
  bool mark(u64 word) { return word < low_ || word >= high_ || mark_at(word); }

  __attribute__((noinline)) bool mark_at(u64 address) {
    if (!count(kLookupWords)) return false;
    ExceptionPool* pool;
    wring_exception* exception =
        index_ ? ExceptionPool::find(*index_, address, &pool) : self_->exceptions.find(address);
    if (!exception || exception->next) return true;
    exception->next = marked_;
    marked_ = exception;
    return true;
  }

  bool scan(const unsigned long long* words, u64 words_count) {
    for (u64 i = 0; i < words_count; i++)
      if (!count(1) || !mark(words[i])) return false;
    return true;
  }

  bool scan_instances() {
    return for_each_instance([&](wring_instance& instance) { return scan_instance(instance); });
  }

  // Places that are null are of an instance that is not ready yet.
  bool scan_instance(const wring_instance& instance) {
    const InstancePlan& plan = instance.code->plan;
    if (!mark(reinterpret_cast<u64>(instance.vmctx.exception))) return false;
    for (u32 i : plan.exn_globals) {
      const void* global = instance.vmctx.globals[i];
      if (!count(kGlobalWords) || (global && !mark(*static_cast<const u64*>(global)))) return false;
    }
    for (u32 i : plan.exn_tables) {
      const Table* table = instance.tables[i];
      if (!count(2 * kLineWords) || (table && !scan(table->view.words, table->view.size)))
        return false;
    }
    return true;
  }

  // From this function's own frame, into which callers' registers have been saved, to the entry stub's: on one stack
  // or, where library calls are made on the host's, on two.
  __attribute__((noinline)) bool scan_stack(const wring_vmctx& vmctx) {
    __builtin_unwind_init();
    volatile u64 here = 0;
    u64 begin = reinterpret_cast<u64>(&here) & ~u64{7};
    u64 end = reinterpret_cast<u64>(vmctx.entry_sp);
    if (vmctx.guest_sp) {
      if (!scan_frames(begin, reinterpret_cast<u64>(vmctx.host_sp))) return false;
      begin = reinterpret_cast<u64>(vmctx.guest_sp);
    }
    return scan_frames(begin, end);
  }

  // Not instrumented: it reads the frames of others, gaps included.
  __attribute__((noinline, no_sanitize("address", "undefined"))) bool scan_frames(u64 at, u64 end) {
    for (; at + 8 <= end; at += 8)
      if (!count(1) || !mark(*reinterpret_cast<const volatile u64*>(at))) return false;
    return true;
  }

  wring_vmctx* vmctx_;
  wring_instance* self_;
  GoesOn goes_on_;
  const AddressIndex* index_ = nullptr;  // null: there is one pool
  u64 words_ = 0;                        // counted since goes_on_ was asked
  wring_exception* marked_ = kListEnd;
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
  return chunk && add(chunk, shape.slots, false);
}

// False if there is no memory for the index: then nothing has changed.
bool ExceptionPool::add(Chunk* chunk, u32 slots, bool is_allocated) {
  *chunk = {this, chunks_, slots, is_allocated};
  if (index_ && !index_->add(begin_of(*chunk), end_of(*chunk), chunk)) return false;
  chunks_ = chunk;
  slots_ += slots;
  for (u32 i = slots; i-- > 0;) give_back(slot(*chunk, i));
  return true;
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

wring_exception* ExceptionPool::take(u32 value_words) {
  wring_exception* exception = free_;
  if (!exception) return nullptr;
  free_ = exception->next;
  __builtin_memset(exception, 0, sizeof(wring_exception) + usize{value_words} * sizeof(u64));
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
  if (add(chunk, slots, true)) return true;
  give_memory(chunk);
  return false;
}

bool ExceptionPool::join(AddressIndex* index) {
  index_ = index;
  for (Chunk* chunk = chunks_; chunk; chunk = chunk->next)
    if (!index->add(begin_of(*chunk), end_of(*chunk), chunk)) {
      leave();
      return false;
    }
  return true;
}

void ExceptionPool::leave() {
  if (!index_) return;
  for (const Chunk* chunk = chunks_; chunk; chunk = chunk->next) index_->remove(begin_of(*chunk));
  index_ = nullptr;
}

void ExceptionPool::extend_range(u64* low, u64* high) const {
  for (const Chunk* chunk = chunks_; chunk; chunk = chunk->next) {
    *low = min(*low, begin_of(*chunk));
    *high = max(*high, end_of(*chunk));
  }
}

wring_exception* ExceptionPool::exception_at(const Chunk& chunk, u64 address) const {
  u64 offset = address - begin_of(chunk);
  wring_exception* exception = slot(chunk, static_cast<u32>(offset / slot_bytes_));
  return exception->tag ? exception : nullptr;
}

wring_exception* ExceptionPool::find(u64 address) const {
  for (const Chunk* chunk = chunks_; chunk; chunk = chunk->next)
    if (address >= begin_of(*chunk) && address < end_of(*chunk))
      return exception_at(*chunk, address);
  return nullptr;
}

wring_exception* ExceptionPool::find(const AddressIndex& index, u64 address, ExceptionPool** pool) {
  const auto* chunk = static_cast<const Chunk*>(index.find(address));
  if (!chunk) return nullptr;
  *pool = chunk->pool;
  return chunk->pool->exception_at(*chunk, address);
}

u32 value_words(const FuncType& tag) {
  u32 words = 0;
  for (ValType type : tag.params) words += type == ValType::kV128 ? 2 : 1;
  return words;
}

void free_exception(wring_vmctx* vmctx, wring_exception* exception) {
  wring_instance* self = instance_of(vmctx);
  if (self->exceptions.owns(*exception)) return self->exceptions.give_back(exception);
  ExceptionPool* pool;
  const AddressIndex& others = self->code->module->store->exceptions;
  if (ExceptionPool::find(others, reinterpret_cast<u64>(exception), &pool))
    pool->give_back(exception);
}

bool collect_exceptions(wring_vmctx* vmctx, GoesOn goes_on) {
  return Collector(vmctx, goes_on).run();
}

}  // namespace wring::runtime
