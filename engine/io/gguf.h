// GGUF files, versions 2 and 3, little endian, the reading side.
//
//   "GGUF", u32 version, u64 tensors, u64 keys, the key-value pairs, the tensors' infos, padding, the data
//   info: string name, u32 dimensions, u64 sizes fastest first, u32 type, u64 offset in the data
//
// Invariant after opening: every tensor is whole blocks of a known type, lies inside the file at a multiple
// of the alignment, and shares no byte with another, so no later read needs a check. Opening reads only what
// stands before the data. Source: ggml docs/gguf.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/gguf_metadata.h"
#include "engine/io/gguf_quants.h"
#include "engine/io/mapped_file.h"
#include "engine/io/weights.h"

namespace ft {

class GgufFile : public WeightSource {
 public:
  /// Throws InputError "FILE: …" for everything that is wrong with the file.
  explicit GgufFile(const std::filesystem::path& path);

  const GgufMetadata& metadata() const { return metadata_; }

  /// Shapes are row-major, the reverse of the file's: a linear layer's weight is [out, in].
  const std::vector<TensorInfo>& tensors() const override { return table_->tensors(); }
  const TensorInfo* find(std::string_view name) const override { return table_->find(name); }
  /// Types without a dequantiser fail here, not at opening. A range of a quantised vector (one dimension)
  /// begins and ends at a block's border; rows of anything wider always do.
  void read_rows(const TensorInfo& tensor, int64_t row, int64_t rows, float* out) const override;
  void release(const TensorInfo& tensor) const override;
  std::string path() const override { return file_.path().string(); }

  /// The tensor's blocks as stored.
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;
  const GgmlType& type(const TensorInfo& tensor) const;

 private:
  struct Extent {
    const GgmlType* type;
    uint64_t begin, bytes;  // in the file
  };

  MappedFile file_;
  GgufMetadata metadata_;
  std::unique_ptr<TensorTable> table_;
  std::vector<Extent> extents_;  // parallel to the table
};

}  // namespace ft
