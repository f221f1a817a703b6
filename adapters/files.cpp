#include "adapters/files.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "adapters/registry.h"
#include "engine/core/matrix.h"
#include "engine/io/json.h"
#include "engine/io/safetensors.h"
#include "engine/io/safetensors_writer.h"
#include "engine/io/text_file.h"

namespace ft {
namespace {

constexpr std::string_view kTensors = "adapter_model.safetensors", kConfig = "adapter_config.json",
                           kOrigin = "ftengine.json";

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

std::string list(const std::vector<std::string>& names) {
  constexpr size_t kShown = 8;
  std::string text =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + std::min(names.size(), kShown), ", "));
  return names.size() > kShown ? fmt::format("{} and {} more", text, names.size() - kShown) : text;
}

}  // namespace

void save_adapter(const Adapter& adapter, const std::filesystem::path& folder, const AdapterOrigin& origin) {
  std::vector<SafetensorsEntry> entries;
  for (const AdapterTensor& t : adapter.tensors())
    entries.push_back({t.name, "F32", file_shape(t), [t](const ByteSink& sink) {
                         const std::vector<float> v = to_file(t);
                         sink(v.data(), v.size() * sizeof(float));
                       }});
  write_safetensors(folder / kTensors, std::move(entries));
  write_text_file(folder / kConfig, adapter.config_json(origin.base).dump(2) + "\n");
  nlohmann::ordered_json extra = {{"base_fingerprint", origin.fingerprint}};
  if (origin.rendering.is_object()) extra.update(origin.rendering);
  write_text_file(folder / kOrigin, extra.dump(2) + "\n");

  const SafetensorsFile file(folder / kTensors);
  for (const AdapterTensor& t : adapter.tensors()) {
    const TensorInfo* info = file.find(t.name);
    const std::vector<float> want = to_file(t);
    std::vector<float> got(want.size());
    if (info && info->shape == file_shape(t)) file.read_all(*info, got.data());
    if (!info || info->shape != file_shape(t) ||
        std::memcmp(want.data(), got.data(), want.size() * sizeof(float)) != 0)
      fail("{}: {} reads back otherwise than it was written; the disk may be at fault", file.path(), t.name);
  }
}

void load_adapter_tensors(const Adapter& adapter, const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  std::vector<std::string> missing, left, wrong;
  std::unordered_set<std::string> used;
  const std::vector<AdapterTensor> tensors = adapter.tensors();
  for (const AdapterTensor& t : tensors) {
    const TensorInfo* info = file.find(t.name);
    used.insert(t.name);
    if (!info) {
      if (!t.frozen) missing.push_back(t.name);
    } else if (info->shape != file_shape(t)) {
      wrong.push_back(
          fmt::format("{} is {}, expected {}", t.name, shape_text(info->shape), shape_text(file_shape(t))));
    }
  }
  for (const TensorInfo& info : file.tensors())
    if (!used.contains(info.name)) left.push_back(info.name);
  if (!missing.empty() || !left.empty())
    bad_input(
        "{}: the adapter does not fit this base;{}{}", path.string(),
        missing.empty() ? "" : fmt::format(" {} tensors are missing: {}", missing.size(), list(missing)),
        left.empty() ? "" : fmt::format(" {} have no place: {}", left.size(), list(left)));
  if (!wrong.empty()) bad_input("{}: the adapter was made for another base: {}", path.string(), list(wrong));
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
  load_adapter_tensors(*adapter, folder / kTensors);
  return adapter;
}

}  // namespace ft
