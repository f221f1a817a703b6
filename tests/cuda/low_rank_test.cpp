// LoRA's thin products on a CUDA device against float64, the CPU, and themselves in other groupings.
#include <limits>
#include <utility>

#include "engine/ops/low_rank.h"
#include "kernels/cuda/scratch_limit.h"
#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/low_rank_cases.h"
#include "tests/ops/low_rank_oracle.h"

namespace ft::test {
namespace {

/// Operands that both sides hold exactly: x and u in T, w in float32.
struct Operands {
  LowRankCase c;
  int64_t ld;
  std::vector<float> x, w, u;  // [T, ld], [r, C], [T, r]

  template <class T>
  static Operands of(const LowRankCase& c) {
    Operands o{c, c.cols + c.pad, {}, {}, {}};
    o.x = random_inputs<T>(c.tokens * o.ld, "x");
    o.u = random_inputs<T>(c.tokens * c.rank, "u");
    o.w = random_vector<float>(c.rank * c.cols, "w");
    return o;
  }
};

/// The case on the host, in Acc.
template <class Acc>
struct OnHost {
  LowRankCase c;
  int64_t ld;
  std::vector<Acc> x, w, u;

  explicit OnHost(const Operands& o)
      : c(o.c), ld(o.ld), x(o.x.begin(), o.x.end()), w(o.w.begin(), o.w.end()), u(o.u.begin(), o.u.end()) {}
  LowRankDownArgs<Acc> down() {
    return {c.tokens, c.rank, c.cols, x.data(), ld, w.data(), static_cast<Acc>(c.scale), u.data()};
  }
  LowRankUpArgs<Acc> up() {
    return {c.tokens, c.rank, c.cols,      u.data(), w.data(), static_cast<Acc>(c.scale),
            x.data(), ld,     c.accumulate};
  }
  LowRankGradArgs<Acc> grad(const std::vector<int32_t>& bounds) {
    return {segments_of(bounds), c.rank, c.cols, u.data(), x.data(), ld, static_cast<Acc>(c.scale), w.data()};
  }
};

/// The case on the device. Every function leaves its operands as they were.
template <class T>
struct OnDevice {
  LowRankCase c;
  int64_t ld;
  DeviceVector<T> x, u;
  DeviceVector<float> w;

  explicit OnDevice(const Operands& o) : c(o.c), ld(o.ld), x(as_type<T>(o.x)), u(as_type<T>(o.u)), w(o.w) {}
  float scale() const { return static_cast<float>(c.scale); }
  std::vector<T> down() const {
    DeviceVector<T> out(c.tokens * c.rank);
    low_rank_down(cuda_stream(), {c.tokens, c.rank, c.cols, x.data(), ld, w.data(), scale(), out.data()});
    return out.host();
  }
  std::vector<T> up() const {
    DeviceVector<T> out(x.host());
    low_rank_up(cuda_stream(),
                {c.tokens, c.rank, c.cols, u.data(), w.data(), scale(), out.data(), ld, c.accumulate});
    return out.host();
  }
  std::vector<float> grad(const std::vector<int32_t>& bounds) const {
    const DeviceIndex on_device(bounds);
    DeviceVector<float> out(w.host());
    low_rank_grad(cuda_stream(),
                  {on_device.segments(), c.rank, c.cols, u.data(), x.data(), ld, scale(), out.data()});
    return out.host();
  }
};

/// Samples of the case's tokens: a third, none, the rest.
std::vector<int32_t> bounds_for(const LowRankCase& c) {
  const auto third = static_cast<int32_t>(c.tokens / 3);
  return {0, third, third, static_cast<int32_t>(c.tokens)};
}

/// The shared cases, and what only this backend's tiles make special: a group of 8 with aligned strides and a
/// short last group; more ranks than lie in shared memory at once; more tokens than a chunk.
std::vector<LowRankCase> cases() {
  std::vector<LowRankCase> all = low_rank_cases();
  all.push_back({9, 10, 1100, 4});
  all.push_back({9, 4, 36, 12, 2, false});
  all.push_back({5, 130, 24, 0, 0.5});
  all.push_back({11, 256, 8});
  all.push_back({300, 3, 20, 4, 2});
  return all;
}

TEST(cuda_low_rank, float32_is_within_the_error_of_a_plain_loop_and_of_the_cpu) {
  for (const LowRankCase& c : cases()) {
    SCOPED_TRACE(c.name());
    const auto o = Operands::of<float>(c);
    const OnDevice<float> device(o);
    const std::vector<int32_t> bounds = bounds_for(c);
    OnHost<double> exact(o);
    OnHost<float> loop(o);
    const auto u = device.down(), y = device.up(), dw = device.grad(bounds);
    const auto u64 = low_rank_down_oracle<double>(exact.down());
    const auto y64 = low_rank_up_oracle<double>(exact.up());
    const auto dw64 = low_rank_grad_oracle<double>(exact.grad(bounds));
    expect_earned(u, low_rank_down_oracle<float>(loop.down()), u64);
    expect_earned(y, low_rank_up_oracle<float>(loop.up()), y64);
    expect_earned(dw, low_rank_grad_oracle<float>(loop.grad(bounds)), dw64);
    OnHost<float> cpu(o);
    low_rank_down(stream(), cpu.down());
    expect_earned(u, cpu.u, u64, 2);
    cpu = OnHost<float>(o);
    low_rank_up(stream(), cpu.up());
    expect_earned(y, cpu.x, y64, 2);
    cpu = OnHost<float>(o);
    low_rank_grad(stream(), cpu.grad(bounds));
    expect_earned(dw, cpu.w, dw64, 2);
  }
}

template <class T>
void check_16_bits() {
  for (const LowRankCase& c : cases()) {
    SCOPED_TRACE(c.name());
    const auto o = Operands::of<T>(c);
    const OnDevice<T> device(o);
    const std::vector<int32_t> bounds = bounds_for(c);
    OnHost<double> exact(o);
    OnHost<float> loop(o);
    expect_rounded(device.down(), low_rank_down_oracle<double>(exact.down()), 32);
    expect_rounded(device.up(), low_rank_up_oracle<double>(exact.up()), 32);
    // The gradient is float32.
    expect_earned(device.grad(bounds), low_rank_grad_oracle<float>(loop.grad(bounds)),
                  low_rank_grad_oracle<double>(exact.grad(bounds)));
  }
}

TEST(cuda_low_rank, bfloat16_is_rounded_once) {
  check_16_bits<BF16>();
}
TEST(cuda_low_rank, float16_is_rounded_once) {
  check_16_bits<F16>();
}

template <class T>
void compare_runs() {
  for (const LowRankCase& c : {LowRankCase{25, 8, 257, 1, 2, false}, LowRankCase{140, 12, 64, 8}}) {
    const OnDevice<T> device(Operands::of<T>(c));
    const std::vector<int32_t> bounds = bounds_for(c);
    expect_same_bits(device.down(), device.down(), "down");
    expect_same_bits(device.up(), device.up(), "up");
    expect_same_bits(device.grad(bounds), device.grad(bounds), "grad");
  }
}
TEST(cuda_low_rank, the_same_bits_on_every_run) {
  compare_runs<float>();
  compare_runs<BF16>();
}

/// Rows of a matrix [_, ld] that start at `row`, at stride `to_ld`; the rest is NaN.
template <class T>
std::vector<T> rows_of(const std::vector<T>& v, int64_t ld, int64_t cols, int64_t row, int64_t count,
                       int64_t to_ld) {
  std::vector<T> out(static_cast<size_t>(count * to_ld),
                     as_type<T>({std::numeric_limits<float>::quiet_NaN()})[0]);
  for (int64_t i = 0; i < count; ++i) std::copy_n(v.begin() + (row + i) * ld, cols, out.begin() + i * to_ld);
  return out;
}

template <class T>
void compare_groups() {
  for (const LowRankCase& c : {LowRankCase{40, 8, 304, 0, 2}, LowRankCase{40, 13, 70, 0, 1, false}}) {
    const auto o = Operands::of<T>(c);
    const OnDevice<T> all(o);
    const std::vector<T> u = all.down(), y = all.up(), x = all.x.host(), given = all.u.host();
    for (const int64_t group : {1, 3, 5, 9}) {
      // Other addresses and strides too: the rows lie apart, not aligned.
      const int64_t row = 11, ld = c.cols + 5;
      const DeviceVector<T> alone(rows_of(x, all.ld, c.cols, row, group, ld));
      const DeviceVector<T> alone_u(rows_of(given, c.rank, c.rank, row, group, c.rank));
      DeviceVector<T> got(group * c.rank), out(alone.host());
      low_rank_down(cuda_stream(),
                    {group, c.rank, c.cols, alone.data(), ld, all.w.data(), all.scale(), got.data()});
      low_rank_up(cuda_stream(), {group, c.rank, c.cols, alone_u.data(), all.w.data(), all.scale(),
                                  out.data(), ld, c.accumulate});
      expect_same_bits(got.host(), rows_of(u, c.rank, c.rank, row, group, c.rank), "down");
      expect_same_bits(rows_of(out.host(), ld, c.cols, 0, group, c.cols),
                       rows_of(y, all.ld, c.cols, row, group, c.cols), "up");
    }
  }
}
TEST(cuda_low_rank, a_row_has_the_same_bits_alone_and_among_others) {
  compare_groups<float>();
  compare_groups<BF16>();
}

TEST(cuda_low_rank, the_grouping_of_samples_does_not_change_the_bits_of_a_gradient) {
  const std::vector<int32_t> lengths = {90, 33, 1, 64, 0, 300, 7, 128}, bounds = bounds_of(lengths);
  const LowRankCase c = {623, 5, 61, 3, 0.5};
  const auto o = Operands::of<float>(c);
  const OnDevice<float> device(o);
  const std::vector<float> once = device.grad(bounds);
  for (const std::vector<size_t>& groups : {std::vector<size_t>{1, 1, 1, 1, 1, 1, 1, 1}, {3, 5}, {5, 2, 1}}) {
    DeviceVector<float> dw(o.w);
    size_t s = 0;
    for (const size_t count : groups) {
      std::vector<int32_t> part;
      for (size_t i = 0; i <= count; ++i) part.push_back(bounds[s + i] - bounds[s]);
      const DeviceIndex on_device(part);
      low_rank_grad(cuda_stream(),
                    {on_device.segments(), c.rank, c.cols, device.u.data() + bounds[s] * c.rank,
                     device.x.data() + bounds[s] * device.ld, device.ld, device.scale(), dw.data()});
      s += count;
    }
    expect_same_bits(dw.host(), once, "grouped");
  }
}

TEST(cuda_low_rank, a_gradient_in_column_slices_has_the_same_bits) {
  const LowRankCase c = {140, 5, 300, 3, 2};
  const OnDevice<float> device(Operands::of<float>(c));
  const OnDevice<BF16> device16(Operands::of<BF16>(c));
  const std::vector<float> whole = device.grad(bounds_for(c)), whole16 = device16.grad(bounds_for(c));
  const int64_t limit = std::exchange(scratch_limit(), 1);
  expect_same_bits(device.grad(bounds_for(c)), whole, "float32");
  expect_same_bits(device16.grad(bounds_for(c)), whole16, "bfloat16");
  scratch_limit() = limit;
}

TEST(cuda_low_rank, no_tokens_touch_nothing_and_wrong_arguments_are_refused) {
  const auto o = Operands::of<float>({4, 3, 20});
  OnDevice<float> d(o);
  low_rank_down(cuda_stream(), {0, 3, 20, d.x.data(), 20, d.w.data(), 1, d.u.data()});
  low_rank_up(cuda_stream(), {0, 3, 20, d.u.data(), d.w.data(), 1, d.x.data(), 20});
  expect_same_bits(d.grad({0, 0, 0}), o.w, "w");
  expect_same_bits(d.x.host(), o.x, "x");
  expect_same_bits(d.u.host(), o.u, "u");
  EXPECT_THROW(low_rank_down(cuda_stream(), {4, 0, 20, d.x.data(), 20, d.w.data(), 1, d.u.data()}), Error);
  EXPECT_THROW(low_rank_up(cuda_stream(), {4, 3, 20, d.u.data(), d.w.data(), 1, d.x.data(), 19}), Error);
}

}  // namespace
}  // namespace ft::test
