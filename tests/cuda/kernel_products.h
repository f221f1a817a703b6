// Launches of the products: matmul and its gradients, the thin products of LoRA, LoRA fused.
#pragma once

#include "engine/ops/low_rank.h"
#include "engine/ops/low_rank_linear.h"
#include "engine/ops/matmul.h"
#include "kernels/cuda/lora_linear.h"
#include "tests/cuda/kernel_launch.h"

namespace ft::bench {

template <class S, class T>
struct ProductLaunches {
  static constexpr double e = sizeof(T), w = sizeof(Wide<T>);
  static double real(int64_t n) { return static_cast<double>(n); }

  /// A weight [N, C] in T, in the layout of any backend (a packed one is larger).
  static PackedView weight(const KernelShape& c, Operands& o) {
    return {dtype_of<T>, c.outputs, c.cols, o.numbers<T>(packed_elements(c.outputs, c.cols))};
  }
  static Work product(const KernelShape& c, double weight_bytes) {
    return {real(c.tokens * (c.cols + c.outputs)) * e + real(c.outputs * c.cols) * weight_bytes,
            2 * real(c.tokens * c.cols * c.outputs)};
  }
  static Launch<S> forward(const KernelShape& c, Operands& o) {
    MatmulArgs<T> a;
    a.tokens = c.tokens;
    a.w = weight(c, o);
    a.x = o.numbers<T>(c.tokens * c.cols);
    a.ldx = c.cols;
    a.y = o.zeros<T>(c.tokens * c.outputs);
    a.ldy = c.outputs;
    return {product(c, e), [a](S& s) { matmul(s, a); }};
  }
  static Launch<S> grad_input(const KernelShape& c, Operands& o) {
    MatmulGradInputArgs<T> a;
    a.tokens = c.tokens;
    a.w = weight(c, o);
    a.dy = o.numbers<T>(c.tokens * c.outputs);
    a.ldy = c.outputs;
    a.dx = o.zeros<T>(c.tokens * c.cols);
    a.ldx = c.cols;
    return {product(c, e), [a](S& s) { matmul_grad_input(s, a); }};
  }
  static Launch<S> grad_weight(const KernelShape& c, Operands& o) {
    MatmulGradWeightArgs<T> a;
    a.segments = o.segments(c.tokens, 1);
    a.rows = c.outputs;
    a.cols = c.cols;
    a.dy = o.numbers<T>(c.tokens * c.outputs);
    a.ldy = c.outputs;
    a.x = o.numbers<T>(c.tokens * c.cols);
    a.ldx = c.cols;
    a.dw = o.zeros<Wide<T>>(packed_elements(c.outputs, c.cols));
    return {product(c, 2 * w), [a](S& s) { matmul_grad_weight(s, a); }};
  }

  static Work thin(const KernelShape& c, double wide_bytes, double weight_bytes) {
    return {real(c.tokens * c.cols) * wide_bytes + real(c.tokens * c.rank) * e +
                real(c.rank * c.cols) * weight_bytes,
            2 * real(c.tokens * c.cols * c.rank)};
  }
  static Launch<S> down(const KernelShape& c, Operands& o) {
    const LowRankDownArgs<T> a{c.tokens, c.rank,
                               c.cols,   o.numbers<T>(c.tokens * c.cols),
                               c.cols,   o.numbers<Wide<T>>(c.rank * c.cols),
                               1,        o.zeros<T>(c.tokens * c.rank)};
    return {thin(c, e, w), [a](S& s) { low_rank_down(s, a); }};
  }
  static Launch<S> up(const KernelShape& c, Operands& o) {
    const LowRankUpArgs<T> a{c.tokens,
                             c.rank,
                             c.cols,
                             o.numbers<T>(c.tokens * c.rank),
                             o.numbers<Wide<T>>(c.rank * c.cols),
                             static_cast<Wide<T>>(1e-3),
                             o.zeros<T>(c.tokens * c.cols),
                             c.cols,
                             true};
    return {thin(c, 2 * e, w), [a](S& s) { low_rank_up(s, a); }};
  }
  static Launch<S> grad(const KernelShape& c, Operands& o) {
    const LowRankGradArgs<T> a{
        o.segments(c.tokens, c.samples), c.rank, c.cols, o.numbers<T>(c.tokens * c.rank),
        o.numbers<T>(c.tokens * c.cols), c.cols, 1,      o.zeros<Wide<T>>(c.rank * c.cols)};
    return {thin(c, e, 2 * w), [a](S& s) { low_rank_grad(s, a); }};
  }
  /// Of one sample, with the operands of its single term; "dropout": of the term.
  static LowRankTermArgs<T> term(const KernelShape& c, Operands& o) {
    LowRankTermArgs<T> t;
    t.rank = c.rank;
    t.a = o.numbers<Wide<T>>(c.rank * c.cols);
    t.b_t = o.numbers<Wide<T>>(c.rank * c.outputs);
    t.dropout = c.variant == "dropout" ? 0.1f : 0;
    t.u = o.numbers<T>(c.tokens * c.rank);
    t.du = o.zeros<T>(c.tokens * c.rank);
    t.da = o.zeros<Wide<T>>(c.rank * c.cols);
    t.db_t = o.zeros<Wide<T>>(c.rank * c.outputs);
    return t;
  }
  static Work with_term(const KernelShape& c, double passes, double steps) {
    Work work = product(c, e);
    work.bytes += passes * real(c.rank * (c.cols + c.outputs)) * w;
    work.flops += steps * 2 * real(c.tokens * c.rank * (c.cols + c.outputs));
    return work;
  }
  static Launch<S> adapted(const KernelShape& c, Operands& o) {
    const std::vector<LowRankTermArgs<T>> terms = {term(c, o)};
    LowRankLinearArgs<T> a;
    a.tokens = c.tokens;
    a.w = weight(c, o);
    a.x = o.numbers<T>(c.tokens * c.cols);
    a.y = o.zeros<T>(c.tokens * c.outputs);
    a.row = o.sequence(c.tokens, 0);
    a.position = o.sequence(c.tokens);
    return {with_term(c, 1, 1), [a, terms](S& s) mutable {
              a.terms = terms;
              low_rank_linear(s, a);
            }};
  }
  static Launch<S> adapted_grad(const KernelShape& c, Operands& o) {
    const std::vector<LowRankTermArgs<T>> terms = {term(c, o)};
    LowRankLinearGradArgs<T> a;
    a.segments = o.segments(c.tokens, 1);
    a.w = weight(c, o);
    a.x = o.numbers<T>(c.tokens * c.cols);
    a.dy = o.numbers<T>(c.tokens * c.outputs);
    a.dx = o.zeros<T>(c.tokens * c.cols);
    a.row = o.sequence(c.tokens, 0);
    a.position = o.sequence(c.tokens);
    return {with_term(c, 3, 2), [a, terms](S& s) mutable {
              a.terms = terms;
              low_rank_linear_grad(s, a);
            }};
  }
  static Launch<S> fused(const KernelShape& c, Operands& o) {
    LoraLinearArgs<T> a;
    a.tokens = c.tokens;
    a.outputs = c.outputs;
    a.inputs = a.ldx = c.cols;
    a.rank = c.rank;
    a.x = o.numbers<T>(c.tokens * c.cols);
    a.w = o.numbers<T>(c.outputs * c.cols);
    a.bias = o.numbers<Wide<T>>(c.outputs);
    a.a = o.numbers<Wide<T>>(c.rank * c.cols);
    a.bt = o.numbers<Wide<T>>(c.rank * c.outputs);
    a.y = o.zeros<T>(c.tokens * c.outputs);
    a.ldy = c.outputs;
    Work work = product(c, e);
    work.bytes += real(c.outputs + c.rank * (c.cols + c.outputs)) * w;
    work.flops += 2 * real(c.tokens * c.rank * (c.cols + c.outputs));
    return {work, [a](S& s) { lora_linear(s, a); }};
  }
};

template <class S, class T>
Makers<S> product_makers() {
  using L = ProductLaunches<S, T>;
  Makers<S> makers = {{"matmul", L::forward},
                      {"matmul_grad_input", L::grad_input},
                      {"matmul_grad_weight", L::grad_weight},
                      {"low_rank_down", L::down},
                      {"low_rank_up", L::up},
                      {"low_rank_grad", L::grad},
                      {"low_rank_linear", L::adapted},
                      {"low_rank_linear_grad", L::adapted_grad}};
  if constexpr (std::is_same_v<S, CudaStream>) makers["lora_linear"] = L::fused;
  return makers;
}

}  // namespace ft::bench
