#include "engine/data/dataset_formats.h"

#include <algorithm>

#include "engine/core/check.h"
#include "engine/core/rng.h"
#include "engine/data/dataset_record.h"
#include "engine/data/dataset_text.h"
#include "engine/data/template_speakers.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

constexpr size_t kLinesNamed = 5;

NewRow tokenized(const Record& in, int64_t vocab) {
  NewRow row;
  row.ids = in.ids("input_ids", 0, vocab);
  for (const int32_t id : row.ids)
    if (id == kNoTarget) bad_input("{}: \"input_ids\" holds {}; only labels may", in.where(), kNoTarget);
  row.labels = in.has("labels") ? in.ids("labels", 0, vocab) : row.ids;
  if (row.labels.size() != row.ids.size())
    bad_input("{}: {} labels for {} input_ids; a causal model needs one each", in.where(), row.labels.size(),
              row.ids.size());
  return row;
}

NewRow labelled(Rendered&& r, TrainOn train_on) {
  NewRow row;
  row.ids = std::move(r.ids);
  row.labels.resize(row.ids.size(), kNoTarget);
  for (size_t i = 0; i < row.ids.size(); ++i) {
    const bool last = i >= static_cast<size_t>(r.last_answer);
    if (train_on == TrainOn::all || (r.target[i] && (last || train_on == TrainOn::completion)))
      row.labels[i] = row.ids[i];
  }
  row.role = std::move(r.role);
  row.speaker = std::move(r.speaker);
  row.text = std::move(r.text);
  return row;
}

/// A whole conversation's rows; what follows its last answer teaches nothing and is left out.
std::vector<Rendered> render_chat(const Template& t, Conversation c, const DatasetOptions& o) {
  while (!c.empty() && c.back().role != "assistant") c.pop_back();
  if (c.size() < 2) bad_input("no assistant's message behind another one, so nothing of the row is learnt");
  std::vector<Rendered> rows = t.render(c);
  if (o.speakers) tell_speakers(t, c, rows);
  // Only the last row has the whole conversation, and the last answer.
  if (o.train_on != TrainOn::completion && rows.size() > 1) rows.erase(rows.begin(), rows.end() - 1);
  return rows;
}

std::vector<NewRow> rendered(const Record& in, std::string_view text, const DataSet& set,
                             const DatasetOptions& o, uint64_t ordinal) {
  const Template& t =
      o.prompt_template->drawn(mix_key(mix_key(o.seed, hash_name(set.path.filename().string())), ordinal));
  std::vector<Rendered> all;
  const Sample sample = set.format == DataFormat::alpaca ? Sample{.system = in.text("system", false),
                                                                  .instruction = in.text("instruction", true),
                                                                  .input = in.text("input", false),
                                                                  .output = in.text("output", true)}
                        : set.format == DataFormat::prompt_completion
                            ? Sample{.system = in.text("system", false),
                                     .instruction = in.text("prompt", true),
                                     .input = {},
                                     .output = in.text("completion", true)}
                            : Sample{};
  const Conversation talk = set.format == DataFormat::chat ? read_conversation(in, text) : Conversation();
  try {
    if (set.format == DataFormat::chat) {
      all = render_chat(t, talk, o);
    } else {
      all.push_back(t.render(sample));
      if (o.speakers) tell_speakers(t, sample, all.back());
    }
  } catch (const InputError& e) {
    bad_input("{}: {}", in.where(), e.what());
  }
  std::vector<NewRow> rows;
  for (Rendered& r : all) {
    rows.push_back(labelled(std::move(r), o.train_on));
    rows.back().template_name = t.name();
    const auto& labels = rows.back().labels;
    if (std::all_of(labels.begin(), labels.end(), [](int32_t l) { return l == kNoTarget; }))
      bad_input("{}: no token of the row is learnt; the template gives it no answer", in.where());
  }
  return rows;
}

/// False: the row is left out.
bool cut_to_length(NewRow& row, const DatasetOptions& o, DataReport& report) {
  const auto length = static_cast<int64_t>(row.ids.size());
  if (o.max_length <= 0 || length <= o.max_length) return true;
  const auto keep = static_cast<size_t>(o.max_length);
  const auto cut = [&](auto& list, bool start) {
    if (list.size() <= keep) return;
    if (start)
      list.resize(keep);
    else
      list.erase(list.begin(), list.end() - o.max_length);
  };
  switch (o.truncation) {
    case Truncation::error:
      bad_input(
          "{}: the sample has {} tokens, data.max_length is {}; raise it or choose data.truncation: "
          "keep_start, keep_end or drop",
          row.where, length, o.max_length);
    case Truncation::drop:
      ++report.dropped;
      return false;
    case Truncation::keep_start:
    case Truncation::keep_end:
      const bool start = o.truncation == Truncation::keep_start;
      cut(row.ids, start);
      cut(row.labels, start);
      cut(row.role, start);
      cut(row.speaker, start);
      row.text.clear();
  }
  ++report.cut;
  return true;
}

bool has_target(const NewRow& row) {
  return DataRow{IdList::view(row.ids), IdList::view(row.labels)}.targets() > 0;
}

/// Cuts, leaves out what cannot teach, hands on. False ends the reading.
bool hand_on(NewRow&& row, const DatasetOptions& o, DataReport& report, const OnRow& on_row) {
  if (!cut_to_length(row, o, report)) return true;
  if (!has_target(row)) {
    ++report.without_target;
    if (report.without_target_lines.size() < kLinesNamed) report.without_target_lines.push_back(row.line);
    return true;
  }
  return on_row(std::move(row));
}

}  // namespace

void read_rows(const DataSet& set, const DatasetOptions& o, DataReport& report, const OnRow& on_row) {
  if (set.format == DataFormat::classification)
    bad_input(
        "{}: format classification is for models that classify (task_type SEQ_CLS), which this program "
        "cannot "
        "train yet; for a CAUSAL_LM give the label as text: format prompt_completion with columns: {{prompt: "
        "text, completion: label}}",
        set.path.string());
  if (set.format == DataFormat::text && is_plain_text(set.path)) return read_plain_text(set, o, on_row);
  const std::unique_ptr<RecordReader> file = open_records(set.path);
  Json json;
  for (uint64_t ordinal = 0;; ++ordinal) {
    try {
      if (!file->next(json)) return;
      const Record in(json, set.columns, file->where());
      std::vector<NewRow> rows;
      if (set.format == DataFormat::tokenized)
        rows.push_back(tokenized(in, o.vocab));
      else if (set.format == DataFormat::text)
        rows = document_rows(in.text("text", true), o);
      else
        rows = rendered(in, file->text(), set, o, ordinal);
      if (set.format == DataFormat::chat) report.split += static_cast<int64_t>(rows.size()) - 1;
      for (NewRow& row : rows) {
        row.line = file->line();
        row.where = in.where();
        const bool more = set.format == DataFormat::text ? on_row(std::move(row))
                                                         : hand_on(std::move(row), o, report, on_row);
        if (!more) return;
      }
    } catch (const InputError& e) {
      if (o.on_bad_row == OnBadRow::error) throw;
      if (report.skipped++ == 0) report.first_skipped = e.what();
    }
  }
}

}  // namespace ft
