// SPDX-License-Identifier: GPL-2.0
// Device: /dev/wring and the fds it hands out, with errors as Failures.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "loader/error.h"
#include "uapi/wring.h"

namespace wring::loader {

// An owned file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A pointer as the interface wants it.
inline std::uint64_t user_address(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

// A fixed-size field that holds a string, whether or not it is terminated.
template <std::size_t N>
std::string field_text(const char (&field)[N]) {
  return {field, strnlen(field, N)};
}

// Copies `from` to a fixed-size field with its NUL; a usage error naming `what` if it does not fit.
template <std::size_t N>
void set_field(char (&to)[N], const std::string& from, const std::string& what) {
  if (from.size() >= N)
    throw usage_error(what + " is longer than " + std::to_string(N - 1) + " characters");
  std::memcpy(to, from.c_str(), from.size() + 1);
}

// The untyped half of command(): throws from errno and, if it holds a message, from *info.
int ioctl_checked(int fd, unsigned long request, void* argument, const wring_error_info* info,
                  const std::string& what);

// ioctl on `fd`. A negative result becomes a Failure "what: reason", the reason being the kernel's own message where
// the argument has an error buffer.
template <class Argument>
int command(int fd, unsigned long request, Argument* argument, const std::string& what) {
  if constexpr (requires { argument->error_bytes; }) {
    wring_error_info info{};
    argument->error = user_address(&info);
    argument->error_bytes = sizeof(info);
    int result = ioctl_checked(fd, request, argument, &info, what);
    argument->error = 0;
    argument->error_bytes = 0;
    return result;
  } else {
    return ioctl_checked(fd, request, argument, nullptr, what);
  }
}

// What *info says as a Failure: its message behind `what`, function, offset, and the exit code of a trap.
Failure reported_failure(const std::string& what, const wring_error_info& info);

// Opens /dev/wring.
Fd open_device();

// All programs' or links' ids in ascending order; request is WRING_IOC_PROG_NEXT_ID or WRING_IOC_LINK_NEXT_ID.
std::vector<std::uint32_t> list_ids(const Fd& device, unsigned long request);

// A Failure whose error is ENOENT if there is no such program or link (any more).
Fd open_program(const Fd& device, std::uint32_t id);
wring_link_info link_info(const Fd& device, std::uint32_t id);

struct ProgramInfo {
  wring_prog_info raw;
  std::vector<std::uint32_t> map_ids;
  // Where the frames of the last trap are in the source, by frame; all unknown until find_trap_lines.
  SourceLine trap_lines[WRING_MAX_FRAMES];
};
ProgramInfo program_info(const Fd& program);
// The WebAssembly binary of a program.
std::vector<std::uint8_t> program_module(const Fd& program);
// Fills in info->trap_lines, if the program has trapped and its module has debug information.
void find_trap_lines(const Fd& program, ProgramInfo* info);
// The frames of a trap, innermost first: a number within the record.
std::uint32_t frame_count(const wring_trap_info& trap);
// Fills in the source line of a trap that `failure` tells of.
void find_source(Failure* failure, const std::vector<std::uint8_t>& module);

// Lets go of a kept program. EBUSY while it is attached.
void unload_program(const Fd& program, const std::string& name);

}  // namespace wring::loader
