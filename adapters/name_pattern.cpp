#define PCRE2_CODE_UNIT_WIDTH 8
#include "adapters/name_pattern.h"

#include <pcre2.h>

#include "engine/core/check.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

constexpr size_t kLongest = 4096;
constexpr uint32_t kSteps = 100'000, kHeapKib = 4096;  // names have some 50 characters

PCRE2_SPTR units(const std::string& text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

}  // namespace

struct NamePattern::Code {
  std::string pattern, where;
  pcre2_code* compiled = nullptr;
  pcre2_match_data* match = nullptr;
  pcre2_match_context* limits = nullptr;

  Code() = default;
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() {
    pcre2_match_context_free(limits);
    pcre2_match_data_free(match);
    pcre2_code_free(compiled);
  }
};

NamePattern::NamePattern(const std::string& pattern, const std::string& where) {
  auto code = std::make_shared<Code>();
  code->pattern = pattern;
  code->where = where;
  int error = 0;
  PCRE2_SIZE at = 0;
  if (pattern.size() <= kLongest)
    code->compiled = pcre2_compile(units(pattern), pattern.size(), PCRE2_ANCHORED | PCRE2_ENDANCHORED, &error,
                                   &at, nullptr);
  if (!code->compiled) bad_input("{}: '{}' is not a regular expression", where, printable(pattern, 200));
  code->match = pcre2_match_data_create(1, nullptr);
  code->limits = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(code->limits, kSteps);
  pcre2_set_heap_limit(code->limits, kHeapKib);
  code_ = std::move(code);
}

bool NamePattern::matches(const std::string& name) const {
  const int found = pcre2_match(code_->compiled, units(name), name.size(), 0, 0, code_->match, code_->limits);
  if (found < 0 && found != PCRE2_ERROR_NOMATCH)
    bad_input("{}: '{}' takes too many steps to compare with '{}'; write it with fewer repetitions",
              code_->where, printable(code_->pattern, 200), name);
  return found >= 0;
}

}  // namespace ft
