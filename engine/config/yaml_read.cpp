// From yaml-cpp's stream of events to a ConfigNode.
//
// Events instead of yaml-cpp's own tree, because only they show duplicate keys, the size of aliases and the
// depth before memory is spent on them. Cost: linear in the text, plus the expanded aliases, both bounded.
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <sstream>
#include <unordered_map>

#include "engine/config/yaml.h"
#include "engine/config/yaml_text.h"
#include "engine/io/printable.h"
#include "engine/io/text_file.h"

namespace ft {
namespace {

constexpr std::string_view kStandardTag = "tag:yaml.org,2002:";

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(SourcePtr source, bool with_lines) : source_(std::move(source)), with_lines_(with_lines) {}

  ConfigNode take() { return std::move(root_); }
  int last_line() const { return last_line_; }

  [[noreturn]] void fault(int line, std::string_view message) const {
    yaml_fault(*source_, with_lines_ ? line : 0, message);
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      fault(line_of(mark),
            "a second YAML document begins here, or this line is indented unlike those above; "
            "one document is expected");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) fault(line_of(mark), "a key is missing; a key must be a text");
    // What is left out has no place of its own: the mark is already on the next line.
    const int line = !stack_.empty() && stack_.back().key ? stack_.back().key->line : line_of(mark);
    finish(made({}, line), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool plain = tag.empty() || tag == "?";
    if (!plain && tag != "!" && tag != fmt::format("{}str", kStandardTag)) refuse_tag(mark, tag);
    if (expects_key()) return begin_pair(mark, value, plain);
    text_bytes_ += value.size();
    finish(made(plain ? plain_scalar(value) : ConfigNode(value), line_of(mark)), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) fault(line_of(mark), "an alias cannot be a key; a key must be a text");
    const auto found = anchored_.find(anchor);
    if (found == anchored_.end()) fault(line_of(mark), "this alias stands inside the value that it names");
    count(found->second, line_of(mark));
    finish(found->second, 0);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(ConfigNode::list(), mark, tag, "seq", anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(ConfigNode::map(), mark, tag, "map", anchor);
  }
  void OnMapEnd() override {
    merge(stack_.back());
    close();
  }

 private:
  struct Key {
    std::string name;
    int line;
    bool merge;
  };
  struct Frame {  // a list or map that is not closed yet
    ConfigNode node;
    YAML::anchor_t anchor;
    std::optional<Key> key;  // read, its value still to come
    std::optional<ConfigNode> merged;
  };

  int line_of(const YAML::Mark& mark) {
    if (mark.line >= 0) last_line_ = mark.line + 1;
    return last_line_;
  }

  bool expects_key() const { return !stack_.empty() && stack_.back().node.is_map() && !stack_.back().key; }

  ConfigNode made(ConfigNode node, int line) {
    node.set_origin(source_, with_lines_ ? line : 0);
    check_sizes(++nodes_, line);
    return node;
  }

  void check_sizes(size_t nodes, int line) {
    if (nodes > kMaxConfigNodes || text_bytes_ > 4 * kMaxYamlBytes) {
      fault(line, fmt::format("too large: more than {} values or {} MiB of text once aliases are expanded",
                              kMaxConfigNodes, 4 * kMaxYamlBytes >> 20));
    }
  }

  void count(const ConfigNode& copied, int line) {
    check_sizes(++nodes_, line);
    if (copied.is_string()) text_bytes_ += copied.string().size();
    for (size_t i = 0; i < copied.size(); ++i) {
      if (copied.is_map()) text_bytes_ += copied.key(i).size();
      count(copied[i], line);
    }
  }

  void begin_pair(const YAML::Mark& mark, const std::string& name, bool plain) {
    Frame& frame = stack_.back();
    const int line = line_of(mark);
    const bool merge = plain && name == "<<";
    text_bytes_ += name.size();
    if (frame.node.size() >= kMaxConfigKeys)
      fault(line, fmt::format("a mapping of more than {} keys", kMaxConfigKeys));
    if (merge ? frame.merged.has_value() : frame.node.find(name) != nullptr) {
      fault(line, fmt::format("key '{}' is given twice in one mapping; keep one", printable(name, 60)));
    }
    frame.key = Key{name, line, merge};
  }

  void open(ConfigNode node, const YAML::Mark& mark, const std::string& tag, std::string_view kind,
            YAML::anchor_t anchor) {
    const int line = line_of(mark);
    if (!tag.empty() && tag != "?" && tag != "!" && tag != fmt::format("{}{}", kStandardTag, kind)) {
      refuse_tag(mark, tag);
    }
    if (expects_key())
      fault(
          line,
          "a list or mapping stands where a key is expected; close its bracket, or write the key as a text");
    if (stack_.size() >= kMaxConfigDepth)
      fault(line, fmt::format("nested deeper than {} levels", kMaxConfigDepth));
    stack_.push_back({made(std::move(node), line), anchor, {}, {}});
  }

  void close() {
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    finish(std::move(frame.node), frame.anchor);
  }

  /// Hands a complete value to the list or map around it, or to the root.
  void finish(ConfigNode node, YAML::anchor_t anchor) {
    if (anchor != 0) {
      count(node, last_line_);  // the copy that aliases will be made from
      anchored_[anchor] = node;
    }
    if (stack_.empty()) {
      root_ = std::move(node);
    } else if (Frame& frame = stack_.back(); frame.node.is_list()) {
      frame.node.append(std::move(node));
    } else if (const Key key = *std::exchange(frame.key, std::nullopt); key.merge) {
      frame.merged = std::move(node);
    } else {
      frame.node.set(key.name, std::move(node));
      frame.node.set_key_origin(frame.node.size() - 1, source_, with_lines_ ? key.line : 0);
    }
  }

  /// Adds what `<<` names: one mapping or a list of them; keys of the map itself win, then earlier mappings.
  void merge(Frame& frame) {
    if (!frame.merged) return;
    const auto add = [&](const ConfigNode& from) {
      if (!from.is_map()) fault(from.line(), "'<<' takes a mapping or a list of mappings");
      for (size_t i = 0; i < from.size(); ++i) {
        if (frame.node.find(from.key(i))) continue;
        if (frame.node.size() >= kMaxConfigKeys) {
          fault(from.line(), fmt::format("a mapping of more than {} keys", kMaxConfigKeys));
        }
        frame.node.set(from.key(i), from[i]);
      }
    };
    if (!frame.merged->is_list()) return add(*frame.merged);
    for (const ConfigNode& item : frame.merged->items()) add(item);
  }

  [[noreturn]] void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    fault(line_of(mark), fmt::format("the YAML tag '{}' is not supported; remove it", printable(tag, 60)));
  }

  SourcePtr source_;
  bool with_lines_;
  int documents_ = 0;
  int last_line_ = 0;
  size_t nodes_ = 0;
  size_t text_bytes_ = 0;
  std::vector<Frame> stack_;
  std::unordered_map<YAML::anchor_t, ConfigNode> anchored_;
  ConfigNode root_;
};

/// What yaml-cpp's terse message can mean for the person who wrote the line.
std::string explain(const YAML::Exception& error, std::string_view text) {
  const auto is = [&](const char* message) { return error.msg == message; };
  using namespace YAML::ErrorMsg;
  if (is(DOC_IN_SCALAR) || is(EOF_IN_SCALAR)) {
    return "a quotation mark or bracket that is opened here or below is never closed";
  }
  if (is(END_OF_SEQ_FLOW) || is(END_OF_MAP_FLOW))
    return "a bracket that is opened here or above is never closed";
  if (is(UNKNOWN_ANCHOR) || is(ALIAS_NOT_FOUND))
    return "a value that begins with * names an anchor; put a text in quotes";
  if (is(UNKNOWN_TOKEN)) return "a value cannot begin with this character; put it in quotes";
  size_t begin = 0;
  for (int i = 0; i < error.mark.line && begin != std::string_view::npos; ++i) {
    begin = text.find('\n', begin);
    if (begin != std::string_view::npos) ++begin;
  }
  if (begin != std::string_view::npos) {
    const size_t first = text.find_first_not_of(' ', begin);
    if (first != std::string_view::npos && text[first] == '\t') {
      return "a tab in the indentation; indent with spaces";
    }
  }
  return fmt::format(
      "not valid YAML ({}); look at the indentation, colons, brackets and quotes of this line "
      "and the one above",
      printable(error.msg, 80));
}

}  // namespace

ConfigNode parse_yaml(std::string_view text, SourcePtr source, bool with_lines) {
  TreeBuilder builder(source, with_lines);
  if (text.size() > kMaxYamlBytes) {
    bad_input("{}: larger than {} bytes, the limit for YAML", source->name, kMaxYamlBytes);
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  check_yaml_characters(text, *source, with_lines);
  // Without an end marker yaml-cpp takes a quotation that never closes for a text that ends with the file.
  std::istringstream in(fmt::format("{}{}...\n", text, text.ends_with('\n') ? "" : "\n"));
  try {
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    const bool open_quote = error.msg == YAML::ErrorMsg::DOC_IN_SCALAR;
    builder.fault(open_quote ? builder.last_line() : error.mark.line + 1, explain(error, text));
  }
  ConfigNode root = builder.take();
  if (root.is_null()) root.set_origin(source, 0);  // an empty file: no line is to blame
  return root;
}

ConfigNode load_yaml(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  const std::string text = read_text_file(path, kMaxYamlBytes);
  return parse_yaml(text, std::make_shared<Source>(Source{path.string(), absolute.parent_path()}));
}

}  // namespace ft
