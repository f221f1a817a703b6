// The tokenizer's own chat_template as a layout: masks by incremental rendering.
//
// An answer is what rendering up to and including its message adds to the prompt that generation would be
// given before it (the messages before, with the generation prompt). Where the next prompt continues that
// text, the conversation goes on in the same row; where the template rewrites what stood before (Qwen3 drops
// the reasoning of earlier answers), a new row begins with the prompt as it is. What a template writes behind
// an answer is found once, with a probe: its first special token is the end token.
#include <algorithm>
#include <utility>

#include "engine/core/check.h"
#include "engine/data/jinja.h"
#include "engine/data/template_layout.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kProbe = "PROBE1ANSWER";

/// The message as transformers hands it to a template: reasoning under all names that templates read.
Json message_json(const Message& m) {
  Json json = {{"role", m.role}, {"content", m.content}};
  for (const auto& [key, value] : m.more.items()) json[key] = value;
  for (const char* key : {"reasoning_content", "thinking", "reasoning"}) {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null()) continue;
    const Json reasoning = *found;
    if (!json.contains("thinking")) json["thinking"] = reasoning;
    json["reasoning_content"] = reasoning;
    break;
  }
  return json;
}

class JinjaLayout : public TemplateLayout {
 public:
  explicit JinjaLayout(const Tokenizer& tokenizer)
      : jinja_(tokenizer.chat_template(), tokenizer.source() + " (chat_template)") {
    const auto name = [&](const char* key, std::optional<int32_t> id) {
      if (id) variables_[key] = std::string(tokenizer.id_to_token(*id));
    };
    variables_ = {{"messages", Json::array()},
                  {"tools", nullptr},
                  {"documents", nullptr},
                  {"add_generation_prompt", false}};
    name("bos_token", tokenizer.bos_id());
    name("eos_token", tokenizer.eos_id());
    name("unk_token", tokenizer.unk_id());
    name("pad_token", tokenizer.pad_id());
    find_end(tokenizer);
  }

  std::vector<Pieces> rows(const Conversation& c) const override {
    Row row;
    std::vector<Pieces> done = answered(c, row);
    if (!row.pieces.empty()) done.push_back(std::move(row.pieces));
    if (end_.empty())  // the template writes none: generation stops at the tokenizer's eos
      for (Pieces& pieces : done) pieces.push_back({"", TokenRole::end});
    return done;
  }

  Pieces prompt(const Conversation& c) const override {
    Row row;
    answered(c, row);
    std::vector<Pieces> ignored;
    go_on(row, render(c, c.size(), true), ignored);
    return std::move(row.pieces);
  }

  std::string end() const override { return end_; }
  bool dated() const override { return jinja_.dated(); }

 private:
  struct Row {
    Pieces pieces;
    std::string text;  // all of them
  };

  std::string render(const Conversation& c, size_t count, bool generation_prompt) const {
    Json variables = variables_;
    Json& messages = variables["messages"];
    for (size_t i = 0; i < count; ++i) messages.push_back(message_json(c[i]));
    variables["add_generation_prompt"] = generation_prompt;
    return jinja_.render(variables, kTemplateDate);
  }

  /// The text behind an answer, in three: what still belongs to it, the end token, what follows.
  void find_end(const Tokenizer& tokenizer) {
    const std::string text = render({{"user", "a"}, {"assistant", std::string(kProbe)}}, 2, false);
    const size_t at = text.rfind(kProbe);
    if (at == std::string::npos) return;
    const std::string behind = text.substr(at + kProbe.size());
    for (const int32_t id : tokenizer.encode(behind)) {
      const std::string token(tokenizer.id_to_token(id));
      const size_t place = behind.find(token);
      if (!(tokenizer.is_special(id) || id == tokenizer.eos_id()) || token.empty() || place == behind.npos)
        continue;
      end_ = token;
      after_end_ = behind.substr(place + token.size());
      return;
    }
  }

  /// All answers of `c`: rows that are complete, and in `row` the one that may go on.
  std::vector<Pieces> answered(const Conversation& c, Row& row) const {
    std::vector<Pieces> done;
    for (size_t i = 1; i < c.size(); ++i) {  // an answer without a request teaches nothing
      if (c[i].role != "assistant") continue;
      const std::string before = render(c, i, true), after = render(c, i + 1, false);
      if (!after.starts_with(before)) {
        const auto [a, b] = std::mismatch(before.begin(), before.end(), after.begin(), after.end());
        bad_input(
            "{}: its generation prompt goes on with \"{}\", but it writes answers as \"{}\": what would be "
            "learnt is not what is generated; choose another template",
            jinja_.name(), printable(std::string(a, before.end()), 40),
            printable(std::string(b, after.end()), 40));
      }
      go_on(row, before, done);
      add_answer(row, after);
    }
    return done;
  }

  /// The prompt `before` behind what `row` has; in a new row where it does not continue it.
  static void go_on(Row& row, const std::string& before, std::vector<Pieces>& done) {
    if (!row.pieces.empty() && !before.starts_with(row.text)) {
      done.push_back(std::move(row.pieces));
      row = {};
    }
    const std::string more = before.substr(row.text.size());
    if (!more.empty()) row.pieces.push_back({more, TokenRole::prompt});
    row.text = before;
  }

  void add_answer(Row& row, const std::string& after) const {
    std::string answer = after.substr(row.text.size());
    row.text = after;
    const bool ends = !end_.empty() && answer.ends_with(end_ + after_end_);
    if (ends) answer.resize(answer.size() - end_.size() - after_end_.size());
    row.pieces.push_back({std::move(answer), TokenRole::answer});
    if (ends) {
      row.pieces.push_back({end_, TokenRole::end});
      if (!after_end_.empty()) row.pieces.push_back({after_end_, TokenRole::filler});
    }
  }

  JinjaTemplate jinja_;
  Json variables_;
  std::string end_, after_end_;
};

}  // namespace

std::shared_ptr<const TemplateLayout> jinja_layout(const Tokenizer& tokenizer) {
  return std::make_shared<JinjaLayout>(tokenizer);
}

}  // namespace ft
