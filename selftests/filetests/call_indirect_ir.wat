;; SPDX-License-Identifier: GPL-2.0
;; call_indirect: bounds, a clamp that holds under speculation, the signature, the call.
;; dump: ir f
(module
  (table 4 4 funcref) (elem (i32.const 0) $f)
  (func $f (param i32) (result i32) (call_indirect (param i32) (result i32) (local.get 0) (local.get 0))))

;; | function 0
;; | b0:
;; |   v1:i32 = param 0  @40
;; |   v0:i64 = vmctx  @0
;; |   v5:i32 = const 4  @0
;; |   v9:i64 = const 24  @0
;; |   v14:i64 = const 1  @0
;; |   v17:i64 = const 0  @0
;; |   v2:i64 = load_raw.64 +16 v0 invariant  @45
;; |   v3:i64 = load_raw.64 +0 v2 invariant  @45
;; |   v4:i64 = load_raw.64 +0 v3 invariant  @45
;; |   v6:i32 = ge_u.i32 v1, v5  @45
;; |   trap_if UndefinedElement v6  @45
;; |   v8:i32 = clamp_index v1, v5  @45
;; |   v10:i64 = zext_i32 v8  @45
;; |   v11:i64 = mul v10, v9  @45
;; |   v12:i64 = add v4, v11  @45
;; |   v13:i64 = load_raw.64 +8 v12  @45
;; |   v15:i32 = ne.i64 v13, v14  @45
;; |   branch v15 b2 b1  @45
;; | b1:  <- b0
;; |   v21:i64 = load_raw.64 +0 v12  @45
;; |   v22:i32 = call_ptr type 0 v21, v1  @45
;; |   return v22  @48
;; | b2:  <- b0  cold
;; |   v18:i32 = eq.i64 v13, v17  @45
;; |   trap_if UninitializedElement v18  @45
;; |   trap IndirectCallType  @45
