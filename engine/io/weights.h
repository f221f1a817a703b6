// The one interface models are loaded from: named tensors whose rows can be read as float32, whatever the
// file stores. Implemented by safetensors files and folders (below) and by GGUF files (gguf.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ft {

struct TensorInfo {
  std::string name;
  std::vector<int64_t> shape;  // row-major; empty: one number
  std::string type;            // as the file format spells it: "F32", "BF16", "Q4_1", …
};

/// Rows and numbers a row of the tensor seen as [shape[0], everything else]. A scalar is 1 row of 1, a vector
/// shape[0] rows of 1. The product of the two fits int64_t: the readers have checked it.
int64_t row_count(const TensorInfo& tensor);
int64_t row_width(const TensorInfo& tensor);
inline int64_t element_count(const TensorInfo& tensor) {
  return row_count(tensor) * row_width(tensor);
}

/// "[2, 3]"
std::string shape_text(const std::vector<int64_t>& shape);

/// Any number of threads may read from one source.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  /// In the order of the file, which is the order to read them in.
  virtual const std::vector<TensorInfo>& tensors() const = 0;
  /// The tensor of that name, or nullptr. The default searches from the front.
  virtual const TensorInfo* find(std::string_view name) const;

  /// Rows [row, row + rows) of the tensor seen as [row_count, row_width], widened or dequantised to float32
  /// into out[rows * row_width]. Throws InputError "FILE: …" if the stored type cannot be read as float32.
  virtual void read_rows(const TensorInfo& tensor, int64_t row, int64_t rows, float* out) const = 0;
  void read_all(const TensorInfo& tensor, float* out) const { read_rows(tensor, 0, row_count(tensor), out); }

  /// The tensor's pages are not needed any more and may leave memory; reading it again still works.
  virtual void release(const TensorInfo&) const {}

  /// The file or folder, for messages.
  virtual std::string path() const = 0;
};

/// `path`: a .safetensors file; an index of shards (*.safetensors.index.json); or a folder with
/// model.safetensors, else model.safetensors.index.json. The index is strict: each tensor it names is in the
/// shard it names, and no shard holds another.
std::unique_ptr<WeightSource> open_safetensors_weights(const std::filesystem::path& path);

/// What implementations share: the tensors' list with a search by name, and the check of a row range.
class TensorTable {
 public:
  /// The names are unique.
  explicit TensorTable(std::vector<TensorInfo> tensors);
  TensorTable(const TensorTable&) = delete;  // the index points into the names
  TensorTable& operator=(const TensorTable&) = delete;

  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const TensorInfo* find(std::string_view name) const;
  /// Position of the tensor with this name. Throws Error if there is none.
  size_t position(const TensorInfo& tensor) const;

 private:
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string_view, size_t> index_;
};

/// Throws Error unless [row, row + rows) is inside the tensor.
void check_row_range(const TensorInfo& tensor, int64_t row, int64_t rows);

}  // namespace ft
