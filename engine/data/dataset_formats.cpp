#include "engine/data/dataset_formats.h"

#include <algorithm>

#include "engine/core/check.h"
#include "engine/core/rng.h"
#include "engine/data/dataset_text.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

constexpr size_t kLinesNamed = 5;
constexpr int64_t kMaxRowTokens = int64_t{1} << 24;
constexpr size_t kMaxMessages = 4096, kMaxMembers = 256;

/// "FILE:LINE: …" errors of one record, whose fields the file may call otherwise.
class Record {
 public:
  Record(const Json& json, const DataSet& set, std::string where)
      : json_(json), set_(set), where_(std::move(where)) {
    if (!json.is_object()) bad_input("{}: expected a JSON object, got {}", where_, json.type_name());
  }
  const Json* find(std::string_view key) const {
    for (const auto& [ours, theirs] : set_.columns)
      if (ours == key) key = theirs;
    const auto it = json_.find(key);
    return it == json_.end() || it->is_null() ? nullptr : &*it;
  }
  std::string text(const char* key, bool required) const {
    const Json* value = find(key);
    if (!value && required)
      bad_input("{}: the row has no \"{}\"; see data.format (ftengine list) and columns", where_, key);
    if (!value) return {};
    if (!value->is_string())
      bad_input("{}: \"{}\" is a {}; expected a text", where_, key, value->type_name());
    return value->get<std::string>();
  }
  std::vector<int32_t> ids(const char* key, int64_t low, int64_t high) const {
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
  bool has(const char* key) const { return find(key) != nullptr; }
  const std::string& where() const { return where_; }

 private:
  const Json& json_;
  const DataSet& set_;
  std::string where_;
};

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

/// messages[].role/content, or ShareGPT's conversations[].from/value. `text` is the record as it is written:
/// members of a message keep their order, which templates may show.
Conversation conversation(const Record& in, std::string_view text) {
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
    for (const auto& [key, value] : ordered.at("messages").at(i - first).items())
      if (key != role_key && key != content_key) more[key] = value;
    c[i].more = std::move(more);
  }
  return c;
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
  row.text = std::move(r.text);
  return row;
}

/// A whole conversation's rows; what follows its last answer teaches nothing and is left out.
std::vector<Rendered> render_chat(const Template& t, Conversation c, const DatasetOptions& o) {
  while (!c.empty() && c.back().role != "assistant") c.pop_back();
  if (c.size() < 2) bad_input("no assistant's message behind another one, so nothing of the row is learnt");
  std::vector<Rendered> rows = t.render(c);
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
  const Conversation talk = set.format == DataFormat::chat ? conversation(in, text) : Conversation();
  try {
    if (set.format == DataFormat::chat)
      all = render_chat(t, talk, o);
    else
      all.push_back(t.render(sample));
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
      const Record in(json, set, file->where());
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
