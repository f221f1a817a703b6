#include "bench/gpu_conformance/training.h"

#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>

#include "adapters/files.h"
#include "adapters/registry.h"
#include "engine/config/experiment.h"
#include "engine/data/dataset.h"
#include "engine/io/json.h"
#include "engine/train/trainer.h"
#include "models/load.h"

namespace ft::bench {
namespace {

constexpr int64_t kSteps = 10;
// bfloat16 rounds every activation (by up to 2^-9), float16 an eighth of it: the curve is the CPU's up to
// some ten of these.
// float16 keeps eight times as much of a number; of a run of ten steps a quarter is left, since Adam divides
// what is nearly noise by its own size.
constexpr double kFloat32 = 1e-4, kBFloat16 = 2e-2, kFloat16 = kBFloat16 / 4;

/// A folder of its own that is removed again.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "gpu_conformance-XXXXXX").string();
    if (!mkdtemp(name.data()))
      fail("no temporary folder in {}", std::filesystem::temp_directory_path().string());
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The progress of a run is not for this program's reader.
class SilentStderr {
 public:
  SilentStderr() : kept_(dup(STDERR_FILENO)) {
    std::fflush(stderr);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) {
      dup2(nowhere, STDERR_FILENO);
      close(nowhere);
    }
  }
  SilentStderr(const SilentStderr&) = delete;
  SilentStderr& operator=(const SilentStderr&) = delete;
  ~SilentStderr() {
    std::fflush(stderr);
    if (kept_ < 0) return;
    dup2(kept_, STDERR_FILENO);
    close(kept_);
  }

 private:
  int kept_;
};

struct Outcome {
  std::vector<double> losses;
  std::vector<std::vector<float>> trained;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome run(const std::filesystem::path& folder, const std::string& device, DType compute) {
  const TemporaryFolder output;
  const std::vector<std::string> overrides = {fmt::format("training.max_steps={}", kSteps),
                                              "training.logging_steps=1", "training.eval_strategy=no",
                                              "training.save_strategy=no"};
  Experiment e = load_experiment(folder / "exp.yaml", overrides);
  if (e.data.train.at(0).format != DataFormat::tokenized || e.adapters.size() != 1)
    bad_input("{}: expected one adapter and data of format: tokenized", e.yaml.string());
  e.training.output_dir = output.path();
  ThreadPool pool(ThreadPool::default_threads());
  CpuStream host(pool);
  Stream stream = open_stream(device, host).value();
  LoadedModel loaded = load_model(
      e.model.path, {.storage = e.model.dtype, .device = stream.device(), .compute = DType::f32}, host);
  const AttachOptions attach{.compute = DType::f32,
                             .device = stream.device(),
                             .seed = static_cast<uint64_t>(e.training.seed),
                             .index = 0,
                             .where = "adapter"};
  const ConfigNode& node = e.adapters[0];
  std::unique_ptr<Adapter> adapter;
  if (const ConfigNode* from = node.find("init_from")) {
    adapter = load_adapter(from->string(), *loaded.model, loaded.fingerprint, attach);
  } else {
    adapter = find_adapter_kind(node).make(node, "adapter", false);
    adapter->attach(*loaded.model, attach);
  }
  DatasetOptions options;
  options.vocab = loaded.model->facts().vocab;
  const Dataset rows = load_dataset(e.data.train.at(0), options);
  TrainJob job{.experiment = e,
               .resolved = to_resolved(e),
               .model = *loaded.model,
               .adapters = {adapter.get()},
               .trainables = adapter->trainables(),
               .train = rows,
               .eval = {},
               .learning_rate = e.training.learning_rate.value_or(1e-3),
               .weights = {[](const std::filesystem::path&) {}, [](const std::filesystem::path&) {}},
               .base_fingerprint = loaded.fingerprint,
               .resume_from = {}};
  train(job, stream, compute);

  Outcome o;
  JsonlReader metrics(output.path() / "metrics.jsonl");
  for (Json row; metrics.next(row);)
    if (row.contains("loss")) o.losses.push_back(row.at("loss").get<double>());
  for (const Parameter* p : adapter->trainables()) o.trained.push_back(to_plain(*p));
  return o;
}

double worst_difference(const std::vector<double>& got, const std::vector<double>& want) {
  if (got.size() != static_cast<size_t>(kSteps) || want.size() != got.size())
    return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double off = std::fabs(got[i] - want[i]) / std::fabs(want[i]);
    worst = off <= worst ? worst : std::isfinite(off) ? off : std::numeric_limits<double>::infinity();
  }
  return worst;
}

}  // namespace

std::vector<TrainingReport> compare_training(const std::filesystem::path& folder, const std::string& device) {
  const SilentStderr silent;
  std::vector<TrainingReport> reports;
  Outcome cpu;
  for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
    TrainingReport& r = reports.emplace_back();
    r.folder = folder.string();
    r.type = type;
    r.tolerance = type == DType::bf16 ? kBFloat16 : type == DType::f16 ? kFloat16 : kFloat32;
    try {
      if (cpu.losses.empty()) cpu = run(folder, "cpu", DType::f32);
      const Outcome first = run(folder, device, type);
      r.same_bits = run(folder, device, type) == first;
      r.cpu = cpu.losses;
      r.device = first.losses;
      r.worst = worst_difference(r.device, r.cpu);
    } catch (const InputError&) {
      throw;  // a wrong folder says nothing about the device
    } catch (const Error& e) {
      r.error = e.what();
    }
  }
  return reports;
}

}  // namespace ft::bench
