// The layouts that have a name, and the one that a configuration writes: a prompt for each exchange, then the
// answer and its end token.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "engine/core/check.h"
#include "engine/data/template.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

using Prompt = std::string (*)(const Sample&);

std::string preamble(const Sample& s) {
  return s.system.empty() ? "" : s.system + "\n\n";
}

/// Human: …⏎⏎Assistant: … (an instruction's input on a line of its own).
std::string human_assistant(const Sample& s) {
  return preamble(s) + "Human: " + request_text(s) + "\n\nAssistant: ";
}

/// The prompts of Stanford Alpaca.
std::string alpaca(const Sample& s) {
  if (s.input.empty()) {
    return preamble(s) +
           "Below is an instruction that describes a task. Write a response that appropriately completes the "
           "request.\n\n### Instruction:\n" +
           s.instruction + "\n\n### Response:";
  }
  return preamble(s) +
         "Below is an instruction that describes a task, paired with an input that provides further context. "
         "Write a "
         "response that appropriately completes the request.\n\n### Instruction:\n" +
         s.instruction + "\n\n### Input:\n" + s.input + "\n\n### Response:";
}

/// 指令：…⏎输入：…⏎回答：… (without the second line where there is no input).
std::string zh_instruct(const Sample& s) {
  const std::string input = s.input.empty() ? "" : "\n输入：" + s.input;
  return preamble(s) + "指令：" + s.instruction + input + "\n回答：";
}

std::string as_it_is(const Sample& s) {
  return preamble(s) + request_text(s);
}

std::string chatml(const Sample& s) {
  const std::string system = s.system.empty() ? "" : "<|im_start|>system\n" + s.system + "<|im_end|>\n";
  return system + "<|im_start|>user\n" + request_text(s) + "<|im_end|>\n<|im_start|>assistant\n";
}

/// Exchange after exchange. What stands between two of them belongs to the second one's prompt.
class ExchangeLayout : public TemplateLayout {
 public:
  std::vector<Pieces> rows(const Conversation& c) const override {
    Pieces pieces;
    walk(c, pieces);
    return {pieces};
  }
  Pieces prompt(const Conversation& c) const override {
    Pieces pieces;
    const std::optional<Sample> open = walk(c, pieces);
    if (!open) bad_input("a prompt ends with a user's message");
    add_prompt(*open, pieces);
    return pieces;
  }
  Pieces exchange(const Sample& s) const override {
    Pieces pieces;
    add_prompt(s, pieces);
    add_answer(s, pieces);
    return pieces;
  }
  std::string request(const Sample& s) const override { return write(s); }

 protected:
  virtual std::string write(const Sample& s) const = 0;
  virtual std::string separator() const { return "\n\n"; }
  virtual std::string suffix() const { return {}; }  // learnt, before the end token
  virtual std::string filler() const { return {}; }

 private:
  void add_prompt(const Sample& s, Pieces& pieces) const {
    pieces.push_back({(pieces.empty() ? "" : separator()) + write(s), TokenRole::prompt});
  }
  void add_answer(const Sample& s, Pieces& pieces) const {
    pieces.push_back({s.output + suffix(), TokenRole::answer});
    pieces.push_back({"", TokenRole::end});
    if (!filler().empty()) pieces.push_back({filler(), TokenRole::filler});
  }
  /// All exchanges that are complete; the request that is left, if there is one.
  std::optional<Sample> walk(const Conversation& c, Pieces& pieces) const {
    std::string system;
    std::optional<Sample> open;
    for (size_t i = 0; i < c.size(); ++i) {
      const Message& m = c[i];
      if (m.role == "system" && i == 0) {
        system = m.content;
      } else if (m.role == "user" && !open) {
        open =
            Sample{.system = std::exchange(system, {}), .instruction = m.content, .input = {}, .output = {}};
      } else if (m.role == "assistant" && open) {
        open->output = m.content;
        add_prompt(*open, pieces);
        add_answer(*open, pieces);
        open.reset();
      } else {
        bad_input(
            "message {} is the {}'s, which has no place there: this template takes user and assistant in "
            "turn, "
            "behind at most one system message; template: tokenizer may take more",
            i + 1, printable(m.role, 40));
      }
    }
    return open;
  }
};

class NamedLayout : public ExchangeLayout {
 public:
  explicit NamedLayout(Prompt prompt) : prompt_(prompt) {}

 protected:
  std::string write(const Sample& s) const override { return prompt_(s); }

 private:
  Prompt prompt_;
};

class ChatMlLayout : public NamedLayout {
 public:
  ChatMlLayout() : NamedLayout(chatml) {}
  std::vector<std::string> needs() const override { return {"<|im_start|>", "<|im_end|>"}; }
  std::string end() const override { return "<|im_end|>"; }

 protected:
  std::string separator() const override { return {}; }
  std::string filler() const override { return "\n"; }
};

/// The pieces of an inline template: text and, at odd places, the name of what is put in.
std::vector<std::string> parse_inline(std::string_view text) {
  std::vector<std::string> pieces(1);
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '{' && c != '}') {
      pieces.back() += c;
    } else if (i + 1 < text.size() && text[i + 1] == c) {
      pieces.back() += c;
      ++i;
    } else {
      const size_t close = text.find('}', i);
      const std::string_view name = c == '{' && close != std::string_view::npos
                                        ? text.substr(i + 1, close - i - 1)
                                        : std::string_view();
      if (name != "instruction" && name != "input" && name != "system") {
        bad_input(
            "template: prompt: \"{}\" is not a placeholder; there are {{instruction}}, {{input}} and "
            "{{system}}, "
            "and a brace itself is doubled",
            printable(text.substr(i), 40));
      }
      pieces.emplace_back(name);
      pieces.emplace_back();
      i = close;
    }
  }
  return pieces;
}

const std::string& field(const Sample& s, std::string_view name) {
  return name == "instruction" ? s.instruction : name == "input" ? s.input : s.system;
}

class InlineLayout : public ExchangeLayout {
 public:
  InlineLayout(const InlineTemplate& text, const Tokenizer& tokenizer)
      : pieces_(parse_inline(text.prompt)), suffix_(text.completion_suffix) {
    if (std::find(pieces_.begin(), pieces_.end(), "instruction") == pieces_.end())
      bad_input("template: prompt: {{instruction}} is missing");
    // A special token at the suffix's end is the end token; the rest is text behind the output.
    const std::vector<int32_t> ids = tokenizer.encode(suffix_);
    if (ids.empty() || !tokenizer.is_special(ids.back())) return;
    const std::string end(tokenizer.id_to_token(ids.back()));
    if (!suffix_.ends_with(end)) return;
    suffix_.resize(suffix_.size() - end.size());
    end_ = end;
  }
  std::string end() const override { return end_; }

 protected:
  std::string write(const Sample& s) const override {
    std::string all;
    for (size_t i = 0; i < pieces_.size(); ++i) all += i % 2 == 0 ? pieces_[i] : field(s, pieces_[i]);
    return all;
  }
  std::string suffix() const override { return suffix_; }

 private:
  std::vector<std::string> pieces_;
  std::string suffix_, end_;
};

}  // namespace

std::shared_ptr<const TemplateLayout> named_layout(std::string_view name) {
  if (name == "human_assistant") return std::make_shared<NamedLayout>(human_assistant);
  if (name == "alpaca") return std::make_shared<NamedLayout>(alpaca);
  if (name == "zh_instruct") return std::make_shared<NamedLayout>(zh_instruct);
  if (name == "none") return std::make_shared<NamedLayout>(as_it_is);
  if (name == "chatml") return std::make_shared<ChatMlLayout>();
  return nullptr;
}

std::shared_ptr<const TemplateLayout> inline_layout(const InlineTemplate& text, const Tokenizer& tokenizer) {
  return std::make_shared<InlineLayout>(text, tokenizer);
}

}  // namespace ft
