// SPDX-License-Identifier: GPL-2.0
#include "selftests/fuzz/ioctl/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace wring::fuzz {

namespace {

void require(bool condition, const char* what) {
  if (condition) return;
  std::perror(what);
  std::_Exit(3);
}

int memory_file(usize bytes) {
  const int fd = memfd_create("wring-ioctl-fuzz", MFD_CLOEXEC);
  require(fd >= 0 && !ftruncate(fd, static_cast<off_t>(bytes)), "memfd");
  return fd;
}

u8* map(void* at, usize bytes, int protection, int flags, int fd, usize offset) {
  void* mapped = mmap(at, bytes, protection, flags, fd, static_cast<off_t>(offset));
  require(mapped != MAP_FAILED, "mmap");
  return static_cast<u8*>(mapped);
}

u8* reserve(usize bytes) {
  return map(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

}  // namespace

Commons::Commons() : fd_(memory_file(kRegionBytes)) {
  bytes_ = map(nullptr, kRegionBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  vanishing_ = map(nullptr, kRegionBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
}

void Commons::scribble(test::Choices* choices) {
  const u32 writes = choices->below(2000);
  const u32 begin = choices->below(kRegionBytes - 1024);
  const u64 bits = choices->bits();
  for (u32 i = 0; i < writes; i++) {
    const u32 at = begin + (i * 7 & 1023);
    std::atomic_ref(bytes_[at]).store(static_cast<u8>(bits >> (i & 31)), std::memory_order_relaxed);
  }
}

void Commons::map_or_unmap(test::Choices* choices) {
  constexpr usize kPage = 4096;
  const usize page = choices->below(kRegionBytes / kPage) * kPage;
  const usize bytes = std::min(kRegionBytes - page, kPage * (1 + choices->below(4)));
  // Others may be doing the same: whatever comes of it is as good.
  constexpr int kProtections[] = {PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ,
                                  PROT_NONE};
  mmap(vanishing_ + page, bytes, choices->pick(kProtections), MAP_SHARED | MAP_FIXED, fd_,
       static_cast<off_t>(page));
}

Arena::Arena(Commons* commons)
    : commons_(*commons),
      writable_(reserve(kRegions * kStride)),
      readonly_(reserve(kRegions * kStride)) {
  const int fd = memory_file(kRegions * kRegionBytes);
  for (u32 i = 0; i < kRegions; i++) {
    map(writable_ + i * kStride, kRegionBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
        i * kRegionBytes);
    map(readonly_ + i * kStride, kRegionBytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd,
        i * kRegionBytes);
  }
  close(fd);
}

Placed Arena::place(test::Choices* choices, const void* data, usize bytes) {
  if (bytes > kRegionBytes) return {reinterpret_cast<u64>(data), nullptr};
  u8* at = next_region() + kRegionBytes - bytes;
  u8* visible = at;
  if (choices->chance(3)) {
    const usize offset = choices->below(static_cast<u32>(kRegionBytes - bytes + 1));
    at = (choices->chance(50) ? commons_.bytes() : commons_.vanishing()) + offset;
    visible = commons_.bytes() + offset;
  }
  std::memcpy(visible, data, bytes);
  return {reinterpret_cast<u64>(at), visible};
}

u64 Arena::place_readonly(const void* data, usize bytes) {
  bytes = std::min(bytes, kRegionBytes);
  u8* at = next_region() + kRegionBytes - bytes;
  std::memcpy(at, data, bytes);
  return reinterpret_cast<u64>(readonly_ + (at - writable_));
}

u64 Arena::wild(test::Choices* choices, usize bytes) {
  const u64 end = reinterpret_cast<u64>(next_region() + kRegionBytes);
  const usize less = bytes ? choices->bits() % bytes : 0;
  constexpr u64 kAddresses[] = {0,
                                1,
                                4096,
                                0x00007ffffffff000,  // the last page of user memory
                                0x00007fffffffffff,
                                0x0000800000000000,
                                0x8000000000000000,
                                0xffff888000000000,  // the direct map
                                0xffffffff81000000,  // the kernel's text
                                0xffffffffa0000000,
                                0xffffffffff600000,
                                0xfffffffffffffff8,
                                ~u64{0}};
  switch (choices->below(4)) {
    case 0: return end - less;
    case 1: return reinterpret_cast<u64>(readonly_);
    case 2: return choices->pick(kAddresses);
    default: return ~u64{0} - less;
  }
}

}  // namespace wring::fuzz
