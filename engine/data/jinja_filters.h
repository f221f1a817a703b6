// The filters' table, in two files: of texts and numbers, and of lists.
#pragma once

#include <span>

#include "engine/data/jinja_run.h"

namespace ft::jinja {

struct FilterEntry {
  std::string_view name;
  Value (*apply)(Run&, const Value&, ArgReader&);
};

/// Those of lists and mappings.
std::span<const FilterEntry> list_filters();

}  // namespace ft::jinja
