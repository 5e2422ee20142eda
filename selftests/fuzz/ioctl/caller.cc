// SPDX-License-Identifier: GPL-2.0
// How requests are changed and issued, and how valid ones are made. What a thread does with them: steps.cc.
#include "selftests/fuzz/ioctl/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "selftests/fuzz/ioctl/system.h"

namespace wring::fuzz {

/* ---- faults ---- */

void Faults::use(How how) {
  if (fd_ >= 0) close(fd_);
  how_ = how;
  fd_ = -1;
  // The kernel's own writes to a signal's frame could fail, which would be a fault of ours.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  pthread_sigmask(how == How::kNone ? SIG_UNBLOCK : SIG_BLOCK, &signals, nullptr);
  if (how == How::kNone) return;
  fd_ = open(how == How::kNth ? "/proc/thread-self/fail-nth" : "/proc/thread-self/make-it-fail",
             O_RDWR | O_CLOEXEC);
}

void Faults::begin(Choices* choices) {
  if (fd_ < 0) return;
  const u32 most = choices->chance(50) ? 8 : 120;
  set(how_ == How::kNth ? std::to_string(1 + choices->below(most)) : "1");
}

bool Faults::end() {
  if (fd_ < 0) return false;
  char left[16] = {};
  const bool failed = how_ == How::kNth && pread(fd_, left, sizeof(left), 0) > 0 && left[0] == '0';
  set("0");
  return failed;
}

// Itself may be made to fail, but not for ever.
void Faults::set(const std::string& value) {
  while (pwrite(fd_, value.data(), value.size(), 0) < 0) {
  }
}

/* ---- changes ---- */

namespace {

u64 load_number(const u8* at, usize bytes) {
  u64 value = 0;
  std::memcpy(&value, at, std::min<usize>(bytes, 8));
  return value;
}

const Field* field_of(const Struct& type, std::string_view name) {
  for (const Field& field : type.fields)
    if (field.name == name) return &field;
  return nullptr;
}

u64 mix(u64 seed, u64 number) {
  return (seed + 1) * 0x9e3779b97f4a7c15 ^ number * 0xbf58476d1ce4e5b9;
}

}  // namespace

Caller::Caller(const Options& options, Pool* pool, Tally* tally)
    : options_(options),
      pool_(*pool),
      tally_(*tally),
      choices_(options.seed),
      arena_(&pool->commons) {
  if (options.trace) log_ = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
}

void Caller::reseed(u64 number) { choices_ = Choices(mix(options_.seed, number)); }

u64 Caller::odd_number(u64 now, u64 most) {
  const u64 numbers[] = {0,          1,          now + 1,          now - 1,    now * 2,
                         now ^ 1,    most,       most + 1,         most - 1,   0x7fffffff,
                         0x80000000, 0xffffffff, ~u64{0},          1ull << 63, 4095,
                         4096,       65536,      1 << 20,          1ull << 32, 10000,
                         64ul << 20, most / 2,   now ^ 1ull << 32, now + 4096};
  return choices_.chance(90) ? choices_.pick(numbers) : choices_.bits();
}

// One of another kind, mostly.
int Caller::odd_fd() {
  const u32 i = choices_.below(64);
  constexpr int kNumbers[] = {-1, 0, 1000, 0x7fffffff, -0x7fffffff - 1, -2};
  switch (choices_.below(7)) {
    case 0: return pool_.sessions.get(i);
    case 1: return pool_.programs.get(i);
    case 2: return pool_.instances.get(i);
    case 3: return pool_.stubs.get(i);
    case 4: return pool_.maps.get(i);
    case 5: return pool_.others.get(i);
    default: return choices_.pick(kNumbers);
  }
}

// Room for the kernel to write to.
u64 Caller::room(usize bytes) {
  static const u8 kZeros[kRegionBytes] = {};
  return arena_.place(&choices_, kZeros, std::min(bytes, kRegionBytes)).address;
}

void Caller::change_field(const Field& field, u8* at) {
  const u64 now = load_number(at, field.bytes);
  u64 value = choices_.bits();
  switch (field.kind) {
    case Kind::kOut:
    case Kind::kReserved: break;
    case Kind::kNumber:
    case Kind::kCount: value = odd_number(now, field.most); break;
    case Kind::kFlags: value = now ^ 1ull << choices_.below(choices_.chance(70) ? 3 : 32); break;
    case Kind::kEnum:
      value = odd_number(choices_.below(static_cast<u32>(field.most)), field.most);
      break;
    case Kind::kPointer: value = arena_.wild(&choices_, choices_.below(4096)); break;
    case Kind::kProgramFd:
    case Kind::kInstanceFd:
    case Kind::kStubFd:
    case Kind::kMapFd: value = static_cast<u64>(odd_fd()); break;
    case Kind::kProgramId:
      value = odd_number(pool_.program_ids.get(choices_.below(16)), now);
      break;
    case Kind::kLinkId: value = odd_number(pool_.link_ids.get(choices_.below(16)), now); break;
    case Kind::kText:
      if (choices_.chance(30))
        std::memset(at, 'x', field.bytes);
      else
        at[choices_.below(field.bytes)] = static_cast<u8>(value);
      return;
  }
  std::memcpy(at, &value, std::min<usize>(field.bytes, 8));
}

void Caller::change(const Struct& type, void* argument) {
  const u32 changes = 1 + choices_.below(2);
  for (u32 i = 0; i < changes; i++) {
    const Field& field = type.fields[choices_.below(static_cast<u32>(type.fields.size()))];
    change_field(field, static_cast<u8*>(argument) + field.offset);
  }
}

// A buffer for the explanation, or none.
void Caller::set_error_buffer(const Struct& type, void* argument) {
  const Field* error = field_of(type, "error");
  if (!error || choices_.chance(50)) return;
  const u32 bytes = choices_.chance(80) ? sizeof(wring_error_info) : 1 + choices_.below(400);
  const u64 address = room(bytes);
  std::memcpy(static_cast<u8*>(argument) + error->offset, &address, sizeof(address));
  std::memcpy(static_cast<u8*>(argument) + field_of(type, "error_bytes")->offset, &bytes,
              sizeof(bytes));
}

// What is to end by itself does so soon; test runs end with a signal too, and loads when their process is killed.
void Caller::bound(unsigned number, void* argument) {
  constexpr u64 kMostFuel = 1 << 21;
  if (is_doomed_) return;
  if (number == WRING_IOC_INVOKE) {
    auto* invoke = static_cast<wring_invoke*>(argument);
    invoke->fuel = std::clamp<u64>(invoke->fuel, 1, kMostFuel);
  } else if (number == WRING_IOC_INSTANCE_NEW) {
    auto* instance = static_cast<wring_instance_new*>(argument);
    instance->fuel = std::clamp<u64>(instance->fuel, 1, kMostFuel);
  } else if (number == WRING_IOC_PROG_RUN && (!choices_.chance(2) || faults_.is_used())) {
    auto* run = static_cast<wring_prog_run*>(argument);
    run->repeat = std::min(run->repeat, 100u);
  }
}

/* ---- calls ---- */

long Caller::issue(const Command* command, unsigned number, int fd, u64 address) {
  if (log_ >= 0) {
    char line[128];
    const int bytes =
        std::snprintf(line, sizeof(line), "<7>fuzz %d: %s %#x on %d at %#llx\n",
                      static_cast<int>(syscall(SYS_gettid)), command ? command->name.data() : "?",
                      number, fd, static_cast<unsigned long long>(address));
    if (write(log_, line, static_cast<usize>(bytes)) < 0) close(log_), log_ = -1;
  }
  faults_.begin(&choices_);
  const long result = syscall(SYS_ioctl, fd, number, address);
  const int error = result < 0 ? errno : 0;
  if (faults_.end()) tally_.faults++;
  const u32 row = command ? static_cast<u32>(command - kCommands.data()) : Tally::kCommands;
  tally_.calls[row][std::min<u32>(static_cast<u32>(error), Tally::kErrnos - 1)]++;
  return result < 0 ? -error : result;
}

long Caller::call(unsigned number, int fd, void* argument) {
  return issue(&command_of(number), number, fd, reinterpret_cast<u64>(argument));
}

long Caller::call_changed(unsigned number, int fd, void* argument) {
  const Command& command = command_of(number);
  const usize size = command.argument->bytes;
  set_error_buffer(*command.argument, argument);
  if (choices_.chance(35)) change(*command.argument, argument);
  bound(number, argument);
  if (choices_.chance(3)) fd = odd_fd();
  if (choices_.chance(1)) return issue(&command, number, fd, arena_.wild(&choices_, size));
  if (choices_.chance(3)) return issue(&command, number, fd, arena_.place_readonly(argument, size));

  // Callers of other times have smaller and larger structs.
  usize given = size;
  if (choices_.chance(5)) {
    given =
        choices_.chance(70) ? choices_.below(static_cast<u32>(size + 64)) : choices_.below(1 << 14);
    number = _IOC(_IOC_DIR(number), _IOC_TYPE(number), _IOC_NR(number), given);
  }
  std::vector<u8> bytes(std::max(size, given), choices_.chance(10));
  std::memcpy(bytes.data(), argument, size);
  const Placed placed = arena_.place(&choices_, bytes.data(), given);
  const long result = issue(&command, number, fd, placed.address);
  if (placed.bytes) std::memcpy(argument, placed.bytes, std::min(size, given));
  return result;
}

/* ---- valid requests ---- */

int Caller::load(int device, const Candidate& candidate, u32 type, u32 flags) {
  wring_prog_load load = {};
  std::vector<wring_map_ref> maps = map_refs(candidate);
  load.module = reinterpret_cast<u64>(candidate.module.data());
  load.module_bytes = candidate.module.size();
  load.maps = reinterpret_cast<u64>(maps.data());
  load.map_count = static_cast<u32>(maps.size());
  load.type = type;
  load.flags = flags;
  load.time_us = type == WRING_PROG_MODULE ? 0 : 200;
  std::strcpy(load.name, "race");
  if (type != WRING_PROG_MODULE)
    std::snprintf(load.entry, sizeof(load.entry), "%s", candidate.entry.c_str());
  return static_cast<int>(call(WRING_IOC_PROG_LOAD, device, &load));
}

int Caller::instantiate(int device, const Body& module, const std::vector<wring_import>& imports) {
  wring_instance_new instance = {};
  instance.module = reinterpret_cast<u64>(module.data());
  instance.module_bytes = module.size();
  instance.imports = reinterpret_cast<u64>(imports.data());
  instance.import_count = static_cast<u32>(imports.size());
  instance.fuel = 100000;
  return static_cast<int>(call(WRING_IOC_INSTANCE_NEW, device, &instance));
}

long Caller::invoke(int fd, u32 export_index, u64 fuel) {
  wring_invoke invoke = {};
  u64 values[2000] = {};
  wring_export_get get = {};
  get.export_index = export_index;
  const long err = call(WRING_IOC_EXPORT_GET, fd, &get);
  if (err) return err;
  invoke.export_index = export_index;
  invoke.args = invoke.results = reinterpret_cast<u64>(values);
  for (const char* letter = get.params; *letter; letter++) invoke.arg_count += 1 + (*letter == 'v');
  invoke.result_count = 1000;
  invoke.fuel = fuel;
  return call(WRING_IOC_INVOKE, fd, &invoke);
}

long Caller::run(int program, u32 repeat) {
  wring_prog_run run = {};
  u8 data[64] = {0x45};
  run.data_in = reinterpret_cast<u64>(data);
  run.data_in_bytes = sizeof(data);
  if (type_of(program) == WRING_PROG_RAW_TRACEPOINT) run.data_in_bytes = 8;
  run.repeat = repeat;
  return call(WRING_IOC_PROG_RUN, program, &run);
}

long Caller::attach_tracepoint(int device, int program, const char* name) {
  wring_link_attach attach = {};
  attach.prog_fd = program;
  std::snprintf(attach.rawtp.tp_name, sizeof(attach.rawtp.tp_name), "%s", name);
  const long err = call(WRING_IOC_LINK_ATTACH, device, &attach);
  return err ? err : static_cast<long>(attach.id);
}

long Caller::attach_netfilter(int device, int program, u32 pf, u32 hook) {
  wring_link_attach attach = {};
  attach.prog_fd = program;
  attach.netfilter.pf = pf;
  attach.netfilter.hooknum = hook;
  const long err = call(WRING_IOC_LINK_ATTACH, device, &attach);
  return err ? err : static_cast<long>(attach.id);
}

long Caller::attach_stub(int device, int program, int stub) {
  wring_link_attach attach = {};
  attach.prog_fd = program;
  attach.xdp.stub_fd = stub;
  const long err = call(WRING_IOC_LINK_ATTACH, device, &attach);
  return err ? err : static_cast<long>(attach.id);
}

long Caller::detach(int device, u32 id) {
  wring_link_detach detach = {};
  detach.id = id;
  return call(WRING_IOC_LINK_DETACH, device, &detach);
}

std::vector<wring_map_ref> Caller::map_refs(const Candidate& candidate) {
  std::vector<wring_map_ref> refs;
  for (const std::string& name : candidate.maps) {
    wring_map_ref ref = {};
    std::snprintf(ref.name, sizeof(ref.name), "%s", name.c_str());
    ref.fd = pool_.maps.get(choices_.below(pool_.maps.kCount));
    refs.push_back(ref);
  }
  return refs;
}

std::optional<u32> Caller::type_of(int program) {
  wring_prog_info info = {};
  if (call(WRING_IOC_PROG_INFO, program, &info)) return std::nullopt;
  return info.type;
}

/* ---- the pool ---- */

void Caller::open_session(u32 slot) {
  pool_.sessions.put(slot, open(WRING_DEVICE, O_RDWR | O_CLOEXEC));
}

void Caller::fill_pool() {
  for (u32 i = 0; i < pool_.sessions.kCount; i++) open_session(i);
  constexpr struct {
    u32 type, key, value, entries, flags;
  } kMaps[] = {{BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0},
               {BPF_MAP_TYPE_HASH, 4, 16, 64, 0},
               {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 16, 0},
               {BPF_MAP_TYPE_LRU_HASH, 8, 24, 64, 0},
               {BPF_MAP_TYPE_LPM_TRIE, 8, 8, 64, BPF_F_NO_PREALLOC},
               {BPF_MAP_TYPE_ARRAY, 4, 64, 4, BPF_F_RDONLY_PROG}};
  for (u32 i = 0; i < pool_.maps.kCount; i++)
    pool_.maps.put(i, create_map(kMaps[i].type, kMaps[i].key, kMaps[i].value, kMaps[i].entries,
                                 kMaps[i].flags));
  for (u32 i = 0; i < pool_.stubs.kCount; i++) pool_.stubs.put(i, load_stub(i != 3, 2));
}

}  // namespace wring::fuzz
