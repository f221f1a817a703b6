// exp.yaml: any text, and what is a mapping as an experiment too. What is read can be written and reads back
// equal.
#include "engine/config/yaml.h"
#include "engine/config/experiment.h"
#include "tests/fuzz/fuzz.h"

namespace ft::fuzz {

std::vector<std::string> seeds() {
  return {R"(model: {path: m, dtype: float32}
adapter:
  peft_type: LORA
  target_modules: [q_proj, 'v_proj']   # a list
data:
  train: {path: train.jsonl, format: alpaca}
  template: {prompt: "Q: {instruction}\n", completion_suffix: "\n"}
training:
  output_dir: out
  max_steps: 3
  learning_rate: 1.0e-4
  warmup_ratio: .03
)",
          R"(a: &x {k: 1, l: [~, true, 0x1f, -.inf, "\u00e9"]}
b:
  <<: *x
  m: |
    text
     more
  n: >-
    folded
    text
)",
          "- 1\n- - 2\n  - {a: b}\n", "'text'", ""};
}

std::vector<std::string> words() {
  return {"&a ",
          "*a",
          "<<: ",
          "- ",
          ": ",
          "? ",
          "|\n",
          ">-\n",
          "!!int ",
          "!x ",
          "---\n",
          "...\n",
          "%YAML 1.2\n",
          "\t",
          "  ",
          "{",
          "}",
          "[",
          "]",
          "'",
          "\"",
          "#",
          "\\x00",
          "\xef\xbb\xbf",
          "1e999",
          "null",
          "training: ",
          "model: ",
          "adapter: ",
          "peft_type: IA3\n",
          "max_steps: ",
          "eval_fraction: 0.5\n",
          "device: cuda\n",
          "../../../etc/passwd",
          "/"};
}

}  // namespace ft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ft;
  const std::string_view text = fuzz::text_of(data, size);
  const int taken = fuzz::take_or_refuse([&] {
    const auto source = std::make_shared<const Source>(Source{"exp.yaml", "/"});
    const ConfigNode node = parse_yaml(text, source);
    if (!(parse_yaml(to_yaml(node), source) == node))
      throw std::logic_error("written, it reads back otherwise");
  });
  const int64_t before = fuzz::accepted;
  fuzz::take_or_refuse([&] {
    const Experiment e = load_experiment(fuzz::put("exp.yaml", text), {});
    const Experiment again = load_experiment(fuzz::put("resolved.yaml", to_yaml(to_resolved(e))), {});
    if (!(to_resolved(again) == to_resolved(e))) throw std::logic_error("resolved.yaml resolves otherwise");
  });
  fuzz::expect_only_own_files();
  fuzz::accepted = before;
  return taken;
}
