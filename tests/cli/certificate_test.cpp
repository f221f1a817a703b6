// must-not-happen 20: the gradient certificate. It is right about backwards that are right, in every family
// and with every method, and finds every wrong one: a gradient that is off by a hundredth, or lacks its last
// row, at any op.
#include <fmt/format.h>

#include <cstdio>

#include "tests/cli/long_run.h"

namespace ft::cli {
namespace {

using nlohmann::json;

const std::vector<std::string> kCheck = {"check", "--gradients", "exp.yaml", "--out", "certificate.json"};

class Certificate : public testing::TestWithParam<std::string> {};

TEST_P(Certificate, IsRightAboutRightGradients) {
  const TemporaryFolder folder(true);
  copy_fixture(GetParam(), folder.path());
  const Outcome o = ftengine(kCheck, folder.path());
  expect_success(o);
  const json c = json::parse(read_bytes(folder / "certificate.json"));
  EXPECT_EQ(c.at("verdict"), "right");
  EXPECT_GT(c.at("tensors").size(), 1u);
  for (const json& t : c.at("tensors")) EXPECT_NE(t.at("finite_difference"), 0) << t;
  // What the limits are earned with: the worst of all fixtures is far from them, and they from a hundredth.
  EXPECT_LT(c["worst"]["float64"].get<double>(), c["allowed"]["float64"].get<double>() / 10);
  EXPECT_LT(c["worst"]["run"].get<double>(), c["allowed"]["run"].get<double>() / 8);
  EXPECT_FALSE(fs::exists(folder / "out/metrics.jsonl"));
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Certificate,
                         testing::Values("gpt2_bitfit", "gpt2_c_attn", "gpt2_ia3", "gpt2_full",
                                         "llama_gqa_rslora", "llama_save_head_tied",
                                         "llama_lora_on_tied_head", "qwen2_bias_all", "qwen3_ia3_odd",
                                         "qwen3_full", "llama_ln_tuning"));

TEST(Line20WrongGradients, EveryFaultInABackwardIsFound) {
  const TemporaryFolder folder(true);
  make_long_run(folder.path(), 4);  // with dropout
  const int stride = trials(1) > 1 ? 1 : 3;
  int faults = 0;
  for (const char* how : {"scale", "row"})
    for (const char* type : {"float64", "float32"})
      for (int n = 0;; n += stride) {
        const Outcome o =
            ftengine(kCheck, folder.path(), {.backward_fault = fmt::format("{}:{}:{}", how, n, type)});
        if (o.err.find("fault: ") == std::string::npos) break;
        ++faults;
        EXPECT_EQ(o.code, 1) << how << " " << n << " " << type << "\n" << o.err;
        EXPECT_NE(o.err.find("error: the gradient of model.layers."), std::string::npos) << o.err;
        EXPECT_NE(o.err.find(" is wrong: the backward "), std::string::npos) << o.err;
        EXPECT_NE(json::parse(read_bytes(folder / "certificate.json")).at("verdict"), "right");
      }
  std::printf("trust: %d wrong backwards, all found by the certificate\n", faults);
  EXPECT_GT(faults, 100 / stride);
  expect_success(ftengine(kCheck, folder.path()));
  // Recompute runs the ops of a layer inside its backward: faults are found there as well.
  std::vector<std::string> recompute = kCheck;
  recompute.insert(recompute.end(), {"--set", "training.gradient_checkpointing=true"});
  expect_success(ftengine(recompute, folder.path()));
  EXPECT_EQ(ftengine(recompute, folder.path(), {.backward_fault = "scale:2:float64"}).code, 1);
}

TEST(Certificate, StandsBesideTheRunAndIsNone) {
  const TemporaryFolder folder(true);
  copy_fixture("llama_gqa_rslora", folder.path());
  expect_success(ftengine({"check", "--gradients", "exp.yaml"}, folder.path()));
  EXPECT_TRUE(fs::exists(folder / "out/certificate.json"));
  expect_success(ftengine({"run", "exp.yaml", "--set", "training.max_steps=1"}, folder.path()));
}

}  // namespace
}  // namespace ft::cli
