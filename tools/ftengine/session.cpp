#include "tools/ftengine/session.h"

#include "engine/config/fields.h"
#include "engine/config/json.h"
#include "engine/io/json.h"

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

ConfigNode recorded_template(const std::filesystem::path& adapter) {
  const std::filesystem::path file = adapter / "ftengine.json";
  if (!std::filesystem::exists(file)) return {};
  const Json json = read_json_file(file);
  const auto found = json.find("template");
  if (!json.is_object() || found == json.end()) return {};
  return from_json(*found, std::make_shared<const Source>(Source{file.string(), adapter}));
}

}  // namespace ft
