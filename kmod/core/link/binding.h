// SPDX-License-Identifier: GPL-2.0
// Bindings: what the host makes of a module's function imports, decided before compilation.
#pragma once

#include "core/base/span.h"

namespace wring {

// Host operations that the IR builder expands in line (their Wasm signatures are in host/host.def).
enum class Intrinsic : u8 {
#define HOST(...)
#define INTRINSIC(name, module, import, params, results, ...) k##name,
#include "host/host.def"
#undef HOST
#undef INTRINSIC
  kCount
};

enum class BindingKind : u8 {
  kWasm,  // another instance's function, called through the vmctx import slot (and a bridge, if needed)
  kHost,  // a C function, called directly: address
  kIntrinsic,  // expanded in line: intrinsic; where that is impossible (a map handle not known at compile
               // time, an opaque map) it is called like kHost: address, may_trap
  kConstant,  // a function without parameters that returns one i32: value (map handles)
};

struct FunctionBinding {
  BindingKind kind = BindingKind::kWasm;
  Intrinsic intrinsic = Intrinsic::kCount;
  u32 value = 0;
  // kHost, kIntrinsic: R fn(VmCtx *, args...) in the C ABI; may set vmctx->trap_reason and call nothing else to trap
  // (checked after the call if may_trap).
  u64 address = 0;
  bool may_trap = false;
  bool may_sleep = false;   // FPU sections end around it
  bool needs_hook = false;  // not to be called by the start function
  u32 cost = 0;             // in units of fuel, besides that of a call
};

// How map intrinsics reach a map. Index = the map handle.
enum class MapKind : u8 {
  kOpaque,       // only through host calls
  kArray,        // values at address + index * elem_bytes
  kPerCpuArray,  // pointers[index] is a per-CPU address
};
struct MapBinding {
  MapKind kind = MapKind::kOpaque;
  u32 max_entries = 0;
  u32 elem_bytes = 0;  // distance between elements (value size rounded up to 8)
  u32 value_bytes = 0;
  u64 address = 0;  // kArray: of element 0; kPerCpuArray: of the array of per-CPU pointers
};

struct Bindings {
  Span<const FunctionBinding> functions;  // one per imported function
  Span<const MapBinding> maps;            // indexed by handle
  // Displacements from gs of the kernel's per-CPU variables; 0: unavailable, then the intrinsics that need
  // them call FunctionBinding::address instead. Both fit i32.
  u64 gs_this_cpu_off = 0;  // u64: what turns a per-CPU address into this CPU's copy
  u64 gs_cpu_number = 0;    // u32
};

}  // namespace wring
