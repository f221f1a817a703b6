// The products with a weight in every storage type, towards outputs, inputs and the weight.
#include "bench/gpu_conformance/checks.h"
#include "tests/ops/matmul_cases.h"

namespace ft::bench {
namespace {

/// Of a sum of n products; a tensor core, moreover, cuts them off.
template <class T>
Allowance allowance(int64_t n) {
  Allowance a = sum_allowance(n);
  if (sizeof(T) == 2) a.units += 32;
  return a;
}

template <class T>
void check_products(Checks& checks, const MatmulCase& c, DType storage) {
  const int64_t ldx = c.inputs + c.pad, ldy = c.outputs + c.pad;
  const auto x = random_inputs<T>(c.tokens * ldx, "x"), y = random_inputs<T>(c.tokens * ldy, "y");
  // 16-bit products read weight and bias in their own type, whatever they are stored in.
  const auto w =
      rounded_to(dtype_of<T>, rounded_to(storage, random_vector<float>(c.outputs * c.inputs, "w")));
  const auto bias = rounded_to(dtype_of<T>, random_vector<float>(c.outputs, "bias"));
  const std::string name = fmt::format("{} {}", c.name(), dtype_name(storage));
  checks.run<T>("matmul", name, [&]<class A>(auto place) {
    const auto weight = place.weight(storage, c.outputs, c.inputs, w);
    auto added = place.template buffer<Wide<A>>(bias);
    auto in = place.template buffer<A>(x), out = place.template buffer<A>(y);
    auto dy = place.template buffer<A>(y), dx = place.template buffer<A>(x);
    matmul(place.stream(), MatmulArgs<A>{c.tokens, weight.view, in.data(), ldx,
                                         c.bias ? added.data() : nullptr, out.data(), ldy, c.accumulate});
    matmul_grad_input(place.stream(), MatmulGradInputArgs<A>{c.tokens, weight.view, dy.data(), ldy, dx.data(),
                                                             ldx, c.accumulate});
    Results r;
    r.add("matmul", "y", out.host(), allowance<A>(c.inputs));
    r.add("matmul_grad_input", "dx", dx.host(), allowance<A>(c.outputs));
    return r;
  });
}

template <class T>
void check_weight_gradients(Checks& checks) {
  const struct {
    int64_t rows, cols, pad;
  } sizes[] = {{1, 1, 0}, {16, 6, 0}, {17, 13, 3}, {50, 72, 0}, {100, 31, 1}};
  for (const auto& size : sizes) {
    for (const std::vector<int32_t>& lengths : sample_lengths()) {
      const DeviceIndex bounds(bounds_of(lengths));
      const int64_t tokens = bounds.segments().tokens(), ldy = size.rows + size.pad,
                    ldx = size.cols + size.pad;
      const auto x = random_inputs<T>(tokens * ldx, "x"), dy = random_inputs<T>(tokens * ldy, "dy");
      const auto start = random_vector<float>(size.rows * size.cols, "dw");
      const std::string name = fmt::format("N{} K{} pad{} T{}", size.rows, size.cols, size.pad, tokens);
      checks.run<T>("matmul_grad_weight", name, [&]<class A>(auto place) {
        auto from = place.template buffer<A>(dy), in = place.template buffer<A>(x);
        auto dw = place.template buffer<Wide<A>>(place.packed(size.rows, size.cols, start));
        matmul_grad_weight(place.stream(),
                           MatmulGradWeightArgs<A>{bounds.segments(), size.rows, size.cols, from.data(), ldy,
                                                   in.data(), ldx, dw.data()});
        Results r;
        r.add("matmul_grad_weight", "dw", place.unpacked(size.rows, size.cols, dw.host()),
              allowance<A>(tokens));
        return r;
      });
    }
  }
}

}  // namespace

void check_matmuls(Checks& checks) {
  for (const MatmulCase& c : matmul_cases()) {
    for (const DType storage : kStorages) {
      check_products<float>(checks, c, storage);
      check_products<BF16>(checks, c, storage);
      check_products<F16>(checks, c, storage);
    }
  }
  check_weight_gradients<float>(checks);
  check_weight_gradients<BF16>(checks);
  check_weight_gradients<F16>(checks);
}

}  // namespace ft::bench
