// What the conformance program counts: for every op and type of activations, the cases that were compared and
// how far the worst result was from its limit.
//
// The limit of a result is earned, as in tests/ops/op_test.h: the device's error against the CPU's float64
// kernel is at most twice that of the CPU's float32 kernel, plus a few units of rounding at the largest
// magnitude; a 16-bit result may be rounded once more. A second run on the device must give the same bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/gpu_conformance/place.h"
#include "engine/core/dtype.h"

namespace ft::bench {

/// What an op's own arithmetic may cost beside what is earned.
struct Allowance {
  double units = 0;      // of float32 rounding (float64's for results of that type)
  double magnitude = 0;  // … at the largest result, or at this where results are what remains of larger terms
};
/// Of a sum of n products of normal numbers: terms add up to √n, and rounding errors, too, to a multiple of
/// √n when one is added after the other, which the CPU's kernels, with many partial sums, do not show.
inline Allowance sum_allowance(int64_t n) {
  const double root = std::sqrt(static_cast<double>(n));
  return {4 + root / 3, root};
}

/// What one run of a case gave, every element widened to double (which loses nothing).
class Results {
 public:
  struct One {
    std::string op, name;
    DType kept = DType::f32;  // what the values were rounded to; i32 for what must be equal
    std::vector<double> values;
    Allowance allowance;
  };
  /// The order of the calls is the same on every place.
  template <class T>
  void add(std::string_view op, std::string_view name, const std::vector<T>& values,
           const Allowance& allowance) {
    all_.push_back({std::string(op), std::string(name), dtype_of<T>, exactly(values), allowance});
  }
  const std::vector<One>& all() const { return all_; }

 private:
  std::vector<One> all_;
};

/// Largest error of `got` relative to what it may be; above 1 it failed.
double deviation(const Results::One& got, const Results::One& plain, const Results::One& reference);

struct OpReport {
  std::string op;
  DType type{};
  int64_t cases = 0, failed = 0;
  double worst = 0;                   // error / tolerance
  std::string worst_at;               // "case: result"
  std::vector<std::string> failures;  // the first few, a line each
};

class Checks {
 public:
  /// One case: `f` is called as f.operator()<T>(OnDevice()) twice, then with float and double OnCpu(); each
  /// call makes its own operands and returns its Results. An exception is a failure of `op`.
  template <class T, class F>
  void run(std::string_view op, const std::string& name, F&& f) {
    guarded(op, dtype_of<T>, name, [&] {
      const Results got = f.template operator()<T>(OnDevice()), again = f.template operator()<T>(OnDevice());
      compare(dtype_of<T>, name, got, again, f.template operator()<float>(OnCpu()),
              f.template operator()<double>(OnCpu()));
    });
  }
  const std::vector<OpReport>& ops() const { return ops_; }
  int64_t failed() const;

 private:
  void guarded(std::string_view op, DType type, const std::string& name, const std::function<void()>& f);
  void compare(DType type, const std::string& name, const Results& got, const Results& again,
               const Results& plain, const Results& reference);
  void count(std::string_view op, DType type, const std::string& name, const std::vector<std::string>& wrong);
  OpReport& report_of(std::string_view op, DType type);

  std::vector<OpReport> ops_;
};

// Every op of the case tables, in float32 and, where the op has them, in bfloat16 and float16.
void check_activations(Checks& checks);
void check_attention(Checks& checks);
void check_cross_entropy(Checks& checks);
void check_elementwise(Checks& checks);
void check_embeddings(Checks& checks);
void check_low_rank(Checks& checks);
void check_matmuls(Checks& checks);
void check_norms(Checks& checks);
void check_optimizers(Checks& checks);
void check_rows(Checks& checks);
void check_sampling(Checks& checks);

}  // namespace ft::bench
