// SPDX-License-Identifier: GPL-2.0
// Device: ioctls and ids.
#include "loader/device.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace wring::loader {

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

Failure reported_failure(const std::string& what, const wring_error_info& info) {
  Failure failure(what + ": " + field_text(info.message));
  if (info.kind == WRING_ERROR_TRAP) {
    failure = Failure(what + ": trap: " + field_text(info.message), kExitTrapped);
  }
  if (info.func != WRING_NO_INDEX_U32) failure.func = info.func;
  if (info.offset != WRING_NO_INDEX_U32) failure.offset = info.offset;
  return failure;
}

int ioctl_checked(int fd, unsigned long request, void* argument, const wring_error_info* info,
                  const std::string& what) {
  int result = ioctl(fd, request, argument);
  if (result >= 0) return result;
  int err = errno;
  if (!info || info->message[0] == '\0') throw system_error(what, err);
  Failure failure = reported_failure(what, *info);
  failure.error = err;
  throw failure;
}

Fd open_device() {
  Fd device(open(WRING_DEVICE, O_RDWR | O_CLOEXEC));
  if (device) return device;
  int err = errno;
  std::string what = "cannot open " WRING_DEVICE;
  if (err == ENOENT || err == ENXIO)
    throw Failure(what + ": the wring module is not loaded (insmod wring.ko)");
  if (err == EACCES || err == EPERM)
    throw Failure(what + ": permission denied (it is root's, and needs CAP_BPF)");
  throw system_error(what, err);
}

namespace {
// Ids are everybody's, so only the administrator may use them, as eBPF's: what that means is said where it is refused.
Failure id_error(const std::string& what, int err) {
  if (err != EPERM) return system_error(what, err);
  Failure failure(what + ": finding programs and links by id or name needs CAP_SYS_ADMIN");
  failure.error = err;
  return failure;
}
}  // namespace

std::vector<std::uint32_t> list_ids(const Fd& device, unsigned long request) {
  std::vector<std::uint32_t> ids;
  wring_next_id next{};
  while (ioctl(device.get(), request, &next) == 0) ids.push_back(next.id);
  if (errno != ENOENT)
    throw id_error(request == WRING_IOC_LINK_NEXT_ID ? "list links" : "list programs", errno);
  return ids;
}

namespace {
// For lookups by id: says "no program has the id 5" instead of "No such file or directory".
template <class Argument>
int look_up(const Fd& device, unsigned long request, Argument* argument, const char* kind) {
  int result = ioctl(device.get(), request, argument);
  if (result >= 0) return result;
  int err = errno;
  std::string id = std::to_string(argument->id);
  Failure failure = err == ENOENT ? Failure(std::string("no ") + kind + " has the id " + id)
                                  : id_error(kind + (" " + id), err);
  failure.error = err;
  throw failure;
}
}  // namespace

Fd open_program(const Fd& device, std::uint32_t id) {
  wring_prog_open open{};
  open.id = id;
  return Fd(look_up(device, WRING_IOC_PROG_OPEN, &open, "program"));
}

wring_link_info link_info(const Fd& device, std::uint32_t id) {
  wring_link_info info{};
  info.id = id;
  look_up(device, WRING_IOC_LINK_INFO, &info, "link");
  return info;
}

ProgramInfo program_info(const Fd& program) {
  ProgramInfo info{};
  for (;;) {
    auto room = static_cast<std::uint32_t>(info.map_ids.size());
    info.raw = {};
    info.raw.map_room = room;
    info.raw.map_ids = user_address(info.map_ids.data());
    command(program.get(), WRING_IOC_PROG_INFO, &info.raw, "program info");
    info.map_ids.resize(info.raw.map_count);
    if (info.raw.map_count <= room) return info;
  }
}

std::vector<std::uint8_t> program_module(const Fd& program) {
  std::vector<std::uint8_t> bytes;
  for (;;) {
    wring_prog_module module{};
    module.buffer = user_address(bytes.data());
    module.bytes = bytes.size();
    command(program.get(), WRING_IOC_PROG_MODULE, &module, "the program's module");
    bool is_whole = module.bytes <= bytes.size();
    bytes.resize(module.bytes);
    if (is_whole) return bytes;
  }
}

std::uint32_t frame_count(const wring_trap_info& trap) {
  return std::min<std::uint32_t>(trap.frame_count, WRING_MAX_FRAMES);
}

void find_trap_lines(const Fd& program, ProgramInfo* info) {
  const wring_trap_info& trap = info->raw.trap;
  if (!trap.time_ns || !frame_count(trap)) return;
  std::vector<std::uint32_t> offsets;
  for (std::uint32_t i = 0; i < frame_count(trap); i++) offsets.push_back(trap.frames[i].offset);
  std::vector<SourceLine> lines = source_lines(program_module(program), offsets);
  std::copy(lines.begin(), lines.end(), info->trap_lines);
}

void find_source(Failure* failure, const std::vector<std::uint8_t>& module) {
  if (failure->exit_code != kExitTrapped || !failure->offset) return;
  failure->source = source_lines(module, {*failure->offset})[0];
}

void unload_program(const Fd& program, const std::string& name) {
  wring_prog_unload unload{};
  if (ioctl(program.get(), WRING_IOC_PROG_UNLOAD, &unload) == 0) return;
  if (errno == EBUSY)
    throw Failure("program " + name + " is attached: detach it first (wring link show)");
  if (errno == EPERM)
    throw Failure("unload " + name + ": needs the capabilities that loading needs (wring --help)");
  throw system_error("unload " + name, errno);
}

}  // namespace wring::loader
