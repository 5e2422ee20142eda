// SPDX-License-Identifier: GPL-2.0
#include "selftests/fuzz/ioctl/commands.h"

#include <cstddef>
#include <cstdlib>

namespace wring::fuzz {

namespace {

using enum Kind;

// Every byte is part of one field, in order.
constexpr bool tiles(std::span<const Field> fields, usize bytes) {
  usize at = 0;
  for (const Field& field : fields) {
    if (field.offset != at) return false;
    at += field.bytes;
  }
  return at == bytes;
}

#define FIELD(field, ...) \
  { #field, offsetof(T, field), sizeof(T::field), __VA_ARGS__ }
// What a union has beyond one of its members.
#define BEYOND(all, member, ...) \
  { #all, offsetof(T, member) + sizeof(T::member), sizeof(T::all) - sizeof(T::member), __VA_ARGS__ }
// A struct called `type`; its fields follow.
#define STRUCT(type, constant, ...)                                  \
  namespace of_##type {                                              \
    using T = struct type;                                           \
    constexpr Field kFields[] = {__VA_ARGS__};                       \
    static_assert(tiles(kFields, sizeof(T)), "a field is left out"); \
  }                                                                  \
  constexpr Struct constant = {#type, sizeof(struct type), of_##type::kFields}

constexpr u32 kWasm = WRING_WASM_2 | WRING_WASM_3 | WRING_WASM_THREADS;

// clang-format off
STRUCT(wring_error_info, kErrorInfo,
       FIELD(kind, kOut), FIELD(func, kOut), FIELD(offset, kOut), FIELD(trap, kOut),
       FIELD(message, kOut));

STRUCT(wring_features, kFeatures,
       FIELD(abi, kOut), FIELD(cpu, kOut), FIELD(mitigations, kOut), FIELD(prog_types, kOut),
       FIELD(link_types, kOut), FIELD(programs, kOut), FIELD(reservations, kOut),
       FIELD(reservations_pooled, kOut), FIELD(code_bytes, kOut), FIELD(reserved, kReserved),
       FIELD(internal_errors, kOut), FIELD(loads, kOut), FIELD(unused, kOut));

STRUCT(wring_map_ref, kMapRefStruct,
       FIELD(name, kText), FIELD(fd, kMapFd), FIELD(flags, kReserved));

STRUCT(wring_prog_load, kProgLoad,
       FIELD(module, kPointer), FIELD(module_bytes, kCount), FIELD(maps, kPointer),
       FIELD(map_count, kCount), FIELD(type, kEnum, WRING_PROG_NETFILTER + 1),
       FIELD(flags, kFlags,
             WRING_PROG_F_KEEP | WRING_PROG_F_DEFAULT_VERDICT | WRING_PROG_F_CLAMPED),
       FIELD(default_verdict, kNumber, 4), FIELD(max_memory_pages, kNumber, 65536),
       FIELD(max_table_entries, kNumber, 1000000), FIELD(max_code_bytes, kNumber, 64 << 20),
       FIELD(stack_bytes, kNumber, 8 << 20), FIELD(fuel, kNumber, 1ull << 32),
       FIELD(error, kPointer), FIELD(error_bytes, kCount), FIELD(id, kOut), FIELD(name, kText),
       FIELD(entry, kText), FIELD(time_us, kNumber, 10000),
       FIELD(on_trap, kEnum, WRING_ON_TRAP_DETACH + 1), FIELD(trap_limit, kNumber, 10),
       FIELD(timeout_limit, kNumber, 10));

STRUCT(wring_next_id, kNextId,
       FIELD(id, kProgramId), FIELD(flags, kReserved));

STRUCT(wring_prog_open, kProgOpen,
       FIELD(id, kProgramId), FIELD(flags, kReserved));

STRUCT(wring_frame, kFrame,
       FIELD(func, kOut), FIELD(offset, kOut), FIELD(name, kOut));

STRUCT(wring_trap_info, kTrapInfo,
       FIELD(time_ns, kOut), FIELD(reason, kOut), FIELD(cpu, kOut), FIELD(frame_count, kOut),
       FIELD(reserved, kOut), FIELD(text, kOut), FIELD(frames, kOut));

STRUCT(wring_prog_info, kProgInfo,
       FIELD(id, kOut), FIELD(type, kOut), FIELD(flags, kOut), FIELD(default_verdict, kOut),
       FIELD(load_time_ns, kOut), FIELD(compile_ns, kOut), FIELD(module_bytes, kOut),
       FIELD(code_bytes, kOut), FIELD(code_address, kOut), FIELD(linmem_bytes, kOut),
       FIELD(fuel, kOut), FIELD(runs, kOut), FIELD(fuel_used, kOut), FIELD(traps, kOut),
       FIELD(misses, kOut), FIELD(bad_verdicts, kOut), FIELD(instances, kOut), FIELD(links, kOut),
       FIELD(map_count, kOut), FIELD(uid, kOut), FIELD(tag, kOut), FIELD(name, kOut),
       FIELD(entry, kOut), FIELD(map_room, kCount), FIELD(reserved, kReserved),
       FIELD(map_ids, kPointer), FIELD(trap, kOut), FIELD(misses_busy, kOut),
       FIELD(misses_fpu, kOut), FIELD(misses_depth, kOut), FIELD(time_us, kOut),
       FIELD(on_trap, kOut), FIELD(misses_reset, kOut), FIELD(misses_read_only, kOut),
       FIELD(run_time_ns, kOut), FIELD(trap_limit, kOut), FIELD(timeout_limit, kOut));

STRUCT(wring_prog_code, kProgCode,
       FIELD(buffer, kPointer), FIELD(bytes, kCount), FIELD(address, kOut),
       FIELD(reserved, kReserved));

STRUCT(wring_prog_module, kProgModule,
       FIELD(buffer, kPointer), FIELD(bytes, kCount), FIELD(reserved, kReserved));

STRUCT(wring_prog_unload, kProgUnload,
       FIELD(flags, kReserved), FIELD(reserved, kReserved));

STRUCT(wring_prog_run, kProgRun,
       FIELD(data_in, kPointer), FIELD(data_out, kPointer), FIELD(data_in_bytes, kCount),
       FIELD(data_out_bytes, kCount), FIELD(repeat, kNumber, 1000), FIELD(flags, kReserved),
       FIELD(verdict, kOut), FIELD(trap, kOut), FIELD(duration_ns, kOut), FIELD(fuel_used, kOut),
       FIELD(error, kPointer), FIELD(error_bytes, kCount), FIELD(reserved, kReserved));

STRUCT(wring_import, kImportStruct,
       FIELD(instance_fd, kInstanceFd), FIELD(export_index, kNumber, 100));

STRUCT(wring_instance_new, kInstanceNew,
       FIELD(module, kPointer), FIELD(module_bytes, kCount), FIELD(imports, kPointer),
       FIELD(import_count, kCount), FIELD(flags, kFlags, WRING_INSTANCE_F_VALIDATE),
       FIELD(fuel, kNumber, 1 << 20), FIELD(error, kPointer), FIELD(error_bytes, kCount),
       FIELD(features, kFlags, kWasm));

STRUCT(wring_invoke, kInvoke,
       FIELD(name, kPointer), FIELD(name_bytes, kCount), FIELD(export_index, kNumber, 100),
       FIELD(args, kPointer), FIELD(results, kPointer), FIELD(arg_count, kCount),
       FIELD(result_count, kCount), FIELD(flags, kReserved), FIELD(trap, kOut),
       FIELD(fuel, kNumber, 1 << 20), FIELD(error, kPointer), FIELD(error_bytes, kCount),
       FIELD(reserved, kReserved));

STRUCT(wring_export_get, kExportGet,
       FIELD(name, kPointer), FIELD(name_bytes, kCount), FIELD(export_index, kNumber, 100),
       FIELD(kind, kOut), FIELD(flags, kReserved), FIELD(error, kPointer),
       FIELD(error_bytes, kCount), FIELD(reserved, kReserved), FIELD(value, kOut),
       FIELD(params, kOut), FIELD(results, kOut));

STRUCT(wring_attach_xdp, kAttachXdp,
       FIELD(stub_fd, kStubFd), FIELD(ifindex, kNumber, 2), FIELD(devname, kText));

STRUCT(wring_attach_rawtp, kAttachRawtp,
       FIELD(tp_name, kText));

STRUCT(wring_attach_netfilter, kAttachNetfilter,
       FIELD(pf, kNumber, 12), FIELD(hooknum, kNumber, 5), FIELD(priority, kNumber, 300));

STRUCT(wring_link_attach, kLinkAttach,
       FIELD(prog_fd, kProgramFd), FIELD(flags, kReserved), FIELD(error, kPointer),
       FIELD(error_bytes, kCount), FIELD(id, kOut), FIELD(xdp.stub_fd, kStubFd),
       FIELD(xdp.ifindex, kNumber, 2), FIELD(xdp.devname, kText), BEYOND(room, xdp, kReserved));

STRUCT(wring_link_detach, kLinkDetach,
       FIELD(id, kLinkId), FIELD(flags, kFlags, WRING_LINK_F_PROG_FD | WRING_LINK_F_ALL),
       FIELD(prog_fd, kProgramFd), FIELD(detached, kOut), FIELD(error, kPointer),
       FIELD(error_bytes, kCount), FIELD(reserved, kReserved));

STRUCT(wring_link_xdp, kLinkXdp,
       FIELD(stub_id, kOut), FIELD(ifindex, kOut), FIELD(devname, kOut));

STRUCT(wring_link_rawtp, kLinkRawtp,
       FIELD(tp_name, kOut));

STRUCT(wring_link_netfilter, kLinkNetfilter,
       FIELD(pf, kOut), FIELD(hooknum, kOut), FIELD(priority, kOut), FIELD(reserved, kOut),
       FIELD(netns_ino, kOut));

STRUCT(wring_link_info, kLinkInfo,
       FIELD(id, kLinkId), FIELD(flags, kFlags, WRING_LINK_F_PROG_FD), FIELD(prog_fd, kProgramFd),
       FIELD(reserved, kReserved), FIELD(error, kPointer), FIELD(error_bytes, kCount),
       FIELD(type, kOut), FIELD(prog_id, kOut), FIELD(unused, kOut), FIELD(room, kOut));

#define COMMAND(name, on, argument) {#name, WRING_IOC_##name, On::on, &argument}
constexpr Command kCommandTable[] = {
    COMMAND(FEATURES, kDevice, kFeatures),
    COMMAND(PROG_LOAD, kDevice, kProgLoad),
    COMMAND(PROG_NEXT_ID, kDevice, kNextId),
    COMMAND(PROG_OPEN, kDevice, kProgOpen),
    COMMAND(INSTANCE_NEW, kDevice, kInstanceNew),
    COMMAND(LINK_ATTACH, kDevice, kLinkAttach),
    COMMAND(LINK_DETACH, kDevice, kLinkDetach),
    COMMAND(LINK_NEXT_ID, kDevice, kNextId),
    COMMAND(LINK_INFO, kDevice, kLinkInfo),
    COMMAND(PROG_INFO, kProgram, kProgInfo),
    COMMAND(PROG_CODE, kProgram, kProgCode),
    COMMAND(PROG_UNLOAD, kProgram, kProgUnload),
    COMMAND(PROG_RUN, kProgram, kProgRun),
    COMMAND(INVOKE, kInstance, kInvoke),
    COMMAND(EXPORT_GET, kInstance, kExportGet),
    COMMAND(PROG_MODULE, kProgram, kProgModule),
};
// clang-format on

constexpr const Struct* kStructs[] = {
    &kErrorInfo, &kFeatures,      &kMapRefStruct, &kProgLoad,    &kNextId,          &kProgOpen,
    &kFrame,     &kTrapInfo,      &kProgInfo,     &kProgCode,    &kProgModule,      &kProgUnload,
    &kProgRun,   &kInvoke,        &kExportGet,    &kInstanceNew, &kLinkAttach,      &kLinkDetach,
    &kLinkInfo,  &kImportStruct,  &kAttachXdp,    &kAttachRawtp, &kAttachNetfilter, &kLinkXdp,
    &kLinkRawtp, &kLinkNetfilter,
};

constexpr bool has_command(unsigned number) {
  for (const Command& command : kCommandTable)
    if (command.number == number) return command.argument->bytes == _IOC_SIZE(number);
  return false;
}

constexpr bool has_struct(std::string_view name) {
  for (const Struct* known : kStructs)
    if (known->name == name) return true;
  return false;
}

// What the header has, made of it by the Makefile.
#define WRING_HAS_COMMAND(name) static_assert(has_command(name), #name " is not described");
#define WRING_HAS_STRUCT(name) static_assert(has_struct(#name), #name " is not described");
#include "wring_uapi_names.inc"

}  // namespace

const std::span<const Command> kCommands = kCommandTable;
const Struct kMapRef = kMapRefStruct;
const Struct kImport = kImportStruct;

const Command& command_of(unsigned number) {
  for (const Command& command : kCommands)
    if (command.number == number) return command;
  std::abort();
}

}  // namespace wring::fuzz
