#include "engine/data/jinja_eval.h"

#include <algorithm>

namespace ft::jinja {
namespace {

/// Puts another value in a place for as long as it lives.
template <class T>
class Swapped {
 public:
  Swapped(T& place, T value) : place_(place), kept_(std::exchange(place, std::move(value))) {}
  ~Swapped() { place_ = std::move(kept_); }
  Swapped(const Swapped&) = delete;
  Swapped& operator=(const Swapped&) = delete;

 private:
  T& place_;
  T kept_;
};

}  // namespace

void Scope::set(const std::string& name, Value value) {
  for (auto& [known, old] : names) {
    if (known != name) continue;
    old = std::move(value);
    return;
  }
  names.emplace_back(name, std::move(value));
}

const Value* Scope::find(const std::string& name) const {
  for (const Scope* s = this; s; s = s->parent.get())
    for (const auto& [known, value] : s->names)
      if (known == name) return &value;
  return nullptr;
}

std::string Evaluator::render(const Block& block) {
  std::string out;
  const Swapped<std::string*> to(out_, &out);
  execute(block);
  return out;
}

void Evaluator::write(std::string_view text) {
  run_.charge(text.size());
  out_->append(text);
}

Evaluator::Flow Evaluator::execute(const Block& block) {
  for (const auto& s : block)
    if (const Flow flow = execute(*s); flow != Flow::on) return flow;
  return Flow::on;
}

Evaluator::Flow Evaluator::execute(const Stmt& s) {
  const Level level(run_);
  run_.step();
  run_.line = s.line;
  switch (s.kind) {
    case Stmt::Kind::data:
      write(s.text);
      break;
    case Stmt::Kind::output:
      write(to_text(run_, eval(*s.value)));
      break;
    case Stmt::Kind::branch:
      for (const auto& [condition, body] : s.branches)
        if (!condition || eval(*condition).truth()) return execute(body);
      break;
    case Stmt::Kind::loop:
      return loop(s);
    case Stmt::Kind::set:
      assign(*s.targets[0], eval(*s.value));
      break;
    case Stmt::Kind::set_block:
    case Stmt::Kind::filter: {
      const auto scope = inner();
      scope->set(std::string(kBlockText), Value(captured(s.body, inner())));
      Value text;
      {
        const Swapped<std::shared_ptr<Scope>> in(scope_, scope);
        text = eval(*s.value);
      }
      if (s.kind == Stmt::Kind::filter)
        write(to_text(run_, text));
      else
        assign(*s.targets[0], text);
      break;
    }
    case Stmt::Kind::macro:
      scope_->set(s.text, macro(s));
      break;
    case Stmt::Kind::call: {
      Args args = arguments(*s.value);
      args.named.emplace_back("caller", macro(s));
      const Value callee = eval(*s.value->kids[0]);
      write(to_text(run_, call(run_, callee, args)));
      break;
    }
    case Stmt::Kind::with: {
      const auto scope = inner();
      for (const auto& [name, value] : s.parameters) scope->set(name, eval(*value));
      write(captured(s.body, scope));
      break;
    }
    case Stmt::Kind::plain:
      write(captured(s.body, inner()));
      break;
    case Stmt::Kind::stop:
      return Flow::stop;
    case Stmt::Kind::next:
      return Flow::next;
  }
  return Flow::on;
}

Evaluator::Flow Evaluator::loop(const Stmt& s) {
  Values items = iterate(run_, eval(*s.value));
  if (s.condition) {
    Values chosen;
    for (Value& item : items) {
      const Swapped<std::shared_ptr<Scope>> in(scope_, inner());
      assign(*s.targets[0], item);
      if (eval(*s.condition).truth()) chosen.push_back(std::move(item));
    }
    items = std::move(chosen);
  }
  for (size_t i = 0; i < items.size(); ++i) {
    run_.step();
    const Swapped<std::shared_ptr<Scope>> in(scope_, inner());
    auto state = std::make_shared<Loop>();
    state->index0 = static_cast<int64_t>(i);
    state->length = static_cast<int64_t>(items.size());
    if (i > 0) state->previous = items[i - 1];
    if (i + 1 < items.size()) state->next = items[i + 1];
    state->depth = std::max(state->previous.depth(), state->next.depth()) + 1;
    scope_->set("loop", run_.bounded(std::shared_ptr<const Loop>(std::move(state))));
    assign(*s.targets[0], items[i]);
    if (execute(s.body) == Flow::stop) break;
  }
  if (!items.empty()) return Flow::on;
  const Swapped<std::shared_ptr<Scope>> in(scope_, inner());
  return execute(s.otherwise);
}

void Evaluator::assign(const Expr& target, const Value& value) {
  if (target.kind == Expr::Kind::name) return scope_->set(target.text, value);
  if (target.kind == Expr::Kind::attribute) {
    Namespace* space = eval(*target.kids[0]).space();
    if (!space) run_.fail("{{% set {}.… %}} takes a namespace", target.kids[0]->text);
    if (target.text.starts_with('_')) run_.fail("a namespace's attribute may not begin with _");
    for (auto& [name, old] : space->attributes)
      if (name == target.text) return void(old = value);
    run_.charge(sizeof(Value) + target.text.size());
    space->attributes.emplace_back(target.text, value);
    return;
  }
  const Values parts = iterate(run_, value);
  if (parts.size() != target.kids.size())
    run_.fail("{} values for {} names", parts.size(), target.kids.size());
  for (size_t i = 0; i < parts.size(); ++i) assign(*target.kids[i], parts[i]);
}

std::string Evaluator::captured(const Block& body, std::shared_ptr<Scope> scope) {
  const Swapped<std::shared_ptr<Scope>> in(scope_, std::move(scope));
  return render(body);
}

// A macro sees the names around its definition as they are when it is called. It does not keep them alive: a
// macro that escapes its scope through a namespace cannot be called.
Value Evaluator::macro(const Stmt& s) {
  const std::weak_ptr<Scope> outer = scope_;
  return Value::function(s.text, [this, &s, outer](Run& run, const Args& args) {
    auto scope = outer.lock();
    if (!scope) run.fail("the macro {} is called outside of where it was defined", s.text);
    return run.text(call_macro(s, std::move(scope), args));
  });
}

std::string Evaluator::call_macro(const Stmt& s, std::shared_ptr<Scope> outer, const Args& args) {
  const Level level(run_);
  const int line = run_.line;
  auto scope = std::make_shared<Scope>(Scope{std::move(outer), {}});
  const Swapped<std::shared_ptr<Scope>> in(scope_, scope);
  Values more;
  for (size_t i = s.parameters.size(); i < args.positional.size(); ++i) more.push_back(args.positional[i]);
  Pairs others;
  for (const auto& [name, value] : args.named) {
    const bool known = std::any_of(s.parameters.begin(), s.parameters.end(),
                                   [&n = name](const auto& p) { return p.first == n; });
    if (known || name == "caller")
      scope->set(name, value);
    else
      others.emplace_back(name, value);
  }
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    const auto& [name, fallback] = s.parameters[i];
    const bool set = std::any_of(scope->names.begin(), scope->names.end(),
                                 [&n = name](const auto& v) { return v.first == n; });
    if (i < args.positional.size())
      scope->set(name, args.positional[i]);
    else if (!set)
      scope->set(name, fallback ? eval(*fallback) : Value::undefined(name));
  }
  scope->set("varargs", run_.list(std::move(more), true));
  scope->set("kwargs", run_.map(std::move(others)));
  std::string text = render(s.body);
  run_.line = line;
  return text;
}

}  // namespace ft::jinja
