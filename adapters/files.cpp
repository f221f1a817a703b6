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
  if (t.transposed) std::reverse(shape.begin(), shape.end());
  return shape;
}

std::vector<float> to_file(const AdapterTensor& t) {
  std::vector<float> v = to_plain(*t.parameter);
  return t.transposed ? transposed(v, t.parameter->shape[0], t.parameter->shape[1]) : v;
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
        std::memcmp(want.data(), got.data(), want.size() * sizeof(float)) != 0)
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
    std::vector<float> values(static_cast<size_t>(t.parameter->numel()));
    file.read_all(*file.find(t.name), values.data());
    if (!std::all_of(values.begin(), values.end(), [](float v) { return v - v == 0; }))
      bad_input("{}: {} has values that are not finite", path.string(), t.name);
    from_plain(*t.parameter,
               t.transposed ? transposed(values, t.parameter->shape[1], t.parameter->shape[0]) : values);
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

void load_adapter_tensors(const Adapter& adapter, const std::filesystem::path& folder) {
  read_tensors(adapter.tensors(), folder / kTensors);
  if (const auto encoder = adapter.encoder_tensors(); !encoder.empty()) {
    if (!std::filesystem::exists(folder / kEncoder))
      bad_input(
          "{}: no {}: its prompt was made by an encoder, which is not here, so training cannot go on from it",
          short_path(folder), kEncoder);
    read_tensors(encoder, folder / kEncoder);
  }
  if (const auto state = adapter.state_tensors(); !state.empty() && std::filesystem::exists(folder / kState))
    read_tensors(state, folder / kState);
}

bool changes_nothing(const std::filesystem::path& folder) {
  const SafetensorsFile file(folder / kTensors);
  const auto all = [&](const TensorInfo& t, float value) {
    std::vector<float> values(static_cast<size_t>(element_count(t)));
    file.read_all(t, values.data());
    return std::all_of(values.begin(), values.end(), [value](float v) { return v == value; });
  };
  constexpr std::string_view kA = ".lora_A.", kB = ".lora_B.", kFactors = ".ia3_l";
  for (const TensorInfo& t : file.tensors()) {
    if (t.name.find(kA) != std::string::npos) continue;  // judged with its B
    if (t.name.ends_with(kFactors) && all(t, 1)) continue;
    const size_t at = t.name.find(kB);
    if (at == std::string::npos) return false;  // a bias, a norm, a saved module: only the base could tell
    if (all(t, 0)) continue;
    const TensorInfo* a = file.find(std::string(t.name).replace(at, kB.size(), kA));
    if (!a || !all(*a, 0)) return false;
  }
  return true;
}

std::unique_ptr<Adapter> load_adapter(const std::filesystem::path& folder, Model& model,
                                      const std::string& fingerprint, const AttachOptions& options) {
  const ConfigNode config = read_adapter_config(folder);
  std::unique_ptr<Adapter> adapter = find_adapter_kind(config).make(config, "", true);
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
  AttachOptions attach = options;
  attach.where = (folder / kConfig).string();
  adapter->attach(model, attach);
  load_adapter_tensors(*adapter, folder);
  return adapter;
}

}  // namespace ft
