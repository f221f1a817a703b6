#include "engine/generate/cache.h"

#include <algorithm>
#include <vector>

#include "engine/ops/head.h"
#include "engine/ops/rows.h"

namespace ft {
namespace {

float widened(double v) {
  return static_cast<float>(v);
}
float widened(BF16 v) {
  return to_float(v);
}
float widened(F16 v) {
  return to_float(v);
}

}  // namespace

void fill_virtual(KvCache& cache, int32_t row, const VirtualTokens& before, Stream& stream, DType compute) {
  for (size_t layer = 0; layer < cache.k.size(); ++layer) {
    int64_t at = row * cache.capacity;
    for (const VirtualTokens::Part* part : {&before.prefix, &before.prompt}) {
      if (!part->kv.empty() && part->kv[layer].defined()) {
        const auto put = [&](const HeadColumns& from, const Tensor& to) {
          launch(stream, compute, [&]<class T>(auto& s) {
            copy_rows(s, CopyRowsArgs<T>{.count = part->rows,
                                         .cols = to.dim(1),
                                         .x = from.var.value().data<T>() + from.column,
                                         .ldx = from.var.value().dim(1),
                                         .y = to.data<T>() + at * to.dim(1),
                                         .ldy = to.dim(1),
                                         .from = {},
                                         .to = {}});
          });
        };
        put(part->kv[layer].k, cache.k[layer]);
        put(part->kv[layer].v, cache.v[layer]);
      }
      at += part->rows;
    }
  }
  cache.length[static_cast<size_t>(row)] = static_cast<int32_t>(before.rows());
}

void for_each_logits(Model& model, Forward& forward, const Tensor& hidden,
                     const std::function<void(int64_t row, std::span<const float> logits)>& f) {
  const LinearWeights head = model.head().weights(forward);
  const int64_t count = hidden.dim(0), most = head_chunk(hidden.device());
  for (int64_t begin = 0; begin < count; begin += most) {
    const int64_t end = std::min(begin + most, count);
    const int32_t bounds[] = {0, static_cast<int32_t>(end - begin)};
    const Tensor logits = head_logits(forward.tape, hidden.rows(begin, end), head,
                                      RowIndex{{forward.tape.upload(bounds), 1}, {}, {}})
                              .to(Device());
    const auto vocab = static_cast<size_t>(logits.dim(1));
    dispatch_compute(ComputeTypes<float, double, BF16, F16>(), logits.dtype(), [&]<class T>() {
      on_host(forward.tape.stream(), end - begin, [&](int64_t i) {
        const T* from = logits.data<T>() + static_cast<size_t>(i) * vocab;
        std::vector<float> row(vocab);
        for (size_t v = 0; v < vocab; ++v) row[v] = widened(from[v]);
        f(begin + i, row);
      });
    });
  }
}

}  // namespace ft
