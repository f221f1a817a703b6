#include "engine/autograd/backward_fault.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace ft {
namespace {

struct Fault {
  bool row = false;
  int64_t op = -1;  // -1: none
  std::string_view type;
};

Fault parse(const char* text) {
  if (!text || !*text) return {};
  std::string_view rest = text;
  Fault f;
  const bool scale = rest.starts_with("scale:");
  f.row = rest.starts_with("row:");
  if (scale || f.row) {
    rest.remove_prefix(rest.find(':') + 1);
    const size_t digits = std::min(rest.find(':'), rest.size());
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + digits, f.op);
    if (error == std::errc() && end == rest.data() + digits && f.op >= 0) {
      f.type = rest.substr(std::min(digits + 1, rest.size()));
      return f;
    }
  }
  bad_input("FT_FAULT_BACKWARD: {}: expected HOW:N[:TYPE], such as scale:4 or row:0:float32", text);
}

const Fault& planned() {
  static const Fault fault = parse(std::getenv("FT_FAULT_BACKWARD"));
  return fault;
}

// False if there is nothing to damage.
template <class T>
bool damage(std::vector<T>& g, int64_t cols, bool row) {
  const auto last = std::find_if(g.rbegin(), g.rend(), [](T v) { return v != 0; });
  if (last == g.rend()) return false;
  if (row) {
    const int64_t at = (g.rend() - last - 1) / cols * cols;
    std::fill(g.begin() + at, g.begin() + at + cols, T{0});
  } else {
    for (T& v : g) v *= static_cast<T>(1.01);
  }
  return true;
}

}  // namespace

bool backward_faults() {
  return planned().op >= 0;
}

void damage_gradient(const Gradient& output, int64_t n) {
  const Fault& f = planned();
  const DType type = output.sum().dtype();
  if (n != f.op || (!f.type.empty() && f.type != dtype_name(type)) || size_of(type) < 4) return;
  const Tensor g = output.slot().grad;
  dispatch_compute(type, [&]<class T>() {
    std::vector<T> values = g.to_vector<T>();
    if (!damage(values, g.dim(g.shape().rank() - 1), f.row)) return;
    static const bool said = (fmt::print(stderr, "fault: backward {}, {}\n", n, g.shape().str()), true);
    static_cast<void>(said);
    copy_from_host(g.device(), g.raw(), values.data(), g.bytes());
  });
}

}  // namespace ft
