// Where keys stand: a prefix before the sample's own, and bounds that the host knows from above only.
#include <gtest/gtest.h>

#include "tests/cuda/device_attention.h"
#include "tests/ops/attention_prefix.h"

namespace ft::test {
namespace {

TEST(CudaAttentionPlaces, APrefixStandsBeforeTheSamplesOwnKeys) {
  auto [prefixed, leading] = prefix_and_leading_keys<float>();
  run<float>(prefixed, false);
  run<float>(leading, false);
  expect_same_bits(prefixed.out, leading.out, "out");
  expect_same_bits(prefixed.lse, leading.lse, "lse");
}

template <class T>
void expect_same_with_upper_bounds(const AttentionCase& c) {
  AttentionData<float> exact = aligned(c), most = aligned(c);
  run<T>(exact, false);
  DeviceAttention<T> device(most);
  std::vector<int32_t> ends = most.kv_end;
  for (size_t s = 0; s < ends.size(); ++s) ends[s] = most.kv_begin[s] + 3000;
  AttentionArgs<T> a = device.args();
  a.kv_end = IndexView(ends.data(), a.kv_end.device);
  a.kv_end_is_most = true;
  attention(cuda_stream(), a);
  device.download();
  expect_same_bits(most.out, exact.out, "out");
  expect_same_bits(most.lse, exact.lse, "lse");
}

// What is recorded for a cache's capacity serves shorter rows: those in one piece and those in several.
TEST(CudaAttentionPlaces, UpperBoundsOfKeysLaunchTheSameWork) {
  for (const AttentionCase& c : {AttentionCase{"pieces", {1, 1, 1, 2}, {60, 1100, 1, 2100}, 4, 2, 16},
                                 AttentionCase{"one piece", {1, 1}, {9, 130}, 2, 2, 32, 0, 0, true, true},
                                 AttentionCase{"window", {1, 1}, {1500, 20}, 2, 1, 20, 3, 70}}) {
    SCOPED_TRACE(c.name);
    expect_same_with_upper_bounds<float>(c);
    expect_same_with_upper_bounds<BF16>(c);
  }
}

}  // namespace
}  // namespace ft::test
