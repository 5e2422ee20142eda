// SPDX-License-Identifier: GPL-2.0
// wring: the command line. Nouns and output follow bpftool, errors are one line each.
#include <fcntl.h>
#include <CLI/CLI.hpp>

#include <cctype>
#include <csignal>
#include <memory>

#include "loader/attach.h"
#include "loader/commands.h"
#include "loader/family.h"

namespace wring::loader {
namespace {

using Command = int (*)(Words, const Output&);

struct Verb {
  const char* noun;
  const char* name;
  const char* summary;
  const char* words;  // syntax after the verb; "" if it takes none
  const char* details;
  Command run;
};

constexpr char kProgSyntax[] = "PROG: id N | name NAME | N | NAME";
constexpr char kMapSyntax[] = "MAP: id N | name NAME | pinned PATH | N | NAME";

constexpr Verb kVerbs[] = {
    {"prog", "load", "Compile a WebAssembly module in the kernel",
     "FILE [name NAME] [type TYPE] [entry EXPORT] [map name NAME MAP]... [default VERDICT]\n"
     "       [fuel N] [time MICROSECONDS] [on_trap keep|reset|detach] [trap_limit N] "
     "[timeout_limit N]\n"
     "       [memory PAGES] [stack BYTES] [table ENTRIES] [code BYTES]",
     " (default: as the module's wring.progs section says)\n"
     "entry: the function to run at the hook, if the module has several\n"
     "map: use MAP (id N | name NAME | pinned PATH) for the program's map NAME instead of creating "
     "one\n"
     "default: the verdict when the program traps or cannot run: a number, or pass, drop, "
     "accept...\n"
     "fuel, time: what one invocation may take; a unit of fuel is about one simple instruction\n"
     "on_trap: after a trap the program's memory stays as it is (keep, the default), or the "
     "instance\n"
     "of that CPU is made anew (reset); or the program is detached, by the trap_limit-th trap\n"
     "timeout_limit: it is detached when so many invocations were out of time or fuel\n"
     "memory: limit of the linear memory, in pages of 64 KiB; stack: its size;\n"
     "table, code: limits of each table and of the machine code",
     prog_load},
    {"prog", "show", "List programs, or show one", "[PROG]", kProgSyntax, prog_show},
    {"prog", "run", "Run a program on given input",
     "PROG [repeat N] [data_in FILE] [data_out FILE] |\n"
     "       PROG export NAME [args TYPE:HEX...] [fuel N]",
     "The first form invokes a hook's program, the second a function that a module exports.\n"
     "data_in: the packet; for raw tracepoints the arguments, 8 bytes each\n"
     "TYPE:HEX: i32:2a, i64:ffffffffffffffff; floats as their bits: f32:3f800000, "
     "f64:3ff0000000000000\n"
     "Exit status 134: the program trapped.",
     prog_run},
    {"prog", "unload", "Unload a program", "PROG", kProgSyntax, prog_unload},
    {"prog", "tracelog", "Follow what programs log", "[timeout SECONDS]",
     "Shows the kernel's trace_pipe until a signal or the timeout ends it.", prog_tracelog},
    {"link", "attach", "Attach a program to a hook", "PROG TYPE WHERE",
     "TYPE WHERE, by the program's type:\n", link_attach},
    {"link", "show", "List attachments, or show one", "[id N]", "", link_show},
    {"link", "detach", "Detach a program from a hook", "id N | all",
     "all: every program from every hook, at once", link_detach},
    {"map", "show", "List the BPF maps of loaded programs, or show one", "[MAP]", kMapSyntax,
     map_show},
    {"map", "dump", "Print a map's entries", "MAP [nonzero]",
     "MAP: id N | name NAME | pinned PATH | N | NAME\n"
     "nonzero: leave out entries whose value is all zero",
     map_dump},
};

constexpr const char* kNounSummaries[][2] = {
    {"prog", "Load, inspect, run and unload programs"},
    {"link", "Attach programs to hooks"},
    {"map", "Inspect the BPF maps of programs"},
};

// Completes abbreviated nouns and verbs (`wring p sh`), which CLI11 does not; `list` is `show`, `help` is `--help`.
void expand_abbreviations(std::vector<std::string>* arguments) {
  std::vector<std::string> candidates{"feature", "help"};
  for (const auto& noun : kNounSummaries) candidates.push_back(noun[0]);
  std::string noun;
  for (std::string& argument : *arguments) {
    if (argument.empty() || argument[0] == '-') continue;
    auto full = complete(argument, candidates);
    if (!full) throw usage_error("unknown command '" + argument + "' (see wring --help)");
    argument = *full == "list" ? "show" : *full == "help" ? "--help" : *full;
    if (!noun.empty() || argument == "feature" || argument == "--help") return;
    noun = argument;
    candidates = {"list", "help"};
    for (const Verb& verb : kVerbs)
      if (noun == verb.noun) candidates.push_back(verb.name);
  }
}

// The types of programs, before the details of `prog load`.
std::string family_names() {
  std::string text = "TYPE: module";
  for (const Family& family : families()) text += " | " + std::string(family.name);
  return text;
}

// What families take, behind the details of `link attach`.
std::string family_syntax() {
  std::string text;
  for (const Family& family : families()) {
    text += "  " + std::string(family.name) + " " + family.ops->syntax() + "\n";
    if (*family.ops->details()) text += "    " + std::string(family.ops->details()) + "\n";
  }
  return text;
}

// CLI11's help with our own syntax lines: what follows a verb is words, not options.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    for (const Verb& verb : kVerbs)
      if (app->get_name() == verb.name && app->get_parent() &&
          app->get_parent()->get_name() == verb.noun)
        return "Usage: wring [-j|-p] " + std::string(verb.noun) + " " + verb.name +
               (*verb.words ? " " + std::string(verb.words) : "") + "\n";
    return CLI::Formatter::make_usage(app, name);
  }
};

int run(int argc, char** argv, Output* out) {
  CLI::App app("Run WebAssembly in the kernel: filters, tracing and more.", "wring");
  bool json = false, pretty = false;
  auto add_common = [&](CLI::App* command) {
    command->add_flag("-j,--json", json, "Print JSON");
    command->add_flag("-p,--pretty", pretty, "Print indented JSON");
  };
  app.formatter(std::make_shared<HelpFormatter>());
  add_common(&app);
  app.set_version_flag("-V,--version", WRING_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Commands and keywords may be abbreviated.\n"
      "Loading and running need CAP_BPF, and CAP_NET_ADMIN (xdp, netfilter) or CAP_PERFMON\n"
      "(raw_tracepoint); programs and links are found by id or name with CAP_SYS_ADMIN only.\n"
      "The administrator may refuse loads: sysctl wring.loads, see wring feature.\n"
      "Exit status: 0, 1 (failed), 2 (usage), 134 (the program trapped).");

  std::vector<std::string> words;
  Command chosen = nullptr;
  auto add_words = [&](CLI::App* command, Command function) {
    add_common(command);
    command->add_option("words", words)->group("");
    command->callback([&chosen, function] { chosen = function; });
  };
  for (const auto& noun : kNounSummaries) {
    CLI::App* group = app.add_subcommand(noun[0], noun[1])->require_subcommand(1);
    add_common(group);
    for (const Verb& verb : kVerbs) {
      if (std::string(noun[0]) != verb.noun) continue;
      CLI::App* command = group->add_subcommand(verb.name, verb.summary);
      command->footer((verb.run == prog_load ? family_names() : "") + verb.details +
                      (verb.run == link_attach ? family_syntax() : ""));
      add_words(command, verb.run);
    }
  }
  add_words(app.add_subcommand("feature", "What the module and this machine offer"), feature);

  std::vector<std::string> arguments(argv + 1, argv + argc);
  // Known before parsing, so that usage errors come in the right format too.
  for (const std::string& argument : arguments) {
    bool is_letters = argument.size() > 1 && argument[0] == '-' && std::isalpha(argument[1]);
    auto asks = [&](char letter, const char* word) {
      return argument == word || (is_letters && argument.find(letter) != std::string::npos);
    };
    if (asks('p', "--pretty"))
      out->format = Format::kPrettyJson;
    else if (asks('j', "--json") && out->format != Format::kPrettyJson)
      out->format = Format::kJson;
  }
  expand_abbreviations(&arguments);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    throw usage_error(error.what() + std::string(" (see --help)"));
  }
  int code = chosen(Words(words), *out);
  flush_output();
  return code;
}

// So that no file we open becomes our stdout: writing to a stdout that is closed must fail.
void occupy_standard_fds() {
  for (int fd = 0; fd < 3; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0) return;
}

}  // namespace
}  // namespace wring::loader

int main(int argc, char** argv) {
  wring::loader::Output out;
  // A reader that went away is an error like any other, so that what we have begun is taken back.
  std::signal(SIGPIPE, SIG_IGN);
  wring::loader::occupy_standard_fds();
  wring::loader::quiet_libbpf();
  try {
    return wring::loader::run(argc, argv, &out);
  } catch (const wring::loader::Failure& failure) {
    out.print(failure);
    return failure.exit_code;
  } catch (const std::exception& error) {
    out.print(wring::loader::Failure(error.what()));
    return wring::loader::kExitFailed;
  }
}
