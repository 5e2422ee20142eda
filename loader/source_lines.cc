// SPDX-License-Identifier: GPL-2.0
// SourceLines: the debug sections of a module, and the child process that reads them.
#include "loader/source_lines.h"

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "core/wasm/reader.h"
#include "loader/device.h"
#include "loader/dwarf.h"

namespace wring::loader {

namespace {

constexpr std::uint8_t kCustomSection = 0, kCodeSection = 10;
constexpr char kDebugPrefix[] = ".debug_";
constexpr std::size_t kMaxDebugSections = 32;
constexpr std::size_t kMaxFileBytes = 4096;
constexpr unsigned kChildSeconds = 5;
constexpr rlim_t kChildBytes = rlim_t{1} << 30;
constexpr unsigned kNobody = 65534;

struct DebugInfo {
  std::uint32_t code_begin =
      0;  // DWARF's addresses count from the first byte of the code section's contents
  std::vector<DebugSection> sections;
};

// The module has been decoded before, by the kernel or by us: what does not fit here just ends the search.
DebugInfo find_debug_info(const std::vector<std::uint8_t>& module) {
  DebugInfo info;
  Diag diag;
  Bytes bytes(module.data(), static_cast<u32>(module.size()));
  Reader reader(bytes, 0, bytes.size(), kNone, &diag);
  u8 id;
  u32 size;
  if (reader.skip(8) != Err::kOk) return info;
  while (!reader.at_end() && info.sections.size() < kMaxDebugSections) {
    if (reader.read_u8(&id) != Err::kOk || reader.read_u32(&size) != Err::kOk ||
        size > reader.remaining())
      break;
    u32 begin = reader.offset(), end = begin + size;
    if (id == kCodeSection) info.code_begin = begin;
    Reader section(bytes, begin, end, kNone, &diag);
    Bytes name;
    if (id == kCustomSection && section.read_name(&name) == Err::kOk) {
      std::string text(reinterpret_cast<const char*>(name.data()), name.size());
      bool is_new = std::none_of(info.sections.begin(), info.sections.end(),
                                 [&](const DebugSection& other) { return other.name == text; });
      if (!text.compare(0, sizeof(kDebugPrefix) - 1, kDebugPrefix) && is_new)
        info.sections.push_back({text, module.data() + section.offset(), section.remaining()});
    }
    if (reader.skip(size) != Err::kOk) break;
  }
  return info;
}

void limit(decltype(RLIMIT_CPU) resource, rlim_t most) {
  rlimit value = {most, most};
  setrlimit(resource, &value);
}

// Leaves the process its memory, `pipe` as fd 0 and an empty file as fd 1. False if that did not work.
bool shut_in(int pipe) {
  int file = memfd_create("dwarf", MFD_CLOEXEC);
  if (file < 0 || dup2(pipe, 0) < 0 || dup2(file, 1) < 0) return false;
  if (syscall(SYS_close_range, 2u, ~0u, 0u) != 0) return false;
  limit(RLIMIT_NOFILE, 2);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, kChildSeconds);
#ifndef __SANITIZE_ADDRESS__  // which reserves far more
  limit(RLIMIT_AS, kChildBytes);
#endif
  // Not everybody has a user to change; capabilities can always be given up.
  if (geteuid() == 0 &&
      (syscall(SYS_setgroups, 0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 ||
       setresuid(kNobody, kNobody, kNobody) != 0))
    return false;
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  return syscall(SYS_capset, &header, none) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

bool write_all(int fd, const std::string& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    ssize_t written = write(fd, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno != EINTR) return false;
    done += static_cast<std::size_t>(std::max<ssize_t>(written, 0));
  }
  return true;
}

// An answer on the pipe: line, length of the file's name, name.
void append_u32(std::string* to, std::uint32_t value) {
  to->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

[[noreturn]] void child(int pipe, const DebugInfo& info,
                        const std::vector<std::uint32_t>& offsets) {
  if (!shut_in(pipe)) _exit(1);
  std::vector<std::uint32_t> addresses;
  for (std::uint32_t offset : offsets)
    addresses.push_back(offset >= info.code_begin ? offset - info.code_begin : UINT32_MAX);
  std::string answer;
  for (const SourceLine& line : dwarf_lines(1, info.sections, addresses)) {
    append_u32(&answer, line.line);
    append_u32(&answer, static_cast<std::uint32_t>(std::min(line.file.size(), kMaxFileBytes)));
    answer.append(line.file, 0, kMaxFileBytes);
  }
  _exit(write_all(0, answer) ? 0 : 1);
}

std::string read_all(const Fd& pipe, std::size_t most) {
  std::string bytes(most, '\0');
  std::size_t used = 0;
  while (used < most) {
    ssize_t got = read(pipe.get(), bytes.data() + used, most - used);
    if (got == 0 || (got < 0 && errno != EINTR)) break;
    used += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  bytes.resize(used);
  return bytes;
}

// What the child says is no more to be trusted than the module.
std::vector<SourceLine> parse_answer(const std::string& bytes, std::size_t count) {
  std::vector<SourceLine> lines(count);
  std::size_t at = 0;
  for (SourceLine& line : lines) {
    std::uint32_t words[2];
    if (bytes.size() - at < sizeof(words)) break;
    std::memcpy(words, bytes.data() + at, sizeof(words));
    at += sizeof(words);
    if (bytes.size() - at < words[1]) break;
    if (words[0] && words[1]) line = {bytes.substr(at, words[1]), words[0]};
    at += words[1];
  }
  return lines;
}

}  // namespace

std::vector<SourceLine> source_lines(const std::vector<std::uint8_t>& module,
                                     const std::vector<std::uint32_t>& offsets) {
  std::vector<SourceLine> unknown(offsets.size());
  DebugInfo info = find_debug_info(module);
  int ends[2];
  if (offsets.empty() || info.sections.empty() || pipe(ends) != 0) return unknown;
  Fd from(ends[0]);
  std::optional<Fd> to(ends[1]);
  pid_t pid = fork();
  if (pid < 0) return unknown;
  if (pid == 0) child(to->get(), info, offsets);
  to.reset();
  std::string answer = read_all(from, offsets.size() * (2 * sizeof(std::uint32_t) + kMaxFileBytes));
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return parse_answer(answer, offsets.size());
}

std::string line_text(const SourceLine& line) {
  return line.line ? line.file + ":" + std::to_string(line.line) : "";
}

}  // namespace wring::loader
