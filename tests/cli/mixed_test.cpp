// Three methods at once, some on the same modules, against PEFT's PeftMixedModel
// (tools/fixtures/make_mixed.py).
#include <cmath>

#include "engine/core/check.h"
#include "engine/io/safetensors.h"
#include "tests/cli/program.h"
#include "tests/read_tensor.h"

namespace ft::cli {
namespace {

using nlohmann::json;

TEST(Mixed, TrainsAndAnswersAsPeftDoes) {
  const TemporaryFolder folder;
  copy_fixture("llama_loha", folder.path());
  const fs::path mixed = fs::path(FT_SOURCE_DIR) / "tests/fixtures/mixed";
  fs::copy(mixed, folder / "mixed", fs::copy_options::recursive);
  expect_success(
      ftengine({"run", "exp.yaml", "--set",
                "adapter=[{init_from: mixed/lora}, {init_from: mixed/loha}, {init_from: mixed/lokr}]"},
               folder.path()));

  const json expected = json::parse(read_bytes(mixed / "expected.json"));
  size_t step = 0;
  for (const json& row : read_jsonl(folder / "out/metrics.jsonl")) {
    if (!row.contains("loss")) continue;
    const double loss = expected["losses"][step], norm = expected["grad_norms"][step];
    EXPECT_NEAR(row["loss"].get<double>(), loss, 1e-4 * loss) << step;
    EXPECT_NEAR(row["grad_norm"].get<double>(), norm, 1e-3 * norm) << step;
    ++step;
  }
  EXPECT_EQ(step, 10u);

  const SafetensorsFile final(mixed / "final.safetensors");
  for (const TensorInfo& t : final.tensors()) {
    const size_t colon = t.name.find(':');
    const fs::path name = fs::path(t.name.substr(0, colon)) / "adapter_model.safetensors";
    const std::string tensor = t.name.substr(colon + 1);
    const SafetensorsFile ours(folder / "out" / name), start(mixed / name);
    const std::vector<float> want = read_tensor(final, t.name), got = read_tensor(ours, tensor),
                             from = read_tensor(start, tensor);
    double difference = 0, moved = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      difference += std::pow(static_cast<double>(got[i]) - want[i], 2);
      moved += std::pow(static_cast<double>(want[i]) - from[i], 2);
    }
    EXPECT_LE(std::sqrt(difference), 1e-3 * std::sqrt(moved)) << t.name;
  }

  std::string prompt;
  for (const json& id : expected["prompt"]) prompt += (prompt.empty() ? "" : ",") + id.dump();
  const Outcome answer = ftengine({"generate", "--model", "model", "--adapter", "out", "--input-ids", prompt,
                                   "--output-ids", "--max-new-tokens", "12", "--ignore-eos"},
                                  folder.path());
  expect_success(answer);
  EXPECT_EQ(json::parse("[" + answer.out.substr(answer.out.rfind('\n', answer.out.size() - 2) + 1) + "]"),
            expected["greedy"]);
}

}  // namespace
}  // namespace ft::cli
