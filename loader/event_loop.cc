// SPDX-License-Identifier: GPL-2.0
// EventLoop: one-shot poll requests on the ring, armed again after each event.
#include "loader/event_loop.h"

#include <poll.h>

#include <cerrno>

#include "loader/error.h"

namespace wring::loader {

namespace {
constexpr unsigned kRingEntries = 8;
}

EventLoop::EventLoop() {
  io_uring ring{};
  // ENOSYS or EPERM (kernel.io_uring_disabled) leave poll(2).
  if (io_uring_queue_init(kRingEntries, &ring, 0) == 0) ring_ = ring;
}

EventLoop::~EventLoop() {
  if (ring_) io_uring_queue_exit(&*ring_);
}

void EventLoop::watch(int fd, std::function<void()> ready) {
  watches_.push_back({fd, std::move(ready)});
}

void EventLoop::run() {
  if (ring_)
    run_ring();
  else
    run_poll();
}

void EventLoop::arm(std::size_t index) {
  io_uring_sqe* sqe = io_uring_get_sqe(&*ring_);
  if (!sqe) throw Failure("io_uring: too many files to wait for");
  io_uring_prep_poll_add(sqe, watches_[index].fd, POLLIN);
  sqe->user_data = index;
}

void EventLoop::run_ring() {
  for (std::size_t i = 0; i < watches_.size(); i++) arm(i);
  while (!stopped_) {
    int err = io_uring_submit_and_wait(&*ring_, 1);
    if (err == -EINTR) continue;
    if (err < 0) throw system_error("io_uring", -err);
    io_uring_cqe* cqe = nullptr;
    while (!stopped_ && io_uring_peek_cqe(&*ring_, &cqe) == 0) {
      std::size_t index = cqe->user_data;
      int result = cqe->res;
      io_uring_cqe_seen(&*ring_, cqe);
      if (result < 0) throw system_error("io_uring poll", -result);
      watches_[index].ready();
      arm(index);
    }
  }
}

void EventLoop::run_poll() {
  std::vector<pollfd> files;
  for (const Watch& watch : watches_) files.push_back({watch.fd, POLLIN, 0});
  while (!stopped_) {
    if (poll(files.data(), files.size(), -1) < 0) {
      if (errno == EINTR) continue;
      throw system_error("poll", errno);
    }
    for (std::size_t i = 0; i < files.size() && !stopped_; i++)
      if (files[i].revents) watches_[i].ready();
  }
}

}  // namespace wring::loader
