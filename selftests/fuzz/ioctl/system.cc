// SPDX-License-Identifier: GPL-2.0
#include "selftests/fuzz/ioctl/system.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace wring::fuzz {

namespace {

int bpf(int command, bpf_attr* attr) {
  return static_cast<int>(syscall(SYS_bpf, command, attr, sizeof(*attr)));
}

}  // namespace

bool write_file(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool good = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return good;
}

std::string read_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::string text(4096, 0);
  const ssize_t bytes = fd < 0 ? 0 : read(fd, text.data(), text.size());
  if (fd >= 0) close(fd);
  text.resize(bytes > 0 ? static_cast<usize>(bytes) : 0);
  return text;
}

int create_map(u32 type, u32 key_bytes, u32 value_bytes, u32 entries, u32 flags) {
  bpf_attr attr = {};
  attr.map_type = type;
  attr.key_size = key_bytes;
  attr.value_size = value_bytes;
  attr.max_entries = entries;
  attr.map_flags = flags;
  return bpf(BPF_MAP_CREATE, &attr);
}

int load_stub(bool is_xdp, u32 verdict) {
  bpf_insn code[2] = {};
  code[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  code[0].imm = static_cast<i32>(verdict);
  code[1].code = BPF_JMP | BPF_EXIT;
  bpf_attr attr = {};
  attr.prog_type = is_xdp ? BPF_PROG_TYPE_XDP : BPF_PROG_TYPE_SCHED_CLS;
  attr.insns = reinterpret_cast<u64>(code);
  attr.insn_cnt = 2;
  attr.license = reinterpret_cast<u64>("GPL");
  return bpf(BPF_PROG_LOAD, &attr);
}

int attach_xdp(int stub) {
  bpf_attr attr = {};
  attr.link_create.prog_fd = static_cast<u32>(stub);
  attr.link_create.target_ifindex = 1;
  attr.link_create.attach_type = BPF_XDP;
  attr.link_create.flags = XDP_FLAGS_SKB_MODE;
  return bpf(BPF_LINK_CREATE, &attr);
}

void test_run(int stub, const void* packet, u32 bytes, u32 repeat) {
  bpf_attr attr = {};
  attr.test.prog_fd = static_cast<u32>(stub);
  attr.test.data_in = reinterpret_cast<u64>(packet);
  attr.test.data_size_in = bytes;
  attr.test.repeat = repeat;
  bpf(BPF_PROG_TEST_RUN, &attr);
}

bool enter_new_network() {
  if (unshare(CLONE_NEWNET)) return false;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  const bool good = fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &request);
  if (fd >= 0) close(fd);
  return good;
}

void send_packets(u32 count, u32 bytes) {
  for (const int family : {AF_INET, AF_INET6}) {
    const int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) continue;
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(9);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 to6 = {};
    to6.sin6_family = AF_INET6;
    to6.sin6_port = htons(9);
    to6.sin6_addr = in6addr_loopback;
    const std::vector<u8> data(bytes, 0x55);
    for (u32 i = 0; i < count; i++) {
      if (family == AF_INET)
        sendto(fd, data.data(), bytes, 0, reinterpret_cast<sockaddr*>(&to), sizeof(to));
      else
        sendto(fd, data.data(), bytes, 0, reinterpret_cast<sockaddr*>(&to6), sizeof(to6));
    }
    close(fd);
  }
}

void keep_capabilities(u64 capabilities) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (u32 i = 0; i < 2; i++)
    data[i].effective = data[i].permitted = static_cast<u32>(capabilities >> 32 * i);
  syscall(SYS_capset, &header, data);
}

int fork_bound() {
  const int parent = getpid(), pid = fork();
  if (pid) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may have ended before.
  if (getppid() != parent) _exit(0);
  return 0;
}

u64 now_ms() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<u64>(time.tv_sec) * 1000 + static_cast<u64>(time.tv_nsec) / 1000000;
}

}  // namespace wring::fuzz
