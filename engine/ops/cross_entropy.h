// Softmax cross entropy of one chunk of logits, forward and backward in one pass: the chunk is overwritten by
// its gradient, so no [tokens, vocabulary] buffer exists anywhere.
//   loss[i] = logsumexp(z_i) − z_i[target_i];   dz_i = scale · (softmax(z_i) − onehot(target_i))
#pragma once

#include <cstdint>

#include "engine/core/backend_streams.h"
#include "engine/core/index_view.h"

namespace ft {

template <class T>
struct CrossEntropyArgs {
  int64_t rows = 0, classes = 0;
  T* logits = nullptr;  // [rows, classes], row stride ld; overwritten by the gradient when `gradient` is set
  int64_t ld = 0;
  IndexView targets;  // [rows], each in [0, classes)
  Wide<T> scale = 1;  // of the gradient only
  bool gradient = false;
  double* loss = nullptr;     // [rows]
  int32_t* argmax = nullptr;  // [rows] or null: lowest index of the largest logit
};

void cross_entropy(CpuStream&, const CrossEntropyArgs<float>&);
void cross_entropy(CpuStream&, const CrossEntropyArgs<double>&);
void cross_entropy(CudaStream&, const CrossEntropyArgs<float>&);
void cross_entropy(CudaStream&, const CrossEntropyArgs<BF16>&);
void cross_entropy(CudaStream&, const CrossEntropyArgs<F16>&);

}  // namespace ft
