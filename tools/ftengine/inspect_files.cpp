// Models and tokenizers, from their headers and configurations alone.
#include "tools/ftengine/inspect_files.h"

#include <algorithm>
#include <memory>
#include <regex>

#include "engine/data/open_tokenizer.h"
#include "engine/data/template.h"
#include "engine/io/gguf.h"
#include "engine/io/json.h"
#include "engine/io/safetensors.h"
#include "engine/train/progress.h"
#include "models/family.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

std::string rope_text(const RopeConfig& r) {
  switch (r.type) {
    case RopeConfig::Type::standard:
      return fmt::format("RoPE, base {}{}", r.theta,
                         r.frequency_divisors.empty() ? "" : ", frequency factors");
    case RopeConfig::Type::linear:
      return fmt::format("RoPE, base {}, linear scaling by {}", r.theta, r.factor);
    case RopeConfig::Type::dynamic:
      return fmt::format("RoPE, base {}, dynamic scaling by {}", r.theta, r.factor);
    case RopeConfig::Type::llama3:
      return fmt::format("RoPE, base {}, llama3 scaling by {}", r.theta, r.factor);
  }
  return "";
}

std::string position_text(const DecoderConfig& c) {
  if (c.positions == Positions::alibi) return "ALiBi";
  return c.positions == Positions::learned ? "learned" : rope_text(c.rope);
}

void add_sizes(const DecoderConfig& c, Report& report) {
  report.add("layers", c.layers);
  report.add("hidden_size", c.hidden);
  report.add("heads", {{"attention", c.heads}, {"key_value", c.kv_heads}, {"size", c.head_dim}},
             fmt::format("{} of size {}, {} for keys and values", c.heads, c.head_dim, c.kv_heads));
  report.add("feed_forward", c.ffn, fmt::format("{}{}", with_commas(c.ffn), c.gated ? ", gated" : ""));
  report.add("vocabulary", c.vocab);
  report.add("positions", c.max_positions,
             fmt::format("{}, {}", with_commas(c.max_positions), position_text(c)));
  report.add("tied", c.tied, c.tied ? "yes: head and embedding are one matrix" : "no");
}

/// Parameters of the model: what the file holds, but for buffers and for a tied head that is stored twice.
int64_t count_parameters(const std::vector<TensorInfo>& tensors, const DecoderConfig* config) {
  std::vector<std::regex> ignored;
  if (config)
    for (const std::string& pattern : config->ignored) ignored.emplace_back(pattern);
  int64_t total = 0;
  for (const TensorInfo& t : tensors) {
    const bool buffer = std::any_of(ignored.begin(), ignored.end(),
                                    [&](const std::regex& r) { return std::regex_match(t.name, r); });
    const bool second = config && config->tied && t.name == config->names.head + ".weight";
    if (!buffer && !second) total += element_count(t);
  }
  return total;
}

void add_weights(const std::vector<TensorInfo>& tensors, const DecoderConfig* config, uintmax_t bytes,
                 Report& report) {
  report.add("parameters", count_parameters(tensors, config));
  const auto types = type_counts(tensors);
  report.add("types", types, type_mix(types));
  report.add("bytes", bytes, human_bytes(static_cast<double>(bytes)));
  report.add_tensors(tensors);
}

/// Runs `read`; what this program cannot do with the file becomes a fact, since its contents can be told all
/// the same.
template <class F>
std::unique_ptr<DecoderConfig> try_config(Report& report, const std::string& where, F&& read) {
  try {
    auto config = std::make_unique<DecoderConfig>(read());
    check_decoder(*config, where);
    add_sizes(*config, report);
    return config;
  } catch (const InputError& e) {
    report.add("usable", false, fmt::format("no: {}", e.what()));
    return nullptr;
  }
}

uintmax_t weight_bytes(const fs::path& folder) {
  uintmax_t bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".safetensors" && entry.is_regular_file(error))
      bytes += entry.file_size(error);
  return bytes;
}

std::string special(const Tokenizer& t, const char* name, std::optional<int32_t> id) {
  return id ? fmt::format(", {} {} ({})", name, t.id_to_token(*id), *id) : "";
}

}  // namespace

void describe_model_folder(const fs::path& folder, Report& report) {
  const fs::path file = folder / "config.json";
  const nlohmann::ordered_json json = read_json_file(file);
  if (!json.is_object()) bad_input("{}: expected a JSON object", file.string());
  const JsonConfig reader(json, file.string());
  report.add("kind", "model", "model: a Hugging Face folder");
  report.add("family", reader.text("model_type", "unknown"));
  const auto config = try_config(report, folder.string(), [&] {
    return find_family(reader.text("model_type", ""), file.string()).from_json(reader);
  });
  if (fs::exists(folder / "model.safetensors") || fs::exists(folder / "model.safetensors.index.json")) {
    const auto source = open_safetensors_weights(folder);
    add_weights(source->tensors(), config.get(), weight_bytes(folder), report);
  } else {
    report.add("weights", nullptr, "none: no model.safetensors here");
  }
  describe_tokenizer(folder, report);
}

void describe_gguf(const fs::path& path, Report& report) {
  const GgufFile file(path);
  const std::string arch = file.metadata().get_string("general.architecture", "unknown");
  report.add("kind", "gguf", "model: a GGUF file");
  report.add("family", arch);
  if (const std::string name = file.metadata().get_string("general.name", ""); !name.empty())
    report.add("name", name);
  const auto config = try_config(report, path.string(),
                                 [&] { return find_gguf_family(arch, path.string()).from_gguf(file); });
  std::error_code error;
  add_weights(file.tensors(), config.get(), fs::file_size(path, error), report);
  describe_tokenizer(path, report);
}

void describe_safetensors(const fs::path& path, Report& report) {
  const SafetensorsFile file(path);
  report.add("kind", "safetensors", "a safetensors file");
  for (const auto& [key, value] : file.metadata()) report.add("metadata." + key, value);
  std::error_code error;
  add_weights(file.tensors(), nullptr, fs::file_size(path, error), report);
}

void describe_tokenizer(const fs::path& path, Report& report) {
  if (!has_tokenizer(path)) return report.add("tokenizer", nullptr, "none");
  try {
    const auto t = open_tokenizer(path);
    nlohmann::ordered_json value = {{"size", t->vocab_size()}, {"kind", t->kind()}};
    const std::pair<const char*, std::optional<int32_t>> ids[] = {
        {"bos", t->bos_id()}, {"eos", t->eos_id()}, {"pad", t->pad_id()}};
    std::string text = fmt::format("{}, {} tokens", t->kind(), with_commas(t->vocab_size()));
    for (const auto& [name, id] : ids) {
      value[fmt::format("{}_id", name)] = id ? nlohmann::ordered_json(*id) : nlohmann::ordered_json();
      text += special(*t, name, id);
    }
    value["template"] = default_template(*t);
    report.add("tokenizer", value,
               text + fmt::format("; data.template is {} by default", default_template(*t)));
  } catch (const InputError& e) {
    report.add("tokenizer", {{"usable", false}, {"why", e.what()}}, fmt::format("not usable: {}", e.what()));
  }
}

}  // namespace ft
