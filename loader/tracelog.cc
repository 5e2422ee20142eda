// SPDX-License-Identifier: GPL-2.0
// wring prog tracelog: follows what programs log, like bpftool's command of that name.
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "loader/commands.h"
#include "loader/device.h"
#include "loader/event_loop.h"

namespace wring::loader {

namespace {

constexpr char kTracePipe[] = "/sys/kernel/tracing/trace_pipe";
constexpr std::uint64_t kMaxSeconds = 1'000'000;

// Lines may arrive in pieces; each is shown when it is whole.
class Lines {
 public:
  explicit Lines(const Output& out) : out_(out) {}
  void add(const char* bytes, std::size_t count) {
    pending_.append(bytes, count);
    for (std::size_t end; (end = pending_.find('\n')) != std::string::npos;
         pending_.erase(0, end + 1))
      show(pending_.substr(0, end));
    flush_output();
  }

 private:
  void show(const std::string& line) {
    if (out_.json())
      out_.print(Json(line));
    else
      say("%s\n", printable(line).c_str());
  }
  const Output& out_;
  std::string pending_;
};

Fd open_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  if (sigprocmask(SIG_BLOCK, &signals, nullptr) < 0) throw system_error("sigprocmask", errno);
  Fd fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) throw system_error("signalfd", errno);
  return fd;
}

Fd open_timer(std::uint64_t seconds) {
  Fd fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(seconds);
  if (!fd || timerfd_settime(fd.get(), 0, &when, nullptr) < 0) throw system_error("timerfd", errno);
  return fd;
}

}  // namespace

int prog_tracelog(Words words, const Output& out) {
  std::uint64_t seconds = 0;
  if (!words.done()) {
    words.expect({"timeout"});
    seconds = words.take_number("timeout in seconds", 1, kMaxSeconds);
    words.end();
  }
  Fd pipe(open(kTracePipe, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!pipe) throw system_error(kTracePipe, errno);
  Fd signals = open_signals(), timer = open_timer(seconds);

  EventLoop loop;
  Lines lines(out);
  loop.watch(pipe.get(), [&] {
    char bytes[4096];
    ssize_t got = read(pipe.get(), bytes, sizeof(bytes));
    if (got > 0) return lines.add(bytes, static_cast<std::size_t>(got));
    if (got < 0 && errno != EAGAIN && errno != EINTR) throw system_error(kTracePipe, errno);
  });
  loop.watch(signals.get(), [&] { loop.stop(); });
  if (seconds) loop.watch(timer.get(), [&] { loop.stop(); });
  loop.run();
  return 0;
}

}  // namespace wring::loader
