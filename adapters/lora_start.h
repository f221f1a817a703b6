// The values that LoRA's A and B start from (init_lora_weights). Those taken from the layer's own weight are
// computed in double and rounded once.
//   orthogonal  B A = 0 with both full: halves of one random orthogonal matrix
//   OLoRA       Büyükakyüz 2024: B = Q and A = R of W = Q R, the first r columns and rows
//   PiSSA       Meng et al. 2024: the principal r singular triplets, B A = U S Vᵀ / s
#pragma once

#include <vector>

#include "adapters/lora_config.h"

namespace ft {

struct LoraStart {
  std::vector<float> a;    // [r, in]
  std::vector<float> b_t;  // [r, out]
};

/// `name` and `seed` draw what is random. Signs of PiSSA's and OLoRA's pairs are chosen so that the entry of
/// largest magnitude in each row of A is positive. Throws ft::InputError for a rank that W does not have.
LoraStart start_from_weight(const Linear& linear, const LoraInit& init, int64_t rank, double scale,
                            uint64_t seed, const std::string& where);
LoraStart start_orthogonal(const Linear& linear, int64_t rank, uint64_t seed);

}  // namespace ft
