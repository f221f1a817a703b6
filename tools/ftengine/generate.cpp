// ftengine generate: prompts to text on stdout; everything for people goes to stderr.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "adapters/stack.h"
#include "engine/data/open_tokenizer.h"
#include "engine/generate/ensemble.h"
#include "engine/generate/text.h"
#include "engine/io/json.h"
#include "engine/nn/adapter_step.h"
#include "models/load.h"
#include "tools/ftengine/commands.h"
#include "tools/ftengine/session.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

struct Args {
  fs::path model;
  std::vector<fs::path> adapters;
  std::vector<double> scales;  // one for each of them, or none
  std::optional<std::string> prompt;
  std::optional<fs::path> file;
  std::vector<int32_t> input_ids;
  std::optional<std::string> prompt_template, dtype, ensemble;
  GenerationSection generation;
  bool output_ids = false;
  int threads = 0;
  std::string device = "auto";
};

/// What answers prompts.
struct Responder {
  Session session;
  LoadedModel loaded;
  std::vector<AdapterStack> adapters;               // one that acts, or the members of an ensemble
  std::vector<std::unique_ptr<AdapterStep>> steps;  // what each puts before a prompt
  std::optional<Combine> ensemble;
  std::shared_ptr<const Tokenizer> tokenizer;       // null: the model has none, ids only
  std::shared_ptr<const Template> prompt_template;  // null: prompts are taken as they are
  GenerationOptions options;

  Responder(const std::string& device, int threads) : session(device, threads) {}
};

void write_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    fail("standard output cannot be written");
}

std::string join_ids(std::span<const int32_t> ids) {
  return fmt::format("{}", fmt::join(ids, ","));
}

std::optional<DType> storage(const Args& args) {
  if (!args.dtype) return std::nullopt;
  std::vector<std::string_view> names;
  for (const auto& entry : enum_names(DType{})) {
    if (entry.name == *args.dtype) return entry.value;
    names.push_back(entry.name);
  }
  bad_input("--dtype: \"{}\" is not known; there are {}", *args.dtype, fmt::join(names, ", "));
}

/// Does the file hold a prompt that is text?
bool has_text(const fs::path& file) {
  JsonlReader reader(file);
  for (Json row; reader.next(row);)
    if (!row.is_object() || !row.contains("input_ids")) return true;
  return false;
}

/// How the adapter was trained, else how the model was: a merged one says so itself.
RecordedText recorded(const Args& args, const fs::path& adapter) {
  RecordedText text = recorded_text(adapter);
  if (text.prompt_template.is_null() && text.stop_ids.empty() && fs::is_directory(args.model))
    text = recorded_text(args.model);
  return text;
}

void open_text(Responder& r, const Args& args, const fs::path& adapter, const RecordedText& trained) {
  const bool named = args.prompt_template && *args.prompt_template != "none";
  const bool text = named || args.prompt || (args.file && has_text(*args.file));
  const fs::path& home = !adapter.empty() && has_tokenizer(adapter) ? adapter : args.model;
  if (text) {
    r.tokenizer = open_tokenizer(home);
  } else if (has_tokenizer(home)) {
    try {
      r.tokenizer = open_tokenizer(home);
    } catch (const InputError& e) {
      fmt::print(stderr, "note: ids only, without text: {}\n", e.what());
    }
  }
  if (text && args.prompt_template != "none")
    r.prompt_template = open_template(
        args.prompt_template ? ConfigNode(*args.prompt_template) : trained.prompt_template, r.tokenizer);
  if (r.prompt_template) check_recorded(trained, *r.prompt_template, args.prompt_template.has_value());
  if (args.generation.system && !r.prompt_template)
    bad_input(
        "--system: a system message needs a template and a prompt that is text; write it into the prompt");
}

void settle_options(Responder& r, const Args& args, const fs::path& adapter, const RecordedText& trained) {
  std::error_code ignored;
  const bool own = !adapter.empty() && fs::exists(adapter / "generation_config.json", ignored);
  FolderGeneration folder = read_folder_generation(own ? adapter : args.model);
  std::vector<int32_t> ends = trained.stop_ids;
  if (r.prompt_template)
    ends.insert(ends.end(), r.prompt_template->stop_ids().begin(), r.prompt_template->stop_ids().end());
  else if (ends.empty() && folder.stop_ids.empty() && r.tokenizer && r.tokenizer->eos_id())
    ends = {*r.tokenizer->eos_id()};
  r.options = resolve_generation(args.generation, folder, ends, "generate");
  if (!r.options.stop.empty() && !r.tokenizer)
    bad_input("--stop: {} has no tokenizer, so there is no text to look into", args.model.string());
  for (const std::string& name : folder.unsupported)
    fmt::print(stderr, "note: {} of generation_config.json is not supported and has no effect\n", name);
  const GenerationSection& g = args.generation;
  if (!r.options.do_sample && (g.temperature || g.top_k || g.top_p || g.min_p))
    fmt::print(stderr, "note: temperature, top_k, top_p and min_p have no effect without --do-sample\n");
}

std::vector<int32_t> prompt_ids(const Responder& r, const Sample& sample) {
  if (r.prompt_template) return r.prompt_template->render_prompt(sample);
  std::vector<int32_t> ids = r.tokenizer->encode(sample.instruction);
  const auto prefix = r.tokenizer->prefix_ids();
  if (ids.size() < prefix.size() || !std::equal(prefix.begin(), prefix.end(), ids.begin()))
    ids.insert(ids.begin(), prefix.begin(), prefix.end());
  return ids;
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
  return prompt_ids(r, {.system = text("system").value_or(args.generation.system.value_or("")),
                        .instruction = prompt ? *prompt : *instruction,
                        .input = text("input").value_or(""),
                        .output = {}});
}

/// Answers with text where there is a tokenizer, ids alone where there is none.
std::vector<Answer> answer(Responder& r, std::span<const std::vector<int32_t>> prompts, const OnText& on_text,
                           const Batching& batching) {
  if (r.tokenizer)
    return generate_text(*r.loaded.model, r.session.stream(), DType::f32, r.tokenizer, prompts, r.options,
                         on_text, batching);
  std::vector<Answer> answers;
  for (Generated& g :
       generate(*r.loaded.model, r.session.stream(), DType::f32, prompts, r.options, {}, batching))
    answers.push_back({.text = {}, .ids = std::move(g.ids), .reason = g.reason});
  return answers;
}
std::vector<Answer> answer(Responder& r, std::span<const std::vector<int32_t>> prompts, const OnText& on_text,
                           uint64_t first_row) {
  Batching batching{.first_row = first_row, .ensemble = r.ensemble};
  for (const auto& step : r.steps) batching.before.push_back(step->before());
  return answer(r, prompts, on_text, batching);
}

/// What each member of an ensemble answers alone, [member][prompt]: all of them in one ragged batch.
std::vector<std::vector<Answer>> answer_alone(Responder& r, std::span<const std::vector<int32_t>> prompts,
                                              uint64_t first_row) {
  Batching batching{.first_row = first_row};
  std::vector<std::vector<int32_t>> all;
  for (const auto& step : r.steps)
    for (const auto& prompt : prompts) {
      batching.before.push_back(step->before());
      all.push_back(prompt);
    }
  std::vector<Answer> answers = answer(r, all, {}, batching);
  std::vector<std::vector<Answer>> of_member(r.steps.size());
  for (size_t i = 0; i < answers.size(); ++i) of_member[i / prompts.size()].push_back(std::move(answers[i]));
  return of_member;
}

void answer_one(Responder& r, const Args& args, const std::vector<int32_t>& prompt) {
  const auto start = Clock::now();
  const bool ids_only = args.output_ids || !r.tokenizer;
  const OnText print = [](size_t, const std::string& part) { write_out(part); };
  const Answer a = answer(r, {&prompt, 1}, ids_only ? OnText() : print, 0).front();
  write_out(ids_only ? join_ids(a.ids) + "\n" : "\n");
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  fmt::print(stderr, "{} prompt tokens, {} new tokens in {:.2f} s ({:.1f} tokens/s); ended by {}\n",
             prompt.size(), a.ids.size(), seconds, static_cast<double>(a.ids.size()) / seconds,
             describe(a.reason));
  if (!r.ensemble) return;
  const auto alone = answer_alone(r, {&prompt, 1}, 0);
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
    const std::vector<Answer> answers = answer(r, prompts, {}, done);
    const auto alone = r.ensemble ? answer_alone(r, prompts, done) : std::vector<std::vector<Answer>>();
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

/// --adapter-scale: the first for all parts of the first --adapter, and so on.
void scale_adapters(const AdapterStack& stack, const Args& args) {
  if (args.scales.empty()) return;
  if (args.ensemble) bad_input("--adapter-scale: the members of an ensemble stand for themselves");
  if (args.scales.size() != args.adapters.size())
    bad_input("--adapter-scale: {} given for {} adapters; give one for each --adapter, in their order",
              args.scales.size(), args.adapters.size());
  auto adapter = stack.all().begin();
  for (size_t i = 0; i < args.adapters.size(); ++i)
    for (size_t part = 0; part < adapter_folders(args.adapters[i]).size(); ++part)
      (*adapter++)->set_scale(args.scales[i]);
}

/// All adapters act together, or each stands for itself before the prompts.
void load_adapters(Responder& r, const Args& args) {
  const auto add = [&](std::span<const fs::path> folders) {
    AdapterStack& stack =
        r.adapters.emplace_back(load_stack(folders, *r.loaded.model, r.loaded.fingerprint,
                                           {.device = r.session.device(), .training = false, .where = {}}));
    scale_adapters(stack, args);
    for (const Adapter* a : stack.all())
      if (args.ensemble && a->prompt_rows() + a->prefix_rows() == 0)
        bad_input("{}: --ensemble is for prompts and prefixes; {} changes the model for all of them",
                  folders[0].string(), a->peft_type());
    r.steps.push_back(std::make_unique<AdapterStep>(*r.loaded.model, stack.all(), r.session.stream(),
                                                    DType::f32, StepInfo()));
  };
  if (!args.ensemble) return add(args.adapters);
  for (const auto& entry : enum_names(Combine{}))
    if (entry.name == *args.ensemble) r.ensemble = entry.value;
  if (!r.ensemble) bad_input("--ensemble: \"{}\" is not known; there are vote and mean", *args.ensemble);
  if (args.adapters.size() < 2) bad_input("--ensemble: give --adapter once for each member, at least twice");
  for (const fs::path& folder : args.adapters) add({&folder, 1});
}

void run(const Args& args) {
  if (args.prompt.has_value() + !args.input_ids.empty() + args.file.has_value() != 1)
    bad_input("generate: give exactly one of --prompt, --input-ids and --file");
  std::error_code ignored;
  if (!fs::exists(args.model, ignored))
    bad_input("{}: no such model; give a Hugging Face folder or a .gguf file", args.model.string());
  const fs::path adapter = args.adapters.empty() ? fs::path() : args.adapters.front();
  Responder r(args.device, args.threads);
  const ModelLoadOptions load{.storage = storage(args), .device = r.session.device()};
  const RecordedText trained = recorded(args, adapter);
  open_text(r, args, adapter, trained);
  settle_options(r, args, adapter, trained);
  r.loaded = load_model(args.model, load, r.session.host());
  load_adapters(r, args);
  for (const fs::path& given : args.adapters)
    for (const fs::path& folder : adapter_folders(given))
      if (changes_nothing(folder))
        fmt::print(stderr, "warning: the adapter {} changes nothing: the answers are the base's own\n",
                   folder.string());
  if (args.file) return answer_file(r, args);
  answer_one(r, args,
             args.prompt ? prompt_ids(r, {.system = args.generation.system.value_or(""),
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
