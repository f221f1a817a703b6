#include "bench/gpu_conformance/checks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

namespace ft::bench {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
constexpr size_t kFailuresKept = 5;

// What no kernel may touch stays the mark and says nothing about the size of results.
double largest(const std::vector<double>& reference) {
  double m = 0;
  for (const double r : reference)
    if (r != kMark && std::isfinite(r)) m = std::max(m, std::fabs(r));
  return m;
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

}  // namespace

double deviation(const Results::One& got, const Results::One& plain, const Results::One& reference) {
  if (got.values.size() != reference.values.size()) return kInfinite;
  const double unit = got.kept == DType::f64 ? 0x1p-53 : 0x1p-24;
  const double computed =
      got.kept == DType::i32
          ? 0
          : 2 * max_error(plain.values, reference.values) +
                got.allowance.units * unit * std::max(largest(reference.values), got.allowance.magnitude);
  double worst = 0;
  for (size_t i = 0; i < got.values.size(); ++i) {
    const double g = got.values[i], r = reference.values[i];
    if (g == r || (std::isnan(g) && std::isnan(r))) continue;
    if (!std::isfinite(g) || !std::isfinite(r) || r == kMark) return kInfinite;
    const double rounding = got.kept == DType::bf16  ? 0x1p-8 * std::fabs(r)
                            : got.kept == DType::f16 ? 0x1p-11 * std::fabs(r) + 0x1p-25
                                                     : 0;
    const double limit = computed + rounding;
    worst = std::max(worst, limit > 0 ? std::fabs(g - r) / limit : kInfinite);
  }
  return worst;
}

OpReport& Checks::report_of(std::string_view op, DType type) {
  for (OpReport& r : ops_)
    if (r.op == op && r.type == type) return r;
  OpReport& added = ops_.emplace_back();
  added.op = op;
  added.type = type;
  return added;
}

void Checks::count(std::string_view op, DType type, const std::string& name,
                   const std::vector<std::string>& wrong) {
  OpReport& r = report_of(op, type);
  ++r.cases;
  r.failed += !wrong.empty();
  for (const std::string& what : wrong)
    if (r.failures.size() < kFailuresKept) r.failures.push_back(name + ": " + what);
}

void Checks::guarded(std::string_view op, DType type, const std::string& name,
                     const std::function<void()>& f) {
  try {
    f();
  } catch (const std::exception& e) {
    count(op, type, name, {e.what()});
    report_of(op, type).worst = kInfinite;
  }
}

void Checks::compare(DType type, const std::string& name, const Results& got, const Results& again,
                     const Results& plain, const Results& reference) {
  std::map<std::string, std::vector<std::string>> wrong;  // by op
  for (size_t i = 0; i < got.all().size(); ++i) {
    const Results::One& one = got.all()[i];
    std::vector<std::string>& of_op = wrong[one.op];
    const double off = deviation(one, plain.all().at(i), reference.all().at(i));
    OpReport& r = report_of(one.op, type);
    if (off >= r.worst) {
      r.worst = off;
      r.worst_at = name + ": " + one.name;
    }
    if (!(off <= 1)) of_op.push_back(fmt::format("{} is {:.3g} times its tolerance off", one.name, off));
    if (!same_bits(one.values, again.all().at(i).values))
      of_op.push_back(one.name + " has other bits in a second run");
  }
  for (const auto& [op, what] : wrong) count(op, type, name, what);
}

int64_t Checks::failed() const {
  int64_t n = 0;
  for (const OpReport& r : ops_) n += r.failed;
  return n;
}

}  // namespace ft::bench
