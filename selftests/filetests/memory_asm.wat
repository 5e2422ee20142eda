;; SPDX-License-Identifier: GPL-2.0
;; Linear memory: static offsets become displacements, those of 2 GiB and more an addition; no bounds checks.
;; dump: asm --baseline
(module
  (memory 1)
  (func (export "load") (param i32) (result i32) (i32.load offset=16 (local.get 0)))
  (func (export "far") (param i32) (result i64) (i64.load8_s offset=0x80000000 (local.get 0)))
  (func (export "index") (param i32 i32) (result i32)
    (i32.load16_u offset=4 (i32.add (local.get 0) (i32.shl (local.get 1) (i32.const 2)))))
  (func (export "store") (param i32 i64) (i64.store offset=8 (local.get 0) (local.get 1)))
  (func (export "increment") (param i32)
    (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1)))))

;; | function 0 "load": 13 bytes, frame 0
;; |       0  mov edi, edi
;; |       2  mov eax, [r15+rdi*1+0x10]                 ; @100
;; |       7  ret                                       ; @103
;; |       8  call ...                                  ; -> stub trap (out of bounds memory access)
;; |
;; | function 1 "far": 22 bytes, frame 0
;; |       0  mov edi, edi
;; |       2  mov eax, 0x80000000                       ; @108
;; |       7  lea rax, [rdi+rax*1]
;; |      11  movsx rax, byte ptr [r15+rax*1]
;; |      16  ret                                       ; @115
;; |      17  call ...                                  ; -> stub trap (out of bounds memory access)
;; |
;; | function 2 "index": 19 bytes, frame 0
;; |       0  mov edi, edi
;; |       2  mov esi, esi
;; |       4  lea eax, [rdi+rsi*4]                      ; @125
;; |       7  movzx eax, word ptr [r15+rax*1+0x04]      ; @126
;; |      13  ret                                       ; @129
;; |      14  call ...                                  ; -> stub trap (out of bounds memory access)
;; |
;; | function 3 "store": 13 bytes, frame 0
;; |       0  mov edi, edi
;; |       2  mov [r15+rdi*1+0x08], rsi                 ; @136
;; |       7  ret                                       ; @139
;; |       8  call ...                                  ; -> stub trap (out of bounds memory access)
;; |
;; | function 4 "increment": 13 bytes, frame 0
;; |       0  mov edi, edi
;; |       2  add dword ptr [r15+rdi*1], 0x01           ; @152
;; |       7  ret                                       ; @155
;; |       8  call ...                                  ; -> stub trap (out of bounds memory access)
