#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace ft {

struct RunSubject;

struct RunOptions {
  std::filesystem::path yaml;
  std::vector<std::string> overrides;
  bool resume = false;
  std::filesystem::path resume_from;  // empty: the newest
  bool resume_anyway = false;         // although settings or data have changed
  bool overwrite = false, dry_run = false;
  int threads = 0;
  const std::atomic<bool>* interrupted = nullptr;
  /// With dry_run: what looks at the experiment that has been opened; returns the exit code.
  std::function<int(const RunSubject&, double learning_rate)> look = {};
};

/// Runs the experiment; returns the exit code (0, or 130 after an interrupt). Throws on everything else.
int run_experiment(const RunOptions& options);

}  // namespace ft
