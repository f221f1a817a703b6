// How a template writes a conversation: pieces of text, each of which is tokenised on its own.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/conversation.h"
#include "engine/data/tokenizer.h"

namespace ft {

enum class TokenRole : uint8_t {
  prompt,  // what generation is given: system, requests, the markup around them
  answer,  // learnt
  end,     // the answer's end token; learnt
  filler,  // what a template writes behind it before the next turn
};

/// Who wrote a token: the template itself, or one of those who speak in the conversation.
enum class Speaker : uint8_t { markup, system, user, assistant, other };

/// `text` of role `end` may be empty: the layout's end token is meant.
struct Piece {
  std::string text;
  TokenRole role;
};
using Pieces = std::vector<Piece>;

class TemplateLayout {
 public:
  virtual ~TemplateLayout() = default;

  /// Prompts and answers in turn, once for each row that teaches the conversation: several where a later
  /// prompt does not continue what stands before it (a template that rewrites earlier turns), so that each
  /// answer is learnt behind what generation would be given. Throws InputError for what does not fit.
  virtual std::vector<Pieces> rows(const Conversation& conversation) const = 0;
  /// What generation starts from: the pieces of the answers before, as rows() has them, and the last prompt.
  virtual Pieces prompt(const Conversation& conversation) const = 0;
  /// One exchange, whose instruction and input a layout may write in different places.
  virtual Pieces exchange(const Sample& sample) const { return rows(conversation_of(sample, true)).back(); }
  virtual std::string request(const Sample& sample) const {
    return prompt(conversation_of(sample, false)).front().text;
  }

  /// Tokens that the tokenizer must find in text.
  virtual std::vector<std::string> needs() const { return {}; }
  /// The end token; empty: the tokenizer's eos.
  virtual std::string end() const { return {}; }
  /// Does it write today's date?
  virtual bool dated() const { return false; }
};

/// The named ones (all of template_list() but `tokenizer`); null for another name.
std::shared_ptr<const TemplateLayout> named_layout(std::string_view name);

struct InlineTemplate;
std::shared_ptr<const TemplateLayout> inline_layout(const InlineTemplate& text, const Tokenizer& tokenizer);

/// The tokenizer's chat_template. Dates in it are those of kTemplateDate: a run's rows must not depend on the
/// day on which it is resumed, nor its answers on the day on which it is asked.
std::shared_ptr<const TemplateLayout> jinja_layout(const Tokenizer& tokenizer);
constexpr std::time_t kTemplateDate = 1'721'995'200;  // 26 Jul 2024, 12:00 UTC, as Llama's own default

}  // namespace ft
