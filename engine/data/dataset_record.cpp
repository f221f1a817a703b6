#include "engine/data/dataset_record.h"

#include <algorithm>

#include "engine/core/check.h"
#include "engine/data/dataset.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

constexpr int64_t kMaxRowTokens = int64_t{1} << 24;
constexpr size_t kMaxMessages = 4096, kMaxMembers = 256;

/// ShareGPT's names of those who speak.
std::string role_of(const std::string& from) {
  for (const char* name : {"human", "user"})
    if (from == name) return "user";
  for (const char* name : {"gpt", "assistant", "chatgpt", "bing", "bard"})
    if (from == name) return "assistant";
  for (const char* name : {"tool", "function", "observation"})
    if (from == name) return "tool";
  return from;
}

}  // namespace

Record::Record(const Json& json, const Columns& columns, std::string where)
    : json_(json), columns_(columns), where_(std::move(where)) {
  if (!json.is_object()) bad_input("{}: expected a JSON object, got {}", where_, json.type_name());
}

std::string_view Record::name(std::string_view key) const {
  for (const auto& [ours, theirs] : columns_)
    if (ours == key) return theirs;
  return key;
}

const Json* Record::find(std::string_view key) const {
  const auto it = json_.find(name(key));
  return it == json_.end() || it->is_null() ? nullptr : &*it;
}

std::string Record::text(std::string_view key, bool required) const {
  const Json* value = find(key);
  if (!value && required)
    bad_input("{}: the row has no \"{}\"; see data.format (ftengine list) and columns", where_, key);
  if (!value) return {};
  if (!value->is_string()) bad_input("{}: \"{}\" is a {}; expected a text", where_, key, value->type_name());
  return value->get<std::string>();
}

std::vector<int32_t> Record::ids(std::string_view key, int64_t low, int64_t high) const {
  const Json* list = find(key);
  if (!list || !list->is_array()) bad_input("{}: expected a list of ids in \"{}\"", where_, key);
  if (static_cast<int64_t>(list->size()) > kMaxRowTokens)
    bad_input("{}: \"{}\" has {} ids; no row may be that long", where_, key, list->size());
  std::vector<int32_t> out;
  out.reserve(list->size());
  for (const Json& v : *list) {
    if (!v.is_number_integer()) bad_input("{}: \"{}\" holds {}; expected ids", where_, key, v.type_name());
    const auto id =
        v.is_number_unsigned() && v.get<uint64_t>() > INT32_MAX ? int64_t{INT32_MAX} : v.get<int64_t>();
    if (id != kNoTarget && (id < low || id >= high))
      bad_input("{}: \"{}\" holds {}; ids of this model are 0 to {}", where_, key, v.dump(), high - 1);
    out.push_back(static_cast<int32_t>(id));
  }
  return out;
}

Conversation read_conversation(const Record& in, std::string_view text) {
  const bool sharegpt = !in.has("messages") && in.has("conversations");
  const char* list_key = sharegpt ? "conversations" : "messages";
  const char *role_key = sharegpt ? "from" : "role", *content_key = sharegpt ? "value" : "content";
  const Json* list = in.find(list_key);
  if (!list) bad_input("{}: the row has no \"messages\" and no \"conversations\"", in.where());
  if (!list->is_array() || list->size() > kMaxMessages)
    bad_input("{}: \"{}\" should be a list of at most {} messages", in.where(), list_key, kMaxMessages);
  Conversation c;
  if (const std::string system = in.text("system", false); !system.empty()) c.push_back({"system", system});
  for (const Json& m : *list) {
    const auto member = [&](const char* key) {
      if (!m.is_object() || !m.contains(key) || !m.at(key).is_string())
        bad_input("{}: a message needs a text \"{}\"; it is {}", in.where(), key, printable(m.dump(), 60));
      return m.at(key).get<std::string>();
    };
    const bool calls = !sharegpt && m.is_object() && m.contains("tool_calls") &&
                       (!m.contains(content_key) || m.at(content_key).is_null());
    const std::string role = member(role_key);
    c.push_back({sharegpt ? role_of(role) : role, calls ? "" : member(content_key)});
    if (m.size() > kMaxMembers) bad_input("{}: a message of {} members", in.where(), m.size());
    if (!sharegpt && m.size() > 2) c.back().more = {{"", nullptr}};  // filled below
  }
  if (std::none_of(c.begin(), c.end(), [](const Message& m) { return !m.more.empty(); }) || text.empty())
    return c;
  // The strict parser has read the row; this one keeps the order of members.
  const auto ordered = nlohmann::ordered_json::parse(text);
  const size_t first = c.size() - list->size();
  for (size_t i = first; i < c.size(); ++i) {
    nlohmann::ordered_json more = nlohmann::ordered_json::object();
    for (const auto& [key, value] : ordered.at(std::string(in.name("messages"))).at(i - first).items())
      if (key != role_key && key != content_key) more[key] = value;
    c[i].more = std::move(more);
  }
  return c;
}

}  // namespace ft
