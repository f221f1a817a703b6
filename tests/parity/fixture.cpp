#include "tests/parity/fixture.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "engine/core/matrix.h"
#include "engine/ops/head.h"

namespace ft::test {

std::vector<std::string> fixture_cases() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(fixture_folder()))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "ftengine-test-XXXXXX").string();
  if (!mkdtemp(name.data())) throw Error("no temporary folder");
  path_ = name;
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::vector<std::string> other_devices() {
  std::vector<std::string> names = device_names();
  std::erase(names, "cpu");
  return names;
}

std::string device_case_name(const std::tuple<std::string, std::string>& device_and_fixture) {
  std::string name = std::get<0>(device_and_fixture) + "_" + std::get<1>(device_and_fixture);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

Fixture::Fixture(const std::string& name, DType compute_type, int threads,
                 const std::vector<std::string>& overrides, const std::string& device)
    : folder(fixture_folder() / name),
      experiment(load_experiment(folder / "exp.yaml", overrides)),
      expected(read_json_file(folder / "expected.json")),
      pool(threads),
      host(pool),
      stream(open_stream(device, host).value()),
      compute(compute_type),
      loaded(load_model(
          folder / "model",
          {.storage = experiment.model.dtype, .device = stream.device(), .compute = wide_of(compute_type)},
          host)) {
  const AttachOptions attach{.compute = wide_of(compute),
                             .device = stream.device(),
                             .seed = 42,
                             .index = 0,
                             .b_rate = experiment.training.loraplus_lr_ratio.value_or(1),
                             .where = name};
  const ConfigNode& node = experiment.adapters.at(0);
  if (const ConfigNode* from = node.find("init_from")) {
    adapter = load_adapter(from->string(), model(), loaded.fingerprint, attach);
  } else {
    adapter = find_adapter_kind(node).make(node, "adapter", false);
    adapter->attach(model(), attach);
  }
  const DatasetOptions options{
      .tokenizer = nullptr, .prompt_template = nullptr, .vocab = model().facts().vocab};
  train_rows = load_dataset(experiment.data.train.at(0), options);
  for (const NamedDataSet& set : experiment.data.eval) eval_rows.push_back(load_dataset(set.set, options));
}

std::vector<const DataRow*> Fixture::rows(const Json& indices) const {
  std::vector<const DataRow*> found;
  for (const Json& i : indices) found.push_back(&train_rows.rows.at(i.get<size_t>()));
  return found;
}

std::vector<AdapterTensor> Fixture::trained() const {
  std::vector<AdapterTensor> all;
  for (const auto& tensors : {adapter->tensors(), adapter->encoder_tensors()})
    for (const AdapterTensor& t : tensors)
      if (!t.frozen) all.push_back(t);
  return all;
}

LossSum Fixture::gradients(const std::vector<const DataRow*>& rows, double scale, int64_t pass_tokens) {
  Adapter* const adapters[] = {adapter.get()};
  AdapterStep step(model(), adapters, stream, compute, {.training = true},
                   shares_prompt(model(), adapters, true, any_first_target(rows)));
  LossSum sum;
  run_rows(model(), stream, rows,
           {.compute = compute,
            .training = true,
            .gradient_scale = scale,
            .adapters = &step,
            .pass_tokens = pass_tokens},
           sum);
  sum.loss += step.finish() * static_cast<double>(sum.targets);  // a method's own term, in the mean
  return sum;
}

std::vector<double> Fixture::logits(const DataRow& row) {
  Adapter* const adapters[] = {adapter.get()};
  const AdapterStep step(model(), adapters, stream, compute, {});
  auto layout = std::make_shared<Layout>();
  layout->add_sample(static_cast<int64_t>(row.ids.size()), 0,
                     step.before() ? static_cast<int32_t>(step.before()->rows()) : 0);
  Tape tape(stream, compute, layout, false);
  Forward forward{.tape = tape, .before = step.before()};
  const Var hidden =
      model().hidden(forward, std::make_shared<const std::vector<int32_t>>(row.ids.begin(), row.ids.end()));
  const Tensor out =
      head_logits(tape, hidden.value(), model().head().weights(forward), tape.index()).to(Device());
  std::vector<double> values;
  dispatch_compute(ComputeTypes<float, double>(), compute,
                   [&]<class T>() { values.assign(out.data<T>(), out.data<T>() + out.numel()); });
  return values;
}

std::vector<Json> Fixture::train(const std::filesystem::path& output,
                                 const std::filesystem::path& resume_from, int64_t interrupt_after) {
  experiment.training.output_dir = output;
  TrainJob job{.experiment = experiment,
               .resolved = to_resolved(experiment),
               .model = model(),
               .adapters = {adapter.get()},
               .trainables = adapter->trainables(),
               .train = train_rows,
               .eval = {},
               .learning_rate = experiment.training.learning_rate.value_or(1e-3),
               .weights = {},
               .base_fingerprint = loaded.fingerprint,
               .resume_from = resume_from};
  if (!eval_rows.empty()) job.eval.push_back({"eval_loss", &eval_rows[0]});
  job.weights.save = [&](const std::filesystem::path& f) {
    if (full())
      save_model(model(), f, DType::f32, model().facts().tied,
                 [](const Slot& s) { return to_plain(*s.parameter); });
    else
      save_adapter(*adapter, f, {"model", loaded.fingerprint, {}}, true);
  };
  job.weights.load = [&](const std::filesystem::path& f) {
    if (full())
      reload_model(model(), f, host);
    else
      load_adapter_tensors(*adapter, f);
  };
  std::atomic<bool> stop{false};
  job.interrupted = &stop;
  if (interrupt_after >= 0) {  // the step in progress is dropped, as after Ctrl-C
    const auto save = job.weights.save;
    job.weights.save = [&, save](const std::filesystem::path& f) {
      save(f);
      if (f.string().find(fmt::format("checkpoint-{}", interrupt_after)) != std::string::npos) stop = true;
    };
  }
  testing::internal::CaptureStderr();
  try {
    ft::train(job, stream, compute);
  } catch (...) {
    testing::internal::GetCapturedStderr();
    throw;
  }
  testing::internal::GetCapturedStderr();
  std::vector<Json> metrics;
  JsonlReader reader(output / "metrics.jsonl");
  for (Json row; reader.next(row);) metrics.push_back(row);
  return metrics;
}

std::vector<double> Fixture::file_order(const AdapterTensor& t, const std::vector<double>& plain) const {
  return t.transposed ? transposed(plain, t.parameter->shape[0], t.parameter->shape[1]) : plain;
}

std::vector<double> Fixture::file_order(const Slot& slot, const std::vector<double>& plain) {
  for (const Linear* l : model().linears())
    if (l->conv1d && &l->weight == &slot)
      return transposed(plain, slot.parameter->shape[0], slot.parameter->shape[1]);
  return plain;
}

double relative_distance(const std::vector<double>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += static_cast<double>(b[i]) * b[i];
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

std::string read_bytes(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

}  // namespace ft::test
