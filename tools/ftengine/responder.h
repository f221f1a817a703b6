// What answers prompts: a model with its adapters, tokenizer, template and generation settings, opened as the
// command line asks. One for every command that talks to a model.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/stack.h"
#include "engine/generate/ensemble.h"
#include "engine/generate/text.h"
#include "engine/nn/adapter_step.h"
#include "models/load.h"
#include "tools/ftengine/session.h"

namespace CLI {
class App;
}

namespace ft {

struct ResponderArgs {
  std::filesystem::path model;
  std::vector<std::filesystem::path> adapters;
  std::vector<double> scales;           // one for each of them, or none
  std::vector<std::string> named = {};  // NAME=FOLDER: each for the rows that ask for it
  std::optional<std::string> prompt_template, dtype, ensemble;
  GenerationSection generation;
  int threads = 0;
  std::string device = "auto";
};

/// The flags of all of them.
void add_responder_options(CLI::App& command, ResponderArgs& args);

struct Responder {
  Session session;
  LoadedModel loaded;
  std::vector<AdapterStack> adapters;  // one that acts, the members of an ensemble, or named ones
  std::vector<std::unique_ptr<AdapterStep>> steps;  // what each puts before a prompt
  std::vector<std::string> names;                   // of named ones
  std::vector<AdapterSet> sets;                     // what acts on the rows of each named one
  std::optional<Combine> ensemble;
  std::shared_ptr<const Tokenizer> tokenizer;       // null: the model has none, ids only
  std::shared_ptr<const Template> prompt_template;  // null: prompts are taken as they are
  GenerationOptions options;

  /// `text`: prompts come as text, so a tokenizer and a template are needed. Throws ft::InputError; prints
  /// notes and warnings to stderr.
  Responder(const ResponderArgs& args, bool text);

  std::vector<int32_t> prompt_ids(const Sample& sample) const;
  /// The number of a named adapter. Throws ft::InputError "WHERE: …" for a name that was not given.
  int32_t named(const std::string& name, const std::string& where) const;
  /// Answers with text where there is a tokenizer, ids alone where there is none. `set_of`: the named adapter
  /// of each prompt, −1: none.
  std::vector<Answer> answer(std::span<const std::vector<int32_t>> prompts, const OnText& on_text,
                             uint64_t first_row, std::span<const int32_t> set_of = {});
  /// What each member of an ensemble answers alone, [member][prompt]: all of them in one ragged batch.
  std::vector<std::vector<Answer>> answer_alone(std::span<const std::vector<int32_t>> prompts,
                                                uint64_t first_row);
};

/// To stdout, at once. Throws ft::Error where nobody takes it.
void write_out(std::string_view text);

}  // namespace ft
