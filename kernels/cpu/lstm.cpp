// The cell of an LSTM: a plain loop over its units, which are few (a prompt encoder's).
#include "engine/ops/lstm.h"

#include <cmath>

#include "kernels/cpu/blocks.h"

namespace ft {
namespace {

constexpr int64_t kTaskUnits = 512;  // five exponentials each: some 10 µs

template <class T>
T sigmoid(T x) {
  return 1 / (1 + std::exp(-x));
}

template <class T>
void cell(CpuStream& stream, const LstmCellArgs<T>& a) {
  const int64_t H = a.hidden;
  T *i = a.gates, *f = i + H, *g = f + H, *o = g + H;
  parallel_blocks(stream, H, kTaskUnits, [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      i[u] = sigmoid(i[u]);
      f[u] = sigmoid(f[u]);
      g[u] = std::tanh(g[u]);
      o[u] = sigmoid(o[u]);
      a.c[u] = (a.c_before ? f[u] * a.c_before[u] : T{0}) + i[u] * g[u];
      a.h[u] = o[u] * std::tanh(a.c[u]);
    }
  });
}

template <class T>
void cell_grad(CpuStream& stream, const LstmCellGradArgs<T>& a) {
  const int64_t H = a.hidden;
  const T *i = a.gates, *f = i + H, *g = f + H, *o = g + H;
  parallel_blocks(stream, H, kTaskUnits, [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      const T t = std::tanh(a.c[u]), dc = a.dc[u] + a.dh[u] * o[u] * (1 - t * t);
      a.dgates[u] = dc * g[u] * i[u] * (1 - i[u]);
      a.dgates[H + u] = a.c_before ? dc * a.c_before[u] * f[u] * (1 - f[u]) : T{0};
      a.dgates[2 * H + u] = dc * i[u] * (1 - g[u] * g[u]);
      a.dgates[3 * H + u] = a.dh[u] * t * o[u] * (1 - o[u]);
      a.dc[u] = a.c_before ? dc * f[u] : T{0};
    }
  });
}

}  // namespace

void lstm_cell(CpuStream& s, const LstmCellArgs<float>& a) {
  cell(s, a);
}
void lstm_cell(CpuStream& s, const LstmCellArgs<double>& a) {
  cell(s, a);
}
void lstm_cell_grad(CpuStream& s, const LstmCellGradArgs<float>& a) {
  cell_grad(s, a);
}
void lstm_cell_grad(CpuStream& s, const LstmCellGradArgs<double>& a) {
  cell_grad(s, a);
}

}  // namespace ft
