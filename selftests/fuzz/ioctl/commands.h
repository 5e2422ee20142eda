// SPDX-License-Identifier: GPL-2.0
// What /dev/wring takes, as data: every command of kmod/uapi/wring.h, the struct it takes, and what each field is, so
// that a request can be changed in ways that mean something. That the header has no command, struct or field beyond
// these is checked when this is compiled.
#pragma once

#include <span>
#include <string_view>

#include "core/base/types.h"
#include "uapi/wring.h"

namespace wring::fuzz {

enum class Kind : u8 {
  kOut,       // written by the kernel, whatever was there
  kReserved,  // must be zero
  kNumber,    // of at most `most`
  kFlags,     // bits of `most`
  kEnum,      // less than `most`
  kCount,     // elements or bytes behind a pointer
  kPointer,
  kProgramFd,
  kInstanceFd,
  kStubFd,
  kMapFd,
  kProgramId,
  kLinkId,
  kText,  // NUL-terminated
};

struct Field {
  const char* name;
  u16 offset;
  u16 bytes;
  Kind kind;
  u64 most = 0;
};

struct Struct {
  std::string_view name;
  u16 bytes;
  std::span<const Field> fields;
};

// What a command is issued on.
enum class On : u8 {
  kDevice,
  kProgram,
  kInstance,  // or a program that is no hook's
};

struct Command {
  std::string_view name;
  unsigned number;
  On on;
  const Struct* argument;
};

extern const std::span<const Command> kCommands;
// Elements of the lists that commands point to.
extern const Struct kMapRef;
extern const Struct kImport;

const Command& command_of(unsigned number);

}  // namespace wring::fuzz
