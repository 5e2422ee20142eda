// SPDX-License-Identifier: GPL-2.0
// The commands, one function each; main.cc says which words lead to which.
#pragma once

#include "loader/output.h"
#include "loader/words.h"

namespace wring::loader {

// Each returns the exit code of the process, or throws Failure.
int prog_load(Words words, const Output& out);
int prog_show(Words words, const Output& out);
int prog_run(Words words, const Output& out);
int prog_unload(Words words, const Output& out);
int prog_tracelog(Words words, const Output& out);
int link_attach(Words words, const Output& out);
int link_show(Words words, const Output& out);
int link_detach(Words words, const Output& out);
int map_show(Words words, const Output& out);
int map_dump(Words words, const Output& out);
int feature(Words words, const Output& out);

}  // namespace wring::loader
