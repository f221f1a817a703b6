// The cell of an LSTM: a thread has a unit, its four gates lie H elements apart, so neighbouring threads read
// neighbouring elements. Arithmetic is float32, the state c too; gates and h are rounded to T once. Cheap
// beside the products of its step, which are the library's.
#include "engine/ops/lstm.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/value.cuh"

namespace ft {
namespace {

constexpr int kUnits = 128;  // a block

__device__ __forceinline__ float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

template <class T>
__global__ void __launch_bounds__(kUnits) lstm_cell_kernel(LstmCellArgs<T> a) {
  const int64_t H = a.hidden, u = int64_t{blockIdx.x} * kUnits + threadIdx.x;
  if (u >= H) return;
  const float i = sigmoid(value(a.gates[u])), f = sigmoid(value(a.gates[H + u])),
              g = tanhf(value(a.gates[2 * H + u])), o = sigmoid(value(a.gates[3 * H + u]));
  const float c = (a.c_before ? f * a.c_before[u] : 0.0f) + i * g;
  a.gates[u] = rounded<T>(i);
  a.gates[H + u] = rounded<T>(f);
  a.gates[2 * H + u] = rounded<T>(g);
  a.gates[3 * H + u] = rounded<T>(o);
  a.c[u] = c;
  a.h[u] = rounded<T>(o * tanhf(c));
}

template <class T>
__global__ void __launch_bounds__(kUnits) lstm_cell_grad_kernel(LstmCellGradArgs<T> a) {
  const int64_t H = a.hidden, u = int64_t{blockIdx.x} * kUnits + threadIdx.x;
  if (u >= H) return;
  const float i = value(a.gates[u]), f = value(a.gates[H + u]), g = value(a.gates[2 * H + u]),
              o = value(a.gates[3 * H + u]), dh = value(a.dh[u]), t = tanhf(a.c[u]);
  const float dc = a.dc[u] + dh * o * (1.0f - t * t);
  a.dgates[u] = rounded<T>(dc * g * i * (1.0f - i));
  a.dgates[H + u] = rounded<T>(a.c_before ? dc * a.c_before[u] * f * (1.0f - f) : 0.0f);
  a.dgates[2 * H + u] = rounded<T>(dc * i * (1.0f - g * g));
  a.dgates[3 * H + u] = rounded<T>(dh * t * o * (1.0f - o));
  a.dc[u] = a.c_before ? dc * f : 0.0f;
}

unsigned blocks(int64_t hidden) {
  return static_cast<unsigned>(blocks_for(hidden, kUnits));
}

template <class T>
void cell(CudaStream& s, const LstmCellArgs<T>& a) {
  if (a.hidden == 0) return;
  lstm_cell_kernel<<<blocks(a.hidden), kUnits, 0, s.handle()>>>(a);
  check_launch("lstm_cell");
}

template <class T>
void cell_grad(CudaStream& s, const LstmCellGradArgs<T>& a) {
  if (a.hidden == 0) return;
  lstm_cell_grad_kernel<<<blocks(a.hidden), kUnits, 0, s.handle()>>>(a);
  check_launch("lstm_cell_grad");
}

}  // namespace

void lstm_cell(CudaStream& s, const LstmCellArgs<float>& a) {
  cell(s, a);
}
void lstm_cell(CudaStream& s, const LstmCellArgs<BF16>& a) {
  cell(s, a);
}
void lstm_cell(CudaStream& s, const LstmCellArgs<F16>& a) {
  cell(s, a);
}
void lstm_cell_grad(CudaStream& s, const LstmCellGradArgs<float>& a) {
  cell_grad(s, a);
}
void lstm_cell_grad(CudaStream& s, const LstmCellGradArgs<BF16>& a) {
  cell_grad(s, a);
}
void lstm_cell_grad(CudaStream& s, const LstmCellGradArgs<F16>& a) {
  cell_grad(s, a);
}

}  // namespace ft
