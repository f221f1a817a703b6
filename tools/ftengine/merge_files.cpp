#include "tools/ftengine/merge_files.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "engine/core/check.h"
#include "engine/data/open_tokenizer.h"
#include "engine/io/json.h"
#include "engine/io/printable.h"
#include "engine/io/text_file.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

constexpr const char* kOthers[] = {"config.json",
                                   "model.safetensors.index.json",
                                   "generation_config.json",
                                   "ftengine.json",
                                   "README.md",
                                   "LICENSE",
                                   ".gitattributes"};

bool is_model_file(const fs::path& file) {
  const std::string name = file.filename().string();
  const auto is = [&](const char* known) { return name == known; };
  return std::any_of(tokenizer_file_names().begin(), tokenizer_file_names().end(), is) ||
         std::any_of(std::begin(kOthers), std::end(kOthers), is) ||
         (name.starts_with("model") && name.ends_with(".safetensors"));
}

bool same_place(const fs::path& a, const fs::path& b) {
  std::error_code error;
  const bool same = fs::equivalent(a, b, error);
  return same && !error;
}

/// The object in `file`; null where there is none.
Json read_object(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return nullptr;
  Json json = read_json_file(file);
  if (!json.is_object()) bad_input("{}: expected a JSON object", file.string());
  return json;
}

/// Adds the ids in `node` (one, or a list) that are ids of the model.
void add_ids(const Json& node, int64_t vocab, std::vector<int64_t>& ids) {
  const auto add = [&](const Json& v) {
    const auto id = whole_number(v);
    if (id && *id < vocab && std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(*id);
  };
  if (node.is_array())
    std::for_each(node.begin(), node.end(), add);
  else
    add(node);
}

Json value_or_null(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) ? object.at(key) : Json();
}

void write_tokenizer(const Companions& c) {
  if (!fs::is_directory(c.base)) {
    if (c.tokenizer) c.tokenizer->write_tokenizer_json(c.out);
    return;
  }
  for (const char* name : tokenizer_file_names())
    if (fs::exists(c.base / name)) write_text_file(c.out / name, read_text_file(c.base / name));
}

/// End tokens: those of the template that the adapter learnt first, then the base's own. With none to add,
/// the base's file is copied as it is.
void write_generation_config(const Companions& c, const Json& trained) {
  const fs::path name = "generation_config.json";
  const bool folder = fs::is_directory(c.base);
  const Json own = folder ? read_object(c.base / name) : Json();
  std::vector<int64_t> stop, before;
  add_ids(value_or_null(own, "eos_token_id"), c.vocab, before);
  add_ids(value_or_null(trained, "stop_ids"), c.vocab, stop);
  for (const int64_t id : before) add_ids(id, c.vocab, stop);
  if (stop.empty() && c.tokenizer && c.tokenizer->eos_id()) add_ids(*c.tokenizer->eos_id(), c.vocab, stop);
  if (own.is_object() && stop.size() == before.size())
    return write_text_file(c.out / name, read_text_file(c.base / name));
  Json config = own.is_object() ? own : Json::object();
  if (!stop.empty()) config["eos_token_id"] = stop.size() == 1 ? Json(stop[0]) : Json(stop);
  if (!config.contains("bos_token_id") && c.tokenizer && c.tokenizer->bos_id())
    config["bos_token_id"] = *c.tokenizer->bos_id();
  if (!config.empty()) write_text_file(c.out / name, config.dump(2) + "\n");
}

/// GGUF's metadata has no ids of special tokens in the place where Hugging Face looks for them.
void complete_config(const Companions& c) {
  if (fs::is_directory(c.base) || !c.tokenizer) return;
  auto config = nlohmann::ordered_json::parse(read_text_file(c.out / "config.json"));
  if (c.tokenizer->bos_id()) config["bos_token_id"] = *c.tokenizer->bos_id();
  if (c.tokenizer->eos_id()) config["eos_token_id"] = *c.tokenizer->eos_id();
  write_text_file(c.out / "config.json", config.dump(2) + "\n");
}

}  // namespace

void check_replaceable(const fs::path& out, bool overwrite, const std::vector<fs::path>& sources) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(out, error);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status)) bad_input("--out: {} is no folder; choose another place", out.string());
  for (const fs::path& source : sources)
    if (same_place(out, source))
      bad_input("--out: {} is what is to be merged; choose another folder", out.string());
  if (fs::is_empty(out, error)) return;
  if (!overwrite)
    bad_input("--out: {} exists; choose another folder, or add --overwrite to replace it", out.string());
  for (const fs::directory_entry& entry : fs::directory_iterator(out))
    if (!entry.is_regular_file() || !is_model_file(entry.path()))
      bad_input(
          "--out: {} holds {}, which is no file of a model folder; --overwrite replaces model folders only",
          out.string(), printable(entry.path().filename().string()));
}

void make_parents(const fs::path& out) {
  const fs::path whole = fs::absolute(out).lexically_normal();
  const fs::path parent = whole.filename().empty() ? whole.parent_path().parent_path() : whole.parent_path();
  std::error_code error;
  fs::create_directories(parent, error);
  if (error) bad_input("{}: cannot make the folder: {}", parent.string(), error.message());
}

std::shared_ptr<const Tokenizer> open_base_tokenizer(const fs::path& model) {
  try {
    return open_tokenizer(model);
  } catch (const InputError& e) {
    fmt::print(stderr, "note: {}; the comparison uses drawn ids\n", e.what());
    return nullptr;
  }
}

void write_companions(const Companions& c) {
  const Json trained = read_object(c.adapter / "ftengine.json");
  write_tokenizer(c);
  write_generation_config(c, trained);
  complete_config(c);
  Json kept = Json::object();
  for (const char* key : {"template", "stop_ids", "golden_prompt_ids"})
    if (const Json value = value_or_null(trained, key); !value.is_null()) kept[key] = value;
  if (!kept.empty()) write_text_file(c.out / "ftengine.json", kept.dump(2) + "\n");
}

}  // namespace ft
