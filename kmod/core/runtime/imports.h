// SPDX-License-Identifier: GPL-2.0
// Matching of imports with what other instances export (spec, sections 3.4.6 and 4.5.4).
#pragma once

#include "core/runtime/objects.h"

namespace wring::runtime {

// Checks every import of the instance's module against its value. Changes nothing.
Err match_imports(const wring_instance& instance, Span<const wring_import_value> imports,
                  Diag* diag);

// Takes the matched values over: import slots, and the leading entries of memories, tables and vmctx->globals.
Err bind_imports(wring_instance* instance, Span<const wring_import_value> imports, Diag* diag);

}  // namespace wring::runtime
