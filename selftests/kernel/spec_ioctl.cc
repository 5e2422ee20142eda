// SPDX-License-Identifier: GPL-2.0
// The conformance driver's requests as ioctls on /dev/wring.
#include "selftests/kernel/spec_ioctl.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/abi/vmctx.h"
#include "uapi/wring.h"

namespace wring::kernel {

using host::ImportValue;
using host::Outcome;

namespace {

uint64_t address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

// The kinds of the kernel's reports begin as the driver's do; the rest of them mean a broken backend.
Outcome outcome_of(const wring_error_info& error, int error_number) {
  static_assert(static_cast<int>(Outcome::kInterrupted) == WRING_ERROR_INTERRUPTED);
  if (error.kind == WRING_ERROR_NONE || error.kind >= WRING_ERROR_REQUEST)
    return {Outcome::kFailed, error.message[0] ? error.message : std::strerror(error_number)};
  // The message also names the function.
  if (error.trap) return {Outcome::kTrap, wring_trap_text(error.trap)};
  std::string text = error.message;
  // The kernel names the import first, with its names in quotes.
  size_t quoted = text.rfind("\": ");
  if (error.kind == WRING_ERROR_LINK && quoted != std::string::npos) text.erase(0, quoted + 3);
  return {static_cast<Outcome::Kind>(error.kind), text};
}

// An export's index in its instance, found by it alone.
template <class Request>
Request request_for(uint32_t export_index) {
  Request request = {};
  request.export_index = export_index;
  return request;
}

}  // namespace

IoctlBackend::IoctlBackend(unsigned features)
    : device_(open(WRING_DEVICE, O_RDWR | O_CLOEXEC)), features_(features) {}

IoctlBackend::~IoctlBackend() {
  for (int fd : instances_) close(fd);
  if (device_ >= 0) close(device_);
}

Outcome IoctlBackend::validate(const std::string& module) {
  wring_error_info error = {};
  wring_instance_new request = {};
  request.module = address(module.data());
  request.module_bytes = module.size();
  request.flags = WRING_INSTANCE_F_VALIDATE;
  request.features = features_;
  request.error = address(&error);
  request.error_bytes = sizeof(error);
  return ioctl(device_, WRING_IOC_INSTANCE_NEW, &request) < 0 ? outcome_of(error, errno)
                                                              : Outcome{};
}

Outcome IoctlBackend::instantiate(const std::string& module,
                                  const std::vector<ImportValue>& imports, int* instance) {
  std::vector<wring_import> values;
  for (const ImportValue& import : imports)
    values.push_back({import.instance < 0 ? -1 : instances_[static_cast<size_t>(import.instance)],
                      import.instance < 0 ? 0 : import.export_index});
  wring_error_info error = {};
  wring_instance_new request = {};
  request.module = address(module.data());
  request.module_bytes = module.size();
  request.imports = address(values.data());
  request.import_count = static_cast<uint32_t>(values.size());
  request.features = features_;
  request.error = address(&error);
  request.error_bytes = sizeof(error);
  int fd = ioctl(device_, WRING_IOC_INSTANCE_NEW, &request);
  if (fd < 0) return outcome_of(error, errno);
  *instance = static_cast<int>(instances_.size());
  instances_.push_back(fd);
  return {};
}

Outcome IoctlBackend::invoke(int instance, uint32_t export_index, size_t result_words,
                             std::vector<uint64_t>* values) {
  wring_error_info error = {};
  std::vector<uint64_t> results(result_words);
  auto request = request_for<wring_invoke>(export_index);
  request.args = address(values->data());
  request.arg_count = static_cast<uint32_t>(values->size());
  request.results = address(results.data());
  request.result_count = static_cast<uint32_t>(result_words);
  request.error = address(&error);
  request.error_bytes = sizeof(error);
  if (ioctl(instances_[static_cast<size_t>(instance)], WRING_IOC_INVOKE, &request) < 0)
    return outcome_of(error, errno);
  if (request.trap) return {Outcome::kTrap, wring_trap_text(request.trap)};
  if (request.result_count != result_words) return {Outcome::kFailed, "another number of results"};
  *values = std::move(results);
  return {};
}

Outcome IoctlBackend::get_global(int instance, uint32_t export_index, uint64_t value[2]) {
  auto request = request_for<wring_export_get>(export_index);
  if (ioctl(instances_[static_cast<size_t>(instance)], WRING_IOC_EXPORT_GET, &request) < 0)
    return {Outcome::kFailed, std::strerror(errno)};
  if (request.kind != 3) return {Outcome::kFailed, "not an exported global"};
  value[0] = request.value[0];
  value[1] = request.value[1];
  return {};
}

}  // namespace wring::kernel
