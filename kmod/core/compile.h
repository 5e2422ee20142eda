// SPDX-License-Identifier: GPL-2.0
// The compiler's pipeline for a whole module: call graph, then each function through IR, optimizer and back end.
#pragma once

#include "core/ir/build.h"
#include "core/link/callgraph.h"
#include "core/link/code.h"
#include "core/opt/opt.h"
#include "core/x64/x64.h"

namespace wring {

struct CompileRequest {
  const Module* module = nullptr;
  Bindings bindings;
  Span<const u32> type_ids;  // Store-wide signature id per module type
  Target target;
  const wring_hook_entry* hook = nullptr;  // or none
  bool check = false;         // verify what stages hand on: IR, LIR, register allocation
  bool check_passes = false;  // and the IR after every pass of the optimizer
  bool metered = true;
  bool optimize = true;
  usize max_bytes = 0;                     // memory one function's compilation may take
  u32 max_memory_pages = kMaxMemoryPages;  // see ir::BuildContext
};

struct CompileResult {
  bool needs_stack = false;  // see wring_code_needs_stack
  u64 stack_bytes = 0;       // see wring_code_stack_bytes
  u32 hook_entry = kNone;
  u64 hook_first_slice = 0;  // of fuel
  u32 tail_bytes = 0;        // the most stack area that a tail call passes arguments in (x64/abi.h)
  // What instances need to know of the call graph (link/callgraph.h).
  bool has_throw = false;
  bool calls_outside = false;
  BitSet growing_tables;
  Span<const StackPointer> stack_pointers;
};

// Compiles everything into *code, which is in `arena`, as is what *result refers to. May sleep, and lets
// others run (base/pace.h).
Err compile_module(const CompileRequest& request, Arena* arena, CodeBuilder* code,
                   CompileResult* result, Diag* diag);

// The first two stages for one function, as compile_module runs them, with the module's call graph.
Err compile_to_ir(const CompileRequest& request, link::CallGraph* graph, u32 func,
                  ir::Function* out, opt::PassObserver* observer, Diag* diag);

}  // namespace wring
