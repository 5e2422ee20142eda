// SPDX-License-Identifier: GPL-2.0
// BPF maps: creation and lookup.
#include "loader/map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>

#include "loader/program.h"

namespace wring::loader {

namespace {

Map map_from_fd(Fd fd, const std::string& what) {
  Map map{std::move(fd), {}};
  __u32 size = sizeof(map.info);
  if (int err = bpf_obj_get_info_by_fd(map.fd.get(), &map.info, &size); err < 0)
    throw system_error(what, -err);
  return map;
}

// The kernel keeps the first 15 characters of a map's name.
std::string bpf_name(const std::string& name) { return name.substr(0, BPF_OBJ_NAME_LEN - 1); }

}  // namespace

unsigned possible_cpus() {
  int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) throw system_error("number of possible CPUs", -cpus);
  return static_cast<unsigned>(cpus);
}

bool Map::per_cpu() const {
  return info.type == BPF_MAP_TYPE_PERCPU_HASH || info.type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         info.type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
         info.type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

std::size_t Map::value_bytes_all_cpus() const {
  return per_cpu() ? value_stride() * possible_cpus() : info.value_size;
}

Map map_from_id(std::uint32_t id) {
  int fd = bpf_map_get_fd_by_id(id);
  if (fd == -ENOENT) throw Failure("no BPF map has the id " + std::to_string(id));
  if (fd < 0) throw system_error("map " + std::to_string(id), -fd);
  return map_from_fd(Fd(fd), "map " + std::to_string(id));
}

Map map_from_path(const std::string& path) {
  int fd = bpf_obj_get(path.c_str());
  if (fd < 0) throw system_error(path, -fd);
  try {
    return map_from_fd(Fd(fd), path);
  } catch (const Failure&) {
    throw Failure(path + ": not a BPF map");
  }
}

Map create_map(const GuestMap& wanted) {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = wanted.flags);
  int fd = bpf_map_create(static_cast<bpf_map_type>(wanted.type), bpf_name(wanted.name).c_str(),
                          wanted.key_bytes, wanted.value_bytes, wanted.entries, &options);
  if (fd < 0) throw system_error("create map " + wanted.name, -fd);
  return map_from_fd(Fd(fd), "map " + wanted.name);
}

std::map<std::uint32_t, std::vector<std::uint32_t>> maps_in_use(const Fd& device) {
  std::map<std::uint32_t, std::vector<std::uint32_t>> users;
  for (const FoundProgram& program : all_programs(device))
    for (std::uint32_t map_id : program.info.map_ids) users[map_id].push_back(program.info.raw.id);
  return users;
}

MapRef take_map(Words* words) {
  std::string word = words->take("MAP (id N, name NAME, pinned PATH, N or NAME)");
  if (word == "pinned") return {0, words->take("the path of a pinned map"), {}};
  bool is_id = word == "id";
  bool is_name = word == "name";
  if (is_id || is_name) word = words->take(is_id ? "a map's id" : "a map's name");
  if (is_name || (!is_id && !is_decimal(word))) return {0, {}, word};
  return {static_cast<std::uint32_t>(parse_number(word, "map id", 1, UINT32_MAX)), {}, {}};
}

Map find_map(const Fd& device, const MapRef& ref) {
  if (ref.id) return map_from_id(ref.id);
  if (!ref.path.empty()) return map_from_path(ref.path);
  std::vector<Map> found;
  std::string ids;
  for (const auto& [id, users] : maps_in_use(device)) {
    Map map = map_from_id(id);
    if (bpf_name(ref.name) != map.info.name) continue;
    ids += (ids.empty() ? "" : ", ") + std::to_string(id);
    found.push_back(std::move(map));
  }
  if (found.empty())
    throw Failure("no map of a loaded program is named '" + ref.name + "' (see wring map show)");
  if (found.size() > 1)
    throw Failure("several maps are named '" + ref.name + "': use an id (" + ids + ")");
  return std::move(found.front());
}

}  // namespace wring::loader
