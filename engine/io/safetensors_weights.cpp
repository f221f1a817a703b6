// A Hugging Face folder of weights as one WeightSource: one safetensors file, or an index and its shards.
//
//   {"metadata": {…}, "weight_map": {"tensor name": "model-00001-of-00002.safetensors", …}}
#include <map>
#include <set>
#include <utility>

#include "engine/core/check.h"
#include "engine/io/json.h"
#include "engine/io/printable.h"
#include "engine/io/safetensors.h"
#include "engine/io/weights.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

class ShardedSafetensors : public WeightSource {
 public:
  ShardedSafetensors(fs::path path, std::vector<std::unique_ptr<SafetensorsFile>> shards)
      : path_(std::move(path)), shards_(std::move(shards)), table_(collect()) {}

  const std::vector<TensorInfo>& tensors() const override { return table_.tensors(); }
  const TensorInfo* find(std::string_view name) const override { return table_.find(name); }
  void read_rows(const TensorInfo& tensor, int64_t row, int64_t rows, float* out) const override {
    shard(tensor).read_rows(tensor, row, rows, out);
  }
  void release(const TensorInfo& tensor) const override { shard(tensor).release(tensor); }
  std::string path() const override { return path_.string(); }

 private:
  std::vector<TensorInfo> collect() {
    std::vector<TensorInfo> all;
    for (const auto& shard : shards_) {
      all.insert(all.end(), shard->tensors().begin(), shard->tensors().end());
      owners_.insert(owners_.end(), shard->tensors().size(), shard.get());
    }
    return all;
  }
  const SafetensorsFile& shard(const TensorInfo& tensor) const { return *owners_[table_.position(tensor)]; }

  fs::path path_;
  std::vector<std::unique_ptr<SafetensorsFile>> shards_;
  std::vector<const SafetensorsFile*> owners_;  // parallel to the table
  TensorTable table_;
};

/// Shard file name -> names of its tensors. A shard is a plain file name: an index cannot reach outside its
/// folder.
std::map<std::string, std::set<std::string>> parse_index(const fs::path& path) {
  const Json index = read_json_file(path);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    bad_input("{}: 'weight_map' is missing or not an object", path.string());
  }
  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [name, value] : index["weight_map"].items()) {
    if (!value.is_string()) {
      bad_input("{}: the shard of tensor '{}' is not a string", path.string(), printable(name));
    }
    const auto shard = value.get<std::string>();
    if (shard.empty() || shard == "." || shard == ".." ||
        shard.find_first_of(std::string_view("/\\\0", 3)) != shard.npos) {
      bad_input("{}: the shard '{}' of tensor '{}' is not a plain file name", path.string(), printable(shard),
                printable(name));
    }
    shards[shard].insert(name);
  }
  return shards;
}

std::unique_ptr<WeightSource> open_index(const fs::path& index, const fs::path& shown) {
  std::vector<std::unique_ptr<SafetensorsFile>> files;
  for (const auto& [shard, names] : parse_index(index)) {
    const auto& file = files.emplace_back(std::make_unique<SafetensorsFile>(index.parent_path() / shard));
    for (const std::string& name : names) {
      if (!file->find(name)) {
        bad_input("{}: tensor '{}' is not in {} as the index says", index.string(), printable(name), shard);
      }
    }
    for (const TensorInfo& tensor : file->tensors()) {
      if (!names.contains(tensor.name)) {
        bad_input("{}: tensor '{}' is in {}, where the index does not have it", index.string(),
                  printable(tensor.name), shard);
      }
    }
  }
  return std::make_unique<ShardedSafetensors>(shown, std::move(files));
}

}  // namespace

std::unique_ptr<WeightSource> open_safetensors_weights(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    if (path.extension() == ".json") return open_index(path, path);
    return std::make_unique<SafetensorsFile>(path);
  }
  if (fs::exists(path / kSingleFile, ignored)) return std::make_unique<SafetensorsFile>(path / kSingleFile);
  if (fs::exists(path / kIndexFile, ignored)) return open_index(path / kIndexFile, path);
  const bool pickled = fs::exists(path / "pytorch_model.bin", ignored);
  bad_input("{}: has neither {} nor {}{}", path.string(), kSingleFile, kIndexFile,
            pickled ? "; pytorch_model.bin is not read: save the model again as safetensors"
                    : "; give a folder that holds a model's weights");
}

}  // namespace ft
