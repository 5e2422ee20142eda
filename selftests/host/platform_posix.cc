// SPDX-License-Identifier: GPL-2.0
// The engine's platform in a process: mmap for linear memories and code, and a signal handler that sends faults of
// generated code to their trap stubs, as the kernel's exception tables do.
#include "selftests/host/platform_posix.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <vector>

#include "core/platform.h"

#if defined(__SANITIZE_ADDRESS__)
#define WRING_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WRING_ASAN 1
#endif
#endif
#if WRING_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kReservationBytes = (size_t{8} << 30) + 16 * kPageBytes;

// ---- counting and failing ----

std::atomic<unsigned long long> g_asked{0};
std::atomic<unsigned long long> g_fail_at{0};
std::atomic<bool> g_fail_alone{false};
std::atomic<long long> g_live{0};
std::atomic<const volatile int*> g_stop{nullptr};
thread_local int (*t_on_yield)(void* arg);
thread_local void* t_on_yield_arg;

// ---- broken invariants ----

thread_local wring_recovery* t_recovery;
std::atomic<unsigned long long> g_broken{0};
std::atomic<bool> g_is_strict{false};

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "wring: internal error: %s\n", what);
  abort();
}

bool may_allocate() {
  unsigned long long n = ++g_asked;
  unsigned long long fail_at = g_fail_at;
  return fail_at == 0 || (g_fail_alone ? n != fail_at : n < fail_at);
}

// ---- code ----

// A placed code, as the fault handler sees it. Entries are claimed and given back; readers take no lock.
struct Region {
  std::atomic<uintptr_t> begin{0};
  uintptr_t bytes = 0;
  wring_code* code = nullptr;
};
constexpr size_t kMaxRegions = 4096;
Region g_regions[kMaxRegions];
std::mutex g_regions_lock;

size_t page_align(size_t bytes) { return (bytes + kPageBytes - 1) & ~(kPageBytes - 1); }

// Writable pages within rel32 reach of this program's functions if there is room, else anywhere.
void* map_code(size_t bytes) {
  static std::atomic<uintptr_t> hint{0};
  constexpr uintptr_t kStep = 1 << 20;
  uintptr_t here = reinterpret_cast<uintptr_t>(&wring_os_alloc) & ~(kStep - 1);
  uintptr_t next = hint ? hint.load() : here + (uintptr_t{64} << 20);
  for (; next + bytes < here + (uintptr_t{1} << 30); next += kStep) {
    void* p = mmap(reinterpret_cast<void*>(next), bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (p == MAP_FAILED) continue;
    hint = next + ((bytes + kStep - 1) & ~(kStep - 1));
    return p;
  }
  hint = 0;  // start over next time: what was freed meanwhile can be used again
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

// ---- faults ----

// The trap stub of the faulting instruction at pc, or 0.
uintptr_t fixup_of(uintptr_t pc) {
  for (const Region& region : g_regions) {
    uintptr_t begin = region.begin.load(std::memory_order_acquire);
    if (begin == 0 || pc - begin >= region.bytes) continue;
    unsigned int low = 0, high = wring_code_fault_count(region.code);
    while (low < high) {
      unsigned int middle = low + (high - low) / 2, at, fixup;
      if (wring_code_fault(region.code, middle, &at, &fixup) != 0) return 0;
      if (at == pc - begin) return begin + fixup;
      if (at < pc - begin)
        low = middle + 1;
      else
        high = middle;
    }
    return 0;
  }
  return 0;
}

struct sigaction g_previous_segv, g_previous_bus;

void on_fault(int signal, siginfo_t* info, void* context) {
  auto* uc = static_cast<ucontext_t*>(context);
  greg_t& rip = uc->uc_mcontext.gregs[REG_RIP];
  if (uintptr_t fixup = fixup_of(static_cast<uintptr_t>(rip))) {
    rip = static_cast<greg_t>(fixup);
    return;
  }
  // Not ours: whoever was asked before (a sanitizer, a fuzzer), or the default action on the second try.
  const struct sigaction& previous = signal == SIGSEGV ? g_previous_segv : g_previous_bus;
  if (previous.sa_flags & SA_SIGINFO) return previous.sa_sigaction(signal, info, context);
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigaction(signal, &action, nullptr);
}

void install_handler() {
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  if (sigaction(SIGSEGV, &action, &g_previous_segv) != 0 ||
      sigaction(SIGBUS, &action, &g_previous_bus) != 0)
    die("cannot install the fault handler");
}

// The stacks of a thread: for its invocations, and for the fault handler.
class ThreadStacks {
 public:
  ThreadStacks() {
    signal_ = map_stack(kSignalBytes);
    invoke_ = map_stack(WRING_POSIX_STACK_BYTES);
    stack_t alternate = {};
    alternate.ss_sp = signal_;
    alternate.ss_size = kSignalBytes;
    if (sigaltstack(&alternate, &previous_) != 0) die("sigaltstack failed");
  }
  ~ThreadStacks() {
    if (previous_.ss_flags & SS_DISABLE || previous_.ss_sp) sigaltstack(&previous_, nullptr);
    unmap_stack(signal_, kSignalBytes);
    unmap_stack(invoke_, WRING_POSIX_STACK_BYTES);
  }
  ThreadStacks(const ThreadStacks&) = delete;
  ThreadStacks& operator=(const ThreadStacks&) = delete;
  char* invoke() { return invoke_; }

 private:
  static constexpr size_t kSignalBytes = 64 * 1024;
  static char* map_stack(size_t bytes) {
    void* p = mmap(nullptr, bytes + kPageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) die("no memory for a stack");
    char* stack = static_cast<char*>(p) + kPageBytes;
    if (mprotect(stack, bytes, PROT_READ | PROT_WRITE) != 0) die("no memory for a stack");
    return stack;
  }
  static void unmap_stack(char* stack, size_t bytes) {
    munmap(stack - kPageBytes, bytes + kPageBytes);
  }

  char* signal_;
  char* invoke_;
  stack_t previous_ = {};
};

void release_region(void* arg) {
  auto* region = static_cast<Region*>(arg);
  uintptr_t begin = region->begin;
  region->begin.store(0, std::memory_order_release);
  wring_os_code_free(reinterpret_cast<void*>(begin), region->bytes);
}

Region* claim_region(wring_code* code, uintptr_t begin, uintptr_t bytes) {
  std::lock_guard<std::mutex> lock(g_regions_lock);
  for (Region& region : g_regions) {
    if (region.begin) continue;
    region.bytes = bytes;
    region.code = code;
    region.begin.store(begin, std::memory_order_release);
    return &region;
  }
  return nullptr;
}

// ---- linear memories ----

// Released reservations are kept, the bytes that were in use accessible and cleared: system calls are what making a
// memory costs.
struct Pooled {
  unsigned char* base;
  size_t bytes;
};
constexpr size_t kPoolMax = 64;
// Up to this, writing zeros is cheaper than giving pages back and faulting them in again.
constexpr size_t kMaxCleared = 256 * 1024;
std::mutex g_pool_lock;
std::vector<Pooled>& pool() {
  static std::vector<Pooled> reservations;
  return reservations;
}

unsigned char* map_reservation() {
  void* p = mmap(nullptr, kReservationBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
  return p == MAP_FAILED ? nullptr : static_cast<unsigned char*>(p);
}

// One with `bytes` in use if there is any, else some other; base null: none.
Pooled take_pooled(size_t bytes) {
  std::lock_guard<std::mutex> lock(g_pool_lock);
  if (pool().empty()) return {nullptr, 0};
  size_t found = pool().size() - 1;
  for (size_t i = pool().size(); i-- > 0;)
    if (pool()[i].bytes == bytes) {
      found = i;
      break;
    }
  Pooled taken = pool()[found];
  pool()[found] = pool().back();
  pool().pop_back();
  return taken;
}

bool set_accessible(unsigned char* base, size_t from, size_t to) {
  if (from < to) return mprotect(base + from, to - from, PROT_READ | PROT_WRITE) == 0;
  return from == to || mprotect(base + to, from - to, PROT_NONE) == 0;
}

// ---- waiting ----

struct Waiter {
  const void* address = nullptr;
  bool is_woken = false;
  std::condition_variable wake;
};
std::mutex g_wait_lock;
std::list<Waiter*>& waiters() {
  static std::list<Waiter*> list;
  return list;
}
constexpr std::chrono::milliseconds kStopPoll(10);

uint64_t load_atomic(const void* address, unsigned bytes) {
  return bytes == 4 ? __atomic_load_n(static_cast<const uint32_t*>(address), __ATOMIC_SEQ_CST)
                    : __atomic_load_n(static_cast<const uint64_t*>(address), __ATOMIC_SEQ_CST);
}

// Until the waiter is woken, the time is up or the process wants to stop.
wring_wait_result wait_for(Waiter* waiter, std::unique_lock<std::mutex>* lock,
                           long long timeout_ns) {
  using Clock = std::chrono::steady_clock;
  constexpr long long kForever = 1ll << 60;
  auto end = Clock::now() + std::chrono::nanoseconds(
                                timeout_ns < 0 || timeout_ns > kForever ? kForever : timeout_ns);
  while (!waiter->is_woken) {
    if (wring_os_yield()) return WRING_WAIT_INTERRUPTED;
    if (Clock::now() >= end) return WRING_WAIT_TIMED_OUT;
    waiter->wake.wait_until(*lock, std::min(end, Clock::now() + kStopPoll));
  }
  return WRING_WAIT_WOKEN;
}

int fail(wring_error* err, const char* message) {
  *err = {};
  err->kind = WRING_ERR_NOMEM;
  err->func = err->offset = WRING_NO_INDEX;
  snprintf(err->message, sizeof(err->message), "%s", message);
  return -WRING_ERR_NOMEM;
}

}  // namespace

// ---- platform.h ----

extern "C" void* wring_os_alloc(wring_size bytes) {
  if (!may_allocate()) return nullptr;
  void* p = calloc(1, bytes);
  if (p) g_live++;
  return p;
}

extern "C" void wring_os_free(void* ptr) {
  if (!ptr) return;
  g_live--;
  free(ptr);
}

extern "C" int wring_os_vformat(char* buf, wring_size size, const char* fmt,
                                __builtin_va_list args) {
  return vsnprintf(buf, size, fmt, args);
}

extern "C" void wring_os_recovery_begin(wring_recovery* point) {
  point->host = reinterpret_cast<uintptr_t>(t_recovery);
  t_recovery = point;
}

extern "C" void wring_os_recovery_end(wring_recovery* point) {
  t_recovery = reinterpret_cast<wring_recovery*>(point->host);
}

extern "C" wring_recovery* wring_os_recovery(void) { return t_recovery; }

extern "C" void wring_os_panic(const char* what, wring_recovery* point) {
  g_broken++;
  if (!point || g_is_strict) die(what);
}

extern "C" void wring_os_recovery_resume([[maybe_unused]] wring_recovery* point) {
#if WRING_ASAN
  // The frames that are left have poisoned the stack, whichever it is.
  auto* here = static_cast<char*>(__builtin_frame_address(0));
  __asan_unpoison_memory_region(here, static_cast<size_t>(reinterpret_cast<char*>(point) - here));
#endif
}

__thread int wring_os_pace;

extern "C" int wring_os_yield(void) {
  const volatile int* stop = g_stop;
  int is_killed = stop && *stop;
  if (t_on_yield) is_killed |= t_on_yield(t_on_yield_arg);
  return is_killed;
}

extern "C" int wring_os_in_nmi(void) { return 0; }

extern "C" unsigned int wring_os_cycles_per_us(void) {
  static const unsigned rate = [] {
    using Clock = std::chrono::steady_clock;
    Clock::time_point begin = Clock::now();
    uint64_t first = __builtin_ia32_rdtsc();
    while (Clock::now() - begin < std::chrono::microseconds(200)) continue;
    uint64_t cycles = __builtin_ia32_rdtsc() - first;
    return static_cast<unsigned>(
        cycles * 1000 /
        static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - begin).count()));
  }();
  return rate;
}

extern "C" unsigned char* wring_os_memory_reserve(wring_size bytes) {
  if (!may_allocate()) return nullptr;
  Pooled memory = take_pooled(bytes);
  if (!memory.base) memory.base = map_reservation();
  if (!memory.base) return nullptr;
  if (!set_accessible(memory.base, memory.bytes, bytes)) {
    munmap(memory.base, kReservationBytes);
    return nullptr;
  }
  g_live++;
  return memory.base;
}

extern "C" int wring_os_memory_commit(unsigned char* base, wring_size old_bytes,
                                      wring_size new_bytes) {
  if (!may_allocate()) return -1;
  return mprotect(base + old_bytes, new_bytes - old_bytes, PROT_READ | PROT_WRITE);
}

extern "C" void wring_os_memory_release(unsigned char* base, wring_size bytes) {
  g_live--;
  if (bytes <= kMaxCleared)
    memset(base, 0, bytes);
  else
    madvise(base, bytes, MADV_DONTNEED);
  {
    std::lock_guard<std::mutex> lock(g_pool_lock);
    if (pool().size() < kPoolMax) return pool().push_back({base, bytes});
  }
  munmap(base, kReservationBytes);
}

extern "C" void* wring_os_table_reserve(wring_size bytes) {
  if (!may_allocate()) return nullptr;
  void* p = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  g_live++;
  return p;
}

extern "C" int wring_os_table_commit(void* base, wring_size old_bytes, wring_size new_bytes) {
  unsigned char* from = static_cast<unsigned char*>(base) + old_bytes;
  if (wring_os_memory_commit(static_cast<unsigned char*>(base), old_bytes, new_bytes) != 0)
    return -1;
  // As in the kernel, which has no faults here. If this one does not know how, faults do it.
  madvise(from, new_bytes - old_bytes, MADV_POPULATE_WRITE);
  return 0;
}

extern "C" void wring_os_table_release(void* base, wring_size reserved_bytes, wring_size) {
  g_live--;
  munmap(base, reserved_bytes);
}

extern "C" wring_wait_result wring_os_wait(const void* address, unsigned int bytes,
                                           unsigned long long expected, long long timeout_ns) {
  std::unique_lock<std::mutex> lock(g_wait_lock);
  if (load_atomic(address, bytes) != expected) return WRING_WAIT_NOT_EQUAL;
  Waiter waiter;
  waiter.address = address;
  waiters().push_back(&waiter);
  wring_wait_result result = wait_for(&waiter, &lock, timeout_ns);
  waiters().remove(&waiter);
  return result;
}

extern "C" unsigned int wring_os_notify(const void* address, unsigned int count) {
  std::lock_guard<std::mutex> lock(g_wait_lock);
  unsigned int woken = 0;
  for (Waiter* waiter : waiters()) {
    if (woken == count) break;
    if (waiter->address != address || waiter->is_woken) continue;
    waiter->is_woken = true;
    waiter->wake.notify_one();
    woken++;
  }
  return woken;
}

static thread_local unsigned int t_saved_mxcsr;

extern "C" void wring_os_fpu_begin(void) {
  constexpr unsigned int kDefaultMxcsr = 0x1f80;
  t_saved_mxcsr = _mm_getcsr();
  _mm_setcsr(kDefaultMxcsr);
}

extern "C" void wring_os_fpu_end(void) { _mm_setcsr(t_saved_mxcsr); }

extern "C" void* wring_os_code_alloc(wring_size bytes) {
  if (!may_allocate()) return nullptr;
  void* p = map_code(page_align(bytes));
  if (p) g_live++;
  return p;
}

extern "C" int wring_os_code_publish(void* code, wring_size bytes) {
  return mprotect(code, page_align(bytes), PROT_READ | PROT_EXEC);
}

extern "C" void wring_os_code_free(void* code, wring_size bytes) {
  g_live--;
  munmap(code, page_align(bytes));
}

// ---- platform_posix.h ----

extern "C" int wring_posix_place(wring_code* code, wring_error* err) {
  static std::once_flag once;
  std::call_once(once, install_handler);
  size_t bytes = wring_code_size(code);
  void* memory = wring_os_code_alloc(bytes);
  if (!memory) return fail(err, "out of memory for code");
  int result = wring_code_place(code, memory, reinterpret_cast<uintptr_t>(memory), err);
  Region* region = nullptr;
  if (result == 0) {
    region = claim_region(code, reinterpret_cast<uintptr_t>(memory), bytes);
    if (!region)
      result = fail(err, "too many codes at a time");
    else if (wring_os_code_publish(memory, bytes) != 0)
      result = fail(err, "cannot make code executable");
  }
  if (result != 0) {
    if (region)
      release_region(region);
    else
      wring_os_code_free(memory, bytes);
    return result;
  }
  wring_code_on_release(code, release_region, region);
  return 0;
}

extern "C" wring_target wring_posix_target(void) {
  wring_target target = {};
  target.cpu = wring_cpu_features();
  target.far_calls = 1;
  return target;
}

extern "C" unsigned int wring_posix_invoke(wring_instance* instance, unsigned int func,
                                           unsigned long long* argv, unsigned long long* fuel) {
  static thread_local ThreadStacks stacks;
  return wring_invoke(instance, func, argv, stacks.invoke(), WRING_POSIX_STACK_BYTES, fuel);
}

extern "C" unsigned long long wring_posix_fail_allocation(unsigned long long n) {
  g_fail_at = 0;
  unsigned long long asked = g_asked.exchange(0);
  g_fail_at = n;
  return asked;
}

extern "C" void wring_posix_fail_alone(bool alone) { g_fail_alone = alone; }

extern "C" long long wring_posix_live_allocations(void) { return g_live; }

extern "C" void wring_posix_strict(int strict) { g_is_strict = strict != 0; }

extern "C" unsigned long long wring_posix_broken_invariants(void) { return g_broken; }

extern "C" void wring_posix_stop_flag(const volatile int* flag) { g_stop = flag; }

extern "C" void wring_posix_on_yield(int (*hook)(void* arg), void* arg) {
  t_on_yield = hook;
  t_on_yield_arg = arg;
}

// ---- fault injection (core/base/inject.h) ----

#ifdef WRING_INJECT

namespace {

// One thread at a time is interested.
struct Injection {
  unsigned stage = 0;  // the current one
  unsigned fail_stage = 0;
  unsigned long long fail_at = 0;
  unsigned long long counts[WRING_POSIX_STAGES] = {};
};
thread_local Injection t_injection;

}  // namespace

extern "C" int wring_inject_assertion(void) {
  Injection& i = t_injection;
  return ++i.counts[i.stage] == i.fail_at && i.stage == i.fail_stage;
}

extern "C" unsigned wring_inject_stage(unsigned stage) {
  unsigned before = t_injection.stage;
  t_injection.stage = stage;
  return before;
}

extern "C" void wring_posix_inject(unsigned stage, unsigned long long n) {
  unsigned current = t_injection.stage;
  t_injection = Injection();
  t_injection.stage = current;
  t_injection.fail_stage = stage;
  t_injection.fail_at = n;
}

extern "C" unsigned long long wring_posix_assertions(unsigned stage) {
  return t_injection.counts[stage];
}

#endif
