// The products on a CUDA device against float64 and the CPU: W as plain rows in every type of
// activation and of storage, bias, accumulation, wide strides; conversion of rows; chunks of a converted W.
#include <cstring>
#include <limits>

#include "engine/ops/matmul.h"
#include "kernels/cuda/convert.h"
#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/scratch_limit.h"
#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/matmul_data.h"

namespace ft::test {
namespace {

/// Plain rows of `values` in storage type `t`.
std::vector<std::byte> stored(DType t, const std::vector<float>& values) {
  std::vector<std::byte> out(values.size() * size_of(t));
  for (size_t i = 0; i < values.size(); ++i) {
    std::byte* at = out.data() + i * size_of(t);
    const BF16 b = to_bf16(values[i]);
    const F16 h = to_f16(values[i]);
    if (t == DType::bf16)
      std::memcpy(at, &b, sizeof b);
    else if (t == DType::f16)
      std::memcpy(at, &h, sizeof h);
    else
      std::memcpy(at, &values[i], sizeof values[i]);
  }
  return out;
}
double as_stored(DType t, float v) {
  return t == DType::bf16 ? to_float(to_bf16(v)) : t == DType::f16 ? to_float(to_f16(v)) : v;
}
template <class Acc>
std::vector<Acc> cast(const std::vector<double>& v) {
  return std::vector<Acc>(v.begin(), v.end());
}

/// One case: operands as both sides hold them exactly, and the products as plain loops in Acc.
template <class T>
struct Operands {
  MatmulCase c;
  DType storage;
  int64_t ldx, ldy;
  std::vector<float> x, y, bias, w_source;
  std::vector<double> w, bias_read;  // as the product reads them

  Operands(const MatmulCase& c_, DType storage_)
      : c(c_), storage(storage_), ldx(c.inputs + c.pad), ldy(c.outputs + c.pad) {
    x = random_inputs<T>(c.tokens * ldx, "x");
    y = random_inputs<T>(c.tokens * ldy, "y");
    bias = random_vector<float>(c.outputs, "bias");
    w_source = random_vector<float>(c.outputs * c.inputs, "w");
    // A weight is read in the activations' type, a bias in the result's.
    for (const float v : w_source)
      w.push_back(as_stored(dtype_of<T>, static_cast<float>(as_stored(storage, v))));
    for (const float v : bias) bias_read.push_back(as_stored(dtype_of<T>, v));
  }

  template <class Acc>
  std::vector<Acc> forward() const {
    std::vector<Acc> out(y.begin(), y.end());
    for (int64_t t = 0; t < c.tokens; ++t) {
      for (int64_t n = 0; n < c.outputs; ++n) {
        Acc sum = 0;
        for (int64_t k = 0; k < c.inputs; ++k)
          sum += static_cast<Acc>(x[static_cast<size_t>(t * ldx + k)]) *
                 static_cast<Acc>(w[static_cast<size_t>(n * c.inputs + k)]);
        Acc& at = out[static_cast<size_t>(t * ldy + n)];
        at = (c.accumulate ? at : 0) + (c.bias ? static_cast<Acc>(bias_read[static_cast<size_t>(n)]) : 0) +
             sum;
      }
    }
    return out;
  }
  template <class Acc>
  std::vector<Acc> grad_input() const {
    std::vector<Acc> out(x.begin(), x.end());
    for (int64_t t = 0; t < c.tokens; ++t) {
      for (int64_t k = 0; k < c.inputs; ++k) {
        Acc sum = 0;
        for (int64_t n = 0; n < c.outputs; ++n)
          sum += static_cast<Acc>(y[static_cast<size_t>(t * ldy + n)]) *
                 static_cast<Acc>(w[static_cast<size_t>(n * c.inputs + k)]);
        Acc& at = out[static_cast<size_t>(t * ldx + k)];
        at = (c.accumulate ? at : 0) + sum;
      }
    }
    return out;
  }
};

/// The same on the device; guard columns included.
template <class T>
struct OnDevice {
  const Operands<T>& o;
  DeviceVector<T> x, y;
  DeviceVector<float> bias;
  DeviceVector<std::byte> w;

  explicit OnDevice(const Operands<T>& o_)
      : o(o_), x(as_type<T>(o.x)), y(as_type<T>(o.y)), bias(o.bias), w(stored(o.storage, o.w_source)) {}

  PackedView weight() const { return {o.storage, o.c.outputs, o.c.inputs, w.data()}; }
  std::vector<T> forward() {
    matmul(cuda_stream(), {o.c.tokens, weight(), x.data(), o.ldx, o.c.bias ? bias.data() : nullptr, y.data(),
                           o.ldy, o.c.accumulate});
    return y.host();
  }
  std::vector<T> grad_input() {
    matmul_grad_input(cuda_stream(),
                      {o.c.tokens, weight(), y.data(), o.ldy, x.data(), o.ldx, o.c.accumulate});
    return x.host();
  }
};

TEST(cuda_matmul, float32_is_within_the_error_of_a_plain_loop) {
  for (const MatmulCase& c : matmul_cases()) {
    for (const DType storage : kStorages) {
      SCOPED_TRACE(c.name() + " " + std::string(dtype_name(storage)));
      const Operands<float> o(c, storage);
      expect_earned(OnDevice<float>(o).forward(), o.forward<float>(), o.forward<double>());
      expect_earned(OnDevice<float>(o).grad_input(), o.grad_input<float>(), o.grad_input<double>());
    }
  }
}

TEST(cuda_matmul, float32_agrees_with_the_cpu) {
  for (const MatmulCase& c : matmul_cases()) {
    for (const DType storage : kStorages) {
      SCOPED_TRACE(c.name() + " " + std::string(dtype_name(storage)));
      const Operands<float> o(c, storage);
      // The CPU's operands come from the same seeds; its W lies in panels.
      MatmulData<float> cpu(c, storage), cpu_dx = cpu;
      ASSERT_EQ(cpu.x, o.x);
      matmul(stream(), cpu.forward());
      matmul_grad_input(stream(), cpu_dx.grad_input());
      expect_earned(OnDevice<float>(o).forward(), cpu.y, o.forward<double>(), 2);
      expect_earned(OnDevice<float>(o).grad_input(), cpu_dx.x, o.grad_input<double>(), 2);
    }
  }
}

template <class T>
void check_16_bits() {
  for (const MatmulCase& c : matmul_cases()) {
    for (const DType storage : kStorages) {
      SCOPED_TRACE(c.name() + " " + std::string(dtype_name(storage)));
      const Operands<T> o(c, storage);
      expect_rounded(OnDevice<T>(o).forward(), o.template forward<double>(), 32);
      expect_rounded(OnDevice<T>(o).grad_input(), o.template grad_input<double>(), 32);
    }
  }
}
TEST(cuda_matmul, bfloat16_is_rounded_once) {
  check_16_bits<BF16>();
}
TEST(cuda_matmul, float16_is_rounded_once) {
  check_16_bits<F16>();
}

template <class T>
void compare_weight_gradients(int64_t rows, int64_t cols, const std::vector<int32_t>& lengths, int64_t pad) {
  const DeviceIndex bounds(bounds_of(lengths));
  const int64_t tokens = bounds_of(lengths).back(), ldy = rows + pad, ldx = cols + pad;
  const std::vector<float> x = random_inputs<T>(tokens * ldx, "x"), dy = random_inputs<T>(tokens * ldy, "dy");
  const std::vector<float> start = random_vector<float>(rows * cols, "dw");
  const auto plain = [&]<class Acc>(Acc) {
    std::vector<Acc> dw(start.begin(), start.end());
    for (int64_t n = 0; n < rows; ++n) {
      for (int64_t k = 0; k < cols; ++k) {
        Acc sum = 0;
        for (int64_t t = 0; t < tokens; ++t)
          sum += static_cast<Acc>(dy[static_cast<size_t>(t * ldy + n)]) *
                 static_cast<Acc>(x[static_cast<size_t>(t * ldx + k)]);
        dw[static_cast<size_t>(n * cols + k)] += sum;
      }
    }
    return dw;
  };
  const DeviceVector<T> on_x(as_type<T>(x)), on_dy(as_type<T>(dy));
  std::vector<float> first;
  for (int run = 0; run < 2; ++run) {
    DeviceVector<float> dw(start);
    matmul_grad_weight(cuda_stream(),
                       {bounds.segments(), rows, cols, on_dy.data(), ldy, on_x.data(), ldx, dw.data()});
    const std::vector<float> got = dw.host();
    if (run == 0) {
      expect_earned(got, plain(0.0f), plain(0.0), 4);  // of one element: plain may be exact by luck
      first = got;
    } else {
      expect_same_bits(got, first, "second run");
    }
  }
}

TEST(cuda_matmul_grad_weight, adds_the_sum_over_all_tokens) {
  const struct {
    int64_t rows, cols, pad;
  } sizes[] = {{1, 1, 0}, {16, 6, 0}, {17, 13, 3}, {50, 72, 0}, {100, 31, 1}};
  for (const auto& size : sizes) {
    for (const auto& lengths : sample_lengths()) {
      SCOPED_TRACE(fmt::format("[{}, {}] {} tokens", size.rows, size.cols, bounds_of(lengths).back()));
      compare_weight_gradients<float>(size.rows, size.cols, lengths, size.pad);
      compare_weight_gradients<BF16>(size.rows, size.cols, lengths, size.pad);
      compare_weight_gradients<F16>(size.rows, size.cols, lengths, size.pad);
    }
  }
}

TEST(cuda_matmul, a_converted_weight_in_chunks_gives_the_same_bits) {
  // Chunks cut the results, never a sum.
  const int64_t whole = scratch_limit();
  for (const MatmulCase& c : {MatmulCase{33, 100, 290, 3, true}, MatmulCase{5, 77, 40, 0, true, true}}) {
    for (const DType storage : kStorages) {
      const Operands<float> o(c, storage);
      const Operands<BF16> o16(c, storage);
      scratch_limit() = whole;
      const auto y = OnDevice<float>(o).forward(), dx = OnDevice<float>(o).grad_input();
      const auto y16 = OnDevice<BF16>(o16).forward(), dx16 = OnDevice<BF16>(o16).grad_input();
      for (const int64_t bytes : {int64_t{1}, 40 * c.inputs}) {
        scratch_limit() = bytes;
        expect_same_bits(OnDevice<float>(o).forward(), y, "y");
        expect_same_bits(OnDevice<float>(o).grad_input(), dx, "dx");
        expect_same_bits(OnDevice<BF16>(o16).forward(), y16, "y, bfloat16");
        expect_same_bits(OnDevice<BF16>(o16).grad_input(), dx16, "dx, bfloat16");
      }
    }
  }
  scratch_limit() = whole;
}

TEST(cuda_matmul, operands_of_any_alignment) {
  // Every pointer one element into its allocation: q, k and v as columns of one projection start like this.
  const int64_t T = 5, N = 9, K = 11;
  const std::vector<float> x = random_bf16(T * K + 1, "x"), w = random_bf16(N * K + 1, "w"),
                           bias = random_bf16(N + 1, "bias");
  const DeviceVector<BF16> on_x(as_type<BF16>(x)), on_w(as_type<BF16>(w));
  const DeviceVector<float> on_bias(bias), x32(x), w32(w);
  DeviceVector<BF16> y(T * N + 1);
  DeviceVector<float> y32(T * N + 1);
  matmul(cuda_stream(),
         {T, {DType::bf16, N, K, on_w.data() + 1}, on_x.data() + 1, K, on_bias.data() + 1, y.data() + 1, N});
  matmul(cuda_stream(),
         {T, {DType::f32, N, K, w32.data() + 1}, x32.data() + 1, K, on_bias.data() + 1, y32.data() + 1, N});
  const std::vector<BF16> got = y.host();
  const std::vector<float> got32 = y32.host();
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t n = 0; n < N; ++n) {
      double sum = bias[static_cast<size_t>(n + 1)];
      for (int64_t k = 0; k < K; ++k)
        sum += static_cast<double>(x[static_cast<size_t>(t * K + k + 1)]) *
               static_cast<double>(w[static_cast<size_t>(n * K + k + 1)]);
      const auto at = static_cast<size_t>(t * N + n + 1);
      EXPECT_NEAR(static_cast<double>(to_float(got[at])), sum, 0x1p-8 * std::fabs(sum) + 1e-5);
      EXPECT_NEAR(static_cast<double>(got32[at]), sum, 1e-5);
    }
  }
}

TEST(cuda_matmul, no_tokens_touch_nothing_and_wrong_arguments_are_refused) {
  const Operands<float> o({4, 20, 30, 1, true}, DType::f32);
  OnDevice<float> d(o);
  MatmulArgs<float> a = {0, d.weight(), d.x.data(), o.ldx, nullptr, d.y.data(), o.ldy};
  matmul(cuda_stream(), a);
  matmul_grad_input(cuda_stream(), {0, d.weight(), d.y.data(), o.ldy, d.x.data(), o.ldx});
  expect_same_bits(d.x.host(), o.x, "x");
  expect_same_bits(d.y.host(), o.y, "y");
  a.tokens = 4;
  a.ldx = 29;
  EXPECT_THROW(matmul(cuda_stream(), a), Error);
  a.ldx = 31;
  a.w.dtype = DType::i32;
  EXPECT_THROW(matmul(cuda_stream(), a), Error);
}

TEST(cuda_product, alignment_is_that_of_the_address_up_to_16) {
  const auto at = [](uintptr_t p) { return alignment_of(reinterpret_cast<const void*>(p)); };
  EXPECT_EQ(at(0), 16);
  EXPECT_EQ(at(256), 16);
  EXPECT_EQ(at(258), 2);
  EXPECT_EQ(at(260), 4);
  EXPECT_EQ(at(264), 8);
}

TEST(cuda_convert_rows, every_pair_of_types_rounds_to_nearest_even) {
  std::vector<float> values = random_vector<float>(60, "values", 3);
  for (const float v : {0.0f, -0.0f, 1e-40f, 65504.0f, 65520.0f, 3e38f, 1.00390625f, 1.01171875f,
                        std::numeric_limits<float>::infinity()})
    values.push_back(v);
  const auto count = static_cast<int64_t>(values.size());
  for (const DType from : kStorages) {
    for (const DType to : kStorages) {
      const DeviceVector<std::byte> x(stored(from, values));
      DeviceVector<std::byte> y(count * static_cast<int64_t>(size_of(to)));
      convert_rows(cuda_stream(), {1, count, from, x.data(), count, to, y.data(), count});
      std::vector<float> read;
      for (const float v : values) read.push_back(static_cast<float>(as_stored(from, v)));
      EXPECT_EQ(y.host(), stored(to, read)) << dtype_name(from) << " to " << dtype_name(to);
    }
  }
}

TEST(cuda_convert_rows, strides_tails_and_guards) {
  for (const int64_t cols : {1, 7, 8, 9, 64, 1025}) {
    for (const int64_t pad : {0, 3, 8}) {
      const int64_t rows = 3, ldx = cols + pad, ldy = cols + 2 * pad;
      const std::vector<float> values = random_vector<float>(rows * ldx, "x");
      const std::vector<BF16> kept(static_cast<size_t>(rows * ldy), BF16{0x1234});
      const DeviceVector<float> x(values);
      DeviceVector<BF16> y(kept);
      convert_rows(cuda_stream(), {rows, cols, DType::f32, x.data(), ldx, DType::bf16, y.data(), ldy});
      const std::vector<BF16> got = y.host();
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < ldy; ++c) {
          const uint16_t expected =
              c < cols ? to_bf16(values[static_cast<size_t>(r * ldx + c)]).bits : uint16_t{0x1234};
          ASSERT_EQ(got[static_cast<size_t>(r * ldy + c)].bits, expected) << cols << "+" << pad;
        }
      }
    }
  }
}

}  // namespace
}  // namespace ft::test
