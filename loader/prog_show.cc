// SPDX-License-Identifier: GPL-2.0
// wring prog show, unload.
#include <ctime>

#include "loader/commands.h"
#include "loader/program.h"
#include "loader/show.h"
#include "loader/types.h"

namespace wring::loader {

namespace {

std::string tag_text(const wring_prog_info& info) {
  std::string text;
  for (unsigned char byte : info.tag) {
    char hex[4];
    std::snprintf(hex, sizeof(hex), "%02x", byte);
    text += hex;
  }
  return text;
}

// Seconds since the epoch at which CLOCK_BOOTTIME showed `boot_ns`.
time_t wall_time(std::uint64_t boot_ns) {
  auto now = [](clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  std::int64_t boot = now(CLOCK_REALTIME) - now(CLOCK_BOOTTIME);
  // Rounded, so that the moment between the two readings does not show.
  return (boot + static_cast<std::int64_t>(boot_ns) + 500'000'000) / 1'000'000'000;
}

unsigned long long number(std::uint64_t n) { return n; }

}  // namespace

std::string frame_text(const ProgramInfo& info, std::uint32_t i) {
  const wring_frame& frame = info.raw.trap.frames[i];
  const SourceLine& source = info.trap_lines[i];
  char where[64];
  std::string name = field_text(frame.name);
  std::snprintf(where, sizeof(where), " (function %u, offset 0x%x)", frame.func, frame.offset);
  return (name.empty() ? "<unnamed>" : printable(name)) + where +
         (source.line ? " at " + printable(line_text(source)) : "");
}

Json trap_json(const ProgramInfo& info) {
  const wring_trap_info& trap = info.raw.trap;
  Json json;
  json["reason"] = field_text(trap.text);
  json["cpu"] = trap.cpu;
  json["time_ns"] = trap.time_ns;
  json["frames"] = Json::array();
  for (std::uint32_t i = 0; i < frame_count(trap); i++) {
    Json frame;
    frame["name"] = field_text(trap.frames[i].name);
    frame["func"] = trap.frames[i].func;
    frame["offset"] = trap.frames[i].offset;
    if (info.trap_lines[i].line) {
      frame["file"] = info.trap_lines[i].file;
      frame["line"] = info.trap_lines[i].line;
    }
    json["frames"].push_back(frame);
  }
  return json;
}

Json program_json(const ProgramInfo& info) {
  const wring_prog_info& raw = info.raw;
  Json json;
  json["id"] = raw.id;
  json["type"] = type_name(raw.type);
  json["name"] = field_text(raw.name);
  json["tag"] = tag_text(raw);
  json["entry"] = field_text(raw.entry);
  json["loaded_at"] = wall_time(raw.load_time_ns);
  json["uid"] = raw.uid;
  json["bytes_wasm"] = raw.module_bytes;
  json["bytes_jited"] = raw.code_bytes;
  json["compile_ns"] = raw.compile_ns;
  json["linmem_bytes"] = raw.linmem_bytes;
  json["instances"] = raw.instances;
  json["fuel"] = raw.fuel;
  json["time_us"] = raw.time_us;
  json["clamped"] = (raw.flags & WRING_PROG_F_CLAMPED) != 0;
  json["default_verdict"] = raw.default_verdict;
  json["on_trap"] = on_trap_name(raw.on_trap);
  json["trap_limit"] = raw.trap_limit;
  json["timeout_limit"] = raw.timeout_limit;
  json["links"] = raw.links;
  json["map_ids"] = info.map_ids;
  json["run_time_ns"] = raw.run_time_ns;
  json["run_cnt"] = raw.runs;
  json["fuel_used"] = raw.fuel_used;
  json["traps"] = raw.traps;
  json["misses"] = raw.misses;
  json["misses_busy"] = raw.misses_busy;
  json["misses_fpu"] = raw.misses_fpu;
  json["misses_depth"] = raw.misses_depth;
  json["misses_reset"] = raw.misses_reset;
  json["misses_read_only"] = raw.misses_read_only;
  json["bad_verdicts"] = raw.bad_verdicts;
  if (raw.trap.time_ns) json["last_trap"] = trap_json(info);
  return json;
}

// "detach (3 traps)", "keep, detach (5 timeouts)".
std::string on_trap_text(const wring_prog_info& raw) {
  std::string text = on_trap_name(raw.on_trap);
  if (raw.trap_limit) text += " (" + std::to_string(raw.trap_limit) + " traps)";
  if (raw.timeout_limit) text += ", detach (" + std::to_string(raw.timeout_limit) + " timeouts)";
  return text;
}

void program_text(const ProgramInfo& info) {
  const wring_prog_info& raw = info.raw;
  char when[64];
  time_t loaded = wall_time(raw.load_time_ns);
  tm local{};
  localtime_r(&loaded, &local);
  std::strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S%z", &local);
  say("%u: %s  name %s  tag %s\n", raw.id, type_name(raw.type).c_str(),
      printable(field_text(raw.name)).c_str(), tag_text(raw).c_str());
  say("\tloaded_at %s  uid %u\n", when, raw.uid);
  say("\twasm %lluB  jited %lluB%s  compiled in %llu us  linmem %lluB  instances %u\n",
      number(raw.module_bytes), number(raw.code_bytes),
      raw.flags & WRING_PROG_F_CLAMPED ? " clamped" : "", number(raw.compile_ns / 1000),
      number(raw.linmem_bytes), raw.instances);
  if (raw.type != WRING_PROG_MODULE)
    say("\tentry %s  default verdict %s  on_trap %s  fuel %llu  time %u us  links %u\n",
        printable(field_text(raw.entry)).c_str(),
        verdict_text(raw.type, raw.default_verdict).c_str(), on_trap_text(raw).c_str(),
        number(raw.fuel), raw.time_us, raw.links);
  if (!info.map_ids.empty()) {
    std::string ids;
    for (std::uint32_t id : info.map_ids) ids += (ids.empty() ? "" : ",") + std::to_string(id);
    say("\tmap_ids %s\n", ids.c_str());
  }
  say("\trun_cnt %llu  fuel_used %llu  traps %llu  misses %llu  bad_verdicts %llu",
      number(raw.runs), number(raw.fuel_used), number(raw.traps), number(raw.misses),
      number(raw.bad_verdicts));
  if (raw.run_time_ns) say("  run_time_ns %llu", number(raw.run_time_ns));
  say("\n");
  if (raw.misses)
    say("\tmissed: busy %llu  FPU in use %llu  too deep %llu  being reset %llu  packet read-only "
        "%llu\n",
        number(raw.misses_busy), number(raw.misses_fpu), number(raw.misses_depth),
        number(raw.misses_reset), number(raw.misses_read_only));
  if (!raw.trap.time_ns) return;
  say("\tlast_trap: %s, on CPU %u\n", printable(field_text(raw.trap.text)).c_str(), raw.trap.cpu);
  for (std::uint32_t i = 0; i < frame_count(raw.trap); i++)
    say("\t\t#%u %s\n", i, frame_text(info, i).c_str());
}

int prog_show(Words words, const Output& out) {
  std::optional<ProgramRef> wanted;
  if (!words.done()) wanted = take_program(&words);
  words.end();
  Fd device = open_device();
  std::vector<FoundProgram> programs;
  if (wanted)
    programs.push_back(find_program(device, *wanted));
  else
    programs = all_programs(device);
  Json all = Json::array();
  for (FoundProgram& program : programs) {
    find_trap_lines(program.fd, &program.info);
    if (out.json())
      all.push_back(program_json(program.info));
    else
      program_text(program.info);
  }
  if (out.json()) out.print(all);
  return 0;
}

int prog_unload(Words words, const Output& out) {
  ProgramRef wanted = take_program(&words);
  words.end();
  Fd device = open_device();
  FoundProgram program = find_program(device, wanted);
  unload_program(program.fd, field_text(program.info.raw.name));
  if (out.json()) out.print(Json::object());
  return 0;
}

}  // namespace wring::loader
