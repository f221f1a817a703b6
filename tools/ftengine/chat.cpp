// ftengine chat: a conversation on a terminal, or with a program that writes a message a line. Answers go to
// stdout as they come, everything else to stderr.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <memory>

#include "engine/io/printable.h"
#include "engine/io/terminal.h"
#include "tools/ftengine/chat_history.h"
#include "tools/ftengine/commands.h"

namespace ft {
namespace {

constexpr int64_t kAnswerTokens = 512;  // where nobody says how many
constexpr size_t kMessageBytes = size_t{1} << 20;

constexpr const char* kHelp =
    "/new   forget the conversation so far\n"
    "/exit  leave (Ctrl-D too)\n"
    "/help  this list\n"
    "Ctrl-C stops an answer; at the prompt, or once more, it leaves\n";

struct Args : ResponderArgs {
  bool show_ids = false;
};

// Ctrl-C: what is going on, and so what it does.
enum Activity : std::sig_atomic_t { at_prompt, answering, stopping };
volatile std::sig_atomic_t activity = at_prompt;

extern "C" void on_interrupt(int) {
  if (activity == answering) {
    activity = stopping;
    return;
  }
  ::_exit(130);  // answers are written out as they come, so nothing is lost
}

/// The next message; false at the end of the input.
bool read_line(std::string& line) {
  line.clear();
  int c = 0;
  while ((c = std::getchar()) != EOF && c != '\n') {
    if (line.size() == kMessageBytes) bad_input("a message of more than {} bytes", kMessageBytes);
    line.push_back(static_cast<char>(c));
  }
  if (line.ends_with('\r')) line.pop_back();
  return c != EOF || !line.empty();
}

class Chat {
 public:
  explicit Chat(const Args& args)
      : args_(args),
        responder_(args, true),
        history_(responder_, args.generation.system.value_or("")),
        person_(is_terminal(STDIN_FILENO)),
        colour_(takes_colour(STDERR_FILENO)) {
    GenerationOptions& o = responder_.options;
    if (!o.max_new_tokens && !o.max_length) o.max_new_tokens = kAnswerTokens;
  }

  void run() {
    std::signal(SIGINT, on_interrupt);
    if (const std::string note = history_.note(); !note.empty()) say("note: " + note);
    if (person_) say(fmt::format("{} on {}; /help", args_.model.string(), responder_.session.describe()));
    std::string line;
    for (int64_t number = 1;; ++number) {
      if (person_) fmt::print(stderr, "{}> {}", colour_ ? "\033[1;36m" : "", colour_ ? "\033[0m" : "");
      if (!read_line(line)) break;
      if (line.empty()) continue;
      if (line == "/exit") return;
      if (command(line)) continue;
      try {
        answer(line);
      } catch (const InputError& e) {  // of the one message; a program that writes them should know
        if (!person_) bad_input("standard input:{}: {}", number, e.what());
        say(fmt::format("{}; it is left out", e.what()));
      }
    }
    if (person_) fmt::print(stderr, "\n");
  }

 private:
  /// For people, dimmed.
  void say(const std::string& text) const {
    fmt::print(stderr, "{}{}{}\n", colour_ ? "\033[2m" : "", text, colour_ ? "\033[0m" : "");
  }

  bool command(const std::string& line) {
    if (line == "/new") {
      history_.forget();
      say("a new conversation");
    } else if (line == "/help") {
      fmt::print(stderr, "{}", kHelp);
    } else if (line[0] == '/' && line.find_first_of("/ ", 1) == line.npos) {
      say(fmt::format("{} is no command; there are /new, /exit and /help", printable(line, 40)));
    } else {
      return false;
    }
    return true;
  }

  void answer(const std::string& message) {
    const std::vector<int32_t> prompt = history_.ask(message);
    if (const int n = history_.left_out(); n > 0)
      say(fmt::format("note: the conversation outgrew the model's {} positions; its oldest {} left out",
                      responder_.loaded.model->facts().max_positions,
                      n == 1 ? "exchange is" : fmt::format("{} exchanges are", n)));
    if (args_.show_ids) say(fmt::format("prompt ids: {}", fmt::join(prompt, ",")));
    activity = answering;
    const Answer a = responder_
                         .answer(
                             {&prompt, 1},
                             [](size_t, const std::string& part) {
                               write_out(part);
                               return activity == answering;
                             },
                             asked_++)
                         .front();
    const bool stopped = activity == stopping;
    activity = at_prompt;
    write_out("\n");
    if (args_.show_ids) say(fmt::format("answer ids: {}", fmt::join(a.ids, ",")));
    if (stopped)
      say("stopped");
    else if (a.reason == StopReason::length || a.reason == StopReason::max_positions)
      say(fmt::format("note: ended by the {}", describe(a.reason)));
    history_.answered(a.text);
  }

  const Args& args_;
  Responder responder_;
  ChatHistory history_;
  bool person_, colour_;
  uint64_t asked_ = 0;  // names the random numbers of each answer
};

}  // namespace

void register_chat(CLI::App& app) {
  auto args = std::make_shared<Args>();
  CLI::App* c = app.add_subcommand("chat", "a conversation with a model and its adapter");
  add_responder_options(*c, *args);
  c->add_flag("--show-ids", args->show_ids, "also the ids of each prompt and answer, on stderr");
  c->footer(
      fmt::format("A message a line, from the terminal or a pipe:\n{}"
                  "Example:\n"
                  "  ftengine chat --model models/qwen3-0.6b --adapter runs/qwen3-lora \\\n"
                  "    --system \"You work in a lamp shop.\" --do-sample --temperature 0.7\n"
                  "  printf 'Hello!\\nAnd again?\\n' | ftengine chat --model models/qwen3-0.6b",
                  kHelp));
  c->callback([args] { Chat(*args).run(); });
}

}  // namespace ft
