// A fixture's model with its adapter, and what Transformers generated with it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/files.h"
#include "engine/core/thread_pool.h"
#include "engine/generate/generator.h"
#include "engine/io/json.h"
#include "engine/nn/adapter_step.h"
#include "models/load.h"

namespace ft {

inline const std::filesystem::path kFixtures = std::filesystem::path(FT_SOURCE_DIR) / "tests/fixtures";

/// Names of the cases under models/, sorted.
inline std::vector<std::string> fixture_cases() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFixtures / "models"))
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

struct TestModel {
  ThreadPool pool;
  CpuStream host;
  Stream stream;
  LoadedModel loaded;
  std::unique_ptr<Adapter> adapter;

  explicit TestModel(int threads = 2) : pool(threads), host(pool), stream(host) {}
  /// The case's base with the adapter in `adapter_folder` where that exists.
  TestModel(const std::string& name, const std::string& adapter_folder = "adapter_init",
            const std::string& model_folder = "model", int threads = 2, std::optional<DType> storage = {})
      : TestModel(threads) {
    const auto folder = kFixtures / "models" / name;
    loaded = load_model(folder / model_folder, {.storage = storage}, host);
    if (std::filesystem::exists(folder / adapter_folder))
      adapter = load_adapter(folder / adapter_folder, model(), loaded.fingerprint, {.where = name});
  }
  Model& model() { return *loaded.model; }

  std::vector<Generated> run(const std::vector<std::vector<int32_t>>& prompts,
                             const GenerationOptions& options, const OnToken& on_token = {},
                             const Batching& batching = {}) {
    if (!adapter || !batching.before.empty())
      return generate(model(), stream, DType::f32, prompts, options, on_token, batching);
    Adapter* const adapters[] = {adapter.get()};
    const AdapterStep step(model(), adapters, stream, DType::f32, {});
    Batching behind = batching;
    behind.before = {step.before()};
    return generate(model(), stream, DType::f32, prompts, options, on_token, behind);
  }
};

inline Json expected_of(const std::string& name) {
  return read_json_file(kFixtures / "models" / name / "expected.json");
}

/// The message of the InputError that `action` throws; "(none)" if it throws none.
template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "(none)";
}

}  // namespace ft
