#include "models/load.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "engine/core/matrix.h"
#include "engine/core/rng.h"
#include "engine/io/gguf.h"
#include "engine/io/json.h"
#include "models/decoder.h"
#include "models/family.h"
#include "models/tensor_names.h"

namespace ft {
namespace {

constexpr int64_t kBlockRows = 4 * kPanelRows;  // whole panels, so that blocks are packed side by side

// Row of the file that becomes row `n` of the model. GGUF stores each head's rows of a rotary q or k as pairs
// (i, i + D/2) side by side, and a q|k|v by head as all q, all k, all v.
int64_t file_row(int64_t n, int64_t rows, const TensorUse& use) {
  if (const int64_t heads = use.permuted_heads; heads > 0) {
    const int64_t d = rows / heads, head = n / d, i = n % d;
    return head * d + (i < d / 2 ? 2 * i : 2 * (i - d / 2) + 1);
  }
  if (const int64_t heads = use.regrouped_heads; heads > 0) {
    const int64_t d = rows / (3 * heads), head = n / (3 * d), part = n / d % 3;
    return (part * heads + head) * d + n % d;
  }
  return n;
}

bool reordered(const TensorUse& use) {
  return use.permuted_heads > 0 || use.regrouped_heads > 0;
}

void read_block(const WeightSource& source, const TensorUse& use, int64_t row, int64_t count, float* out) {
  const int64_t rows = row_count(*use.tensor), cols = row_width(*use.tensor);
  if (!reordered(use)) return source.read_rows(*use.tensor, row, count, out);
  for (int64_t i = 0; i < count; ++i)
    source.read_rows(*use.tensor, file_row(row + i, rows, use), 1, out + i * cols);
}

void fill(CpuStream& stream, const WeightSource& source, const TensorUse& use) {
  Parameter& p = *use.slot->parameter;
  const bool direct = p.layout == Parameter::Layout::packed && !use.transposed &&
                      p.value.dtype() != DType::f64 && p.value.device() == Device();
  if (!direct) {
    std::vector<float> values(static_cast<size_t>(p.numel()));
    source.read_all(*use.tensor, values.data());
    if (reordered(use)) {  // vectors too: a bias has the order of its rows
      const std::vector<float> stored = values;
      const int64_t rows = p.shape[0], cols = p.numel() / rows;
      for (int64_t n = 0; n < rows; ++n)
        std::copy_n(stored.data() + file_row(n, rows, use) * cols, cols, values.data() + n * cols);
    }
    from_plain(p, use.transposed ? transposed(values, p.shape[1], p.shape[0]) : values);
  } else {
    const int64_t rows = p.shape[0], cols = p.shape[1], blocks = (rows + kBlockRows - 1) / kBlockRows;
    stream.parallel(blocks, [&](int64_t block) {
      thread_local std::vector<float> buffer;
      const int64_t row = block * kBlockRows, count = std::min(kBlockRows, rows - row);
      buffer.resize(static_cast<size_t>(kBlockRows * cols));
      read_block(source, use, row, count, buffer.data());
      pack_rows(p.value.dtype(), rows, cols, p.value.raw(), row, count, buffer.data(), cols);
    });
  }
  source.release(*use.tensor);
}

// Names, shapes and the first row of every tensor: enough to tell two bases apart, cheap enough to do every
// time. Values are taken from the file, so the storage type that was asked for does not change it.
std::string fingerprint(const WeightSource& source, const std::vector<TensorUse>& uses) {
  uint64_t h = 0;
  std::vector<float> row;
  for (const TensorUse& use : uses) {
    h = mix_key(h, hash_name(use.slot->name));
    for (const int64_t d : use.tensor->shape) h = mix_key(h, static_cast<uint64_t>(d));
    if (use.tensor->shape.size() != 2) continue;
    row.resize(static_cast<size_t>(row_width(*use.tensor)));
    source.read_rows(*use.tensor, 0, 1, row.data());
    h = mix_key(h, hash_name({reinterpret_cast<const char*>(row.data()), row.size() * sizeof(float)}));
  }
  return fmt::format("{:016x}", h);
}

struct Opened {
  std::unique_ptr<WeightSource> source;
  const Family* family;
  DecoderConfig config;
  bool gguf;
};

Opened open(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path))
    bad_input("{}: no such model; give a Hugging Face folder or a .gguf file", path.string());
  if (!std::filesystem::is_directory(path)) {
    if (path.extension() != ".gguf")
      bad_input("{}: not a model; expected a Hugging Face folder or a .gguf file", path.string());
    auto file = std::make_unique<GgufFile>(path);
    const Family& family =
        find_gguf_family(file->metadata().get_string("general.architecture"), path.string());
    DecoderConfig config = family.from_gguf(*file);
    config.json["model_type"] = family.model_type;
    config.json["architectures"] = {family.architecture};
    return {std::move(file), &family, std::move(config), true};
  }
  const std::filesystem::path config_path = path / "config.json";
  if (!std::filesystem::exists(config_path))
    bad_input("{}: no config.json; a model folder has config.json and *.safetensors", path.string());
  const nlohmann::ordered_json json = read_json_file(config_path);
  if (!json.is_object()) bad_input("{}: expected a JSON object", config_path.string());
  const JsonConfig reader(json, config_path.string());
  const Family& family = find_family(reader.text("model_type", ""), config_path.string());
  DecoderConfig config = family.from_json(reader);
  return {open_safetensors_weights(path), &family, std::move(config), false};
}

// A configuration may ask for anything: nothing is allocated for weights that the file does not have.
void check_size(const DecoderConfig& c, const WeightSource& source) {
  double stored = 0;
  for (const TensorInfo& t : source.tensors()) stored += static_cast<double>(element_count(t));
  const auto hidden = static_cast<double>(c.hidden),
             heads = static_cast<double>((2 * c.heads + 2 * c.kv_heads) * c.head_dim);
  const double layer = hidden * (heads + static_cast<double>((c.gated ? 3 : 2) * c.ffn));
  const double asked =
      static_cast<double>(c.layers) * layer + static_cast<double>(c.vocab) * hidden * (c.tied ? 1 : 2);
  if (asked > stored)
    bad_input("{}: the configuration describes a model of {:.0f} weights, but the file holds {:.0f}",
              source.path(), asked, stored);
}

}  // namespace

LoadedModel load_model(const std::filesystem::path& path, const ModelLoadOptions& options,
                       CpuStream& stream) {
  Opened in = open(path);
  check_decoder(in.config, path.string());
  check_size(in.config, *in.source);
  if (!options.dropout) {
    in.config.embed_dropout = in.config.residual_dropout = in.config.attention_dropout = 0;
  } else if (in.config.attention_dropout > 0) {
    bad_input(
        "{}: model.dropout: dropout of attention weights ({}) is not supported; set it to 0 in config.json "
        "or leave model.dropout false",
        path.string(), in.config.attention_dropout);
  }
  LoadedModel loaded;
  loaded.from_gguf = in.gguf;
  loaded.storage = options.storage.value_or(in.gguf ? DType::bf16 : DType::f32);
  if (options.compute == DType::f64) loaded.storage = DType::f64;
  auto model = std::make_unique<Decoder>(in.config, loaded.storage, options.compute);
  const std::vector<TensorUse> uses = match_tensors(*model, *in.source, *in.family, in.gguf);
  for (const TensorUse& use : uses) {
    fill(stream, *in.source, use);
    use.slot->parameter->to(options.device);
  }
  loaded.fingerprint = fingerprint(*in.source, uses);
  loaded.model = std::move(model);
  return loaded;
}

void reload_model(Model& model, const std::filesystem::path& folder, CpuStream& stream) {
  auto& decoder = dynamic_cast<Decoder&>(model);
  const auto source = open_safetensors_weights(folder);
  const Family& family = find_family(decoder.facts().model_type, folder.string());
  const std::vector<TensorUse> uses = match_tensors(decoder, *source, family, false);
  for (const TensorUse& use : uses) fill(stream, *source, use);
}

}  // namespace ft
