// The head's loss with its gradient in place, and as an evaluation.
#include "bench/gpu_conformance/checks.h"
#include "engine/ops/cross_entropy.h"
#include "tests/ops/cross_entropy_cases.h"

namespace ft::bench {
namespace {

/// The columns that belong to classes; what lies between the rows must be as it was.
template <class T>
std::vector<T> classes_of(const CrossEntropyCase& c, const std::vector<T>& z, const std::vector<T>& before) {
  std::vector<T> out;
  for (int64_t r = 0; r < c.rows; ++r) {
    const auto row = r * c.ld;
    out.insert(out.end(), z.begin() + row, z.begin() + row + c.classes);
    FT_CHECK(c.classes == c.ld || std::memcmp(&z[static_cast<size_t>(row + c.classes)],
                                              &before[static_cast<size_t>(row + c.classes)],
                                              static_cast<size_t>(c.ld - c.classes) * sizeof(T)) == 0,
             "what lies between the rows was changed");
  }
  return out;
}

template <class T>
void check(Checks& checks) {
  for (const CrossEntropyCase& c : cross_entropy_cases()) {
    const auto logits = random_inputs<T>(c.rows * c.ld, "logits", c.scale, c.shift);
    Rng rng(7, "targets");
    std::vector<int32_t> rows_targets;
    for (int64_t r = 0; r < c.rows; ++r)
      rows_targets.push_back(static_cast<int32_t>(rng.below(static_cast<uint32_t>(c.classes))));
    const DeviceIndex targets(rows_targets);
    checks.run<T>("cross_entropy", c.name, [&]<class A>(auto place) {
      Results r;
      for (const bool gradient : {false, true}) {
        auto z = place.template buffer<A>(logits);
        auto loss = results_buffer<double>(place, c.rows);
        typename decltype(place)::template Buffer<int32_t> argmax(
            std::vector<int32_t>(static_cast<size_t>(c.rows), -1));
        const std::vector<A> before = z.host();
        cross_entropy(place.stream(), CrossEntropyArgs<A>{c.rows, c.classes, z.data(), c.ld, targets.view(),
                                                          static_cast<Wide<A>>(c.gradient), gradient,
                                                          loss.data(), argmax.data()});
        // Losses are stored wider than they are computed.
        r.add("cross_entropy", "loss", narrow<float>(loss.host()), {4});
        r.add("cross_entropy", "argmax", argmax.host(), {0});
        r.add("cross_entropy", gradient ? "gradient" : "logits", classes_of(c, z.host(), before), {6});
      }
      return r;
    });
  }
}

}  // namespace

void check_cross_entropy(Checks& checks) {
  check<float>(checks);
  check<BF16>(checks);
  check<F16>(checks);
}

}  // namespace ft::bench
