// What templates render: a conversation, or one exchange of it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ft {

/// One exchange. `input` is a text that the instruction is about; it and `system` may be empty.
struct Sample {
  std::string system, instruction, input, output;
};

/// The instruction with its input on the next line, for layouts that have one place for both.
std::string request_text(const Sample& sample);

struct Message {
  std::string role;  // "system", "user", "assistant", "tool"
  std::string content;
  nlohmann::ordered_json more = nlohmann::ordered_json::object();  // further members, for Jinja templates
};

/// Messages in order.
using Conversation = std::vector<Message>;

/// The sample as messages; `answered`: with its output.
Conversation conversation_of(const Sample& sample, bool answered);

}  // namespace ft
