#include "engine/ops/rows.h"

#include <vector>

#include "engine/autograd/tape.h"
#include "engine/ops/elementwise.h"

namespace ft {
namespace {

// y[to[i]] = x[from[i]] over rows of `cols` elements that lie end to end.
void copy(Tape& tape, const Tensor& x, IndexView from, const Tensor& y, IndexView to, int64_t count,
          int64_t cols) {
  if (count == 0) return;
  launch(tape.stream(), x.dtype(), [&]<class T>(auto& s) {
    copy_rows(s, CopyRowsArgs<T>{.count = count,
                                 .cols = cols,
                                 .x = x.data<T>(),
                                 .ldx = cols,
                                 .y = y.data<T>(),
                                 .ldy = cols,
                                 .from = from,
                                 .to = to});
  });
}
// The same over whole rows of equal width.
void copy(Tape& tape, const Tensor& x, IndexView from, const Tensor& y, IndexView to, int64_t count) {
  copy(tape, x, from, y, to, count, x.dim(1));
}

Tensor rows_like(const Tensor& x, int64_t rows) {
  return Tensor::empty({rows, x.dim(1)}, x.dtype(), MemoryClass::activations, x.device());
}

}  // namespace

Var prepend_rows(Tape& tape, const Var& x, const Var& lead) {
  const Layout& layout = tape.layout();
  const int64_t virtual_rows = lead.value().dim(0);
  auto places = std::make_shared<std::vector<int32_t>>();  // of x's rows
  std::vector<int32_t> starts;                             // of the samples that begin with `lead`
  for (int32_t s = 0; s < layout.samples(); ++s) {
    const int32_t leading = layout.leading[static_cast<size_t>(s)];
    FT_CHECK(leading == 0 || leading == virtual_rows, "[prepend_rows] expected 0 or {} leading rows, got {}",
             virtual_rows, leading);
    if (leading > 0) starts.push_back(layout.bounds[s]);
    for (int32_t t = layout.bounds[s] + leading; t < layout.bounds[s + 1]; ++t) places->push_back(t);
  }
  const auto count = static_cast<int64_t>(places->size());
  FT_CHECK(count == (x.defined() ? x.value().dim(0) : 0), "[prepend_rows] expected {} rows, got {}", count,
           x.defined() ? x.value().dim(0) : 0);
  const Var y(rows_like(lead.value(), layout.tokens()), tape.wants(x, lead));
  const IndexView to = tape.upload(*places);
  if (x.defined()) copy(tape, x.value(), {}, y.value(), to, count);
  for (const int32_t start : starts)
    copy(tape, lead.value(), {}, y.value().rows(start, start + virtual_rows), {}, virtual_rows);
  if (y.requires_grad())
    tape.record(y.gradient(), [&tape, places, to, starts, count, virtual_rows, dx = x.gradient(),
                               dlead = lead.gradient(), dy = y.gradient()] {
      if (dx) {
        const Tensor g = rows_like(dy.sum(), count);
        copy(tape, dy.sum(), to, g, {}, count);
        dx.add(tape.stream(), g);
      }
      if (!dlead) return;
      for (const int32_t start : starts) {
        const Tensor g = rows_like(dy.sum(), virtual_rows);
        copy(tape, dy.sum().rows(start, start + virtual_rows), {}, g, {}, virtual_rows);
        dlead.add(tape.stream(), g);
      }
    });
  return y;
}

Var move_pieces(Tape& tape, const Var& x, int64_t size, const PieceOrder& order) {
  const int64_t tokens = x.value().dim(0), cols = x.value().dim(1), count = tokens * (cols / size);
  FT_CHECK(cols % size == 0, "[move_pieces] expected a multiple of {} columns, got {}", size, cols);
  const Var y(rows_like(x.value(), tokens), tape.wants(x));
  copy(tape, x.value(), {}, y.value(), order.view, count, size);
  if (y.requires_grad())
    tape.record(y.gradient(), [&tape, count, size, order, dx = x.gradient(), dy = y.gradient()] {
      const Tensor g = rows_like(dy.sum(), dy.sum().dim(0));
      copy(tape, dy.sum(), order.view, g, {}, count, size);
      dx.add(tape.stream(), g);
    });
  return y;
}

}  // namespace ft
