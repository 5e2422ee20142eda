// SPDX-License-Identifier: GPL-2.0
#include "selftests/fuzz/ioctl/races.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "selftests/fuzz/ioctl/system.h"

namespace wring::fuzz {

namespace {

int load_small(Caller* caller, int device, u32 type, u32 flags = 0) {
  return caller->load(device, small_program(&caller->choices(), type), type, flags);
}

void close_if_open(int fd) {
  if (fd >= 0) close(fd);
}

// A network namespace ends with its netfilter links, of which some are detached at that moment.
void networks(Caller* caller) {
  const u32 patience_ms = caller->choices().below(100);
  const bool is_killed = caller->choices().chance(30);
  const int pid = fork_bound();
  if (pid < 0) return;
  if (pid) return caller->wait_for(pid, is_killed ? patience_ms : 10000);
  enter_new_network();
  const int device = open(WRING_DEVICE, O_RDWR | O_CLOEXEC);
  for (u32 i = 0; i < 3; i++) {
    const int program = load_small(caller, device, WRING_PROG_NETFILTER);
    const long id = caller->attach_netfilter(device, program, i ? 1 : 2, i);
    if (id > 0) caller->pool().link_ids.put(static_cast<u32>(id));
    close_if_open(program);
  }
  send_packets(3, 100);
  _exit(0);
}

// Detaching walks all links of all networks as well.
void tracepoints(Caller* caller) {
  constexpr const char* kBusy[] = {"sys_enter", "sched_switch", "irq_handler_entry", "kfree_skb"};
  const int device = caller->pool().sessions.get(0);
  const int program = load_small(caller, device, WRING_PROG_RAW_TRACEPOINT);
  long ids[2];
  for (long& id : ids)
    id = caller->attach_tracepoint(device, program, caller->choices().pick(kBusy));
  close_if_open(program);
  send_packets(2, 64);
  for (const long id : ids)
    if (id > 0) caller->detach(device, static_cast<u32>(id));
}

// Threads that share a session: linking, invoking and closing wait for each other.
void session(Caller* caller) {
  const int device = caller->pool().sessions.get(1);
  Candidate pair;
  do pair = generated_module(&caller->choices());
  while (pair.exporter.empty());
  std::vector<u32> exports;
  match_imports(pair.module, pair.exporter, &exports);
  const int exporter = caller->instantiate(device, pair.exporter, {});
  std::vector<wring_import> imports;
  for (const u32 index : exports) imports.push_back({exporter, index});
  const int importer = exporter < 0 ? -1 : caller->instantiate(device, pair.module, imports);
  // One goes while the other still runs its code.
  if (caller->choices().chance(50)) {
    close_if_open(exporter);
    for (u32 i = 0; i < 5; i++) caller->invoke(importer, i, 20000);
  } else {
    for (u32 i = 0; i < 5; i++) caller->invoke(i % 2 ? importer : exporter, i, 20000);
    close_if_open(exporter);
  }
  close_if_open(importer);
}

// One thread makes a program that stays, binds a stub and lets go of both, others run them meanwhile.
void owners(Caller* caller) {
  const int device = caller->pool().sessions.get(2);
  const int program = load_small(caller, device, WRING_PROG_XDP, WRING_PROG_F_KEEP);
  if (program < 0) return;
  const int stub = load_stub(true, 2);
  const long id = caller->attach_stub(device, program, stub);
  caller->pool().programs.put(0, dup(program));
  caller->pool().stubs.put(0, dup(stub));
  caller->pool().attached.put(0, attach_xdp(stub));
  send_packets(3, 100);
  // Mostly detached, else swept up when the last fd of the stub is gone.
  if (id > 0 && caller->choices().chance(70)) caller->detach(device, static_cast<u32>(id));
  caller->pool().stubs.put(0, -1);
  caller->pool().attached.put(0, -1);
  close_if_open(stub);
  wring_prog_unload unload = {};
  while (caller->call(WRING_IOC_PROG_UNLOAD, program, &unload) == -EBUSY) usleep(20000);
  caller->pool().programs.put(0, -1);
  close(program);
}

void users(Caller* caller) {
  const u8 packet[64] = {};
  caller->run(caller->pool().programs.get(0), 20);
  test_run(caller->pool().stubs.get(0), packet, sizeof(packet), 20);
}

void killed_loaders(Caller* caller) {
  const u32 patience_ms = caller->choices().below(80);
  const bool is_endless = caller->choices().chance(30);
  const int pid = fork_bound();
  if (pid < 0) return;
  if (pid) return caller->wait_for(pid, patience_ms);
  const int device = open(WRING_DEVICE, O_RDWR | O_CLOEXEC);
  Candidate endless;
  endless.module = endless_start();
  if (is_endless) caller->load(device, endless, WRING_PROG_MODULE, 0);
  for (;;) {
    const Candidate generated = generated_module(&caller->choices());
    close_if_open(caller->load(device, generated, WRING_PROG_MODULE, WRING_PROG_F_KEEP));
    close_if_open(load_small(caller, device, caller->choices().below(4), WRING_PROG_F_KEEP));
  }
}

// The administrator's switch, in the middle of others' loads.
void loads_switch(Caller* caller) {
  usleep(50000 + caller->choices().below(100000));
  write_file("/proc/sys/wring/loads", "refused");
  usleep(caller->choices().below(5000));
  allow_loads();
}

constexpr Race kRaceTable[] = {
    {"networks that end", 1, networks},
    {"tracepoints attached and detached", 1, tracepoints},
    {"instances of one session", 2, session},
    {"programs let go of", 1, owners},
    {"and run", 1, users},
    {"loaders killed", 1, killed_loaders},
    {"loads refused for a moment", 1, loads_switch},
};

std::string last_cpu() {
  const std::string possible = read_file("/sys/devices/system/cpu/present");
  const usize dash = possible.rfind('-');
  if (dash == std::string::npos) return "";
  return "/sys/devices/system/cpu/cpu" + possible.substr(dash + 1, possible.find('\n') - dash - 1) +
         "/online";
}

}  // namespace

const std::span<const Race> kRaces = kRaceTable;

void allow_loads() { write_file("/proc/sys/wring/loads", "allowed"); }

bool take_cpu_away() {
  const std::string path = last_cpu();
  if (path.empty() || !write_file(path, "0")) return false;
  usleep(300000);
  // Bringing a CPU up allocates memory, and may be interrupted by whoever suspends.
  for (u32 tries = 0; tries < 20; tries++) {
    if (write_file(path, "1")) return true;
    usleep(200000);
  }
  return false;
}

bool all_cpus_online() {
  return read_file("/sys/devices/system/cpu/online") ==
         read_file("/sys/devices/system/cpu/present");
}

}  // namespace wring::fuzz
