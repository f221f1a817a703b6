// ftengine generate: prompts to text on stdout; everything for people goes to stderr.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "engine/io/json.h"
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

void write_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    fail("standard output cannot be written");
}

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

/// One row of --file: {"input_ids"}, {"prompt"} or {"instruction", "input"}; "system" beside the latter two.
std::vector<int32_t> row_ids(const Responder& r, const Args& args, const Json& row,
                             const std::string& where) {
  if (!row.is_object()) bad_input("{}: expected an object", where);
  if (const auto ids = row.find("input_ids"); ids != row.end()) {
    std::vector<int32_t> out;
    if (!ids->is_array()) bad_input("{}: input_ids: expected a list of ids", where);
    for (const Json& id : *ids) {
      if (!id.is_number_integer() || id < 0 || id > INT32_MAX)
        bad_input("{}: input_ids: {} is not an id", where, id.dump());
      out.push_back(id.get<int32_t>());
    }
    return out;
  }
  const auto text = [&](const char* key) -> std::optional<std::string> {
    const auto found = row.find(key);
    if (found == row.end() || found->is_null()) return std::nullopt;
    if (!found->is_string()) bad_input("{}: {}: expected a text", where, key);
    return found->get<std::string>();
  };
  const auto prompt = text("prompt"), instruction = text("instruction");
  if (!prompt && !instruction) bad_input("{}: expected input_ids, prompt or instruction", where);
  return r.prompt_ids({.system = text("system").value_or(args.generation.system.value_or("")),
                       .instruction = prompt ? *prompt : *instruction,
                       .input = text("input").value_or(""),
                       .output = {}});
}

void answer_one(Responder& r, const Args& args, const std::vector<int32_t>& prompt) {
  const auto start = Clock::now();
  const bool ids_only = args.output_ids || !r.tokenizer;
  const OnText print = [](size_t, const std::string& part) { write_out(part); };
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
    while (prompts.size() < kRows && (more = reader.next(row))) {
      prompts.push_back(row_ids(r, args, row, reader.where()));
      check_prompt(prompts.back(), r.options, r.loaded.model->facts(), reader.where());
    }
    if (prompts.empty()) break;
    const auto object = [&](const Answer& a) {
      nlohmann::ordered_json out;
      if (r.tokenizer) out["text"] = a.text;
      out["ids"] = a.ids;
      return out;
    };
    const std::vector<Answer> answers = r.answer(prompts, {}, done);
    const auto alone = r.ensemble ? r.answer_alone(prompts, done) : std::vector<std::vector<Answer>>();
    for (size_t i = 0; i < answers.size(); ++i) {
      nlohmann::ordered_json out = object(answers[i]);
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
  GenerationSection& g = args->generation;
  c->add_option("--model", args->model, "Hugging Face folder or .gguf file")->required();
  c->add_option("--adapter", args->adapters,
                "adapter folder in PEFT's format; repeated: all of them act together")
      ->allow_extra_args(false);
  c->add_option(
      "--ensemble", args->ensemble,
      "prompts and prefixes of one task answer together: mean (of their probabilities) or vote; each "
      "one's own answer goes to stderr, with --file into `members`");
  c->add_option("--adapter-scale", args->scales,
                "multiplies a LoRA's change; repeated: one for each --adapter, in their order")
      ->allow_extra_args(false);
  c->add_option("--prompt", args->prompt, "what to answer");
  c->add_option("--input-ids", args->input_ids, "the prompt as ids: 1,2,3")->delimiter(',');
  c->add_option("--file", args->file,
                "JSONL of {prompt}, {instruction, input} or {input_ids}; JSONL of {text, ids} out");
  c->add_option("--template", args->prompt_template,
                "a template's name, tokenizer, or none: the prompt as it is");
  c->add_option("--system", g.system, "system message");
  c->add_option("--max-new-tokens", g.max_new_tokens, "default: the model folder's, else 20");
  c->add_option("--max-length", g.max_length, "prompt and new tokens together; --max-new-tokens goes first");
  c->add_flag_function(
      "--do-sample", [&g](int64_t count) { g.do_sample = count > 0; },
      "draw tokens; =false: take the likeliest");
  c->add_option("--temperature", g.temperature);
  c->add_option("--top-k", g.top_k, "0: off");
  c->add_option("--top-p", g.top_p);
  c->add_option("--min-p", g.min_p);
  c->add_option("--repetition-penalty", g.repetition_penalty);
  c->add_option("--num-beams", g.num_beams);
  c->add_option("--length-penalty", g.length_penalty, "of beam search");
  c->add_flag_function(
      "--early-stopping", [&g](int64_t count) { g.early_stopping = count > 0; }, "of beam search");
  c->add_option("--seed", g.seed, "of sampling; default 42");
  c->add_flag("--ignore-eos", g.ignore_eos, "go on past end tokens");
  c->add_option("--stop", g.stop, "a text that ends the answer; may be repeated")->allow_extra_args(false);
  c->add_flag("--output-ids", args->output_ids, "print the new ids, comma separated, instead of text");
  c->add_option("--dtype", args->dtype, "storage of the weights: float32, bfloat16, float16");
  c->add_option("--device", args->device, "auto, cpu, cuda, cuda:N or cuda-sim");
  c->add_option("--threads", args->threads, "default: FT_NUM_THREADS, else the processors there are")
      ->check(CLI::Range(1, 1024));
  c->callback([args] { run(*args); });
}

}  // namespace ft
