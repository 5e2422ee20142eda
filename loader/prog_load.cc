// SPDX-License-Identifier: GPL-2.0
// wring prog load.
#include <algorithm>
#include <cctype>
#include <iterator>
#include <map>

#include "loader/commands.h"
#include "loader/family.h"
#include "loader/guest.h"
#include "loader/map.h"
#include "loader/show.h"
#include "loader/types.h"

namespace wring::loader {

namespace {

struct LoadRequest {
  std::string file, name, entry, verdict;
  std::optional<std::uint32_t> type;
  std::uint64_t fuel = 0;
  std::uint32_t memory_pages = 0, table_entries = 0, code_bytes = 0, stack_bytes = 0, time_us = 0;
  std::uint32_t trap_limit = 0, timeout_limit = 0;
  std::optional<std::uint32_t> on_trap;
  std::map<std::string, MapRef> maps;
};

LoadRequest parse_load(Words* words) {
  LoadRequest request;
  request.file = words->take("FILE");
  while (!words->done()) {
    std::string keyword =
        words->expect({"name", "type", "entry", "map", "fuel", "time", "default", "memory", "table",
                       "code", "stack", "on_trap", "trap_limit", "timeout_limit"});
    if (keyword == "name") {
      request.name = words->take("a name");
      if (request.name.empty()) throw usage_error("an empty name");
    } else if (keyword == "type") {
      request.type = type_from_name(words->take("a program type"));
    } else if (keyword == "entry") {
      request.entry = words->take("the name of an exported function");
    } else if (keyword == "map") {
      words->expect({"name"});
      std::string name = words->take("the name of one of the program's maps");
      if (!request.maps.emplace(name, take_map(words)).second)
        throw usage_error("map '" + name + "' is given twice");
    } else if (keyword == "fuel") {
      request.fuel = words->take_number("fuel", 1, INT64_MAX);
    } else if (keyword == "time") {
      request.time_us = words->take_u32("microseconds", 1, UINT32_MAX);
    } else if (keyword == "default") {
      request.verdict = words->take("a verdict");
    } else if (keyword == "on_trap") {
      request.on_trap = on_trap_from_name(words->expect({"keep", "reset", "detach"}));
    } else if (keyword == "trap_limit") {
      request.trap_limit = words->take_u32("traps", 1, UINT32_MAX);
    } else if (keyword == "timeout_limit") {
      request.timeout_limit = words->take_u32("invocations", 1, UINT32_MAX);
    } else if (keyword == "memory") {
      request.memory_pages = words->take_u32("memory pages", 1, 65536);
    } else if (keyword == "table") {
      request.table_entries = words->take_u32("table entries", 1, UINT32_MAX);
    } else if (keyword == "code") {
      request.code_bytes = words->take_u32("code bytes", 1, UINT32_MAX);
    } else {
      request.stack_bytes = words->take_u32("stack bytes", 1, UINT32_MAX);
    }
  }
  return request;
}

std::uint32_t type_of_hook(const std::string& hook) {
  std::string section = hook.substr(0, hook.find('/'));
  for (const Family& family : families())
    if (section == family.section) return family.type;
  throw Failure("the module has a program for an unknown hook: '" + hook + "'");
}

// Settles the program's entry and type from what the user and the module say.
void choose_program(const Guest& guest, LoadRequest* request) {
  if (request->type == WRING_PROG_MODULE) {
    if (!request->entry.empty()) throw usage_error("entry is for programs of hooks");
    return;
  }
  const GuestProgram* chosen = nullptr;
  std::string entries;
  for (const GuestProgram& program : guest.programs) {
    entries += (entries.empty() ? "" : ", ") + program.entry;
    bool only = request->entry.empty() && guest.programs.size() == 1;
    if (only || request->entry == program.entry) chosen = &program;
  }
  if (chosen) {
    request->entry = chosen->entry;
    std::uint32_t type = type_of_hook(chosen->hook);
    if (request->type && request->type != type)
      throw Failure("program '" + chosen->entry + "' is of type " + type_name(type) + ", not " +
                    type_name(*request->type));
    request->type = type;
  } else if (!request->type) {
    if (!request->entry.empty())
      throw Failure("the module has no program '" + request->entry + "'" +
                    (entries.empty() ? "" : ", it has: " + entries));
    if (guest.programs.size() > 1)
      throw Failure("the module has several programs, choose one with entry: " + entries);
    request->type = WRING_PROG_MODULE;
  }
}

// A name made of the characters the kernel accepts.
std::string default_name(const LoadRequest& request) {
  std::string name = request.entry;
  if (name.empty()) {
    name = request.file.substr(request.file.rfind('/') + 1);
    name = name.substr(0, name.find('.'));
  }
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-') c = '_';
  name.resize(std::min<std::size_t>(name.size(), WRING_NAME_LEN - 1));
  return name.empty() ? "program" : name;
}

void check_map(const GuestMap& wanted, const Map& given) {
  if (wanted.type == given.info.type && wanted.key_bytes == given.info.key_size &&
      wanted.value_bytes == given.info.value_size)
    return;
  throw Failure("map '" + wanted.name + "': map " + std::to_string(given.info.id) +
                " has another type, key size or value size than the program's");
}

// The program's maps in the order the module declares them: those that were given, the others new.
std::vector<Map> open_maps(const Fd& device, const Guest& guest, const LoadRequest& request) {
  for (const auto& given : request.maps)
    if (std::none_of(guest.maps.begin(), guest.maps.end(),
                     [&](const GuestMap& map) { return map.name == given.first; }))
      throw Failure("the program has no map '" + given.first + "'");
  std::vector<Map> maps;
  for (const GuestMap& wanted : guest.maps) {
    auto given = request.maps.find(wanted.name);
    if (given == request.maps.end()) {
      maps.push_back(create_map(wanted));
      continue;
    }
    maps.push_back(find_map(device, given->second));
    check_map(wanted, maps.back());
  }
  return maps;
}

// Loads; the program stays when this process ends.
Fd load(const Fd& device, const Guest& guest, const LoadRequest& request) {
  std::vector<Map> maps = open_maps(device, guest, request);
  std::vector<wring_map_ref> refs(maps.size());
  for (std::size_t i = 0; i < maps.size(); i++) {
    set_field(refs[i].name, guest.maps[i].name, "map name '" + guest.maps[i].name + "'");
    refs[i].fd = maps[i].fd.get();
  }
  wring_prog_load load{};
  load.module = user_address(guest.bytes.data());
  load.module_bytes = guest.bytes.size();
  load.maps = user_address(refs.data());
  load.map_count = static_cast<std::uint32_t>(refs.size());
  load.type = *request.type;
  load.flags = WRING_PROG_F_KEEP;
  if (!request.verdict.empty()) {
    load.flags |= WRING_PROG_F_DEFAULT_VERDICT;
    load.default_verdict = verdict_from_text(*request.type, request.verdict);
  }
  load.max_memory_pages = request.memory_pages;
  load.max_table_entries = request.table_entries;
  load.max_code_bytes = request.code_bytes;
  load.stack_bytes = request.stack_bytes;
  load.fuel = request.fuel;
  load.time_us = request.time_us;
  // Who gives a limit wants to have it kept.
  load.on_trap = request.on_trap.value_or(request.trap_limit ? WRING_ON_TRAP_DETACH : 0);
  load.trap_limit = request.trap_limit;
  load.timeout_limit = request.timeout_limit;
  set_field(load.name, request.name, "name");
  set_field(load.entry, request.entry, "entry");
  try {
    return Fd(command(device.get(), WRING_IOC_PROG_LOAD, &load, request.file));
  } catch (Failure& failure) {
    find_source(&failure, guest.bytes);
    throw;
  }
}

}  // namespace

int prog_load(Words words, const Output& out) {
  LoadRequest request = parse_load(&words);
  Guest guest = read_guest(request.file);
  choose_program(guest, &request);
  if (request.name.empty()) request.name = default_name(request);
  Fd device = open_device();
  Fd program = load(device, guest, request);
  // Nobody would know of a program whose description could not be written.
  try {
    ProgramInfo info = program_info(program);
    if (out.json())
      out.print(program_json(info));
    else
      program_text(info);
    flush_output();
  } catch (const Failure&) {
    unload_program(program, request.name);
    throw;
  }
  return 0;
}

}  // namespace wring::loader
