#include "tools/ftengine/responder.h"

#include <algorithm>
#include <cstdio>

#include "engine/data/open_tokenizer.h"
#include "engine/io/printable.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

using Args = ResponderArgs;

std::optional<DType> storage(const Args& args) {
  if (!args.dtype) return std::nullopt;
  std::vector<std::string_view> names;
  for (const auto& entry : enum_names(DType{})) {
    if (entry.name == *args.dtype) return entry.value;
    names.push_back(entry.name);
  }
  bad_input("--dtype: \"{}\" is not known; there are {}", *args.dtype, fmt::join(names, ", "));
}

/// The name and folder of each --named.
std::vector<std::pair<std::string, fs::path>> named_folders(const Args& args) {
  std::vector<std::pair<std::string, fs::path>> all;
  for (const std::string& given : args.named) {
    const size_t at = given.find('=');
    if (at == 0 || at == std::string::npos || at + 1 == given.size())
      bad_input("--named: expected NAME=FOLDER, got \"{}\"", printable(given, 80));
    all.emplace_back(given.substr(0, at), given.substr(at + 1));
    for (size_t i = 0; i + 1 < all.size(); ++i)
      if (all[i].first == all.back().first) bad_input("--named: two adapters have the name {}", all[i].first);
  }
  if (!all.empty() && !args.adapters.empty())
    bad_input("--named: give each adapter a name, or all by --adapter; not both");
  return all;
}

/// How the adapter was trained, else how the model was: a merged one says so itself.
RecordedText recorded(const Args& args, const fs::path& adapter) {
  RecordedText text = recorded_text(adapter);
  if (text.prompt_template.is_null() && text.stop_ids.empty() && fs::is_directory(args.model))
    text = recorded_text(args.model);
  return text;
}

void open_text(Responder& r, const Args& args, bool text, const fs::path& adapter,
               const RecordedText& trained) {
  text |= args.prompt_template && *args.prompt_template != "none";
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
  if (r.prompt_template && args.named.empty())
    check_recorded(trained, *r.prompt_template, args.prompt_template.has_value());
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

/// Adapters that act on rows of their own, in one batch.
void load_named(Responder& r, const Args& args, const std::vector<std::pair<std::string, fs::path>>& named) {
  for (const auto& [name, folder] : named) {
    if (r.prompt_template)  // one for all rows
      check_recorded(recorded(args, folder), *r.prompt_template, args.prompt_template.has_value());
    // A prompt's keys are computed by its own adapters alone.
    for (const AdapterStack& earlier : r.adapters)
      for (Adapter* a : earlier.all()) a->set_active(false);
    AdapterStack& stack =
        r.adapters.emplace_back(load_stack({&folder, 1}, *r.loaded.model, r.loaded.fingerprint,
                                           {.device = r.session.device(), .training = false, .where = {}}));
    for (const Adapter* a : stack.all())
      if (a->stands_in_base())
        bad_input(
            "{}: this {} adapter changes parameters of the base, which all rows of a batch share; answer its "
            "rows in a call of its own, with --adapter",
            folder.string(), a->peft_type());
    if (!r.loaded.model->head().adapters.empty())
      bad_input(
          "{}: this adapter changes the output head, which all rows of a batch share; answer its rows in a "
          "call of its own, with --adapter",
          folder.string());
    r.names.push_back(name);
    r.sets.push_back(adapter_set(stack.all()));
    r.steps.push_back(std::make_unique<AdapterStep>(*r.loaded.model, stack.all(), r.session.stream(),
                                                    DType::f32, StepInfo()));
  }
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

std::vector<Answer> run(Responder& r, std::span<const std::vector<int32_t>> prompts, const OnText& on_text,
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

}  // namespace

Responder::Responder(const ResponderArgs& args, bool text) : session(args.device, args.threads) {
  std::error_code ignored;
  const auto named = named_folders(args);
  if (!fs::exists(args.model, ignored))
    bad_input("{}: no such model; give a Hugging Face folder or a .gguf file", args.model.string());
  std::vector<fs::path> folders = args.adapters;
  for (const auto& [name, folder] : named) folders.push_back(folder);
  const fs::path adapter = folders.empty() ? fs::path() : folders.front();
  const ModelLoadOptions load{.storage = storage(args), .device = session.device()};
  const RecordedText trained = recorded(args, adapter);
  open_text(*this, args, text, adapter, trained);
  settle_options(*this, args, adapter, trained);
  loaded = load_model(args.model, load, session.host());
  if (named.empty())
    load_adapters(*this, args);
  else
    load_named(*this, args, named);
  for (const fs::path& given : folders)
    for (const fs::path& folder : adapter_folders(given))
      if (changes_nothing(folder))
        fmt::print(stderr, "warning: the adapter {} changes nothing: the answers are the base's own\n",
                   folder.string());
}

std::vector<int32_t> Responder::prompt_ids(const Sample& sample) const {
  if (prompt_template) return prompt_template->render_prompt(sample);
  std::vector<int32_t> ids = tokenizer->encode(sample.instruction);
  const auto prefix = tokenizer->prefix_ids();
  if (ids.size() < prefix.size() || !std::equal(prefix.begin(), prefix.end(), ids.begin()))
    ids.insert(ids.begin(), prefix.begin(), prefix.end());
  return ids;
}

int32_t Responder::named(const std::string& name, const std::string& where) const {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    bad_input("{}: the adapter \"{}\" was not given; there {} {}", where, printable(name, 40),
              names.empty() ? "is" : "are",
              names.empty() ? "no --named NAME=FOLDER" : fmt::format("{}", fmt::join(names, ", ")));
  return static_cast<int32_t>(found - names.begin());
}

std::vector<Answer> Responder::answer(std::span<const std::vector<int32_t>> prompts, const OnText& on_text,
                                      uint64_t first_row, std::span<const int32_t> set_of) {
  Batching batching{.first_row = first_row, .sets = sets, .ensemble = ensemble};
  batching.set_of.assign(set_of.begin(), set_of.end());
  for (const int32_t set : set_of)
    batching.before.push_back(set < 0 ? nullptr : steps[static_cast<size_t>(set)]->before());
  for (const auto& step : steps)
    if (names.empty()) batching.before.push_back(step->before());
  return run(*this, prompts, on_text, batching);
}

std::vector<std::vector<Answer>> Responder::answer_alone(std::span<const std::vector<int32_t>> prompts,
                                                         uint64_t first_row) {
  Batching batching{.first_row = first_row};
  std::vector<std::vector<int32_t>> all;
  for (const auto& step : steps)
    for (const auto& prompt : prompts) {
      batching.before.push_back(step->before());
      all.push_back(prompt);
    }
  std::vector<Answer> answers = run(*this, all, {}, batching);
  std::vector<std::vector<Answer>> of_member(steps.size());
  for (size_t i = 0; i < answers.size(); ++i) of_member[i / prompts.size()].push_back(std::move(answers[i]));
  return of_member;
}

void write_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    fail("standard output cannot be written");
}

}  // namespace ft
