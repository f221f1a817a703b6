#pragma once

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

namespace ft {

struct RunOptions {
  std::filesystem::path yaml;
  std::vector<std::string> overrides;
  bool resume = false;
  std::filesystem::path resume_from;  // empty: the newest
  bool overwrite = false, dry_run = false;
  int threads = 0;
  const std::atomic<bool>* interrupted = nullptr;
};

/// Runs the experiment; returns the exit code (0, or 130 after an interrupt). Throws on everything else.
int run_experiment(const RunOptions& options);

}  // namespace ft
