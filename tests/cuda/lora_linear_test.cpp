// The fused LoRA layer against float64 and against the composition it fuses.
#include "kernels/cuda/lora_linear.h"
#include "engine/ops/low_rank.h"
#include "engine/ops/matmul.h"
#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"

namespace ft::test {
namespace {

struct LoraLinearCase {
  int64_t tokens, outputs, inputs, rank;
  int64_t pad = 0;
  float scale = 1;
  bool bias = false;

  std::string name() const {
    return fmt::format("T{} N{} K{} r{} pad{}{}", tokens, outputs, inputs, rank, pad, bias ? " bias" : "");
  }
};

/// Sizes around the tiles: 64 tokens, 64 outputs, 16 or 32 deep, ranks padded to 16 and 64.
const LoraLinearCase kCases[] = {
    {1, 1, 1, 1},
    {5, 9, 7, 3, 1, 2, true},
    {64, 64, 32, 16, 0, 0.5f, true},
    {65, 72, 40, 8, 8, 2},
    {63, 66, 33, 17, 3, 1, true},
    {70, 130, 96, 64, 0, 2},
    {16, 24, 100, 40, 4, -1, true},
};

template <class T>
struct Operands {
  LoraLinearCase c;
  int64_t ldx, ldy;
  std::vector<float> x, w, a, bt, bias;

  explicit Operands(const LoraLinearCase& c_) : c(c_), ldx(c.inputs + c.pad), ldy(c.outputs + c.pad) {
    // All of it in T's numbers: what 16 bits round on the way in is not the kernel's error.
    x = random_inputs<T>(c.tokens * ldx, "x");
    w = random_inputs<T>(c.outputs * c.inputs, "w");
    a = random_inputs<T>(c.rank * c.inputs, "a");
    bt = random_inputs<T>(c.rank * c.outputs, "bt");
    bias = random_inputs<T>(c.outputs, "bias");
  }

  /// y [T, N] without guard columns.
  template <class Acc>
  std::vector<Acc> plain() const {
    std::vector<Acc> y;
    const auto dot_of = [&](const float* p, const float* q) {
      Acc sum = 0;
      for (int64_t k = 0; k < c.inputs; ++k) sum += static_cast<Acc>(p[k]) * static_cast<Acc>(q[k]);
      return sum;
    };
    for (int64_t t = 0; t < c.tokens; ++t) {
      const float* row = &x[static_cast<size_t>(t * ldx)];
      std::vector<Acc> u;
      for (int64_t q = 0; q < c.rank; ++q) u.push_back(dot_of(row, &a[static_cast<size_t>(q * c.inputs)]));
      for (int64_t n = 0; n < c.outputs; ++n) {
        Acc low_rank = 0;
        for (int64_t q = 0; q < c.rank; ++q)
          low_rank +=
              u[static_cast<size_t>(q)] * static_cast<Acc>(bt[static_cast<size_t>(q * c.outputs + n)]);
        const Acc b = c.bias ? static_cast<Acc>(bias[static_cast<size_t>(n)]) : 0;
        y.push_back(dot_of(row, &w[static_cast<size_t>(n * c.inputs)]) + b +
                    static_cast<Acc>(c.scale) * low_rank);
      }
    }
    return y;
  }
};

template <class T>
struct OnDevice {
  const Operands<T>& o;
  DeviceVector<T> x, w, y;
  DeviceVector<float> a, bt, bias;

  explicit OnDevice(const Operands<T>& o_)
      : o(o_),
        x(as_type<T>(o.x)),
        w(as_type<T>(o.w)),
        y(std::vector<T>(static_cast<size_t>(o.c.tokens * o.ldy), as_type<T>({7})[0])),
        a(o.a),
        bt(o.bt),
        bias(o.bias) {}

  const float* bias_or_null() const { return o.c.bias ? bias.data() : nullptr; }
  std::vector<T> fused() {
    const LoraLinearCase& c = o.c;
    lora_linear(cuda_stream(), {c.tokens, c.outputs, c.inputs, c.rank, x.data(), o.ldx, w.data(),
                                bias_or_null(), a.data(), bt.data(), c.scale, y.data(), o.ldy});
    return rows();
  }
  std::vector<T> composed() {
    const LoraLinearCase& c = o.c;
    DeviceVector<T> u(c.tokens * c.rank);
    matmul(cuda_stream(), {c.tokens,
                           {dtype_of<T>, c.outputs, c.inputs, w.data()},
                           x.data(),
                           o.ldx,
                           bias_or_null(),
                           y.data(),
                           o.ldy});
    low_rank_down(cuda_stream(), {c.tokens, c.rank, c.inputs, x.data(), o.ldx, a.data(), 1, u.data()});
    low_rank_up(cuda_stream(), {c.tokens, c.rank, c.outputs, u.data(), bt.data(), c.scale, y.data(), o.ldy});
    return rows();
  }
  /// y without its guard columns, which must be as they were.
  std::vector<T> rows() {
    const std::vector<T> all = y.host();
    std::vector<T> out;
    for (int64_t t = 0; t < o.c.tokens; ++t) {
      const auto row = all.begin() + t * o.ldy;
      out.insert(out.end(), row, row + o.c.outputs);
      for (int64_t n = o.c.outputs; n < o.ldy; ++n)
        EXPECT_EQ(exactly(all)[static_cast<size_t>(t * o.ldy + n)], 7);
    }
    return out;
  }
};

TEST(cuda_lora_linear, float32_is_within_the_error_of_plain_loops_and_of_the_composition) {
  for (const LoraLinearCase& c : kCases) {
    SCOPED_TRACE(c.name());
    const Operands<float> o(c);
    const auto fused = OnDevice<float>(o).fused();
    const auto reference = o.plain<double>();
    expect_earned(fused, o.plain<float>(), reference, 2);
    expect_earned(fused, OnDevice<float>(o).composed(), reference, 2);
    expect_same_bits(OnDevice<float>(o).fused(), fused, "second run");
  }
}

template <class T>
void check_16_bits() {
  for (const LoraLinearCase& c : kCases) {
    SCOPED_TRACE(c.name());
    const Operands<T> o(c);
    const auto fused = OnDevice<T>(o).fused();
    const auto reference = o.template plain<double>();
    const double composed = max_error(exactly(OnDevice<T>(o).composed()), reference);
    EXPECT_LE(max_error(exactly(fused), reference), 2 * composed + kHalfUnit<T> * max_abs(reference));
    expect_same_bits(OnDevice<T>(o).fused(), fused, "second run");
  }
}

TEST(cuda_lora_linear, bfloat16_is_within_the_error_of_the_composition) {
  check_16_bits<BF16>();
}
TEST(cuda_lora_linear, float16_is_within_the_error_of_the_composition) {
  check_16_bits<F16>();
}

TEST(cuda_lora_linear, wrong_ranks_are_refused) {
  const Operands<float> o({2, 3, 4, 65});
  EXPECT_THROW(OnDevice<float>(o).fused(), Error);
}

}  // namespace
}  // namespace ft::test
