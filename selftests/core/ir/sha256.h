// SPDX-License-Identifier: GPL-2.0
// SHA-256 (FIPS 180-4), for comparing memories with recorded digests.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "core/base/types.h"

namespace wring::test {

class Sha256 {
 public:
  Sha256() {
    // The constants are fractional parts of roots of the first primes.
    u32 n = 0;
    for (u32 p = 2; n < 64; p++) {
      bool prime = true;
      for (u32 d = 2; d * d <= p; d++) prime &= p % d != 0;
      if (!prime) continue;
      if (n < 8) state_[n] = fraction(std::sqrt(static_cast<long double>(p)));
      k_[n++] = fraction(std::cbrt(static_cast<long double>(p)));
    }
  }
  void update(const u8* data, usize size) { bytes_.insert(bytes_.end(), data, data + size); }
  std::string hex() {
    u64 bits = u64{bytes_.size()} * 8;
    bytes_.push_back(0x80);
    while (bytes_.size() % 64 != 56) bytes_.push_back(0);
    for (int i = 56; i >= 0; i -= 8) bytes_.push_back(static_cast<u8>(bits >> i));
    for (usize at = 0; at < bytes_.size(); at += 64) block(&bytes_[at]);
    std::string out;
    for (u32 word : state_)
      for (int i = 28; i >= 0; i -= 4) out += "0123456789abcdef"[word >> i & 15];
    return out;
  }

 private:
  static u32 fraction(long double x) {
    return static_cast<u32>((x - std::floor(x)) * 4294967296.0L);
  }
  static u32 rotr(u32 x, int n) { return x >> n | x << (32 - n); }
  void block(const u8* p) {
    u32 w[64];
    for (int i = 0; i < 16; i++, p += 4)
      w[i] = u32{p[0]} << 24 | u32{p[1]} << 16 | u32{p[2]} << 8 | p[3];
    for (int i = 16; i < 64; i++) {
      u32 s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
      u32 s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    u32 s[8];
    for (int i = 0; i < 8; i++) s[i] = state_[i];
    for (int i = 0; i < 64; i++) {
      u32 e = rotr(s[4], 6) ^ rotr(s[4], 11) ^ rotr(s[4], 25);
      u32 t1 = s[7] + e + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k_[i] + w[i];
      u32 a = rotr(s[0], 2) ^ rotr(s[0], 13) ^ rotr(s[0], 22);
      u32 t2 = a + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
      for (int j = 7; j > 0; j--) s[j] = s[j - 1];
      s[4] += t1;
      s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) state_[i] += s[i];
  }

  u32 state_[8];
  u32 k_[64];
  std::vector<u8> bytes_;
};

}  // namespace wring::test
