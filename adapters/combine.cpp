#include "adapters/combine.h"

#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "adapters/targets.h"
#include "engine/io/json.h"
#include "engine/io/printable.h"
#include "engine/io/safetensors.h"
#include "engine/io/safetensors_writer.h"
#include "engine/io/text_file.h"

namespace ft {
namespace {

namespace fs = std::filesystem;

constexpr const char *kConfig = "adapter_config.json", *kTensors = "adapter_model.safetensors",
                     *kOrigin = "ftengine.json";

struct Pair {
  int64_t rank = 0, in = 0, out = 0;
  std::vector<double> a, b;  // [rank, in], [out, rank]
  double scale = 1;          // alpha / r, or alpha / √r
};

struct SavedLora {
  std::string where;
  Json config;
  std::string fingerprint;            // of the base; empty: unknown
  std::map<std::string, Pair> pairs;  // by module, in the order of names
  int64_t rank = 0;                   // the largest
};

double number(const Json& config, const char* key, double missing, const std::string& where) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return missing;
  if (!found->is_number() || !(found->get<double>() > 0))
    bad_input("{}: {}: expected a number above 0, got {}", where, key, printable(found->dump(), 40));
  return found->get<double>();
}

double scale_of(const SavedLora& lora, const std::string& module, int64_t rank) {
  double alpha = number(lora.config, "lora_alpha", 8, lora.where);
  if (const auto patterns = lora.config.find("alpha_pattern");
      patterns != lora.config.end() && patterns->is_object())
    for (const auto& [pattern, value] : patterns->items())
      if (pattern_matches(pattern, module)) {
        alpha = number(*patterns, pattern.c_str(), alpha, lora.where);
        break;
      }
  const auto rs = lora.config.find("use_rslora");
  const bool root = rs != lora.config.end() && rs->is_boolean() && rs->get<bool>();
  const auto r = static_cast<double>(rank);
  return alpha / (root ? std::sqrt(r) : r);
}

std::vector<double> read(const SafetensorsFile& file, const TensorInfo& t) {
  std::vector<float> values(static_cast<size_t>(element_count(t)));
  file.read_all(t, values.data());
  return {values.begin(), values.end()};
}

SavedLora open_lora(const fs::path& folder) {
  SavedLora lora;
  lora.where = (folder / kConfig).string();
  if (!fs::exists(folder / kConfig))
    bad_input("{}: no {}; expected a folder with a saved adapter", folder.string(), kConfig);
  lora.config = read_json_file(folder / kConfig);
  if (!lora.config.is_object() || lora.config.value("peft_type", Json()) != "LORA")
    bad_input("{}: only LORA adapters can be combined", lora.where);
  if (fs::exists(folder / kOrigin)) {
    const Json origin = read_json_file(folder / kOrigin);
    if (origin.is_object() && origin.contains("base_fingerprint") && origin["base_fingerprint"].is_string())
      lora.fingerprint = origin["base_fingerprint"].get<std::string>();
  }
  constexpr std::string_view kPrefix = "base_model.model.", kA = ".lora_A.weight", kB = ".lora_B.weight";
  const SafetensorsFile file(folder / kTensors);
  for (const TensorInfo& t : file.tensors()) {
    if (t.name.ends_with(kB) && file.find(t.name.substr(0, t.name.size() - kB.size()).append(kA))) continue;
    const TensorInfo* b =
        t.name.ends_with(kA) ? file.find(t.name.substr(0, t.name.size() - kA.size()).append(kB)) : nullptr;
    if (!b || !t.name.starts_with(kPrefix))
      bad_input("{}: {} is no part of a plain LORA (biases, saved modules, DoRA): it cannot be combined",
                file.path(), printable(t.name, 80));
    if (t.shape.size() != 2 || b->shape.size() != 2 || t.shape[0] != b->shape[1] || t.shape[0] < 1)
      bad_input("{}: {} and its lora_B do not fit together", file.path(), printable(t.name, 80));
    Pair p{t.shape[0], t.shape[1], b->shape[0], read(file, t), read(file, *b)};
    const std::string module = t.name.substr(kPrefix.size(), t.name.size() - kPrefix.size() - kA.size());
    p.scale = scale_of(lora, module, p.rank);
    lora.rank = std::max(lora.rank, p.rank);
    lora.pairs.emplace(module, std::move(p));
  }
  if (lora.pairs.empty()) bad_input("{}: the adapter is empty", file.path());
  return lora;
}

struct Part {
  const Pair* pair;
  double weight;
};

/// The first `keep` singular triplets of B A as a pair; B takes the singular values.
Pair truncated(const Pair& p, int64_t keep) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Svd = Eigen::JacobiSVD<Eigen::MatrixXd>;
  constexpr unsigned kThin = Eigen::ComputeThinU | Eigen::ComputeThinV;
  const Eigen::Map<const Matrix> a(p.a.data(), p.rank, p.in), b(p.b.data(), p.out, p.rank);
  // Of the thin factors, never of [out, in]: with Aᵀ = U S Vᵀ, B A = (B V S) Uᵀ, and the singular vectors of
  // the left factor complete it.
  const Svd right(a.transpose(), kThin);
  const Svd svd(b * right.matrixV() * right.singularValues().asDiagonal(), kThin);
  const int64_t kept = std::min<int64_t>(keep, svd.singularValues().size());
  Pair result{keep, p.in, p.out, std::vector<double>(static_cast<size_t>(keep * p.in), 0.0),
              std::vector<double>(static_cast<size_t>(p.out * keep), 0.0)};
  Eigen::Map<Matrix>(result.a.data(), keep, p.in).topRows(kept) =
      svd.matrixV().leftCols(kept).transpose() * right.matrixU().transpose();
  Eigen::Map<Matrix>(result.b.data(), p.out, keep).leftCols(kept) =
      svd.matrixU().leftCols(kept) * svd.singularValues().head(kept).asDiagonal();
  return result;
}

/// The parts end to end: their weighted sum, exactly. A takes weights and scales, as in PEFT.
Pair concatenated(const std::vector<Part>& parts, int64_t rank) {
  const Pair& first = *parts.front().pair;
  Pair result{rank, first.in, first.out, std::vector<double>(static_cast<size_t>(rank * first.in), 0.0),
              std::vector<double>(static_cast<size_t>(first.out * rank), 0.0)};
  int64_t row = 0;
  for (const Part& part : parts)
    for (int64_t i = 0; i < part.pair->rank; ++i, ++row) {
      for (int64_t k = 0; k < result.in; ++k)
        result.a[row * result.in + k] = part.weight * part.pair->scale * part.pair->a[i * result.in + k];
      for (int64_t n = 0; n < result.out; ++n)
        result.b[n * rank + row] = part.pair->b[n * part.pair->rank + i];
    }
  return result;
}

Pair summed(const std::vector<Part>& parts) {
  const Pair& first = *parts.front().pair;
  Pair result{first.rank, first.in, first.out, std::vector<double>(first.a.size(), 0.0),
              std::vector<double>(first.b.size(), 0.0)};
  for (const Part& part : parts) {
    const double w = part.weight * part.pair->scale, root = std::sqrt(std::abs(w));
    for (size_t i = 0; i < result.a.size(); ++i) result.a[i] += (w < 0 ? -root : root) * part.pair->a[i];
    for (size_t i = 0; i < result.b.size(); ++i) result.b[i] += root * part.pair->b[i];
  }
  return result;
}

Pair combined(const std::vector<Part>& parts, Combination type, int64_t rank) {
  if (type == Combination::linear) return summed(parts);
  if (type == Combination::cat) return concatenated(parts, rank);
  int64_t all = 0;
  for (const Part& part : parts) all += part.pair->rank;
  return truncated(concatenated(parts, all), rank);
}

void check(const std::vector<SavedLora>& loras, const CombineOptions& options) {
  const SavedLora& first = loras.front();
  for (const SavedLora& lora : loras) {
    if (!lora.fingerprint.empty() && !first.fingerprint.empty() && lora.fingerprint != first.fingerprint)
      bad_input("{}: made for another base than {}", lora.where, first.where);
    for (const auto& [module, pair] : lora.pairs) {
      const auto other = first.pairs.find(module);
      if (other == first.pairs.end()) continue;
      if (other->second.in != pair.in || other->second.out != pair.out)
        bad_input("{}: {} has another shape than in {}", lora.where, module, first.where);
    }
    if (options.type != Combination::linear) continue;
    for (const auto& [module, pair] : lora.pairs)
      if (pair.rank != first.rank)
        bad_input("{}: a linear combination needs adapters of one rank, got {} and {}; use cat or svd",
                  lora.where, first.rank, pair.rank);
  }
}

int64_t rank_of(const std::vector<SavedLora>& loras, const CombineOptions& options) {
  constexpr int64_t kMost = 4096;
  int64_t sum = 0, largest = 0;
  for (const SavedLora& lora : loras) {
    sum += lora.rank;
    largest = std::max(largest, lora.rank);
  }
  if (options.type == Combination::cat && sum > kMost)
    bad_input("the ranks add up to {}; the largest rank is {}; use svd", sum, kMost);
  if (options.type == Combination::svd && options.svd_rank > 0) return options.svd_rank;
  return options.type == Combination::cat ? sum : largest;
}

nlohmann::ordered_json config_of(const SavedLora& first, const std::set<std::string>& modules, int64_t rank) {
  nlohmann::ordered_json j = first.config;
  j["r"] = j["lora_alpha"] = rank;
  j["use_rslora"] = false;
  j["rank_pattern"] = j["alpha_pattern"] = nlohmann::ordered_json::object();
  j["target_modules"] = modules;  // by their whole names, so that they mean the same whatever chose them
  j["exclude_modules"] = j["layers_to_transform"] = j["layers_pattern"] = nullptr;
  j["init_lora_weights"] = true;
  return j;
}

}  // namespace

int64_t combine_loras(const std::vector<WeightedAdapter>& adapters, const CombineOptions& options,
                      const fs::path& out) {
  FT_CHECK(!adapters.empty(), "[combine] expected adapters, got none");
  std::vector<SavedLora> loras;
  std::set<std::string> modules;
  for (const WeightedAdapter& a : adapters) {
    loras.push_back(open_lora(a.folder));
    for (const auto& [module, pair] : loras.back().pairs) modules.insert(module);
  }
  check(loras, options);
  const int64_t rank = rank_of(loras, options);
  std::map<std::string, std::vector<float>> values;
  std::vector<SafetensorsEntry> entries;
  for (const std::string& module : modules) {
    std::vector<Part> parts;
    for (size_t i = 0; i < loras.size(); ++i)
      if (const auto found = loras[i].pairs.find(module); found != loras[i].pairs.end())
        parts.push_back({&found->second, adapters[i].weight});
    const Pair pair = combined(parts, options.type, rank);
    const auto add = [&](const char* which, int64_t rows, int64_t cols, const std::vector<double>& from) {
      const std::string name = "base_model.model." + module + "." + which + ".weight";
      const auto& stored = values[name] = {from.begin(), from.end()};
      entries.push_back(float32_entry(name, {rows, cols}, stored.data()));
    };
    add("lora_A", pair.rank, pair.in, pair.a);
    add("lora_B", pair.out, pair.rank, pair.b);
  }
  write_safetensors(out / kTensors, std::move(entries));
  write_text_file(out / kConfig, config_of(loras.front(), modules, rank).dump(2) + "\n");
  if (fs::exists(adapters.front().folder / kOrigin))  // the base's fingerprint, the template
    write_text_file(out / kOrigin, read_text_file(adapters.front().folder / kOrigin));
  return rank;
}

}  // namespace ft
