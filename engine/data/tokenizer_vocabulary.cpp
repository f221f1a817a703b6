#include "engine/data/tokenizer_vocabulary.h"

#include <algorithm>

#include "engine/core/check.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {

Vocabulary::Vocabulary(std::vector<std::pair<std::string, int32_t>> entries, const std::string& source) {
  // Real vocabularies have few holes, if any.
  const size_t limit = 2 * entries.size() + 65536;
  int32_t largest = -1;
  for (const auto& [content, id] : entries) {
    if (id < 0 || static_cast<size_t>(id) >= limit) {
      bad_input("{}: token \"{}\" has the id {}, out of range for a vocabulary of {} tokens", source,
                printable(content), id, entries.size());
    }
    largest = std::max(largest, id);
  }
  contents_.resize(static_cast<size_t>(largest + 1));
  by_content_.reserve(entries.size());
  for (auto& [content, id] : entries) {
    if (content.empty()) continue;  // can never be produced, which is what a hole is
    if (!is_valid_utf8(content)) {
      bad_input("{}: the token with the id {}, \"{}\", is not UTF-8", source, id, printable(content));
    }
    std::string& slot = contents_[static_cast<size_t>(id)];
    if (!slot.empty()) {
      bad_input("{}: the id {} stands for both \"{}\" and \"{}\"", source, id, printable(slot),
                printable(content));
    }
    slot = std::move(content);
  }
  for (int32_t id = 0; id <= largest; ++id) {
    const std::string& content = contents_[static_cast<size_t>(id)];
    if (content.empty()) continue;
    const auto [it, is_new] = by_content_.emplace(content, id);
    if (!is_new) {
      bad_input("{}: the token \"{}\" has two ids, {} and {}", source, printable(content), it->second, id);
    }
  }
}

std::optional<int32_t> Vocabulary::id(std::string_view content) const {
  const auto it = by_content_.find(content);
  if (it == by_content_.end()) return std::nullopt;
  return it->second;
}

AddedTokenMatcher::AddedTokenMatcher(std::vector<const AddedToken*> tokens,
                                     std::vector<std::string> contents) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!contents[i].empty()) entries_.push_back({std::move(contents[i]), tokens[i]});
  }
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.content < b.content; });
  for (size_t i = 0; i < entries_.size(); ++i) {
    Range& range = by_first_byte_[static_cast<uint8_t>(entries_[i].content[0])];
    if (range.end == 0) range.begin = static_cast<uint32_t>(i);
    range.end = static_cast<uint32_t>(i + 1);
  }
}

const AddedTokenMatcher::Entry* AddedTokenMatcher::longest_at(std::string_view rest) const {
  Range range = by_first_byte_[static_cast<uint8_t>(rest[0])];
  const Entry* best = nullptr;
  // entries_[range] are those that begin with rest[0, depth); a shorter string sorts before its extensions.
  for (size_t depth = 1; range.begin < range.end; ++depth) {
    while (range.begin < range.end && entries_[range.begin].content.size() == depth)
      best = &entries_[range.begin++];
    if (depth >= rest.size()) break;
    const auto byte_at = [depth](const Entry& e) { return static_cast<uint8_t>(e.content[depth]); };
    const auto wanted = static_cast<uint8_t>(rest[depth]);
    const auto first = entries_.begin() + range.begin, last = entries_.begin() + range.end;
    const auto low = std::partition_point(first, last, [&](const Entry& e) { return byte_at(e) < wanted; });
    const auto high = std::partition_point(low, last, [&](const Entry& e) { return byte_at(e) == wanted; });
    range = {static_cast<uint32_t>(low - entries_.begin()), static_cast<uint32_t>(high - entries_.begin())};
  }
  return best;
}

void AddedTokenMatcher::find_all(std::string_view text, bool parse_special, std::vector<Match>& out) const {
  if (entries_.empty()) return;
  size_t taken = 0;  // end of the last match with its white space
  for (size_t at = 0; at < text.size();) {
    const Range range = by_first_byte_[static_cast<uint8_t>(text[at])];
    const Entry* entry = range.begin < range.end ? longest_at(text.substr(at)) : nullptr;
    if (!entry) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + entry->content.size();
    at = end;
    const AddedToken& token = *entry->token;
    if (token.special && !parse_special) continue;
    if (begin < taken) continue;
    if (token.single_word) {
      const bool word_before = begin > 0 && is_unicode_word(last_utf8(text.substr(0, begin)).code);
      const bool word_after = end < text.size() && is_unicode_word(next_utf8(text.substr(end)).code);
      if (word_before || word_after) continue;
    }
    while (token.lstrip && begin > taken) {
      const Utf8Unit unit = last_utf8(text.substr(0, begin));
      if (!is_unicode_space(unit.code)) break;
      begin -= unit.bytes;
    }
    while (token.rstrip && end < text.size()) {
      const Utf8Unit unit = next_utf8(text.substr(end));
      if (!is_unicode_space(unit.code)) break;
      end += unit.bytes;
    }
    out.push_back({{static_cast<uint32_t>(begin), static_cast<uint32_t>(end)}, entry->token});
    taken = end;
  }
}

}  // namespace ft
