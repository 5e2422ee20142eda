;; SPDX-License-Identifier: GPL-2.0
;; A loop: rotated, its fuel check one subtraction and one branch to a cold stub.
;; dump: asm --baseline
(module
  (memory 1)
  (func (export "checksum") (param $at i32) (param $end i32) (result i32) (local $sum i32)
    (block
      (br_if 0 (i32.ge_u (local.get $at) (local.get $end)))
      (loop
        (local.set $sum (i32.add (local.get $sum) (i32.load16_u (local.get $at))))
        (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 2))) (local.get $end)))))
    (local.get $sum)))

;; | function 0 "checksum": 46 bytes, frame 0
;; |       0  mov edi, edi
;; |       2  mov esi, esi
;; |       4  cmp edi, esi                              ; @54
;; |       6  jnb L31
;; |       8  xor eax, eax                              ; @56
;; | L10:
;; |      10  sub r13, 0x0C
;; |      14  js L34
;; | L16:
;; |      16  movzx ecx, word ptr [r15+rdi*1]           ; @62
;; |      21  add eax, ecx                              ; @65
;; |      23  add edi, 0x02                             ; @72
;; |      26  cmp edi, esi                              ; @78
;; |      28  jb L10
;; |      30  ret                                       ; @84
;; | L31:
;; |      31  xor eax, eax
;; |      33  ret
;; | L34:
;; |      34  call ...                                  ; -> stub fuel (all fuel consumed)
;; |      39  jmp L16
;; |      41  call ...                                  ; -> stub trap (out of bounds memory access)
