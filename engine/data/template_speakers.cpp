#include "engine/data/template_speakers.h"

#include <algorithm>
#include <functional>
#include <string>

#include "engine/core/check.h"

namespace ft {
namespace {

// Characters of Unicode's private use, U+F8F0 and on: one for each speaker's beginning, one for all ends.
// Text that holds one of them itself is not told apart.
constexpr std::string_view kMark = "\xEF\xA3";
constexpr char kFirst = '\xB0', kEnd = '\xBF';

enum class Around { all, core };  // core: without white space at its ends, which many templates trim

std::string marked(const std::string& content, Speaker speaker, Around around) {
  size_t begin = 0, end = content.size();
  if (around == Around::core) {
    begin = std::min(content.find_first_not_of(" \t\r\n"), end);
    end = std::max(content.find_last_not_of(" \t\r\n") + 1, begin);
  }
  if (begin == end) return content;
  std::string out = content.substr(0, begin);
  out.append(kMark) += static_cast<char>(kFirst + static_cast<char>(speaker));
  out += content.substr(begin, end - begin);
  out.append(kMark) += kEnd;
  return out + content.substr(end);
}

Speaker speaker_of(const std::string& role) {
  if (role == "system" || role == "developer") return Speaker::system;
  if (role == "user") return Speaker::user;
  if (role == "assistant") return Speaker::assistant;
  return Speaker::other;
}

/// The speaker of each byte of a text without its marks, which goes to `clean`.
std::vector<Speaker> read_marks(const std::string& text, std::string& clean) {
  std::vector<Speaker> speakers;
  Speaker now = Speaker::markup;
  for (size_t i = 0; i < text.size(); ++i) {
    if (std::string_view(text).substr(i).starts_with(kMark) && i + 2 < text.size() && text[i + 2] >= kFirst) {
      now = text[i + 2] == kEnd ? Speaker::markup : static_cast<Speaker>(text[i + 2] - kFirst);
      i += 2;
      continue;
    }
    clean += text[i];
    speakers.push_back(now);
  }
  return speakers;
}

/// A piece's bytes, told by one of its marked forms; else by its role alone.
std::vector<Speaker> told(const Piece& piece, const std::vector<const Piece*>& forms) {
  for (const Piece* form : forms) {
    std::string clean;
    std::vector<Speaker> speakers = read_marks(form->text, clean);
    if (clean == piece.text) return speakers;
  }
  return std::vector<Speaker>(piece.text.size(),
                              piece.role == TokenRole::answer ? Speaker::assistant : Speaker::markup);
}

/// Each token is its bytes' speaker: a content's where half of them are, so that the blank in front of a word
/// belongs to it.
void tell_tokens(const Tokenizer& tokenizer, const std::string& text, const std::vector<Speaker>& bytes,
                 std::span<const int32_t> ids, std::vector<Speaker>& out) {
  constexpr size_t kAhead = 8;  // what a normaliser may have dropped between two tokens
  size_t at = 0;
  DecodeState state;
  for (const int32_t id : ids) {
    std::string token;
    tokenizer.decode_token(id, false, state, token);
    const size_t found = std::string_view(text).substr(at, token.size() + kAhead).find(token);
    if (found != std::string_view::npos) at += found;
    const bool there = found != std::string_view::npos || !tokenizer.is_special(id);
    const size_t begin = std::min(at, bytes.size()),
                 end = there ? std::min(at + token.size(), bytes.size()) : begin;
    Speaker speaker = Speaker::markup;
    for (size_t i = begin; i < end; ++i)
      if (bytes[i] != Speaker::markup) speaker = bytes[i];
    const auto written = std::count(bytes.begin() + static_cast<ptrdiff_t>(begin),
                                    bytes.begin() + static_cast<ptrdiff_t>(end), Speaker::markup);
    out.push_back(2 * written > static_cast<ptrdiff_t>(end - begin) ? Speaker::markup : speaker);
    at = end;
  }
}

using Rows = std::vector<Pieces>;

void tell(const Template& t, const std::function<Rows(std::optional<Around>)>& render,
          std::span<Rendered> rows) {
  const Rows plain = render({});
  std::vector<Rows> forms;
  for (const Around around : {Around::all, Around::core}) try {
      forms.push_back(render(around));
    } catch (const InputError&) {  // a template that looks into its contents
    }
  for (size_t r = 0; r < rows.size(); ++r) {
    size_t from = 0;
    for (size_t p = 0; p < plain[r].size(); ++p) {
      std::vector<const Piece*> of_piece;
      for (const Rows& form : forms)
        if (form.size() == plain.size() && form[r].size() == plain[r].size()) of_piece.push_back(&form[r][p]);
      const auto to = static_cast<size_t>(rows[r].piece_end[p]);
      tell_tokens(t.tokenizer(), plain[r][p].text, told(plain[r][p], of_piece),
                  std::span(rows[r].ids).subspan(from, to - from), rows[r].speaker);
      from = to;
    }
  }
}

}  // namespace

void tell_speakers(const Template& t, const Conversation& conversation, std::vector<Rendered>& rows) {
  tell(
      t,
      [&](std::optional<Around> around) {
        Conversation c = conversation;
        if (around)
          for (Message& m : c) m.content = marked(m.content, speaker_of(m.role), *around);
        return t.layout().rows(c);
      },
      rows);
}

void tell_speakers(const Template& t, const Sample& sample, Rendered& row) {
  tell(t,
       [&](std::optional<Around> around) {
         Sample s = sample;
         if (around) {
           s.system = marked(s.system, Speaker::system, *around);
           s.instruction = marked(s.instruction, Speaker::user, *around);
           s.input = marked(s.input, Speaker::user, *around);
           s.output = marked(s.output, Speaker::assistant, *around);
         }
         return Rows{t.layout().exchange(s)};
       },
       {&row, 1});
}

}  // namespace ft
