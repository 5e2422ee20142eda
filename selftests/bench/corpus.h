// SPDX-License-Identifier: GPL-2.0
// A corpus of packets, valid and not: Ethernet with ARP, IPv4 and IPv6, TCP, UDP and ICMP, options, fragments, VLAN
// tags and noise, each also cut at every length. The same for the same seed, on every machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wring::bench {

// The port that filters under test are told to block.
constexpr std::uint16_t kBlockedPort = 7777;

struct Packet {
  std::string label;
  std::vector<std::uint8_t> bytes;
};

// Whole, valid packets, one per kind of traffic: what programs are timed with.
std::vector<Packet> typical_packets();

// All of it. Packets are at least an Ethernet header long: the kernel's test runs take nothing shorter.
std::vector<Packet> make_corpus(std::uint64_t seed);

}  // namespace wring::bench
