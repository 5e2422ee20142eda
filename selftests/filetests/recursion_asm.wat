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

;; | function 0 "fib": 88 bytes, frame 24, stack checked
;; |       0  mov edi, edi
;; |       2  cmp rsp, [r14+0x70]
;; |       6  jb L76
;; |       8  sub rsp, 0x18
;; |      12  mov [rsp], rdi                            ; @41
;; |      16  sub r13, 0x0E
;; |      20  js L81
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
;; |      51  mov edi, [rsp]
;; |      54  add edi, 0xFFFFFFFE                       ; @63
;; |      57  call ...                                  ; -> function 0 fib @64
;; |      62  mov ecx, [rsp+0x08]
;; |      66  add ecx, eax                              ; @66
;; |      68  mov rax, rcx
;; |      71  add rsp, 0x18                             ; @68
;; |      75  ret
;; | L76:
;; |      76  call ...                                  ; -> stub trap (call stack exhausted)
;; | L81:
;; |      81  call ...                                  ; -> stub fuel (all fuel consumed)
;; |      86  jmp L22
;; |
;; | function 1 "leaf": 9 bytes, frame 0
;; |       0  mov edi, edi
;; |       2  imul edi, edi                             ; @75
;; |       5  mov rax, rdi
;; |       8  ret                                       ; @76
