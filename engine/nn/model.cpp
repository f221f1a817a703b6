#include "engine/nn/model.h"

#include <algorithm>

namespace ft {

std::vector<Parameter*> distinct_parameters(Model& model) {
  std::vector<Parameter*> all;
  for (const Slot* slot : model.slots())
    if (std::find(all.begin(), all.end(), slot->parameter) == all.end()) all.push_back(slot->parameter);
  return all;
}

}  // namespace ft
