;; SPDX-License-Identifier: GPL-2.0
;; The same for a loader that is trusted: the check alone. (Calls through tables are clamped whoever loads.)
;; dump: asm --baseline
(module
  (import "wring" "pkt_load8" (func $load8 (param i32) (result i32)))
  (import "wring" "pkt_load32" (func $load32 (param i32) (result i32)))
  (import "wring" "pkt_store16" (func $store16 (param i32 i32)))
  (import "wring" "arg" (func $arg (param i32) (result i64)))
  (import "wring" "map_add" (func $map_add (param i32 i32 i32 i64) (result i32)))
  (import "wring_map" "m" (func $m (result i32)))
  (import "other" "seven" (func $seven (param i32 i32 i32 i32 i32 i32 externref)))
  (type $i (func (result i32)))
  (table $functions 4 4 funcref)
  (table $things 4 9 externref)
  (memory $wide i64 1)
  (func $byte (param i32) (result i32) (call $load8 (local.get 0)))
  (func $word (param i32) (result i32) (call $load32 (local.get 0)))
  (func $store (param i32) (call $store16 (local.get 0) (i32.const 1)))
  (func $near (result i32) (call $load8 (i32.const 23)))
  (func $far (result i32) (call $load8 (i32.const 1023)))
  (func $header (result i32)
    (call $load32 (i32.add (i32.const 14) (i32.shl (i32.and (call $load8 (i32.const 14)) (i32.const 15)) (i32.const 2)))))
  (func $argument (param i32) (result i64) (call $arg (local.get 0)))
  (func $count (param i32) (result i32) (call $map_add (call $m) (local.get 0) (i32.const 0) (i64.const 1)))
  (func $indirect (param i32) (result i32) (call_indirect $functions (type $i) (local.get 0)))
  (func $masked (param i32) (result externref) (table.get $things (i32.and (local.get 0) (i32.const 3))))
  (func $wide (param i64) (result i32) (i32.load $wide offset=8 (local.get 0)))
  (func $truncated (param f64) (result i32) (i32.trunc_f64_u (local.get 0)))
  (func $reference (param externref)
    (call $seven (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6) (local.get 0))))

;; | function 7 "byte": 26 bytes, frame 0
;; |       0  cmp edi, [r14+0x90]                       ; @227
;; |       7  jnb L21
;; |       9  mov rax, [r14+0x88]
;; |      16  movzx eax, byte ptr [rax+rdi*1]
;; |      20  ret                                       ; @229
;; | L21:
;; |      21  call ...                                  ; -> stub trap (out of bounds packet access)
;; |
;; | function 8 "word": 32 bytes, frame 0
;; |       0  mov eax, [r14+0x90]                       ; @234
;; |       7  lea rcx, [rdi+0x04]
;; |      11  cmp rax, rcx
;; |      14  jb L27
;; |      16  mov rax, [r14+0x88]
;; |      23  mov eax, [rdi+rax*1]
;; |      26  ret                                       ; @236
;; | L27:
;; |      27  call ...                                  ; -> stub trap (out of bounds packet access)
;; |
;; | function 9 "store": 35 bytes, frame 0
;; |       0  mov eax, [r14+0x90]                       ; @243
;; |       7  lea rcx, [rdi+0x02]
;; |      11  cmp rax, rcx
;; |      14  jb L30
;; |      16  mov rax, [r14+0x88]
;; |      23  mov word ptr [rdi+rax*1], 0x01
;; |      29  ret                                       ; @245
;; | L30:
;; |      30  call ...                                  ; -> stub trap (out of bounds packet access)
;; |
;; | function 10 "near": 27 bytes, frame 0
;; |       0  cmp dword ptr [r14+0x90], 0x18            ; @250
;; |       8  jb L22
;; |      10  mov rax, [r14+0x88]
;; |      17  movzx eax, byte ptr [rax+0x17]
;; |      21  ret                                       ; @252
;; | L22:
;; |      22  call ...                                  ; -> stub trap (out of bounds packet access)
;; |
;; | function 11 "far": 33 bytes, frame 0
;; |       0  cmp dword ptr [r14+0x90], 0x400           ; @258
;; |      11  jb L28
;; |      13  mov rax, [r14+0x88]
;; |      20  movzx eax, byte ptr [rax+0x3FF]
;; |      27  ret                                       ; @260
;; | L28:
;; |      28  call ...                                  ; -> stub trap (out of bounds packet access)
;; |
;; | function 12 "header": 53 bytes, frame 0
;; |       0  mov eax, [r14+0x90]                       ; @267
;; |       7  cmp eax, 0x0F
;; |      10  jb L43
;; |      12  mov rcx, [r14+0x88]
;; |      19  movzx edx, byte ptr [rcx+0x0E]
;; |      23  and edx, 0x0F                             ; @271
;; |      26  shl edx, 0x02                             ; @274
;; |      29  lea rsi, [rdx+0x12]                       ; @276
;; |      33  cmp rax, rsi
;; |      36  jb L48
;; |      38  mov eax, [rcx+rdx*1+0x0E]
;; |      42  ret                                       ; @278
;; | L43:
;; |      43  call ...                                  ; -> stub trap (out of bounds packet access)
;; | L48:
;; |      48  call ...                                  ; -> stub trap (out of bounds packet access)
;; |
;; | function 13 "argument": 24 bytes, frame 0
;; |       0  cmp edi, [r14+0xA8]                       ; @283
;; |       7  jnb L21
;; |       9  mov rax, [r14+0xA0]
;; |      16  mov rax, [rax+rdi*8]
;; |      20  ret                                       ; @285
;; | L21:
;; |      21  xor eax, eax
;; |      23  ret
;; |
;; | function 14 "count": 27 bytes, frame 0
;; |       0  cmp edi, 0x64                             ; @296
;; |       3  jnb L21
;; |       5  shl rdi, 0x03
;; |       9  lock add qword ptr [rdi+0x1000], 0x01
;; |      18  xor eax, eax                              ; @298
;; |      20  ret
;; | L21:
;; |      21  mov eax, 0xFFFFFFFF
;; |      26  ret
;; |
;; | function 15 "indirect": 83 bytes, frame 8
;; |       0  sub rsp, 0x08
;; |       4  mov rax, [r14+0x10]                       ; @303
;; |       8  mov rax, [rax]
;; |      11  mov rax, [rax]
;; |      14  cmp edi, 0x04
;; |      17  jnb L73
;; |      19  sbb ecx, ecx
;; |      21  and ecx, edi
;; |      23  imul rcx, rcx, 0x18
;; |      27  mov rdx, [rax+rcx*1+0x08]
;; |      32  cmp rdx, 0x01
;; |      36  jnz L63
;; |      38  call [rax+rcx*1]
;; |      41  cmp qword ptr [r14+0xB0], 0x00
;; |      49  jnz L56
;; |      51  add rsp, 0x08                             ; @306
;; |      55  ret
;; | L56:
;; |      56  xor eax, eax                              ; @303
;; |      58  add rsp, 0x08
;; |      62  ret
;; | L63:
;; |      63  test rdx, rdx
;; |      66  jz L78
;; |      68  call ...                                  ; -> stub trap (indirect call type mismatch)
;; | L73:
;; |      73  call ...                                  ; -> stub trap (undefined element)
;; | L78:
;; |      78  call ...                                  ; -> stub trap (uninitialized element)
;; |
;; | function 16 "masked": 35 bytes, frame 0
;; |       0  and edi, 0x03                             ; @313
;; |       3  mov rax, [r14+0x10]                       ; @314
;; |       7  mov rax, [rax+0x08]
;; |      11  mov rcx, [rax]
;; |      14  mov eax, [rax+0x08]
;; |      17  cmp edi, eax
;; |      19  jnb L30
;; |      21  sbb eax, eax
;; |      23  and eax, edi
;; |      25  mov rax, [rcx+rax*8]
;; |      29  ret                                       ; @316
;; | L30:
;; |      30  call ...                                  ; -> stub trap (out of bounds table access)
;; |
;; | function 17 "wide": 33 bytes, frame 0
;; |       0  mov rax, 0x100000000                      ; @321
;; |      10  cmp rdi, rax
;; |      13  jnb L23
;; |      15  mov eax, edi
;; |      17  mov eax, [r15+rax*1+0x08]
;; |      22  ret                                       ; @324
;; | L23:
;; |      23  call ...                                  ; -> stub trap (out of bounds memory access)
;; |      28  call ...                                  ; -> stub trap (out of bounds memory access)
;; |
;; | function 18 "truncated": 35 bytes, frame 0
;; |       0  cvttsd2si rax, xmm0                       ; @329
;; |       5  mov r11, rax
;; |       8  mov eax, eax
;; |      10  shr r11, 0x20
;; |      14  jnz L17
;; |      16  ret                                       ; @330
;; | L17:
;; |      17  ucomisd xmm0, xmm0
;; |      21  jp L25
;; |      23  jmp L30
;; | L25:
;; |      25  call ...                                  ; -> stub trap (invalid conversion to integer)
;; | L30:
;; |      30  call ...                                  ; -> stub trap (integer overflow)
;; |
;; | function 19 "reference": 78 bytes, frame 8, stack checked
;; |       0  cmp rsp, [r14+0x70]
;; |       4  jb L73
;; |       6  sub rsp, 0x08
;; |      10  mov rax, [r14+0x18]                       ; @347
;; |      14  mov [rsp], rdi
;; |      18  mov edi, 0x01
;; |      23  mov esi, 0x02
;; |      28  mov edx, 0x03
;; |      33  mov ecx, 0x04
;; |      38  mov r8d, 0x05
;; |      44  mov r9d, 0x06
;; |      50  call [rax+0x60]
;; |      53  cmp qword ptr [r14+0xB0], 0x00
;; |      61  jnz L68
;; |      63  add rsp, 0x08                             ; @349
;; |      67  ret
;; | L68:
;; |      68  add rsp, 0x08                             ; @347
;; |      72  ret
;; | L73:
;; |      73  call ...                                  ; -> stub trap (call stack exhausted)
