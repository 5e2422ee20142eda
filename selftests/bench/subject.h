// SPDX-License-Identifier: GPL-2.0
// An XDP program under test, as Wasm behind its stub or as eBPF: to the kernel both are an eBPF program that
// BPF_PROG_TEST_RUN runs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "loader/map.h"
#include "selftests/bench/corpus.h"

struct bpf_object;

namespace wring::bench {

struct Run {
  std::uint32_t verdict = 0;
  std::uint32_t duration = 0;  // per invocation, of the kernel's clock
  std::vector<std::uint8_t> packet;
};

class Subject {
 public:
  virtual ~Subject() = default;

  // With the packet as the program leaves it.
  Run run(const Packet& packet) const;
  // As often as `repeat` says; without the packet.
  Run run_repeatedly(const Packet& packet, std::uint32_t repeat) const;
  // Machine code with its constants.
  virtual std::uint32_t code_bytes() const = 0;

  bool has_map(const std::string& name) const { return maps_.contains(name); }
  // Sets an element of an array of u64.
  void set(const std::string& map, std::uint32_t index, std::uint64_t value) const;
  // All elements of an array of u64, summed over CPUs.
  std::vector<std::uint64_t> sums(const std::string& map) const;
  std::vector<std::string> map_names() const;

 protected:
  int program_fd_ = -1;  // the derived class's
  std::map<std::string, loader::Map> maps_;
};

// Loads FILE.wasm into the module behind /dev/wring, and binds it to a stub.
std::unique_ptr<Subject> load_wasm(const loader::Fd& device, const std::string& file,
                                   std::uint32_t flags);
// Loads FILE.bpf.o with libbpf.
std::unique_ptr<Subject> load_ebpf(const std::string& file);

}  // namespace wring::bench
