// Text out of a generation: complete characters as they come, and an end at the first stop text.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/tokenizer.h"
#include "engine/generate/generator.h"

namespace ft {

/// The text of one row. What push() and flush() return, joined, is the answer up to the first stop text
/// (which is left out); what may yet turn out to be one is held back. Each part is complete UTF-8.
class AnswerText {
 public:
  AnswerText(std::shared_ptr<const Tokenizer> tokenizer, std::vector<std::string> stop)
      : decoder_(std::move(tokenizer)), stop_(std::move(stop)) {}
  std::string push(int32_t id);
  std::string flush();
  /// Has a stop text come? Nothing follows then.
  bool stopped() const { return stopped_; }

 private:
  std::string take(const std::string& more, bool all);

  StreamDecoder decoder_;
  std::vector<std::string> stop_;
  std::string held_;
  bool stopped_ = false;
};

struct Answer {
  std::string text;          // without special tokens, end token and stop text
  std::vector<int32_t> ids;  // the new ones, end token and stop text included
  StopReason reason = StopReason::length;
};

/// Called after each token with the part of a row's text that has become certain, perhaps none of it. False:
/// the row ends here.
using OnText = std::function<bool(size_t row, const std::string& text)>;

/// generate() with text. Rows end at options.stop too.
std::vector<Answer> generate_text(Model& model, Stream& stream, DType compute,
                                  const std::shared_ptr<const Tokenizer>& tokenizer,
                                  std::span<const std::vector<int32_t>> prompts,
                                  const GenerationOptions& options, const OnText& on_text = {},
                                  const Batching& batching = {});

}  // namespace ft
