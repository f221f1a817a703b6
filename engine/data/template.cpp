#include "engine/data/template.h"

#include <algorithm>
#include <array>

#include "engine/core/check.h"
#include "engine/io/printable.h"

namespace ft {

std::string request_text(const Sample& s) {
  return s.input.empty() ? s.instruction : s.instruction + "\n" + s.input;
}

namespace {

std::string preamble(const Sample& s) {
  return s.system.empty() ? "" : s.system + "\n\n";
}
std::string output(const Sample& s) {
  return s.output;
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

constexpr std::array<TemplateInfo, 5> kTemplates = {{
    {"human_assistant", "\"Human: …\\n\\nAssistant: \", then the answer and eos"},
    {"chatml", "<|im_start|>user … <|im_end|>, as SmolLM2 and Qwen are trained; system turn only if given"},
    {"alpaca", "the prompts of Stanford Alpaca (### Instruction, ### Input, ### Response)"},
    {"zh_instruct", "指令：…\\n输入：…\\n回答：, then the answer and eos"},
    {"tokenizer", "the tokenizer's own chat_template (so far: ChatML templates of SmolLM2 and Qwen)"},
}};

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

}  // namespace

Template::Template(std::string name, Layout layout, std::shared_ptr<const Tokenizer> tokenizer)
    : name_(std::move(name)), layout_(std::move(layout)), tokenizer_(std::move(tokenizer)) {
  for (const std::string& token : layout_.needs) {
    const auto id = tokenizer_->token_to_id(token);
    if (!id || tokenizer_->encode(token) != std::vector<int32_t>{*id}) {
      bad_input(
          "{}: template {} needs the token {}, which this tokenizer does not have; choose another template",
          tokenizer_->source(), name_, token);
    }
  }
  const auto eos = tokenizer_->eos_id();
  const auto end = layout_.end.empty() ? eos : tokenizer_->token_to_id(layout_.end);
  if (!end) {
    bad_input(
        "{}: template {} ends an answer with the tokenizer's eos token, but this tokenizer names none; set "
        "eos_token in tokenizer_config.json",
        tokenizer_->source(), name_);
  }
  end_id_ = *end;
  after_end_ids_ = tokenizer_->encode(layout_.after_end);
  stop_ids_.push_back(end_id_);
  if (eos && *eos != end_id_) stop_ids_.push_back(*eos);
}

std::vector<int32_t> Template::render_prompt(const Sample& sample) const {
  std::vector<int32_t> ids = tokenizer_->encode(layout_.prompt(sample));
  const auto prefix = tokenizer_->prefix_ids();
  const bool there = ids.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), ids.begin());
  if (!there) ids.insert(ids.begin(), prefix.begin(), prefix.end());
  return ids;
}

Rendered Template::render(const Sample& sample) const {
  Rendered result;
  result.ids = render_prompt(sample);
  result.prompt_length = static_cast<int>(result.ids.size());
  result.target.assign(result.ids.size(), 0);
  const auto append = [&](std::span<const int32_t> ids, uint8_t learnt) {
    result.ids.insert(result.ids.end(), ids.begin(), ids.end());
    result.target.insert(result.target.end(), ids.size(), learnt);
  };
  append(tokenizer_->encode(layout_.completion(sample)), 1);
  append({&end_id_, 1}, 1);
  append(after_end_ids_, 0);
  return result;
}

std::shared_ptr<const Template> Template::make(std::string_view name,
                                               std::shared_ptr<const Tokenizer> tokenizer) {
  Layout layout;
  layout.completion = output;
  if (name == "human_assistant") {
    layout.prompt = human_assistant;
  } else if (name == "alpaca") {
    layout.prompt = alpaca;
  } else if (name == "zh_instruct") {
    layout.prompt = zh_instruct;
  } else if (name == "chatml") {
    layout = chatml_layout("", false);
  } else if (name == "tokenizer") {
    constexpr std::string_view names = "name a template: human_assistant | chatml | alpaca | zh_instruct";
    if (tokenizer->chat_template().empty()) {
      bad_input("{}: template tokenizer: this tokenizer has no chat_template; {}", tokenizer->source(),
                names);
    }
    auto known = recognize_chat_template(tokenizer->chat_template());
    if (!known) bad_input("{}: its chat_template needs Jinja; {}", tokenizer->source(), names);
    layout = std::move(*known);
  } else {
    std::string all;
    for (const auto& info : kTemplates) all.append(all.empty() ? "" : ", ").append(info.name);
    bad_input("template: unknown name \"{}\"; there are {}", printable(name), all);
  }
  return std::make_shared<const Template>(std::string(name), std::move(layout), std::move(tokenizer));
}

std::shared_ptr<const Template> Template::make(const InlineTemplate& text,
                                               std::shared_ptr<const Tokenizer> tokenizer) {
  const std::vector<std::string> pieces = parse_inline(text.prompt);
  if (std::find(pieces.begin(), pieces.end(), "instruction") == pieces.end()) {
    bad_input("template: prompt: {{instruction}} is missing");
  }
  Layout layout;
  layout.prompt = [pieces](const Sample& s) {
    std::string all;
    for (size_t i = 0; i < pieces.size(); ++i) all += i % 2 == 0 ? pieces[i] : field(s, pieces[i]);
    return all;
  };
  // A special token at the suffix's end is the end token; the rest is text behind the output.
  std::string suffix = text.completion_suffix;
  const std::vector<int32_t> suffix_ids = tokenizer->encode(suffix);
  if (!suffix_ids.empty() && tokenizer->is_special(suffix_ids.back())) {
    const std::string end(tokenizer->id_to_token(suffix_ids.back()));
    if (suffix.ends_with(end)) {
      suffix.resize(suffix.size() - end.size());
      layout.end = end;
    }
  }
  layout.completion = [suffix](const Sample& s) { return s.output + suffix; };
  return std::make_shared<const Template>("inline", std::move(layout), std::move(tokenizer));
}

std::span<const TemplateInfo> template_list() {
  return kTemplates;
}

std::string_view default_template(const Tokenizer& tokenizer) {
  return tokenizer.chat_template().empty() ? "human_assistant" : "tokenizer";
}

}  // namespace ft
