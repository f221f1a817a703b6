// The cell of an LSTM and its gradient as plain loops, from the gates' sums.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace ft::test {

template <class T>
struct LstmCellBuffers {
  std::vector<T> sums, c_before;                  // [4H], [H] (empty: zeros)
  std::vector<T> dh, dc;                          // [H]
  std::vector<T> gates, c, h, dgates, dc_before;  // results
};

template <class T>
void lstm_cell_oracle(LstmCellBuffers<T>& b, size_t hidden) {
  const auto sigmoid = [](T x) { return 1 / (1 + std::exp(-x)); };
  b.gates.resize(4 * hidden);
  b.dgates.resize(4 * hidden);
  b.c.resize(hidden);
  b.h.resize(hidden);
  b.dc_before.resize(hidden);
  for (size_t u = 0; u < hidden; ++u) {
    const T i = sigmoid(b.sums[u]), f = sigmoid(b.sums[hidden + u]), g = std::tanh(b.sums[2 * hidden + u]),
            o = sigmoid(b.sums[3 * hidden + u]), before = b.c_before.empty() ? T{0} : b.c_before[u];
    b.gates[u] = i;
    b.gates[hidden + u] = f;
    b.gates[2 * hidden + u] = g;
    b.gates[3 * hidden + u] = o;
    b.c[u] = f * before + i * g;
    const T t = std::tanh(b.c[u]);
    b.h[u] = o * t;
    const T dc = b.dc[u] + b.dh[u] * o * (1 - t * t);
    b.dgates[u] = dc * g * i * (1 - i);
    b.dgates[hidden + u] = dc * before * f * (1 - f);
    b.dgates[2 * hidden + u] = dc * i * (1 - g * g);
    b.dgates[3 * hidden + u] = b.dh[u] * t * o * (1 - o);
    b.dc_before[u] = b.c_before.empty() ? T{0} : dc * f;
  }
}

}  // namespace ft::test
