// Jinja chat templates, our own subset: what transformers' environment renders for a conversation, to the
// byte, for every construct that is supported; anything else is an error that names it and its line.
//
// Templates are strangers' programs: they are run with bounds on steps, memory, output and nesting
// (jinja_run.h), see nothing but their variables, and change nothing. A template is immutable and may be
// shared by threads.
#pragma once

#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace ft {

/// No chat template is larger.
constexpr size_t kMaxJinjaBytes = size_t{1} << 20;

class JinjaTemplate {
 public:
  /// `name` stands for the template in messages: "FILE (chat_template)". Throws InputError "NAME:LINE: …".
  JinjaTemplate(std::string_view source, std::string name);
  ~JinjaTemplate();
  JinjaTemplate(const JinjaTemplate&) = delete;
  JinjaTemplate& operator=(const JinjaTemplate&) = delete;

  /// Renders with the members of `variables` (an object) as names; `now` is what strftime_now() tells. Throws
  /// InputError, also for what the template itself refuses (raise_exception).
  std::string render(const nlohmann::ordered_json& variables, std::time_t now) const;

  const std::string& name() const { return name_; }
  /// Does it ask for the date?
  bool dated() const { return dated_; }

 private:
  struct Tree;
  std::string name_;
  bool dated_;
  std::unique_ptr<const Tree> tree_;
};

}  // namespace ft
