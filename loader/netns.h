// SPDX-License-Identifier: GPL-2.0
// Network namespaces: looking for something in all of them.
#pragma once

#include <functional>

namespace wring::loader {

// Calls `visit` in the process's own network namespace, then in every other that `ip netns` named or a process is in,
// until it returns true: then so does this. Namespaces that may not be entered are left out. The process is back
// in its own namespace afterwards. Single-threaded use only.
bool visit_network_namespaces(const std::function<bool()>& visit);

}  // namespace wring::loader
