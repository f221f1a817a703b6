#include "tools/ftengine/session.h"

#include <algorithm>

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
  if (node.is_list()) {
    std::vector<std::shared_ptr<const Template>> members;
    for (const ConfigNode& member : node.items()) members.push_back(open_template(member, tokenizer));
    return Template::mixture(std::move(members));
  }
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

namespace {

std::vector<int32_t> recorded_ids(const Json& json, const char* key, const std::string& file) {
  std::vector<int32_t> out;
  const auto ids = json.find(key);
  if (ids == json.end()) return out;
  if (!ids->is_array()) bad_input("{}: {}: expected a list of ids", file, key);
  for (const Json& value : *ids) {
    const auto id = whole_number(value);
    if (!id || *id > INT32_MAX) bad_input("{}: {}: {} is not an id", file, key, printable(value.dump(), 40));
    out.push_back(static_cast<int32_t>(*id));
  }
  return out;
}

}  // namespace

RecordedText recorded_text(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "ftengine.json";
  std::error_code ignored;
  if (folder.empty() || !std::filesystem::exists(file, ignored)) return {};
  const Json json = read_json_file(file);
  if (!json.is_object()) bad_input("{}: expected a JSON object", file.string());
  RecordedText text;
  text.source = file.string();
  if (const auto found = json.find("template"); found != json.end())
    text.prompt_template = from_json(*found, std::make_shared<const Source>(Source{file.string(), folder}));
  text.stop_ids = recorded_ids(json, "stop_ids", file.string());
  text.golden_prompt_ids = recorded_ids(json, "golden_prompt_ids", file.string());
  return text;
}

bool renders_as_recorded(const RecordedText& trained, const Template& found) {
  return trained.golden_prompt_ids.empty() || trained.golden_prompt_ids == found.golden_prompt_ids();
}

void check_recorded(const RecordedText& trained, const Template& found, bool chosen) {
  if (!renders_as_recorded(trained, found)) {
    const std::string what =
        fmt::format("{}: prompts are rendered otherwise here than in training (template {}, tokenizer {})",
                    trained.source, found.name(), found.tokenizer().source());
    if (!chosen)
      bad_input("{}; take the tokenizer that stood beside the adapter, or insist with --template NAME", what);
    fmt::print(stderr, "warning: {}; expect poor answers\n", what);
  }
  const auto stops = found.stop_ids();
  const bool same =
      std::is_permutation(trained.stop_ids.begin(), trained.stop_ids.end(), stops.begin(), stops.end());
  if (!trained.stop_ids.empty() && !same)
    fmt::print(
        stderr,
        "warning: {}: answers were trained to end with the ids {}, the template here ends them with {}\n",
        trained.source, fmt::join(trained.stop_ids, ","), fmt::join(stops, ","));
}

}  // namespace ft
