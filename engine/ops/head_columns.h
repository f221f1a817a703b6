#pragma once

#include "engine/autograd/tape.h"

namespace ft {

/// Columns [column, column + heads · head_dim) of a value [rows, features]: all of it, or a part of a fused
/// q|k|v.
struct HeadColumns {
  Var var;
  int64_t column = 0;
};

}  // namespace ft
