#include "engine/train/batch.h"

namespace ft {

std::vector<const std::vector<int32_t>*> Batch::arrays() const {
  return {&layout->bounds, &layout->row, &layout->position, ids.get(),     predicting.get(),
          &targets,        &target_row,  &target_position,  &target_bounds};
}

bool Batch::same_shape(const Batch& other) const {
  return layout->bounds == other.layout->bounds && layout->position == other.layout->position &&
         layout->leading == other.layout->leading && *predicting == *other.predicting &&
         target_position == other.target_position && target_bounds == other.target_bounds;
}

Batch lay_out(std::span<const DataRow* const> rows, int32_t first_row, const AdapterStep* adapters) {
  const VirtualTokens* before = adapters ? adapters->before() : nullptr;
  const int32_t leading = adapters ? adapters->leading_rows() : 0,
                first_position = before ? static_cast<int32_t>(before->rows()) : 0;
  Batch b;
  for (size_t r = 0; r < rows.size(); ++r) {
    const DataRow& row = *rows[r];
    const int32_t start = b.layout->bounds.back(), name = first_row + static_cast<int32_t>(r);
    b.layout->add_sample(static_cast<int64_t>(row.ids.size()), name, first_position, leading);
    b.ids->insert(b.ids->end(), row.ids.begin(), row.ids.end());
    for (size_t i = leading > 0 ? 0 : 1; i < row.ids.size(); ++i) {
      if (row.labels[i] == kNoTarget) continue;
      const int32_t at = leading + static_cast<int32_t>(i) - 1;
      b.predicting->push_back(start + at);
      b.targets.push_back(row.labels[i]);
      b.target_row.push_back(name);
      b.target_position.push_back(first_position + at);
    }
    b.target_bounds.push_back(static_cast<int32_t>(b.targets.size()));
  }
  return b;
}

}  // namespace ft
