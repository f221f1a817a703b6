#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/data/pretokenizer_regex.h"

#include <pcre2.h>

#include "engine/core/check.h"
#include "engine/data/tokenizer_utf8.h"
#include "engine/io/printable.h"

namespace ft {

struct TokenRegex::Code {
  explicit Code(pcre2_code* p) : compiled(p) {}
  ~Code() { pcre2_code_free(compiled); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  pcre2_code* compiled;
  std::string pattern;  // as the file has it, for messages
  std::string source;
};

namespace {

// A pattern that needs more than this for one match is taken for an attack. The families' own patterns stay
// orders of magnitude below.
constexpr uint32_t kMatchLimit = 2'000'000;
constexpr uint32_t kHeapLimitKib = 32 << 10;
constexpr size_t kJitStackBytes = size_t{1} << 20;

/// What a match needs besides the pattern, made once a thread.
struct MatchState {
  MatchState() {
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_heap_limit(context, kHeapLimitKib);
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~MatchState() {
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
    pcre2_match_data_free(data);
  }
  MatchState(const MatchState&) = delete;
  MatchState& operator=(const MatchState&) = delete;
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32 << 10, kJitStackBytes, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
};

std::string error_text(int code) {
  unsigned char buffer[256] = {};
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

}  // namespace

TokenRegex::TokenRegex(std::string_view pattern, std::string_view source) {
  const std::string translated = to_pcre2_syntax(pattern, source);
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(context, 100);
  int error = 0;
  PCRE2_SIZE where = 0;
  pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                       PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                                       &error, &where, context);
  pcre2_compile_context_free(context);
  if (!compiled) {
    bad_input("{}: the pre-tokenizer's pattern \"{}\" is not a regular expression: {}", source,
              printable(pattern), error_text(error));
  }
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);  // where it is not available, matching interprets
  auto code = std::make_shared<Code>(compiled);
  code->pattern = pattern;
  code->source = source;
  code_ = std::move(code);
}

void TokenRegex::find_all(std::string_view text, std::vector<TextSpan>& out) const {
  thread_local MatchState state;
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(state.data);
  size_t at = 0;
  while (at < text.size()) {
    // The caller vouches for the UTF-8; without this option each call would check the whole rest again.
    const int rc =
        pcre2_match(code_->compiled, subject, text.size(), at, PCRE2_NO_UTF_CHECK, state.data, state.context);
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0) {
      bad_input("{}: the pre-tokenizer's pattern \"{}\" cannot be matched on this text: {}", code_->source,
                printable(code_->pattern), error_text(rc));
    }
    const auto begin = static_cast<uint32_t>(bounds[0]), end = static_cast<uint32_t>(bounds[1]);
    if (end < begin) bad_input("{}: a pre-tokenizer pattern with \\K is not supported", code_->source);
    out.push_back({begin, end});
    at = end;
    if (begin == end && at < text.size()) at += next_utf8(text.substr(at)).bytes;
  }
}

}  // namespace ft
