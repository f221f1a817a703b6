#include "engine/config/json.h"

#include <cmath>
#include <limits>

namespace ft {
namespace {

template <class Json>
ConfigNode convert(const Json& json, const SourcePtr& source, int depth, size_t& nodes) {
  if (depth > kMaxConfigDepth) bad_input("{}: nested deeper than {} levels", source->name, kMaxConfigDepth);
  if (++nodes > kMaxConfigNodes) bad_input("{}: more than {} values", source->name, kMaxConfigNodes);
  ConfigNode node;
  switch (json.type()) {
    case Json::value_t::boolean:
      node = json.template get<bool>();
      break;
    case Json::value_t::number_integer:
      node = json.template get<int64_t>();
      break;
    case Json::value_t::number_unsigned: {
      const auto value = json.template get<uint64_t>();
      node = std::in_range<int64_t>(value) ? ConfigNode(value) : ConfigNode(static_cast<double>(value));
      break;
    }
    case Json::value_t::number_float:
      node = json.template get<double>();
      break;
    case Json::value_t::string:
      node = json.template get<std::string>();
      break;
    case Json::value_t::array:
      node = ConfigNode::list();
      for (const Json& item : json) node.append(convert(item, source, depth + 1, nodes));
      break;
    case Json::value_t::object:
      if (json.size() > kMaxConfigKeys)
        bad_input("{}: a mapping of more than {} keys", source->name, kMaxConfigKeys);
      node = ConfigNode::map();
      for (auto it = json.begin(); it != json.end(); ++it) {
        node.set(it.key(), convert(it.value(), source, depth + 1, nodes));
      }
      break;
    default:
      break;  // null; binary and discarded never come from text
  }
  node.set_origin(source, 0);
  return node;
}

}  // namespace

ConfigNode from_json(const nlohmann::ordered_json& json, SourcePtr source) {
  size_t nodes = 0;
  return convert(json, source, 1, nodes);
}

ConfigNode from_json(const nlohmann::json& json, SourcePtr source) {
  size_t nodes = 0;
  return convert(json, source, 1, nodes);
}

nlohmann::ordered_json to_json(const ConfigNode& node) {
  using Json = nlohmann::ordered_json;
  switch (node.kind()) {
    case ConfigNode::Kind::null:
      return nullptr;
    case ConfigNode::Kind::boolean:
      return node.boolean();
    case ConfigNode::Kind::integer:
      return node.integer();
    case ConfigNode::Kind::real:
      FT_CHECK(std::isfinite(node.real()), "[config] JSON has no spelling for {}", node.real());
      return node.real();
    case ConfigNode::Kind::string:
      return node.string();
    case ConfigNode::Kind::list: {
      Json out = Json::array();
      for (const ConfigNode& item : node.items()) out.push_back(to_json(item));
      return out;
    }
    case ConfigNode::Kind::map: {
      Json out = Json::object();
      for (size_t i = 0; i < node.size(); ++i) out.push_back({node.key(i), to_json(node[i])});
      return out;
    }
  }
  return nullptr;
}

}  // namespace ft
