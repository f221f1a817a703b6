#include "engine/io/weights.h"

#include <fmt/ranges.h>

#include <utility>

#include "engine/core/check.h"

namespace ft {

int64_t row_count(const TensorInfo& tensor) {
  return tensor.shape.empty() ? 1 : tensor.shape[0];
}

int64_t row_width(const TensorInfo& tensor) {
  int64_t width = 1;
  for (size_t i = 1; i < tensor.shape.size(); ++i) width *= tensor.shape[i];
  return width;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

const TensorInfo* WeightSource::find(std::string_view name) const {
  for (const TensorInfo& tensor : tensors()) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

TensorTable::TensorTable(std::vector<TensorInfo> tensors) : tensors_(std::move(tensors)) {
  index_.reserve(tensors_.size());
  for (size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
  FT_CHECK(index_.size() == tensors_.size(),
           "[TensorTable] expected unique names, got {} names for {} tensors", index_.size(),
           tensors_.size());
}

const TensorInfo* TensorTable::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

size_t TensorTable::position(const TensorInfo& tensor) const {
  const auto found = index_.find(tensor.name);
  FT_CHECK(found != index_.end(), "[weights] expected a tensor of this source, got '{}'", tensor.name);
  return found->second;
}

void check_row_range(const TensorInfo& tensor, int64_t row, int64_t rows) {
  const int64_t count = row_count(tensor);
  FT_CHECK(row >= 0 && rows >= 0 && row <= count && rows <= count - row,
           "[read_rows] expected rows inside the {} of '{}', got {} from {}", count, tensor.name, rows, row);
}

}  // namespace ft
