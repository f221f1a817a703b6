// Chat templates: what transformers renders, to the byte, and bounds on what a stranger's template can do.
#include "engine/data/jinja.h"

#include <cstdlib>

#include "tests/text/text_test.h"

namespace ft {
namespace {

using namespace ft::testing;
using Object = nlohmann::ordered_json;

std::string rendered(const std::string& source, const Object& variables = Object::object(),
                     std::time_t now = 0) {
  return JinjaTemplate(source, "t").render(variables, now);
}

/// Every case of a file of tools/fixtures/make_templates.py; returns how many there were.
size_t expect_cases(const std::filesystem::path& path) {
  const Object file = Object::parse(read_text_file(path));
  setenv("TZ", "UTC", 1);
  for (const Object& c : file["cases"]) {
    const std::string source = file["templates"][c["template"].get<size_t>()].get<std::string>();
    const Object& variables = file["variables"][c["variables"].get<size_t>()];
    std::string text, error;
    try {
      text = rendered(source, variables, c["now"].get<std::time_t>());
    } catch (const InputError& e) {
      error = e.what();
    }
    const std::string about = c["name"].get<std::string>() + ": " + source.substr(0, 200);
    if (c.contains("error")) {
      EXPECT_TRUE(error.starts_with("t:"))
          << about << "\nexpected " << c["error"] << ", got " << text << error;
      EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    } else {
      EXPECT_EQ(error, "") << about;
      EXPECT_EQ(text, c["text"].get<std::string>()) << about;
    }
  }
  return file["cases"].size();
}

TEST(Jinja, RendersWhatTransformersDoes) {
  EXPECT_GT(expect_cases(data_folder() / "jinja.json"), 300u);
  if (const char* more = std::getenv("FT_JINJA_CASES"))
    std::printf("%zu cases of %s\n", expect_cases(more), more);
}

TEST(Jinja, WhatIsMissingIsNamedWithItsLine) {
  const auto refuses = [](const std::string& source, const std::vector<std::string>& parts) {
    expect_bad_input([&] { rendered(source, {{"x", "a"}}); }, parts);
  };
  refuses("\n\n{{ x|urlize }}", {"t:3", "filter 'urlize'"});
  refuses("{{ 1 }}\n{{ x is escaped }}", {"t:2", "test 'escaped'"});
  refuses("\n{% extends 'y' %}", {"t:2", "extends"});
  refuses("\n{{ x.zfill(3) }}", {"t:2", "zfill"});
  refuses("\n\n{{ cycler(1) }}", {"t:3", "cycler"});
  refuses("{% for a in [1] recursive %}{% endfor %}", {"t:1", "recursive"});
  refuses("{% if x %}\n{% for y in z %}\n", {"t:", "line 2", "endfor"});
  refuses("{{ x }}\n\n{{ raise_exception('roles\nmust alternate') }}", {"t:3", "roles"});
}

// A template that wants the machine gets an error instead.
TEST(Jinja, HostileTemplatesEndSoon) {
  const auto refuses = [](const std::string& source) {
    EXPECT_THROW(rendered(source, {{"x", "a"}}), InputError) << source.substr(0, 80);
  };
  const std::string a9 = "{% for a in range(100000) %}";
  refuses(a9 + a9 + "{{ a }}{% endfor %}{% endfor %}");
  refuses("{% set ns = namespace(s='abcdefgh') %}" + a9 + "{% set ns.s = ns.s + ns.s %}{% endfor %}");
  refuses("{{ 'a' * 9000000000000 }}");
  refuses("{{ [1] * 9000000000000 }}");
  refuses("{{ ('ab' * 1000000).replace('', 'x' * 1000) }}");
  refuses("{{ 'a'|indent(1000000000) }}");
  refuses("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}");
  refuses("{% set ns = namespace() %}{% set ns.l = [] %}" + a9 +
          "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}");
  const std::string ns = "{% set ns = namespace(v=1) %}";
  refuses(ns + a9 + "{% set ns.v = [ns.v] %}{% endfor %}");
  refuses(ns + a9 + "{% set ns.v = {'a': ns.v} %}{% endfor %}");
  refuses(ns + a9 + "{% set ns.v = [ns.v].index %}{% endfor %}");
  refuses(
      ns + a9 +
      "{% for x in [1, ns.v] %}{% if loop.first %}{% set ns.v = loop %}{% endif %}{% endfor %}{% endfor %}");
  refuses("{{ " + std::string(100000, '(') + "1" + std::string(100000, ')') + " }}");
  refuses("{{ " + std::string(100000, '-') + "1 }}");
  std::string sum = "{{ 1", blocks;
  for (int i = 0; i < 100000; ++i) sum += "+1";
  for (int i = 0; i < 10000; ++i) blocks += "{% if x %}";
  refuses(sum + " }}");
  refuses(blocks);
  refuses(std::string(kMaxJinjaBytes + 1, 'x'));
  refuses("{{ '\xff' }}");
}

TEST(Jinja, ANamespaceThatHoldsItselfGoesAway) {
  EXPECT_EQ(rendered("{% set ns = namespace() %}{% set ns.me = [ns] %}{{ ns.me|length }}"), "1");
}

// Any cut or changed template renders or is refused; it does nothing else.
TEST(Jinja, DamagedTemplatesAreRefusedOrRendered) {
  const Object file = Object::parse(read_text_file(data_folder() / "jinja.json"));
  TestRandom random(5);
  size_t refused = 0, tried = 0;
  for (const Object& source : file["templates"]) {
    for (int i = 0; i < 12; ++i, ++tried) {
      std::string changed = source.get<std::string>();
      if (changed.empty()) continue;
      const size_t at = random.below(changed.size());
      if (i % 3 == 0) changed.resize(at);
      if (i % 3 == 1) changed.erase(at, 1 + random.below(4));
      if (i % 3 == 2) changed.insert(at, std::string(1, "{%}#|()[]'\"\\.-+ x0"[random.below(19)]));
      try {
        rendered(changed, file["variables"].back());
      } catch (const InputError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, tried / 4);
  EXPECT_LT(refused, tried);
}

}  // namespace
}  // namespace ft
