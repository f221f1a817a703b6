// Rotary embedding, forward and inverse, and rows copied by index.
#include <cmath>

#include "bench/gpu_conformance/checks.h"
#include "engine/ops/rope.h"
#include "engine/ops/rows.h"
#include "tests/ops/rope_cases.h"
#include "tests/ops/rows_cases.h"

namespace ft::bench {
namespace {

template <class T>
void check_rope(Checks& checks) {
  for (const RopeCase& c : rope_cases()) {
    for (const int64_t pad : {0, 3}) {  // with 3, rows are not aligned
      const int64_t ld = c.heads * c.head_dim + pad;
      const auto x = random_inputs<T>(c.tokens * ld, "x");
      std::vector<float> cos, sin;
      for (const float angle : random_vector<float>(c.tokens * c.rotary_dim / 2, "angle", 3)) {
        cos.push_back(std::cos(angle));
        sin.push_back(std::sin(angle));
      }
      checks.run<T>("rope", c.name + (pad ? "_padded" : ""), [&]<class A>(auto place) {
        auto cosines = place.template buffer<Wide<A>>(cos), sines = place.template buffer<Wide<A>>(sin);
        Results r;
        for (const bool inverse : {false, true}) {
          auto y = place.template buffer<A>(x);
          rope(place.stream(), RopeArgs<A>{c.tokens, c.heads, c.head_dim, c.rotary_dim, y.data(), ld,
                                           cosines.data(), sines.data(), c.interleaved, inverse});
          r.add(inverse ? "rope_grad" : "rope", "x", y.host(), {2});
        }
        return r;
      });
    }
  }
}

template <class T>
void check_copies(Checks& checks) {
  for (const CopyRowsCase& c : copy_rows_cases()) {
    const auto x = random_inputs<T>(c.rows_x * c.ldx, "x"), start = random_inputs<T>(c.rows_y * c.ldy, "y");
    const DeviceIndex from(c.from), to(c.to);
    checks.run<T>("copy_rows", c.name, [&]<class A>(auto place) {
      auto source = place.template buffer<A>(x), y = place.template buffer<A>(start);
      CopyRowsArgs<A> a{c.count, c.cols, source.data(), c.ldx, y.data(), c.ldy, {}, {}};
      if (!c.from.empty()) a.from = from.view();
      if (!c.to.empty()) a.to = to.view();
      copy_rows(place.stream(), a);
      Results r;
      r.add("copy_rows", "y", y.host(), {0});
      return r;
    });
  }
}

}  // namespace

void check_rows(Checks& checks) {
  check_rope<float>(checks);
  check_rope<BF16>(checks);
  check_rope<F16>(checks);
  check_copies<float>(checks);
  check_copies<BF16>(checks);
  check_copies<F16>(checks);
}

}  // namespace ft::bench
