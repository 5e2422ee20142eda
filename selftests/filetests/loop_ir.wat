;; SPDX-License-Identifier: GPL-2.0
;; A counted loop: one phi per changed local, the condition at the end, fuel at the back edge.
;; dump: ir
(module
  (func (export "sum") (param $n i32) (result i32) (local $sum i32)
    (loop
      (local.set $sum (i32.add (local.get $sum) (local.get $n)))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))

;; | function 0
;; | b0:
;; |   v1:i32 = param 0  @33
;; |   v12:i32 = const -1  @0
;; |   v2:i32 = const 0  @0
;; |   jump b1  @36
;; | b1:  <- b0, b2  loop b1 depth 1
;; |   v4:i32 = phi v2, v7  @36
;; |   v5:i32 = phi v1, v9  @36
;; |   fuel 7  @36
;; |   v7:i32 = add v4, v5  @42
;; |   v9:i32 = add v5, v12  @49
;; |   branch v9 b2 b3  @52
;; | b2:  <- b1  loop b1 depth 1
;; |   jump b1  @52
;; | b3:  <- b1
;; |   return v7  @57
