#include "tests/cli/long_run.h"

#include <cstdlib>

#include "engine/io/json.h"
#include "engine/io/safetensors.h"
#include "engine/train/checkpoint.h"

namespace ft::cli {

int trials(int usual) {
  const char* times = std::getenv("FT_TRUST");
  return usual * (times ? std::max(1, std::atoi(times)) : 1);
}

void make_long_run(const fs::path& folder, int steps) {
  copy_fixture("llama_gqa_rslora", folder);
  write_bytes(folder / "exp.yaml", fmt::format(R"(model: {{path: model, dtype: float32}}
adapter: {{peft_type: LORA, r: 4, lora_dropout: 0.2, target_modules: [q_proj, v_proj, down_proj]}}
data:
  train: {{path: train.jsonl, format: tokenized}}
  eval: {{path: eval.jsonl, format: tokenized}}
  shuffle: true
training:
  output_dir: out
  per_device_train_batch_size: 1
  gradient_accumulation_steps: 2
  max_steps: {}
  learning_rate: 0.06
  warmup_steps: 2
  logging_steps: 3
  eval_strategy: steps
  eval_steps: 2
  save_strategy: steps
  save_steps: 2
  save_total_limit: 2
  load_best_model_at_end: true
  early_stopping_patience: 4
device: cpu
)",
                                               steps));
  const std::string rows = read_bytes(folder / "train.jsonl");
  write_bytes(folder / "eval.jsonl", rows.substr(0, rows.find('\n', rows.find('\n') + 1) + 1));
}

Result result_of(const fs::path& output) {
  Result r;
  const auto checkpoints = list_checkpoints(output);
  if (checkpoints.empty()) return r;
  r.adapter = read_bytes(output / "adapter_model.safetensors");
  r.optimizer = read_bytes(checkpoints.back() / "optimizer.safetensors");
  for (nlohmann::json& row : read_jsonl(output / "metrics.jsonl")) {
    for (const char* key : {"time", "tokens_per_second", "peak_memory_bytes"}) row.erase(key);
    r.log.push_back(std::move(row));
  }
  return r;
}

std::string difference(const Result& a, const Result& b) {
  std::string text;
  if (a.adapter != b.adapter) text += " adapter";
  if (a.optimizer != b.optimizer) text += " optimizer";
  if (a.log != b.log) text += "\n" + a.log.dump() + "\n" + b.log.dump();
  return text;
}

std::vector<std::string> next_attempt(const fs::path& folder) {
  std::vector<std::string> arguments = {"run", "exp.yaml"};
  if (!list_checkpoints(folder / "out").empty())
    arguments.emplace_back("--resume");
  else if (fs::exists(folder / "out"))
    arguments.emplace_back("--overwrite");
  return arguments;
}

void expect_nothing_half_written(const fs::path& output) {
  std::error_code none;
  for (const auto& entry : fs::recursive_directory_iterator(output, none)) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(name.find(".tmp-"), std::string::npos) << entry.path();
    if (entry.path().extension() == ".safetensors") {
      EXPECT_NO_THROW(SafetensorsFile(entry.path())) << entry.path();
    } else if (entry.path().extension() == ".json") {
      EXPECT_NO_THROW(read_json_file(entry.path())) << entry.path();
    } else if (name == "metrics.jsonl") {
      const std::string text = read_bytes(entry.path());
      EXPECT_TRUE(text.empty() || text.back() == '\n') << "a row is cut";
    }
  }
  for (const fs::path& c : list_checkpoints(output))
    for (const char* name : {"adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors",
                             "resolved.yaml", "trainer_state.json"})
      EXPECT_TRUE(fs::exists(c / name)) << c / name;
}

}  // namespace ft::cli
