// SPDX-License-Identifier: GPL-2.0
// Finding loaded programs.
#include "loader/program.h"

#include <cerrno>

namespace wring::loader {

ProgramRef take_program(Words* words) {
  std::string word = words->take("PROG (id N, name NAME, N or NAME)");
  bool is_id = word == "id";
  bool is_name = word == "name";
  if (is_id || is_name) word = words->take(is_id ? "a program's id" : "a program's name");
  if (is_name || (!is_id && !is_decimal(word))) return {0, word};
  return {static_cast<std::uint32_t>(parse_number(word, "program id", 1, UINT32_MAX)), {}};
}

FoundProgram find_program(const Fd& device, const ProgramRef& ref) {
  if (ref.id) {
    Fd fd = open_program(device, ref.id);
    ProgramInfo info = program_info(fd);
    return {std::move(fd), std::move(info)};
  }
  FoundProgram found;
  std::string ids;
  bool several = false;
  for (FoundProgram& program : all_programs(device)) {
    if (ref.name != program.info.raw.name) continue;
    several = !ids.empty();
    ids += (several ? ", " : "") + std::to_string(program.info.raw.id);
    found = std::move(program);
  }
  if (several)
    throw Failure("several programs are named '" + ref.name + "': use an id (" + ids + ")");
  if (!found.fd) throw Failure("no program is named '" + ref.name + "' (see wring prog show)");
  return found;
}

std::vector<FoundProgram> all_programs(const Fd& device) {
  std::vector<FoundProgram> all;
  for (std::uint32_t id : list_ids(device, WRING_IOC_PROG_NEXT_ID)) {
    try {
      Fd fd = open_program(device, id);
      ProgramInfo info = program_info(fd);
      all.push_back({std::move(fd), std::move(info)});
    } catch (const Failure& failure) {
      // Unloaded since it was listed.
      if (failure.error != ENOENT) throw;
    }
  }
  return all;
}

}  // namespace wring::loader
