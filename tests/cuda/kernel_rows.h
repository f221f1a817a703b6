// Launches of what goes over rows or elements: norms, RoPE, activations, sums, tables, loss, optimizer.
#pragma once

#include "engine/ops/activation.h"
#include "engine/ops/column_scale.h"
#include "engine/ops/cross_entropy.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/embedding.h"
#include "engine/ops/importance.h"
#include "engine/ops/lstm.h"
#include "engine/ops/magnitude.h"
#include "engine/ops/norm.h"
#include "engine/ops/optimizer.h"
#include "engine/ops/optimizer_step.h"
#include "engine/ops/pieces.h"
#include "engine/ops/rope.h"
#include "engine/ops/row_scale.h"
#include "engine/ops/rows.h"
#include "engine/ops/sampling.h"
#include "kernels/cuda/convert.h"
#include "tests/cuda/kernel_launch.h"

namespace ft::bench {

template <class S, class T>
struct RowLaunches {
  static constexpr double e = sizeof(T), w = sizeof(Wide<T>);
  static double real(int64_t n) { return static_cast<double>(n); }
  static int64_t count(const KernelShape& c) { return c.tokens * c.cols; }
  /// Of `passes` over the elements, `flops` operations on each.
  static Work each(const KernelShape& c, double passes, double flops, double bytes = e) {
    return {passes * real(count(c)) * bytes, flops * real(count(c))};
  }
  static T* input(const KernelShape& c, Operands& o) { return o.numbers<T>(count(c)); }
  static T* result(const KernelShape& c, Operands& o) { return o.zeros<T>(count(c)); }

  static Launch<S> norm_forward(const KernelShape& c, Operands& o) {
    NormArgs<T> a;
    a.rows = c.tokens;
    a.cols = c.cols;
    a.x = input(c, o);
    a.weight = o.numbers<Wide<T>>(c.cols);
    a.eps = static_cast<Wide<T>>(1e-6);
    a.y = result(c, o);
    a.rstd = o.zeros<Wide<T>>(c.tokens);
    a.center = c.variant == "layer";
    const bool residual = c.variant == "rms";
    if (a.center) {
      a.bias = o.numbers<Wide<T>>(c.cols);
      a.mean = o.zeros<Wide<T>>(c.tokens);
    }
    if (residual) {
      a.residual = input(c, o);
      a.sum = result(c, o);
    }
    return {each(c, residual ? 4 : 2, a.center ? 8 : 5), [a](S& s) { norm(s, a); }};
  }
  static Launch<S> norm_backward(const KernelShape& c, Operands& o) {
    NormGradArgs<T> a;
    a.rows_per_token = c.variant == "rms of heads" ? 16 : 1;
    a.segments = o.segments(c.tokens / a.rows_per_token, 2);
    a.cols = c.cols;
    a.dy = input(c, o);
    a.h = input(c, o);
    a.rstd = o.numbers<Wide<T>>(c.tokens, 0.1f, 1);
    a.weight = o.numbers<Wide<T>>(c.cols);
    a.dh = result(c, o);
    a.dweight = o.zeros<Wide<T>>(c.cols);
    if (c.variant == "layer") {
      a.mean = o.numbers<Wide<T>>(c.tokens, 0.1f);
      a.dbias = o.zeros<Wide<T>>(c.cols);
    }
    return {each(c, 3, 10), [a](S& s) { norm_grad(s, a); }};
  }
  static Launch<S> rotate(const KernelShape& c, Operands& o) {
    RopeArgs<T> a;
    a.tokens = c.tokens;
    a.heads = c.heads;
    a.head_dim = a.rotary_dim = c.head_dim;
    a.ld = c.heads * c.head_dim;
    a.x = o.numbers<T>(c.tokens * a.ld);
    a.cos = o.numbers<Wide<T>>(c.tokens * c.head_dim / 2);
    a.sin = o.numbers<Wide<T>>(c.tokens * c.head_dim / 2);
    a.interleaved = c.variant == "neighbours";
    const double elements = real(c.tokens * a.ld);
    return {{2 * elements * e + real(c.tokens * c.head_dim) * w, 3 * elements}, [a](S& s) { rope(s, a); }};
  }

  static Activation kind_of(const KernelShape& c) {
    return c.variant == "silu"   ? Activation::silu
           : c.variant == "gelu" ? Activation::gelu
                                 : Activation::gelu_tanh;
  }
  static Launch<S> act(const KernelShape& c, Operands& o) {
    const ActivationArgs<T> a{count(c), kind_of(c), input(c, o), result(c, o)};
    return {each(c, 2, 6), [a](S& s) { activation(s, a); }};
  }
  static Launch<S> act_grad(const KernelShape& c, Operands& o) {
    const ActivationGradArgs<T> a{count(c), kind_of(c), input(c, o), input(c, o), result(c, o)};
    return {each(c, 3, 10), [a](S& s) { activation_grad(s, a); }};
  }
  static Launch<S> gated(const KernelShape& c, Operands& o) {
    const GatedActivationArgs<T> a{count(c), kind_of(c), input(c, o), input(c, o), result(c, o)};
    return {each(c, 3, 6), [a](S& s) { gated_activation(s, a); }};
  }
  static Launch<S> gated_grad(const KernelShape& c, Operands& o) {
    const GatedActivationGradArgs<T> a{count(c),    kind_of(c),   input(c, o), input(c, o),
                                       input(c, o), result(c, o), result(c, o)};
    return {each(c, 5, 10), [a](S& s) { gated_activation_grad(s, a); }};
  }

  static Launch<S> sum(const KernelShape& c, Operands& o) {
    const AddArgs<T> a{count(c), input(c, o), input(c, o), result(c, o)};
    return {each(c, 3, 1), [a](S& s) { add(s, a); }};
  }
  static Launch<S> scaled(const KernelShape& c, Operands& o) {
    const ScaleArgs<T> a{count(c), static_cast<Wide<T>>(0.5), input(c, o), result(c, o)};
    return {each(c, 2, 1), [a](S& s) { scale(s, a); }};
  }
  static Launch<S> columns(const KernelShape& c, Operands& o) {
    const ColumnSumArgs<T> a{o.segments(c.tokens, c.samples), c.cols, input(c, o), c.cols,
                             o.zeros<Wide<T>>(c.cols)};
    return {each(c, 1, 1), [a](S& s) { column_sum(s, a); }};
  }
  static Launch<S> factors(const KernelShape& c, Operands& o) {
    ColumnScaleArgs<T> a{c.tokens, c.cols, input(c, o), o.numbers<Wide<T>>(c.cols), result(c, o)};
    if (c.variant == "pivot") a.pivot = o.numbers<Wide<T>>(c.cols);
    return {each(c, 2, 1), [a](S& s) { column_scale(s, a); }};
  }
  static Launch<S> factors_grad(const KernelShape& c, Operands& o) {
    ColumnScaleGradArgs<T> a;
    a.segments = o.segments(c.tokens, c.samples);
    a.cols = c.cols;
    a.dy = input(c, o);
    a.x = input(c, o);
    a.scale = o.numbers<Wide<T>>(c.cols);
    a.dx = result(c, o);
    a.dscale = o.zeros<Wide<T>>(c.cols);
    return {each(c, 3, 3), [a](S& s) { column_scale_grad(s, a); }};
  }
  static Launch<S> drop(const KernelShape& c, Operands& o) {
    DropoutArgs<T> a;
    a.tokens = c.tokens;
    a.cols = c.cols;
    a.x = input(c, o);
    a.y = result(c, o);
    a.p = 0.1f;
    a.key = 7;
    a.row = o.sequence(c.tokens, 0);
    a.position = o.sequence(c.tokens);
    return {each(c, 2, 1), [a](S& s) { dropout(s, a); }};
  }

  /// Ids all over the table, some of them more than once.
  static IndexView ids(const KernelShape& c, Operands& o) {
    std::vector<int32_t> v;
    for (int64_t i = 0; i < c.tokens; ++i) v.push_back(static_cast<int32_t>(i * i * 31 % c.outputs));
    return o.indices(std::move(v));
  }
  static Launch<S> look_up(const KernelShape& c, Operands& o) {
    EmbeddingArgs<T> a;
    a.tokens = c.tokens;
    a.table = {dtype_of<T>, c.outputs, c.cols, o.numbers<T>(packed_elements(c.outputs, c.cols))};
    a.ids = ids(c, o);
    a.y = result(c, o);
    return {each(c, 2, 1), [a](S& s) { embedding(s, a); }};
  }
  static Launch<S> scatter(const KernelShape& c, Operands& o) {
    EmbeddingGradArgs<T> a;
    a.tokens = c.tokens;
    a.rows = c.outputs;
    a.cols = c.cols;
    a.ids = ids(c, o);
    a.dy = input(c, o);
    a.dtable = o.zeros<Wide<T>>(packed_elements(c.outputs, c.cols));
    return {each(c, 1, 2, e + 2 * w), [a](S& s) { embedding_grad(s, a); }};
  }
  static Launch<S> gather(const KernelShape& c, Operands& o) {
    CopyRowsArgs<T> a;
    a.count = c.tokens;
    a.cols = a.ldx = a.ldy = c.cols;
    a.x = o.numbers<T>(2 * count(c));
    a.y = result(c, o);
    a.from = o.sequence(c.tokens, 2);
    return {each(c, 2, 0), [a](S& s) { copy_rows(s, a); }};
  }
  static Launch<S> swap(const KernelShape& c, Operands& o) {
    const SwapAxesArgs<T> a{c.tokens, 32, c.cols / 32, input(c, o), result(c, o)};
    return {each(c, 2, 0), [a](S& s) { swap_axes(s, a); }};
  }
  static Launch<S> loss(const KernelShape& c, Operands& o) {
    CrossEntropyArgs<T> a;
    a.rows = c.tokens;
    a.classes = a.ld = c.outputs;
    const int64_t logits = c.tokens * c.outputs;
    a.logits = o.numbers<T>(logits, 4);
    a.targets = o.sequence(c.tokens, 31);
    a.gradient = true;
    a.loss = o.zeros<double>(c.tokens);
    a.argmax = o.zeros<int32_t>(c.tokens);
    return {{2 * real(logits) * e, 5 * real(logits)}, [a](S& s) { cross_entropy(s, a); }};
  }

  static Launch<S> adam(const KernelShape& c, Operands& o) {
    AdamWArgs<T> a;
    a.count = count(c);
    a.w = input(c, o);
    a.grad = input(c, o);
    a.m = input(c, o);
    a.v = o.numbers<T>(count(c), 0.5f, 0.5f);
    a.lr = 1e-5;
    a.weight_decay = 0.01;
    return {each(c, 7, 14), [a](S& s) { adamw(s, a); }};
  }
  static Launch<S> momentum(const KernelShape& c, Operands& o) {
    SgdArgs<T> a;
    a.count = count(c);
    a.w = input(c, o);
    a.grad = input(c, o);
    a.buf = result(c, o);
    a.lr = 1e-5;
    a.momentum = 0.9;
    a.t = 2;
    return {each(c, 5, 5), [a](S& s) { sgd(s, a); }};
  }
  static Launch<S> squares(const KernelShape& c, Operands& o) {
    const SumSquaresArgs<T> a{count(c), input(c, o), o.zeros<double>(1)};
    return {each(c, 1, 2), [a](S& s) { sum_squares(s, a); }};
  }

  /// A tensor of all elements and some of 4096, as a model's adapters are.
  static TrainedTensors<T> trained(const KernelShape& c, Operands& o) {
    std::vector<TrainedTensor<T>> list;
    std::vector<int32_t> owner;
    for (int64_t i = 0; i < 9; ++i) {
      const int64_t n = i == 0 ? count(c) : 4096;
      list.push_back(
          {n, o.numbers<T>(n), o.numbers<T>(n), o.numbers<T>(n), o.numbers<T>(n, 0.5f, 0.5f), 1, 0.01});
    }
    const int64_t chunks = number_chunks(std::span(list));
    for (size_t i = 0; i < list.size(); ++i)
      owner.resize(static_cast<size_t>(i + 1 < list.size() ? list[i + 1].chunk : chunks),
                   static_cast<int32_t>(i));
    const auto [host, device] = o.structs(std::move(list));
    return {host, device, o.indices(std::move(owner)).device, chunks};
  }
  static double trained_count(const KernelShape& c) { return real(count(c) + 8 * 4096); }
  static Launch<S> adam_step(const KernelShape& c, Operands& o) {
    const AdamWStepArgs<T> a{.tensors = trained(c, o), .lr = 1e-5};
    return {{7 * trained_count(c) * e, 14 * trained_count(c)}, [a](S& s) { adamw_step(s, a); }};
  }
  static Launch<S> momentum_step(const KernelShape& c, Operands& o) {
    const SgdStepArgs<T> a{.tensors = trained(c, o), .lr = 1e-5, .momentum = 0.9, .t = 2};
    return {{5 * trained_count(c) * e, 5 * trained_count(c)}, [a](S& s) { sgd_step(s, a); }};
  }
  static Launch<S> squares_step(const KernelShape& c, Operands& o) {
    const SquareGradientsArgs<T> a{trained(c, o), o.zeros<double>(9)};
    return {{trained_count(c) * e, 2 * trained_count(c)}, [a](S& s) { square_gradients(s, a); }};
  }
  static Launch<S> clear_step(const KernelShape& c, Operands& o) {
    const ClearGradientsArgs<T> a{trained(c, o)};
    return {{trained_count(c) * e, 0}, [a](S& s) { clear_gradients(s, a); }};
  }
  static Launch<S> choice(const KernelShape& c, Operands& o) {
    NextTokenArgs<T> a;
    a.rows = c.tokens;
    a.vocab = c.outputs;
    a.logits = o.numbers<T>(c.tokens * c.outputs, 8);
    a.length = o.sequence(c.tokens, 3, 5);
    a.key = o.sequence(2 * c.tokens, 7919, 1);
    if (c.variant == "top-k, top-p")
      a.rule = {
          .sample = true, .penalty = 1, .temperature = 0.8f, .top_k = 50, .tail = 0.1f, .least_weight = 0};
    a.chosen = o.zeros<int32_t>(c.tokens);
    const double logits = real(c.tokens * c.outputs);
    return {{logits * e, logits}, [a](S& s) { next_token(s, a); }};
  }
  static Launch<S> row_factors(const KernelShape& c, Operands& o) {
    const RowScaleArgs<T> a{c.tokens, c.cols, input(c, o), o.numbers<T>(c.tokens), result(c, o)};
    return {each(c, 2, 1), [a](S& s) { row_scale(s, a); }};
  }
  static Launch<S> row_products(const KernelShape& c, Operands& o) {
    const RowDotArgs<T> a{c.tokens, c.cols, input(c, o), input(c, o), 1, o.zeros<T>(c.tokens)};
    return {each(c, 2, 2), [a](S& s) { row_dot(s, a); }};
  }
  static Launch<S> dora_factors(const KernelShape& c, Operands& o) {
    MagnitudeArgs<T> a;
    a.count = count(c);
    a.magnitude = input(c, o);
    a.squares = o.numbers<T>(count(c), 0.5f, 2);
    a.cross = input(c, o);
    a.factor = result(c, o);
    a.inverse = result(c, o);
    return {each(c, 5, 5), [a](S& s) { magnitude(s, a); }};
  }
  static Launch<S> averages(const KernelShape& c, Operands& o) {
    const ImportanceArgs<T> a{count(c), input(c, o), input(c, o),  1,
                              T(0.85),  T(0.85),     result(c, o), result(c, o)};
    return {each(c, 6, 9), [a](S& s) { importance(s, a); }};
  }

  /// To T from float32, to float32 from bfloat16.
  static Launch<S> convert(const KernelShape& c, Operands& o) {
    ConvertRowsArgs a;
    a.rows = c.tokens;
    a.cols = a.ldx = a.ldy = c.cols;
    a.to = dtype_of<T>;
    a.from = a.to == DType::f32 ? DType::bf16 : DType::f32;
    a.x = a.from == DType::f32 ? static_cast<const void*>(o.numbers<float>(count(c)))
                               : o.numbers<BF16>(count(c));
    a.y = result(c, o);
    return {each(c, 1, 0, 6), [a](S& s) { convert_rows(s, a); }};
  }
};

template <class S, class T>
struct LstmLaunches {
  static constexpr double e = sizeof(T), w = sizeof(Wide<T>);
  static Launch<S> cell(const KernelShape& c, Operands& o) {
    const LstmCellArgs<T> a{c.cols, o.numbers<T>(4 * c.cols), o.numbers<Wide<T>>(c.cols),
                            o.zeros<Wide<T>>(c.cols), o.zeros<T>(c.cols)};
    const auto units = static_cast<double>(c.cols);
    return {{units * (9 * e + 2 * w), 30 * units}, [a](S& s) { lstm_cell(s, a); }};
  }
  static Launch<S> cell_grad(const KernelShape& c, Operands& o) {
    const LstmCellGradArgs<T> a{c.cols,
                                o.numbers<T>(4 * c.cols),
                                o.numbers<Wide<T>>(c.cols),
                                o.numbers<Wide<T>>(c.cols),
                                o.numbers<T>(c.cols),
                                o.zeros<Wide<T>>(c.cols),
                                o.zeros<T>(4 * c.cols)};
    const auto units = static_cast<double>(c.cols);
    return {{units * (9 * e + 4 * w), 30 * units}, [a](S& s) { lstm_cell_grad(s, a); }};
  }
};

template <class S, class T>
Makers<S> row_makers() {
  using L = RowLaunches<S, T>;
  Makers<S> makers = {{"norm", L::norm_forward},
                      {"norm_grad", L::norm_backward},
                      {"rope", L::rotate},
                      {"activation", L::act},
                      {"activation_grad", L::act_grad},
                      {"gated_activation", L::gated},
                      {"gated_activation_grad", L::gated_grad},
                      {"add", L::sum},
                      {"scale", L::scaled},
                      {"column_sum", L::columns},
                      {"column_scale", L::factors},
                      {"column_scale_grad", L::factors_grad},
                      {"dropout", L::drop},
                      {"embedding", L::look_up},
                      {"embedding_grad", L::scatter},
                      {"copy_rows", L::gather},
                      {"swap_axes", L::swap},
                      {"lstm_cell", LstmLaunches<S, T>::cell},
                      {"lstm_cell_grad", LstmLaunches<S, T>::cell_grad},
                      {"cross_entropy", L::loss}};
  if constexpr (std::is_same_v<T, float>) {  // of trained parameters
    makers["adamw"] = L::adam;
    makers["sgd"] = L::momentum;
    makers["sum_squares"] = L::squares;
    makers["row_scale"] = L::row_factors;
    makers["row_dot"] = L::row_products;
    makers["magnitude"] = L::dora_factors;
    makers["importance"] = L::averages;
    makers["adamw_step"] = L::adam_step;
    makers["sgd_step"] = L::momentum_step;
    makers["square_gradients"] = L::squares_step;
    makers["clear_gradients"] = L::clear_step;
  }
  if constexpr (std::is_same_v<S, CudaStream>) {
    makers["convert_rows"] = L::convert;
    makers["next_token"] = L::choice;
  }
  return makers;
}

}  // namespace ft::bench
