// The turns of a conversation, and the prompt that they make with the next message.
//
// Rendered like training data of format chat, by the same template. What outgrows the model's positions is
// forgotten from its oldest exchange on, never the system message.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/data/conversation.h"
#include "tools/ftengine/responder.h"

namespace ft {

class ChatHistory {
 public:
  /// `responder` must outlive it. Throws ft::InputError where the template takes no system message.
  ChatHistory(const Responder& responder, std::string system);

  /// What a person should know about how turns are kept; empty: nothing.
  std::string note() const;
  /// The prompt's ids. Throws ft::InputError for a message that does not fit by itself; nothing is kept of
  /// it.
  std::vector<int32_t> ask(const std::string& message);
  /// Exchanges that the last ask() had to forget.
  int left_out() const { return left_out_; }
  void answered(const std::string& text);
  void forget() { turns_.clear(); }

 private:
  std::vector<int32_t> render() const;
  bool leaves_room(int64_t prompt) const;
  int64_t virtual_rows() const;

  const Responder& responder_;
  std::string system_;
  Conversation turns_;  // user and assistant in turn
  bool keeps_turns_ = true;
  int left_out_ = 0;
};

}  // namespace ft
