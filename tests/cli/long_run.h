// One short run with everything on that a resumed run could get wrong (dropout, accumulation, shuffling,
// evaluation, early stopping, the best weights at the end), and what must be equal whatever happened on the
// way.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/program.h"

namespace ft::cli {

/// How often to try what is drawn: `usual`, times FT_TRUST (tools/prove_trust sets it).
int trials(int usual);

/// exp.yaml, model and rows in `folder`. `steps`: of a run that does not stop early before.
void make_long_run(const fs::path& folder, int steps);

/// What decisions.md compares by hash: final adapter, the last checkpoint's optimizer state, and the fields
/// of the log that are no wall-clock times.
struct Result {
  std::string adapter, optimizer;
  nlohmann::json log;
  friend bool operator==(const Result&, const Result&) = default;
};
Result result_of(const fs::path& output);
/// Which of the three differ, for messages.
std::string difference(const Result& a, const Result& b);

/// Arguments with which a person goes on, given what stands in out/.
std::vector<std::string> next_attempt(const fs::path& folder);

/// No hidden neighbours, and every checkpoint can be read whole.
void expect_nothing_half_written(const fs::path& output);

}  // namespace ft::cli
