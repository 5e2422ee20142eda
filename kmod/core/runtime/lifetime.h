// SPDX-License-Identifier: GPL-2.0
// Reference counting of engine objects (see runtime/objects.h), and error reports in the C interface's form.
#pragma once

#include "core/runtime/objects.h"

namespace wring::runtime {

// References between objects. The last one frees the object and drops what it refers to. May sleep.
void unref(wring_instance* instance);
void unref(wring_code* code);
void unref(wring_module* module);

// Handles are what the host holds, of any of the store's objects; the last one ends the store with everything that
// is still linked. To be called after the object's own unref().
void take_handle(wring_store* store);
void drop_handle(wring_store* store);

// Fills in *err and returns -(the error's number).
int report(Err err, const Diag& diag, wring_error* out);

}  // namespace wring::runtime
