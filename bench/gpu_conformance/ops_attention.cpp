// Attention forward and backward: every case as the table lays it out, and again with all rows at multiples
// of 16 bytes, which is what the device's wide loads and tensor cores take.
#include "bench/gpu_conformance/checks.h"
#include "tests/cuda/device_attention.h"

namespace ft::bench {
namespace {

static_assert(AttentionData<float>::kMark == kMark);

/// The CPU's results in T on x's operands.
template <class T>
AttentionData<T> on_cpu(const AttentionData<float>& x) {
  AttentionData<T> y(x.shape);
  y.ldq = x.ldq, y.ldk = x.ldk, y.ldv = x.ldv, y.ldo = x.ldo, y.ld_prefix = x.ld_prefix;
  y.q.assign(x.q.begin(), x.q.end());
  y.k.assign(x.k.begin(), x.k.end());
  y.v.assign(x.v.begin(), x.v.end());
  y.prefix_k.assign(x.prefix_k.begin(), x.prefix_k.end());
  y.prefix_v.assign(x.prefix_v.begin(), x.prefix_v.end());
  y.dout.assign(x.dout.begin(), x.dout.end());
  y.clear();
  attention(stream(), y.args());
  attention_grad(stream(), y.grad_args());
  return y;
}

/// The results of a run; activations were T.
template <class T, class Kept>
Results results_of(const AttentionData<Kept>& x) {
  // Gradients of scores are differences of products of two normal numbers, and nothing but their rounding
  // where a row sees one key: in float32 some 2^-24 of such a product, times q or k. In 16 bits p and ds are
  // rounded too before they are multiplied, and so is what comes out: three half units of the largest
  // element.
  const Allowance allowed = sizeof(T) == 2 ? Allowance{kHalfUnit<T> * 0x1.8p25, 1} : Allowance{4, 4};
  Results r;
  for (const auto& [name, values] : x.results()) {
    const char* op = name == "out" || name == "lse" ? "attention" : "attention_grad";
    r.add(op, name, *values, name == "lse" ? Allowance{16, 1} : allowed);
  }
  return r;
}

template <class T>
void check_case(Checks& checks, const std::string& name, AttentionData<float> x) {
  if constexpr (sizeof(T) == 2) round_inputs<T>(x);
  checks.run<T>("attention", name, [&]<class A>(auto place) {
    if constexpr (place.is_cpu) {
      return results_of<A>(on_cpu<A>(x));
    } else {
      AttentionData<float> y = x;
      run<A>(y);
      return results_of<A>(y);
    }
  });
}

template <class T>
void check(Checks& checks) {
  for (const AttentionCase& c : attention_cases()) {
    check_case<T>(checks, c.name, AttentionData<float>(c));
    check_case<T>(checks, c.name + "_aligned", aligned(c));
  }
}

}  // namespace

void check_attention(Checks& checks) {
  check<float>(checks);
  check<BF16>(checks);
  check<F16>(checks);
}

}  // namespace ft::bench
