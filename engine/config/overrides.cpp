// --set key.path=value, applied to the tree before it is parsed.
#include <charconv>

#include "engine/config/experiment.h"
#include "engine/config/yaml.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

/// The child of `node` that `step` names: a key of a mapping, made if missing, or an index of a list.
/// `at` is the path of `node` itself, for messages.
ConfigNode& descend(ConfigNode& node, std::string_view step, std::string_view at, const SourcePtr& source) {
  if (node.is_list()) {
    size_t index = 0;
    const auto result = std::from_chars(step.data(), step.data() + step.size(), index);
    if (result.ec != std::errc() || result.ptr != step.data() + step.size() || index >= node.size()) {
      bad_input("{}: {} is a list of {}; name one by its number from 0, such as {}.0", source->name, at,
                node.size(), at);
    }
    return node[index];
  }
  if (!node.is_map() && !node.is_null()) {
    bad_input("{}: {} is {}, it has no '{}'", source->name, at, node.describe(), printable(step, 60));
  }
  if (ConfigNode* found = node.find(step)) return *found;
  ConfigNode fresh;
  fresh.set_origin(source, 0);
  return node.set(step, std::move(fresh));
}

}  // namespace

void apply_override(ConfigNode& root, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  std::error_code error;
  const auto source = std::make_shared<Source>(
      Source{"--set " + printable(assignment), std::filesystem::current_path(error)});
  if (equals == std::string::npos || equals == 0) {
    bad_input("{}: expected key.path=value, such as training.seed=1", source->name);
  }
  ConfigNode value = parse_yaml(std::string_view(assignment).substr(equals + 1), source, false);

  const std::string path = assignment.substr(0, equals);
  ConfigNode* node = &root;
  for (size_t begin = 0, depth = 0; begin <= path.size(); ++depth) {
    const size_t end = std::min(path.find('.', begin), path.size());
    if (end == begin) bad_input("{}: a name is missing between two dots", source->name);
    if (depth >= kMaxConfigDepth) bad_input("{}: deeper than {} levels", source->name, kMaxConfigDepth);
    const std::string at = begin == 0 ? "the top level" : printable(path.substr(0, begin - 1), 60);
    node = &descend(*node, std::string_view(path).substr(begin, end - begin), at, source);
    begin = end + 1;
  }
  *node = std::move(value);
}

}  // namespace ft
