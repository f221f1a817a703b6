// Templates: how an instruction becomes the ids that a model is trained on and asked with.
//
// There is one renderer for training, evaluation and generation. Prompt and completion are tokenised on their
// own and joined as ids, so the prompt's ids in training are those in generation; what is to be learnt is
// known by position, never by comparing ids. The completion's end token is learnt too, or the model would
// never stop. A prompt begins with what the tokenizer itself puts before a text (bos), once. Special tokens
// that stand written out in a sample are parsed, as Hugging Face's chat templates do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/tokenizer.h"

namespace ft {

/// One exchange. `input` is a text that the instruction is about; it and `system` may be empty.
struct Sample {
  std::string system, instruction, input, output;
};

/// The instruction with its input on the next line, for layouts that have one place for both.
std::string request_text(const Sample& sample);

/// ids [T] with target [T]: 1 where the token is to be learnt. The first prompt_length ids are the prompt.
struct Rendered {
  std::vector<int32_t> ids;
  std::vector<uint8_t> target;
  int prompt_length = 0;
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

  /// Prompt and completion. The prompt part equals render_prompt().
  Rendered render(const Sample& sample) const;
  /// The prompt alone: what generation starts from. `sample.output` is not used.
  std::vector<int32_t> render_prompt(const Sample& sample) const;
  /// The prompt as text, without what the tokenizer puts before it.
  std::string prompt_text(const Sample& sample) const { return layout_.prompt(sample); }

  /// Ids that end a completion: the template's own end token first, then the tokenizer's eos if that is
  /// another.
  std::span<const int32_t> stop_ids() const { return stop_ids_; }
  const std::string& name() const { return name_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }

  /// How a template writes its parts.
  struct Layout {
    std::function<std::string(const Sample&)> prompt;
    std::function<std::string(const Sample&)> completion;  // without the end token
    std::vector<std::string> needs;                        // tokens that the tokenizer must find in text
    std::string end;                                       // the end token; empty: the tokenizer's eos
    std::string after_end;                                 // follows the end token and is not learnt
  };
  Template(std::string name, Layout layout, std::shared_ptr<const Tokenizer> tokenizer);

 private:
  std::string name_;
  Layout layout_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  int32_t end_id_ = 0;
  std::vector<int32_t> after_end_ids_;
  std::vector<int32_t> stop_ids_;
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

/// ChatML's layout; `default_system` stands in for an empty system message. With `think`, Qwen3's: an answer
/// begins with its reasoning, or with an empty block for it.
Template::Layout chatml_layout(std::string default_system, bool think);

/// The layout of a Jinja chat template, where it is one of the ChatML templates that are known word for word.
std::optional<Template::Layout> recognize_chat_template(std::string_view jinja);

}  // namespace ft
