// SPDX-License-Identifier: GPL-2.0
// wring prog run: a hook's program on given input, or an exported function.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "loader/commands.h"
#include "loader/guest.h"
#include "loader/program.h"
#include "loader/show.h"

namespace wring::loader {

namespace {

constexpr std::uint32_t kMaxPacketBytes = 65536;

struct RunRequest {
  ProgramRef program;
  // An export...
  std::string name;
  std::vector<std::string> arguments;
  std::uint64_t fuel = 0;
  // ... or, if that is empty, the hook's program.
  bool is_export = false;
  std::uint32_t repeat = 1;
  std::string input, output;
};

RunRequest parse_run(Words* words) {
  RunRequest request;
  request.program = take_program(words);
  if (words->accept({"export"})) {
    request.is_export = true;
    request.name = words->take("the name of an export");
    while (!words->done()) {
      if (words->expect({"args", "fuel"}) == "fuel") {
        request.fuel = words->take_number("fuel", 1, INT64_MAX);
      } else {
        do request.arguments.push_back(words->take("an argument TYPE:HEX"));
        while (words->peek().find(':') != std::string::npos);
      }
    }
    return request;
  }
  while (!words->done()) {
    std::string keyword = words->expect({"export", "repeat", "data_in", "data_out"});
    if (keyword == "repeat")
      request.repeat = words->take_u32("repeat", 1, UINT32_MAX);
    else if (keyword == "data_in")
      request.input = words->take("a file");
    else if (keyword == "data_out")
      request.output = words->take("a file");
    else
      throw usage_error("export goes right behind the program, and alone");
  }
  return request;
}

void write_file(const std::string& path, const std::vector<std::uint8_t>& bytes,
                std::size_t count) {
  Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file) throw system_error(path, errno);
  for (std::size_t done = 0; done < count;) {
    ssize_t written = write(file.get(), bytes.data() + done, count - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw system_error(path, errno);
    done += static_cast<std::size_t>(written);
  }
}

int run_hook(const FoundProgram& program, const RunRequest& request, const Output& out) {
  std::vector<std::uint8_t> input, output;
  if (!request.input.empty()) input = read_file(request.input, kMaxPacketBytes);
  wring_prog_run run{};
  run.repeat = request.repeat;
  run.data_in = user_address(input.data());
  run.data_in_bytes = static_cast<std::uint32_t>(input.size());
  if (!request.output.empty()) {
    output.resize(kMaxPacketBytes);
    run.data_out = user_address(output.data());
    run.data_out_bytes = kMaxPacketBytes;
  }
  command(program.fd.get(), WRING_IOC_PROG_RUN, &run, "run " + field_text(program.info.raw.name));
  if (!request.output.empty())
    write_file(request.output, output, std::min(run.data_out_bytes, kMaxPacketBytes));
  ProgramInfo info{};
  if (run.trap) {
    info = program_info(program.fd);
    find_trap_lines(program.fd, &info);
  }
  if (out.json()) {
    Json json;
    json["retval"] = run.verdict;
    json["duration"] = run.duration_ns;
    json["fuel_used"] = run.fuel_used;
    if (run.trap) json["last_trap"] = trap_json(info);
    out.print(json);
  } else {
    say("Return value: %u, duration%s: %lluns, fuel: %llu\n", run.verdict,
        run.repeat > 1 ? " (average)" : "", static_cast<unsigned long long>(run.duration_ns),
        static_cast<unsigned long long>(run.fuel_used));
    if (run.trap)
      say("Trapped: %s, in %s\n", printable(field_text(info.raw.trap.text)).c_str(),
          frame_count(info.raw.trap) ? frame_text(info, 0).c_str() : "?");
  }
  return run.trap ? kExitTrapped : 0;
}

// Types whose values are one number: as written, and as the letters of struct wring_export_get. Floats are their bits.
constexpr struct {
  const char* name;
  char letter;
} kTypes[] = {{"i32", 'i'}, {"i64", 'l'}, {"f32", 'f'}, {"f64", 'd'}};

bool is_narrow(char letter) { return letter == 'i' || letter == 'f'; }

// "i32:2a" as a value of the type that the function wants.
std::uint64_t parse_argument(const std::string& text, char wanted) {
  std::size_t colon = text.find(':');
  char letter = '?';
  for (const auto& type : kTypes)
    if (text.substr(0, colon) == type.name) letter = type.letter;
  if (colon == std::string::npos || letter == '?')
    throw usage_error("argument '" + text + "': expected i32:HEX, i64:HEX, f32:HEX or f64:HEX");
  if (letter != wanted)
    throw Failure("argument '" + text + "': the function takes another type there");
  return parse_number("0x" + text.substr(colon + 1), "argument " + text, 0,
                      is_narrow(letter) ? UINT32_MAX : UINT64_MAX);
}

int run_export(const FoundProgram& program, const RunRequest& request, const Output& out) {
  const std::string& name = request.name;
  wring_export_get signature{};
  signature.name = user_address(name.data());
  signature.name_bytes = static_cast<std::uint32_t>(name.size());
  try {
    command(program.fd.get(), WRING_IOC_EXPORT_GET, &signature, "export '" + name + "'");
  } catch (const Failure& failure) {
    // This command has no message of its own.
    if (failure.error == ENOENT) throw Failure("no export '" + name + "'");
    throw;
  }
  if (signature.kind != 0) throw Failure("export '" + name + "' is not a function");
  std::string params = field_text(signature.params), types = field_text(signature.results);
  if ((params + types).find_first_not_of("ilfd") != std::string::npos)
    throw Failure("export '" + name + "': only integers and floats can be given and shown");
  if (request.arguments.size() != params.size())
    throw Failure("export '" + name + "' takes " + std::to_string(params.size()) +
                  " arguments, not " + std::to_string(request.arguments.size()));
  std::vector<std::uint64_t> arguments, results(types.size());
  for (std::size_t i = 0; i < params.size(); i++)
    arguments.push_back(parse_argument(request.arguments[i], params[i]));

  wring_invoke invoke{};
  invoke.name = signature.name;
  invoke.name_bytes = signature.name_bytes;
  invoke.args = user_address(arguments.data());
  invoke.arg_count = static_cast<std::uint32_t>(arguments.size());
  invoke.results = user_address(results.data());
  invoke.result_count = static_cast<std::uint32_t>(results.size());
  invoke.fuel = request.fuel;
  wring_error_info info{};
  invoke.error = user_address(&info);
  invoke.error_bytes = sizeof(info);
  ioctl_checked(program.fd.get(), WRING_IOC_INVOKE, &invoke, &info, "run " + name);
  if (invoke.trap) {
    Failure failure = reported_failure("run " + name, info);
    find_source(&failure, program_module(program.fd));
    throw failure;
  }
  Json json;
  json["results"] = Json::array();
  for (std::size_t i = 0; i < results.size(); i++) {
    char text[32];
    for (const auto& type : kTypes)
      if (types[i] == type.letter)
        std::snprintf(text, sizeof(text), "%s:%llx", type.name,
                      static_cast<unsigned long long>(results[i]));
    json["results"].push_back(text);
    if (!out.json()) say("%s\n", text);
  }
  json["fuel_used"] = invoke.fuel;
  if (out.json()) out.print(json);
  return 0;
}

}  // namespace

int prog_run(Words words, const Output& out) {
  RunRequest request = parse_run(&words);
  Fd device = open_device();
  FoundProgram program = find_program(device, request.program);
  bool is_module = program.info.raw.type == WRING_PROG_MODULE;
  if (is_module != request.is_export)
    throw Failure(is_module ? "the program is not for a hook: name one of its exports (export NAME)"
                            : "a hook's program is run as a whole, not by export");
  return is_module ? run_export(program, request, out) : run_hook(program, request, out);
}

}  // namespace wring::loader
