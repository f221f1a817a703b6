#include "engine/data/template.h"

#include <algorithm>
#include <array>

#include "engine/core/check.h"
#include "engine/core/rng.h"
#include "engine/io/printable.h"

namespace ft {

std::string request_text(const Sample& s) {
  return s.input.empty() ? s.instruction : s.instruction + "\n" + s.input;
}

Conversation conversation_of(const Sample& s, bool answered) {
  Conversation c;
  if (!s.system.empty()) c.push_back({"system", s.system});
  c.push_back({"user", request_text(s)});
  if (answered) c.push_back({"assistant", s.output});
  return c;
}

namespace {

constexpr std::array<TemplateInfo, 6> kTemplates = {{
    {"human_assistant", "\"Human: …\\n\\nAssistant: \", then the answer and eos"},
    {"chatml", "<|im_start|>user … <|im_end|>, as SmolLM2 and Qwen are trained; system turn only if given"},
    {"alpaca", "the prompts of Stanford Alpaca (### Instruction, ### Input, ### Response)"},
    {"zh_instruct", "指令：…\\n输入：…\\n回答：, then the answer and eos"},
    {"none", "the prompt as it is, then the answer and eos; what raw text (format: text) is asked with"},
    {"tokenizer", "the tokenizer's own chat_template (Jinja)"},
}};

}  // namespace

Template::Template(std::string name, std::shared_ptr<const TemplateLayout> layout,
                   std::shared_ptr<const Tokenizer> tokenizer)
    : name_(std::move(name)), layout_(std::move(layout)), tokenizer_(std::move(tokenizer)) {
  for (const std::string& token : layout_->needs()) {
    const auto id = tokenizer_->token_to_id(token);
    if (!id || tokenizer_->encode(token) != std::vector<int32_t>{*id}) {
      bad_input(
          "{}: template {} needs the token {}, which this tokenizer does not have; choose another template",
          tokenizer_->source(), name_, token);
    }
  }
  const auto eos = tokenizer_->eos_id();
  const auto end = layout_->end().empty() ? eos : tokenizer_->token_to_id(layout_->end());
  if (!end) {
    bad_input(
        "{}: template {} ends an answer with the tokenizer's eos token, but this tokenizer names none; set "
        "eos_token in tokenizer_config.json",
        tokenizer_->source(), name_);
  }
  end_id_ = *end;
  stop_ids_.push_back(end_id_);
  if (eos && *eos != end_id_) stop_ids_.push_back(*eos);
  check_begin();
}

// Exactly what the tokenizer puts before a text stands at a prompt's beginning.
void Template::check_begin() const {
  const auto bos = tokenizer_->bos_id();
  const auto prefix = tokenizer_->prefix_ids();
  if (!bos || std::find(prefix.begin(), prefix.end(), *bos) == prefix.end()) return;
  const std::vector<int32_t> ids =
      render_prompt({.system = {}, .instruction = "a", .input = {}, .output = {}});
  if (std::count(ids.begin(), ids.end(), *bos) != std::count(prefix.begin(), prefix.end(), *bos))
    bad_input("{}: template {} writes {} more than once; take it out of the template", tokenizer_->source(),
              name_, tokenizer_->id_to_token(*bos));
}

Rendered Template::joined(const Pieces& pieces) const {
  Rendered r;
  for (const Piece& piece : pieces) {
    const bool learnt = piece.role == TokenRole::answer || piece.role == TokenRole::end;
    std::vector<int32_t> ids = piece.role == TokenRole::end && piece.text.empty()
                                   ? std::vector<int32_t>{end_id_}
                                   : tokenizer_->encode(piece.text);
    if (r.ids.empty() && piece.role == TokenRole::prompt) {
      const auto prefix = tokenizer_->prefix_ids();
      const bool there = ids.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), ids.begin());
      if (!there) ids.insert(ids.begin(), prefix.begin(), prefix.end());
      r.prompt_length = static_cast<int>(ids.size());
    }
    r.text +=
        piece.role == TokenRole::end && piece.text.empty() ? tokenizer_->id_to_token(end_id_) : piece.text;
    if (piece.role == TokenRole::answer) r.last_answer = static_cast<int>(r.ids.size());
    r.ids.insert(r.ids.end(), ids.begin(), ids.end());
    r.target.resize(r.ids.size(), learnt);
    r.role.resize(r.ids.size(), piece.role);
    r.piece_end.push_back(static_cast<int>(r.ids.size()));
  }
  return r;
}

Rendered Template::render(const Sample& sample) const {
  return joined(layout_->exchange(sample));
}

std::vector<Rendered> Template::render(const Conversation& conversation) const {
  std::vector<Rendered> rows;
  for (const Pieces& pieces : layout_->rows(conversation)) rows.push_back(joined(pieces));
  return rows;
}

std::vector<int32_t> Template::render_prompt(const Sample& sample) const {
  return joined({{layout_->request(sample), TokenRole::prompt}}).ids;
}

std::vector<int32_t> Template::render_prompt(const Conversation& conversation) const {
  return joined(layout_->prompt(conversation)).ids;
}

std::vector<int32_t> Template::golden_prompt_ids() const {
  const Message request = {"user", "Where is my lamp, order 1024? 你好!"};
  try {
    return render_prompt(
        Conversation{request, {"assistant", "  On its way,\nnaïve café."}, {"user", "Thanks"}});
  } catch (const InputError&) {  // one that takes no second turn
    return render_prompt(Conversation{request});
  }
}

std::shared_ptr<const Template> Template::make(std::string_view name,
                                               std::shared_ptr<const Tokenizer> tokenizer) {
  std::shared_ptr<const TemplateLayout> layout = named_layout(name);
  if (name == "tokenizer") {
    if (tokenizer->chat_template().empty()) {
      bad_input(
          "{}: template tokenizer: this tokenizer has no chat_template; name a template: human_assistant | "
          "chatml | alpaca | zh_instruct",
          tokenizer->source());
    }
    layout = jinja_layout(*tokenizer);
  }
  if (!layout) {
    std::string all;
    for (const auto& info : kTemplates) all.append(all.empty() ? "" : ", ").append(info.name);
    bad_input("template: unknown name \"{}\"; there are {}", printable(name), all);
  }
  return std::make_shared<const Template>(std::string(name), std::move(layout), std::move(tokenizer));
}

std::shared_ptr<const Template> Template::make(const InlineTemplate& text,
                                               std::shared_ptr<const Tokenizer> tokenizer) {
  auto layout = inline_layout(text, *tokenizer);
  return std::make_shared<const Template>("inline", std::move(layout), std::move(tokenizer));
}

std::shared_ptr<const Template> Template::mixture(std::vector<std::shared_ptr<const Template>> members) {
  if (members.empty()) bad_input("template: the list of templates is empty");
  if (members.size() == 1) return members[0];
  auto all = std::make_shared<Template>(*members[0]);
  all->name_.clear();
  for (const auto& m : members) {
    all->name_ += (all->name_.empty() ? "" : " | ") + m->name();
    for (const int32_t id : m->stop_ids())
      if (std::find(all->stop_ids_.begin(), all->stop_ids_.end(), id) == all->stop_ids_.end())
        all->stop_ids_.push_back(id);
  }
  all->members_ = std::move(members);
  return all;
}

const Template& Template::drawn(uint64_t key) const {
  if (members_.empty()) return *this;
  return *members_[Rng(key, "template").below(static_cast<uint32_t>(members_.size()))];
}

std::span<const TemplateInfo> template_list() {
  return kTemplates;
}

std::string_view default_template(const Tokenizer& tokenizer) {
  return tokenizer.chat_template().empty() ? "human_assistant" : "tokenizer";
}

}  // namespace ft
