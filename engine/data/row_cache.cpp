#include "engine/data/row_cache.h"

#include <cstring>

#include "engine/core/rng.h"
#include "engine/io/json.h"
#include "engine/io/mapped_file.h"

namespace ft {
namespace {

constexpr uint64_t kMagic = 0x3130'5357'4f52'5446;  // "FTROWS01"

struct Footer {
  uint64_t index_at, rows, report_at, report_bytes, key_high, key_low, checksum, magic;
};

/// Two chains of 64 bits over whatever is added.
class Hasher {
 public:
  void add(uint64_t word) {
    key_.high = mix_key(key_.high, word);
    key_.low = mix_key(key_.low ^ 0x9E3779B97F4A7C15ull, word);
  }
  void add(std::string_view bytes) {
    add(bytes.size());
    size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) {
      uint64_t word;
      std::memcpy(&word, bytes.data() + at, 8);
      add(word);
    }
    uint64_t word = 0;
    if (at < bytes.size()) std::memcpy(&word, bytes.data() + at, bytes.size() - at);
    add(word);
  }
  void add(std::span<const int32_t> ids) {
    add(std::string_view(reinterpret_cast<const char*>(ids.data()), ids.size_bytes()));
  }
  CacheKey key() const { return key_; }

 private:
  CacheKey key_{0x66742d63, 0x61636865};
};

void add_tokenizer(Hasher& h, const Tokenizer& t) {
  for (int32_t id = 0; id < t.vocab_size(); ++id) {
    h.add(t.id_to_token(id));
    h.add(uint64_t{t.is_special(id)});
  }
  h.add(t.prefix_ids());
  h.add(uint64_t(t.eos_id().value_or(-1)));
  h.add(
      t.encode("The lamps weren't  1234567 there,\n\n naïve café… 我们会在三天内处理您的退货申请。 def "
               "add(a, b):\n\treturn "
               "antidisestablishmentarianism Привет"));
}

void add_template(Hasher& h, const Template& t) {
  const Sample full{.system = "s\n", .instruction = " Do it", .input = "x", .output = "y "};
  h.add(t.name());
  h.add(t.golden_prompt_ids());
  try {
    const Rendered r = t.render(full);
    h.add(r.ids);
    h.add(std::string_view(reinterpret_cast<const char*>(r.target.data()), r.target.size()));
  } catch (const InputError&) {  // one that takes no system message
  }
  if (t.name().find("tokenizer") != std::string::npos) h.add(t.tokenizer().chat_template());
}

nlohmann::ordered_json report_json(const DataReport& r) {
  return {{"rows", r.rows},
          {"tokens", r.tokens},
          {"targets", r.targets},
          {"longest", r.longest},
          {"cut", r.cut},
          {"dropped", r.dropped},
          {"skipped", r.skipped},
          {"split", r.split},
          {"without_target", r.without_target},
          {"without_target_lines", r.without_target_lines},
          {"first_skipped", r.first_skipped}};
}

/// Throws where `j` is no such report.
DataReport read_report(const Json& j) {
  const auto number = [&](const char* key) { return whole_number(j.at(key)).value(); };
  std::vector<int64_t> lines;
  for (const Json& line : j.at("without_target_lines")) lines.push_back(whole_number(line).value());
  return {.rows = number("rows"),
          .tokens = number("tokens"),
          .targets = number("targets"),
          .longest = number("longest"),
          .cut = number("cut"),
          .dropped = number("dropped"),
          .skipped = number("skipped"),
          .split = number("split"),
          .without_target = number("without_target"),
          .without_target_lines = std::move(lines),
          .first_skipped = j.at("first_skipped").get<std::string>()};
}

/// Goes on with the sum over all rows.
uint64_t add_row(uint64_t sum, const DataRow& row) {
  sum = mix_key(sum, static_cast<uint64_t>(row.line));
  for (size_t i = 0; i < row.ids.size(); ++i)
    sum = mix_key(sum, (static_cast<uint64_t>(static_cast<uint32_t>(row.ids[i])) << 32) |
                           static_cast<uint32_t>(row.labels[i]));
  return sum;
}

bool ids_fit(std::span<const int32_t> ids, int64_t vocab, bool labels) {
  for (const int32_t id : ids)
    if ((id < 0 || id >= vocab) && !(labels && id == kNoTarget)) return false;
  return true;
}

}  // namespace

CacheKey cache_key(const DataSet& set, const DatasetOptions& o) {
  Hasher h;
  const MappedFile file(set.path);
  constexpr size_t kStep = 16 << 20;
  for (size_t at = 0; at < file.text().size(); at += kStep) {
    const std::string_view part = file.text().substr(at, kStep);
    h.add(part);
    file.release(at, part.size());
  }
  h.add(name_of(set.format));
  for (const auto& [ours, theirs] : set.columns) {
    h.add(ours);
    h.add(theirs);
  }
  h.add(name_of(o.train_on));
  h.add(name_of(o.truncation));
  h.add(name_of(o.on_bad_row));
  for (const int64_t n : {o.max_length, o.block_size, o.vocab}) h.add(static_cast<uint64_t>(n));
  if (o.tokenizer) add_tokenizer(h, *o.tokenizer);
  if (o.prompt_template) {
    add_template(h, *o.prompt_template);
    if (o.prompt_template->is_mixture()) {
      h.add(o.seed);
      h.add(set.path.filename().string());
      for (const auto& member : o.prompt_template->members()) add_template(h, *member);
    }
  }
  return h.key();
}

std::filesystem::path cache_path(const DataSet& set, const DatasetOptions& o, const CacheKey& key) {
  return o.cache_dir / fmt::format("{}-{:016x}{:016x}.rows", set.path.stem().string(), key.high, key.low);
}

namespace {
const std::filesystem::path& made_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error) throw WriteError(path.parent_path(), error.value());
  remove_stray_neighbours(path.parent_path());
  return path;
}
}  // namespace

RowCacheWriter::RowCacheWriter(const std::filesystem::path& path, const CacheKey& key)
    : file_(made_folder(path)), key_(key) {}

void RowCacheWriter::add(std::span<const int32_t> ids, std::span<const int32_t> labels, int64_t line) {
  file_.write(ids.data(), ids.size_bytes());
  file_.write(labels.data(), labels.size_bytes());
  bytes_ += ids.size_bytes() + labels.size_bytes();
  sum_ = add_row(sum_, {IdList::view(ids), IdList::view(labels), line});
  index_.push_back(line);
  index_.push_back(static_cast<int64_t>(ids.size()));
}

void RowCacheWriter::commit(const DataReport& report) {
  const std::string text = report_json(report).dump();
  const uint64_t index_bytes = index_.size() * sizeof(int64_t);
  const Footer footer = {
      bytes_, index_.size() / 2, bytes_ + index_bytes, text.size(), key_.high, key_.low, sum_, kMagic};
  file_.write(index_.data(), index_bytes);
  file_.write(text.data(), text.size());
  file_.write(&footer, sizeof footer);
  file_.commit();
}

std::optional<Dataset> read_row_cache(const std::filesystem::path& path, const CacheKey& key, int64_t vocab) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none)) return std::nullopt;
  auto file = std::make_shared<const MappedFile>(path);
  const std::string_view bytes = file->text();
  Footer f;
  if (bytes.size() < sizeof f) return std::nullopt;
  std::memcpy(&f, bytes.data() + bytes.size() - sizeof f, sizeof f);
  const uint64_t body = bytes.size() - sizeof f;
  const bool whole = f.magic == kMagic && f.key_high == key.high && f.key_low == key.low &&
                     f.index_at <= body && f.index_at % sizeof(int64_t) == 0 &&
                     f.rows <= (body - f.index_at) / 16 && f.report_at == f.index_at + f.rows * 16 &&
                     f.report_bytes == body - f.report_at;
  if (!whole) return std::nullopt;
  Dataset data;
  data.storage = {file};
  data.rows.reserve(f.rows);
  try {
    data.report = read_report(parse_json(bytes.substr(f.report_at, f.report_bytes), path.string()));
  } catch (const std::exception&) {
    return std::nullopt;
  }
  const auto* ids = reinterpret_cast<const int32_t*>(bytes.data());
  size_t left = f.index_at / sizeof(int32_t), released = 0;
  uint64_t sum = 0;
  for (uint64_t i = 0; i < f.rows; ++i) {
    int64_t entry[2];
    std::memcpy(entry, bytes.data() + f.index_at + i * sizeof entry, sizeof entry);
    const auto n = static_cast<size_t>(entry[1]);
    if (entry[1] < 1 || n > left / 2) return std::nullopt;
    data.rows.push_back({IdList::view({ids, n}), IdList::view({ids + n, n}), entry[0]});
    if (!ids_fit(data.rows.back().ids, vocab, false) || !ids_fit(data.rows.back().labels, vocab, true))
      return std::nullopt;
    sum = add_row(sum, data.rows.back());
    ids += 2 * n;
    left -= 2 * n;
    const size_t at = f.index_at - left * sizeof(int32_t);
    if (at - released > (size_t{16} << 20)) {
      file->release(released, at - released);
      released = at;
    }
  }
  if (left > 1 || data.rows.empty() || sum != f.checksum) return std::nullopt;
  return data;
}

}  // namespace ft
