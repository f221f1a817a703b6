#include "engine/generate/options.h"

#include <algorithm>
#include <limits>

#include "engine/config/describe.h"
#include "engine/config/fields.h"
#include "engine/config/json.h"
#include "engine/io/json.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kDefaultNewTokens = 20;  // Hugging Face's

/// The file's object; null where there is no such file.
ConfigNode side_file(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  ConfigNode node = from_json(read_json_file(path),
                              std::make_shared<const Source>(Source{path.string(), path.parent_path()}));
  if (!node.is_map()) bad_value(node, "generation settings", "an object");
  return node;
}

std::vector<int32_t> end_tokens(const ConfigNode& file) {
  const ConfigNode* node = file.find("eos_token_id");
  if (!node || node->is_null()) return {};
  constexpr double kMost = std::numeric_limits<int32_t>::max();
  std::vector<int32_t> ids;
  if (node->is_list())
    read(*node, "eos_token_id", ids, between(0, kMost));
  else
    read(*node, "eos_token_id", ids.emplace_back(), between(0, kMost));
  return ids;
}

/// Settings of Hugging Face that change which tokens come and that are not here. A value that asks for
/// nothing (null, false, empty, 0, 1) is no loss.
std::vector<std::string> unsupported_settings(const ConfigNode& file) {
  constexpr std::string_view kNames[] = {"bad_words_ids",
                                         "begin_suppress_tokens",
                                         "constraints",
                                         "diversity_penalty",
                                         "encoder_no_repeat_ngram_size",
                                         "encoder_repetition_penalty",
                                         "epsilon_cutoff",
                                         "eta_cutoff",
                                         "exponential_decay_length_penalty",
                                         "force_words_ids",
                                         "forced_bos_token_id",
                                         "forced_decoder_ids",
                                         "forced_eos_token_id",
                                         "guidance_scale",
                                         "min_length",
                                         "min_new_tokens",
                                         "no_repeat_ngram_size",
                                         "num_beam_groups",
                                         "penalty_alpha",
                                         "prefix_allowed_tokens_fn",
                                         "sequence_bias",
                                         "stop_strings",
                                         "suppress_tokens",
                                         "top_h",
                                         "typical_p",
                                         "watermarking_config"};
  std::vector<std::string> found;
  for (const std::string_view name : kNames) {
    const ConfigNode* node = file.find(name);
    if (!node) continue;
    switch (node->kind()) {
      case ConfigNode::Kind::null:
        continue;
      case ConfigNode::Kind::boolean:
        if (!node->boolean()) continue;
        break;
      case ConfigNode::Kind::integer:
        if (node->integer() == 0 || node->integer() == 1) continue;
        break;
      case ConfigNode::Kind::real:
        if (node->real() == 0 || node->real() == 1) continue;
        break;
      case ConfigNode::Kind::list:
      case ConfigNode::Kind::map:
        if (node->size() == 0) continue;
        break;
      case ConfigNode::Kind::string:
        break;
    }
    found.emplace_back(name);
  }
  return found;
}

}  // namespace

int64_t GenerationOptions::budget(int64_t prompt) const {
  if (max_new_tokens) return *max_new_tokens;
  return max_length ? *max_length - prompt : kDefaultNewTokens;
}

bool GenerationOptions::ends(int32_t id) const {
  return !ignore_eos && std::find(stop_ids.begin(), stop_ids.end(), id) != stop_ids.end();
}

FolderGeneration read_folder_generation(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return {};
  FolderGeneration result;
  const ConfigNode file = side_file(folder / "generation_config.json");
  // Ranges are checked where the values are used: a folder may hold nonsense that nothing reads.
  Fields fields(file, "");
  GenerationSection& s = result.section;
  fields.get("max_new_tokens", s.max_new_tokens);
  fields.get("max_length", s.max_length);
  fields.get("do_sample", s.do_sample);
  fields.get("temperature", s.temperature);
  fields.get("top_k", s.top_k);
  fields.get("top_p", s.top_p);
  fields.get("min_p", s.min_p);
  fields.get("repetition_penalty", s.repetition_penalty);
  fields.get("num_beams", s.num_beams);
  // 20 is what versions that wrote every setting wrote when nobody had chosen a length.
  if (s.max_length == kDefaultNewTokens) s.max_length.reset();
  result.unsupported = unsupported_settings(file);
  result.stop_ids = end_tokens(file);
  if (result.stop_ids.empty()) result.stop_ids = end_tokens(side_file(folder / "config.json"));
  return result;
}

GenerationOptions resolve_generation(const GenerationSection& asked, const FolderGeneration& folder,
                                     std::span<const int32_t> end_ids, std::string_view where) {
  GenerationOptions o;
  const auto take = [](auto& value, const auto& first, const auto& second) {
    if (first)
      value = *first;
    else if (second)
      value = *second;
  };
  const GenerationSection& f = folder.section;
  const bool length_asked = asked.max_new_tokens || asked.max_length;
  o.max_new_tokens = length_asked ? asked.max_new_tokens : f.max_new_tokens;
  o.max_length = length_asked ? asked.max_length : f.max_length;
  take(o.do_sample, asked.do_sample, f.do_sample);
  take(o.temperature, asked.temperature, f.temperature);
  take(o.top_k, asked.top_k, f.top_k);
  take(o.top_p, asked.top_p, f.top_p);
  take(o.min_p, asked.min_p, f.min_p);
  take(o.repetition_penalty, asked.repetition_penalty, f.repetition_penalty);
  if (asked.seed) o.seed = static_cast<uint64_t>(*asked.seed);
  o.stop = asked.stop;
  o.ignore_eos = asked.ignore_eos;
  o.stop_ids = folder.stop_ids;
  for (const int32_t id : end_ids)
    if (std::find(o.stop_ids.begin(), o.stop_ids.end(), id) == o.stop_ids.end()) o.stop_ids.push_back(id);

  int64_t beams = 1;
  take(beams, asked.num_beams, f.num_beams);
  if (beams > 1)
    bad_input("{}: num_beams is {}, but beam search is not there yet; set num_beams to 1", where, beams);
  GenerationSection used;
  used.max_new_tokens = o.max_new_tokens;
  used.max_length = o.max_length;
  used.repetition_penalty = o.repetition_penalty;
  used.num_beams = beams;
  used.seed = asked.seed;
  if (o.do_sample) {
    used.temperature = o.temperature;
    used.top_k = o.top_k;
    used.top_p = o.top_p;
    used.min_p = o.min_p;
  }
  describe(used, [&]<class T>(std::string_view key, const T& value, const auto& range, std::string_view) {
    if constexpr (std::is_same_v<T, std::optional<int64_t>> || std::is_same_v<T, std::optional<double>>) {
      if (value && !range.contains(static_cast<double>(*value)))
        bad_input("{}: {} is {}, expected a number{}", where, key, *value, range.describe());
    }
  });
  if (std::find(o.stop.begin(), o.stop.end(), "") != o.stop.end())
    bad_input("{}: stop: an empty text ends every answer at once; leave it out", where);
  return o;
}

}  // namespace ft
