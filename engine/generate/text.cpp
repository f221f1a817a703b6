#include "engine/generate/text.h"

#include <algorithm>

namespace ft {
namespace {

/// Bytes at the end of `text` that one of `stop` might begin with: they may not be shown yet.
size_t possible_stop(std::string_view text, const std::vector<std::string>& stop) {
  size_t longest = 0;
  for (const std::string& s : stop)
    for (size_t n = std::min(s.size() - 1, text.size()); n > longest; --n)
      if (text.ends_with(std::string_view(s).substr(0, n))) longest = n;
  return longest;
}

}  // namespace

std::string AnswerText::take(const std::string& more, bool all) {
  if (stopped_) return {};
  held_ += more;
  size_t end = std::string::npos;
  for (const std::string& s : stop_) end = std::min(end, held_.find(s));
  stopped_ = end != std::string::npos;
  if (!stopped_) end = held_.size() - (all ? 0 : possible_stop(held_, stop_));
  std::string out = held_.substr(0, end);
  held_.erase(0, stopped_ ? held_.size() : end);
  return out;
}

std::string AnswerText::push(int32_t id) {
  return take(decoder_.push(id), false);
}

std::string AnswerText::flush() {
  return take(decoder_.flush(), true);
}

std::vector<Answer> generate_text(Model& model, Stream& stream, DType compute,
                                  const std::shared_ptr<const Tokenizer>& tokenizer,
                                  std::span<const std::vector<int32_t>> prompts,
                                  const GenerationOptions& options, const OnText& on_text,
                                  const Batching& batching) {
  std::vector<Answer> answers(prompts.size());
  std::vector<AnswerText> texts(prompts.size(), AnswerText(tokenizer, options.stop));
  const auto show = [&](size_t row, const std::string& part) {
    answers[row].text += part;
    return !on_text || on_text(row, part);
  };
  const auto on_token = [&](size_t row, int32_t id) {
    return show(row, options.ends(id) ? "" : texts[row].push(id)) && !texts[row].stopped();
  };
  std::vector<Generated> results = generate(model, stream, compute, prompts, options, on_token, batching);
  for (size_t row = 0; row < results.size(); ++row) {
    show(row, texts[row].flush());
    answers[row].ids = std::move(results[row].ids);
    answers[row].reason = results[row].reason;
  }
  return answers;
}

}  // namespace ft
