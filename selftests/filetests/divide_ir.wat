;; SPDX-License-Identifier: GPL-2.0
;; Division checks its divisor; a constant divisor needs no check, and no division.
;; dump: ir
(module
  (func (export "unsigned") (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1)))
  (func (export "signed") (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1)))
  (func (export "by_ten") (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 10)))
  (func (export "by_eight") (param i32) (result i32) (i32.rem_u (local.get 0) (i32.const 8))))

;; | function 0
;; | b0:
;; |   v1:i32 = param 0  @82
;; |   v2:i32 = param 1  @82
;; |   v3:i32 = const 0  @0
;; |   v4:i32 = eq.i32 v2, v3  @87
;; |   trap_if IntegerDivideByZero v4  @87
;; |   v6:i32 = div_u v1, v2 pinned  @87
;; |   return v6  @88
;; |
;; | function 1
;; | b0:
;; |   v1:i64 = param 0  @90
;; |   v2:i64 = param 1  @90
;; |   v3:i64 = const 0  @0
;; |   v6:i64 = const -9223372036854775808  @0
;; |   v8:i64 = const -1  @0
;; |   v4:i32 = eq.i64 v2, v3  @95
;; |   trap_if IntegerDivideByZero v4  @95
;; |   v7:i32 = eq.i64 v1, v6  @95
;; |   v9:i32 = eq.i64 v2, v8  @95
;; |   v10:i32 = and v7, v9  @95
;; |   trap_if IntegerOverflow v10  @95
;; |   v12:i64 = div_s v1, v2 pinned  @95
;; |   return v12  @96
;; |
;; | function 2
;; | b0:
;; |   v1:i32 = param 0  @98
;; |   v6:i64 = const 3435973837  @0
;; |   v8:i64 = const 35  @0
;; |   v5:i64 = zext_i32 v1  @103
;; |   v7:i64 = mul v5, v6  @103
;; |   v9:i64 = shr_u v7, v8  @103
;; |   v10:i32 = wrap v9  @103
;; |   return v10  @104
;; |
;; | function 3
;; | b0:
;; |   v1:i32 = param 0  @106
;; |   v5:i32 = const 7  @0
;; |   v6:i32 = and v1, v5  @111
;; |   return v6  @112
