// SPDX-License-Identifier: GPL-2.0
// The objects behind engine.h's opaque pointers, and how they hold each other.
//
// instance -> code -> module -> store, by reference counts that the host's serialization protects (engine.h). An
// instance that is linked to another one also belongs to its store's `linked` list, which keeps it, and so its code,
// until the host has put everything else: handles the host holds are what the store counts.
#pragma once

#include "core/base/bitset.h"
#include "core/base/limits.h"
#include "core/base/recovery.h"
#include "core/engine.h"
#include "core/link/binding.h"
#include "core/link/link.h"
#include "core/runtime/address_index.h"
#include "core/runtime/exceptions.h"
#include "core/runtime/signatures.h"
#include "core/wasm/module.h"

namespace wring::runtime {

struct Memory {
  wring_memory_view view;
  MemoryType type;  // as declared, for import matching
  Held held;
};

struct Table {
  wring_table_view view;
  TableType type;
  // Tables that may grow have address space of their own, the first committed_bytes of it in use; others are in the
  // instance's arena (own_entries null) or in own_entries.
  void* reservation;
  u64 reserved_bytes;
  u64 committed_bytes;
  void* own_entries;
  Held held;  // the reservation

  bool holds_functions() const { return top_of(type.elem) == ValType::kFuncRef; }
  u32 entry_bytes() const { return holds_functions() ? sizeof(wring_table_entry) : sizeof(u64); }
};

// A 16-byte cell, wring_vmctx::globals point to such.
struct alignas(16) GlobalCell {
  u64 words[2];
};

// A value type means something only together with the module whose types it refers to.
struct TypeOf {
  const wring_module* module;
  ValType type;
};

// What a stack needs to hold besides a function's own frames.
struct StackNeeds {
  bool own_stack = false;  // see wring_code_needs_stack
  u32 bytes = 0;
};

// What all instances of a code have in common, worked out once.
struct InstancePlan {
  // The beginning of wring_vmctx::functions up to the last function that can be referred to; imports bound to other
  // instances are zero.
  Span<wring_func_ref> functions;
  Span<GlobalCell> globals;                 // of the module's own globals, where known in advance
  Span<const u32> computed_globals;         // indices of those that are not
  BitSet growing_tables;                    // by table index: may grow
  Span<const StackPointer> stack_pointers;  // at most WRING_MAX_STACK_POINTERS
  ExceptionPool::Shape exceptions;
  Span<const u32> exn_globals;  // indices of the globals and tables of exceptions
  Span<const u32> exn_tables;
  bool uses_fpu = false;  // an invocation may get into code that does
};

}  // namespace wring::runtime

struct wring_store {
  wring::u32 handles = 1;  // modules, codes, unlinked instances and the host's own
  wring_limits limits = {};
  wring::runtime::Signatures signatures;
  wring_instance* linked = nullptr;
  wring::u32 linked_count = 0;
  // Of linked instances: the records of their functions (owner: the instance), and exceptions (runtime/exceptions.h).
  wring::runtime::AddressIndex functions;
  wring::runtime::AddressIndex exceptions;
  wring::u64 const_operands[wring::kMaxConstDepth];  // while a constant expression is evaluated
};

struct wring_module {
  wring::u32 refs = 1;
  wring_store* store = nullptr;
  wring::Module* module = nullptr;
  wring::u32* type_ids = nullptr;  // by type index
};

struct wring_code {
  explicit wring_code(wring::usize max_bytes) : scratch(max_bytes), tables(max_bytes) {}

  wring::u32 refs = 1;
  wring_module* module = nullptr;
  wring::Arena scratch;  // what is needed until the code is placed
  wring::Arena tables;
  wring::link::CodeImage image;
  wring::Span<wring::BindingKind> binding_kinds;  // by imported function
  wring::Target target;                           // for bridges
  wring::u32 tail_bytes = 0;                      // likewise (x64/abi.h)
  wring::u32 hook_entry = wring::kNone;
  wring::u64 hook_first_slice = 0;  // of fuel, which every hook invocation begins with
  wring::runtime::StackNeeds stack;
  wring::runtime::InstancePlan plan;
  bool is_placed = false;
  void (*release)(void*) = nullptr;
  void* release_arg = nullptr;
};

struct wring_instance {
  explicit wring_instance(wring::usize max_bytes) : arena(max_bytes) {}

  wring::u32 refs = 1;
  bool is_built = false;           // all but its segments is there
  bool is_linked = false;          // on the store's list, which holds a reference
  bool in_fpu_section = false;     // of the invocation that entered here
  bool has_left_fpu = false;       // and a library call of it has given the FPU back for a while
  wring_instance* next = nullptr;  // on the store's list; null if it is on none
  wring_code* code = nullptr;
  wring::Arena arena;
  wring_vmctx vmctx = {};

  wring::Span<wring::runtime::Memory*> memories;
  wring::Span<wring::runtime::Table*> tables;
  // By index of an imported global: its type as defined, which may be more specific than the module asks for.
  wring::Span<wring::runtime::TypeOf> imported_globals;
  wring::BitSet dropped_elements;
  wring::BitSet dropped_datas;
  wring::runtime::ExceptionPool exceptions;

  // Bridges into this instance (bridge.cc), once another instance may reach its functions.
  bool is_bridged = false;
  wring::u8* bridge_code = nullptr;
  wring::usize bridge_bytes = 0;
  wring::Held bridge_held = {};
  wring::Span<const wring::CallSite> bridge_calls;

  const wring::Module& module() const { return *code->module->module; }
};
