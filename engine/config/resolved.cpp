// The tables of describe.h written out: resolved.yaml, and the list of defaults.
#include <algorithm>

#include "engine/config/describe.h"
#include "engine/config/experiment.h"
#include "engine/config/yaml.h"

namespace ft {
namespace {

template <class Section>
void write_table(const Section& section, ConfigNode& node) {
  describe(section, [&](std::string_view key, const auto& field, const NumberRange&, std::string_view) {
    node.set(key, write(field));
  });
}

template <class Section>
ConfigNode table(const Section& section) {
  ConfigNode node = ConfigNode::map();
  write_table(section, node);
  return node;
}

ConfigNode train_sets(const std::vector<DataSet>& sets) {
  if (sets.size() == 1) return table(sets[0]);
  ConfigNode node = ConfigNode::list();
  for (const DataSet& set : sets) node.append(table(set));
  return node;
}

ConfigNode eval_sets(const std::vector<NamedDataSet>& sets) {
  if (sets.empty()) return {};
  if (sets.size() == 1 && sets[0].name.empty()) return table(sets[0].set);
  ConfigNode node = ConfigNode::map();
  for (const NamedDataSet& entry : sets) node.set(entry.name, table(entry.set));
  return node;
}

void append_row(std::string& out, std::string_view key, std::string_view value, std::string_view meaning) {
  const std::string line = fmt::format("  {:<28} {:<11} {}", key, value, meaning);
  out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
}

/// One line a key: name, default, meaning. An empty default is one that the user must give, or that is unset.
template <class Section>
void append_defaults(std::string& out, std::string_view title, const Section& section) {
  if (!title.empty()) out += fmt::format("{}:\n", title);
  describe(section,
           [&](std::string_view key, const auto& field, const NumberRange&, std::string_view meaning) {
             std::string value = to_yaml(write(field));
             value.pop_back();  // its newline
             if (value == "null" || value == "[]") value = "-";
             if (value == "\"\"") value = "(required)";
             append_row(out, key, value, meaning);
           });
}

}  // namespace

ConfigNode to_resolved(const Experiment& experiment) {
  ConfigNode root = ConfigNode::map();
  root.set("model", table(experiment.model));
  const std::vector<ConfigNode>& adapters = experiment.adapters;
  root.set("adapter", adapters.size() == 1 ? adapters[0] : ConfigNode::list(adapters));
  root.set("trainable", write(experiment.trainable));
  ConfigNode& data = root.set("data", ConfigNode::map());
  data.set("train", train_sets(experiment.data.train));
  data.set("eval", eval_sets(experiment.data.eval));
  write_table(experiment.data, data);
  root.set("training", table(experiment.training));
  root.set("generation", table(experiment.generation));
  root.set("device", experiment.device);
  return root;
}

std::string defaults_text() {
  std::string out;
  append_defaults(out, "model", ModelSection{});
  out += "data:\n";
  append_row(out, "train", "(required)", "{path: FILE, format: NAME}, or a list of them with weight: N");
  append_row(out, "eval", "-", "the same, or names of such sets");
  append_defaults(out, "", DataSection{});
  append_defaults(out, "training", TrainingSection{});
  append_defaults(out, "generation", GenerationSection{});
  out += fmt::format("{:<30} {:<11} {}\n", "device", Experiment{}.device,
                     "auto | cpu | cuda | cuda:N | cuda-sim");
  return out;
}

}  // namespace ft
