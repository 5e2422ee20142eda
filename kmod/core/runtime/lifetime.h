// SPDX-License-Identifier: GPL-2.0
// Reference counting of engine objects (see runtime/objects.h), and error reports in the C interface's form.
#pragma once

#include "core/runtime/objects.h"

namespace wring::runtime {

// References between objects. The last one frees the object and drops what it refers to. May sleep. Here as in all that
// frees something there is no assertion: it could not be recovered from.
void unref(wring_instance* instance);
void unref(wring_code* code);
void unref(wring_module* module);

// Handles are what the host holds, of any of the store's objects; the last one ends the store with everything that
// is still linked. To be called after the object's own unref().
void take_handle(wring_store* store);
void drop_handle(wring_store* store);

// Fills in *err and returns -(the error's number).
int report(Err err, const Diag& diag, wring_error* out);
// Adds the name of the function an error is about, from the module or, if that could not be decoded, from as much of
// its `name` section as can be read.
void name_function(const Module& module, wring_error* error);
void name_function(Bytes module, wring_error* error);

}  // namespace wring::runtime
