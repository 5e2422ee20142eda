// SPDX-License-Identifier: GPL-2.0
// A corpus of packets.
#include "selftests/bench/corpus.h"

#include <algorithm>

namespace wring::bench {

namespace {

constexpr std::size_t kEthernetBytes = 14;
constexpr std::size_t kMaxPacketBytes = 1500;
constexpr std::uint16_t kIpv4 = 0x0800, kArp = 0x0806, kVlan = 0x8100, kIpv6 = 0x86dd;
constexpr std::uint8_t kHopByHop = 0, kIcmp = 1, kTcp = 6, kUdp = 17, kFragment = 44, kGre = 47,
                       kIcmpv6 = 58;
constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::uint16_t kOtherPort = 53;

using Bytes = std::vector<std::uint8_t>;

void put8(Bytes* to, std::uint32_t value) { to->push_back(static_cast<std::uint8_t>(value)); }

void put16(Bytes* to, std::uint32_t value) {
  put8(to, value >> 8);
  put8(to, value);
}

void put32(Bytes* to, std::uint32_t value) {
  put16(to, value >> 16);
  put16(to, value);
}

void put(Bytes* to, const Bytes& bytes) { to->insert(to->end(), bytes.begin(), bytes.end()); }

Bytes ethernet(std::uint16_t type, const Bytes& payload) {
  Bytes packet{0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2};
  put16(&packet, type);
  put(&packet, payload);
  return packet;
}

Bytes vlan(std::uint16_t type, const Bytes& payload) {
  Bytes tag;
  put16(&tag, 100);
  put16(&tag, type);
  put(&tag, payload);
  return tag;
}

Bytes arp() {
  Bytes packet;
  put16(&packet, 1);
  put16(&packet, kIpv4);
  put16(&packet, 0x0604);
  put16(&packet, 1);
  packet.resize(28, 0x11);
  return packet;
}

// ihl: the header's length in words as the header says it; there are as many, but never less than five.
Bytes ipv4(std::uint8_t protocol, const Bytes& payload, std::uint32_t ihl = 5,
           std::uint16_t fragment = 0) {
  std::size_t header = std::max<std::size_t>(ihl, 5) * 4;
  Bytes packet;
  put8(&packet, 0x40 | ihl);
  put8(&packet, 0);
  put16(&packet, static_cast<std::uint32_t>(header + payload.size()));
  put16(&packet, 0x1234);
  put16(&packet, fragment);
  put8(&packet, 64);
  put8(&packet, protocol);
  put16(&packet, 0);
  put32(&packet, 0x0a000001);
  put32(&packet, 0x0a000002);
  packet.resize(header, 0x01);  // options: no-operations
  put(&packet, payload);
  return packet;
}

Bytes ipv6(std::uint8_t next, const Bytes& payload) {
  Bytes packet;
  put32(&packet, 0x60000000);
  put16(&packet, static_cast<std::uint32_t>(payload.size()));
  put8(&packet, next);
  put8(&packet, 64);
  packet.resize(packet.size() + 16, 0xfd);
  packet.resize(packet.size() + 16, 0xfe);
  put(&packet, payload);
  return packet;
}

// An extension header of 8 bytes.
Bytes extension(std::uint8_t next, const Bytes& payload) {
  Bytes header{next, 0, 0, 0, 0, 0, 0, 0};
  put(&header, payload);
  return header;
}

Bytes udp(std::uint16_t port, std::size_t data = 18) {
  Bytes packet;
  put16(&packet, 40000);
  put16(&packet, port);
  put16(&packet, static_cast<std::uint32_t>(8 + data));
  put16(&packet, 0);
  packet.resize(8 + data, 'x');
  return packet;
}

Bytes tcp(std::uint16_t port) {
  Bytes packet;
  put16(&packet, 40000);
  put16(&packet, port);
  put32(&packet, 1);
  put32(&packet, 2);
  put16(&packet, 0x5018);
  put16(&packet, 0xffff);
  put32(&packet, 0);
  packet.resize(packet.size() + 6, 'y');
  return packet;
}

Bytes icmp(std::uint8_t type) {
  Bytes packet{type, 0};
  packet.resize(34, 'z');
  return packet;
}

// splitmix64: small, and good enough to vary packets with.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return static_cast<std::uint32_t>((z ^ z >> 31) >> 32) % bound;
  }

 private:
  std::uint64_t state_;
};

std::vector<Packet> unusual_packets() {
  std::vector<Packet> all;
  auto add = [&](const std::string& label, const Bytes& bytes) { all.push_back({label, bytes}); };
  for (std::uint32_t ihl = 0; ihl < 16; ihl++)
    for (std::uint16_t port : {kBlockedPort, kOtherPort})
      add("ipv4 udp, ihl " + std::to_string(ihl), ethernet(kIpv4, ipv4(kUdp, udp(port), ihl)));
  add("ipv4 first fragment", ethernet(kIpv4, ipv4(kUdp, udp(kBlockedPort), 5, kMoreFragments)));
  add("ipv4 later fragment", ethernet(kIpv4, ipv4(kUdp, udp(kBlockedPort), 5, 185)));
  add("ipv4 last bit of fragment offset", ethernet(kIpv4, ipv4(kUdp, udp(kBlockedPort), 5, 1)));
  add("ipv4 don't fragment", ethernet(kIpv4, ipv4(kUdp, udp(kBlockedPort), 5, 0x4000)));
  add("ipv4 gre", ethernet(kIpv4, ipv4(kGre, udp(kBlockedPort))));
  add("ipv4 tcp to the blocked port", ethernet(kIpv4, ipv4(kTcp, tcp(kBlockedPort))));
  add("ipv4 udp to port 0", ethernet(kIpv4, ipv4(kUdp, udp(0))));
  add("ipv4 udp, bytes swapped", ethernet(kIpv4, ipv4(kUdp, udp(__builtin_bswap16(kBlockedPort)))));
  add("ipv4 icmpv6", ethernet(kIpv4, ipv4(kIcmpv6, icmp(128))));
  add("ipv4 in an ipv6 frame", ethernet(kIpv6, ipv4(kUdp, udp(kBlockedPort))));
  add("ipv6 in an ipv4 frame", ethernet(kIpv4, ipv6(kUdp, udp(kBlockedPort))));
  add("ipv6 hop-by-hop", ethernet(kIpv6, ipv6(kHopByHop, extension(kUdp, udp(kBlockedPort)))));
  add("ipv6 fragment", ethernet(kIpv6, ipv6(kFragment, extension(kUdp, udp(kBlockedPort)))));
  add("ipv6 tcp", ethernet(kIpv6, ipv6(kTcp, tcp(443))));
  add("ipv6 icmpv6", ethernet(kIpv6, ipv6(kIcmpv6, icmp(135))));
  add("vlan ipv4 udp", ethernet(kVlan, vlan(kIpv4, ipv4(kUdp, udp(kBlockedPort)))));
  add("802.3 length", ethernet(100, Bytes(100, 0xaa)));
  add("nothing but a header", ethernet(0xffff, {}));
  return all;
}

// A valid packet with a few bytes changed, or noise with a plausible type, of any length.
Packet mutated(const std::vector<Packet>& seeds, Random* random) {
  Bytes bytes = seeds[random->below(static_cast<std::uint32_t>(seeds.size()))].bytes;
  if (random->below(4) == 0) {
    constexpr std::uint16_t kTypes[] = {kIpv4, kIpv6, kArp, kVlan};
    Bytes noise(random->below(120));
    for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(random->below(256));
    bytes = ethernet(kTypes[random->below(4)], noise);
  }
  for (std::uint32_t i = random->below(5); i > 0; i--)
    bytes[random->below(static_cast<std::uint32_t>(bytes.size()))] =
        static_cast<std::uint8_t>(random->below(256));
  if (random->below(3) == 0)
    bytes.resize(kEthernetBytes + random->below(static_cast<std::uint32_t>(bytes.size())), 0x55);
  return {"mutated", bytes};
}

}  // namespace

std::vector<Packet> typical_packets() {
  return {
      {"IPv4 UDP, blocked", ethernet(kIpv4, ipv4(kUdp, udp(kBlockedPort)))},
      {"IPv4 UDP", ethernet(kIpv4, ipv4(kUdp, udp(kOtherPort)))},
      {"IPv4 TCP", ethernet(kIpv4, ipv4(kTcp, tcp(443)))},
      {"IPv4 ICMP", ethernet(kIpv4, ipv4(kIcmp, icmp(8)))},
      {"IPv6 UDP, blocked", ethernet(kIpv6, ipv6(kUdp, udp(kBlockedPort)))},
      {"ARP", ethernet(kArp, arp())},
  };
}

std::vector<Packet> make_corpus(std::uint64_t seed) {
  std::vector<Packet> whole = typical_packets();
  for (Packet& packet : unusual_packets()) whole.push_back(std::move(packet));

  std::vector<Packet> all;
  for (const Packet& packet : whole)
    for (std::size_t size = kEthernetBytes; size <= packet.bytes.size(); size++) {
      std::string label = packet.label;
      if (size < packet.bytes.size()) label += ", cut to " + std::to_string(size) + " bytes";
      all.push_back({label, Bytes(packet.bytes.begin(), packet.bytes.begin() + size)});
    }
  all.push_back({"full-sized udp", ethernet(kIpv4, ipv4(kUdp, udp(kOtherPort, 1400)))});
  Random random(seed);
  for (int i = 0; i < 1500; i++) {
    all.push_back(mutated(whole, &random));
    all.back().label += " " + std::to_string(i);
  }
  for (Packet& packet : all) packet.bytes.resize(std::min(packet.bytes.size(), kMaxPacketBytes));
  return all;
}

}  // namespace wring::bench
