// SPDX-License-Identifier: GPL-2.0
// What a thread of the fuzzer does, one step at a time.
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "selftests/fuzz/ioctl/caller.h"
#include "selftests/fuzz/ioctl/system.h"

namespace wring::fuzz {

namespace {

constexpr const char* kTracepoints[] = {"sys_enter",
                                        "sys_exit",
                                        "sched_switch",
                                        "sched_wakeup",
                                        "kfree_skb",
                                        "irq_handler_entry",
                                        "timer_start",
                                        "kmalloc",
                                        "x86_fpu_regs_activated",
                                        "mm_page_alloc",
                                        "workqueue_execute_start",
                                        "no_such_tracepoint"};
constexpr u32 kProtocols[] = {2, 10, 1};  // IPv4, IPv6, both

}  // namespace

void Caller::step(u64 number) {
  struct Step {
    u32 weight;
    void (Caller::*take)();
  };
  constexpr Step kSteps[] = {
      {26, &Caller::step_load}, {20, &Caller::step_instance}, {22, &Caller::step_invoke},
      {14, &Caller::step_run},  {16, &Caller::step_attach},   {14, &Caller::step_detach},
      {4, &Caller::step_walk},  {16, &Caller::step_query},    {6, &Caller::step_unload},
      {6, &Caller::step_any},   {4, &Caller::step_file},      {10, &Caller::step_fds},
      {5, &Caller::step_ebpf},  {6, &Caller::step_memory},    {2, &Caller::step_child},
  };
  reseed(number);
  u32 all = 0;
  for (const Step& step : kSteps) all += step.weight;
  u32 drawn = choices_.below(all);
  for (const Step& step : kSteps) {
    if (drawn < step.weight) {
      (this->*step.take)();
      break;
    }
    drawn -= step.weight;
  }
  tally_.steps++;
}

/* ---- programs and instances ---- */

wring_prog_load Caller::load_request(const Candidate& candidate, u32 type) {
  wring_prog_load load = {};
  const bool is_hook = type != WRING_PROG_MODULE;
  load.module = arena_.place(&choices_, candidate.module.data(), candidate.module.size()).address;
  load.module_bytes = candidate.module.size();
  load.type = type;
  if (choices_.chance(10)) load.flags |= WRING_PROG_F_KEEP;
  if (is_hook && choices_.chance(10)) {
    load.flags |= WRING_PROG_F_DEFAULT_VERDICT;
    load.default_verdict = choices_.below(3);
  }
  if (choices_.chance(10)) load.max_memory_pages = 1 + choices_.below(64);
  if (choices_.chance(5)) load.max_table_entries = choices_.below(2000);
  if (choices_.chance(5)) load.max_code_bytes = choices_.below(100000);
  if (choices_.chance(20)) load.stack_bytes = 4096 * (1 + choices_.below(64));
  if (is_hook || choices_.chance(50)) load.fuel = 1 + choices_.below(1 << 20);
  if (is_hook) {
    load.time_us = 20 + choices_.below(300);
    load.on_trap = choices_.below(WRING_ON_TRAP_DETACH + 1);
    if (load.on_trap == WRING_ON_TRAP_DETACH) load.trap_limit = choices_.below(10);
    if (choices_.chance(20)) load.timeout_limit = 1 + choices_.below(10);
  }
  std::snprintf(load.name, sizeof(load.name), "fuzz%u", choices_.below(100));
  if (is_hook && choices_.chance(95))
    std::snprintf(load.entry, sizeof(load.entry), "%s", candidate.entry.c_str());
  return load;
}

void Caller::step_load() {
  const u32 type = choices_.below(4);
  const bool is_generated = type == WRING_PROG_MODULE && choices_.chance(50);
  Candidate candidate = is_generated ? generated_module(&choices_) : small_program(&choices_, type);
  if (choices_.chance(20)) change_bytes(&choices_, &candidate.module);
  wring_prog_load load = load_request(candidate, type);
  std::vector<wring_map_ref> maps = map_refs(candidate);
  if (choices_.chance(5)) maps.resize(choices_.below(70));
  for (wring_map_ref& map : maps)
    if (choices_.chance(3)) change(kMapRef, &map);
  load.maps = arena_.place(&choices_, maps.data(), maps.size() * sizeof(maps[0])).address;
  load.map_count = static_cast<u32>(maps.size());
  const u32 slot = choices_.below(pool_.programs.kCount);
  const long fd = call_changed(WRING_IOC_PROG_LOAD, some_session(), &load);
  if (fd < 0) return;
  pool_.program_ids.put(load.id);
  pool_.programs.put(slot, static_cast<int>(fd));
}

int Caller::new_instance(u32 slot, const Body& module, const std::vector<u32>& exports,
                         int exporter) {
  std::vector<wring_import> imports;
  for (u32 index : exports) imports.push_back({exporter, exporter < 0 ? 0 : index});
  for (wring_import& import : imports)
    if (choices_.chance(2)) change(kImport, &import);
  wring_instance_new instance = {};
  instance.module = arena_.place(&choices_, module.data(), module.size()).address;
  instance.module_bytes = module.size();
  instance.imports =
      arena_.place(&choices_, imports.data(), imports.size() * sizeof(imports[0])).address;
  instance.import_count = static_cast<u32>(imports.size());
  if (choices_.chance(8)) {
    instance.flags = WRING_INSTANCE_F_VALIDATE;
    instance.import_count = 0;
  }
  instance.fuel = 1 + choices_.below(100000);
  if (choices_.chance(2)) instance.features = choices_.below(8);
  const long fd = call_changed(WRING_IOC_INSTANCE_NEW, pool_.sessions.get_exactly(slot), &instance);
  // 0: it was validated only.
  if (fd <= 0) return -1;
  pool_.instances.put(slot, static_cast<int>(fd));
  return static_cast<int>(fd);
}

void Caller::step_instance() {
  const u32 slot = choices_.below(pool_.instances.kCount);
  const u32 others = slot + pool_.sessions.kCount;
  if (choices_.chance(30)) {
    Candidate small = small_program(&choices_, kInstanceType);
    if (choices_.chance(20)) change_bytes(&choices_, &small.module);
    new_instance(slot, small.module, std::vector<u32>(small.imports), -1);
    return;
  }
  Candidate generated = generated_module(&choices_);
  std::vector<u32> exports;
  int exporter = -1;
  if (!generated.exporter.empty()) {
    match_imports(generated.module, generated.exporter, &exports);
    exporter = new_instance(others, generated.exporter, {}, -1);
  }
  if (choices_.chance(20)) change_bytes(&choices_, &generated.module);
  new_instance(slot, generated.module, exports, exporter);
}

void Caller::step_invoke() {
  const u32 slot = choices_.below(16);
  const int fd = choices_.chance(60) ? pool_.instances.get(slot) : pool_.programs.get(slot);
  wring_export_get get = {};
  get.export_index = choices_.below(12);
  wring_export_get changed = get;
  char name[8];
  if (choices_.chance(20)) {
    std::snprintf(name, sizeof(name), "f%u", choices_.below(6));
    changed.name_bytes = static_cast<u32>(std::strlen(name));
    changed.name = arena_.place(&choices_, name, changed.name_bytes).address;
  }
  const u64 fuel = 1 + choices_.below(100000);
  const u32 calls = 1 + choices_.below(3);
  call_changed(WRING_IOC_EXPORT_GET, fd, &changed);
  if (call(WRING_IOC_EXPORT_GET, fd, &get) || get.kind) return;
  for (u32 i = 0; i < calls; i++) {
    wring_invoke invoke = {};
    u64 values[80];
    for (u64& value : values) value = choices_.chance(50) ? choices_.below(100) : choices_.bits();
    for (const char* letter = get.params; *letter; letter++) {
      if (*letter == 'F' || *letter == 'E') values[invoke.arg_count] = 0;
      invoke.arg_count += 1 + (*letter == 'v');
    }
    invoke.export_index = get.export_index;
    invoke.name = changed.name;
    invoke.name_bytes = changed.name_bytes;
    invoke.args = arena_.place(&choices_, values, invoke.arg_count * sizeof(u64)).address;
    invoke.result_count = choices_.chance(90) ? 64 : choices_.below(4);
    invoke.results = room(invoke.result_count * sizeof(u64));
    invoke.fuel = fuel;
    call_changed(WRING_IOC_INVOKE, fd, &invoke);
  }
}

void Caller::step_run() {
  const int fd = some_program();
  const std::optional<u32> type = type_of(fd);
  u8 data[2048];
  for (u32 i = 0; i < sizeof(data); i += 8) {
    const u64 bits = choices_.bits();
    std::memcpy(data + i, &bits, sizeof(bits));
  }
  data[0] = choices_.chance(50) ? 0x45 : 0x60;
  wring_prog_run run = {};
  if (type == WRING_PROG_RAW_TRACEPOINT) {
    run.data_in_bytes = 8 * choices_.below(13);
  } else {
    run.data_in_bytes = 20 + choices_.below(1500);
    if (choices_.chance(60)) {
      run.data_out_bytes = choices_.below(2048);
      run.data_out = room(run.data_out_bytes);
    }
  }
  run.data_in = arena_.place(&choices_, data, run.data_in_bytes).address;
  run.repeat = choices_.below(choices_.chance(80) ? 3 : 50);
  call_changed(WRING_IOC_PROG_RUN, fd, &run);
}

void Caller::step_unload() {
  wring_prog_unload unload = {};
  call_changed(WRING_IOC_PROG_UNLOAD, some_program(), &unload);
}

/* ---- links ---- */

// One that there was, or one that there is unless others detach it.
u32 Caller::some_link() {
  const u32 slot = choices_.below(16);
  wring_next_id next = {pool_.link_ids.get(slot), 0};
  if (choices_.chance(50)) return next.id;
  next.id -= std::min(next.id, 1 + choices_.below(10));
  if (call(WRING_IOC_LINK_NEXT_ID, some_session(), &next)) return 0;
  return next.id;
}

void Caller::step_attach() {
  wring_link_attach attach = {};
  attach.prog_fd = some_program();
  switch (type_of(attach.prog_fd).value_or(WRING_PROG_MODULE)) {
    case WRING_PROG_XDP:
      attach.xdp.stub_fd = pool_.stubs.get(choices_.below(pool_.stubs.kCount));
      attach.xdp.ifindex = choices_.below(2);
      break;
    case WRING_PROG_RAW_TRACEPOINT:
      std::strcpy(attach.rawtp.tp_name, choices_.pick(kTracepoints));
      break;
    default:
      attach.netfilter.pf = choices_.pick(kProtocols);
      attach.netfilter.hooknum = choices_.below(6);
      attach.netfilter.priority = static_cast<i32>(choices_.below(600)) - 300;
  }
  if (!call_changed(WRING_IOC_LINK_ATTACH, some_session(), &attach)) pool_.link_ids.put(attach.id);
}

void Caller::step_detach() {
  wring_link_detach detach = {};
  detach.id = some_link();
  if (choices_.chance(20)) {
    detach.flags = WRING_LINK_F_PROG_FD;
    detach.prog_fd = some_program();
  } else if (choices_.chance(25)) {
    // Often enough that busy tracepoints do not make everything slow.
    detach.flags = WRING_LINK_F_ALL;
    detach.id = 0;
  }
  call_changed(WRING_IOC_LINK_DETACH, some_session(), &detach);
}

/* ---- looking ---- */

void Caller::step_walk() {
  const unsigned number = choices_.chance(50) ? WRING_IOC_PROG_NEXT_ID : WRING_IOC_LINK_NEXT_ID;
  const int session = some_session();
  wring_next_id next = {};
  for (u32 i = 0; i < 40; i++) {
    wring_next_id changed = next;
    if (call_changed(number, session, &changed) || call(number, session, &next)) break;
    if (number == WRING_IOC_PROG_NEXT_ID)
      pool_.program_ids.put(next.id);
    else
      pool_.link_ids.put(next.id);
  }
}

void Caller::step_query() {
  const int session = some_session(), program = some_program();
  const u32 bytes = choices_.below(1 << 16), id = choices_.below(16);
  switch (choices_.below(6)) {
    case 0: {
      wring_features features = {};
      call_changed(WRING_IOC_FEATURES, session, &features);
      break;
    }
    case 1: {
      wring_prog_open open = {};
      open.id = pool_.program_ids.get(id);
      if (choices_.chance(50)) {
        wring_next_id next = {open.id - std::min(open.id, 10u), 0};
        call(WRING_IOC_PROG_NEXT_ID, session, &next);
        open.id = next.id;
      }
      const long fd = call_changed(WRING_IOC_PROG_OPEN, session, &open);
      if (fd >= 0) pool_.programs.put(id, static_cast<int>(fd));
      break;
    }
    case 2: {
      wring_prog_info info = {};
      info.map_room = choices_.below(5);
      info.map_ids = room(info.map_room * sizeof(u32));
      call_changed(WRING_IOC_PROG_INFO, program, &info);
      break;
    }
    case 3: {
      wring_prog_code code = {};
      code.bytes = bytes;
      code.buffer = room(bytes);
      call_changed(WRING_IOC_PROG_CODE, program, &code);
      break;
    }
    case 4: {
      wring_prog_module module = {};
      module.bytes = bytes;
      module.buffer = room(bytes);
      call_changed(WRING_IOC_PROG_MODULE, program, &module);
      break;
    }
    default: {
      wring_link_info info = {};
      info.id = some_link();
      if (choices_.chance(30)) {
        info.flags = WRING_LINK_F_PROG_FD;
        info.prog_fd = program;
      }
      call_changed(WRING_IOC_LINK_INFO, session, &info);
    }
  }
}

/* ---- anything ---- */

// Bits that are no request at all, or a request to the wrong file.
void Caller::step_any() {
  u8 bytes[1 << 14];
  const u32 words = sizeof(bytes) / 4, size = choices_.below(choices_.chance(80) ? 1200 : 1 << 14);
  for (u32 i = 0; i < words && i * 4 < size; i++) {
    const u32 word = choices_.chance(80) ? choices_.below(4) : static_cast<u32>(choices_.bits());
    std::memcpy(bytes + i * 4, &word, sizeof(word));
  }
  const Command& command = kCommands[choices_.below(static_cast<u32>(kCommands.size()))];
  unsigned number = command.number;
  if (choices_.chance(50)) {
    const u32 type = choices_.chance(90) ? WRING_IOC_MAGIC : choices_.below(256);
    number = _IOC(choices_.chance(90) ? 3 : choices_.below(4), type, choices_.below(64), size);
  }
  const int fd = choices_.chance(50) ? some_session() : odd_fd();
  // Not what could take for ever, or creates what nobody would close.
  const u32 nr = _IOC_NR(number);
  if (nr == _IOC_NR(WRING_IOC_INVOKE) || nr == _IOC_NR(WRING_IOC_PROG_RUN)) return;
  const long result = issue(nullptr, number, fd, arena_.place(&choices_, bytes, size).address);
  if (result <= 2 || _IOC_TYPE(number) != WRING_IOC_MAGIC) return;
  if (nr == _IOC_NR(WRING_IOC_PROG_LOAD) || nr == _IOC_NR(WRING_IOC_PROG_OPEN) ||
      nr == _IOC_NR(WRING_IOC_INSTANCE_NEW))
    close(static_cast<int>(result));
}

// Other system calls on the device's files.
void Caller::step_file() {
  constexpr usize kBytes = 8192;
  u8 bytes[64];
  const u32 i = choices_.below(16);
  const int fds[] = {pool_.sessions.get(i), pool_.programs.get(i), pool_.instances.get(i)};
  const int fd = choices_.pick(fds);
  pollfd polled = {fd, POLLIN | POLLOUT, 0};
  char name[64];
  switch (choices_.below(8)) {
    case 0: {
      constexpr int kFlags[] = {MAP_SHARED, MAP_PRIVATE, MAP_SHARED | MAP_POPULATE};
      void* at = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, choices_.pick(kFlags), fd,
                      static_cast<off_t>(choices_.below(3)) * 4096);
      if (at != MAP_FAILED) munmap(at, kBytes);
      break;
    }
    case 1:
      if (read(fd, bytes, sizeof(bytes)) > 0) break;
      [[fallthrough]];
    case 2:
      if (write(fd, bytes, sizeof(bytes)) > 0) break;
      [[fallthrough]];
    case 3: poll(&polled, 1, 0); break;
    case 4:
      std::snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
      read_file(name);
      break;
    case 5: {
      struct stat status;
      lseek(fd, 100, SEEK_SET);
      if (fstat(fd, &status) || ftruncate(fd, 10) || flock(fd, LOCK_EX | LOCK_NB)) break;
      break;
    }
    case 6: {
      const int set = epoll_create1(EPOLL_CLOEXEC);
      epoll_event event = {EPOLLIN, {}};
      epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
      close(set);
      break;
    }
    default: {
      // Reopened by its name, where that is possible.
      std::snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
      const int again = open(name, O_RDWR | O_CLOEXEC);
      if (again >= 0) close(again);
    }
  }
}

// Slots get something else, or nothing; files travel through a socket, which may go with them inside.
void Caller::step_fds() {
  const u32 i = choices_.below(64);
  switch (choices_.below(12)) {
    case 0: return open_session(i);
    case 1:
    case 2:
    case 3: return pool_.programs.put(i, -1);
    case 4:
    case 5:
    case 6: return pool_.instances.put(i, -1);
    case 7: return pool_.programs.put(i, dup(some_program()));
    case 8: return pool_.others.put(i, eventfd(0, EFD_CLOEXEC));
    case 9: {
      int ends[2];
      if (pipe2(ends, O_CLOEXEC)) return;
      pool_.others.put(i, ends[0]);
      return pool_.others.put(i + 1, ends[1]);
    }
    case 10: return pool_.others.put(i, create_map(BPF_MAP_TYPE_QUEUE, 0, 8, 4, 0));
    default: {
      int ends[2];
      if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends)) return;
      const int passed[] = {some_program(), some_session()};
      char control[CMSG_SPACE(sizeof(passed))] = {}, byte = 0;
      iovec data = {&byte, 1};
      msghdr message = {};
      message.msg_iov = &data;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(passed));
      std::memcpy(CMSG_DATA(header), passed, sizeof(passed));
      // Of fds that are closed nothing is sent.
      static_cast<void>(sendmsg(ends[0], &message, 0));
      close(ends[0]);
      pool_.others.put(i, ends[1]);
    }
  }
}

void Caller::step_ebpf() {
  const u32 i = choices_.below(4);
  const u8 packet[64] = {};
  switch (choices_.below(6)) {
    case 0: return pool_.stubs.put(i, load_stub(choices_.chance(90), choices_.below(5)));
    case 1: return test_run(pool_.stubs.get(i), packet, sizeof(packet), 1 + choices_.below(20));
    case 2: return pool_.attached.put(i, attach_xdp(pool_.stubs.get(i)));
    case 3: return pool_.attached.put(i, -1);
    case 4:
      // The map of programs that are loaded goes; another takes its place.
      return pool_.maps.put(
          i, create_map(choices_.chance(50) ? BPF_MAP_TYPE_HASH : BPF_MAP_TYPE_PERCPU_HASH, 4,
                        8 * (1 + choices_.below(4)), 64, 0));
    default: return send_packets(1 + choices_.below(8), choices_.below(1400));
  }
}

void Caller::step_memory() {
  if (choices_.chance(50))
    pool_.commons.scribble(&choices_);
  else
    pool_.commons.map_or_unmap(&choices_);
}

/* ---- children ---- */

void Caller::wait_for(int pid, u32 patience_ms) {
  constexpr u32 kMostMs = 60000;
  const u64 begin = now_ms();
  bool is_killed = false;
  int status;
  for (;;) {
    const u64 waited = now_ms() - begin;
    if (waitpid(pid, &status, WNOHANG)) return;
    if (waited >= patience_ms && !is_killed) {
      kill(pid, SIGKILL);
      is_killed = true;
    }
    if (waited > patience_ms + kMostMs) break;
    usleep(waited < 20 ? 500 : 5000);
  }
  // It does not even die.
  tally_.stuck++;
}

// With fewer rights, fewer fds, or its own fuel budgets: the process ends in some way before long.
void Caller::in_child() {
  faults_.use(Faults::How::kNone);
  if (choices_.chance(30)) {
    u64 kept = 0;
    for (u32 capability : {CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_SYS_ADMIN})
      if (choices_.chance(50)) kept |= 1ull << capability;
    keep_capabilities(kept);
  }
  if (choices_.chance(20)) {
    // No new file gets an fd: everything done so far must be undone.
    const rlimit limit = {3, 3};
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (choices_.chance(20)) enter_new_network();
  const u64 steps = is_doomed_ ? ~u64{0} : 1 + choices_.below(10), first = choices_.bits();
  if (is_doomed_ && choices_.chance(40)) {
    Candidate endless;
    endless.module = endless_start();
    load(some_session(), endless, WRING_PROG_MODULE, 0);
  }
  for (u64 i = 0; i < steps; i++) step(first + i);
  _exit(0);
}

void Caller::step_child() {
  const bool is_doomed = choices_.chance(50);
  const u32 patience_ms = is_doomed ? choices_.below(60) : 3000;
  // Children do not have children: they would outlive those who wait.
  if (is_child_) return;
  tally_.children++;
  const int pid = fork_bound();
  if (pid < 0) return;
  if (!pid) {
    is_child_ = true;
    is_doomed_ = is_doomed;
    in_child();
  }
  wait_for(pid, patience_ms);
}

}  // namespace wring::fuzz
