// SPDX-License-Identifier: GPL-2.0
// The kernel as the conformance driver's backend: instances are file descriptors of one open /dev/wring.
#pragma once

#include "selftests/host/spec.h"

namespace wring::kernel {

class IoctlBackend final : public host::Backend {
 public:
  // Opens the device for modules with these features (WRING_WASM_*, 0: all); ok() tells whether that worked.
  explicit IoctlBackend(unsigned features);
  ~IoctlBackend() override;
  IoctlBackend(const IoctlBackend&) = delete;
  IoctlBackend& operator=(const IoctlBackend&) = delete;
  bool ok() const { return device_ >= 0; }

  host::Outcome validate(const std::string& module) override;
  host::Outcome instantiate(const std::string& module,
                            const std::vector<host::ImportValue>& imports, int* instance) override;
  host::Outcome invoke(int instance, uint32_t export_index, size_t result_words,
                       std::vector<uint64_t>* values) override;
  host::Outcome get_global(int instance, uint32_t export_index, uint64_t value[2]) override;

 private:
  int device_;
  unsigned features_;
  std::vector<int> instances_;
};

}  // namespace wring::kernel
