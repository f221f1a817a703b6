#include "tools/ftengine/session.h"

#include "engine/config/fields.h"
#include "engine/config/json.h"
#include "engine/io/json.h"
#include "engine/io/printable.h"
#include "engine/train/checkpoint.h"

namespace ft {
namespace {

Stream make_stream(const std::string& device, CpuStream& host) {
  std::optional<Stream> found = open_stream(device, host);
  if (!found)
    bad_input("device: {}: this program was built for {}; use one of them, or build with cmake --preset {}",
              device, fmt::join(device_names(), " and "), device == "cuda-sim" ? "cuda-sim" : "cuda");
  return *std::move(found);
}

}  // namespace

Session::Session(const std::string& device, int threads)
    : pool_(threads > 0 ? threads : ThreadPool::default_threads()),
      host_(pool_),
      stream_(make_stream(device, host_)) {}

std::string Session::describe() const {
  if (device() == Device()) return fmt::format("cpu ({}, {} threads)", instruction_set(), threads());
  return fmt::format("{} ({})", device_names().back(), cuda_description());
}

std::shared_ptr<const Template> open_template(const ConfigNode& node,
                                              std::shared_ptr<const Tokenizer> tokenizer) {
  if (node.is_null()) return Template::make(default_template(*tokenizer), tokenizer);
  if (node.is_string()) {
    try {
      return Template::make(node.string(), tokenizer);
    } catch (const InputError& e) {
      if (node.line() == 0) throw;
      bad_input("{}: {}", node.where(), e.what());
    }
  }
  Fields f(node, "data.template");
  InlineTemplate text;
  f.get("prompt", text.prompt);
  f.get("completion_suffix", text.completion_suffix);
  f.require("prompt", "a text with {instruction} in it");
  f.finish();
  return Template::make(text, tokenizer);
}

RecordedText recorded_text(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "ftengine.json";
  std::error_code ignored;
  if (folder.empty() || !std::filesystem::exists(file, ignored)) return {};
  const Json json = read_json_file(file);
  if (!json.is_object()) bad_input("{}: expected a JSON object", file.string());
  RecordedText text;
  if (const auto found = json.find("template"); found != json.end())
    text.prompt_template = from_json(*found, std::make_shared<const Source>(Source{file.string(), folder}));
  const auto ids = json.find("stop_ids");
  if (ids == json.end()) return text;
  if (!ids->is_array()) bad_input("{}: stop_ids: expected a list of ids", file.string());
  for (const Json& id : *ids) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX)
      bad_input("{}: stop_ids: {} is not an id", file.string(), printable(id.dump(), 40));
    text.stop_ids.push_back(id.get<int32_t>());
  }
  return text;
}

}  // namespace ft
