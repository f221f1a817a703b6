#include <cstring>

#include "engine/core/matrix.h"
#include "engine/io/safetensors_writer.h"
#include "engine/io/text_file.h"
#include "models/load.h"

namespace ft {
namespace {

std::string safetensors_type(DType t) {
  switch (t) {
    case DType::f32:
      return "F32";
    case DType::bf16:
      return "BF16";
    case DType::f16:
      return "F16";
    default:
      fail("[save] a model is saved as float32, bfloat16 or float16, not {}", dtype_name(t));
  }
}

void write_as(DType dtype, const std::vector<float>& values, const ByteSink& sink) {
  if (dtype == DType::f32) return sink(values.data(), values.size() * sizeof(float));
  std::vector<uint16_t> narrow(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    narrow[i] = dtype == DType::bf16 ? to_bf16(values[i]).bits : to_f16(values[i]).bits;
  sink(narrow.data(), narrow.size() * sizeof(uint16_t));
}

}  // namespace

void save_model(Model& model, const std::filesystem::path& folder, DType dtype, bool tied,
                const std::function<std::vector<float>(const Slot&)>& value) {
  std::vector<const Linear*> conv1d;
  for (const Linear* l : model.linears())
    if (l->conv1d) conv1d.push_back(l);
  std::vector<SafetensorsEntry> entries;
  for (const Slot* slot : model.slots()) {
    if (tied && slot->name == model.head().weight.name) continue;
    bool stored_transposed = false;
    for (const Linear* l : conv1d) stored_transposed |= &l->weight == slot;
    const auto dims = slot->parameter->shape.dims();
    std::vector<int64_t> shape(dims.begin(), dims.end());
    if (stored_transposed) std::swap(shape[0], shape[1]);
    entries.push_back({slot->name, safetensors_type(dtype), shape, [=, &value](const ByteSink& sink) {
                         std::vector<float> v = value(*slot);
                         if (stored_transposed)
                           v = transposed(v, slot->parameter->shape[0], slot->parameter->shape[1]);
                         write_as(dtype, v, sink);
                       }});
  }
  nlohmann::ordered_json config = model.config_json();
  config["tie_word_embeddings"] = tied;
  config.erase("torch_dtype");
  config["dtype"] = dtype_name(dtype);
  write_safetensors(folder / "model.safetensors", std::move(entries));
  write_text_file(folder / "config.json", config.dump(2) + "\n");
}

}  // namespace ft
