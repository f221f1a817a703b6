// ftengine make-tiny-model: a small model of a family with drawn weights and a byte-level tokenizer, as a
// Hugging Face folder, so that everything can be tried without a network. It knows nothing until it is
// trained. The same seed gives the same bytes.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "engine/core/rng.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/atomic_folder.h"
#include "engine/io/text_file.h"
#include "models/decoder.h"
#include "models/family.h"
#include "models/load.h"
#include "tools/ftengine/commands.h"
#include "tools/ftengine/merge_files.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

using nlohmann::ordered_json;

struct Args {
  fs::path out;
  std::string family = "llama";
  uint64_t seed = 0;
  bool overwrite = false;
};

constexpr int kBytes = 256;
constexpr const char* kSpecial[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
constexpr int kEos = kBytes;
constexpr int64_t kVocab = 320;  // a little more than the tokenizer has, as real models do

constexpr int64_t kPositions = 1024;

ordered_json rotary_config() {
  return {{"hidden_size", 64},
          {"intermediate_size", 192},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"head_dim", 16},
          {"max_position_embeddings", kPositions},
          {"hidden_act", "silu"},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"attention_bias", false},
          {"mlp_bias", false}};
}

ordered_json config(const Family& family) {
  ordered_json own;
  if (family.model_type == "gpt2")
    own = {{"n_embd", 64}, {"n_layer", 3}, {"n_head", 4}, {"n_positions", kPositions}};
  else if (family.model_type == "bloom")
    own = {{"hidden_size", 64}, {"n_layer", 3}, {"n_head", 4}, {"seq_length", kPositions}};
  else
    own = rotary_config();
  ordered_json json = {
      {"architectures", {family.architecture}}, {"model_type", family.model_type}, {"vocab_size", kVocab},
      {"tie_word_embeddings", false},           {"bos_token_id", nullptr},         {"eos_token_id", kEos}};
  json.update(own);
  return json;
}

// Norms are one, biases zero; a matrix keeps the size of what passes through it: N(0, 1 / inputs), so that a
// drawn network is a rich set of features for an adapter to choose from. The head starts small, which makes
// the first loss ln(vocabulary).
void draw(Model& model, uint64_t seed) {
  for (const Slot* slot : model.slots()) {
    Parameter& p = *slot->parameter;
    std::vector<float> values(static_cast<size_t>(p.numel()), slot->name.ends_with(".bias") ? 0.f : 1.f);
    if (p.shape.rank() == 2) {
      const bool head = slot == &model.head().weight;
      const bool embedding = &p == &model.embeddings();
      const float deviation = head ? 0.02f : embedding ? 0.5f : 1 / std::sqrt(static_cast<float>(p.shape[1]));
      Rng rng(seed, slot->name);
      for (float& v : values) v = deviation * rng.normal();
    }
    from_plain(p, values);
  }
}

ordered_json special_token(int index) {
  return {{"id", kBytes + index}, {"content", kSpecial[index]}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false},      {"normalized", false},        {"special", true}};
}

void write_tokenizer(const fs::path& folder) {
  ordered_json vocab = ordered_json::object(), added = ordered_json::array();
  for (int byte = 0; byte < kBytes; ++byte) {
    std::string content;
    append_utf8(content, byte_to_char(static_cast<uint8_t>(byte)));
    vocab[content] = byte;
  }
  for (int i = 0; i < static_cast<int>(std::size(kSpecial)); ++i) added.push_back(special_token(i));
  const ordered_json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const ordered_json tokenizer = {{"version", "1.0"},
                                  {"truncation", nullptr},
                                  {"padding", nullptr},
                                  {"added_tokens", added},
                                  {"normalizer", nullptr},
                                  {"pre_tokenizer", byte_level},
                                  {"post_processor", nullptr},
                                  {"decoder", byte_level},
                                  {"model",
                                   {{"type", "BPE"},
                                    {"dropout", nullptr},
                                    {"unk_token", nullptr},
                                    {"continuing_subword_prefix", nullptr},
                                    {"end_of_word_suffix", nullptr},
                                    {"fuse_unk", false},
                                    {"byte_fallback", false},
                                    {"vocab", vocab},
                                    {"merges", ordered_json::array()}}}};
  // One token is both end and padding, as in many a published model: what is learnt goes by position, so it
  // must not matter.
  const ordered_json settings = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                 {"clean_up_tokenization_spaces", false},
                                 {"model_max_length", kPositions},
                                 {"eos_token", kSpecial[0]},
                                 {"pad_token", kSpecial[0]}};
  write_text_file(folder / "tokenizer.json", tokenizer.dump() + "\n");
  write_text_file(folder / "tokenizer_config.json", settings.dump(2) + "\n");
  write_text_file(folder / "generation_config.json", ordered_json{{"eos_token_id", kEos}}.dump(2) + "\n");
}

void run(const Args& args) {
  check_replaceable(args.out, args.overwrite, {});
  make_parents(args.out);
  const Family& family = find_family(args.family, "--family");
  const ordered_json json = config(family);
  DecoderConfig decoder = family.from_json(JsonConfig(json, "config.json"));
  Decoder model(std::move(decoder), DType::f32, DType::f32);
  draw(model, args.seed);
  AtomicFolder folder(args.out);
  save_model(model, folder.temporary(), DType::f32, model.facts().tied,
             [](const Slot& s) { return to_plain(*s.parameter); });
  write_tokenizer(folder.temporary());
  folder.commit();
  int64_t parameters = 0;
  for (const Parameter* p : distinct_parameters(model)) parameters += p->numel();
  fmt::print(
      "{}: a {} model of {} drawn weights and a tokenizer of {} bytes; it knows nothing until it is "
      "trained\n",
      args.out.string(), args.family, parameters, kBytes);
}

}  // namespace

void register_make_tiny_model(CLI::App& app) {
  auto args = std::make_shared<Args>();
  CLI::App* c = app.add_subcommand(
      "make-tiny-model", "write a small random model with a byte-level tokenizer, to try things with");
  c->group("");  // not in the list of commands: of use to the quickstart and to tests
  c->add_option("dir", args->out, "folder to write")->required();
  c->add_option("--family", args->family, "model_type: llama (default), gpt2, qwen2, qwen3, bloom");
  c->add_option("--seed", args->seed, "of the weights");
  c->add_flag("--overwrite", args->overwrite, "replace a model folder that stands there");
  c->callback([args] { run(*args); });
}

}  // namespace ft
