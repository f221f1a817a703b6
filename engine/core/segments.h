// The samples of a ragged batch, laid end to end without padding: sample s owns the tokens
// [bounds[s], bounds[s + 1]). Reductions over tokens are taken sample by sample, in order, each sum formed by
// itself before it is added: so a gradient's bits do not depend on how samples are grouped into passes.
#pragma once

#include <cstdint>

#include "engine/core/index_view.h"

namespace ft {

struct Segments {
  IndexView bounds;  // [count + 1], bounds[0] = 0, non-decreasing
  int32_t count = 0;
  int64_t tokens() const { return count ? bounds[count] : 0; }
};

}  // namespace ft
