#include "tests/cli/tiny_model.h"

#include "engine/core/rng.h"
#include "models/family.h"
#include "models/load.h"

namespace ft::cli {

DecoderConfig tiny_config(int64_t vocab, int64_t max_positions) {
  const nlohmann::ordered_json json = {{"architectures", {"LlamaForCausalLM"}},
                                       {"model_type", "llama"},
                                       {"vocab_size", vocab},
                                       {"hidden_size", 16},
                                       {"intermediate_size", 24},
                                       {"num_hidden_layers", 2},
                                       {"num_attention_heads", 2},
                                       {"num_key_value_heads", 1},
                                       {"max_position_embeddings", max_positions}};
  return find_family("llama", "config.json").from_json(JsonConfig(json, "config.json"));
}

std::unique_ptr<Decoder> tiny_model(const DecoderConfig& config) {
  auto model = std::make_unique<Decoder>(config, DType::f32, DType::f32);
  for (const Slot* slot : model->slots()) {
    std::vector<float> values(static_cast<size_t>(slot->parameter->numel()), 1.f);
    Rng rng(7, slot->name);
    if (slot->parameter->shape.rank() == 2)
      for (float& v : values) v = 0.2f * rng.normal();
    from_plain(*slot->parameter, values);
  }
  return model;
}

void save_tiny_model(Decoder& model, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  save_model(model, folder, DType::f32, model.facts().tied,
             [](const Slot& s) { return to_plain(*s.parameter); });
}

std::vector<DataRow> drawn_rows(const std::vector<int64_t>& lengths, int64_t vocab) {
  Rng rng(11, "rows");
  std::vector<DataRow> rows;
  for (const int64_t length : lengths) {
    DataRow row;
    for (int64_t i = 0; i < length; ++i)
      row.ids.push_back(static_cast<int32_t>(rng.below(static_cast<uint32_t>(vocab))));
    row.labels = row.ids;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace ft::cli
