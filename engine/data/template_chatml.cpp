// ChatML, and the Jinja templates that are ChatML.
//
// A tokenizer's chat template is a program. Those of the SmolLM2 and Qwen families are known word for word,
// up to the default system message, and rendered here without running anything; a template that differs by
// one character from all of them is not recognised, since guessing what it means would be a silent error.
#include <algorithm>
#include <array>

#include "engine/data/template.h"

namespace ft {
namespace {

std::string strip_newlines(std::string_view text, bool left, bool right) {
  while (left && text.starts_with('\n')) text.remove_prefix(1);
  while (right && text.ends_with('\n')) text.remove_suffix(1);
  return std::string(text);
}

/// An answer as Qwen3 is trained on it: what stands before </think> is its reasoning. A request that is a
/// tool's response gets no block.
std::string with_reasoning(const Sample& s) {
  constexpr std::string_view open = "<think>", close = "</think>";
  const std::string user = request_text(s);
  const bool tool = user.starts_with("<tool_response>") && user.ends_with("</tool_response>");
  std::string content = s.output, reasoning;
  if (const size_t end = s.output.find(close); end != std::string::npos) {
    content = strip_newlines(s.output.substr(s.output.rfind(close) + close.size()), true, false);
    reasoning = strip_newlines(s.output.substr(0, end), false, true);
    if (const size_t begin = reasoning.rfind(open); begin != std::string::npos) {
      reasoning.erase(0, begin + open.size());
    }
    reasoning = strip_newlines(reasoning, true, true);
  }
  if (tool) return content;
  return "<think>\n" + reasoning + "\n</think>\n\n" + strip_newlines(content, true, false);
}

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 14695981039346656037ull;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211ull;
  return hash;
}

/// The text between `before` and `after` at the first place where it is a plain literal; empty if there is
/// none.
std::string_view literal_between(std::string_view text, std::string_view before, std::string_view after) {
  for (size_t at = text.find(before); at != std::string_view::npos; at = text.find(before, at + 1)) {
    const std::string_view rest = text.substr(at + before.size());
    const std::string_view literal = rest.substr(0, std::min(rest.find(after), rest.size()));
    if (literal.size() < rest.size() && literal.find_first_of("'\"{}\\\n") == std::string_view::npos)
      return literal;
  }
  return {};
}

std::string_view default_system_of(std::string_view jinja) {
  constexpr std::array<std::array<std::string_view, 2>, 3> kPlaces = {{
      {"{% set system_message = '", "' %}"},
      {"<|im_start|>system\n", "<|im_end|>"},
      {"<|im_start|>system\\n", "<|im_end|>"},
  }};
  for (const auto& [before, after] : kPlaces) {
    const auto found = literal_between(jinja, before, after);
    if (!found.empty()) return found;
  }
  return {};
}

struct KnownTemplate {
  uint64_t hash;  // FNV-1a of the template with \x01 for the default system message, without a last line end
  bool default_system;
  bool think;
};
constexpr std::array kKnown = {
    KnownTemplate{0xc882163869b81266, true,
                  false},  // one loop, a default system message: SmolLM2, Qwen1.5, Qwen2
    KnownTemplate{0xdd74188cba4e18f3, true,
                  false},  // system_message set first: Qwen2 as other trainers save it
    KnownTemplate{0xf00d7d97742fbb3d, true, false},   // Qwen2.5, with tools
    KnownTemplate{0x2bfdb7aa9754484e, false, true},   // Qwen3 at its release
    KnownTemplate{0x959a4551391a6549, false, true},   // Qwen3 since mid-2025
    KnownTemplate{0x88bf4138d5c826f0, false, false},  // one loop without a default
    KnownTemplate{0x773d13e188afc917, false,
                  false},  // the same, add_generation_prompt false where it is not defined
};

}  // namespace

Template::Layout chatml_layout(std::string default_system, bool think) {
  Template::Layout layout;
  layout.needs = {"<|im_start|>", "<|im_end|>"};
  layout.end = "<|im_end|>";
  layout.after_end = "\n";
  layout.prompt = [default_system = std::move(default_system)](const Sample& s) {
    const std::string& system = s.system.empty() ? default_system : s.system;
    std::string text;
    if (!system.empty()) text += "<|im_start|>system\n" + system + "<|im_end|>\n";
    return text + "<|im_start|>user\n" + request_text(s) + "<|im_end|>\n<|im_start|>assistant\n";
  };
  layout.completion = [think](const Sample& s) { return think ? with_reasoning(s) : s.output; };
  return layout;
}

std::optional<Template::Layout> recognize_chat_template(std::string_view jinja) {
  if (jinja.ends_with('\n')) jinja.remove_suffix(1);
  const std::string_view system = default_system_of(jinja);
  std::string skeleton;
  for (size_t at = 0; at < jinja.size();) {
    const size_t next = system.empty() ? std::string_view::npos : jinja.find(system, at);
    skeleton += jinja.substr(at, next == std::string_view::npos ? next : next - at);
    if (next == std::string_view::npos) break;
    skeleton += '\x01';
    at = next + system.size();
  }
  const uint64_t hash = fnv1a(skeleton);
  for (const KnownTemplate& known : kKnown) {
    if (known.hash != hash || known.default_system == system.empty()) continue;
    return chatml_layout(std::string(system), known.think);
  }
  return std::nullopt;
}

}  // namespace ft
