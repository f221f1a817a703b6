#include "tools/ftengine/certificate_subject.h"

#include <algorithm>

#include "adapters/registry.h"
#include "engine/core/rng.h"
#include "engine/data/open_tokenizer.h"

namespace ft {
namespace {

constexpr size_t kRows = 2, kTokens = 24, kBefore = 16;  // of a row, and of it before its first target

DataRow shortened(const DataRow& row) {
  const auto first = static_cast<size_t>(
      std::find_if(row.labels.begin() + 1, row.labels.end(), [](int32_t l) { return l != kNoTarget; }) -
      row.labels.begin());
  const size_t begin = first > kBefore ? first - kBefore : 0, end = std::min(row.ids.size(), begin + kTokens);
  const auto part = [&](const std::vector<int32_t>& v) {
    return std::vector<int32_t>(v.begin() + static_cast<ptrdiff_t>(begin),
                                v.begin() + static_cast<ptrdiff_t>(end));
  };
  return {part(row.ids), part(row.labels), row.line};
}

}  // namespace

std::vector<DataRow> certificate_rows(const Experiment& e, const ModelFacts& facts) {
  DatasetOptions o{.tokenizer = nullptr,
                   .prompt_template = nullptr,
                   .train_on = e.data.train_on,
                   .max_length = e.data.max_length.value_or(facts.position_limit),
                   .truncation = e.data.truncation,
                   .on_bad_row = e.data.on_bad_row,
                   .vocab = facts.vocab};
  if (e.data.train.front().format != DataFormat::tokenized) {
    o.tokenizer = open_tokenizer(e.model.path);
    o.prompt_template = open_template(e.data.prompt_template, o.tokenizer);
  }
  const Dataset data = load_dataset(e.data.train.front(), o);
  std::vector<DataRow> rows;
  for (const DataRow& row : data.rows)
    if (rows.size() < kRows && row.targets() > 0) rows.push_back(shortened(row));
  return rows;
}

CertificateSubject::CertificateSubject(const Experiment& experiment, Session& session, DType compute)
    : experiment_(experiment), session_(session), compute_(compute) {
  loaded_ = load_model(experiment.model.path,
                       {.storage = experiment.model.dtype,
                        .device = session.device(),
                        .compute = wide_of(compute),
                        .dropout = experiment.model.dropout},
                       session.host());
  for (const ConfigNode& node : experiment.adapters) {
    const AttachOptions attach{
        .compute = wide_of(compute),
        .device = session.device(),
        .seed = static_cast<uint64_t>(experiment.training.seed),
        .index = static_cast<int>(adapters_.size()),
        .where = node.where(),
        .tokenize =
            [this](const std::string& text) {
              return open_tokenizer(experiment_.model.path)->encode(text, {.add_special = true});
            },
        .stream = &session.stream()};
    std::unique_ptr<Adapter> adapter;
    if (const ConfigNode* from = node.find("init_from"); from && from->is_string()) {
      adapter = load_adapter(from->string(), model(), loaded_.fingerprint, attach);
    } else {
      adapter = find_adapter_kind(node).make(node, "adapter", false);
      adapter->attach(model(), attach);
    }
    adapters_.add(std::move(adapter));
  }
  leave_start(adapters_.trainables());
}

GradientSubject CertificateSubject::on(const std::vector<DataRow>& rows) {
  GradientSubject s{.model = model(),
                    .adapters = adapters_.all(),
                    .trainables = adapters_.trainables(),
                    .rows = {},
                    .stream = session_.stream(),
                    .compute = compute_,
                    .recompute = experiment_.training.gradient_checkpointing,
                    .dropout_key = dropout_key(static_cast<uint64_t>(experiment_.training.seed), 0)};
  for (const DataRow& row : rows) s.rows.push_back(&row);
  return s;
}

void CertificateSubject::merge() {
  for (Slot* slot : model().slots()) {
    const std::vector<float> before = to_plain(*slot->parameter);
    std::vector<float> after = before;
    adapters_.merge(*slot, after);
    if (after == before) continue;
    // Vectors are read as what activations are, matrices as whatever they are stored.
    const Parameter& own = *slot->parameter;
    const DType type = own.layout == Parameter::Layout::packed ? DType::f32 : own.value.dtype();
    Parameter merged =
        Parameter::make(slot->name, own.shape, own.layout, type, MemoryClass::weights, session_.device());
    from_plain(merged, after);
    slot->parameter = &model().own(std::move(merged));
  }
  for (Linear* linear : model().linears()) linear->adapters.clear();
}

}  // namespace ft
