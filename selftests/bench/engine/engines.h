// SPDX-License-Identifier: GPL-2.0
// The engines that are compared, each behind the same three calls.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace wring::bench {

// One answer of a kernel: its checksum and the processor time the call took.
struct Run {
  std::uint64_t checksum = 0;
  double ns = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  // Prepares the kernel; it replaces the one opened before. False, with a reason in *why, if the engine cannot run it.
  virtual bool open(const std::string& kernel, std::string* why) = 0;
  // Calls the kernel's run(n) once.
  virtual bool run(std::uint32_t n, Run* out, std::string* why) = 0;
};

// Kernels as the build leaves them: DIRECTORY/simd/NAME.wasm, DIRECTORY/scalar/NAME.wasm.
struct Files {
  std::string directory;
  bool scalar = false;
  std::string module_of(const std::string& kernel) const {
    return directory + (scalar ? "/scalar/" : "/simd/") + kernel + ".wasm";
  }
};

// The kernels this program contains as machine code, by name.
std::vector<std::string> all_kernels();

// What is known by that name, and what it is, for the table's legend.
struct EngineInfo {
  const char* name;
  const char* what;
};
const std::vector<EngineInfo>& all_engines();
// nullptr, with a reason in *why, if there is none or it cannot be had here.
std::unique_ptr<Engine> make_engine(const std::string& name, const Files& files, std::string* why);

}  // namespace wring::bench
