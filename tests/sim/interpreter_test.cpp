// The interpreter against plain C++, kernel by kernel. Each runs in order, under random schedules and with
// all checkers on; results must not depend on that, and correct kernels must give no finding.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

#include "kernels/sim/float_format.h"
#include "kernels/sim/sim.h"
#include "tests/sim/device_array.h"
#include "tests/sim/kernels.h"

namespace ft::sim::test {
namespace {

std::vector<float> random_floats(size_t n, float low, float high, uint32_t seed = 1) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> draw(low, high);
  std::vector<float> x(n);
  for (float& v : x) v = draw(engine);
  return x;
}

struct Mode {
  const char* name;
  Settings settings;
};

void PrintTo(const Mode& mode, std::ostream* out) {
  *out << mode.name;
}

class Interpreter : public testing::TestWithParam<Mode> {
 protected:
  void SetUp() override {
    cudaGetLastError();
    clear_reports();
    set(GetParam().settings);
  }
  void TearDown() override {
    EXPECT_EQ(cudaGetLastError(), cudaSuccess) << last_fault();
    for (const Finding& f : reports())
      ADD_FAILURE() << f.kind << " " << f.kernel << " " << f.place << ": " << f.text;
    set(Settings{});
  }
};

TEST_P(Interpreter, AddsVectors) {
  const int n = 1000;
  const auto a = random_floats(n, -2, 2), b = random_floats(n, -2, 2, 2);
  DeviceArray<float> da(a), db(b), out(n);
  add(da.get(), db.get(), out.get(), n);
  const auto got = out.host();
  for (int i = 0; i < n; ++i) ASSERT_EQ(got[i], a[i] + b[i]) << i;
}

TEST_P(Interpreter, ReducesWithSharedMemoryAndShuffles) {
  const int rows = 3, n = 777;
  std::vector<float> x(rows * n);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(static_cast<int>(i % 17) - 8);  // sums are exact
  DeviceArray<float> dx(x), out(rows);
  reduce(dx.get(), out.get(), rows, n);
  const auto got = out.host();
  for (int r = 0; r < rows; ++r) {
    float sum = 0;
    for (int i = 0; i < n; ++i) sum += x[r * n + i];
    EXPECT_EQ(got[r], sum);
  }
}

TEST_P(Interpreter, ComputesInDouble) {
  const int n = 200;
  std::vector<double> x(n);
  for (int i = 0; i < n; ++i) x[i] = 0.37 * i - 20.1;
  DeviceArray<double> dx(x), out(n);
  doubles(dx.get(), out.get(), n);
  const auto got = out.host();
  for (int i = 0; i < n; ++i) {
    const double want = std::sqrt(x[i] * x[i] + 1.0) / (x[i] + 3.0) - std::fma(x[i], x[i], -2.0) +
                        std::exp(-x[i]) + static_cast<double>(static_cast<int>(x[i]));
    ASSERT_NEAR(got[i], want, 1e-13 * std::max(1.0, std::fabs(want)) * 400) << i;  // terms up to 400 cancel
  }
}

TEST_P(Interpreter, ReversesInDynamicSharedMemory) {
  const int n = 500;
  std::vector<int> x(n);
  for (int i = 0; i < n; ++i) x[i] = i * i;
  DeviceArray<int> dx(x), out(n);
  dynamic_shared(dx.get(), out.get(), n);
  const auto got = out.host();
  for (int i = 0; i < n; ++i) ASSERT_EQ(got[i], x[n - 1 - i]);
}

TEST_P(Interpreter, ReadsConstantsAndUpdatesVariables) {
  float table[16];
  for (int i = 0; i < 16; ++i) table[i] = 1.5f * static_cast<float>(i);
  DeviceArray<float> out(64);
  int counter = -1;
  constant(table, out.get(), &counter);
  EXPECT_EQ(counter, 6);
  const auto got = out.host();
  for (int i = 0; i < 64; ++i) EXPECT_EQ(got[i], table[i % 16] * 2);
}

int collatz(int x, int limit) {
  int steps = 0;
  while (x != 1 && steps < limit) {
    x = x % 2 == 0 ? x / 2 : 3 * x + 1;
    ++steps;
  }
  return steps;
}

TEST_P(Interpreter, DivergesCallsAndLoops) {
  const int n = 300;
  DeviceArray<int> out(n);
  divergence(out.get(), n);
  const auto got = out.host();
  for (int i = 0; i < n; ++i) {
    int value = collatz(i + 1, 1000);
    if (i % 3 == 1) value += collatz(2 * i + 1, 50);
    switch (i % 7) {
      case 0:
        value += 11;
        break;
      case 1:
        value *= 3;
        break;
      case 2:
        value ^= 0x55;
        break;
      case 3:
        value -= i;
        break;
      case 4:
        value = value / (i + 1);
        break;
      case 5:
        value = -value;
        break;
      default:
        value +=
            std::popcount(static_cast<unsigned>(i)) + std::countl_zero(static_cast<unsigned>(i)) + (i << 3);
    }
    ASSERT_EQ(got[i], value + i + value * i + value + (i & 7) * i) << i;
  }
}

TEST_P(Interpreter, UpdatesAtomically) {
  const int n = 1000;
  std::vector<int> keys(n), histogram(16, 0);
  for (int i = 0; i < n; ++i)
    ++histogram[static_cast<size_t>((keys[static_cast<size_t>(i)] = i * 37 % 1013) & 15)];
  DeviceArray<int> dk(keys), dh(std::vector<int>(16, 0));
  DeviceArray<float> sum(std::vector<float>(1, 0.0f));
  DeviceArray<unsigned long long> most(std::vector<unsigned long long>(1, 0));
  atomics(dk.get(), dh.get(), sum.get(), most.get(), n);
  EXPECT_EQ(dh.host(), histogram);
  EXPECT_EQ(sum.host()[0], 500.0f);
  EXPECT_EQ(most.host()[0], static_cast<unsigned long long>(*std::max_element(keys.begin(), keys.end())));
}

TEST_P(Interpreter, RoundsHalves) {
  auto x = random_floats(256, -3, 3);
  x[0] = 65520.0f, x[1] = 65519.0f, x[2] = 0x1p-25f, x[3] = 0x1.8p-24f, x[4] = INFINITY, x[5] = 1.00390625f,
  x[6] = -0.0f;
  const int n = static_cast<int>(x.size());
  DeviceArray<float> dx(x), out(4 * x.size());
  halves(dx.get(), out.get(), n);
  const auto got = out.host();
  for (int i = 0; i < n; ++i) {
    const auto half = [](float v) {
      return static_cast<float>(static_cast<_Float16>(v));
    };  // the compiler's own
    const float h = half(x[i]), b = bf16_to_float(float_to_bf16(x[i]));
    ASSERT_EQ(got[4 * i], h) << x[i];
    ASSERT_EQ(got[4 * i + 1], b) << x[i];
    if (std::isfinite(x[i])) {
      ASSERT_LE(std::fabs(b - x[i]), std::fabs(x[i]) * 0x1p-8f) << x[i];
    }
    if (std::isfinite(h) && std::fabs(h) < 40000) {
      ASSERT_EQ(got[4 * i + 2], half(std::fma(h, 1.5f, 0.25f))) << x[i];
    }
    if (std::isfinite(b)) {
      ASSERT_EQ(got[4 * i + 3], bf16_to_float(float_to_bf16(b * 3.0f))) << x[i];
    }
  }
}

TEST_P(Interpreter, ComputesFunctions) {
  const auto x = random_floats(320, -9, 9);
  const int n = static_cast<int>(x.size());
  DeviceArray<float> dx(x), out(8 * x.size());
  math(dx.get(), out.get(), n);
  const auto got = out.host();
  for (int i = 0; i < n; ++i) {
    const double v = x[i];
    const double want[8] = {
        std::exp(v),
        std::log(std::fabs(v) + 1),
        std::tanh(v),
        1 / std::sqrt(v * v + 1),
        v / (1 + std::fabs(v)),
        std::sin(v) + std::cos(v),
        std::erf(v),
        std::exp(v) + std::floor(v) + std::trunc(v) + std::nearbyint(v) + std::fmax(v, 0.5)};
    for (int k = 0; k < 8; ++k) {
      // CUDA's own error bounds are 1-4 units; the sums of k = 5 and 7 cancel, so their error is absolute.
      const double scale = k == 5 ? 1.0 : k == 7 ? std::exp(v) + 3 * std::fabs(v) + 1 : std::fabs(want[k]);
      ASSERT_NEAR(got[8 * i + k], want[k], 8 * 0x1p-24 * scale + (k == 7 ? 1e-6 * std::exp(v) : 0))
          << "function " << k << " of " << v;
    }
  }
}

TEST_P(Interpreter, MultipliesOnTensorCores) {
  const int m = 32, n = 24, k = 48;
  for (const bool half : {false, true}) {
    const auto store = half ? float_to_half : float_to_bf16;
    const auto load = half ? half_to_float : bf16_to_float;
    std::vector<uint16_t> a(m * k), b(n * k);
    std::mt19937 engine(3);
    const auto draw = [&](int most) {
      return static_cast<float>(static_cast<int>(engine() % (2 * most + 1)) - most);
    };
    for (auto& v : a) v = store(half ? draw(1024) / 1024 : draw(8));  // bf16 would round the former
    for (auto& v : b) v = store(draw(8));
    DeviceArray<uint16_t> da(a), db(b);
    for (const Rounding rounding : {Rounding::exact, Rounding::a100, Rounding::h100}) {
      Settings s = GetParam().settings;
      s.rounding = rounding;
      set(s);
      DeviceArray<float> dc(m * n);
      mma(da.get(), db.get(), dc.get(), m, n, k, half);
      const auto c = dc.host();
      for (int i = 0; i < m; ++i) {
        for (int j = 0; j < n; ++j) {
          float want = 0;  // so few bits that every rounding is exact
          for (int l = 0; l < k; ++l) want += load(a[i * k + l]) * load(b[j * k + l]);
          ASSERT_EQ(c[i * n + j], want) << half << " " << i << " " << j;
        }
      }
    }
  }
}

TEST_P(Interpreter, PassesStructsByValue) {
  const Weights w{0.0, {1.5f, 2.5f, -3.5f, 4.5f}, 2.0f};
  DeviceArray<float> out(32);
  structs(w, out.get());
  const auto got = out.host();
  for (int i = 0; i < 32; ++i) {
    const float picked = w.scale[(static_cast<float>(i * 7) + w.offset > 3 ? i : 0) % 4];
    EXPECT_EQ(got[i], w.scale[i % 4] * w.offset + picked) << i;
  }
}

TEST_P(Interpreter, VotesAndShuffles) {
  std::vector<int> x(32);
  for (int i = 0; i < 32; ++i) x[i] = i * 7 % 11 + (i % 4 == 0);
  DeviceArray<int> dx(x), out(32 * 5);
  votes(dx.get(), out.get());
  const auto got = out.host();
  unsigned odd = 0;
  int sum = 0;
  for (int i = 0; i < 32; ++i) odd |= static_cast<unsigned>(x[i] & 1) << i, sum += x[i];
  for (int i = 0; i < 32; ++i) {
    unsigned same = 0;
    for (int j = 0; j < 32; ++j) same |= static_cast<unsigned>(x[i] == x[j]) << j;
    EXPECT_EQ(static_cast<unsigned>(got[i * 5]), odd);
    EXPECT_EQ(static_cast<unsigned>(got[i * 5 + 1]), same);
    EXPECT_EQ(got[i * 5 + 2], sum);
    EXPECT_EQ(got[i * 5 + 3], *std::min_element(x.begin(), x.end()) > 0);
    EXPECT_EQ(got[i * 5 + 4], std::popcount(odd) + x[i < 3 ? i : i - 3] + x[i / 8 * 8 + ((i ^ 5) & 7)]);
  }
}

std::vector<Mode> modes() {
  std::vector<Mode> all{{"InOrder", {}}, {"Checked", Settings::checked()}};
  for (const uint64_t seed : {1, 2, 3}) {
    static const char* names[] = {"", "Seed1", "Seed2", "Seed3"};
    all.push_back({names[seed], Settings::checked(seed)});
  }
  Settings counted;
  counted.count = true;
  all.push_back({"Counted", counted});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Modes, Interpreter, testing::ValuesIn(modes()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace ft::sim::test
