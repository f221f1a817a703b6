// What people get wrong, and what broken or hostile files say: one clear line on stderr, exit code 2, nothing
// written.
#include <cstring>
#include <functional>

#include "tests/cli/program.h"

namespace ft::cli {
namespace {

using nlohmann::json;

struct Case {
  std::string name;
  std::function<void(const fs::path&)> spoil;  // changes the copy of the experiment
  std::vector<std::string> arguments;          // behind `run exp.yaml`
  std::vector<std::string> says;               // parts of the message
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

constexpr const char* kFixture = "llama_gqa_rslora";

auto replace(std::string from, std::string to) {
  return [=](const fs::path& f) { edit(f / "exp.yaml", from, to); };
}
auto write(std::string file, std::string bytes) {
  return [=](const fs::path& f) { write_bytes(f / file, bytes); };
}
auto remove(std::string file) {
  return [=](const fs::path& f) { fs::remove_all(f / file); };
}
/// A drawn adapter in place of the saved one.
auto adapter(std::string fields) {
  return replace("init_from: adapter_init", "{peft_type: LORA, " + fields + "}");
}
auto config(std::string key, json value) {
  return [=](const fs::path& f) {
    json j = json::parse(read_bytes(f / "model/config.json"));
    j[key] = value;
    write_bytes(f / "model/config.json", j.dump());
  };
}
auto nothing() {
  return [](const fs::path&) {};
}

std::string u64(uint64_t n) {
  return {reinterpret_cast<const char*>(&n), sizeof n};
}
std::string u32(uint32_t n) {
  return {reinterpret_cast<const char*>(&n), sizeof n};
}
/// A safetensors file with this header and `data` bytes behind it.
std::string safetensors(const std::string& header, size_t data) {
  return u64(header.size()) + header + std::string(data, '\0');
}
auto weights(std::string bytes) {
  return write("model/model.safetensors", bytes);
}
auto gguf(std::string bytes) {
  return [=](const fs::path& f) {
    write_bytes(f / "m.gguf", bytes);
    edit(f / "exp.yaml", "path: model", "path: m.gguf");
  };
}

class BadInput : public testing::TestWithParam<Case> {};

TEST_P(BadInput, IsOneClearLineAndNothingIsWritten) {
  const Case& c = GetParam();
  const TemporaryFolder folder;
  copy_fixture(kFixture, folder.path());
  c.spoil(folder.path());
  std::vector<std::string> arguments = {"run", "exp.yaml"};
  arguments.insert(arguments.end(), c.arguments.begin(), c.arguments.end());
  const Outcome o = ftengine(arguments, folder.path());
  expect_bad_input(o, c.says);
  EXPECT_TRUE(o.out.empty()) << o.out;
  EXPECT_FALSE(fs::exists(folder / "out/metrics.jsonl"));
  EXPECT_FALSE(fs::exists(folder / "out/adapter_model.safetensors"));
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

// must-not-happen 23: a typo is an error with the nearest key, file and line.
INSTANTIATE_TEST_SUITE_P(
    Configuration, BadInput,
    testing::Values(
        Case{"MissingYaml", remove("exp.yaml"), {}, {"exp.yaml"}},
        Case{"EmptyYaml", write("exp.yaml", ""), {}, {"exp.yaml", "model"}},
        Case{"BrokenYaml", write("exp.yaml", "model: [1\n"), {}, {"exp.yaml:"}},
        Case{"UnknownKey",
             replace("learning_rate:", "learning_rat:"),
             {},
             {"exp.yaml:", "learning_rat", "learning_rate"}},
        Case{
            "UnknownSection", replace("training:", "trainning:"), {}, {"exp.yaml:", "trainning", "training"}},
        Case{"UnknownAdapterKey", adapter("rnk: 4"), {}, {"exp.yaml:", "rnk"}},
        Case{"OtherToolsName", adapter("rank: 4"), {}, {"exp.yaml:", "rank", "r"}},
        Case{"KeyTwice", replace("  seed: 42", "  seed: 42\n  seed: 43"), {}, {"exp.yaml:", "seed"}},
        Case{"WrongType",
             nothing(),
             {"--set", "training.learning_rate=fast"},
             {"training.learning_rate", "fast"}},
        Case{"FractionForInteger", nothing(), {"--set", "training.max_steps=1.5"}, {"max_steps", "1.5"}},
        Case{"OutOfRange",
             nothing(),
             {"--set", "training.per_device_train_batch_size=0"},
             {"per_device_train_batch_size", "0"}},
        Case{"UnknownValue", nothing(), {"--set", "training.lr_scheduler_type=cosin"}, {"cosin", "cosine"}},
        Case{"SetTypo",
             nothing(),
             {"--set", "training.lerning_rate=1"},
             {"--set", "lerning_rate", "learning_rate"}},
        Case{"SetWithoutValue", nothing(), {"--set", "training.seed"}, {"training.seed"}},
        Case{"UnknownDevice", nothing(), {"--set", "device=gpu"}, {"device", "gpu", "cpu"}},
        Case{"DeviceOfAnotherBuild", nothing(), {"--set", "device=cuda"}, {"cuda", "cpu"}},
        Case{"Fp16OnTheCpu", nothing(), {"--set", "training.fp16=true"}, {"exp.yaml", "fp16", "CUDA"}},
        Case{"Bf16OnTheCpu", nothing(), {"--set", "training.bf16=true"}, {"exp.yaml", "bf16", "CUDA"}},
        Case{"QuantisedStorage", nothing(), {"--set", "model.dtype=nf4"}, {"nf4", "bfloat16"}},
        Case{"NoAdapter", replace("adapter:\n  init_from: adapter_init\n", ""), {}, {"adapter"}},
        Case{"UnknownMethod", nothing(), {"--set", "adapter={peft_type: LORRA}"}, {"LORRA", "LORA"}},
        Case{"ResumeNothing", nothing(), {"--resume"}, {"no checkpoint"}},
        Case{"OutputIsAFile", write("out", "x"), {}, {"out"}}),
    case_name);

TEST(AdapterMisfit, IsToldInALineThatPeopleRead) {
  const TemporaryFolder folder;
  copy_fixture("llama_gqa_rslora", folder.path());
  const std::string deep =
      "a-folder-of-a-rather-long-name/and-another-one-in-it/as-projects-have/them/adapter";
  for (const char* other : {"gpt2_c_attn", "qwen2_default_targets", "qwen3_lora", "llama_rank_patterns"}) {
    fs::remove_all(folder / deep);
    fs::create_directories((folder / deep).parent_path());
    fs::copy(fixture(other) / "adapter_init", folder / deep);
    // A configuration that finds its modules here, so that the tensors are what differs.
    json config = json::parse(read_bytes(fixture("llama_gqa_rslora") / "adapter_init/adapter_config.json"));
    write_bytes(folder / deep / "adapter_config.json", config.dump());
    const Outcome o =
        ftengine({"generate", "--model", "model", "--adapter", deep, "--input-ids", "1"}, folder.path());
    expect_bad_input(o, {"adapter_model.safetensors: made for another base; tensors ", "lora_A", " more"});
    EXPECT_LT(o.err.size(), 300u) << o.err;
  }
}

// must-not-happen 12: a module that is not there is an error with the nearest name and the full list.
INSTANTIATE_TEST_SUITE_P(
    Adapters, BadInput,
    testing::Values(
        Case{"RankZero", adapter("r: 0"), {}, {"r", "0"}},
        Case{"AbsurdRank", adapter("r: 100000000"), {}, {"r"}},
        Case{"NoSuchModule",
             adapter("target_modules: [q_porj]"),
             {},
             {"q_porj", "did you mean 'q_proj'", "k_proj", "down_proj", "lm_head"}},
        Case{"NoSuchModuleAmongGood",
             adapter("target_modules: [q_proj, c_attn]"),
             {},
             {"c_attn", "gate_proj"}},
        Case{"PatternMatchesNothing", adapter("target_modules: '.*attention.*'"), {}, {"attention"}},
        Case{"PatternIsNone", adapter("target_modules: '(('"), {}, {"((", "regular expression"}},
        Case{"NoSuchLayer", adapter("layers_to_transform: [99]"), {}, {"99"}},
        Case{"NoSuchModuleToSave", adapter("modules_to_save: [score]"), {}, {"score"}},
        Case{"UnsupportedField", adapter("use_qalora: true"), {}, {"use_qalora"}},
        Case{"DropoutAboveOne", adapter("lora_dropout: 1.5"), {}, {"lora_dropout"}},
        Case{"AdapterMissing", remove("adapter_init"), {}, {"adapter_init"}},
        Case{"AdapterWithoutWeights",
             remove("adapter_init/adapter_model.safetensors"),
             {},
             {"adapter_model.safetensors"}},
        Case{"AdapterOfOtherShapes",
             [](const fs::path& f) {
               fs::remove_all(f / "adapter_init");
               fs::copy(fixture("qwen2_default_targets") / "adapter_init", f / "adapter_init");
             },
             {},
             {"adapter", "base"}},
        Case{"AdapterOfAnotherBase",
             write("adapter_init/ftengine.json", R"({"base_fingerprint": "0123456789abcdef"})"),
             {},
             {"another base", "0123456789abcdef"}},
        Case{"AdapterTruncated",
             [](const fs::path& f) { fs::resize_file(f / "adapter_init/adapter_model.safetensors", 900); },
             {},
             {"adapter_model.safetensors"}},
        Case{"AdapterConfigIsNoJson",
             write("adapter_init/adapter_config.json", "{\"r\": 4,\n oops}"),
             {},
             {"adapter_config.json:2"}}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Data, BadInput,
    testing::Values(
        Case{"NoDataFile", remove("train.jsonl"), {}, {"train.jsonl"}},
        Case{"EmptyData", write("train.jsonl", ""), {}, {"train.jsonl", "no row"}},
        Case{"BlankData", write("train.jsonl", "\n\n"), {}, {"train.jsonl", "no row"}},
        Case{"RowsWithoutTargets",
             write("train.jsonl", R"({"input_ids": [1, 2], "labels": [-100, -100]})"),
             {},
             {"no row", "1 without a target"}},
        Case{"OneTokenRows", write("train.jsonl", R"({"input_ids": [1]})"), {}, {"1 without a target"}},
        Case{"EverythingCut",
             write("train.jsonl", R"({"input_ids": [1, 2, 3], "labels": [-100, -100, 3]})"),
             {"--set", "data.max_length=2"},
             {"no row", "data.max_length"}},
        Case{"NoJson", write("train.jsonl", "{\"input_ids\": [1, 2]}\nhello\n"), {}, {"train.jsonl:2"}},
        Case{"NoObject", write("train.jsonl", "[1, 2]\n"), {}, {"train.jsonl:1", "object"}},
        Case{"IdOutsideVocabulary",
             write("train.jsonl", R"({"input_ids": [1, 4000000]})"),
             {},
             {"train.jsonl:1", "4000000"}},
        Case{"NegativeId", write("train.jsonl", R"({"input_ids": [1, -7]})"), {}, {"train.jsonl:1", "-7"}},
        Case{"FractionalId", write("train.jsonl", R"({"input_ids": [1, 2.5]})"), {}, {"train.jsonl:1"}},
        Case{"LabelsOfAnotherLength",
             write("train.jsonl", R"({"input_ids": [1, 2, 3], "labels": [1, 2]})"),
             {},
             {"train.jsonl:1", "2 labels", "3"}},
        Case{"NoInputIds", write("train.jsonl", R"({"ids": [1, 2]})"), {}, {"train.jsonl:1", "input_ids"}},
        Case{"UnknownFormat",
             replace("format: tokenized", "format: sharegpt"),
             {},
             {"exp.yaml:", "sharegpt", "alpaca"}},
        Case{"TextWithoutATokenizer", replace("format: tokenized", "format: alpaca"), {}, {"tokenizer"}}),
    case_name);

// Files from strangers: sizes, offsets and dimensions that lie.
INSTANTIATE_TEST_SUITE_P(
    Files, BadInput,
    testing::Values(
        Case{"NoModel", remove("model"), {}, {"model"}},
        Case{"NoConfig", remove("model/config.json"), {}, {"config.json"}},
        Case{"NoWeights", remove("model/model.safetensors"), {}, {"safetensors"}},
        Case{"ConfigIsNoJson", write("model/config.json", "{"), {}, {"config.json"}},
        Case{"ConfigIsAList", write("model/config.json", "[]"), {}, {"config.json", "object"}},
        Case{"UnknownFamily", config("model_type", "mamba"), {}, {"mamba", "llama"}},
        Case{"AbsurdLayers", config("num_hidden_layers", 2000000000), {}, {"layers"}},
        Case{"AbsurdHidden", config("hidden_size", 2147483647), {}, {"hidden"}},
        Case{"AbsurdVocabulary", config("vocab_size", 16000000), {}, {"weights"}},
        Case{"NegativeSize", config("hidden_size", -8), {}, {"hidden_size"}},
        Case{"SizeAsText", config("hidden_size", "32"), {}, {"hidden_size"}},
        Case{"HeadsThatDoNotDivide", config("num_key_value_heads", 3), {}, {"heads"}},
        Case{"OneLayerTooMany", config("num_hidden_layers", 3), {}, {"weights"}},
        Case{"OneLayerTooFew", config("num_hidden_layers", 1), {}, {"no place", "layers.1"}},
        Case{"Truncated",
             [](const fs::path& f) { fs::resize_file(f / "model/model.safetensors", 5000); },
             {},
             {"model.safetensors"}},
        Case{"EmptyWeights", weights(""), {}, {"model.safetensors"}},
        Case{"HeaderLongerThanTheFile", weights(u64(1u << 30) + "{}"), {}, {"model.safetensors"}},
        Case{"HeaderOfAllBits", weights(u64(~uint64_t{0}) + "{}"), {}, {"model.safetensors"}},
        Case{"HeaderIsNoJson", weights(safetensors("{\"a\": ", 0)), {}, {"model.safetensors"}},
        Case{"OffsetsBehindTheEnd",
             weights(safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4)),
             {},
             {"model.safetensors"}},
        Case{"OffsetsBackwards",
             weights(safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8)),
             {},
             {"model.safetensors"}},
        Case{
            "Overlap",
            weights(safetensors(
                R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                12)),
            {},
            {"model.safetensors"}},
        Case{"ShapeThatOverflows",
             weights(safetensors(
                 R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,8]}})", 8)),
             {},
             {"model.safetensors"}},
        Case{"SizeThatLies",
             weights(safetensors(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8)),
             {},
             {"model.safetensors"}},
        Case{"OtherTensors",
             weights(safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8)),
             {},
             {"weights"}},
        Case{"GgufWithoutContent", gguf("GGUF"), {}, {"m.gguf"}},
        Case{"GgufThatIsNone",
             gguf("PK\x03\x04 not a model at all, but long enough to be one"),
             {},
             {"m.gguf"}},
        Case{"GgufOfAllTensors", gguf("GGUF" + u32(3) + u64(~uint64_t{0}) + u64(0)), {}, {"m.gguf"}},
        Case{"GgufOfAllKeys", gguf("GGUF" + u32(3) + u64(0) + u64(~uint64_t{0})), {}, {"m.gguf"}},
        Case{"GgufWithALongKey",
             gguf("GGUF" + u32(3) + u64(0) + u64(1) + u64(uint64_t{1} << 62) + "general.architecture"),
             {},
             {"m.gguf"}},
        Case{"GgufOfTheFuture", gguf("GGUF" + u32(99) + u64(0) + u64(0)), {}, {"m.gguf"}},
        Case{"GgufWithoutArchitecture",
             gguf("GGUF" + u32(3) + u64(0) + u64(0) + std::string(64, '\0')),
             {},
             {"m.gguf", "general.architecture"}},
        Case{"NeitherFolderNorGguf",
             [](const fs::path& f) { edit(f / "exp.yaml", "path: model", "path: train.jsonl"); },
             {},
             {"train.jsonl", "not a model"}}),
    case_name);

// Found out once the model is open, so lines about the run stand before it.
TEST(BadResume, AFolderThatIsNoCheckpoint) {
  const TemporaryFolder folder;
  copy_fixture(kFixture, folder.path());
  const Outcome o = ftengine({"run", "exp.yaml", "--resume", "model"}, folder.path());
  EXPECT_EQ(o.code, 2);
  EXPECT_NE(o.err.find("error: model: not a checkpoint"), std::string::npos) << o.err;
}

}  // namespace
}  // namespace ft::cli
