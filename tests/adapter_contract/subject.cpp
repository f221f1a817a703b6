#include "tests/adapter_contract/subject.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "adapters/registry.h"
#include "engine/generate/generator.h"
#include "engine/io/json.h"
#include "engine/train/pass.h"
#include "engine/train/trainer.h"

namespace ft::contract {
namespace {

constexpr uint64_t kSeed = 42;
constexpr DType kCompute = DType::f32;

std::string list(const std::vector<std::string>& adapters) {
  return fmt::format("adapter=[{}]", fmt::join(adapters, ", "));
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "ftengine-contract-XXXXXX").string();
  if (!mkdtemp(name.data())) throw Error("no temporary folder");
  path_ = name;
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Subject::Subject(const std::string& fixture, const SubjectOptions& options,
                 std::vector<std::string> overrides) {
  const fs::path folder = fs::path(FT_SOURCE_DIR) / "tests/fixtures/models" / fixture;
  overrides.insert(overrides.end(),
                   {"training.max_steps=5", "training.learning_rate=0.01", "training.weight_decay=0",
                    "training.lr_scheduler_type=constant", "training.per_device_train_batch_size=4",
                    "training.gradient_accumulation_steps=1", "training.eval_strategy=no",
                    "training.save_strategy=steps", "training.save_steps=2"});
  overrides.insert(overrides.end(), options.overrides.begin(), options.overrides.end());
  experiment_ = load_experiment(folder / "exp.yaml", overrides);
  pool_ = std::make_unique<ThreadPool>(2);
  host_ = std::make_unique<CpuStream>(*pool_);
  stream_ = std::make_unique<Stream>(open_stream(options.device, *host_).value());
  loaded_ = load_model(options.model.empty() ? folder / "model" : options.model,
                       {.storage = experiment_.model.dtype, .device = stream_->device(), .compute = kCompute},
                       *host_);
  rows_ = load_dataset(experiment_.data.train.at(0),
                       {.tokenizer = nullptr, .prompt_template = nullptr, .vocab = model().facts().vocab});
}

Subject::Subject(const std::string& fixture, const std::vector<std::string>& adapters,
                 const SubjectOptions& options)
    : Subject(fixture, options,
              adapters.empty() ? std::vector<std::string>() : std::vector<std::string>{list(adapters)}) {
  if (adapters.empty()) return;
  for (const ConfigNode& node : experiment_.adapters) {
    std::unique_ptr<Adapter> adapter = find_adapter_kind(node).make(node, "adapter", false);
    adapter->attach(model(), {.compute = kCompute,
                              .device = stream_->device(),
                              .seed = kSeed,
                              .index = static_cast<int>(adapters_.size()),
                              .where = fixture,
                              .stream = stream_.get()});
    adapters_.add(std::move(adapter));
  }
}

Subject Subject::loaded(const std::string& fixture, const std::vector<fs::path>& folders,
                        const SubjectOptions& options) {
  Subject s(fixture, {}, options);
  s.adapters_ = load_stack(folders, s.model(), s.loaded_.fingerprint,
                           {.compute = kCompute,
                            .device = s.stream_->device(),
                            .seed = kSeed,
                            .training = false,
                            .where = fixture,
                            .stream = s.stream_.get()});
  return s;
}

void Subject::set_active(bool active) {
  for (Adapter* a : adapters_.all()) a->set_active(active);
}

std::vector<double> Subject::losses() {
  std::vector<double> all;
  for (const DataRow& row : rows_.rows)
    all.push_back(evaluate(model(), adapters_.all(), *stream_, kCompute, Dataset{{}, {row}, {}}));
  return all;
}

std::vector<std::vector<int32_t>> Subject::greedy(int64_t rows) {
  std::vector<std::vector<int32_t>> prompts, ids;
  for (size_t i = 0; i < 8; ++i) {
    const std::vector<int32_t>& from = rows_.rows[i % rows_.rows.size()].ids;
    const auto length = static_cast<std::ptrdiff_t>(std::min<size_t>(from.size(), 1 + i % 4));
    prompts.emplace_back(from.begin(), from.begin() + length);
  }
  const AdapterStep step(model(), adapters_.all(), *stream_, kCompute, {});
  GenerationOptions options;
  options.max_new_tokens = 6;
  options.ignore_eos = true;
  for (Generated& g :
       generate(model(), *stream_, kCompute, prompts, options, {}, {.rows = rows, .before = {step.before()}}))
    ids.push_back(std::move(g.ids));
  return ids;
}

std::vector<std::vector<double>> Subject::gradients(int64_t pass_tokens) {
  std::vector<const DataRow*> rows;
  for (const DataRow& r : rows_.rows) rows.push_back(&r);
  const StepInfo info{.training = true, .step = 0, .total_steps = 1};
  const bool share = shares_prompt(model(), adapters_.all(), true, any_first_target(rows));
  AdapterStep step(model(), adapters_.all(), *stream_, kCompute, info, share);
  LossSum sum;
  run_rows(model(), *stream_, rows,
           {.compute = kCompute,
            .training = true,
            .gradient_scale = 1 / 32.0,
            .adapters = &step,
            .pass_tokens = pass_tokens},
           sum);
  step.finish();
  std::vector<std::vector<double>> all = {{sum.loss}};
  for (const Parameter* p : adapters_.trainables()) all.push_back(grad_to_plain(*p));
  return all;
}

Trained Subject::train(const fs::path& out, const fs::path& resume, int64_t stop_after) {
  experiment_.training.output_dir = out;
  std::atomic<bool> stop{false};
  TrainJob job{.experiment = experiment_,
               .resolved = to_resolved(experiment_),
               .model = model(),
               .adapters = {adapters_.all().begin(), adapters_.all().end()},
               .trainables = adapters_.trainables(),
               .train = rows_,
               .eval = {},
               .learning_rate = *experiment_.training.learning_rate,
               .weights = {},
               .base_fingerprint = loaded_.fingerprint,
               .resume_from = resume,
               .interrupted = &stop};
  job.weights.save = [&](const fs::path& folder) {
    if (adapters_.full())
      save_model(model(), folder, DType::f32, model().facts().tied,
                 [](const Slot& s) { return to_plain(*s.parameter); });
    else
      save_stack(adapters_, folder, {"model", loaded_.fingerprint, {}}, true);
    stop = stop_after >= 0 &&
           folder.string().find(fmt::format("checkpoint-{}", stop_after)) != std::string::npos;
  };
  job.weights.load = [&](const fs::path& folder) {
    if (adapters_.full())
      reload_model(model(), folder, *host_);
    else
      load_stack_tensors(adapters_, folder);
  };
  testing::internal::CaptureStderr();
  ft::train(job, *stream_, kCompute);
  testing::internal::GetCapturedStderr();
  adapters_.settle(*stream_);

  Trained t;
  JsonlReader reader(out / "metrics.jsonl");
  for (Json row; reader.next(row);) {
    for (const char* key : {"time", "tokens_per_second", "peak_memory_bytes"}) row.erase(key);
    t.metrics.push_back(row.dump());
  }
  for (const Parameter* p : adapters_.trainables()) t.state.push_back(to_plain(*p));
  return t;
}

void Subject::save(const fs::path& folder) {
  save_stack(adapters_, folder, {"model", loaded_.fingerprint, {}});
}

void Subject::merge(const fs::path& folder) {
  bool tied = model().facts().tied;
  if (tied) {
    int places = 0;
    for (const Slot* slot : model().slots()) places += slot->parameter == model().head().weight.parameter;
    tied = places > 1 && model().head().adapters.empty();
  }
  save_model(model(), folder, DType::f32, tied, [&](const Slot& slot) {
    std::vector<float> values = to_plain(*slot.parameter);
    adapters_.merge(slot, values);
    return values;
  });
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference / norm);
}

}  // namespace ft::contract
