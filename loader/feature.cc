// SPDX-License-Identifier: GPL-2.0
// wring feature: what the loaded module and this machine offer.
#include "loader/commands.h"
#include "loader/device.h"
#include "loader/types.h"

namespace wring::loader {

namespace {

struct BitName {
  std::uint32_t bit;
  const char* name;
};
constexpr BitName kCpu[] = {{WRING_CPU_BMI1, "bmi1"},   {WRING_CPU_BMI2, "bmi2"},
                            {WRING_CPU_LZCNT, "lzcnt"}, {WRING_CPU_POPCNT, "popcnt"},
                            {WRING_CPU_MOVBE, "movbe"}, {WRING_CPU_SSE41, "sse4_1"},
                            {WRING_CPU_AVX, "avx"},     {WRING_CPU_AVX2, "avx2"}};
constexpr BitName kMitigations[] = {{WRING_MITIGATION_RETPOLINE, "retpoline"},
                                    {WRING_MITIGATION_RETURN_THUNK, "return_thunk"},
                                    {WRING_MITIGATION_SLS, "sls"},
                                    {WRING_MITIGATION_IBT, "ibt"},
                                    {WRING_MITIGATION_BLINDING, "constant_blinding"},
                                    {WRING_MITIGATION_CLAMPS, "speculation_clamps"}};

std::string loads_name(std::uint32_t loads) {
  switch (loads) {
    case WRING_LOADS_ALLOWED: return "allowed";
    case WRING_LOADS_REFUSED: return "refused";
    case WRING_LOADS_LOCKED: return "locked";
    default: return "state " + std::to_string(loads);
  }
}

template <std::size_t N>
Json names_of(std::uint32_t bits, const BitName (&names)[N]) {
  Json list = Json::array();
  for (const BitName& entry : names)
    if (bits & entry.bit) list.push_back(entry.name);
  return list;
}

Json types_of(std::uint32_t bits) {
  Json list = Json::array();
  for (std::uint32_t type = 0; type < 32; type++)
    if (bits >> type & 1) list.push_back(type_name(type));
  return list;
}

std::string joined(const Json& list) {
  std::string text;
  for (const auto& item : list) text += (text.empty() ? "" : " ") + item.get<std::string>();
  return text.empty() ? "none" : text;
}

}  // namespace

int feature(Words words, const Output& out) {
  words.end();
  Fd device = open_device();
  wring_features features{};
  command(device.get(), WRING_IOC_FEATURES, &features, "features");
  Json json;
  json["abi"] = features.abi;
  json["prog_types"] = types_of(features.prog_types);
  json["link_types"] = types_of(features.link_types);
  json["cpu"] = names_of(features.cpu, kCpu);
  json["mitigations"] = names_of(features.mitigations, kMitigations);
  json["progs"] = features.programs;
  json["reservations"] = features.reservations;
  json["reservations_pooled"] = features.reservations_pooled;
  json["bytes_code"] = features.code_bytes;
  json["internal_errors"] = features.internal_errors;
  json["loads"] = loads_name(features.loads);
  if (out.json()) {
    out.print(json);
    return 0;
  }
  say("interface version %u\n", features.abi);
  say("new programs (sysctl wring.loads): %s%s\n", loads_name(features.loads).c_str(),
      features.loads == WRING_LOADS_LOCKED ? " until the module is reloaded" : "");
  say("programs that can be loaded: %s\n", joined(json["prog_types"]).c_str());
  say("programs that can be attached: %s\n", joined(json["link_types"]).c_str());
  say("CPU features in use: %s\n", joined(json["cpu"]).c_str());
  say("mitigations in generated code: %s\n", joined(json["mitigations"]).c_str());
  say("loaded: %u programs, %llu bytes of code, %u linear memories (%u more pooled)\n",
      features.programs, static_cast<unsigned long long>(features.code_bytes),
      features.reservations, features.reservations_pooled);
  say("faults of the engine itself: %llu\n",
      static_cast<unsigned long long>(features.internal_errors));
  return 0;
}

}  // namespace wring::loader
