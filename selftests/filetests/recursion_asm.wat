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

;; | function 0 "fib": 90 bytes, frame 24, stack checked
;; |       0  mov edi, edi
;; |       2  cmp rsp, [r14+0x68]
;; |       6  jb L78
;; |       8  sub rsp, 0x18
;; |      12  mov [rsp], rdi                            ; @41
;; |      16  sub r13, 0x01
;; |      20  js L83
;; | L22:
;; |      22  cmp edi, 0x02                             ; @47
;; |      25  jnb L35
;; |      27  mov rax, rdi
;; |      30  add rsp, 0x18                             ; @68
;; |      34  ret
;; | L35:
;; |      35  mov rax, rdi
;; |      38  lea edi, [rdi-0x01]                       ; @56
;; |      41  call ...                                  ; -> function 0 fib @57
;; |      46  mov [rsp+0x08], rax
;; |      51  mov rdi, [rsp]
;; |      55  add edi, 0xFFFFFFFE                       ; @63
;; |      58  call ...                                  ; -> function 0 fib @64
;; |      63  mov rcx, [rsp+0x08]
;; |      68  add ecx, eax                              ; @66
;; |      70  mov rax, rcx
;; |      73  add rsp, 0x18                             ; @68
;; |      77  ret
;; | L78:
;; |      78  call ...                                  ; -> stub trap (call stack exhausted)
;; | L83:
;; |      83  call ...                                  ; -> stub fuel (all fuel consumed)
;; |      88  jmp L22
;; |
;; | function 1 "leaf": 9 bytes, frame 0
;; |       0  mov edi, edi
;; |       2  imul edi, edi                             ; @75
;; |       5  mov rax, rdi
;; |       8  ret                                       ; @76
