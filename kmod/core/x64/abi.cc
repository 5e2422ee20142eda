// SPDX-License-Identifier: GPL-2.0
// The calling convention of Wasm calls: see abi.h.
#include "core/x64/abi.h"

#include "core/x64/x64.h"

namespace wring::x64 {

namespace {

constexpr u32 kWordBytes = 8;

// Hands out places to values in order.
class Placer {
 public:
  Placer(const Reg* regs, u32 count) : regs_(regs), count_(count) {}

  Place next(ValType type) {
    bool vector = is_vector(type);
    if (vector && vectors_ < kVecArgRegCount) return {vec_reg(vectors_++), 0};
    if (!vector && ints_ < count_) return {regs_[ints_++], 0};
    u32 bytes = stack_bytes_of(type);
    u32 at = static_cast<u32>(align_up(bytes_, bytes));
    bytes_ = at + bytes;
    return {ra::kNoPReg, at};
  }
  u32 bytes() const { return bytes_; }

 private:
  const Reg* regs_;
  u32 count_;
  u32 ints_ = 0, vectors_ = 0;
  u32 bytes_ = 0;
};

bool place(Span<const ValType> types, Placer placer, Arena* arena, Span<Place>* out, u32* bytes) {
  *out = arena->make_array<Place>(types.size());
  if (!types.empty() && !out->data()) return false;
  for (u32 i = 0; i < types.size(); i++, tick()) (*out)[i] = placer.next(types[i]);
  *bytes = placer.bytes();
  return true;
}

}  // namespace

u32 stack_bytes_of(ValType type) { return type == ValType::kV128 ? 2 * kWordBytes : kWordBytes; }

bool layout_call(const FuncType& type, Arena* arena, CallLayout* out) {
  return place(type.params, Placer(kArgRegs, kArgRegCount), arena, &out->params,
               &out->param_bytes) &&
         place(type.results, Placer(kResultRegs, kResultRegCount), arena, &out->results,
               &out->result_bytes);
}

u32 stack_param_bytes(const FuncType& type) {
  Placer placer(kArgRegs, kArgRegCount);
  for (ValType param : ticking(type.params)) placer.next(param);
  return placer.bytes();
}

}  // namespace wring::x64
