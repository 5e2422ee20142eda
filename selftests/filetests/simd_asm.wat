;; SPDX-License-Identifier: GPL-2.0
;; Vectors: loads folded into operations, a reduction, in the encodings of the least CPU.
;; dump: asm --baseline
(module
  (memory 1)
  (func $dot (param $a i32) (param $b i32) (result f32)
    (local $sum v128)
    (local.set $sum
      (f32x4.add (f32x4.mul (v128.load (local.get $a)) (v128.load (local.get $b)))
                 (f32x4.mul (v128.load offset=16 (local.get $a)) (v128.load offset=16 (local.get $b)))))
    (f32.add
      (f32.add (f32x4.extract_lane 0 (local.get $sum)) (f32x4.extract_lane 1 (local.get $sum)))
      (f32.add (f32x4.extract_lane 2 (local.get $sum)) (f32x4.extract_lane 3 (local.get $sum))))))
;; | function 0 "dot": 84 bytes, frame 0
;; |       0  movups xmm0, [r15+rdi*1]                  ; @35
;; |       5  movups xmm1, [r15+rsi*1]                  ; @41
;; |      10  mulps xmm0, xmm1                          ; @45
;; |      13  movups xmm1, [r15+rdi*1+0x10]             ; @50
;; |      19  movups xmm2, [r15+rsi*1+0x10]             ; @56
;; |      25  mulps xmm1, xmm2                          ; @60
;; |      28  addps xmm0, xmm1                          ; @63
;; |      31  movaps xmm1, xmm0                         ; @70
;; |      34  movshdup xmm2, xmm0                       ; @75
;; |      38  addss xmm1, xmm2                          ; @78
;; |      42  pshufd xmm2, xmm0, 0x02                   ; @81
;; |      47  pshufd xmm0, xmm0, 0x03                   ; @86
;; |      52  addss xmm2, xmm0                          ; @89
;; |      56  addss xmm1, xmm2                          ; @90
;; |      60  movaps xmm0, xmm1
;; |      63  ret                                       ; @91
;; |      64  call ...                                  ; -> stub trap (out of bounds memory access)
;; |      69  call ...                                  ; -> stub trap (out of bounds memory access)
;; |      74  call ...                                  ; -> stub trap (out of bounds memory access)
;; |      79  call ...                                  ; -> stub trap (out of bounds memory access)
