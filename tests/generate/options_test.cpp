// Layers of settings: what was asked for over the folder over Hugging Face's defaults.
#include "engine/generate/options.h"

#include <unistd.h>

#include <fstream>

#include "tests/generate/support.h"

namespace ft {
namespace {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "ft-generate-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const Folder& with(const char* name, std::string_view text) const {
    std::ofstream(path_ / name) << text;
    return *this;
  }
  FolderGeneration read() const { return read_folder_generation(path_); }

 private:
  std::filesystem::path path_;
};

GenerationOptions resolve(const GenerationSection& asked, const FolderGeneration& folder = {},
                          std::vector<int32_t> ends = {}) {
  return resolve_generation(asked, folder, ends);
}

TEST(GenerationSettings, DefaultsAreHuggingFaces) {
  const GenerationOptions o = resolve({});
  EXPECT_FALSE(o.do_sample);
  EXPECT_EQ(o.top_k, 50);
  EXPECT_EQ(o.top_p, 1);
  EXPECT_EQ(o.temperature, 1);
  EXPECT_EQ(o.repetition_penalty, 1);
  EXPECT_EQ(o.budget(7), 20);
}

TEST(GenerationSettings, AskedOverFolderOverDefaults) {
  const FolderGeneration folder =
      Folder()
          .with("generation_config.json",
                R"({"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": null, "eos_token_id": [7, 5],
                    "pad_token_id": 3, "typical_p": 1.0, "no_repeat_ngram_size": 3, "transformers_version": "5"})")
          .read();
  EXPECT_EQ(folder.unsupported, std::vector<std::string>{"no_repeat_ngram_size"});
  GenerationSection asked;
  asked.top_k = 5;
  asked.seed = 9;
  const GenerationOptions o = resolve(asked, folder, {5, 2});
  EXPECT_TRUE(o.do_sample);
  EXPECT_EQ(o.temperature, 0.6);
  EXPECT_EQ(o.top_k, 5);
  EXPECT_EQ(o.top_p, 1);
  EXPECT_EQ(o.seed, 9u);
  EXPECT_EQ(o.stop_ids, (std::vector<int32_t>{7, 5, 2}));
  asked.do_sample = false;
  EXPECT_FALSE(resolve(asked, folder).do_sample);
}

TEST(GenerationSettings, EndTokensComeFromTheConfigWhereNothingElseNamesThem) {
  Folder folder;
  folder.with("config.json", R"({"eos_token_id": 11, "model_type": "llama"})");
  EXPECT_EQ(folder.read().stop_ids, std::vector<int32_t>{11});
  folder.with("generation_config.json", R"({"eos_token_id": 12})");
  EXPECT_EQ(folder.read().stop_ids, std::vector<int32_t>{12});
}

TEST(GenerationSettings, LengthIsOneSetting) {
  FolderGeneration folder;
  folder.section.max_new_tokens = 100;
  EXPECT_EQ(resolve({}, folder).budget(7), 100);
  GenerationSection asked;
  asked.max_length = 10;
  EXPECT_EQ(resolve(asked, folder).budget(7), 3);
  asked.max_new_tokens = 4;
  EXPECT_EQ(resolve(asked, folder).budget(7), 4);
}

TEST(GenerationSettings, AWrittenOutDefaultLengthIsNone) {
  const FolderGeneration folder = Folder().with("generation_config.json", R"({"max_length": 20})").read();
  EXPECT_EQ(resolve({}, folder).budget(15), 20);
}

TEST(GenerationSettings, IgnoreEos) {
  GenerationSection asked;
  EXPECT_TRUE(resolve(asked, {}, {3}).ends(3));
  asked.ignore_eos = true;
  EXPECT_FALSE(resolve(asked, {}, {3}).ends(3));
}

TEST(GenerationSettings, RefuseWhatCannotBe) {
  const auto error = [](auto change) {
    GenerationSection asked;
    asked.do_sample = true;
    change(asked);
    return error_of([&] { resolve(asked); });
  };
  EXPECT_NE(error([](auto& a) { a.num_beams = 4; }).find("beam search"), std::string::npos);
  EXPECT_NE(error([](auto& a) { a.temperature = 0; }).find("temperature"), std::string::npos);
  EXPECT_NE(error([](auto& a) { a.top_p = 1.5; }).find("top_p"), std::string::npos);
  EXPECT_NE(error([](auto& a) { a.top_p = std::nan(""); }).find("top_p"), std::string::npos);
  EXPECT_NE(error([](auto& a) { a.min_p = -1; }).find("min_p"), std::string::npos);
  EXPECT_NE(error([](auto& a) { a.top_k = -1; }).find("top_k"), std::string::npos);
  EXPECT_NE(error([](auto& a) { a.repetition_penalty = 0; }).find("repetition_penalty"), std::string::npos);
  EXPECT_NE(error([](auto& a) { a.max_new_tokens = 0; }).find("max_new_tokens"), std::string::npos);
  EXPECT_NE(error([](auto& a) { a.max_length = -3; }).find("max_length"), std::string::npos);
  EXPECT_NE(error([](auto& a) { a.seed = -1; }).find("seed"), std::string::npos);
  EXPECT_NE(error([](auto& a) { a.stop = {""}; }).find("stop"), std::string::npos);
  EXPECT_EQ(error([](auto&) {}), "(none)");
}

TEST(GenerationSettings, ARangeCountsOnlyWhereTheValueIsUsed) {
  FolderGeneration folder;
  folder.section.temperature = 0;
  EXPECT_FALSE(resolve({}, folder).do_sample);
  folder.section.do_sample = true;
  EXPECT_NE(error_of([&] { resolve({}, folder); }).find("temperature"), std::string::npos);
}

TEST(GenerationSettings, BrokenFilesAreNamed) {
  const auto error = [](std::string_view text) {
    return error_of([&] { Folder().with("generation_config.json", text).read(); });
  };
  for (const char* text : {"", "[1]", "{", R"({"temperature": "hot"})", R"({"eos_token_id": -1})",
                           R"({"eos_token_id": [1, "x"]})", R"({"eos_token_id": 4294967296})"})
    EXPECT_NE(error(text).find("generation_config.json"), std::string::npos) << text;
  EXPECT_EQ(error("{}"), "(none)");
}

TEST(GenerationSettings, AFileHasNone) {
  EXPECT_TRUE(read_folder_generation(kFixtures / "README.md").stop_ids.empty());
}

}  // namespace
}  // namespace ft
