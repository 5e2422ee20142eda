// SPDX-License-Identifier: GPL-2.0
// wring map show, dump: BPF maps used by Wring programs, in bpftool's formats.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "loader/commands.h"
#include "loader/map.h"

namespace wring::loader {

namespace {

std::string type_text(std::uint32_t type) {
  const char* name = libbpf_bpf_map_type_str(static_cast<bpf_map_type>(type));
  return name ? name : "type " + std::to_string(type);
}

std::string hex_bytes(const std::uint8_t* bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; i++) {
    char hex[4];
    std::snprintf(hex, sizeof(hex), "%02x", bytes[i]);
    text += (i ? " " : "") + std::string(hex);
  }
  return text;
}

Json json_bytes(const std::uint8_t* bytes, std::size_t count) {
  Json array = Json::array();
  for (std::size_t i = 0; i < count; i++) {
    char hex[8];
    std::snprintf(hex, sizeof(hex), "0x%02x", bytes[i]);
    array.push_back(hex);
  }
  return array;
}

// Integers of natural size read better than bytes: appended to plain lines as " (123)".
std::string as_integer(const std::uint8_t* bytes, std::size_t count) {
  std::uint64_t value = 0;
  if (count != 1 && count != 2 && count != 4 && count != 8) return "";
  std::memcpy(&value, bytes, count);
  return " (" + std::to_string(value) + ")";
}

Json map_json(const Map& map, const std::vector<std::uint32_t>& users) {
  Json json;
  json["id"] = map.info.id;
  json["type"] = type_text(map.info.type);
  json["name"] = field_text(map.info.name);
  json["flags"] = map.info.map_flags;
  json["bytes_key"] = map.info.key_size;
  json["bytes_value"] = map.info.value_size;
  json["max_entries"] = map.info.max_entries;
  json["wring_prog_ids"] = users;
  return json;
}

void map_text(const Map& map, const std::vector<std::uint32_t>& users) {
  say("%u: %s  name %s  flags 0x%x\n", map.info.id, type_text(map.info.type).c_str(),
      printable(field_text(map.info.name)).c_str(), map.info.map_flags);
  say("\tkey %uB  value %uB  max_entries %u\n", map.info.key_size, map.info.value_size,
      map.info.max_entries);
  if (users.empty()) return;
  std::string ids;
  for (std::uint32_t id : users) ids += (ids.empty() ? "" : ",") + std::to_string(id);
  say("\twring_prog_ids %s\n", ids.c_str());
}

Json entry_json(const Map& map, const std::uint8_t* key, const std::uint8_t* value, unsigned cpus) {
  Json json;
  json["key"] = json_bytes(key, map.info.key_size);
  if (!map.per_cpu()) {
    json["value"] = json_bytes(value, map.info.value_size);
    return json;
  }
  json["values"] = Json::array();
  for (unsigned cpu = 0; cpu < cpus; cpu++) {
    Json per_cpu;
    per_cpu["cpu"] = cpu;
    per_cpu["value"] = json_bytes(value + cpu * map.value_stride(), map.info.value_size);
    json["values"].push_back(per_cpu);
  }
  return json;
}

void entry_text(const Map& map, const std::uint8_t* key, const std::uint8_t* value, unsigned cpus) {
  say("key: %s%s", hex_bytes(key, map.info.key_size).c_str(),
      as_integer(key, map.info.key_size).c_str());
  if (!map.per_cpu()) {
    say("  value: %s%s\n", hex_bytes(value, map.info.value_size).c_str(),
        as_integer(value, map.info.value_size).c_str());
    return;
  }
  say("\n");
  std::uint64_t total = 0;
  bool summable = map.info.value_size == 8;
  for (unsigned cpu = 0; cpu < cpus; cpu++) {
    const std::uint8_t* bytes = value + cpu * map.value_stride();
    say("  value (CPU %02u): %s%s\n", cpu, hex_bytes(bytes, map.info.value_size).c_str(),
        as_integer(bytes, map.info.value_size).c_str());
    std::uint64_t one = 0;
    if (summable) std::memcpy(&one, bytes, sizeof(one));
    total += one;
  }
  if (summable) say("  total: %llu\n", static_cast<unsigned long long>(total));
}

bool is_zero(const std::vector<std::uint8_t>& bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

// Calls entry(key, value of all CPUs) for each of the map's entries.
template <class Entry>
void for_each_entry(const Map& map, Entry entry) {
  std::vector<std::uint8_t> key(map.info.key_size), next(map.info.key_size);
  std::vector<std::uint8_t> value(map.value_bytes_all_cpus());
  // A map that changes meanwhile can make the walk start over: its size bounds the steps.
  for (std::uint32_t step = 0; step < map.info.max_entries; step++) {
    int err = bpf_map_get_next_key(map.fd.get(), step == 0 ? nullptr : key.data(), next.data());
    if (err == -ENOENT) return;
    if (err < 0) throw system_error("next key of map " + std::to_string(map.info.id), -err);
    key.swap(next);
    err = bpf_map_lookup_elem(map.fd.get(), key.data(), value.data());
    if (err == -ENOENT) continue;  // deleted meanwhile
    if (err < 0) throw system_error("lookup in map " + std::to_string(map.info.id), -err);
    entry(key, value);
  }
}

}  // namespace

int map_show(Words words, const Output& out) {
  std::optional<MapRef> wanted;
  if (!words.done()) wanted = take_map(&words);
  words.end();
  Fd device = open_device();
  auto in_use = maps_in_use(device);
  std::vector<Map> maps;
  if (wanted)
    maps.push_back(find_map(device, *wanted));
  else
    for (const auto& [id, users] : in_use) maps.push_back(map_from_id(id));
  Json all = Json::array();
  for (const Map& map : maps) {
    if (out.json())
      all.push_back(map_json(map, in_use[map.info.id]));
    else
      map_text(map, in_use[map.info.id]);
  }
  if (out.json()) out.print(all);
  return 0;
}

int map_dump(Words words, const Output& out) {
  MapRef wanted = take_map(&words);
  bool nonzero = words.accept({"nonzero"}).has_value();
  words.end();
  Fd device = open_device();
  Map map = find_map(device, wanted);
  if (map.info.key_size == 0)
    throw Failure("map " + std::to_string(map.info.id) + " is a " + type_text(map.info.type) +
                  ": it has no keys to dump");
  unsigned cpus = possible_cpus();
  Json all = Json::array();
  std::size_t shown = 0;
  for_each_entry(map, [&](const auto& key, const auto& value) {
    if (nonzero && is_zero(value)) return;
    shown++;
    if (out.json())
      all.push_back(entry_json(map, key.data(), value.data(), cpus));
    else
      entry_text(map, key.data(), value.data(), cpus);
  });
  if (out.json())
    out.print(all);
  else
    say("Found %zu element%s\n", shown, shown == 1 ? "" : "s");
  return 0;
}

}  // namespace wring::loader
