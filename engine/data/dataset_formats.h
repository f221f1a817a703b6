// The formats: what a record of a file becomes. One function a format; a new format is one more of them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/data_files.h"
#include "engine/data/dataset.h"

namespace ft {

struct NewRow {
  std::vector<int32_t> ids, labels;
  std::vector<TokenRole> role;   // of rendered rows
  std::vector<Speaker> speaker;  // of rendered rows where options.speakers asks
  std::string text;              // of rendered rows that were not cut, in one piece
  std::string template_name;     // of rendered rows
  int64_t line = 0;
  std::string where;  // "FILE:LINE"
};

/// Called with each row, cut to its length; false ends the reading.
using OnRow = std::function<bool(NewRow&&)>;

/// Reads a file's rows into `on_row`. Counts what is cut and left out in `report`; throws ft::InputError
/// "FILE:LINE: …" for a bad row, unless they are to be skipped.
void read_rows(const DataSet& set, const DatasetOptions& options, DataReport& report, const OnRow& on_row);

}  // namespace ft
