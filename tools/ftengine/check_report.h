// What `ftengine check` tells of an experiment that has been opened: samples token by token, statistics, and
// hints about what keeps runs from learning.
#pragma once

#include "tools/ftengine/run_report.h"

namespace ft {

struct CheckOptions {
  int samples = 2;   // of each training file
  int tokens = 120;  // shown of a sample
};

/// Prints to stdout, in colour on a terminal. Throws ft::InputError for what is wrong with the data.
void report_check(const RunSubject& subject, double learning_rate, const CheckOptions& options);

/// What may keep the run from learning, one line each.
std::vector<std::string> learning_hints(const RunSubject& subject, double learning_rate);

}  // namespace ft
