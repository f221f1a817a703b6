// Files from strangers name what they like; what is written stays in the folder that the user named.
#include <map>

#include "tests/cli/program.h"

namespace ft::cli {
namespace {

using nlohmann::json;

std::map<std::string, std::string> files_but(const fs::path& folder,
                                             const std::vector<std::string>& left_out) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder).string();
    bool skip = !entry.is_regular_file();
    for (const std::string& l : left_out) skip |= name.starts_with(l + "/");
    if (!skip) files[name] = read_bytes(entry.path());
  }
  return files;
}

TEST(HostileFiles, NothingIsWrittenOutsideTheOutputFolder) {
  const TemporaryFolder folder;
  const fs::path inside = folder / "a/b/c";  // so that ../../.. is still the test's own
  fs::create_directories(inside);
  copy_fixture("qwen3_lora", inside);
  const auto spoil = [&](const fs::path& file, const std::vector<std::string>& keys) {
    json j = fs::exists(file) ? json::parse(read_bytes(file)) : json::object();
    for (const std::string& key : keys) j[key] = "../../escaped";
    write_bytes(file, j.dump());
  };
  spoil(inside / "adapter_init/adapter_config.json", {"base_model_name_or_path", "revision"});
  spoil(inside / "model/config.json", {"_name_or_path", "auto_map"});
  spoil(inside / "model/generation_config.json", {"transformers_version"});
  spoil(inside / "model/tokenizer_config.json", {"name_or_path", "tokenizer_file", "chat_template"});
  const auto before = files_but(folder.path(), {"a/b/c/out", "a/b/c/merged"});
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"run", "exp.yaml", "--set", "training.max_steps=2"},
           {"run", "exp.yaml", "--resume"},
           {"check", "--gradients", "exp.yaml"},
           {"generate", "--model", "model", "--adapter", "out", "--input-ids", "1,2"},
           {"merge", "--model", "model", "--adapter", "out", "--out", "merged"},
           {"verify", "--model", "model", "--adapter", "adapter_init"},
           {"inspect", "out"}}) {
    const Outcome o = ftengine(arguments, inside);
    EXPECT_TRUE(o.code == 0 || o.code == 2) << arguments[0] << o.err;
    EXPECT_EQ(files_but(folder.path(), {"a/b/c/out", "a/b/c/merged"}), before) << arguments[0];
  }
  // Weights of another folder cannot be reached by an index either.
  fs::rename(inside / "model/model.safetensors", folder / "a/b/model.safetensors");
  write_bytes(inside / "model/model.safetensors.index.json",
              R"({"weight_map": {"model.norm.weight": "../../model.safetensors"}})");
  expect_bad_input(ftengine({"run", "exp.yaml", "--overwrite"}, inside), {"is not a plain file name"});
}

}  // namespace
}  // namespace ft::cli
