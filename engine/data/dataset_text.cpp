#include "engine/data/dataset_text.h"

#include <algorithm>

#include "engine/core/check.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/mapped_file.h"

namespace ft {
namespace {

constexpr size_t kPartBytes = 1 << 20;
constexpr int64_t kUsualBlock = 1024;

/// Takes ids as they come and gives blocks.
class Blocks {
 public:
  explicit Blocks(const DatasetOptions& o) : size_(static_cast<size_t>(block_size(o))) {}
  void add(std::span<const int32_t> ids) {
    held_.erase(held_.begin(), held_.begin() + static_cast<ptrdiff_t>(given_));
    given_ = 0;
    held_.insert(held_.end(), ids.begin(), ids.end());
  }
  /// The next block; empty while there is none (`last`: none is left).
  std::vector<int32_t> next(bool last) {
    const size_t left = held_.size() - given_, n = std::min(size_, left);
    if (left < (last ? 2 : size_)) return {};
    const auto first = held_.begin() + static_cast<ptrdiff_t>(given_);
    given_ += n - 1;
    return {first, first + static_cast<ptrdiff_t>(n)};
  }

 private:
  size_t size_;
  std::vector<int32_t> held_;
  size_t given_ = 0;  // of held_
};

NewRow whole_row(std::vector<int32_t> ids) {
  NewRow row;
  row.labels = ids;
  row.ids = std::move(ids);
  return row;
}

void begin(Blocks& blocks, const DatasetOptions& o) {
  blocks.add(o.tokenizer->prefix_ids());
}
void end(Blocks& blocks, const DatasetOptions& o) {
  if (const auto eos = o.tokenizer->eos_id()) blocks.add({&*eos, 1});
}

/// Where the part that begins with `rest` ends.
size_t part_end(std::string_view rest) {
  if (rest.size() <= kPartBytes) return rest.size();
  for (size_t at = kPartBytes; at < rest.size() && at < 2 * kPartBytes; ++at)
    if (rest[at - 1] == '\n' && !is_unicode_space(static_cast<unsigned char>(rest[at]))) return at;
  size_t at = kPartBytes;  // one very long line: between two characters
  while (at < rest.size() && (static_cast<unsigned char>(rest[at]) & 0xC0) == 0x80) ++at;
  return at;
}

}  // namespace

int64_t block_size(const DatasetOptions& o) {
  if (o.block_size > 0) return o.block_size;
  return o.max_length > 1 ? std::min(o.max_length, kUsualBlock) : kUsualBlock;
}

std::vector<NewRow> document_rows(std::string_view text, const DatasetOptions& o) {
  Blocks blocks(o);
  begin(blocks, o);
  blocks.add(o.tokenizer->encode(text));
  end(blocks, o);
  std::vector<NewRow> rows;
  for (auto block = blocks.next(true); !block.empty(); block = blocks.next(true))
    rows.push_back(whole_row(std::move(block)));
  return rows;
}

void read_plain_text(const DataSet& set, const DatasetOptions& o, const OnRow& on_row) {
  const MappedFile file(set.path);
  const std::string_view text = file.text();
  Blocks blocks(o);
  begin(blocks, o);
  int64_t line = 1;
  for (size_t at = 0; at < text.size();) {
    const std::string_view part = text.substr(at, part_end(text.substr(at)));
    if (!is_valid_utf8(part))
      bad_input("{}:{}: not UTF-8; save the file as UTF-8 text", set.path.string(),
                line + std::count(part.begin(),
                                  part.begin() + static_cast<ptrdiff_t>(valid_utf8_prefix(part)), '\n'));
    blocks.add(o.tokenizer->encode(part));
    file.release(at, part.size());
    at += part.size();
    const bool last = at == text.size();
    if (last) end(blocks, o);
    for (auto block = blocks.next(last); !block.empty(); block = blocks.next(last)) {
      NewRow row = whole_row(std::move(block));
      row.line = line;
      row.where = fmt::format("{}:{}", set.path.string(), line);
      if (!on_row(std::move(row))) return;
    }
    line += std::count(part.begin(), part.end(), '\n');
  }
}

}  // namespace ft
