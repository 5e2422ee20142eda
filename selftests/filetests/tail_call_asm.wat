;; SPDX-License-Identifier: GPL-2.0
;; Tail calls: a function that calls itself at its end is a loop that consumes fuel and no stack.
;; dump: asm --baseline
(module
  (func $sum (param $n i64) (param $so_far i64) (result i64)
    (if (result i64) (i64.eqz (local.get $n))
      (then (local.get $so_far))
      (else (return_call $sum (i64.sub (local.get $n) (i64.const 1))
                              (i64.add (local.get $so_far) (local.get $n)))))))
;; | function 0 "sum": 54 bytes, frame 0, stack checked
;; |       0  cmp rsp, [r14+0x90]
;; |       7  jb L42
;; |       9  sub r13, 0x08                             ; @25
;; |      13  js L47
;; | L15:
;; |      15  test rdi, rdi                             ; @29
;; |      18  jnz L24
;; |      20  mov rax, rsi
;; |      23  ret                                       ; @47
;; | L24:
;; |      24  lea rax, [rdi-0x01]                       ; @38
;; |      28  add rdi, rsi                              ; @43
;; |      31  mov rsi, rdi
;; |      34  mov rdi, rax
;; |      37  jmp ...                                   ; -> function 0 sum @44
;; | L42:
;; |      42  call ...                                  ; -> stub trap (call stack exhausted)
;; | L47:
;; |      47  call ...                                  ; -> stub fuel (all fuel consumed)
;; |      52  jmp L15
