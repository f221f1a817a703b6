#include "engine/data/tokenizer.h"

#include <unordered_map>

#include "engine/core/check.h"
#include "engine/data/pretokenizer.h"
#include "engine/data/tokenizer_decoder.h"
#include "engine/data/tokenizer_json.h"
#include "engine/data/tokenizer_normalizer.h"
#include "engine/data/tokenizer_parts.h"
#include "engine/data/tokenizer_surround.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

constexpr size_t kMaxTextBytesToEncode = size_t{1} << 30;

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(TokenizerParts p);

  void encode_text(std::string_view text, bool parse_special, std::vector<int32_t>& out) const;
  void encode_valid(std::string_view text, bool parse_special, bool inner, std::vector<int32_t>& out) const;
  void encode_plain(std::string_view text, bool parse_special, bool inner, std::vector<int32_t>& out) const;
  const AddedToken* added(int32_t id) const {
    const auto it = added_by_id.find(id);
    return it == added_by_id.end() ? nullptr : it->second;
  }

  TokenizerParts parts;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  TokenDecoder decoder;
  Surround surround;
  std::unordered_map<int32_t, const AddedToken*> added_by_id;
  std::unordered_map<std::string_view, const AddedToken*> added_by_content;
  AddedTokenMatcher in_raw_text, in_normalized_text;
  int32_t size = 0;
};

Tokenizer::Impl::Impl(TokenizerParts p)
    : parts(std::move(p)),
      normalizer(Normalizer::from_json(parts.normalizer, parts.source)),
      pre_tokenizer(PreTokenizer::from_json(parts.pre_tokenizer, parts.source)),
      decoder(TokenDecoder::from_json(parts.decoder, pre_tokenizer.byte_level(), parts.source)),
      surround(surround_from_json(parts.post_processor, parts.source)) {
  if (pre_tokenizer.byte_level() && parts.model->kind() != "BPE") {
    bad_input("{}: a ByteLevel pre_tokenizer with the model {} is not supported", parts.source,
              parts.model->kind());
  }
  if (!is_valid_utf8(parts.chat_template)) bad_input("{}: its chat_template is not UTF-8", parts.source);
  const Vocabulary& vocabulary = parts.model->vocabulary();
  size = vocabulary.size();
  const auto limit = static_cast<size_t>(size) + 2 * parts.added.size() + 65536;
  std::vector<const AddedToken*> raw, normalized;
  std::vector<std::string> raw_contents, normalized_contents;
  for (const AddedToken& token : parts.added) {
    const auto clash = [&](std::string_view what) {
      bad_input("{}: added token \"{}\" with the id {}: {}", parts.source, printable(token.content), token.id,
                what);
    };
    if (token.content.empty() || !is_valid_utf8(token.content)) clash("its content is empty or not UTF-8");
    if (static_cast<size_t>(token.id) >= limit) clash("the id is out of range");
    const auto in_model = vocabulary.id(token.content);
    if (in_model && *in_model != token.id) clash(fmt::format("the vocabulary has it under {}", *in_model));
    const auto other = vocabulary.content(token.id);
    if (!other.empty() && other != token.content) {
      clash(fmt::format("the vocabulary gives that id to \"{}\"", printable(other)));
    }
    if (!added_by_id.emplace(token.id, &token).second) clash("another added token has that id");
    if (!added_by_content.emplace(token.content, &token).second) clash("it is listed twice");
    size = std::max(size, token.id + 1);
    if (token.hidden) continue;
    (token.normalized ? normalized : raw).push_back(&token);
    if (token.normalized) {
      std::string buffer;
      normalized_contents.emplace_back(normalizer.apply(token.content, buffer));
    } else {
      raw_contents.push_back(token.content);
    }
  }
  in_raw_text = AddedTokenMatcher(std::move(raw), std::move(raw_contents));
  in_normalized_text = AddedTokenMatcher(std::move(normalized), std::move(normalized_contents));
  const auto check_id = [&](int32_t id, std::string_view what) {
    if (id < 0 || id >= size) {
      bad_input("{}: the {} id {} is not in the vocabulary of {} tokens", parts.source, what, id, size);
    }
  };
  for (const int32_t id : surround.prefix) check_id(id, "post_processor's");
  for (const int32_t id : surround.suffix) check_id(id, "post_processor's");
  if (parts.bos_id) check_id(*parts.bos_id, "bos");
  if (parts.eos_id) check_id(*parts.eos_id, "eos");
  if (parts.pad_id) check_id(*parts.pad_id, "pad");
  if (parts.unk_id) check_id(*parts.unk_id, "unk");
}

/// Calls token(id) and between(view) for the matches in `text` and what lies between them, in order.
template <class OnToken, class OnText>
static void walk_added(const AddedTokenMatcher& matcher, std::string_view text, bool parse_special,
                       OnToken&& token, OnText&& between) {
  std::vector<AddedTokenMatcher::Match> matches;
  matcher.find_all(text, parse_special, matches);
  size_t at = 0;
  for (const auto& match : matches) {
    if (at < match.span.begin) between(text.substr(at, match.span.begin - at));
    token(match.token->id);
    at = match.span.end;
  }
  if (at < text.size()) between(text.substr(at));
}

/// Well-formed text that holds no token of in_raw_text. `inner`: something stands before it.
void Tokenizer::Impl::encode_plain(std::string_view text, bool parse_special, bool inner,
                                   std::vector<int32_t>& out) const {
  std::string buffer;
  PreTokenizer::Pieces pieces;
  const std::string_view normal = normalizer.apply(text, buffer);
  walk_added(
      in_normalized_text, normal, parse_special, [&](int32_t id) { out.push_back(id); },
      [&](std::string_view plain) {
        pre_tokenizer.split(plain, pieces, inner || plain.data() != normal.data());
        for (size_t i = 0; i < pieces.spans.size(); ++i) parts.model->encode_piece(pieces[i], out);
      });
}

void Tokenizer::Impl::encode_valid(std::string_view text, bool parse_special, bool inner,
                                   std::vector<int32_t>& out) const {
  walk_added(
      in_raw_text, text, parse_special, [&](int32_t id) { out.push_back(id); },
      [&](std::string_view plain) {
        encode_plain(plain, parse_special, inner || plain.data() != text.data(), out);
      });
}

void Tokenizer::Impl::encode_text(std::string_view text, bool parse_special,
                                  std::vector<int32_t>& out) const {
  if (!pre_tokenizer.byte_level()) {
    is_valid_utf8(text) ? encode_valid(text, parse_special, false, out)
                        : encode_valid(to_valid_utf8(text), parse_special, false, out);
    return;
  }
  for (bool inner = false; !text.empty(); inner = true) {
    const size_t good = valid_utf8_prefix(text);
    encode_valid(text.substr(0, good), parse_special, inner, out);
    text.remove_prefix(good);
    // A malformed stretch is a piece of its own: no pattern says anything about it.
    size_t bad = 0;
    while (bad < text.size()) {
      const Utf8Unit unit = next_utf8(text.substr(bad));
      if (unit.kind == Utf8Unit::character) break;
      bad += unit.bytes;
    }
    if (bad > 0) parts.model->encode_piece(text.substr(0, bad), out);
    text.remove_prefix(bad);
  }
}

Tokenizer::Tokenizer(TokenizerParts parts) : impl_(std::make_unique<const Impl>(std::move(parts))) {}
Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() >= kMaxTextBytesToEncode)
    bad_input("a text of {} bytes is too long to tokenize", text.size());
  std::vector<int32_t> out;
  out.reserve(text.size() / 4 + 8);
  if (options.add_special) out = impl_->surround.prefix;
  impl_->encode_text(text, options.parse_special, out);
  if (options.add_special)
    out.insert(out.end(), impl_->surround.suffix.begin(), impl_->surround.suffix.end());
  return out;
}

void Tokenizer::decode_token(int32_t id, bool skip_special, DecodeState& state, std::string& out) const {
  const AddedToken* added = impl_->added(id);
  if (added && added->special && skip_special) return;
  const std::string_view content = added ? added->content : impl_->parts.model->vocabulary().content(id);
  if (!content.empty()) impl_->decoder.push(content, added != nullptr, state, out);
}

std::string Tokenizer::decode_bytes(std::span<const int32_t> ids, bool skip_special) const {
  std::string out;
  DecodeState state;
  for (const int32_t id : ids) decode_token(id, skip_special, state, out);
  return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  return to_valid_utf8(decode_bytes(ids, skip_special));
}

int32_t Tokenizer::vocab_size() const {
  return impl_->size;
}

std::optional<int32_t> Tokenizer::token_to_id(std::string_view content) const {
  const auto it = impl_->added_by_content.find(content);
  if (it != impl_->added_by_content.end()) return it->second->id;
  return impl_->parts.model->vocabulary().id(content);
}

std::string_view Tokenizer::id_to_token(int32_t id) const {
  if (const AddedToken* token = impl_->added(id)) return token->content;
  return impl_->parts.model->vocabulary().content(id);
}

bool Tokenizer::is_special(int32_t id) const {
  const AddedToken* token = impl_->added(id);
  return token && token->special;
}

std::optional<int32_t> Tokenizer::bos_id() const {
  return impl_->parts.bos_id;
}
std::optional<int32_t> Tokenizer::eos_id() const {
  return impl_->parts.eos_id;
}
std::optional<int32_t> Tokenizer::pad_id() const {
  return impl_->parts.pad_id;
}
std::optional<int32_t> Tokenizer::unk_id() const {
  return impl_->parts.unk_id;
}
std::span<const int32_t> Tokenizer::prefix_ids() const {
  return impl_->surround.prefix;
}
std::span<const int32_t> Tokenizer::suffix_ids() const {
  return impl_->surround.suffix;
}
const std::string& Tokenizer::chat_template() const {
  return impl_->parts.chat_template;
}
const std::string& Tokenizer::source() const {
  return impl_->parts.source;
}
std::string Tokenizer::kind() const {
  return impl_->parts.model->kind();
}

void Tokenizer::write_tokenizer_json(const std::filesystem::path& folder) const {
  write_hf_files(impl_->parts, folder);
}

std::string StreamDecoder::push(int32_t id) {
  tokenizer_->decode_token(id, skip_special_, state_, pending_);
  // Only an unfinished character at the end may still become something else.
  size_t cut = pending_.size();
  for (size_t back = 1; back <= 3 && back <= pending_.size(); ++back) {
    const size_t start = pending_.size() - back;
    if ((static_cast<uint8_t>(pending_[start]) & 0xC0) == 0x80) continue;
    if (next_utf8(std::string_view(pending_).substr(start)).kind == Utf8Unit::cut) cut = start;
    break;
  }
  std::string text = to_valid_utf8(std::string_view(pending_).substr(0, cut));
  pending_.erase(0, cut);
  return text;
}

std::string StreamDecoder::flush() {
  std::string text = to_valid_utf8(pending_);
  pending_.clear();
  state_ = {};
  return text;
}

}  // namespace ft
