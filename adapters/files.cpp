#include "adapters/files.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "adapters/registry.h"
#include "engine/core/matrix.h"
#include "engine/io/json.h"
#include "engine/io/printable.h"
#include "engine/io/safetensors.h"
#include "engine/io/safetensors_writer.h"
#include "engine/io/text_file.h"

namespace ft {
namespace {

constexpr std::string_view kTensors = "adapter_model.safetensors", kConfig = "adapter_config.json",
                           kOrigin = "ftengine.json", kEncoder = "prompt_encoder.safetensors",
                           kState = "adapter_state.safetensors";

std::vector<int64_t> file_shape(const AdapterTensor& t) {
  const auto dims = t.parameter->shape.dims();
  std::vector<int64_t> shape(dims.begin(), dims.end());
  if (t.rows) shape[0] = static_cast<int64_t>(t.rows->size());
  if (t.transposed) std::reverse(shape.begin(), shape.end());
  return shape;
}

std::vector<float> to_file(const AdapterTensor& t) {
  std::vector<float> v = to_plain(*t.parameter);
  const Shape& shape = t.parameter->shape;
  if (t.rows) {
    std::vector<float> kept;
    for (const int64_t row : *t.rows)
      kept.insert(kept.end(), v.begin() + row * shape[1], v.begin() + (row + 1) * shape[1]);
    v = std::move(kept);
  }
  const int64_t rows = t.rows ? static_cast<int64_t>(t.rows->size()) : shape[0];
  return t.transposed ? transposed(v, rows, shape[1]) : v;
}

// The inverse. Rows that the file lacks stay as they are.
void from_file(const AdapterTensor& t, std::vector<float> v) {
  const Shape& shape = t.parameter->shape;
  if (t.transposed) v = transposed(v, shape[1], static_cast<int64_t>(v.size()) / shape[1]);
  if (t.rows) {
    std::vector<float> all = to_plain(*t.parameter);
    for (size_t i = 0; i < t.rows->size(); ++i)
      std::copy_n(v.begin() + static_cast<int64_t>(i) * shape[1], shape[1],
                  all.begin() + (*t.rows)[i] * shape[1]);
    v = std::move(all);
  }
  from_plain(*t.parameter, v);
}

/// What does not fit between a file and an adapter, in one line that people read whole: how many of each
/// kind, and up to three of the names, without what all of PEFT's have in common.
class Misfits {
 public:
  void add(std::string_view kind, std::string_view name, std::string_view detail = {}) {
    constexpr std::string_view kPrefix = "base_model.model.", kSuffix = ".weight";
    if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
    if (name.ends_with(kSuffix)) name.remove_suffix(kSuffix.size());
    if (kinds_.empty() || kinds_.back().first != kind) kinds_.emplace_back(kind, 0);
    ++kinds_.back().second;
    ++count_;
    const std::string text = printable(name, kName) + printable(detail, kDetail);
    if (shown_ == kShown || (shown_ > 0 && names_.size() + 2 + text.size() > kNames)) return;
    names_ += (shown_++ ? ", " : "") + text;
  }
  bool empty() const { return count_ == 0; }
  std::string text() const {
    std::vector<std::string> counts;
    for (const auto& [kind, count] : kinds_) counts.push_back(fmt::format("{} {}", count, kind));
    return fmt::format("{}: {}{}", fmt::join(counts, ", "), names_,
                       count_ > shown_ ? fmt::format(" … and {} more", count_ - shown_) : "");
  }

 private:
  static constexpr size_t kShown = 3, kName = 60, kDetail = 45, kNames = 125;  // all but the first in bytes
  size_t count_ = 0, shown_ = 0;
  std::vector<std::pair<std::string, size_t>> kinds_;
  std::string names_;
};

/// Throws ft::Error unless the file holds the tensors, bit for bit.
void compare_saved(const std::vector<AdapterTensor>& tensors, const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  for (const AdapterTensor& t : tensors) {
    const TensorInfo* info = file.find(t.name);
    const std::vector<float> want = to_file(t);
    std::vector<float> got(want.size());
    if (info && info->shape == file_shape(t)) file.read_all(*info, got.data());
    if (!info || info->shape != file_shape(t) ||
        (!want.empty() && std::memcmp(want.data(), got.data(), want.size() * sizeof(float)) != 0))
      fail("{}: {} reads back otherwise than it was written; the disk may be at fault", file.path(), t.name);
  }
}

/// The end of a long path, where it says most.
std::string short_path(const std::filesystem::path& path) {
  constexpr size_t kShown = 70;
  const std::string text = path.string();
  return text.size() <= kShown ? text : "…" + text.substr(text.size() - kShown);
}

}  // namespace

namespace {

void write_tensors(const std::vector<AdapterTensor>& tensors, const std::filesystem::path& path) {
  std::vector<SafetensorsEntry> entries;
  for (const AdapterTensor& t : tensors)
    entries.push_back({t.name, "F32", file_shape(t), [t](const ByteSink& sink) {
                         const std::vector<float> v = to_file(t);
                         sink(v.data(), v.size() * sizeof(float));
                       }});
  write_safetensors(path, std::move(entries));

  try {
    compare_saved(tensors, path);
  } catch (const InputError& e) {
    fail("{}; it was just written: the disk may be at fault", e.what());
  }
}

void read_tensors(const std::vector<AdapterTensor>& tensors, const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  std::unordered_set<std::string> used;
  Misfits misfits;
  for (const AdapterTensor& t : tensors) {
    used.insert(t.name);
    if (!t.frozen && !file.find(t.name)) misfits.add("missing", t.name);
  }
  for (const TensorInfo& info : file.tensors())
    if (!used.contains(info.name)) misfits.add("without a place", info.name);
  if (misfits.empty())
    for (const AdapterTensor& t : tensors)
      if (const TensorInfo* info = file.find(t.name); info && info->shape != file_shape(t))
        misfits.add("of another shape", t.name,
                    fmt::format(" {} for {}", shape_text(info->shape), shape_text(file_shape(t))));
  if (!misfits.empty()) bad_input("{}: made for another base; tensors {}", short_path(path), misfits.text());
  for (const AdapterTensor& t : tensors) {
    if (t.frozen) continue;
    const TensorInfo& info = *file.find(t.name);
    std::vector<float> values(static_cast<size_t>(element_count(info)));
    file.read_all(info, values.data());
    if (!std::all_of(values.begin(), values.end(), [](float v) { return v - v == 0; }))
      bad_input("{}: {} has values that are not finite", path.string(), t.name);
    from_file(t, std::move(values));
  }
}

}  // namespace

void save_adapter(const Adapter& adapter, const std::filesystem::path& folder, const AdapterOrigin& origin,
                  bool checkpoint) {
  write_tensors(adapter.tensors(), folder / kTensors);
  if (const auto encoder = adapter.encoder_tensors(); !encoder.empty())
    write_tensors(encoder, folder / kEncoder);
  if (const auto state = adapter.state_tensors(); checkpoint && !state.empty())
    write_tensors(state, folder / kState);
  write_text_file(folder / kConfig, adapter.config_json(origin.base).dump(2) + "\n");
  nlohmann::ordered_json extra = {{"base_fingerprint", origin.fingerprint}};
  if (const auto own = adapter.extra_json(); own.is_object()) extra["adapter"] = own;
  if (origin.rendering.is_object()) extra.update(origin.rendering);
  write_text_file(folder / kOrigin, extra.dump(2) + "\n");
}

void load_adapter_tensors(const Adapter& adapter, const std::filesystem::path& folder, bool state) {
  if (state)
    if (const auto own = adapter.state_tensors(); !own.empty() && std::filesystem::exists(folder / kState))
      read_tensors(own, folder / kState);
  read_tensors(adapter.tensors(), folder / kTensors);
  if (const auto encoder = adapter.encoder_tensors(); !encoder.empty()) {
    if (!std::filesystem::exists(folder / kEncoder))
      bad_input(
          "{}: no {}: its prompt was made by an encoder, which is not here, so training cannot go on from it",
          short_path(folder), kEncoder);
    read_tensors(encoder, folder / kEncoder);
  }
}

namespace {

constexpr std::string_view kA = ".lora_A", kB = ".lora_B", kE = ".lora_E", kFactors = ".ia3_l",
                           kVeraB = ".vera_lambda_b";
constexpr std::string_view kProducts[] = {".hada_", ".lokr_"};
// What acts through another tensor alone, which is judged.
constexpr std::string_view kInner[] = {kA, kE, ".vera_lambda_d", ".vera_A", ".vera_B"};

bool all_equal(const SafetensorsFile& file, const TensorInfo& t, float value) {
  std::vector<float> values(static_cast<size_t>(element_count(t)));
  file.read_all(t, values.data());
  return std::all_of(values.begin(), values.end(), [value](float v) { return v == value; });
}

// The A (or E) of a pair, given its B; null for another tensor.
const TensorInfo* partner(const SafetensorsFile& file, const TensorInfo& b, std::string_view which = kA) {
  const size_t at = b.name.find(kB);
  return at == std::string::npos ? nullptr : file.find(std::string(b.name).replace(at, kB.size(), which));
}

// With A = 0 and B = 0 the gradient of each is a product with the other: both stay where they are for ever.
void refuse_dead_pairs(const std::filesystem::path& folder) {
  const SafetensorsFile file(folder / kTensors);
  for (const TensorInfo& b : file.tensors())
    if (const TensorInfo* a = partner(file, b);
        a && element_count(b) > 0 && all_equal(file, b, 0) && all_equal(file, *a, 0))
      bad_input(
          "{}: {} and its lora_A are both zero, so neither ever gets a gradient and nothing would be "
          "trained; start one of them at random (without init_from)",
          short_path(folder), b.name);
}

// A module's change is a product of all of its factors.
bool is_zero_product(const SafetensorsFile& file, const TensorInfo& t, size_t factor) {
  const std::string_view module = std::string_view(t.name).substr(0, factor);
  return std::any_of(file.tensors().begin(), file.tensors().end(), [&](const TensorInfo& other) {
    return other.name.starts_with(module) && all_equal(file, other, 0);
  });
}

}  // namespace

bool changes_nothing(const std::filesystem::path& folder) {
  const SafetensorsFile file(folder / kTensors);
  return std::all_of(file.tensors().begin(), file.tensors().end(), [&](const TensorInfo& t) {
    for (const std::string_view inner : kInner)
      if (t.name.find(inner) != std::string::npos) return true;
    for (const std::string_view factor : kProducts)
      if (const size_t at = t.name.find(factor); at != std::string::npos)
        return is_zero_product(file, t, at + factor.size());
    if (t.name.ends_with(kFactors)) return all_equal(file, t, 1);
    if (t.name.ends_with(kVeraB)) return all_equal(file, t, 0);
    if (t.name.find(kB) == std::string::npos)
      return false;  // a bias, a norm, a magnitude, a saved module: only the base could tell
    if (all_equal(file, t, 0)) return true;
    const auto is_zero = [&](const TensorInfo* other) { return other && all_equal(file, *other, 0); };
    return is_zero(partner(file, t)) || is_zero(partner(file, t, kE));
  });
}

std::unique_ptr<Adapter> load_adapter(const std::filesystem::path& folder, Model& model,
                                      const std::string& fingerprint, const AttachOptions& options) {
  const ConfigNode config = read_adapter_config(folder);
  if (std::filesystem::exists(folder / kOrigin)) {
    const Json origin = read_json_file(folder / kOrigin);
    const auto found = origin.find("base_fingerprint");
    const std::string made_for = found != origin.end() && found->is_string() ? found->get<std::string>() : "";
    if (!made_for.empty() && made_for != fingerprint)
      bad_input(
          "{}: the adapter was made for another base (fingerprint {}, this model's is {}); give the model "
          "that it was trained on",
          folder.string(), made_for, fingerprint);
  }
  std::unique_ptr<Adapter> adapter = find_adapter_kind(config).make(config, "", true);
  AttachOptions attach = options;
  attach.where = (folder / kConfig).string();
  adapter->attach(model, attach);
  load_adapter_tensors(*adapter, folder, false);
  if (options.training) refuse_dead_pairs(folder);
  return adapter;
}

}  // namespace ft
