// SPDX-License-Identifier: GPL-2.0
// wring-ioctl-fuzz: calls /dev/wring in every wrong way, from several threads of processes that end in every way, and
// sees that nothing is left afterwards. To be run as root in a virtual machine of its own. Prints TAP.
//
// The process that main() is in asks little of the kernel: it starts one process after the other, each with threads
// that share a pool of fds, ends each after some seconds, and looks at what is left when all is done.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include "selftests/fuzz/ioctl/caller.h"
#include "selftests/fuzz/ioctl/races.h"
#include "selftests/fuzz/ioctl/system.h"

namespace wring::fuzz {

namespace {

const char kUsage[] =
    "usage: wring-ioctl-fuzz [--races] [--seed N] [--seconds N] [--threads N] [--trace]\n"
    "Fuzzes /dev/wring. --seed repeats the choices of each thread, --trace announces every call in "
    "the\n"
    "kernel's log. With --races, runs what is known to race, and takes a CPU away now and then.\n";
constexpr char kCgroup[] = "/sys/fs/cgroup/wring-ioctl-fuzz";
// In a run: whatever the machine's speed, some end while their threads are at work.
constexpr u32 kRounds = 10;
// Every command must have succeeded once in a run of so many seconds.
constexpr u32 kLongRun = 60;

struct Settings {
  u64 seed = 0;
  u32 seconds = 60;
  u32 threads = 4;
  bool races = false;
  bool trace = false;
};

int tests = 0, failures = 0;

void ok(bool good, const std::string& what) {
  std::printf("%sok %d - %s\n", good ? "" : "not ", ++tests, what.c_str());
  std::fflush(stdout);
  failures += !good;
}

void note(const std::string& text) {
  std::printf("# %s\n", text.c_str());
  std::fflush(stdout);
}

/* ---- one round: a process with threads ---- */

bool can_fail() { return !access("/sys/kernel/debug/failslab", F_OK); }

// Silent, and only for tasks that ask for it.
void set_up_faults() {
  for (const std::string name : {"failslab", "fail_page_alloc", "fail_usercopy"}) {
    const std::string dir = "/sys/kernel/debug/" + name + "/";
    write_file(dir + "verbose", "0");
    write_file(dir + "task-filter", "Y");
    write_file(dir + "times", "-1");
    write_file(dir + "probability", name == "fail_usercopy" ? "1" : "3");
    write_file(dir + "ignore-gfp-wait", "N");
    write_file(dir + "ignore-gfp-highmem", "N");
    write_file(dir + "min-order", "0");
  }
}

class Round {
 public:
  Round(const Settings& settings, u32 number, Tally* tally)
      : settings_(settings), number_(number), tally_(*tally) {}

  [[noreturn]] void run() {
    write_file(std::string(kCgroup) + "/cgroup.procs", "0");
    // Packets, and what filters do with them, are nobody else's business.
    enter_new_network();
    Caller(options(1000), &pool_, &tally_).fill_pool();
    if (settings_.races) {
      u32 thread = 0;
      for (u32 race = 0; race < kRaces.size(); race++)
        for (u32 i = 0; i < kRaces[race].threads; i++)
          threads_.emplace_back([this, race, t = thread++] { take_turns(race, t); });
      threads_.emplace_back([this, t = thread] { take_steps(t); });
    } else {
      for (u32 t = 0; t < settings_.threads; t++)
        threads_.emplace_back([this, t] { take_steps(t); });
    }
    // Signals come at any time; test runs end with them.
    for (u32 i = 0;; i++) {
      usleep(20000);
      pthread_kill(threads_[i % threads_.size()].native_handle(), SIGUSR1);
    }
  }

 private:
  Caller::Options options(u32 thread) const {
    return {settings_.seed * 1000003 + number_ * 1009 + thread, settings_.trace};
  }
  void take_steps(u32 thread) {
    Caller caller(options(thread), &pool_, &tally_);
    if (can_fail() && thread % 2)
      caller.use_faults(thread % 4 == 1 ? Faults::How::kNth : Faults::How::kRandom);
    for (u64 step = 0;; step++) caller.step(step);
  }
  void take_turns(u32 race, u32 thread) {
    Caller caller(options(thread), &pool_, &tally_);
    for (u64 turn = 0;; turn++) {
      caller.reseed(turn);
      kRaces[race].turn(&caller);
      tally_.races[race]++;
    }
  }

  const Settings settings_;
  const u32 number_;
  Tally& tally_;
  Pool pool_;
  std::vector<std::thread> threads_;
};

/* ---- all rounds ---- */

void on_signal(int) {}
void on_end(int) { _exit(0); }

struct Outcome {
  u32 rounds = 0;
  u32 crashes = 0;  // processes that ended neither as told nor for want of memory
  u32 no_memory = 0;
  u32 cpus = 0;        // how often one was taken away
  u64 longest_ms = 0;  // from being told to end to the end
};

void run_rounds(const Settings& settings, Tally* tally, Outcome* outcome) {
  const u64 end = now_ms() + settings.seconds * u64{1000};
  for (u32 number = 0; now_ms() < end; number++) {
    const u64 round_end = std::min(end, now_ms() + settings.seconds * u64{1000} / kRounds);
    const int pid = fork_bound();
    if (pid < 0) return;
    if (!pid) {
      signal(SIGUSR1, on_signal);
      signal(SIGTERM, on_end);
      // Not from the stack, whose size is small.
      (new Round(settings, number, tally))->run();
    }
    int status = 0;
    pid_t ended = 0;
    while (now_ms() < round_end && !ended) {
      if (settings.races) outcome->cpus += take_cpu_away();
      usleep(100000);
      ended = waitpid(pid, &status, WNOHANG);
    }
    const u64 told = now_ms();
    if (!ended) {
      // In the middle of what its threads do, and with all its fds: as it likes, or not.
      kill(pid, number % 2 ? SIGKILL : SIGTERM);
      waitpid(pid, &status, 0);
    }
    // Its children, which are killed with it, are ours then.
    while (waitpid(-1, nullptr, 0) > 0) {
    }
    outcome->longest_ms = std::max(outcome->longest_ms, now_ms() - told);
    if (settings.races) allow_loads();
    outcome->rounds++;
    if (ended && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
      outcome->no_memory++;
    } else if (ended || (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)) {
      note("round " + std::to_string(number) + " ended with status " + std::to_string(status));
      outcome->crashes++;
    }
  }
}

/* ---- what is left ---- */

int device;

bool get_features(wring_features* features) {
  *features = {};
  return !ioctl(device, WRING_IOC_FEATURES, features);
}

// What was to stay is unloaded and detached, as an administrator would.
void give_back() {
  wring_link_detach detach = {};
  detach.flags = WRING_LINK_F_ALL;
  ioctl(device, WRING_IOC_LINK_DETACH, &detach);
  wring_next_id next = {};
  while (!ioctl(device, WRING_IOC_PROG_NEXT_ID, &next)) {
    wring_prog_open open = {next.id, 0};
    wring_prog_unload unload = {};
    const int fd = ioctl(device, WRING_IOC_PROG_OPEN, &open);
    if (fd < 0) continue;
    ioctl(fd, WRING_IOC_PROG_UNLOAD, &unload);
    close(fd);
  }
}

bool has_any(unsigned next_command) {
  wring_next_id next = {};
  return !ioctl(device, next_command, &next);
}

bool is_back(const wring_features& before, const wring_features& now) {
  // One user: our own open file.
  return now.programs == before.programs && now.reservations == before.reservations &&
         now.code_bytes == before.code_bytes && !has_any(WRING_IOC_PROG_NEXT_ID) &&
         !has_any(WRING_IOC_LINK_NEXT_ID) && read_file("/sys/module/wring/refcnt") == "1\n";
}

void check_leftovers(const wring_features& before) {
  wring_features now = {}, last = {};
  // What is deferred is so for RCU's grace periods, stubs are swept once a second, and debug kernels take long to free
  // address space: as long as there is less and less, it is waited for.
  constexpr u64 kPatienceMs = 60000;
  const u64 begin = now_ms();
  u64 progress = begin;
  do {
    give_back();
    usleep(100000);
    if (!get_features(&now)) break;
    if (std::memcmp(&now, &last, sizeof(now))) progress = now_ms();
    last = now;
  } while (!is_back(before, now) && now_ms() < progress + kPatienceMs);
  ok(is_back(before, now),
     "nothing is left: " + std::to_string(now.programs) + " programs, " +
         std::to_string(now.reservations) + " reservations, " +
         std::to_string(now.code_bytes - before.code_bytes) + " bytes of code, " +
         (has_any(WRING_IOC_PROG_NEXT_ID) ? "program ids, " : "no program ids, ") +
         (has_any(WRING_IOC_LINK_NEXT_ID) ? "links" : "no links") + ", module references " +
         std::to_string(std::atoi(read_file("/sys/module/wring/refcnt").c_str())) + ", after " +
         std::to_string(now_ms() - begin) + " ms");
  ok(now.internal_errors == before.internal_errors,
     std::to_string(now.internal_errors - before.internal_errors) + " internal errors");
  ok(now.loads == before.loads, "loads are allowed as before");
}

/* ---- the report ---- */

// "PROG_LOAD: 123 of 456 succeeded (EINVAL 300, ENOMEM 33)"
std::string describe(const std::string& name, const std::atomic<u32>* calls) {
  std::string errors;
  u64 all = 0;
  for (u32 error = 0; error < Tally::kErrnos; error++) {
    all += calls[error];
    const char* text = strerrorname_np(static_cast<int>(error));
    if (!error || !calls[error]) continue;
    errors += (errors.empty() ? "" : ", ") + std::string(text ? text : "other errors") + " " +
              std::to_string(calls[error]);
  }
  return name + ": " + std::to_string(calls[0]) + " of " + std::to_string(all) + " succeeded (" +
         errors + ")";
}

void report(const Settings& settings, const Tally& tally, const Outcome& outcome) {
  note(std::to_string(tally.steps) + " steps in " + std::to_string(outcome.rounds) + " rounds, " +
       std::to_string(tally.children) + " children, " + std::to_string(outcome.no_memory) +
       " rounds ended by lack of memory" +
       (can_fail() ? ", " + std::to_string(tally.faults) + " faults" : ""));
  ok(!tally.stuck && outcome.longest_ms < 60000,
     std::to_string(tally.stuck) + " processes could not be killed, the slowest round took " +
         std::to_string(outcome.longest_ms) + " ms to end");
  ok(!outcome.crashes, std::to_string(outcome.crashes) + " rounds crashed");
  if (settings.races) {
    for (u32 i = 0; i < kRaces.size(); i++)
      ok(tally.races[i], std::string(kRaces[i].name) + ": " + std::to_string(tally.races[i]));
    ok(outcome.cpus || access("/sys/devices/system/cpu/cpu1", F_OK),
       "CPUs taken away: " + std::to_string(outcome.cpus));
    ok(all_cpus_online(), "all CPUs are online");
    return;
  }
  for (usize i = 0; i < kCommands.size(); i++) {
    const std::string text = describe(std::string(kCommands[i].name), tally.calls[i]);
    if (settings.seconds >= kLongRun)
      ok(tally.calls[i][0], text);
    else
      note(text);
  }
  note(describe("others", tally.calls[Tally::kCommands]));
}

void limit_memory() {
  const u64 all =
      static_cast<u64>(sysconf(_SC_PHYS_PAGES)) * static_cast<u64>(sysconf(_SC_PAGESIZE));
  write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
  mkdir(kCgroup, 0755);
  if (!write_file(std::string(kCgroup) + "/memory.max", std::to_string(all / 2)))
    note("no memory cgroup: the machine may run out of memory");
}

bool parse(int argc, char** argv, Settings* settings) {
  for (int i = 1; i < argc; i++) {
    const std::string arg = argv[i];
    if (arg == "--races") {
      settings->races = true;
    } else if (arg == "--trace") {
      settings->trace = true;
    } else if (i + 1 < argc && (arg == "--seed" || arg == "--seconds" || arg == "--threads")) {
      char* end = nullptr;
      const u64 value = std::strtoull(argv[++i], &end, 0);
      if (*end || (arg != "--seed" && (!value || value > 1000000))) return false;
      if (arg == "--seed")
        settings->seed = value;
      else
        (arg == "--seconds" ? settings->seconds : settings->threads) = static_cast<u32>(value);
    } else {
      return false;
    }
  }
  return true;
}

int run(const Settings& settings) {
  device = open(WRING_DEVICE, O_RDWR | O_CLOEXEC);
  if (device < 0) {
    std::printf("1..0 # SKIP no %s: %s\n", WRING_DEVICE, std::strerror(errno));
    return 4;
  }
  note("seed " + std::to_string(settings.seed));
  void* shared =
      mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  wring_features before = {};
  if (shared == MAP_FAILED || !get_features(&before)) {
    std::printf("Bail out! %s\n", std::strerror(errno));
    return 1;
  }
  Tally* tally = new (shared) Tally();
  Outcome outcome;
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  limit_memory();
  if (can_fail()) set_up_faults();
  run_rounds(settings, tally, &outcome);
  rmdir(kCgroup);
  report(settings, *tally, outcome);
  check_leftovers(before);
  std::printf("1..%d\n", tests);
  return failures ? 1 : 0;
}

}  // namespace

}  // namespace wring::fuzz

int main(int argc, char** argv) {
  wring::fuzz::Settings settings;
  settings.seed = wring::fuzz::now_ms() ^ static_cast<wring::u64>(time(nullptr)) << 20;
  if (!wring::fuzz::parse(argc, argv, &settings)) {
    std::fputs(wring::fuzz::kUsage, stderr);
    return 2;
  }
  return wring::fuzz::run(settings);
}
