;; SPDX-License-Identifier: GPL-2.0
;; Tail calls: a function that calls itself at its end is a loop that consumes fuel and no stack.
;; dump: asm --baseline
(module
  (func $sum (param $n i64) (param $so_far i64) (result i64)
    (if (result i64) (i64.eqz (local.get $n))
      (then (local.get $so_far))
      (else (return_call $sum (i64.sub (local.get $n) (i64.const 1))
                              (i64.add (local.get $so_far) (local.get $n)))))))
;; | function 0 "sum": 51 bytes, frame 0, stack checked
;; |       0  cmp rsp, [r14+0x70]
;; |       4  jb L39
;; |       6  sub r13, 0x08                             ; @25
;; |      10  js L44
;; | L12:
;; |      12  test rdi, rdi                             ; @29
;; |      15  jnz L21
;; |      17  mov rax, rsi
;; |      20  ret                                       ; @47
;; | L21:
;; |      21  lea rax, [rdi-0x01]                       ; @38
;; |      25  add rdi, rsi                              ; @43
;; |      28  mov rsi, rdi
;; |      31  mov rdi, rax
;; |      34  jmp ...                                   ; -> function 0 sum @44
;; | L39:
;; |      39  call ...                                  ; -> stub trap (call stack exhausted)
;; | L44:
;; |      44  call ...                                  ; -> stub fuel (all fuel consumed)
;; |      49  jmp L12
