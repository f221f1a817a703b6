// LSTM (Hochreiter and Schmidhuber 1997), gates, biases and their order as in PyTorch's nn.LSTM:
//   a = W_ih x_t + b_ih + W_hh h_{t−1} + b_hh,   i, f, g, o = σ(a_i), σ(a_f), tanh(a_g), σ(a_o)
//   c_t = f ⊙ c_{t−1} + i ⊙ g,   h_t = o ⊙ tanh(c_t),   h_{−1} = c_{−1} = 0
// The kernels are the cell, one step of a sequence; the products are matmul's: one for all steps' inputs, one
// a step for the state. That suits prompt encoders, a few dozen steps once per optimizer step.
// Saved for backward: x, y, the gates [tokens, 4H] and c [tokens, H] of each direction.
#pragma once

#include <cstdint>
#include <span>

#include "engine/autograd/fwd.h"
#include "engine/core/backend_streams.h"

namespace ft {

template <class T>
struct LstmCellArgs {
  int64_t hidden = 0;                 // H
  T* gates = nullptr;                 // [4H]: a on entry, i, f, g, o on return
  const Wide<T>* c_before = nullptr;  // [H], or null for zeros
  Wide<T>* c = nullptr;               // [H]
  T* h = nullptr;                     // [H]
};

template <class T>
struct LstmCellGradArgs {
  int64_t hidden = 0;
  const T* gates = nullptr;           // i, f, g, o
  const Wide<T>* c_before = nullptr;  // [H], or null for zeros
  const Wide<T>* c = nullptr;         // [H]
  const T* dh = nullptr;              // [H]
  Wide<T>* dc = nullptr;              // [H]: of c from the step behind; on return: of c_before, or 0
  T* dgates = nullptr;                // [4H]: of a; overwritten
};

void lstm_cell(CpuStream&, const LstmCellArgs<float>&);
void lstm_cell(CpuStream&, const LstmCellArgs<double>&);
void lstm_cell(CudaStream&, const LstmCellArgs<float>&);
void lstm_cell(CudaStream&, const LstmCellArgs<BF16>&);
void lstm_cell(CudaStream&, const LstmCellArgs<F16>&);
void lstm_cell_grad(CpuStream&, const LstmCellGradArgs<float>&);
void lstm_cell_grad(CpuStream&, const LstmCellGradArgs<double>&);
void lstm_cell_grad(CudaStream&, const LstmCellGradArgs<float>&);
void lstm_cell_grad(CudaStream&, const LstmCellGradArgs<BF16>&);
void lstm_cell_grad(CudaStream&, const LstmCellGradArgs<F16>&);

// ---- differentiable

struct LstmDirection {
  Parameter *w_ih = nullptr, *w_hh = nullptr;  // [4H, in], [4H, H], packed
  Parameter *b_ih = nullptr, *b_hh = nullptr;  // [4H]
};

/// One layer over the pass's samples, a sequence each: x [tokens, in] → [tokens, directions · H], a
/// direction's columns side by side. The first direction reads forwards, a second one backwards.
Var lstm_layer(Tape&, const Var& x, std::span<const LstmDirection> directions);

}  // namespace ft
