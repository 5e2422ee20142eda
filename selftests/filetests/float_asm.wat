;; SPDX-License-Identifier: GPL-2.0
;; Floating point: memory operands, constants from the pool, a comparison fused with its branch, in the encodings of the
;; least CPU.
;; dump: asm --baseline
(module
  (memory 1)
  (func $norm (param $at i32) (result f64)
    (local $x f64)
    (local.set $x (f64.add (f64.load (local.get $at)) (f64.load offset=8 (local.get $at))))
    (if (f64.lt (local.get $x) (f64.const 0.5)) (then (return (f64.neg (local.get $x)))))
    (f64.sqrt (f64.mul (local.get $x) (f64.const 3.25)))))
;; | function 0 "norm": 58 bytes, frame 0
;; |       0  movsd xmm0, qword ptr [r15+rdi*1]         ; @34
;; |       6  addsd xmm0, [r15+rdi*1+0x08]              ; @42
;; |      13  movsd xmm1, qword ptr [rip]               ; -> constant pool + 0 @57
;; |      21  ucomisd xmm1, xmm0
;; |      25  jbe L35
;; |      27  xorps xmm0, [rip]                         ; -> constant pool + 16 @61
;; |      34  ret                                       ; @62
;; | L35:
;; |      35  mulsd xmm0, [rip]                         ; -> constant pool + 32 @75
;; |      43  sqrtsd xmm0, xmm0                         ; @76
;; |      47  ret                                       ; @77
;; |      48  call ...                                  ; -> stub trap (out of bounds memory access)
;; |      53  call ...                                  ; -> stub trap (out of bounds memory access)
