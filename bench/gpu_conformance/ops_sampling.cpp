// The choice of the next token: the CPU's ids.
#include "bench/gpu_conformance/checks.h"
#include "tests/cuda/next_token_cases.h"

namespace ft::bench {
namespace {

template <class T>
void check_choices(Checks& checks) {
  const ChoiceLogits<T> logits(1301);
  for (const ChoiceCase& c : choice_cases)
    checks.run<T>("next_token", c.name, [&]<class A>(auto place) {
      Results r;
      if constexpr (place.is_cpu)
        r.add("next_token", "ids", choices_on_cpu(logits, c.options()), {});
      else
        r.add("next_token", "ids", choices_on_device(logits, c.options()), {});
      return r;
    });
}

}  // namespace

void check_sampling(Checks& checks) {
  check_choices<float>(checks);
  check_choices<BF16>(checks);
}

}  // namespace ft::bench
