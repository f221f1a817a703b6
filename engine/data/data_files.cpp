#include "engine/data/data_files.h"

#include <algorithm>

#include "engine/core/check.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr size_t kReleaseStep = 16 << 20;
constexpr size_t kMaxColumns = 4096;

std::string extension_of(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

/// A walk through a mapped file that counts lines and hands back the pages behind it.
class Walk {
 public:
  explicit Walk(const std::filesystem::path& path) : file_(path), text_(file_.text()) {
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  }
  bool done() const { return at_ >= text_.size(); }
  char now() const { return text_[at_]; }
  size_t at() const { return at_; }
  int64_t line() const { return line_; }
  std::string_view from(size_t begin) const { return text_.substr(begin, at_ - begin); }
  void advance() {
    line_ += text_[at_] == '\n';
    ++at_;
  }
  void skip(std::string_view characters) {
    while (!done() && characters.find(now()) != characters.npos) advance();
  }
  void skip_all() {
    while (!done()) advance();
  }
  void release() {
    if (at_ - released_ < kReleaseStep) return;
    file_.release(released_, at_ - released_);
    released_ = at_;
  }

 private:
  MappedFile file_;
  std::string_view text_;
  size_t at_ = 0, released_ = 0;
  int64_t line_ = 1;
};

class JsonlRecords : public RecordReader {
 public:
  explicit JsonlRecords(const std::filesystem::path& path) : RecordReader(path), reader_(path) {}
  bool next(Json& record) override { return reader_.next(record); }
  int64_t line() const override { return reader_.line(); }
  std::string_view text() const override { return reader_.text(); }

 private:
  JsonlReader reader_;
};

class JsonArrayRecords : public RecordReader {
 public:
  explicit JsonArrayRecords(const std::filesystem::path& path) : RecordReader(path), walk_(path) {}

  bool next(Json& record) override {
    constexpr std::string_view kBlank = " \t\r\n";
    walk_.release();
    walk_.skip(kBlank);
    line_ = walk_.line();
    if (!walk_.done() && walk_.now() == (first_ ? '[' : ',')) {
      walk_.advance();
      walk_.skip(kBlank);
      line_ = walk_.line();
      if (first_ && !walk_.done() && walk_.now() == ']') return end();
    } else if (!walk_.done() && walk_.now() == ']') {
      return end();
    } else if (ended_ && walk_.done()) {
      return false;
    } else {
      const bool cut = walk_.done();
      walk_.skip_all();
      ended_ = true;
      bad_input("{}: the array of rows is broken: expected ',' or ']'{}", where(),
                cut ? ", the file ends" : "");
    }
    first_ = false;
    const size_t begin = walk_.at();
    pass_value();
    text_ = walk_.from(begin);
    if (text_.size() > kMaxTextBytes)
      bad_input("{}: the row is longer than {} bytes", where(), kMaxTextBytes);
    record = parse_json(text_, path_.string(), line_);
    return true;
  }
  int64_t line() const override { return line_; }
  std::string_view text() const override { return text_; }

 private:
  bool end() {
    if (ended_) bad_input("{}: something stands behind the array of rows", where());
    walk_.advance();
    ended_ = true;
    first_ = false;
    walk_.skip(" \t\r\n");
    line_ = walk_.line();
    if (!walk_.done()) {
      walk_.skip_all();
      bad_input("{}: something stands behind the array of rows", where());
    }
    return false;
  }
  /// To the end of a value; whether it is one, the parser says.
  void pass_value() {
    int depth = 0;
    for (bool inside = false; !walk_.done(); walk_.advance()) {
      const char c = walk_.now();
      if (inside) {
        if (c == '\\') walk_.advance();
        if (c == '"') inside = false;
        if (walk_.done()) return;
        continue;
      }
      if (c == '"') inside = true;
      if (c == '{' || c == '[') ++depth;
      if (depth == 0 && (c == ',' || c == ']')) return;
      if ((c == '}' || c == ']') && --depth == 0) return walk_.advance();
    }
  }

  Walk walk_;
  std::string_view text_;
  int64_t line_ = 1;
  bool first_ = true, ended_ = false;
};

class TableRecords : public RecordReader {
 public:
  TableRecords(const std::filesystem::path& path, char separator)
      : RecordReader(path), walk_(path), separator_(separator) {
    if (!read_fields()) bad_input("{}: the file is empty; its first line names the columns", path_.string());
    names_ = fields_;
    for (size_t i = 0; i < names_.size(); ++i) {
      if (names_[i].empty()) bad_input("{}: column {} has no name", where(), i + 1);
      if (std::find(names_.begin(), names_.begin() + static_cast<ptrdiff_t>(i), names_[i]) !=
          names_.begin() + static_cast<ptrdiff_t>(i))
        bad_input("{}: two columns are called \"{}\"", where(), printable(names_[i], 60));
    }
  }

  bool next(Json& record) override {
    walk_.release();
    if (!read_fields()) return false;
    if (fields_.size() != names_.size())
      bad_input("{}: {} fields, but the first line names {} columns ({})", where(), fields_.size(),
                names_.size(),
                separator_ == ',' ? "a field that holds a comma stands in quotes" : "tabs separate them");
    record = Json::object();
    for (size_t i = 0; i < names_.size(); ++i) record[names_[i]] = fields_[i];
    return true;
  }
  int64_t line() const override { return line_; }

 private:
  /// The fields of the next line that is not empty.
  bool read_fields() {
    walk_.skip("\r\n");
    line_ = walk_.line();
    if (walk_.done()) return false;
    fields_.clear();
    size_t bytes = 0;
    bool more = true;
    while (more) {
      std::string field;
      more = read_field(field);
      bytes += field.size();
      if (bytes > kMaxTextBytes || fields_.size() >= kMaxColumns)
        bad_input("{}: the row is longer than {} bytes or {} fields", where(), kMaxTextBytes, kMaxColumns);
      fields_.push_back(std::move(field));
    }
    for (const std::string& field : fields_)
      if (!is_valid_utf8(field)) bad_input("{}: not UTF-8; save the file as UTF-8 text", where());
    return true;
  }

  /// True if another field follows on the line.
  bool read_field(std::string& field) {
    if (separator_ == ',' && !walk_.done() && walk_.now() == '"') {
      walk_.advance();
      while (true) {
        if (walk_.done()) bad_input("{}: a quote that is opened in this row is never closed", where());
        const char c = walk_.now();
        walk_.advance();
        if (c != '"') {
          field += c;
        } else if (!walk_.done() && walk_.now() == '"') {
          field += c;
          walk_.advance();
        } else {
          break;
        }
      }
    }
    while (!walk_.done()) {
      const char c = walk_.now();
      walk_.advance();
      if (c == separator_) return true;
      if (c == '\n') break;
      field += c;
    }
    if (field.ends_with('\r')) field.pop_back();
    return false;
  }

  Walk walk_;
  char separator_;
  std::vector<std::string> names_, fields_;
  int64_t line_ = 1;
};

bool begins_an_array(const std::filesystem::path& path) {
  Walk walk(path);
  walk.skip(" \t\r\n");
  return !walk.done() && walk.now() == '[';
}

}  // namespace

std::string RecordReader::where() const {
  return fmt::format("{}:{}", path_.string(), line());
}

std::unique_ptr<RecordReader> open_records(const std::filesystem::path& path) {
  const std::string extension = extension_of(path);
  if (extension == ".csv") return std::make_unique<TableRecords>(path, ',');
  if (extension == ".tsv") return std::make_unique<TableRecords>(path, '\t');
  if (begins_an_array(path)) return std::make_unique<JsonArrayRecords>(path);
  return std::make_unique<JsonlRecords>(path);
}

bool is_plain_text(const std::filesystem::path& path) {
  const std::string extension = extension_of(path);
  return extension != ".jsonl" && extension != ".json" && extension != ".csv" && extension != ".tsv";
}

}  // namespace ft
