// SPDX-License-Identifier: GPL-2.0
// Fuzz target: decoding and validation of any bytes, with both feature sets.
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "core/wasm/module.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (bool wasm3 : {false, true}) {
    wring::Module* module = nullptr;
    wring::Diag diag;
    wring::Features features;
    features.wasm3 = wasm3;
    wring::Err err = wring::decode({data, size}, features, size_t{256} << 20, &module, &diag);
    if ((err == wring::Err::kOk) != (module != nullptr) || (err != diag.code)) __builtin_trap();
    if (err != wring::Err::kOk && !diag.message[0]) __builtin_trap();
    if (module) wring::module_free(module);
  }
  return 0;
}
