// A case of tests/fixtures/models (what Transformers and PEFT computed; layout in tests/fixtures/README.md),
// opened by this engine in any compute type.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "adapters/files.h"
#include "adapters/registry.h"
#include "engine/config/experiment.h"
#include "engine/core/thread_pool.h"
#include "engine/data/dataset.h"
#include "engine/io/json.h"
#include "engine/io/safetensors.h"
#include "engine/train/pass.h"
#include "engine/train/trainer.h"
#include "models/load.h"
#include "tests/read_tensor.h"

namespace ft::test {

inline std::filesystem::path fixture_folder() {
  return std::filesystem::path(FT_SOURCE_DIR) / "tests/fixtures/models";
}
std::vector<std::string> fixture_cases();

/// A folder of its own that is removed again.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Devices of this program beside the CPU.
std::vector<std::string> other_devices();
/// A test's name from {device, fixture}.
std::string device_case_name(const std::tuple<std::string, std::string>& device_and_fixture);

class Fixture {
 public:
  explicit Fixture(const std::string& name, DType compute = DType::f32, int threads = 2,
                   const std::vector<std::string>& overrides = {}, const std::string& device = "cpu");

  std::filesystem::path folder;
  Experiment experiment;
  Json expected;
  ThreadPool pool;
  CpuStream host;
  Stream stream;
  DType compute;
  LoadedModel loaded;
  std::unique_ptr<Adapter> adapter;
  Dataset train_rows;
  std::vector<Dataset> eval_rows;

  bool full() const { return adapter->peft_type() == "NONE"; }
  Model& model() { return *loaded.model; }
  SafetensorsFile tensors() const { return SafetensorsFile(folder / "expected.safetensors"); }
  std::vector<const DataRow*> rows(const Json& indices) const;
  /// What is trained, under its file's names: of adapter_model.safetensors, of prompt_encoder.safetensors.
  std::vector<AdapterTensor> trained() const;
  /// Loss and gradients of some rows as one optimizer step has them; `scale`: 1 / targets.
  LossSum gradients(const std::vector<const DataRow*>& rows, double scale, int64_t pass_tokens = kPassTokens);
  /// Logits [T, V] of one row as plain numbers.
  std::vector<double> logits(const DataRow& row);
  /// Trains as exp.yaml says into `output`; returns the rows of metrics.jsonl.
  std::vector<Json> train(const std::filesystem::path& output, const std::filesystem::path& resume_from = {},
                          int64_t interrupt_after = -1);
  /// Values as Hugging Face's file has them (Conv1D and lora_B transposed).
  std::vector<double> file_order(const AdapterTensor& t, const std::vector<double>& plain) const;
  std::vector<double> file_order(const Slot& slot, const std::vector<double>& plain);
};

/// ‖a − b‖ / ‖b‖.
double relative_distance(const std::vector<double>& a, const std::vector<float>& b);
std::string read_bytes(const std::filesystem::path& file);

}  // namespace ft::test
