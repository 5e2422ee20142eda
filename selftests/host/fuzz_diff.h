// SPDX-License-Identifier: GPL-2.0
// Differential test: generated modules and what another engine answered (shared/testdata/README.md).
#pragma once

#include <string>

#include "core/engine.h"

namespace wring::host {

// In place of ".wasm": the module that this one's imports are exports of, if it has any.
constexpr const char* kExporterSuffix = ".exporter.wasm";

// Runs the modules of DIRECTORY listed in DIRECTORY.jsonl, prints differences and ends like a conformance run:
// "N passed, N failed, N skipped", one per module instantiation and call. Returns whether nothing differed.
bool run_fuzz_diff(const std::string& directory, const wring_target& target, bool unoptimized);

}  // namespace wring::host
