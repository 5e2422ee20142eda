// SPDX-License-Identifier: GPL-2.0
// wring link attach, show, detach.
#include <cerrno>
#include <functional>
#include <utility>

#include "loader/commands.h"
#include "loader/family.h"
#include "loader/program.h"
#include "loader/types.h"

namespace wring::loader {

namespace {

// ---- attach and detach ----

// The family's operations; a Failure if the module has one that we do not know.
const FamilyOps& ops_of(std::uint32_t type) {
  const Family* family = find_family(type);
  if (!family) throw Failure("links of " + type_name(type) + " are unknown to this loader");
  return *family->ops;
}

// The kind of hook to attach to, by its name or as guests say.
const Family& take_family(Words* words) {
  std::vector<std::string> names;
  for (const Family& family : families()) {
    names.push_back(family.name);
    if (words->peek() == family.section) names.back() = family.section;
  }
  std::string name = words->expect(names);
  for (const Family& family : families())
    if (name == family.name || name == family.section) return family;
  throw usage_error("unknown word '" + name + "'");
}

void detach_in_module(const Fd& device, std::uint32_t id) {
  wring_link_detach detach{};
  detach.id = id;
  try {
    command(device.get(), WRING_IOC_LINK_DETACH, &detach, "detach link " + std::to_string(id));
  } catch (const Failure& failure) {
    // The module has noticed by itself that nothing holds the stub any more.
    if (failure.error != ENOENT) throw;
  }
}

// Off the hook first, so that nothing meets the bare stub; held meanwhile, so that the link is still there afterwards.
void detach(const Fd& device, const wring_link_info& info) {
  const FamilyOps& ops = ops_of(info.type);
  Fd rest = ops.open_rest(info);
  if (rest) ops.take_off(info, rest);
  detach_in_module(device, info.id);
}

// All links that exist at the moment.
std::vector<wring_link_info> all_links(const Fd& device) {
  std::vector<wring_link_info> all;
  for (std::uint32_t id : list_ids(device, WRING_IOC_LINK_NEXT_ID)) {
    try {
      all.push_back(link_info(device, id));
    } catch (const Failure& failure) {
      // Detached since it was listed.
      if (failure.error != ENOENT) throw;
    }
  }
  return all;
}

// All programs stop together, links that are being made included; then what stood in for them at interfaces goes. That
// is not the order for a single one, but whoever asks for this is in a hurry. A stub that cannot be reached stays, and
// answers its program's default verdict.
std::uint32_t detach_all(const Fd& device) {
  std::vector<std::pair<wring_link_info, Fd>> links;
  std::optional<Failure> failed;
  auto attempt = [&](auto action) {
    try {
      action();
    } catch (const Failure& failure) {
      if (!failed) failed = failure;
    }
  };
  attempt([&] {
    for (const wring_link_info& info : all_links(device))
      attempt([&] { links.emplace_back(info, ops_of(info.type).open_rest(info)); });
  });
  wring_link_detach detach{};
  detach.flags = WRING_LINK_F_ALL;
  command(device.get(), WRING_IOC_LINK_DETACH, &detach, "detach all links");
  for (const auto& [info, rest] : links)
    if (rest) attempt([&, &info = info, &rest = rest] { ops_of(info.type).take_off(info, rest); });
  if (failed) throw *failed;
  return detach.detached;
}

// Binds the program to the hook; returns the link, which lasts.
wring_link_info attach(const Fd& device, const FoundProgram& program, Attachment* attachment) {
  const FamilyOps& ops = ops_of(program.info.raw.type);
  wring_link_attach* request = &attachment->request;
  request->prog_fd = program.fd.get();
  ops.prepare(attachment, program.info.raw);
  command(device.get(), WRING_IOC_LINK_ATTACH, request, "attach to " + attachment->target);
  try {
    wring_link_info info = link_info(device, request->id);
    ops.finish(*attachment);
    return info;
  } catch (const Failure&) {
    detach_in_module(device, request->id);
    throw;
  }
}

// ---- show ----

Json link_json(const wring_link_info& info) {
  Json json;
  json["id"] = info.id;
  json["type"] = type_name(info.type);
  json["prog_id"] = info.prog_id;
  if (const Family* family = find_family(info.type)) family->ops->describe(info, &json);
  return json;
}

void link_text(const wring_link_info& info) {
  const Family* family = find_family(info.type);
  say("%u: %s  prog %u  %s\n", info.id, type_name(info.type).c_str(), info.prog_id,
      family ? family->ops->text(info).c_str() : "");
}

std::uint32_t take_link(Words* words) {
  words->accept({"id"});
  std::uint32_t id = words->take_u32("link id", 1, UINT32_MAX);
  words->end();
  return id;
}

}  // namespace

int link_attach(Words words, const Output& out) {
  ProgramRef ref = take_program(&words);
  const Family& family = take_family(&words);
  Attachment attachment;
  family.ops->parse(&words, &attachment);
  words.end();
  Fd device = open_device();
  FoundProgram program = find_program(device, ref);
  const wring_prog_info& raw = program.info.raw;
  if (raw.type != family.type)
    throw Failure("program " + field_text(raw.name) + " is of type " + type_name(raw.type) +
                  ", not " + family.name);
  wring_link_info info = attach(device, program, &attachment);
  try {
    if (out.json())
      out.print(link_json(info));
    else
      link_text(info);
    flush_output();
  } catch (const Failure&) {
    detach(device, info);
    throw;
  }
  return 0;
}

int link_show(Words words, const Output& out) {
  std::optional<std::uint32_t> wanted;
  if (!words.done()) wanted = take_link(&words);
  Fd device = open_device();
  std::vector<wring_link_info> infos;
  if (wanted)
    infos.push_back(link_info(device, *wanted));
  else
    infos = all_links(device);
  Json all = Json::array();
  for (const wring_link_info& info : infos) {
    if (out.json())
      all.push_back(link_json(info));
    else
      link_text(info);
  }
  if (out.json()) out.print(all);
  return 0;
}

int link_detach(Words words, const Output& out) {
  if (words.accept({"all"})) {
    words.end();
    std::uint32_t detached = detach_all(open_device());
    if (out.json())
      out.print(Json{{"detached", detached}});
    else
      say("Detached %u link%s\n", detached, detached == 1 ? "" : "s");
    return 0;
  }
  std::uint32_t id = take_link(&words);
  Fd device = open_device();
  detach(device, link_info(device, id));
  if (out.json()) out.print(Json::object());
  return 0;
}

}  // namespace wring::loader
