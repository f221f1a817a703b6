// What the ways to generate share: virtual tokens put into a cache row, and the logits of chosen hidden
// states.
#pragma once

#include <functional>
#include <span>

#include "engine/nn/model.h"

namespace ft {

/// Puts the keys and values of virtual tokens at the start of a cache row, which holds nothing else then.
void fill_virtual(KvCache& cache, int32_t row, const VirtualTokens& before, Stream& stream, DType compute);

/// f(row, logits [V]) for every row of hidden states [rows, C], in chunks, several rows at once.
void for_each_logits(Model& model, Forward& forward, const Tensor& hidden,
                     const std::function<void(int64_t row, std::span<const float> logits)>& f);

}  // namespace ft
