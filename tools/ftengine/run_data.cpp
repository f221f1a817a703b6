#include "tools/ftengine/run_data.h"

#include <algorithm>

#include "engine/data/open_tokenizer.h"
#include "tools/ftengine/session.h"

namespace ft {
namespace {

constexpr uint64_t kCacheFrom = uint64_t{64} << 20;

std::vector<DataFormat> formats(const Experiment& e) {
  std::vector<DataFormat> all;
  for (const DataSet& s : e.data.train) all.push_back(s.format);
  for (const NamedDataSet& s : e.data.eval) all.push_back(s.set.format);
  return all;
}

}  // namespace

int64_t room_for_samples(const ModelFacts& facts, std::span<Adapter* const> adapters) {
  int64_t left = facts.position_limit;
  for (const Adapter* a : adapters)
    if (left > 0) left = std::max<int64_t>(1, left - a->prompt_rows() - a->prefix_rows());
  return left;
}

void open_text(const Experiment& e, RunData& data) {
  bool text = !e.generation.prompts.empty(), rendered = false;
  for (const DataFormat format : formats(e)) {
    text |= format != DataFormat::tokenized;
    rendered |= format != DataFormat::tokenized && format != DataFormat::text;
  }
  if (!text) return;
  data.tokenizer = open_tokenizer(e.model.path);
  const bool asks = !e.generation.prompts.empty();
  if (!rendered && !asks) return;
  // Raw text is gone on with as it stands.
  const bool raw = !rendered && e.data.train[0].format == DataFormat::text;
  const ConfigNode& node = e.data.prompt_template;
  data.prompt_template = open_template(node.is_null() && raw ? ConfigNode("none") : node, data.tokenizer);
}

DatasetOptions dataset_options(const Experiment& e, const RunData& data, const ModelFacts& facts,
                               int64_t room) {
  const DataSection& d = e.data;
  if (d.block_size && d.max_length && *d.block_size > *d.max_length)
    bad_input("{}: data.block_size {} is more than data.max_length {}", e.yaml.string(), *d.block_size,
              *d.max_length);
  if (d.block_size && room > 0 && *d.block_size > room)
    bad_input("{}: data.block_size {} is more than the {} positions that the model has for samples",
              e.yaml.string(), *d.block_size, room);
  const std::filesystem::path home = (e.training.output_dir / "").parent_path();  // without a last slash
  return {.tokenizer = data.tokenizer,
          .prompt_template = data.prompt_template,
          .train_on = d.train_on,
          .max_length = d.max_length.value_or(room),
          .truncation = d.truncation,
          .on_bad_row = d.on_bad_row,
          .vocab = facts.vocab,
          .block_size = d.block_size.value_or(0),
          .seed = static_cast<uint64_t>(e.training.seed),
          .cache_dir = d.cache_dir.value_or(home.parent_path() / ".ftengine-cache"),
          .cache_from_bytes = d.cache_dir ? 0 : kCacheFrom};
}

void open_data(const Experiment& e, const ModelFacts& facts, int64_t room, RunData& data) {
  const DatasetOptions o = dataset_options(e, data, facts, room);
  std::vector<Dataset> train, held_out;
  for (const DataSet& set : e.data.train) {
    train.push_back(load_dataset(set, o));
    if (e.data.eval_fraction > 0) held_out.push_back(split_off(train.back(), e.data.eval_fraction, o.seed));
    apply_weight(train.back(), set.weight, o.seed);
  }
  data.train = join(std::move(train));
  if (!held_out.empty()) data.evals.push_back({"", join(std::move(held_out))});
  for (const NamedDataSet& s : e.data.eval) data.evals.push_back({s.name, load_dataset(s.set, o)});
}

}  // namespace ft
