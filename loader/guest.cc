// SPDX-License-Identifier: GPL-2.0
// Guest: decoding with the engine's own decoder, and the records of its custom sections.
#include "loader/guest.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "loader/device.h"

namespace wring::loader {

namespace {

struct ModuleFree {
  void operator()(Module* module) const { module_free(module); }
};

// Reads little-endian u32s and NUL-terminated strings; the section is the guest's and may be cut anywhere.
class Records {
 public:
  Records(Bytes payload, const char* section) : payload_(payload), section_(section) {}
  bool done() const { return at_ == payload_.size(); }
  std::uint32_t u32() {
    if (payload_.size() - at_ < 4) fail();
    std::uint32_t value = 0;
    for (int i = 0; i < 4; i++) value |= std::uint32_t{payload_[at_ + i]} << 8 * i;
    at_ += 4;
    return value;
  }
  std::string string() {
    const auto* begin = reinterpret_cast<const char*>(payload_.data()) + at_;
    std::size_t length = strnlen(begin, payload_.size() - at_);
    if (length == payload_.size() - at_) fail();
    at_ += static_cast<std::uint32_t>(length) + 1;
    return {begin, length};
  }

 private:
  [[noreturn]] void fail() const {
    throw Failure(std::string("section ") + section_ + ": a record is cut short");
  }
  Bytes payload_;
  const char* section_;
  std::uint32_t at_ = 0;
};

template <class Read>
void for_each_record(const Module& module, const char* name, Read read) {
  for (const CustomSection& section : module.customs) {
    if (!equal(section.name, Bytes(reinterpret_cast<const u8*>(name), std::strlen(name)))) continue;
    Records records(section.payload, name);
    while (!records.done()) read(&records);
  }
}

}  // namespace

std::vector<std::uint8_t> read_file(const std::string& path, std::size_t limit) {
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw system_error(path, errno);
  std::vector<std::uint8_t> bytes;
  for (;;) {
    std::size_t used = bytes.size();
    bytes.resize(used + 65536);
    ssize_t got = read(file.get(), bytes.data() + used, 65536);
    if (got < 0 && errno != EINTR) throw system_error(path, errno);
    bytes.resize(used + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return bytes;
    if (bytes.size() > limit)
      throw Failure(path + ": larger than " + std::to_string(limit) + " bytes");
  }
}

Guest read_guest(const std::string& path) {
  Guest guest;
  guest.bytes = read_file(path, kMaxModuleBytes);
  Module* decoded = nullptr;
  Diag diag;
  if (decode({guest.bytes.data(), guest.bytes.size()}, Features{}, kMaxCompileBytes, &decoded,
             &diag) != Err::kOk) {
    Failure failure(path + ": " + diag.message);
    if (diag.func != kNone) failure.func = diag.func;
    if (diag.offset != kNone) failure.offset = diag.offset;
    throw failure;
  }
  std::unique_ptr<Module, ModuleFree> module(decoded);
  for_each_record(*module, "wring.progs", [&](Records* r) {
    GuestProgram program;
    program.entry = r->string();
    program.hook = r->string();
    guest.programs.push_back(program);
  });
  for_each_record(*module, "wring.maps", [&](Records* r) {
    GuestMap map{};
    map.type = r->u32();
    map.key_bytes = r->u32();
    map.value_bytes = r->u32();
    map.entries = r->u32();
    map.flags = r->u32();
    map.name = r->string();
    guest.maps.push_back(map);
  });
  return guest;
}

}  // namespace wring::loader
