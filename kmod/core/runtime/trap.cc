// SPDX-License-Identifier: GPL-2.0
// Traps: their texts, and the record of where one happened, made by walking the guest's frames.
//
// Generated code keeps no frame pointers. A function's frame has one size (FunctionCode::frame_bytes) at all of
// its calls and traps, so the return address lies that far above the stack pointer; its call site names the caller.
// The walk ends at the entry stub, whose stack pointer is vmctx->entry_sp, and reads nothing beyond.
#include "core/runtime/trap.h"

#include "core/base/pace.h"
#include "core/base/recovery.h"
#include "core/runtime/bridge.h"
#include "core/runtime/instance.h"
#include "core/runtime/sleep.h"

namespace wring::runtime {

namespace {

constexpr const char* kTrapTexts[] = {
#define TRAP(name, text) text,
#include "core/abi/traps.def"
#undef TRAP
};

static_assert(WRING_MAX_TRAP_FRAMES == kMaxTrapFrames);

// One guest frame during the walk.
struct Frame {
  wring_instance* instance;
  u64 sp;  // in the function's body
  u32 func;
  u32 origin;
  u64 frame_bytes;  // from sp to the return address
};

u64 read_word(u64 address) {
  u64 word;
  __builtin_memcpy(&word, reinterpret_cast<const void*>(address), sizeof(word));
  return word;
}

// Offset of pc in the code, or kNone.
u32 offset_in(const link::CodeImage& image, u64 pc) {
  u64 offset = pc - image.address;
  return offset < image.bytes ? static_cast<u32>(offset) : kNone;
}

// Steps to the caller of *frame, through bridges; false at the entry stub (or if the stack makes no sense).
bool step(Frame* frame, u64 end) {
  u64 at = frame->sp + frame->frame_bytes;
  for (;;) {
    if (at < frame->sp || at + 8 > end || at % 8 != 0) return false;
    u64 pc = read_word(at);
    const CallSite* bridge = find_bridge_call(*frame->instance, pc);
    if (!bridge) {
      const link::CodeImage& image = frame->instance->code->image;
      u32 offset = offset_in(image, pc);
      const CallSite* site = offset == kNone ? nullptr : link::find_call(image, offset);
      if (!site) return false;
      frame->sp = at + 8;
      frame->func = site->func;
      frame->origin = site->origin;
      frame->frame_bytes = image.functions[site->func].frame_bytes;
      return true;
    }
    // at + 8 is the bridge's sp; the caller's vmctx lies right below the bridge's own return address.
    u64 bridge_return = at + 8 + bridge->origin;
    if (bridge_return < at + 8 || bridge_return + 8 > end) return false;
    auto* caller = reinterpret_cast<wring_vmctx*>(read_word(bridge_return - 8));
    frame->instance = instance_of(caller);
    frame->sp = at + 8;
    at = bridge_return;
  }
}

// A frame as the record has it: by where its bytes are in the module, which for inlined code is not the function
// that was emitted. A prologue stands for the function's beginning.
wring_trap_frame describe(const Frame& frame, bool is_foreign) {
  const Module& module = frame.instance->module();
  u32 origin = frame.origin ? frame.origin : module.functions[frame.func].body.begin;
  return {is_foreign ? WRING_NO_INDEX : module.function_at(origin, frame.func), origin};
}

constexpr u32 kInstanceSteps = 16;  // half a dozen places that no cache holds

// Calls f for all that the instance is linked to. Where they are many others get a turn.
template <class F>
void for_each_linked(wring_instance* entered, F&& f) {
  if (!entered->is_linked) return f(*entered);
  SleepSection section(&entered->vmctx);
  for (wring_instance* i = first_linked(entered); i; i = i->next) {
    f(*i);
    if (entered->vmctx.may_sleep) tick_and_go_on(kInstanceSteps);
  }
}

}  // namespace

static_assert(WRING_MAX_STACK_POINTERS == kMaxStackPointers);

void save_own_stack_pointers(wring_instance* instance) {
  u64* saved = reinterpret_cast<u64*>(instance->vmctx.stack_pointers);
  for (const StackPointer& pointer : instance->code->plan.stack_pointers)
    __builtin_memcpy(saved++, instance->vmctx.globals[pointer.global], sizeof(u64));
}

void save_stack_pointers(wring_instance* entered) {
  for_each_linked(entered, [](wring_instance& instance) { save_own_stack_pointers(&instance); });
}

void restore_stack_pointers(wring_instance* entered) {
  for_each_linked(entered, [](wring_instance& instance) {
    const u64* saved = reinterpret_cast<const u64*>(instance.vmctx.stack_pointers);
    for (const StackPointer& pointer : instance.code->plan.stack_pointers)
      __builtin_memcpy(instance.vmctx.globals[pointer.global], saved++, sizeof(u64));
  });
}

void record_uncaught(wring_vmctx* vmctx, const wring_exception& exception) {
  const wring_instance& instance = *instance_of(vmctx);
  vmctx->trap_reason = WRING_TRAP_UncaughtException;
  vmctx->trap_pc = vmctx->trap_sp = nullptr;
  vmctx->trap_frame_count = 1;
  bool is_foreign = instance.is_linked && !instance.exceptions.owns(exception);
  vmctx->trap_frames[0] = {
      is_foreign ? WRING_NO_INDEX
                 : instance.module().function_at(exception.throw_offset, exception.throw_func),
      exception.throw_offset};
}

namespace {

void record_trap(wring_vmctx* vmctx) {
  wring_vmctx* root = vmctx->root;
  wring_instance* instance = instance_of(vmctx);
  const link::CodeImage& image = instance->code->image;
  u32 reason = vmctx->trap_reason;  // set by a library or host call, else the site knows
  vmctx->trap_reason = 0;
  root->trap_frame_count = 0;
  root->trap_pc = vmctx->trap_pc;
  root->trap_sp = vmctx->trap_sp;

  u32 offset = offset_in(image, reinterpret_cast<u64>(vmctx->trap_pc));
  const TrapSite* site = offset == kNone ? nullptr : link::find_trap(image, offset);
  if (reason == WRING_TRAP_None || reason >= WRING_TRAP_COUNT)
    reason = site ? static_cast<u32>(site->reason) : u32{WRING_TRAP_HostError};
  root->trap_reason = reason;
  if (!site) return;

  Frame frame = {instance, reinterpret_cast<u64>(vmctx->trap_sp), site->func, site->origin,
                 site->in_prologue ? 0 : u64{image.functions[site->func].frame_bytes}};
  u64 end = reinterpret_cast<u64>(vmctx->entry_sp);
  do {
    bool is_foreign = instance_of(root) != frame.instance;
    root->trap_frames[root->trap_frame_count++] = describe(frame, is_foreign);
  } while (root->trap_frame_count < WRING_MAX_TRAP_FRAMES && step(&frame, end));
}

}  // namespace

}  // namespace wring::runtime

extern "C" const char* wring_trap_text(unsigned int reason) {
  return reason < WRING_TRAP_COUNT ? wring::runtime::kTrapTexts[reason] : "unknown trap";
}

extern "C" void wring_lib_record_trap(wring_vmctx* vmctx) {
  using namespace wring;
  runtime::restore_stack_pointers(runtime::instance_of(vmctx->root));
  Guard guard(Stage::kLibcall);
  if (!wring_recovery_set(guard.point())) return runtime::record_trap(vmctx);
  // With the frames found so far.
  vmctx->root->trap_reason = WRING_TRAP_InternalError;
}
