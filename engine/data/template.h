// Templates: how a conversation becomes the ids that a model is trained on and asked with.
//
// There is one renderer for training, evaluation and generation. Prompt and completion are tokenised on their
// own and joined as ids, so the prompt's ids in training are those in generation; what is to be learnt is
// known by position, never by comparing ids. The completion's end token is learnt too, or the model would
// never stop. A prompt begins with what the tokenizer itself puts before a text (bos), once. Special tokens
// that stand written out in a sample are parsed, as Hugging Face's chat templates do.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/conversation.h"
#include "engine/data/template_layout.h"
#include "engine/data/tokenizer.h"

namespace ft {

/// ids [T] with target and role [T]: target is 1 where the token is to be learnt. The first prompt_length ids
/// are the (first) prompt; the last answer begins at last_answer.
struct Rendered {
  std::vector<int32_t> ids;
  std::vector<uint8_t> target;
  std::vector<TokenRole> role;
  std::vector<int> piece_end;    // where the ids of each piece of the layout end
  std::vector<Speaker> speaker;  // [T] where tell_speakers() was asked
  int prompt_length = 0, last_answer = 0;
  std::string text;  // the same in one piece, without what the tokenizer puts before it
};

/// A template written in the configuration. `prompt` may hold {instruction}, {input} and {system}; {{ and }}
/// are braces. `completion_suffix` is learnt behind the output; unless it ends in a special token, eos
/// follows.
struct InlineTemplate {
  std::string prompt;
  std::string completion_suffix;
};

class Template {
 public:
  /// Throws InputError, naming the template and the tokenizer, where the two do not fit, and for an unknown
  /// name. `name`: one of template_list().
  static std::shared_ptr<const Template> make(std::string_view name,
                                              std::shared_ptr<const Tokenizer> tokenizer);
  static std::shared_ptr<const Template> make(const InlineTemplate& text,
                                              std::shared_ptr<const Tokenizer> tokenizer);
  /// Several templates of one tokenizer: drawn() chooses among them, everything else is the first one's, and
  /// stop_ids() are those of all.
  static std::shared_ptr<const Template> mixture(std::vector<std::shared_ptr<const Template>> members);

  Template(std::string name, std::shared_ptr<const TemplateLayout> layout,
           std::shared_ptr<const Tokenizer> tokenizer);

  /// The member of a mixture that `key` chooses; itself otherwise.
  const Template& drawn(uint64_t key) const;
  bool is_mixture() const { return !members_.empty(); }
  std::span<const std::shared_ptr<const Template>> members() const { return members_; }

  /// Prompt and completion. The prompt part equals render_prompt().
  Rendered render(const Sample& sample) const;
  /// A conversation with all its answers; several rows where the template rewrites earlier turns
  /// (template_layout.h).
  std::vector<Rendered> render(const Conversation& conversation) const;
  /// The prompt alone: what generation starts from. `sample.output` is not used.
  std::vector<int32_t> render_prompt(const Sample& sample) const;
  std::vector<int32_t> render_prompt(const Conversation& conversation) const;
  /// The prompt as text, without what the tokenizer puts before it.
  std::string prompt_text(const Sample& sample) const { return layout_->request(sample); }

  /// The ids of a fixed prompt: two templates or tokenizers that differ are found out by them.
  std::vector<int32_t> golden_prompt_ids() const;
  /// Ids that end a completion: the template's own end token first, then the tokenizer's eos if that is
  /// another.
  std::span<const int32_t> stop_ids() const { return stop_ids_; }
  const std::string& name() const { return name_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const TemplateLayout& layout() const { return *layout_; }

 private:
  Rendered joined(const Pieces& pieces) const;
  void check_begin() const;

  std::string name_;
  std::shared_ptr<const TemplateLayout> layout_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  int32_t end_id_ = 0;
  std::vector<int32_t> stop_ids_;
  std::vector<std::shared_ptr<const Template>> members_;
};

struct TemplateInfo {
  std::string_view name;
  std::string_view description;
};
/// All names that Template::make takes, each with one line about it.
std::span<const TemplateInfo> template_list();

/// What `data.template` is when it is left out: `tokenizer` where that has a chat template, else
/// human_assistant.
std::string_view default_template(const Tokenizer& tokenizer);

}  // namespace ft
