// Byte-level BPE (Sennrich et al. 2016; over bytes: Radford et al. 2019).
//
// A piece starts as one token a byte; then, as long as any neighbours have a merge, the pair of the lowest
// rank (the leftmost of equals) becomes one token. The result depends on nothing else, so both ways of
// finding that pair give the same ids: short pieces scan an array of ranks (n² of very little), long ones
// keep a heap (n log n, so that a megabyte without a blank is no attack). Merges are stored by left token,
// sorted by right one: a look-up is a binary search in a handful of entries, and no choice of ids can make it
// slow.
#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <queue>

#include "engine/core/check.h"
#include "engine/data/tokenizer_model.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

constexpr size_t kShortPiece = 96;
constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();

struct Merge {
  int32_t right;
  int32_t result;
  uint32_t rank;
};
constexpr Merge kNoMerge{-1, -1, kNoRank};

class BpeModel final : public TokenModel {
 public:
  BpeModel(std::unique_ptr<const Vocabulary> vocabulary,
           const std::vector<std::pair<std::string_view, std::string_view>>& merges, BpeOptions options,
           const std::string& source)
      : vocabulary_(std::move(vocabulary)), options_(std::move(options)) {
    store_bytes();
    store_merges(merges, source);
    byte_ids_.fill(-1);
    for (int byte = 0; byte < 256; ++byte) {
      std::string content;
      append_utf8(content, byte_to_char(static_cast<uint8_t>(byte)));
      byte_ids_[static_cast<size_t>(byte)] = vocabulary_->id(content).value_or(-1);
    }
    if (!options_.unk_token.empty()) {
      const auto id = vocabulary_->id(options_.unk_token);
      if (!id) {
        bad_input("{}: unk_token \"{}\" is not in the vocabulary", source, printable(options_.unk_token));
      }
      unk_id_ = *id;
    }
  }

  void encode_piece(std::string_view piece, std::vector<int32_t>& out) const override {
    if (options_.ignore_merges) {
      std::string content;
      append_byte_level(content, piece);
      if (const auto id = vocabulary_->id(content)) {
        out.push_back(*id);
        return;
      }
    }
    const size_t first = out.size();
    bool last_unknown = false;
    for (const char c : piece) {
      const int32_t id = byte_ids_[static_cast<uint8_t>(c)];
      const bool unknown = id < 0;
      if (!unknown) {
        out.push_back(id);
      } else if (unk_id_ >= 0 && !(options_.fuse_unk && last_unknown)) {
        out.push_back(unk_id_);
      }
      last_unknown = unknown;
    }
    const size_t count = out.size() - first;
    const size_t left =
        count <= kShortPiece ? merge_short(out.data() + first, count) : merge_long(out.data() + first, count);
    out.resize(first + left);
  }

  void append_bytes(int32_t id, std::string& out) const override {
    if (id < 0 || id >= vocabulary_->size()) return;
    const auto i = static_cast<size_t>(id);
    out.append(bytes_, byte_offsets_[i], byte_offsets_[i + 1] - byte_offsets_[i]);
  }

  const Vocabulary& vocabulary() const override { return *vocabulary_; }

  nlohmann::json to_json() const override {
    std::vector<std::pair<uint32_t, std::string>> by_rank;
    for (int32_t left = 0; left < vocabulary_->size(); ++left) {
      for (uint32_t i = row_begin_[static_cast<size_t>(left)]; i < row_begin_[static_cast<size_t>(left) + 1];
           ++i) {
        std::string line(vocabulary_->content(left));
        line.append(" ").append(vocabulary_->content(merges_[i].right));
        by_rank.emplace_back(merges_[i].rank, std::move(line));
      }
    }
    std::sort(by_rank.begin(), by_rank.end());
    nlohmann::json lines = nlohmann::json::array();
    for (auto& [rank, line] : by_rank) lines.push_back(std::move(line));
    nlohmann::json vocab = nlohmann::json::object();
    for (int32_t id = 0; id < vocabulary_->size(); ++id) {
      if (const auto content = vocabulary_->content(id); !content.empty()) vocab[std::string(content)] = id;
    }
    nlohmann::json unk = nullptr;
    if (!options_.unk_token.empty()) unk = options_.unk_token;
    return {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", unk},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", options_.fuse_unk},
            {"byte_fallback", false},
            {"ignore_merges", options_.ignore_merges},
            {"vocab", std::move(vocab)},
            {"merges", std::move(lines)}};
  }

 private:
  void store_bytes() {
    byte_offsets_.reserve(static_cast<size_t>(vocabulary_->size()) + 1);
    byte_offsets_.push_back(0);
    for (int32_t id = 0; id < vocabulary_->size(); ++id) {
      // A token with a character outside of the alphabet (an added one, kept in the vocabulary too) is text.
      const auto content = vocabulary_->content(id);
      const auto bytes = from_byte_level(content);
      bytes ? bytes_.append(*bytes) : bytes_.append(content);
      byte_offsets_.push_back(bytes_.size());
    }
  }

  void store_merges(const std::vector<std::pair<std::string_view, std::string_view>>& merges,
                    const std::string& source) {
    if (merges.size() >= kNoRank) bad_input("{}: too many merges", source);
    struct Entry {
      int32_t left;
      Merge merge;
    };
    std::vector<Entry> entries;
    entries.reserve(merges.size());
    std::string joined;
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      const auto& [left, right] = merges[rank];
      const auto need = [&](std::string_view content) {
        const auto id = vocabulary_->id(content);
        if (!id) {
          bad_input("{}: merge {} (\"{} {}\") needs the token \"{}\", which is not in the vocabulary", source,
                    rank + 1, printable(left, 40), printable(right, 40), printable(content, 80));
        }
        return *id;
      };
      joined.assign(left).append(right);
      entries.push_back({need(left), {need(right), need(joined), static_cast<uint32_t>(rank)}});
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return std::tie(a.left, a.merge.right, a.merge.rank) < std::tie(b.left, b.merge.right, b.merge.rank);
    });
    row_begin_.assign(static_cast<size_t>(vocabulary_->size()) + 1, 0);
    merges_.reserve(entries.size());
    for (size_t i = 0; i < entries.size(); ++i) {
      // A pair listed twice counts at its last place, as in Hugging Face's tokenizers.
      const bool again = i + 1 < entries.size() && entries[i].left == entries[i + 1].left &&
                         entries[i].merge.right == entries[i + 1].merge.right;
      if (again) continue;
      merges_.push_back(entries[i].merge);
      ++row_begin_[static_cast<size_t>(entries[i].left) + 1];
    }
    for (size_t i = 1; i < row_begin_.size(); ++i) row_begin_[i] += row_begin_[i - 1];
  }

  const Merge& find(int32_t left, int32_t right) const {
    const Merge* first = merges_.data() + row_begin_[static_cast<size_t>(left)];
    size_t count = row_begin_[static_cast<size_t>(left) + 1] - row_begin_[static_cast<size_t>(left)];
    while (count > 1) {  // without a branch that depends on the data
      const size_t half = count / 2;
      first += first[half].right <= right ? half : 0;
      count -= half;
    }
    return count == 1 && first->right == right ? *first : kNoMerge;
  }

  /// Merges ids[0, n) in place; returns how many are left. n ≤ kShortPiece.
  size_t merge_short(int32_t* ids, size_t n) const {
    if (n < 2) return n;
    std::array<uint32_t, kShortPiece> rank;
    std::array<int32_t, kShortPiece> result;
    const auto look_up = [&](size_t i) {
      const Merge& merge = find(ids[i], ids[i + 1]);
      rank[i] = merge.rank;
      result[i] = merge.result;
    };
    for (size_t i = 0; i + 1 < n; ++i) look_up(i);
    while (n > 1) {
      const size_t pairs = n - 1;
      size_t best = 0;
      for (size_t i = 1; i < pairs; ++i) best = rank[i] < rank[best] ? i : best;
      if (rank[best] == kNoRank) break;
      ids[best] = result[best];
      const size_t behind = pairs - best - 1;  // pairs, and so tokens, that move up by one
      std::memmove(ids + best + 1, ids + best + 2, behind * sizeof(int32_t));
      std::memmove(rank.data() + best, rank.data() + best + 1, behind * sizeof(uint32_t));
      std::memmove(result.data() + best, result.data() + best + 1, behind * sizeof(int32_t));
      --n;
      if (best > 0) look_up(best - 1);
      if (best + 1 < n) look_up(best);
    }
    return n;
  }

  /// The same for any n, by a heap of candidate pairs over a linked list.
  size_t merge_long(int32_t* ids, size_t n) const {
    constexpr uint32_t none = std::numeric_limits<uint32_t>::max();
    if (n >= none) bad_input("a stretch of {} bytes without a place to split is too long to tokenize", n);
    struct Link {
      uint32_t previous, next;
    };
    struct Candidate {
      uint32_t rank, at;
      int32_t left, right, result;
      bool operator>(const Candidate& o) const { return std::tie(rank, at) > std::tie(o.rank, o.at); }
    };
    std::vector<Link> links(n);
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    const auto consider = [&](uint32_t at) {
      const uint32_t next = links[at].next;
      if (next == none) return;
      const Merge& merge = find(ids[at], ids[next]);
      if (merge.rank != kNoRank) queue.push({merge.rank, at, ids[at], ids[next], merge.result});
    };
    for (uint32_t i = 0; i < n; ++i) links[i] = {i == 0 ? none : i - 1, i + 1 == n ? none : i + 1};
    for (uint32_t i = 0; i < n; ++i) consider(i);
    while (!queue.empty()) {
      const Candidate c = queue.top();
      queue.pop();
      // Outdated unless the same two tokens still stand there; a merged-away token is -1.
      if (ids[c.at] != c.left) continue;
      const uint32_t gone = links[c.at].next;
      if (gone == none || ids[gone] != c.right) continue;
      ids[c.at] = c.result;
      ids[gone] = -1;
      links[c.at].next = links[gone].next;
      if (links[gone].next != none) links[links[gone].next].previous = c.at;
      if (links[c.at].previous != none) consider(links[c.at].previous);
      consider(c.at);
    }
    return static_cast<size_t>(std::remove(ids, ids + n, -1) - ids);
  }

  std::unique_ptr<const Vocabulary> vocabulary_;
  BpeOptions options_;
  int32_t unk_id_ = -1;
  std::array<int32_t, 256> byte_ids_{};  // -1: no token for this byte
  std::string bytes_;                    // what the tokens stand for, end to end
  std::vector<size_t> byte_offsets_;     // [size + 1] into bytes_
  std::vector<Merge> merges_;            // by left token, then by right one
  std::vector<uint32_t> row_begin_;      // [size + 1] into merges_
};

}  // namespace

std::unique_ptr<TokenModel> make_bpe(std::unique_ptr<const Vocabulary> vocabulary,
                                     const std::vector<std::pair<std::string_view, std::string_view>>& merges,
                                     BpeOptions options, const std::string& source) {
  return std::make_unique<BpeModel>(std::move(vocabulary), merges, std::move(options), source);
}

}  // namespace ft
