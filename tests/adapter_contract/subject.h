// What the contract is checked on: a small random model of tests/fixtures/models with the adapters of a row
// in place, and the few things that can be done to it, each observable to the bit.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "adapters/stack.h"
#include "engine/config/experiment.h"
#include "engine/core/stream.h"
#include "engine/core/thread_pool.h"
#include "engine/data/dataset.h"
#include "models/load.h"

namespace ft::contract {

namespace fs = std::filesystem;

/// A folder of its own that is removed again.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

struct SubjectOptions {
  std::vector<std::string> overrides = {};  // of the fixture's exp.yaml
  std::string device = "cpu";
  fs::path model = {};  // instead of the fixture's own
};

/// What a run leaves behind, without wall-clock times.
struct Trained {
  std::vector<std::string> metrics;       // the lines of metrics.jsonl
  std::vector<std::vector<float>> state;  // of what was trained
  friend bool operator==(const Trained&, const Trained&) = default;
};

class Subject {
 public:
  /// `adapters`: YAML mappings, the first one below the others; none: the base.
  explicit Subject(const std::string& fixture, const std::vector<std::string>& adapters,
                   const SubjectOptions& options = {});
  /// The base with saved adapters on it.
  static Subject loaded(const std::string& fixture, const std::vector<fs::path>& folders,
                        const SubjectOptions& options = {});

  Model& model() { return *loaded_.model; }
  AdapterStack& adapters() { return adapters_; }
  const std::string& fingerprint() const { return loaded_.fingerprint; }
  void set_active(bool active);

  /// Mean loss of each training row: equal to the bit where the functions are.
  std::vector<double> losses();
  /// Greedy ids for eight prompts, `rows` of them at once.
  std::vector<std::vector<int32_t>> greedy(int64_t rows);
  /// Loss and gradients of all rows, in passes of about so many tokens.
  std::vector<std::vector<double>> gradients(int64_t pass_tokens);
  /// A run with checkpoints in `out`. `stop_after`: as after Ctrl-C behind that checkpoint.
  Trained train(const fs::path& out, const fs::path& resume = {}, int64_t stop_after = -1);
  void save(const fs::path& folder);
  /// The model with everything folded in, as a Hugging Face folder.
  void merge(const fs::path& folder);

 private:
  Subject(const std::string& fixture, const SubjectOptions& options, std::vector<std::string> overrides);
  Dataset row(size_t i) const;

  Experiment experiment_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<CpuStream> host_;
  std::unique_ptr<Stream> stream_;
  LoadedModel loaded_;
  AdapterStack adapters_;
  Dataset rows_;
};

/// ‖a − b‖ / ‖b‖.
double distance(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace ft::contract
