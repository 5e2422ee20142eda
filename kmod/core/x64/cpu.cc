// SPDX-License-Identifier: GPL-2.0
// What the CPU has: cpuid, for hosts to put into wring_target::cpu (Intel SDM, volume 2, CPUID).
#include "core/x64/x64.h"

namespace wring::x64 {

namespace {

struct CpuidRegs {
  u32 eax, ebx, ecx, edx;
};

CpuidRegs cpuid(u32 leaf, u32 subleaf) {
  CpuidRegs r;
  asm volatile("cpuid"
               : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
               : "a"(leaf), "c"(subleaf));
  return r;
}

// Whether the operating system saves the upper halves of the vector registers.
bool os_saves_avx(u32 leaf1_ecx) {
  if (!(leaf1_ecx >> 27 & 1)) return false;  // OSXSAVE
  u32 low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr u32 kSseAndAvxState = 6;
  return (low & kSseAndAvxState) == kSseAndAvxState;
}

}  // namespace

u32 cpu_features() {
  u32 max_leaf = cpuid(0, 0).eax;
  u32 max_extended = cpuid(0x80000000, 0).eax;
  u32 leaf1 = cpuid(1, 0).ecx;
  u32 leaf7 = max_leaf >= 7 ? cpuid(7, 0).ebx : 0;
  u32 extended1 = max_extended >= 0x80000001 ? cpuid(0x80000001, 0).ecx : 0;
  bool avx = os_saves_avx(leaf1) && (leaf1 >> 28 & 1);
  u32 out = 0;
  if ((leaf1 >> 19 & 1) && (leaf1 >> 9 & 1)) out |= kCpuSse41;
  if (leaf1 >> 22 & 1) out |= kCpuMovbe;
  if (leaf1 >> 23 & 1) out |= kCpuPopcnt;
  if (avx) out |= kCpuAvx;
  if (avx && (leaf7 >> 5 & 1)) out |= kCpuAvx2;
  if (leaf7 >> 3 & 1) out |= kCpuBmi1;
  if (leaf7 >> 8 & 1) out |= kCpuBmi2;
  if (extended1 >> 5 & 1) out |= kCpuLzcnt;
  return out;
}

}  // namespace wring::x64
