// Every row of bench/kernel_shapes.h as something to launch, on any backend and in each of its types of
// activation.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "engine/core/check.h"
#include "tests/cuda/kernel_attention.h"
#include "tests/cuda/kernel_products.h"
#include "tests/cuda/kernel_rows.h"

namespace ft::bench {

/// A row in one type of activation.
template <class S>
struct KernelCase {
  KernelShape shape;
  DType type{};
  MakeLaunch<S> make = nullptr;

  /// "op (variant), type": unique.
  std::string name() const {
    return shape.variant.empty() ? fmt::format("{}, {}", shape.op, dtype_name(type))
                                 : fmt::format("{} ({}), {}", shape.op, shape.variant, dtype_name(type));
  }
};

/// Its sizes, by their letters.
inline std::string sizes_of(const KernelShape& c) {
  std::string text;
  const auto add = [&](const char* letter, int64_t n) {
    if (n > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", letter, n);
  };
  add("B", c.samples);
  add("T", c.tokens);
  add("keys", c.keys);
  add("P", c.prefix);
  add("C", c.cols);
  add(c.cols > 0 && c.op.substr(0, 9) != "embedding" ? "N" : "V", c.outputs);
  add("r", c.rank);
  add("H", c.heads);
  add("KV", c.kv_heads);
  add("D", c.head_dim);
  return text;
}

/// float16 executes what bfloat16 does, but for conversions and the tensor cores' products.
constexpr bool differs_in_f16(const KernelShape& c) {
  return c.op == "convert_rows" || c.op == "lora_linear" ||
         (c.op.substr(0, 9) == "attention" && c.variant != "generation");
}

/// All rows that S has kernels for: those of the CPU lack what only kernels/cuda has.
template <class S>
std::vector<KernelCase<S>> kernel_cases() {
  std::vector<KernelCase<S>> cases;
  const auto makers_of = []<class T>() {
    Makers<S> all = row_makers<S, T>();
    all.merge(product_makers<S, T>());
    all.merge(attention_makers<S, T>());
    return all;
  };
  const auto add = [&]<class T>(const KernelShape& shape, const Makers<S>& makers) {
    const auto found = makers.find(shape.op);
    if (found != makers.end()) cases.push_back({shape, dtype_of<T>, found->second});
    return found != makers.end();
  };
  const Makers<S> in_float = makers_of.template operator()<float>();
  for (const KernelShape& shape : kernel_shapes) {
    const bool known = add.template operator()<float>(shape, in_float);
    if constexpr (std::is_same_v<S, CudaStream>) {
      FT_CHECK(known, "[kernel_shapes] nothing launches {}", shape.op);
      static const Makers<S> in_bf16 = makers_of.template operator()<BF16>();
      add.template operator()<BF16>(shape, in_bf16);
      static const Makers<S> in_f16 = makers_of.template operator()<F16>();
      if (differs_in_f16(shape)) add.template operator()<F16>(shape, in_f16);
    }
  }
  return cases;
}

}  // namespace ft::bench
