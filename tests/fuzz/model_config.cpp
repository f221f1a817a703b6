// config.json of a model folder from a stranger, beside good weights: no size in it may be believed.
#include "engine/core/stream.h"
#include "engine/io/text_file.h"
#include "models/load.h"
#include "tests/cli/tiny_model.h"
#include "tests/fuzz/fuzz.h"

namespace ft::fuzz {
namespace {

struct Folder {
  std::string config, weights;
  Folder() {
    const std::unique_ptr<Decoder> model = cli::tiny_model(cli::tiny_config(24, 16));
    const std::filesystem::path made = scratch() / "made";
    cli::save_tiny_model(*model, made);
    config = read_text_file(made / "config.json");
    weights = read_text_file(made / "model.safetensors");
    std::filesystem::remove_all(made);
  }
};

const Folder& folder() {
  static const Folder one;
  return one;
}

}  // namespace

std::vector<std::string> seeds() {
  return {folder().config};
}

std::vector<std::string> words() {
  return {"\"model_type\"",
          "\"gpt2\"",
          "\"qwen2\"",
          "\"qwen3\"",
          "\"vocab_size\"",
          "\"hidden_size\"",
          "\"num_hidden_layers\"",
          "\"num_attention_heads\"",
          "\"num_key_value_heads\"",
          "\"head_dim\"",
          "\"rope_scaling\"",
          "\"rope_parameters\"",
          "\"rope_type\":\"llama3\"",
          "\"factor\":0",
          "\"tie_word_embeddings\":true",
          "\"n_embd\"",
          "\"n_layer\"",
          "\"auto_map\"",
          "null",
          "2147483647",
          "-1",
          "0",
          "1e308",
          "\"silu\"",
          "{}",
          "[]"};
}

}  // namespace ft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ft;
  static ThreadPool pool(1);
  static CpuStream stream(pool);
  fuzz::put("model/config.json", fuzz::text_of(data, size));
  fuzz::put("model/model.safetensors", fuzz::folder().weights);
  return fuzz::take_or_refuse([&] { load_model(fuzz::scratch() / "model", {}, stream); });
}
