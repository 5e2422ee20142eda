// SPDX-License-Identifier: GPL-2.0
// An XDP program under test.
#include "selftests/bench/subject.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstring>

#include "loader/attach.h"

namespace wring::bench {

using loader::Failure;
using loader::Fd;
using loader::Guest;
using loader::GuestMap;
using loader::Map;
using loader::system_error;

namespace {

class WasmSubject : public Subject {
 public:
  WasmSubject(const Fd& device, const std::string& file, std::uint32_t flags) : device_(device) {
    Guest guest = loader::read_guest(file);
    if (guest.programs.size() != 1) throw Failure(file + ": not one program");
    wring_prog_load load{};
    std::vector<wring_map_ref> refs;
    for (const GuestMap& wanted : guest.maps) {
      Map& map = maps_[wanted.name] = loader::create_map(wanted);
      refs.emplace_back();
      loader::set_field(refs.back().name, wanted.name, "map name");
      refs.back().fd = map.fd.get();
    }
    load.module = loader::user_address(guest.bytes.data());
    load.module_bytes = guest.bytes.size();
    load.maps = loader::user_address(refs.data());
    load.map_count = static_cast<std::uint32_t>(refs.size());
    load.type = WRING_PROG_XDP;
    load.flags = flags;
    loader::set_field(load.name, "subject", "name");
    loader::set_field(load.entry, guest.programs[0].entry, "entry");
    program_ = Fd(loader::command(device.get(), WRING_IOC_PROG_LOAD, &load, file));
    info_ = loader::program_info(program_).raw;
    stub_ = loader::load_stub(BPF_PROG_TYPE_XDP, info_);
    wring_link_attach attach{};
    attach.prog_fd = program_.get();
    attach.xdp.stub_fd = stub_.get();
    loader::command(device.get(), WRING_IOC_LINK_ATTACH, &attach, file);
    link_ = attach.id;
    program_fd_ = stub_.get();
  }
  ~WasmSubject() override {
    wring_link_detach detach{};
    detach.id = link_;
    // An error here shows up as a module that cannot be unloaded.
    try {
      loader::command(device_.get(), WRING_IOC_LINK_DETACH, &detach, "detach");
    } catch (const Failure& failure) {
      std::fprintf(stderr, "%s\n", failure.what());
    }
  }
  std::uint32_t code_bytes() const override { return static_cast<std::uint32_t>(info_.code_bytes); }

 private:
  const Fd& device_;
  Fd program_, stub_;
  wring_prog_info info_{};
  std::uint32_t link_ = 0;
};

class EbpfSubject : public Subject {
 public:
  explicit EbpfSubject(const std::string& file)
      : object_(bpf_object__open_file(file.c_str(), nullptr), bpf_object__close) {
    if (!object_) throw system_error(file, errno);
    if (int err = bpf_object__load(object_.get()); err < 0) throw system_error(file, -err);
    bpf_program* program = bpf_object__next_program(object_.get(), nullptr);
    if (!program) throw Failure(file + ": no program");
    program_fd_ = bpf_program__fd(program);
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object_.get()) {
      bpf_map_info info{};
      __u32 size = sizeof(info);
      if (int err = bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &size); err < 0)
        throw system_error(file + ": map", -err);
      maps_[bpf_map__name(map)] = loader::map_from_id(info.id);
    }
  }
  std::uint32_t code_bytes() const override {
    bpf_prog_info info{};
    __u32 size = sizeof(info);
    if (int err = bpf_obj_get_info_by_fd(program_fd_, &info, &size); err < 0)
      throw system_error("program info", -err);
    return info.jited_prog_len;
  }

 private:
  std::unique_ptr<bpf_object, void (*)(bpf_object*)> object_;
};

}  // namespace

Run Subject::run(const Packet& packet) const {
  Run result;
  result.packet.resize(packet.bytes.size() + 256);
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.bytes.data(),
              .data_out = result.packet.data(),
              .data_size_in = static_cast<__u32>(packet.bytes.size()),
              .data_size_out = static_cast<__u32>(result.packet.size()), .repeat = 1);
  if (int err = bpf_prog_test_run_opts(program_fd_, &options); err < 0)
    throw system_error("test run with " + packet.label, -err);
  result.verdict = options.retval;
  result.duration = options.duration;
  result.packet.resize(options.data_size_out);
  return result;
}

Run Subject::run_repeatedly(const Packet& packet, std::uint32_t repeat) const {
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.bytes.data(),
              .data_size_in = static_cast<__u32>(packet.bytes.size()),
              .repeat = static_cast<int>(repeat));
  if (int err = bpf_prog_test_run_opts(program_fd_, &options); err < 0)
    throw system_error("test run with " + packet.label, -err);
  return {options.retval, options.duration, {}};
}

void Subject::set(const std::string& map, std::uint32_t index, std::uint64_t value) const {
  if (int err = bpf_map_update_elem(maps_.at(map).fd.get(), &index, &value, BPF_ANY); err < 0)
    throw system_error("map " + map, -err);
}

std::vector<std::uint64_t> Subject::sums(const std::string& name) const {
  const Map& map = maps_.at(name);
  std::vector<std::uint64_t> result(map.info.max_entries);
  std::vector<std::uint8_t> value(map.value_bytes_all_cpus());
  for (std::uint32_t i = 0; i < result.size(); i++) {
    if (int err = bpf_map_lookup_elem(map.fd.get(), &i, value.data()); err < 0)
      throw system_error("map " + name, -err);
    for (std::size_t at = 0; at < value.size(); at += map.value_stride()) {
      std::uint64_t one;
      std::memcpy(&one, value.data() + at, sizeof(one));
      result[i] += one;
    }
  }
  return result;
}

std::vector<std::string> Subject::map_names() const {
  std::vector<std::string> names;
  for (const auto& [name, map] : maps_) names.push_back(name);
  return names;
}

std::unique_ptr<Subject> load_wasm(const Fd& device, const std::string& file, std::uint32_t flags) {
  return std::make_unique<WasmSubject>(device, file, flags);
}

std::unique_ptr<Subject> load_ebpf(const std::string& file) {
  return std::make_unique<EbpfSubject>(file);
}

}  // namespace wring::bench
