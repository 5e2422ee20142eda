// SPDX-License-Identifier: GPL-2.0
// EventLoop: waits for several files to become readable, on an io_uring, or with poll(2) where that is disabled.
#pragma once

#include <liburing.h>

#include <functional>
#include <optional>
#include <vector>

namespace wring::loader {

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Calls `ready` whenever fd (which must outlive the loop) can be read without blocking. Before run().
  void watch(int fd, std::function<void()> ready);
  // Until stop() is called. Errors, and what the handlers throw, are thrown.
  void run();
  void stop() { stopped_ = true; }

 private:
  struct Watch {
    int fd;
    std::function<void()> ready;
  };
  void arm(std::size_t index);
  void run_ring();
  void run_poll();

  std::vector<Watch> watches_;
  std::optional<io_uring> ring_;
  bool stopped_ = false;
};

}  // namespace wring::loader
