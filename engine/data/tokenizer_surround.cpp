#include "engine/data/tokenizer_surround.h"

#include "engine/core/check.h"
#include "engine/data/tokenizer_json.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

int32_t id_of_pair(const nlohmann::json& node, const char* key, const std::string& source) {
  const auto& pair = json_array(node, key, source);
  if (pair.size() != 2) bad_input("{}: post_processor: \"{}\" should be a token and its id", source, key);
  return json_id(pair[1], key, source);
}

Surround surround_from_template(const nlohmann::json& node, const std::string& source) {
  Surround result;
  const auto& special = json_object(node, "special_tokens", source);
  bool after = false;  // the sequence has been seen
  for (const auto& item : json_array(node, "single", source)) {
    if (item.contains("Sequence")) {
      if (after) bad_input("{}: post_processor: the template for one text holds it twice", source);
      after = true;
      continue;
    }
    const std::string name = json_string(json_object(item, "SpecialToken", source), "id", source);
    const auto& ids = json_array(json_object(special, name.c_str(), source), "ids", source);
    for (const auto& id : ids) (after ? result.suffix : result.prefix).push_back(json_id(id, name, source));
  }
  if (!after) bad_input("{}: post_processor: the template for one text leaves it out", source);
  return result;
}

}  // namespace

Surround surround_from_json(const nlohmann::json& node, const std::string& source, int depth) {
  if (node.is_null()) return {};
  const std::string type = json_string(node, "type", source);
  if (type == "ByteLevel") return {};  // offsets only
  if (type == "TemplateProcessing") return surround_from_template(node, source);
  if (type == "RobertaProcessing" || type == "BertProcessing") {
    return {{id_of_pair(node, "cls", source)}, {id_of_pair(node, "sep", source)}};
  }
  if (type == "Sequence" && depth < 4) {
    Surround all;
    for (const auto& part : json_array(node, "processors", source)) {
      const Surround one = surround_from_json(part, source, depth + 1);
      all.prefix.insert(all.prefix.begin(), one.prefix.begin(), one.prefix.end());
      all.suffix.insert(all.suffix.end(), one.suffix.begin(), one.suffix.end());
    }
    return all;
  }
  bad_input("{}: post_processor type \"{}\" is not supported", source, printable(type));
}

}  // namespace ft
