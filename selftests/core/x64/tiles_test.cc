// SPDX-License-Identifier: GPL-2.0
// What code the back end chooses for common patterns: address
// modes, operands in memory, fused conditions, loops whose test is at the end, jumps that vanish.
// The bodies are compared without prologue, epilogue and return.
#include <Zydis/Zydis.h>

#include "selftests/core/x64/native.h"

namespace wring::test {
namespace {

constexpr Type kI32 = Type::kI32, kI64 = Type::kI64, kF32 = Type::kF32, kF64 = Type::kF64;

// The function as text, one instruction after the other; jump targets and call targets are left
// out.
std::string text_of(const Target& target, const std::string& params, const std::string& results,
                    NativeModule::Body body) {
  NativeModule m(target);
  u32 func = m.add(params, results, std::move(body));
  m.finish();
  ZydisDecoder decoder;
  ZydisFormatter formatter;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
  const FunctionCode& code = m.code.functions[func];
  const u8* p = m.text_of(func);
  const u8* end = p + (code.end - code.entry);
  std::string out;
  while (p < end) {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, p, static_cast<usize>(end - p), &insn, ops)))
      return "?";
    char text[128];
    ZydisFormatterFormatInstruction(&formatter, &insn, ops, insn.operand_count_visible, text,
                                    sizeof(text), 0, nullptr);
    bool relative = insn.operand_count_visible == 1 &&
                    ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && ops[0].imm.is_relative;
    std::string line = relative ? ZydisMnemonicGetString(insn.mnemonic) : text;
    out += (out.empty() ? "" : "; ") + line;
    p += insn.length;
  }
  return out;
}
std::string text_of(const std::string& params, const std::string& results,
                    NativeModule::Body body) {
  Target target;
  target.cpu = kCpuBmi1 | kCpuBmi2 | kCpuLzcnt | kCpuPopcnt | kCpuMovbe;
  return text_of(target, params, results, std::move(body));
}

TEST(X64Tiles, LinearMemoryAddresses) {
  EXPECT_EQ(
      text_of("i", "i",
              [](IrBuilder& b) { b.ret({b.load(kI32, MemKind::k16U, b.param(0, kI32), 20)}); }),
      "movzx eax, word ptr [r15+rdi*1+0x14]; ret; call");
  // Arrays: the index cannot overflow here, and the scale and the constant are free.
  EXPECT_EQ(
      text_of("i", "i",
              [](IrBuilder& b) {
                Value i = b.op(Op::kAnd, kI32, b.param(0, kI32), b.c32(0xff));
                Value scaled = b.op(Op::kShl, kI32, i, b.c32(2));
                b.ret({b.load(kI32, MemKind::k32U, b.op(Op::kAdd, kI32, scaled, b.c32(0x400)), 8)});
              }),
      "movzx eax, dil; mov eax, [r15+rax*4+0x408]; ret; call");
  EXPECT_EQ(text_of("", "i",
                    [](IrBuilder& b) { b.ret({b.load(kI32, MemKind::k32U, b.c32(0x1000), 4)}); }),
            "mov eax, [r15+0x1004]; ret; call");
}

TEST(X64Tiles, ReadModifyWriteIsOneInstruction) {
  EXPECT_EQ(text_of("i", "",
                    [](IrBuilder& b) {
                      Value p = b.param(0, kI32);
                      Value x = b.load(kI64, MemKind::k64, p, 8);
                      b.store(kI64, MemKind::k64, p, b.op(Op::kAdd, kI64, x, b.c64(1)), 8);
                      b.ret({});
                    }),
            "add qword ptr [r15+rdi*1+0x08], 0x01; ret; call");
}

TEST(X64Tiles, PerCpuCounter) {
  EXPECT_EQ(text_of("l", "",
                    [](IrBuilder& b) {
                      Value p = b.with_imm(Op::kPerCpu, kI64, 0x1000, {b.param(0, kI64)});
                      b.write_raw(Op::kAddRaw, kI64, MemKind::k64, p, b.c64(1), 16);
                      b.ret({});
                    }),
            "add qword ptr gs:[rdi+0x10], 0x01; ret");
}

TEST(X64Tiles, ByteSwappedLoad) {
  auto body = [](IrBuilder& b) {
    b.ret({b.op(Op::kBswap, kI32, b.load(kI32, MemKind::k32U, b.param(0, kI32)))});
  };
  EXPECT_EQ(text_of("i", "i", body), "movbe eax, [r15+rdi*1]; ret; call");
  EXPECT_EQ(text_of(Target(), "i", "i", body), "mov eax, [r15+rdi*1]; bswap eax; ret; call");
}

TEST(X64Tiles, ShiftsWithoutFixedRegisters) {
  EXPECT_EQ(text_of("ll", "l",
                    [](IrBuilder& b) {
                      b.ret({b.op(Op::kShl, kI64, b.param(0, kI64), b.param(1, kI64))});
                    }),
            "shlx rax, rdi, rsi; ret");
  EXPECT_EQ(text_of("ii", "i",
                    [](IrBuilder& b) {
                      Value x = b.param(0, kI32);
                      b.ret({b.op(Op::kXor, kI32, b.op(Op::kRotr, kI32, x, b.c32(7)), x)});
                    }),
            "rorx eax, edi, 0x07; xor eax, edi; ret");
}

TEST(X64Tiles, ThreeAddressSums) {
  EXPECT_EQ(text_of("ll", "ll",
                    [](IrBuilder& b) {
                      Value x = b.param(0, kI64), y = b.param(1, kI64);
                      Value s = b.op(Op::kAdd, kI64, x, b.op(Op::kShl, kI64, y, b.c64(3)));
                      b.ret({b.op(Op::kAdd, kI64, s, b.c64(5)), y});
                    }),
            "lea rax, [rdi+rsi*8+0x05]; mov rdx, rsi; ret");
}

TEST(X64Tiles, ConditionsAreFused) {
  // A packet's bounds check.
  EXPECT_EQ(text_of("li", "i",
                    [](IrBuilder& b) {
                      Value length = b.load_raw(kI32, MemKind::k32U, b.vmctx(), 0x78);
                      b.trap_if(b.compare(Op::kLtU, kI32, length, b.c32(34)),
                                TrapReason::kPacketOutOfBounds);
                      b.ret({b.c32(1)});
                    }),
            "cmp dword ptr [r14+0x78], 0x22; jb; mov eax, 0x01; ret; call");
  // A byte in memory against a constant, negated twice.
  EXPECT_EQ(text_of("i", "i",
                    [](IrBuilder& b) {
                      Value c =
                          b.compare(Op::kNe, kI32, b.load(kI32, MemKind::k8U, b.param(0, kI32), 9),
                                    b.c32(17));
                      c = b.compare(Op::kEq, kI32, b.compare(Op::kEq, kI32, c, b.c32(0)), b.c32(0));
                      b.ret({b.select(kI32, c, b.c32(5), b.c32(6))});
                    }),
            "mov eax, 0x06; mov ecx, 0x05; cmp byte ptr [r15+rdi*1+0x09], 0x11; cmovnz eax, ecx; "
            "ret; call");
  EXPECT_EQ(text_of("i", "i",
                    [](IrBuilder& b) {
                      Value bit = b.op(Op::kAnd, kI32, b.param(0, kI32), b.c32(0x1fff));
                      b.ret({b.compare(Op::kNe, kI32, bit, b.c32(0))});
                    }),
            "xor eax, eax; test edi, 0x1FFF; setnz al; ret");
}

// max(a, b) and the like: one comparison for all that depends on it.
TEST(X64Tiles, ComparisonsAreNotRepeated) {
  std::string text = text_of("llll", "ll", [](IrBuilder& b) {
    Value x = b.param(0, kI64), y = b.param(1, kI64);
    Value c = b.compare(Op::kLtU, kI64, x, y);
    b.ret({b.select(kI64, c, x, y), b.select(kI64, c, b.param(2, kI64), b.param(3, kI64))});
  });
  usize compare = text.find("cmp");
  EXPECT_NE(compare, std::string::npos) << text;
  EXPECT_EQ(text.find("cmp", compare + 1), std::string::npos) << text;
  EXPECT_EQ(text.find("test"), std::string::npos) << text;
}

std::string count_down(bool at_top) {
  return text_of("i", "i", [=](IrBuilder& b) {
    Value n = b.param(0, kI32), one = b.c32(1), zero = b.c32(0);
    ir::BlockId head = b.block(), body = b.block(), done = b.block();
    b.jump(head);
    b.at(head);
    Value i = b.phi(kI32, 2), sum = b.phi(kI32, 2), next, total;
    auto step = [&] {
      total = b.op(Op::kAdd, kI32, sum, i);
      next = b.op(Op::kSub, kI32, i, one);
    };
    if (at_top) {
      b.branch(i, body, done);
      b.at(body);
      step();
      b.jump(head);
    } else {
      step();
      b.branch(next, body, done);
      b.at(body);
      b.jump(head);
    }
    b.set_phi(i, 0, n);
    b.set_phi(i, 1, next);
    b.set_phi(sum, 0, zero);
    b.set_phi(sum, 1, total);
    b.at(done);
    b.ret({at_top ? sum : total});
  });
}

// The subtraction's flags decide, and one jump per iteration is taken, wherever the source tests.
TEST(X64Tiles, Loops) {
  EXPECT_EQ(count_down(false), "xor eax, eax; add eax, edi; add edi, 0xFFFFFFFF; jnz; ret");
  EXPECT_EQ(
      count_down(true),
      "xor eax, eax; jmp; lea eax, [rax+rdi*1]; add edi, 0xFFFFFFFF; test edi, edi; jnz; ret");
}

TEST(X64Tiles, SmallSwitches) {
  // Three cases and a default: one comparison parts three ways.
  std::string text = text_of("i", "i", [](IrBuilder& b) {
    std::vector<ir::BlockId> targets;
    for (u32 i = 0; i < 4; i++) targets.push_back(b.block());
    b.switch_to(b.param(0, kI32), targets);
    for (u32 i = 0; i < 4; i++) {
      b.at(targets[i]);
      b.ret({b.c32(i + 10)});
    }
  });
  EXPECT_EQ(text.substr(0, text.find("mov")), "cmp edi, 0x02; jz; jnbe; cmp edi, 0x01; jnb; ");
}

TEST(X64Tiles, LoopConstantsStayInRegisters) {
  std::string text = text_of("l", "l", [](IrBuilder& b) {
    Value n = b.param(0, kI64), zero = b.c64(0), key = b.c64(0x9e37'79b9'7f4a'7c15);
    ir::BlockId head = b.block(), body = b.block(), done = b.block();
    b.jump(head);
    b.at(head);
    Value i = b.phi(kI64, 2), x = b.phi(kI64, 2);
    Value mixed = b.op(Op::kMul, kI64, b.op(Op::kXor, kI64, x, i), key);
    Value next = b.op(Op::kAdd, kI64, i, b.c64(1));
    b.branch(b.compare(Op::kNe, kI64, next, n), body, done);
    b.at(body);
    b.jump(head);
    b.set_phi(i, 0, zero);
    b.set_phi(i, 1, next);
    b.set_phi(x, 0, n);
    b.set_phi(x, 1, mixed);
    b.at(done);
    b.ret({mixed});
  });
  usize constant = text.find("0x9E3779B97F4A7C15");
  ASSERT_NE(constant, std::string::npos) << text;
  EXPECT_EQ(text.find("0x9E3779B97F4A7C15", constant + 1), std::string::npos) << text;
  EXPECT_LT(constant, text.find("imul")) << text;
  EXPECT_NE(text.find("imul"), std::string::npos) << text;
}

// The test at the end of a loop is for the counter's next value, whose register is the counter's.
TEST(X64Tiles, LoopCountersStepInPlace) {
  auto body = [](Op op, u32 last) {
    return [op, last](IrBuilder& b) {
      ir::BlockId head = b.block(), latch = b.block(), done = b.block();
      Value zero = b.c32(0), step = b.c32(4), end = b.c32(last), v = b.param(0, kI32);
      b.jump(head);
      b.at(head);
      Value i = b.phi(kI32, 2);
      b.store(kI32, MemKind::k32U, i, v);
      Value next = b.op(Op::kAdd, kI32, i, step);
      b.branch(b.compare(op, kI32, i, end), latch, done);
      b.at(latch);
      b.jump(head);
      b.at(done);
      b.ret({});
      b.set_phi(i, 0, zero);
      b.set_phi(i, 1, next);
    };
  };
  EXPECT_EQ(text_of("i", "", body(Op::kNe, 96)),
            "xor eax, eax; mov [r15+rax*1], edi; add eax, 0x04; cmp eax, 0x64; jnz; ret; call");
  // The sum's own flags do for zero.
  EXPECT_EQ(text_of("i", "", body(Op::kNe, 0xffff'fffc)),
            "xor eax, eax; mov [r15+rax*1], edi; add eax, 0x04; jnz; ret; call");
}

// ---- floats

// As text_of(), with AVX or without; addresses of constants are left out.
std::string float_text_of(bool avx, const std::string& params, const std::string& results,
                          NativeModule::Body body) {
  Target target;
  target.cpu = kCpuSse41;
  if (avx) target.cpu |= kCpuAvx;
  std::string text = text_of(target, params, results, std::move(body));
  for (usize at = 0; (at = text.find("[0x", at)) != std::string::npos; at++)
    text.erase(at + 1, text.find(']', at) - at - 1);
  return text;
}

TEST(X64Tiles, FloatOperandsInMemory) {
  auto body = [](IrBuilder& b) {
    Value x = b.load(kF64, MemKind::k64, b.param(0, kI32), 8);
    Value half = b.constant(kF64, 0x3fe0'0000'0000'0000);
    Value scaled = b.op(Op::kFMul, kF64, half, b.param(1, kF64));
    b.store(kF64, MemKind::k64, b.param(0, kI32), b.op(Op::kFSub, kF64, scaled, x), 16);
    b.ret({});
  };
  EXPECT_EQ(float_text_of(true, "id", "", body),
            "vmulsd xmm0, xmm0, qword ptr []; vsubsd xmm0, xmm0, qword ptr [r15+rdi*1+0x08]; "
            "vmovsd [r15+rdi*1+0x10], xmm0; ret; call; call");
  EXPECT_EQ(float_text_of(false, "id", "", body),
            "mulsd xmm0, []; subsd xmm0, [r15+rdi*1+0x08]; movsd [r15+rdi*1+0x10], xmm0; ret; "
            "call; call");
}

TEST(X64Tiles, FloatConditionsTakeOneJump) {
  auto body = [](Op op) {
    return [op](IrBuilder& b) {
      ir::BlockId yes = b.block(), no = b.block();
      b.branch(b.compare(op, kF64, b.param(0, kF64), b.param(1, kF64)), yes, no);
      b.at(yes);
      b.ret({b.c32(7)});
      b.at(no);
      b.ret({b.c32(8)});
    };
  };
  const char* kRest = "; mov eax, 0x07; ret; mov eax, 0x08; ret";
  EXPECT_EQ(float_text_of(false, "dd", "i", body(Op::kFLt)),
            std::string("ucomisd xmm1, xmm0; jbe") + kRest);
  EXPECT_EQ(float_text_of(false, "dd", "i", body(Op::kFGe)),
            std::string("ucomisd xmm0, xmm1; jb") + kRest);
  EXPECT_EQ(float_text_of(false, "dd", "i", body(Op::kFEq)),
            std::string("ucomisd xmm0, xmm1; jnz; jp") + kRest);
}

TEST(X64Tiles, FloatSelects) {
  auto smaller = [](IrBuilder& b) {
    Value x = b.param(0, kF32), y = b.param(1, kF32);
    b.ret({b.select(kF32, b.compare(Op::kFLt, kF32, x, y), x, y)});
  };
  EXPECT_EQ(float_text_of(true, "ff", "f", smaller), "vminss xmm0, xmm0, xmm1; ret");
  auto other = [](IrBuilder& b) {
    Value x = b.param(0, kF32), y = b.param(1, kF32);
    b.ret({b.select(kF32, b.compare(Op::kFLe, kF32, x, y), b.param(2, kF32), y)});
  };
  EXPECT_EQ(float_text_of(true, "fff", "f", other),
            "vcmpss xmm0, xmm0, xmm1, 0x02; vblendvps xmm0, xmm1, xmm2, xmm0; ret");
}

TEST(X64Tiles, FloatConversions) {
  auto body = [](IrBuilder& b) {
    Value x = b.load(kI32, MemKind::k32U, b.param(0, kI32), 4);
    b.ret({b.convert(Op::kConvertS, kF64, kI32, x),
           b.convert(Op::kConvertU, kF64, kI32, b.param(0, kI32))});
  };
  EXPECT_EQ(float_text_of(true, "i", "dd", body),
            "vxorps xmm0, xmm0, xmm0; vcvtsi2sd xmm0, xmm0, dword ptr [r15+rdi*1+0x04]; "
            "vxorps xmm1, xmm0, xmm0; vcvtsi2sd xmm1, xmm1, rdi; ret; call");
  // The bits of a float pass through memory without a register of the other kind.
  auto bits = [](IrBuilder& b) {
    Value x = b.load(kI64, MemKind::k64, b.param(0, kI32));
    Value loaded = b.convert(Op::kBitcast, kF64, kI64, x);
    Value stored = b.convert(Op::kBitcast, kI64, kF64, b.param(1, kF64));
    b.store(kI64, MemKind::k64, b.param(0, kI32), stored);
    b.ret({loaded});
  };
  EXPECT_EQ(float_text_of(true, "id", "d", bits),
            "vmovq xmm1, qword ptr [r15+rdi*1]; vmovsd [r15+rdi*1], xmm0; vmovaps xmm0, xmm1; ret; "
            "call; call");
}

}  // namespace
}  // namespace wring::test
