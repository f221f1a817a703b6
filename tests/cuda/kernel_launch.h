// What makes the launches of bench/kernel_cases.h: the work that an op cannot avoid (each operand read once,
// each result written once, the operations of its formula; a multiply, an add and a function count 1 each)
// and the call.
#pragma once

#include <functional>
#include <map>
#include <string_view>

#include "tests/cuda/kernel_operands.h"
#include "tests/cuda/kernel_shapes.h"

namespace ft::bench {

struct Work {
  double bytes = 0, flops = 0;
};

/// A launch on a stream of type S, with its operands in place. It may be run any number of times.
template <class S>
struct Launch {
  Work work;
  std::function<void(S&)> run;
};

template <class S>
using MakeLaunch = Launch<S> (*)(const KernelShape&, Operands&);
template <class S>
using Makers = std::map<std::string_view, MakeLaunch<S>>;

}  // namespace ft::bench
