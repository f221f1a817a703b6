// How the next token is chosen and when a row ends, with Hugging Face's names and meanings.
//
// Settings come in layers, each silent about what it does not say: what was asked for (flags, the generation
// section) over the folder's generation_config.json over Hugging Face's defaults. max_new_tokens and
// max_length count as one setting, so that a folder's max_new_tokens does not override the asked max_length;
// within a layer max_new_tokens goes first.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/config/sections.h"

namespace ft {

struct GenerationOptions {
  std::optional<int64_t> max_new_tokens;
  std::optional<int64_t> max_length;  // prompt and new tokens together; counts where max_new_tokens is unset
  bool do_sample = false;             // false: the likeliest token, the lowest id among equals
  double temperature = 1;
  int64_t top_k = 50;  // 0: off
  double top_p = 1;    // 1: off
  double min_p = 0;    // 0: off
  double repetition_penalty = 1;
  uint64_t seed = 42;
  std::vector<int32_t> stop_ids;  // end tokens; the one that came is the last id of the result
  std::vector<std::string> stop;  // texts that end an answer (text.h)
  bool ignore_eos = false;        // stop_ids do not count

  /// New tokens that a prompt of `prompt` tokens may get: 20 where nothing says how many.
  int64_t budget(int64_t prompt) const;
  bool ends(int32_t id) const;
};

/// What a folder says about generation.
struct FolderGeneration {
  GenerationSection section;
  std::vector<int32_t> stop_ids;         // eos_token_id, one or several
  std::vector<std::string> unsupported;  // settings of generation_config.json that would change the text
};

/// generation_config.json of `folder`, and the end tokens of its config.json where the former names none.
/// Empty for a folder without either, and for a file. Throws ft::InputError for a broken one.
FolderGeneration read_folder_generation(const std::filesystem::path& folder);

/// `end_ids`: further end tokens, of the template and the tokenizer. `where` names the settings in messages
/// ("generation", "--"). Throws ft::InputError for values out of range and for beam search.
GenerationOptions resolve_generation(const GenerationSection& asked, const FolderGeneration& folder,
                                     std::span<const int32_t> end_ids, std::string_view where = "generation");

}  // namespace ft
