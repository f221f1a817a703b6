#include "engine/data/jinja.h"

#include "engine/core/check.h"
#include "engine/data/jinja_eval.h"
#include "engine/data/jinja_syntax.h"
#include "engine/data/tokenizer_utf8.h"

namespace ft {

struct JinjaTemplate::Tree {
  jinja::Block block;
};

JinjaTemplate::JinjaTemplate(std::string_view source, std::string name)
    : name_(std::move(name)), dated_(source.find("strftime_now") != source.npos) {
  if (source.size() > kMaxJinjaBytes) bad_input("{}: larger than {} bytes", name_, kMaxJinjaBytes);
  if (!is_valid_utf8(source)) bad_input("{}: not UTF-8", name_);
  tree_ = std::make_unique<const Tree>(Tree{jinja::parse(source, name_)});
}

JinjaTemplate::~JinjaTemplate() = default;

std::string JinjaTemplate::render(const nlohmann::ordered_json& variables, std::time_t now) const {
  jinja::Run run(name_, now);
  const auto globals = std::make_shared<jinja::Scope>();
  for (const auto& [key, value] : variables.items())
    globals->names.emplace_back(key, jinja::Value::from_json(value));
  return jinja::Evaluator(run, std::make_shared<jinja::Scope>(jinja::Scope{globals, {}}))
      .render(tree_->block);
}

}  // namespace ft
