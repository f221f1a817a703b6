// ftengine generate: prompts to text on stdout; everything for people goes to stderr.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "engine/data/dataset_record.h"
#include "tools/ftengine/commands.h"
#include "tools/ftengine/responder.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

struct Args : ResponderArgs {
  std::optional<std::string> prompt;
  std::optional<fs::path> file;
  std::vector<int32_t> input_ids;
  bool output_ids = false;
};

std::string join_ids(std::span<const int32_t> ids) {
  return fmt::format("{}", fmt::join(ids, ","));
}

/// Does the file hold a prompt that is text?
bool has_text(const fs::path& file) {
  JsonlReader reader(file);
  for (Json row; reader.next(row);)
    if (!row.is_object() || !row.contains("input_ids")) return true;
  return false;
}

/// What a row of --file is answered with: {"messages"} (or ShareGPT's), {"input_ids"}, {"prompt"} or
/// {"instruction", "input"}; "system" beside all but ids.
std::vector<int32_t> row_ids(const Responder& r, const Args& args, const JsonlReader& reader,
                             const Json& row) {
  static const Record::Columns own_names;
  const Record in(row, own_names, reader.where());
  const std::string system = args.generation.system.value_or("");
  if (in.has("input_ids")) return in.ids("input_ids", 0, r.loaded.model->facts().vocab);
  if (in.has("messages") || in.has("conversations")) {
    Conversation c = read_conversation(in, reader.text());
    if (c.empty() || c.back().role == "assistant")
      bad_input("{}: the last message is what is answered, so it cannot be {}; take it out", in.where(),
                c.empty() ? "missing" : "the assistant's");
    if (!r.prompt_template) bad_input("{}: messages need a template; see --template", in.where());
    if (!system.empty() && c.front().role != "system") c.insert(c.begin(), {"system", system});
    try {
      return r.prompt_template->render_prompt(c);
    } catch (const InputError& e) {
      bad_input("{}: {}", in.where(), e.what());
    }
  }
  if (!in.has("prompt") && !in.has("instruction"))
    bad_input("{}: expected messages, prompt, instruction or input_ids", in.where());
  return r.prompt_ids({.system = in.has("system") ? in.text("system", true) : system,
                       .instruction = in.text(in.has("prompt") ? "prompt" : "instruction", true),
                       .input = in.text("input", false),
                       .output = {}});
}

/// The named adapter that a row asks for; −1: none, the base answers.
int32_t row_set(const Responder& r, const JsonlReader& reader, const Json& row) {
  const auto asked = row.find("adapter");
  if (asked == row.end()) return -1;
  if (!asked->is_string()) bad_input("{}: adapter: expected a name", reader.where());
  return r.named(asked->get<std::string>(), reader.where());
}

void answer_one(Responder& r, const Args& args, const std::vector<int32_t>& prompt) {
  const auto start = Clock::now();
  const bool ids_only = args.output_ids || !r.tokenizer;
  const OnText print = [](size_t, const std::string& part) {
    write_out(part);
    return true;
  };
  const Answer a = r.answer({&prompt, 1}, ids_only ? OnText() : print, 0).front();
  write_out(ids_only ? join_ids(a.ids) + "\n" : "\n");
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  fmt::print(stderr, "{} prompt tokens, {} new tokens in {:.2f} s ({:.1f} tokens/s); ended by {}\n",
             prompt.size(), a.ids.size(), seconds, static_cast<double>(a.ids.size()) / seconds,
             describe(a.reason));
  if (!r.ensemble) return;
  const auto alone = r.answer_alone({&prompt, 1}, 0);
  for (size_t m = 0; m < alone.size(); ++m)
    fmt::print(stderr, "{} alone: {}\n", args.adapters[m].string(),
               ids_only ? join_ids(alone[m][0].ids) : alone[m][0].text);
}

/// JSONL in, JSONL out, in the order of the rows.
void answer_file(Responder& r, const Args& args) {
  constexpr size_t kRows = 64;  // answered before the next are read
  JsonlReader reader(*args.file);
  Json row;
  uint64_t done = 0;
  for (bool more = true; more;) {
    std::vector<std::vector<int32_t>> prompts;
    std::vector<int32_t> set_of;  // of named adapters
    while (prompts.size() < kRows && (more = reader.next(row))) {
      prompts.push_back(row_ids(r, args, reader, row));
      check_prompt(prompts.back(), r.options, r.loaded.model->facts(), reader.where());
      set_of.push_back(row_set(r, reader, row));
    }
    if (prompts.empty()) break;
    const auto object = [&](const Answer& a) {
      nlohmann::ordered_json out;
      if (r.tokenizer) out["text"] = a.text;
      out["ids"] = a.ids;
      return out;
    };
    if (r.names.empty()) set_of.clear();
    const std::vector<Answer> answers = r.answer(prompts, {}, done, set_of);
    const auto alone = r.ensemble ? r.answer_alone(prompts, done) : std::vector<std::vector<Answer>>();
    for (size_t i = 0; i < answers.size(); ++i) {
      nlohmann::ordered_json out = object(answers[i]);
      if (!set_of.empty() && set_of[i] >= 0) out["adapter"] = r.names[static_cast<size_t>(set_of[i])];
      for (size_t m = 0; m < alone.size(); ++m) {
        nlohmann::ordered_json member = {{"adapter", args.adapters[m].string()}};
        member.update(object(alone[m][i]));
        out["members"].push_back(member);
      }
      write_out(out.dump() + "\n");
    }
    done += prompts.size();
  }
  if (done == 0) bad_input("{}: the file has no rows", args.file->string());
}

void run(const Args& args) {
  if (args.prompt.has_value() + !args.input_ids.empty() + args.file.has_value() != 1)
    bad_input("generate: give exactly one of --prompt, --input-ids and --file");
  if (!args.named.empty() && !args.file) bad_input("--named: rows of --file say which adapter answers them");
  Responder r(args, args.prompt || (args.file && has_text(*args.file)));
  if (args.file) return answer_file(r, args);
  answer_one(r, args,
             args.prompt ? r.prompt_ids({.system = args.generation.system.value_or(""),
                                         .instruction = *args.prompt,
                                         .input = {},
                                         .output = {}})
                         : args.input_ids);
}

}  // namespace

void register_generate(CLI::App& app) {
  auto args = std::make_shared<Args>();
  CLI::App* c = app.add_subcommand("generate", "answer prompts with a model and its adapter");
  add_responder_options(*c, *args);
  c->add_option("--prompt", args->prompt, "what to answer");
  c->add_option("--input-ids", args->input_ids, "the prompt as ids: 1,2,3")->delimiter(',');
  c->add_option(
      "--file", args->file,
      "JSONL of {messages}, {prompt}, {instruction, input} or {input_ids}; JSONL of {text, ids} out");
  c->add_option("--named", args->named,
                "NAME=FOLDER: an adapter for the rows of --file that ask for it, {\"adapter\": NAME}; "
                "repeated: all in "
                "one batch; other rows are the base's")
      ->allow_extra_args(false);
  c->add_flag("--output-ids", args->output_ids, "print the new ids, comma separated, instead of text");
  c->callback([args] { run(*args); });
}

}  // namespace ft
