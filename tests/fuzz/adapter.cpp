// adapter_config.json from a stranger, on a small model: read, attached, and written back as PEFT's.
#include "adapters/registry.h"
#include "engine/config/json.h"
#include "tests/cli/tiny_model.h"
#include "tests/fuzz/fuzz.h"

namespace ft::fuzz {

std::vector<std::string> seeds() {
  return {
      R"({"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj","v_proj"],"bias":"none","lora_dropout":0.1,)"
      R"("rank_pattern":{"layers.0.self_attn.q_proj":3},"alpha_pattern":{},"modules_to_save":null,"task_type":"CAUSAL_LM"})",
      R"({"peft_type":"LORA","r":1,"target_modules":"all-linear","use_rslora":true,"layers_to_transform":[1],"init_lora_weights":"gaussian"})",
      R"({"peft_type":"LORA","target_modules":".*(q|down)_proj","exclude_modules":["lm_head"],"modules_to_save":["lm_head"]})",
      R"({"peft_type":"IA3","target_modules":["k_proj","down_proj"],"feedforward_modules":["down_proj"]})",
      R"({"peft_type":"LN_TUNING"})"};
}

std::vector<std::string> words() {
  return {"\"peft_type\"",
          "\"LORA\"",
          "\"IA3\"",
          "\"BITFIT\"",
          "\"LN_TUNING\"",
          "\"NONE\"",
          "\"PREFIX_TUNING\"",
          "\"r\"",
          "\"target_modules\"",
          "\"rank_pattern\"",
          "\"alpha_pattern\"",
          "\"layers_pattern\"",
          "\"modules_to_save\"",
          "\"bias\"",
          "\"all\"",
          "\"lora_only\"",
          "\"use_dora\":true",
          "\"fan_in_fan_out\":true",
          "\"all-linear\"",
          "(a+)+$",
          "[[",
          "(((((",
          ".*",
          "null",
          "true",
          "-1",
          "4096",
          "2147483648",
          "1e999",
          "\\u0000",
          "{}",
          "[]",
          "\"../../x\""};
}

}  // namespace ft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ft;
  fuzz::put("adapter_config.json", fuzz::text_of(data, size));
  return fuzz::take_or_refuse([&] {
    const ConfigNode config = read_adapter_config(fuzz::scratch());
    const std::unique_ptr<Adapter> adapter = find_adapter_kind(config).make(config, "", true);
    const std::unique_ptr<Decoder> model = cli::tiny_model(cli::tiny_config(24, 16));
    adapter->attach(*model, {.where = "adapter_config.json"});
    for (const AdapterTensor& t : adapter->tensors())
      if (!t.parameter || t.parameter->numel() <= 0) throw std::logic_error("a tensor without values");
    adapter->config_json("base").dump();
    fuzz::expect_only_own_files();
  });
}
