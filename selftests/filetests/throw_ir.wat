;; SPDX-License-Identifier: GPL-2.0
;; Exceptions: the thrower fills one in, sets it and returns; the caller looks for one after the call.
;; dump: ir
(module
  (tag $e (param i32 i64))
  (func $thrower (param i32) (throw $e (local.get 0) (i64.const 7)))
  (func $caller (param i32) (result i32) (call $thrower (local.get 0)) (i32.const 1)))
;; | function 0
;; | b0:
;; |   v1:i32 = param 0  @39
;; |   v0:i64 = vmctx  @0
;; |   v2:i64 = const 7  @0
;; |   v3:i32 = const 0  @0
;; |   v4:i32 = const 44  @0
;; |   v5:i64 = call_lib ExnNew v3, v3, v4  @44
;; |   v6:i32 = load_raw.32u +232 v0  @44
;; |   trap_if HostError v6  @44
;; |   store_raw.32u +32 v5, v1  @44
;; |   store_raw.64 +40 v5, v2  @44
;; |   store_raw.64 +176 v0, v5  @44
;; |   return  @44
;; |
;; | function 1
;; | b0:
;; |   v1:i32 = param 0  @48
;; |   v0:i64 = vmctx  @0
;; |   v4:i64 = const 0  @0
;; |   v7:i32 = const 0  @0
;; |   v9:i32 = const 1  @0
;; |   call func 0 v1  @51
;; |   v3:i64 = load_raw.64 +176 v0  @51
;; |   v5:i32 = ne.i64 v3, v4  @51
;; |   branch v5 b2 b1  @51
;; | b1:  <- b0
;; |   return v9  @55
;; | b2:  <- b0  cold
;; |   return v7  @51
