// A chat template from a stranger: parsed, rendered, and used as the layout of a tokenizer's conversations.
#include "engine/data/jinja.h"

#include <nlohmann/json.hpp>

#include "engine/data/template.h"
#include "engine/data/tokenizer_parts.h"
#include "engine/io/json.h"
#include "tests/fuzz/fuzz.h"

namespace ft::fuzz {
namespace {

using Ordered = nlohmann::ordered_json;

const Ordered& variables() {
  static const Ordered one = Ordered::parse(R"({
    "messages": [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "Where is the lamp?"},
                 {"role": "assistant", "content": "<think>\nhm\n</think>\n\nOn its way.", "tool_calls":
                  [{"type": "function", "function": {"name": "track", "arguments": {"order": "7", "deep": [1, 2.5, null]}}}]},
                 {"role": "tool", "content": "in Köln 快到了"}, {"role": "user", "content": ""}],
    "tools": [{"type": "function", "function": {"name": "track", "parameters": {"type": "object"}}}],
    "documents": null, "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"})");
  return one;
}

/// What a folder with this template is used for: rows and prompts.
void use_as_layout(std::string_view source) {
  static const std::string json = repository_file("tests/text/data/qwen2/tokenizer.json");
  TokenizerParts parts = parts_from_tokenizer_json(json, "tokenizer.json");
  parts.chat_template = source;
  parts.eos_id = parts.id("<|im_end|>");
  const auto t = Template::make("tokenizer", std::make_shared<const Tokenizer>(std::move(parts)));
  t->render(Conversation{{"user", "a"}, {"assistant", "b"}, {"user", "c"}, {"assistant", "d"}});
  t->golden_prompt_ids();
}

}  // namespace

std::vector<std::string> seeds() {
  const Json all = parse_json(repository_file("tests/text/data/jinja.json"), "jinja.json");
  std::vector<std::string> good;
  for (const Json& t : all.at("templates")) {
    auto source = t.get<std::string>();
    if (source.size() > 3000) continue;
    try {
      JinjaTemplate(source, "t").render(variables(), kTemplateDate);
      good.push_back(std::move(source));
    } catch (const InputError&) {  // one of the committed cases that are errors
    }
  }
  good.push_back(
      "{% set ns = namespace(n=0) %}{% for i in range(9) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}");
  return good;
}

std::vector<std::string> words() {
  return {"{{ ",
          " }}",
          "{%- ",
          " -%}",
          "{# ",
          " #}",
          "{% for m in messages %}",
          "{% endfor %}",
          "{% for i in range(1000000000) %}",
          "{% for i in range(99999) %}",
          "{% if ",
          "{% elif ",
          "{% else %}",
          "{% endif %}",
          "{% set x = ",
          "{% set x %}",
          "{% endset %}",
          "{% macro f(a, b=1) %}",
          "{% endmacro %}",
          "{% generation %}",
          "{% endgeneration %}",
          "{% break %}",
          "{% continue %}",
          "{{ f(f, f) }}",
          "{{ 'ab' * 1000000000 }}",
          "{{ [0] * 1000000000 }}",
          "{% set x = x + x %}",
          "{% set x = [x, x] %}",
          "{% set ns = namespace(a=1) %}",
          "{% set ns.a = ns %}",
          "{{ ns.a + ns.a }}",
          "{{ x|replace('a', 'aa') }}",
          "|tojson(indent=4)",
          "|join(',')",
          "|list",
          "|map(attribute='role')",
          "|selectattr('role', 'equalto', 'user')",
          "|sort",
          "|unique",
          "|trim",
          "|length",
          "|reverse",
          "|string",
          "|int",
          "|float",
          "|items",
          "|dictsort",
          "|default('')",
          "|indent(2000000000)",
          ".split('')",
          ".split('a', 3)",
          ".strip()",
          ".replace('', 'aaaa')",
          ".join(messages)",
          ".center(999999999)",
          ".format(1)",
          "%s%d",
          "[::-1]",
          "[1:99:2]",
          "[-9223372036854775808]",
          "9223372036854775807",
          "1e999",
          " // 0",
          " % 0",
          " ** 99999",
          " ~ ",
          " in ",
          " not in ",
          " is defined ",
          " is mapping ",
          " and ",
          " or ",
          "raise_exception('x')",
          "strftime_now('%d %b %Y')",
          "strftime_now('%999999999d')",
          "loop.previtem",
          "loop.index0",
          "loop.last",
          "messages[0].content",
          "messages[-1]['role']",
          "tools",
          "none",
          "true",
          "dict(a=1)",
          "((((((((",
          "[[[[[[[[",
          "{{{{{{{{",
          "{'a': {'a': ",
          "not not not not ",
          "- - - - "};
}

}  // namespace ft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ft;
  const std::string_view source = fuzz::text_of(data, size);
  return fuzz::take_or_refuse([&] {
    JinjaTemplate(source, "t").render(fuzz::variables(), kTemplateDate);
    try {
      fuzz::use_as_layout(source);
    } catch (const InputError&) {  // it renders, but not as a tokenizer's template has to
    }
  });
}
