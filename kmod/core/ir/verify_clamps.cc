// SPDX-License-Identifier: GPL-2.0
// The part of the IR verifier that looks at what addresses are made of: see verify.h.
#include "core/abi/vmctx.h"
#include "core/base/limits.h"
#include "core/ir/verify.h"

namespace wring::ir {

namespace {

// From an access to its base: the builder makes addresses of fewer parts.
constexpr u32 kMaxSteps = 8;
constexpr i64 kValuesOffset = __builtin_offsetof(wring_exception, values);

class ClampVerifier {
 public:
  ClampVerifier(const Function& f, const char* pass, Diag* diag)
      : f_(f), pass_(pass), diag_(diag) {}
  Err run() {
    for (const Block& block : f_.blocks)
      for (Value v : block.insts) TRY(inst(v));
    return Err::kOk;
  }

 private:
  const Inst& at(Value v) const { return f_.insts[v]; }
  bool is(Value v, Op op) const { return at(v).op == op; }

  Err expect(bool ok, Value v, const char* what) {
    if (ok) return Err::kOk;
    return diag_->fail(Err::kInvalid, f_.index, at(v).origin, "IR: after %s: v%u (%s): %s", pass_,
                       v, name_of(at(v).op), what);
  }

  Err inst(Value v) {
    Span<Value> args = f_.args(v);
    switch (at(v).op) {
      case Op::kLoadRaw:
      case Op::kStoreRaw:
      case Op::kAddRaw:
      case Op::kAtomicAddRaw: return access(v);
      case Op::kLoadMem:
      case Op::kStoreMem:
      case Op::kLoadLaneMem:
      case Op::kStoreLaneMem:
      case Op::kAtomicLoad:
      case Op::kAtomicStore:
      case Op::kAtomicRmw:
      case Op::kAtomicCas:
        return expect(is(args[1], Op::kMemBase) || is_fixed_load(args[1]), v,
                      "a memory whose base is none");
      case Op::kCallPtr:
      case Op::kTailCallPtr:
        return expect(is(args[0], Op::kMatchOrNull) || is_fixed_load(args[0]), v,
                      "code that is not clamped to its type");
      default: return Err::kOk;
    }
  }

  bool is_fixed_load(Value v) const { return is(v, Op::kLoadRaw) && at(v).invariant; }
  bool is_vmctx_field(Value v, i64 offset) const {
    return is(v, Op::kLoadRaw) && is(at(v).arg[0], Op::kVmCtx) && at(v).imm == offset;
  }

  // The address of an access: a base that stands for itself, plus constants and clamped offsets.
  Err access(Value v) {
    const Inst& inst = at(v);
    Value base = inst.arg[0];
    i64 constant = inst.imm;
    bool is_indexed = false;
    for (u32 step = 0; is(base, Op::kAdd) || is(base, Op::kPerCpu); step++) {
      TRY(expect(step < kMaxSteps, v, "an address of too many parts"));
      const Inst& sum = at(base);
      if (sum.op == Op::kPerCpu) {
        base = sum.arg[0];
      } else if (is(sum.arg[1], Op::kConst)) {
        constant += at(sum.arg[1]).imm;
        base = sum.arg[0];
      } else {
        bool left = is_clamped(sum.arg[0]);
        TRY(expect(left || is_clamped(sum.arg[1]), v, "an offset that is not clamped"));
        base = sum.arg[left ? 1 : 0];
        is_indexed = true;
      }
    }
    TRY(expect(is_base(base), v, "an address that is neither a base nor clamped"));
    if (is_vmctx_field(base, __builtin_offsetof(wring_vmctx, pkt)))
      return expect(constant >= 0 && constant < kPacketTailBytes && !(is_indexed && constant), v,
                    "a packet's byte far away that is not clamped");
    // (Where a clamp can yield nothing but 0, it is folded.)
    if (is_vmctx_field(base, __builtin_offsetof(wring_vmctx, hook_args)))
      return expect(constant == 0, v, "an argument that is not clamped");
    bool is_payload = inst.op == Op::kLoadRaw && constant >= kValuesOffset;
    return expect(!is_payload || !is_vmctx_field(base, __builtin_offsetof(wring_vmctx, exception)),
                  v, "a value of an exception whose tag is not clamped");
  }

  bool is_base(Value v) const {
    switch (at(v).op) {
      case Op::kVmCtx:
      case Op::kConst:
      case Op::kLoadRaw:
      case Op::kMatchOrNull: return true;
      // References.
      case Op::kParam:
      case Op::kPhi:
      case Op::kSelect:
      case Op::kResult:
      case Op::kCall:
      case Op::kCallPtr:
      case Op::kCallHost:
      case Op::kCallLib: return true;
      default: return is_clamped(v);  // to which a constant base was added
    }
  }

  // Scaled by constants, plus constants.
  bool is_clamped(Value v) const {
    for (u32 step = 0; step < kMaxSteps; step++) {
      const Inst& inst = at(v);
      switch (inst.op) {
        case Op::kClampIndex: return true;
        case Op::kZExtI32: break;
        case Op::kMul:
        case Op::kShl:
        case Op::kAdd:
          if (!is(inst.arg[1], Op::kConst)) return false;
          break;
        default: return false;
      }
      v = inst.arg[0];
    }
    return false;
  }

  const Function& f_;
  const char* pass_;
  Diag* diag_;
};

}  // namespace

Err verify_clamps(const Function& f, const char* pass, Diag* diag) {
  return ClampVerifier(f, pass, diag).run();
}

}  // namespace wring::ir
