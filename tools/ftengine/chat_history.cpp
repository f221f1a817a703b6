#include "tools/ftengine/chat_history.h"

#include <algorithm>
#include <utility>

#include "engine/core/check.h"
#include "engine/data/tokenizer_utf8.h"

namespace ft {

ChatHistory::ChatHistory(const Responder& responder, std::string system)
    : responder_(responder), system_(std::move(system)) {
  const Template* t = responder.prompt_template.get();
  keeps_turns_ = t && t->name() != "none";
  if (!keeps_turns_) return;
  turns_ = {{"user", "a"}};
  render();
  turns_ = {{"user", "a"}, {"assistant", "b"}, {"user", "c"}};
  try {
    render();
  } catch (const InputError&) {
    keeps_turns_ = false;
  }
  forget();
}

std::string ChatHistory::note() const {
  const Template* t = responder_.prompt_template.get();
  if (!keeps_turns_)
    return fmt::format("{} each message is answered on its own", t && t->name() != "none"
                                                                     ? "the template takes one exchange only:"
                                                                     : "without a template");
  if (t->name() == "tokenizer" || t->name() == "chatml") return {};
  return fmt::format(
      "template {} is one of single exchanges: earlier ones are written in front, as training on "
      "conversations does; /new leaves them out",
      t->name());
}

std::vector<int32_t> ChatHistory::render() const {
  if (!responder_.prompt_template)
    return responder_.prompt_ids(
        {.system = {}, .instruction = turns_.back().content, .input = {}, .output = {}});
  Conversation all = turns_;
  if (!system_.empty()) all.insert(all.begin(), {"system", system_});
  return responder_.prompt_template->render_prompt(all);
}

int64_t ChatHistory::virtual_rows() const {
  int64_t most = 0;
  for (const auto& step : responder_.steps)
    if (const VirtualTokens* before = step->before()) most = std::max(most, before->rows());
  return most;
}

// For an answer as long as it may be, but for no more than a quarter of the positions: a model of few should
// not forget everything for the sake of an answer that is seldom that long.
bool ChatHistory::leaves_room(int64_t prompt) const {
  const GenerationOptions& o = responder_.options;
  int64_t limit = responder_.loaded.model->facts().max_positions - virtual_rows();
  if (!o.max_new_tokens && o.max_length) limit = std::min(limit, *o.max_length);
  return prompt + std::min(o.max_new_tokens.value_or(limit), std::max<int64_t>(limit / 4, 1)) <= limit;
}

std::vector<int32_t> ChatHistory::ask(const std::string& message) {
  if (!is_valid_utf8(message)) bad_input("the message is not UTF-8");
  if (!keeps_turns_) forget();
  left_out_ = 0;
  turns_.push_back({"user", message});
  try {
    std::vector<int32_t> ids = render();
    while (turns_.size() > 1 && !leaves_room(static_cast<int64_t>(ids.size()))) {
      turns_.erase(turns_.begin(), turns_.begin() + 2);
      ++left_out_;
      ids = render();
    }
    token_budget(ids, virtual_rows(), responder_.options, responder_.loaded.model->facts(), "the message");
    return ids;
  } catch (...) {
    turns_.pop_back();
    throw;
  }
}

void ChatHistory::answered(const std::string& text) {
  turns_.push_back({"assistant", text});
}

}  // namespace ft
