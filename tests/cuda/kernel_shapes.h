// The one table of shapes of the kernel microbenchmark (bench/kernels.cpp) and of the performance budgets
// (tests/cuda/budget_test.cpp): for every kernel a launch that is small enough to be simulated in a fraction
// of a second, and that has what real ones have (full tiles, several blocks, rows longer than a warp).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace ft::bench {

/// One row: the op, a variant of it, and those of the sizes that it has; 0 where it has none.
struct KernelShape {
  std::string_view op{}, variant{};
  int64_t tokens = 0, cols = 0;                   // T (rows), C (inputs, elements of a row)
  int64_t outputs = 0;                            // N of a product, V of a table or of logits
  int64_t rank = 0;                               // r
  int64_t heads = 0, kv_heads = 0, head_dim = 0;  // H, KV, D
  int64_t samples = 0, keys = 0, prefix = 0;      // B; of a cache, each sample's; P
};

inline constexpr KernelShape kernel_shapes[] = {
    {.op = "norm", .variant = "rms", .tokens = 128, .cols = 1024},
    {.op = "norm", .variant = "layer", .tokens = 128, .cols = 1024},
    {.op = "norm", .variant = "rms of heads", .tokens = 1024, .cols = 64},
    {.op = "norm_grad", .variant = "rms", .tokens = 128, .cols = 1024},
    {.op = "norm_grad", .variant = "layer", .tokens = 128, .cols = 1024},
    {.op = "norm_grad", .variant = "rms of heads", .tokens = 1024, .cols = 64},
    {.op = "rope", .variant = "half-split", .tokens = 128, .heads = 16, .head_dim = 64},
    {.op = "rope", .variant = "neighbours", .tokens = 128, .heads = 16, .head_dim = 64},
    {.op = "activation", .variant = "gelu", .tokens = 128, .cols = 1024},
    {.op = "activation", .variant = "gelu_tanh", .tokens = 128, .cols = 1024},
    {.op = "activation_grad", .variant = "gelu", .tokens = 128, .cols = 1024},
    {.op = "activation_grad", .variant = "gelu_tanh", .tokens = 128, .cols = 1024},
    {.op = "gated_activation", .variant = "silu", .tokens = 128, .cols = 1024},
    {.op = "gated_activation_grad", .variant = "silu", .tokens = 128, .cols = 1024},
    {.op = "add", .tokens = 128, .cols = 1024},
    {.op = "scale", .tokens = 128, .cols = 1024},
    {.op = "column_sum", .tokens = 128, .cols = 1024, .samples = 2},
    {.op = "column_scale", .tokens = 128, .cols = 1024},
    {.op = "column_scale_grad", .tokens = 128, .cols = 1024, .samples = 2},
    {.op = "column_scale", .variant = "pivot", .tokens = 128, .cols = 1024},
    {.op = "row_scale", .tokens = 16, .cols = 4096},
    {.op = "row_dot", .tokens = 16, .cols = 4096},
    {.op = "magnitude", .tokens = 4, .cols = 4096},
    {.op = "importance", .tokens = 16, .cols = 4096},
    {.op = "dropout", .tokens = 128, .cols = 1024},
    {.op = "embedding", .tokens = 128, .cols = 1024, .outputs = 4096},
    {.op = "embedding_grad", .tokens = 128, .cols = 1024, .outputs = 4096},
    {.op = "lstm_cell", .tokens = 1, .cols = 1024},
    {.op = "lstm_cell_grad", .tokens = 1, .cols = 1024},
    {.op = "copy_rows", .tokens = 128, .cols = 1024},
    {.op = "swap_axes", .tokens = 128, .cols = 1024},
    {.op = "low_rank_down", .tokens = 128, .cols = 1024, .rank = 8},
    {.op = "low_rank_down", .variant = "one token", .tokens = 1, .cols = 1024, .rank = 8},
    {.op = "low_rank_up", .tokens = 128, .cols = 1024, .rank = 8},
    {.op = "low_rank_grad", .tokens = 128, .cols = 1024, .rank = 8, .samples = 2},
    {.op = "lora_linear", .tokens = 64, .cols = 512, .outputs = 512, .rank = 8},
    {.op = "low_rank_linear", .tokens = 64, .cols = 512, .outputs = 512, .rank = 8},
    {.op = "low_rank_linear", .variant = "dropout", .tokens = 64, .cols = 512, .outputs = 512, .rank = 8},
    {.op = "low_rank_linear_grad", .tokens = 64, .cols = 512, .outputs = 512, .rank = 8},
    {.op = "low_rank_linear_grad",
     .variant = "dropout",
     .tokens = 64,
     .cols = 512,
     .outputs = 512,
     .rank = 8},
    {.op = "matmul", .tokens = 128, .cols = 1024, .outputs = 1024},
    {.op = "matmul_grad_input", .tokens = 128, .cols = 1024, .outputs = 1024},
    {.op = "matmul_grad_weight", .tokens = 128, .cols = 1024, .outputs = 1024},
    {.op = "attention", .tokens = 128, .heads = 8, .kv_heads = 4, .head_dim = 64, .samples = 1},
    {.op = "attention",
     .variant = "prefix",
     .tokens = 128,
     .heads = 8,
     .kv_heads = 4,
     .head_dim = 64,
     .samples = 2,
     .prefix = 16},
    {.op = "attention",
     .variant = "generation",
     .tokens = 2,
     .heads = 8,
     .kv_heads = 4,
     .head_dim = 64,
     .samples = 2,
     .keys = 1088},
    {.op = "attention_grad", .tokens = 128, .heads = 8, .kv_heads = 4, .head_dim = 64, .samples = 1},
    {.op = "attention_grad",
     .variant = "prefix",
     .tokens = 128,
     .heads = 8,
     .kv_heads = 4,
     .head_dim = 64,
     .samples = 2,
     .prefix = 16},
    {.op = "attention_grad",
     .variant = "bias by distance",
     .tokens = 128,
     .heads = 8,
     .kv_heads = 8,
     .head_dim = 64,
     .samples = 1},
    {.op = "cross_entropy", .tokens = 64, .outputs = 4096},
    {.op = "adamw", .tokens = 128, .cols = 1024},
    {.op = "sgd", .variant = "momentum", .tokens = 128, .cols = 1024},
    {.op = "sum_squares", .tokens = 128, .cols = 1024},
    {.op = "adamw_step", .tokens = 128, .cols = 1024},
    {.op = "sgd_step", .variant = "momentum", .tokens = 128, .cols = 1024},
    {.op = "square_gradients", .tokens = 128, .cols = 1024},
    {.op = "clear_gradients", .tokens = 128, .cols = 1024},
    {.op = "next_token", .variant = "greedy", .tokens = 4, .outputs = 8192},
    {.op = "next_token", .variant = "top-k, top-p", .tokens = 4, .outputs = 8192},
    {.op = "convert_rows", .variant = "from the other", .tokens = 128, .cols = 1024},
};

}  // namespace ft::bench
