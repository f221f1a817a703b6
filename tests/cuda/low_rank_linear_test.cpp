// The linear map with low-rank terms on the device, in every plan, against float64.
#include <cuda_runtime_api.h>

#include <functional>
#include <map>

#include "engine/ops/elementwise.h"
#include "kernels/cuda/low_rank_mask.h"
#include "kernels/sim/sim.h"
#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/low_rank_linear_cases.h"

namespace ft::test {
namespace {

/// The shared cases, and a product too deep to be fused.
std::vector<LowRankLinearCase> cases() {
  std::vector<LowRankLinearCase> all = low_rank_linear_cases();
  all.push_back({{3, 2}, 1030, 12, {4}, 0, true});
  all.push_back({{130, 7}, 36, 40, {9}, 0.2f, false, true});
  return all;
}

template <class T>
struct OnDevice {
  const LowRankLinearData& d;
  DeviceVector<T> x, w, dy, dx, y;
  DeviceVector<float> bias;
  DeviceIndex bounds, row, position;
  std::vector<DeviceVector<T>> u, du;
  std::vector<DeviceVector<float>> a, b_t, da, db_t;
  std::vector<LowRankTermArgs<T>> terms;

  explicit OnDevice(const LowRankLinearData& data)
      : d(data),
        x(as_type<T>(d.x)),
        w(as_type<T>(d.w)),
        dy(as_type<T>(d.dy)),
        dx(as_type<T>(d.dx)),
        y(d.c.tokens() * d.c.outputs),
        bias(d.bias),
        bounds(d.bounds),
        row(d.row),
        position(d.position) {
    for (size_t i = 0; i < d.c.ranks.size(); ++i) {
      a.emplace_back(d.a[i]);
      b_t.emplace_back(d.b_t[i]);
      da.emplace_back(std::vector<float>(d.a[i].size()));
      db_t.emplace_back(std::vector<float>(d.b_t[i].size()));
      u.emplace_back(d.c.tokens() * d.c.ranks[i]);
      du.emplace_back(d.c.tokens() * d.c.ranks[i]);
      terms.push_back({d.c.ranks[i], a[i].data(), b_t[i].data(),
                       static_cast<float>(LowRankLinearData::kScale[i]), d.dropout(i), 77, 5, u[i].data(),
                       du[i].data(), da[i].data(), db_t[i].data()});
    }
  }

  LowRankLinearResults run() {
    const PackedView weight{dtype_of<T>, d.c.outputs, d.c.inputs, w.data()};
    low_rank_linear(cuda_stream(),
                    LowRankLinearArgs<T>{d.c.tokens(), weight, x.data(), d.c.bias ? bias.data() : nullptr,
                                         y.data(), row.view(), position.view(), terms});
    low_rank_linear_grad(cuda_stream(),
                         LowRankLinearGradArgs<T>{bounds.segments(), weight, x.data(), dy.data(), dx.data(),
                                                  d.c.accumulate, row.view(), position.view(), terms});
    LowRankLinearResults r;
    r.y = exactly(y.host());
    r.dx = exactly(dx.host());
    for (size_t i = 0; i < u.size(); ++i) {
      r.u.push_back(exactly(u[i].host()));
      r.da.push_back(exactly(da[i].host()));
      r.db_t.push_back(exactly(db_t[i].host()));
    }
    return r;
  }
};

template <class T>
class CudaLowRankLinear : public testing::Test {};
using Types = testing::Types<float, BF16, F16>;
TYPED_TEST_SUITE(CudaLowRankLinear, Types);

TYPED_TEST(CudaLowRankLinear, IsItsFormulaForwardAndBackward) {
  for (const LowRankLinearCase& c : cases()) {
    SCOPED_TRACE(c.name());
    const LowRankLinearData d(c);
    const LowRankLinearResults reference = low_rank_linear_oracle<double>(d),
                               plain = low_rank_linear_oracle<float>(d), got = OnDevice<TypeParam>(d).run(),
                               again = OnDevice<TypeParam>(d).run();
    const auto references = all_of(reference), plains = all_of(plain), gots = all_of(got),
               agains = all_of(again);
    for (size_t i = 0; i < references.size(); ++i) {
      const auto& [name, want] = references[i];
      // In 16 bits u, du, and with them everything behind, are rounded on the way: each term of a sum over r
      // ranks or T tokens by half a unit, here of the largest result.
      const double rounding = sizeof(TypeParam) == 2 ? 4 * 0x1p-8 : 0x1p-21;
      EXPECT_LE(max_error(*gots[i].second, *want),
                2 * max_error(*plains[i].second, *want) + rounding * max_abs(*want))
          << name;
      expect_same_bits(*agains[i].second, *gots[i].second, name);
    }
  }
}

/// 32-byte sectors that each kernel of `queue` moves, by its name without arguments.
std::map<std::string, uint64_t> sectors_of(const std::function<void()>& queue) {
  const sim::Settings before = sim::settings();
  sim::Settings counting = before;
  counting.count = true;
  sim::set(counting);
  sim::clear_counters();
  queue();
  check_cuda(cudaDeviceSynchronize(), "kernels that are counted");
  std::map<std::string, uint64_t> sectors;
  for (const sim::KernelCounters& k : sim::counters())
    sectors[k.kernel.substr(0, k.kernel.find_first_of("<("))] += k.sectors;
  sim::clear_counters();
  sim::set(before);
  return sectors;
}

/// Kernels that a forward launches, with their sectors.
template <class T>
std::map<std::string, uint64_t> kernels_of(const LowRankLinearCase& c) {
  const LowRankLinearData d(c);
  OnDevice<T> on(d);
  const PackedView weight{dtype_of<T>, c.outputs, c.inputs, on.w.data()};
  return sectors_of([&] {
    low_rank_linear(cuda_stream(), LowRankLinearArgs<T>{c.tokens(), weight, on.x.data(), nullptr, on.y.data(),
                                                        on.row.view(), on.position.view(), on.terms});
  });
}

uint64_t total(const std::map<std::string, uint64_t>& sectors) {
  uint64_t sum = 0;
  for (const auto& [name, n] : sectors) sum += n;
  return sum;
}

bool has(const std::map<std::string, uint64_t>& kernels, std::string_view part) {
  return std::any_of(kernels.begin(), kernels.end(),
                     [&](const auto& k) { return k.first.find(part) != std::string::npos; });
}

TYPED_TEST(CudaLowRankLinear, PlansFollowFromShapes) {
  const auto small = kernels_of<TypeParam>({{20}, 32, 24, {8}});
  EXPECT_EQ(small.size(), 1u);
  EXPECT_TRUE(has(small, "lora_linear"));
  const auto second = kernels_of<TypeParam>({{20}, 32, 24, {8, 4}});
  EXPECT_TRUE(has(second, "lora_linear"));
  EXPECT_TRUE(has(second, "low_rank_down"));
  for (const LowRankLinearCase& c :
       {LowRankLinearCase{{20}, 32, 24, {8}, 0.1f}, LowRankLinearCase{{20}, 32, 24, {17}},
        LowRankLinearCase{{4}, 1025, 8, {2}}}) {
    SCOPED_TRACE(c.name());
    const auto apart = kernels_of<TypeParam>(c);
    EXPECT_FALSE(has(apart, "lora_linear"));
    EXPECT_TRUE(has(apart, "low_rank_down"));
    EXPECT_TRUE(has(apart, "low_rank_up"));
    EXPECT_FALSE(has(apart, "dropout"));
  }
}

// Beside the product in tiles of 64 × 64, which both plans have: the fused kernel reads A and B, the thin
// kernels also all of x again and y twice.
TYPED_TEST(CudaLowRankLinear, FusedMovesLessThanTheThinKernels) {
  const LowRankLinearCase c{{64}, 512, 512, {8}};
  const LowRankLinearData d(c);
  OnDevice<TypeParam> on(d);
  const auto fused = kernels_of<TypeParam>(c);
  ASSERT_EQ(fused.size(), 1u);
  // The product in tiles of 64 × 64: x once for each of 8 columns of tiles, W and y once.
  const uint64_t product = (8 * 64 * 512 + 512 * 512 + 64 * 512) * sizeof(TypeParam) / 32;
  on.y.upload(std::vector<TypeParam>(64 * 512));
  const auto thin = sectors_of([&] {
    const LowRankTermArgs<TypeParam>& t = on.terms[0];
    low_rank_down(cuda_stream(), LowRankDownArgs<TypeParam>{64, 8, 512, on.x.data(), 512, t.a, 1, t.u});
    low_rank_up(cuda_stream(),
                LowRankUpArgs<TypeParam>{64, 8, 512, t.u, t.b_t, t.scale, on.y.data(), 512, true});
  });
  EXPECT_LE(total(fused), product + total(thin));
}

TYPED_TEST(CudaLowRankLinear, AMaskMovesLessThanADroppedCopy) {
  const LowRankLinearData d({{64}, 512, 512, {8}});
  OnDevice<TypeParam> on(d);
  const LowRankTermArgs<TypeParam>& t = on.terms[0];
  const LowRankDownArgs<TypeParam> down{64, 8, 512, on.x.data(), 512, t.a, 1, t.u};
  const DropoutMask mask{0.3f, 77, 5, on.row.view().device, on.position.view().device};
  const auto masked = sectors_of([&] { low_rank_down(cuda_stream(), down, mask); });
  const auto apart = sectors_of([&] {
    dropout(cuda_stream(), DropoutArgs<TypeParam>{64, 512, on.x.data(), on.y.data(), false, 0.3f, 77, 5,
                                                  on.row.view(), on.position.view()});
    low_rank_down(cuda_stream(), down);
  });
  EXPECT_LE(4 * total(masked), 3 * total(apart));
}

}  // namespace
}  // namespace ft::test
