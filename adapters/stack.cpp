#include "adapters/stack.h"

#include <algorithm>
#include <cctype>

#include "engine/io/json.h"
#include "engine/io/printable.h"
#include "engine/io/text_file.h"

namespace ft {
namespace {

namespace fs = std::filesystem;
constexpr const char* kOrigin = "ftengine.json";

// A name from a file becomes part of a path: one plain folder name, nothing else.
bool is_folder_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-';
  });
}

}  // namespace

void AdapterStack::add(std::unique_ptr<Adapter> adapter, std::string name) {
  if (name.empty()) {
    for (const char c : adapter->peft_type()) name += static_cast<char>(std::tolower(c));
    const auto taken = [&](const std::string& n) {
      return std::find(names_.begin(), names_.end(), n) != names_.end();
    };
    const std::string plain = name;
    for (int i = 2; taken(name); ++i) name = fmt::format("{}_{}", plain, i);
  }
  names_.push_back(std::move(name));
  pointers_.push_back(adapter.get());
  adapters_.push_back(std::move(adapter));
}

bool AdapterStack::full() const {
  return adapters_.size() == 1 && adapters_[0]->peft_type() == "NONE";
}

std::string AdapterStack::describe() const {
  std::string text;
  for (const Adapter* a : pointers_) text += (text.empty() ? "" : " + ") + std::string(a->peft_type());
  return text;
}

std::vector<Parameter*> AdapterStack::trainables() const {
  std::vector<Parameter*> all;
  for (const Adapter* a : pointers_)
    for (Parameter* p : a->trainables())
      if (std::find(all.begin(), all.end(), p) == all.end()) all.push_back(p);
  return all;
}

std::vector<AdapterTensor> AdapterStack::tensors() const {
  std::vector<AdapterTensor> all;
  for (const Adapter* a : pointers_)
    for (AdapterTensor& t : a->tensors()) all.push_back(std::move(t));
  return all;
}

bool AdapterStack::mergeable() const {
  return std::all_of(pointers_.begin(), pointers_.end(), [](const Adapter* a) { return a->mergeable(); });
}

void AdapterStack::merge(const Slot& slot, std::vector<float>& values) const {
  for (const Adapter* a : pointers_) a->merge(slot, values);
}

void AdapterStack::settle(Stream& stream) const {
  for (Adapter* a : pointers_) a->settle(stream);
}

void save_stack(const AdapterStack& stack, const fs::path& folder, const AdapterOrigin& origin,
                bool checkpoint) {
  if (stack.size() == 1) return save_adapter(*stack.all()[0], folder, origin, checkpoint);
  for (size_t i = 0; i < stack.size(); ++i) {
    const fs::path own = folder / stack.names()[i];
    fs::create_directories(own);
    save_adapter(*stack.all()[i], own, origin, checkpoint);
  }
  nlohmann::ordered_json json = {{"base_fingerprint", origin.fingerprint}, {"adapters", stack.names()}};
  if (origin.rendering.is_object()) json.update(origin.rendering);
  write_text_file(folder / kOrigin, json.dump(2) + "\n");
}

void load_stack_tensors(const AdapterStack& stack, const fs::path& folder) {
  for (size_t i = 0; i < stack.size(); ++i)
    load_adapter_tensors(*stack.all()[i], stack.size() == 1 ? folder : folder / stack.names()[i]);
}

std::vector<fs::path> adapter_folders(const fs::path& folder) {
  if (fs::exists(folder / "adapter_config.json") || !fs::exists(folder / kOrigin)) return {folder};
  const std::string file = (folder / kOrigin).string();
  const Json json = read_json_file(folder / kOrigin);
  const auto found = json.is_object() ? json.find("adapters") : json.end();
  if (found == json.end()) return {folder};
  if (!found->is_array() || found->empty()) bad_input("{}: adapters: expected a list of folder names", file);
  std::vector<fs::path> folders;
  for (const Json& name : *found) {
    if (!name.is_string() || !is_folder_name(name.get<std::string>()))
      bad_input("{}: adapters: {} is not a folder name", file, printable(name.dump(), 40));
    folders.push_back(folder / name.get<std::string>());
  }
  return folders;
}

AdapterStack load_stack(std::span<const fs::path> folders, Model& model, const std::string& fingerprint,
                        const AttachOptions& options) {
  AdapterStack stack;
  for (const fs::path& given : folders)
    for (const fs::path& folder : adapter_folders(given)) {
      AttachOptions attach = options;
      attach.index = static_cast<int>(stack.size());
      stack.add(load_adapter(folder, model, fingerprint, attach));
    }
  return stack;
}

}  // namespace ft
