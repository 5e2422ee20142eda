// SPDX-License-Identifier: GPL-2.0
// One thread that calls /dev/wring: requests that are mostly valid, changed here and there, on file descriptors that it
// shares with other threads. Each step draws its choices from a seed of its own, so that a thread makes the same ones
// whatever came of the steps before.
#pragma once

#include <optional>

#include "selftests/fuzz/ioctl/modules.h"
#include "selftests/fuzz/ioctl/pool.h"

namespace wring::fuzz {

// Makes allocations of the calling thread fail, where the kernel can (CONFIG_FAULT_INJECTION).
class Faults {
 public:
  enum class How { kNone, kNth, kRandom };
  // For the thread that calls this, which then gets no signals that it could handle.
  void use(How how);
  bool is_used() const { return fd_ >= 0; }
  void begin(Choices* choices);
  // Whether something was made to fail.
  bool end();

 private:
  void set(const std::string& value);

  How how_ = How::kNone;
  int fd_ = -1;
};

class Caller {
 public:
  struct Options {
    u64 seed;
    bool trace;  // every call is announced in the kernel's log
  };

  Caller(const Options& options, Pool* pool, Tally* tally);

  void use_faults(Faults::How how) { faults_.use(how); }
  void step(u64 number);

  // Also for races: as they should be called. Results are what ioctl returns, or -errno.
  long call(unsigned number, int fd, void* argument);
  int load(int device, const Candidate& candidate, u32 type, u32 flags);
  int instantiate(int device, const Body& module, const std::vector<wring_import>& imports);
  long invoke(int fd, u32 export_index, u64 fuel);
  long run(int program, u32 repeat);
  // The link's id, or -errno.
  long attach_tracepoint(int device, int program, const char* name);
  long attach_netfilter(int device, int program, u32 pf, u32 hook);
  long attach_stub(int device, int program, int stub);
  long detach(int device, u32 id);

  // Fills the slots with something to begin with.
  void fill_pool();
  void open_session(u32 slot);

  Choices& choices() { return choices_; }
  Pool& pool() { return pool_; }
  void reseed(u64 number);
  // Until a child ends, which is killed if it has not done so by then.
  void wait_for(int pid, u32 patience_ms);

 private:
  // A request that may be changed on its way.
  long call_changed(unsigned number, int fd, void* argument);
  long issue(const Command* command, unsigned number, int fd, u64 address);
  void change(const Struct& type, void* argument);
  void change_field(const Field& field, u8* at);
  void set_error_buffer(const Struct& type, void* argument);
  void bound(unsigned number, void* argument);
  u64 odd_number(u64 now, u64 most);
  int odd_fd();
  u64 room(usize bytes);

  void step_load();
  void step_instance();
  void step_invoke();
  void step_run();
  void step_attach();
  void step_detach();
  void step_walk();
  void step_query();
  void step_unload();
  void step_any();
  void step_file();
  void step_fds();
  void step_ebpf();
  void step_memory();
  void step_child();

  wring_prog_load load_request(const Candidate& candidate, u32 type);
  std::vector<wring_map_ref> map_refs(const Candidate& candidate);
  int new_instance(u32 slot, const Body& module, const std::vector<u32>& exports, int exporter);
  std::optional<u32> type_of(int program);
  int some_program() { return pool_.programs.get(choices_.below(pool_.programs.kCount)); }
  int some_session() { return pool_.sessions.get(choices_.below(pool_.sessions.kCount)); }
  u32 some_link();
  void in_child();

  Options options_;
  Pool& pool_;
  Tally& tally_;
  Choices choices_;
  Arena arena_;
  Faults faults_;
  bool is_child_ = false;
  bool is_doomed_ = false;  // a child that will be killed: it may take for ever
  int log_ = -1;
};

}  // namespace wring::fuzz
