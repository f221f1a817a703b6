// safetensors files, the reading side. Format: u64 length N, N bytes of JSON, then one byte buffer.
//
//   {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin,
//   end]}, …}
//
// Invariant after opening: every tensor's bytes are exactly what its shape and type need, and the tensors
// tile the buffer with neither holes nor overlaps (the format's own rule), so no later read needs a check.
// Opening reads only the header; the data stays in the mapped file. Source: huggingface/safetensors, README
// "Format".
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "engine/io/mapped_file.h"
#include "engine/io/weights.h"

namespace ft {

/// The limit of the reference implementation.
constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;

/// Bytes of one element of a safetensors type ("F32", "BF16", "I64", …); 0 if the type is unknown.
size_t safetensors_element_size(std::string_view dtype);

class SafetensorsFile : public WeightSource {
 public:
  /// Throws InputError "FILE: …" for everything that is wrong with the file.
  explicit SafetensorsFile(const std::filesystem::path& path);

  /// In the order of the buffer.
  const std::vector<TensorInfo>& tensors() const override { return table_->tensors(); }
  const TensorInfo* find(std::string_view name) const override { return table_->find(name); }
  /// F32, F16, BF16 and F64 (rounded) can be read; other types fail here, not at opening.
  void read_rows(const TensorInfo& tensor, int64_t row, int64_t rows, float* out) const override;
  void release(const TensorInfo& tensor) const override;
  std::string path() const override { return file_.path().string(); }

  /// The tensor's bytes as stored: little endian, row-major, at any alignment.
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;
  /// The texts of "__metadata__".
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  struct Extent {
    uint64_t begin, end;  // in the file
  };

  MappedFile file_;
  std::map<std::string, std::string> metadata_;
  std::unique_ptr<TensorTable> table_;
  std::vector<Extent> extents_;  // parallel to the table
};

}  // namespace ft
