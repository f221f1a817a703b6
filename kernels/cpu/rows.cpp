// Rows copied by index. Bound by memory; a row goes in one piece.
#include "engine/ops/rows.h"

#include <algorithm>
#include <cstring>

namespace ft {
namespace {

constexpr int64_t kElementsATask = 1 << 15;

template <class T>
void copy(CpuStream& stream, const CopyRowsArgs<T>& a) {
  if (a.count <= 0 || a.cols <= 0) return;
  const int64_t rows = std::max<int64_t>(1, kElementsATask / a.cols), tasks = (a.count + rows - 1) / rows;
  stream.parallel(tasks, [&](int64_t task) {
    const int64_t end = std::min(a.count, (task + 1) * rows);
    for (int64_t i = task * rows; i < end; ++i) {
      const int64_t from = a.from ? a.from[i] : i, to = a.to ? a.to[i] : i;
      std::memcpy(a.y + to * a.ldy, a.x + from * a.ldx, static_cast<size_t>(a.cols) * sizeof(T));
    }
  });
}

}  // namespace

void copy_rows(CpuStream& stream, const CopyRowsArgs<float>& a) {
  copy(stream, a);
}
void copy_rows(CpuStream& stream, const CopyRowsArgs<double>& a) {
  copy(stream, a);
}

}  // namespace ft
