;; SPDX-License-Identifier: GPL-2.0
;; Bounds checks that hold under speculation: an index is masked by the carry of its comparison with the bound, code and
;; exceptions of the wrong type are replaced by null. What an operation keeps low, and packets' first bytes, need nothing.
;; Nobody loads a reference ahead of the store that passes it on the stack.
;; dump: asm --baseline --clamped
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

;; | function 7 "byte": 32 bytes, frame 0
;; |       0  mov eax, [r14+0x90]                       ; @227
;; |       7  cmp edi, eax
;; |       9  jnb L27
;; |      11  mov rcx, [r14+0x88]
;; |      18  sbb eax, eax
;; |      20  and eax, edi
;; |      22  movzx eax, byte ptr [rcx+rax*1]
;; |      26  ret                                       ; @229
;; | L27:
;; |      27  call ...                                  ; -> stub trap (out of bounds packet access)
;; |
;; | function 8 "word": 38 bytes, frame 0
;; |       0  mov eax, [r14+0x90]                       ; @234
;; |       7  lea rcx, [rdi+0x04]
;; |      11  cmp rax, rcx
;; |      14  jb L33
;; |      16  mov rcx, [r14+0x88]
;; |      23  cmp edi, eax
;; |      25  sbb eax, eax
;; |      27  and eax, edi
;; |      29  mov eax, [rcx+rax*1]
;; |      32  ret                                       ; @236
;; | L33:
;; |      33  call ...                                  ; -> stub trap (out of bounds packet access)
;; |
;; | function 9 "store": 41 bytes, frame 0
;; |       0  mov eax, [r14+0x90]                       ; @243
;; |       7  lea rcx, [rdi+0x02]
;; |      11  cmp rax, rcx
;; |      14  jb L36
;; |      16  mov rcx, [r14+0x88]
;; |      23  cmp edi, eax
;; |      25  sbb eax, eax
;; |      27  and eax, edi
;; |      29  mov word ptr [rcx+rax*1], 0x01
;; |      35  ret                                       ; @245
;; | L36:
;; |      36  call ...                                  ; -> stub trap (out of bounds packet access)
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
;; | function 11 "far": 43 bytes, frame 0
;; |       0  mov eax, [r14+0x90]                       ; @258
;; |       7  cmp eax, 0x400
;; |      13  jb L38
;; |      15  mov rcx, [r14+0x88]
;; |      22  mov edx, 0x3FF
;; |      27  cmp edx, eax
;; |      29  sbb eax, eax
;; |      31  and eax, edx
;; |      33  movzx eax, byte ptr [rcx+rax*1]
;; |      37  ret                                       ; @260
;; | L38:
;; |      38  call ...                                  ; -> stub trap (out of bounds packet access)
;; |
;; | function 12 "header": 55 bytes, frame 0
;; |       0  mov eax, [r14+0x90]                       ; @267
;; |       7  cmp eax, 0x0F
;; |      10  jb L45
;; |      12  mov rcx, [r14+0x88]
;; |      19  movzx edx, byte ptr [rcx+0x0E]
;; |      23  and edx, 0x0F                             ; @271
;; |      26  shl edx, 0x02                             ; @274
;; |      29  lea esi, [rdx+0x0E]                       ; @275
;; |      32  add rdx, 0x12                             ; @276
;; |      36  cmp rax, rdx
;; |      39  jb L50
;; |      41  mov eax, [rcx+rsi*1]
;; |      44  ret                                       ; @278
;; | L45:
;; |      45  call ...                                  ; -> stub trap (out of bounds packet access)
;; | L50:
;; |      50  call ...                                  ; -> stub trap (out of bounds packet access)
;; |
;; | function 13 "argument": 32 bytes, frame 0
;; |       0  mov eax, [r14+0xA8]                       ; @283
;; |       7  cmp edi, eax
;; |       9  jnb L29
;; |      11  mov rcx, [r14+0xA0]
;; |      18  cmp edi, eax
;; |      20  sbb eax, eax
;; |      22  and eax, edi
;; |      24  mov rax, [rcx+rax*8]
;; |      28  ret                                       ; @285
;; | L29:
;; |      29  xor eax, eax
;; |      31  ret
;; |
;; | function 14 "count": 34 bytes, frame 0
;; |       0  cmp edi, 0x64                             ; @296
;; |       3  jnb L28
;; |       5  cmp edi, 0x64
;; |       8  sbb eax, eax
;; |      10  and eax, edi
;; |      12  shl rax, 0x03
;; |      16  lock add qword ptr [rax+0x1000], 0x01
;; |      25  xor eax, eax                              ; @298
;; |      27  ret
;; | L28:
;; |      28  mov eax, 0xFFFFFFFF
;; |      33  ret
;; |
;; | function 15 "indirect": 96 bytes, frame 8
;; |       0  sub rsp, 0x08
;; |       4  mov rax, [r14+0x10]                       ; @303
;; |       8  mov rax, [rax]
;; |      11  mov rax, [rax]
;; |      14  cmp edi, 0x04
;; |      17  jnb L86
;; |      19  sbb ecx, ecx
;; |      21  and ecx, edi
;; |      23  imul rcx, rcx, 0x18
;; |      27  mov rdx, [rax+rcx*1+0x08]
;; |      32  cmp rdx, 0x01
;; |      36  jnz L76
;; |      38  mov rax, [rax+rcx*1]
;; |      42  xor ecx, ecx
;; |      44  cmp rdx, 0x01
;; |      48  cmovnz rax, rcx
;; |      52  call rax
;; |      54  cmp qword ptr [r14+0xB0], 0x00
;; |      62  jnz L69
;; |      64  add rsp, 0x08                             ; @306
;; |      68  ret
;; | L69:
;; |      69  xor eax, eax                              ; @303
;; |      71  add rsp, 0x08
;; |      75  ret
;; | L76:
;; |      76  test rdx, rdx
;; |      79  jz L91
;; |      81  call ...                                  ; -> stub trap (indirect call type mismatch)
;; | L86:
;; |      86  call ...                                  ; -> stub trap (undefined element)
;; | L91:
;; |      91  call ...                                  ; -> stub trap (uninitialized element)
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
;; | function 19 "reference": 81 bytes, frame 8, stack checked
;; |       0  cmp rsp, [r14+0x70]
;; |       4  jb L76
;; |       6  sub rsp, 0x08
;; |      10  mov rax, [r14+0x18]                       ; @347
;; |      14  mov [rsp], rdi
;; |      18  lfence
;; |      21  mov edi, 0x01
;; |      26  mov esi, 0x02
;; |      31  mov edx, 0x03
;; |      36  mov ecx, 0x04
;; |      41  mov r8d, 0x05
;; |      47  mov r9d, 0x06
;; |      53  call [rax+0x60]
;; |      56  cmp qword ptr [r14+0xB0], 0x00
;; |      64  jnz L71
;; |      66  add rsp, 0x08                             ; @349
;; |      70  ret
;; | L71:
;; |      71  add rsp, 0x08                             ; @347
;; |      75  ret
;; | L76:
;; |      76  call ...                                  ; -> stub trap (call stack exhausted)
