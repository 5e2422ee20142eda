;; SPDX-License-Identifier: GPL-2.0
;; Recursion checks the stack and consumes fuel; the leaf beside it does neither.
;; dump: asm --baseline
(module
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "leaf") (param i32) (result i32) (i32.mul (local.get 0) (local.get 0))))

;; | function 0 "fib": 91 bytes, frame 24, stack checked
;; |       0  mov edi, edi
;; |       2  cmp rsp, [r14+0x90]
;; |       9  jb L79
;; |      11  sub rsp, 0x18
;; |      15  mov [rsp], rdi                            ; @41
;; |      19  sub r13, 0x0E
;; |      23  js L84
;; | L25:
;; |      25  cmp edi, 0x02                             ; @47
;; |      28  jnb L38
;; |      30  mov rax, rdi
;; |      33  add rsp, 0x18                             ; @68
;; |      37  ret
;; | L38:
;; |      38  mov rax, rdi
;; |      41  lea edi, [rdi-0x01]                       ; @56
;; |      44  call ...                                  ; -> function 0 fib @57
;; |      49  mov [rsp+0x08], rax
;; |      54  mov edi, [rsp]
;; |      57  add edi, 0xFFFFFFFE                       ; @63
;; |      60  call ...                                  ; -> function 0 fib @64
;; |      65  mov ecx, [rsp+0x08]
;; |      69  add ecx, eax                              ; @66
;; |      71  mov rax, rcx
;; |      74  add rsp, 0x18                             ; @68
;; |      78  ret
;; | L79:
;; |      79  call ...                                  ; -> stub trap (call stack exhausted)
;; | L84:
;; |      84  call ...                                  ; -> stub fuel (all fuel consumed)
;; |      89  jmp L25
;; |
;; | function 1 "leaf": 9 bytes, frame 0
;; |       0  mov edi, edi
;; |       2  imul edi, edi                             ; @75
;; |       5  mov rax, rdi
;; |       8  ret                                       ; @76
