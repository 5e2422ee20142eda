;; SPDX-License-Identifier: GPL-2.0
;; Memories after the first have their base loaded; 64-bit indices are checked to fit 32 bits.
;; dump: ir
(module
  (memory $a 1) (memory $b i64 1)
  (func $move (param $to i32) (param $from i64)
    (i32.store $a offset=4 (local.get $to) (i32.load $b offset=8 (local.get $from)))))
;; | function 0
;; | b0:
;; |   v1:i32 = param 0  @31
;; |   v2:i64 = param 1  @31
;; |   v13:i64 = const 4294967296  @0
;; |   v0:i64 = vmctx  @0
;; |   v4:i32 = ge_u.i64 v2, v13  @36
;; |   trap_if MemoryOutOfBounds v4  @36
;; |   v6:i32 = wrap v2  @36
;; |   v7:i64 = load_raw.64 +32 v0 invariant  @36
;; |   v8:i64 = load_raw.64 +8 v7 invariant  @36
;; |   v9:i64 = load_raw.64 +0 v8 invariant  @36
;; |   v10:i32 = load_mem.32u +8 v6, v9  @36
;; |   store.32u +4 v1, v10  @40
;; |   return  @43
