// SPDX-License-Identifier: GPL-2.0
// The objects behind engine.h's opaque pointers, and how they hold each other.
//
// instance -> code -> module -> store, by reference counts that the host's serialization protects (engine.h). An
// instance that is linked to another one also belongs to its store's `linked` list, which keeps it, and so its code,
// until the host has put everything else: handles the host holds are what the store counts.
#pragma once

#include "core/base/bitset.h"
#include "core/engine.h"
#include "core/link/binding.h"
#include "core/link/link.h"
#include "core/runtime/signatures.h"
#include "core/wasm/module.h"

namespace wring::runtime {

struct Memory {
  wring_memory_view view;
  MemoryType type;  // as declared, for import matching
};

struct Table {
  wring_table_view view;
  TableType type;
};

// A 16-byte cell, wring_vmctx::globals point to such.
struct alignas(16) GlobalCell {
  u64 words[2];
};

// What a stack needs to hold besides a function's own frames.
struct StackNeeds {
  bool own_stack = false;  // recursion, another instance's code, or more than kInlineStackBytes
  u32 bytes = 0;
};

}  // namespace wring::runtime

struct wring_store {
  wring::u32 handles = 1;  // modules, codes, unlinked instances and the host's own
  wring_limits limits = {};
  wring::runtime::Signatures signatures;
  wring_instance* linked = nullptr;
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
  wring::u32 hook_entry = wring::kNone;
  wring::runtime::StackNeeds stack;
  bool is_placed = false;
  void (*release)(void*) = nullptr;
  void* release_arg = nullptr;
};

struct wring_instance {
  explicit wring_instance(wring::usize max_bytes) : arena(max_bytes) {}

  wring::u32 refs = 1;
  bool is_linked = false;          // on the store's list, which holds a reference
  wring_instance* next = nullptr;  // on that list
  wring_code* code = nullptr;
  wring::Arena arena;
  wring_vmctx vmctx = {};

  wring::Span<wring::runtime::Memory*> memories;
  wring::Span<wring::runtime::Table*> tables;
  wring::BitSet dropped_elements;
  wring::BitSet dropped_datas;

  // Bridges into this instance (bridge.cc), once another instance may reach its functions.
  wring::u8* bridge_code = nullptr;
  wring::usize bridge_bytes = 0;
  wring::Span<wring::u32> bridges;  // by function index: offset in bridge_code, or kNone
  wring::Span<const wring::CallSite> bridge_calls;

  const wring::Module& module() const { return *code->module->module; }
};
