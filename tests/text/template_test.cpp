// Templates: exact text, exact mask, one renderer for training and generation.
#include "engine/data/template.h"

#include <numeric>

#include "tests/text/text_test.h"

namespace ft {
namespace {

using namespace ft::testing;
using Ids = std::vector<int32_t>;

std::shared_ptr<const Tokenizer> fixture(const char* name) {
  return Tokenizer::open(data_folder() / name);
}

Ids targets_of(const Rendered& r) {
  Ids ids;
  for (size_t i = 0; i < r.ids.size(); ++i) {
    if (r.target[i]) ids.push_back(r.ids[i]);
  }
  return ids;
}

/// `tokenizer` with another chat template.
std::shared_ptr<const Tokenizer> with_chat_template(const std::string& jinja) {
  const ScratchFolder scratch;
  scratch.write("tokenizer.json", read_text_file(data_folder() / "qwen2" / "tokenizer.json"));
  scratch.write("tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
  scratch.write("chat_template.jinja", jinja);
  return Tokenizer::open(scratch.path());
}

const Sample kPlain{.system = "", .instruction = "Where is the lamp?", .input = "", .output = "On its way."};
const Sample kFull{.system = "Be brief.", .instruction = "Translate", .input = "你好", .output = "hello"};

TEST(Template, TextsAreTheDocumentedOnes) {
  const auto tokenizer = fixture("qwen2");
  const auto text = [&](const char* name, const Sample& s) {
    return tokenizer->decode(Template::make(name, tokenizer)->render(s).ids, false);
  };
  EXPECT_EQ(text("human_assistant", kPlain), "Human: Where is the lamp?\n\nAssistant: On its way.<|im_end|>");
  EXPECT_EQ(text("human_assistant", kFull),
            "Be brief.\n\nHuman: Translate\n你好\n\nAssistant: hello<|im_end|>");
  EXPECT_EQ(text("chatml", kPlain),
            "<|im_start|>user\nWhere is the lamp?<|im_end|>\n<|im_start|>assistant\nOn its way.<|im_end|>\n");
  EXPECT_EQ(text("chatml", kFull),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nTranslate\n你好<|im_end|>\n"
            "<|im_start|>assistant\nhello<|im_end|>\n");
  EXPECT_EQ(text("zh_instruct", kPlain), "指令：Where is the lamp?\n回答：On its way.<|im_end|>");
  EXPECT_EQ(text("zh_instruct", kFull), "Be brief.\n\n指令：Translate\n输入：你好\n回答：hello<|im_end|>");
  EXPECT_EQ(
      text("alpaca", kPlain),
      "Below is an instruction that describes a task. Write a response that appropriately completes the "
      "request.\n\n### Instruction:\nWhere is the lamp?\n\n### Response:On its way.<|im_end|>");
  const std::string full = text("alpaca", kFull);
  EXPECT_NE(full.find("further context"), std::string::npos);
  EXPECT_TRUE(
      full.ends_with("### Instruction:\nTranslate\n\n### Input:\n你好\n\n### Response:hello<|im_end|>"))
      << full;
}

TEST(Template, EveryOneLearnsTheAnswerWithItsEndAndNothingElse) {
  for (const char* folder : {"qwen2", "smollm"}) {
    const auto tokenizer = fixture(folder);
    for (const TemplateInfo& info : template_list()) {
      EXPECT_FALSE(info.description.empty());
      if (info.name == "tokenizer" && tokenizer->chat_template().empty()) continue;
      const auto tmpl = Template::make(info.name, tokenizer);
      for (const Sample& sample : {kPlain, kFull}) {
        const Rendered r = tmpl->render(sample);
        ASSERT_EQ(r.ids.size(), r.target.size());
        Ids wanted = tokenizer->encode(sample.output);
        wanted.push_back(tmpl->stop_ids()[0]);
        EXPECT_EQ(targets_of(r), wanted) << info.name;
        const auto prompt = tmpl->render_prompt(sample);
        ASSERT_EQ(static_cast<size_t>(r.prompt_length), prompt.size());
        EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), r.ids.begin())) << info.name;
        EXPECT_EQ(std::accumulate(r.target.begin(), r.target.begin() + r.prompt_length, 0), 0);
        EXPECT_EQ(r.target[static_cast<size_t>(r.prompt_length)], 1);
      }
    }
  }
}

TEST(Template, AnEmptyAnswerStillLearnsToEnd) {
  const auto tokenizer = fixture("qwen2");
  const auto tmpl = Template::make("chatml", tokenizer);
  EXPECT_EQ(targets_of(tmpl->render({.system = "", .instruction = "x", .input = "", .output = ""})),
            Ids{*tokenizer->token_to_id("<|im_end|>")});
}

TEST(Template, MasksComeFromPositionsNotFromIds) {
  // End tokens inside the prompt are not learnt; those that the answer writes out are.
  const auto tokenizer = fixture("qwen2");
  const auto tmpl = Template::make("chatml", tokenizer);
  const Rendered r =
      tmpl->render({.system = "s", .instruction = "a<|im_end|>", .input = "", .output = "b<|im_end|>c"});
  const int32_t end = *tokenizer->token_to_id("<|im_end|>");
  int learnt = 0, all = 0;
  for (size_t i = 0; i < r.ids.size(); ++i) {
    all += r.ids[i] == end;
    learnt += r.ids[i] == end && r.target[i];
  }
  EXPECT_EQ(all, 5);
  EXPECT_EQ(learnt, 2);
}

TEST(Template, BosStandsThereExactlyOnce) {
  const auto tokenizer = fixture("llama3");
  const int32_t bos = *tokenizer->bos_id();
  const auto count = [&](const Template& t, const Sample& s) {
    const auto ids = t.render(s).ids;
    EXPECT_EQ(ids[0], bos);
    return std::count(ids.begin(), ids.end(), bos);
  };
  EXPECT_EQ(count(*Template::make("human_assistant", tokenizer), kFull), 1);
  const InlineTemplate with_bos{.prompt = "<|begin_of_text|>{instruction}:", .completion_suffix = ""};
  EXPECT_EQ(count(*Template::make(with_bos, tokenizer), kFull), 1);
}

TEST(Template, StopIds) {
  const auto tokenizer = fixture("qwen2");  // eos is <|im_end|>
  const int32_t end = *tokenizer->token_to_id("<|im_end|>"),
                text_end = *tokenizer->token_to_id("<|endoftext|>");
  const auto stops = [](const Template& t) { return Ids(t.stop_ids().begin(), t.stop_ids().end()); };
  EXPECT_EQ(stops(*Template::make("chatml", tokenizer)), Ids{end});
  const InlineTemplate other{.prompt = "{instruction}", .completion_suffix = "\n<|endoftext|>"};
  const auto tmpl = Template::make(other, tokenizer);
  EXPECT_EQ(stops(*tmpl), (Ids{text_end, end}));
  EXPECT_EQ(tokenizer->decode(targets_of(tmpl->render(kPlain)), false), "On its way.\n<|endoftext|>");
}

TEST(Template, Inline) {
  const auto tokenizer = fixture("qwen2");
  const InlineTemplate text{.prompt = "{{{system}}} Q: {instruction} [{input}]\nA:",
                            .completion_suffix = " #"};
  const auto tmpl = Template::make(text, tokenizer);
  EXPECT_EQ(tmpl->prompt_text(kFull), "{Be brief.} Q: Translate [你好]\nA:");
  // What a sample says is put in as it is, braces and all.
  EXPECT_EQ(tmpl->prompt_text({.system = "", .instruction = "{input}", .input = "x", .output = ""}),
            "{} Q: {input} [x]\nA:");
  EXPECT_EQ(tokenizer->decode(targets_of(tmpl->render(kFull)), false), "hello #<|im_end|>");
  for (const char* prompt :
       {"{instruction} {output}", "{instruction", "instruction}", "{}", "{instruction}}"}) {
    expect_bad_input([&] { Template::make(InlineTemplate{prompt, ""}, tokenizer); }, {"prompt"});
  }
  expect_bad_input([&] { Template::make(InlineTemplate{"{input}", ""}, tokenizer); }, {"{instruction}"});
}

/// A chat template beside its tokenizer; qwen2 has <|im_start|> and <|im_end|> (its eos).
std::shared_ptr<const Template> jinja(const std::string& source) {
  return Template::make("tokenizer", with_chat_template(source));
}

Ids learnt(const Rendered& r, int from = 0) {
  Ids ids;
  for (size_t i = static_cast<size_t>(from); i < r.ids.size(); ++i)
    if (r.target[i]) ids.push_back(r.ids[i]);
  return ids;
}

const Conversation kTurns = {
    {"system", "Be brief."}, {"user", "one"}, {"assistant", "eins"}, {"user", "two"}, {"assistant", "zwei"}};

constexpr const char* kChatMl =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
/// Qwen3's habit: reasoning stands before the last answer only.
constexpr const char* kThinking =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

TEST(Template, TheTokenizersOwnIsRendered) {
  const auto tokenizer = fixture("qwen2");
  EXPECT_EQ(default_template(*tokenizer), "tokenizer");
  const auto tmpl = Template::make("tokenizer", tokenizer);
  EXPECT_EQ(tmpl->prompt_text(kPlain),
            "<|im_start|>system\nYou work in a lamp shop<|im_end|>\n<|im_start|>user\nWhere is the "
            "lamp?<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_TRUE(tmpl->prompt_text(kFull).starts_with("<|im_start|>system\nBe brief.<|im_end|>\n"));
  expect_bad_input([&] { jinja("{{ x|nofilter }}"); }, {"chat_template", ":1:", "nofilter"});
}

// The same conversation through the named ChatML and through a Jinja template that is ChatML.
TEST(Template, ConversationsLearnEveryAnswerWithItsEnd) {
  const auto tokenizer = fixture("qwen2");
  const auto named = Template::make("chatml", tokenizer), own = jinja(kChatMl);
  const auto rows = own->render(kTurns);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].ids, named->render(kTurns).at(0).ids);
  EXPECT_EQ(rows[0].target, named->render(kTurns).at(0).target);
  EXPECT_EQ(tokenizer->decode(learnt(rows[0]), false), "eins<|im_end|>zwei<|im_end|>");
  EXPECT_EQ(tokenizer->decode(learnt(rows[0], rows[0].last_answer), false), "zwei<|im_end|>");
  EXPECT_EQ(rows[0].role[static_cast<size_t>(rows[0].last_answer)], TokenRole::answer);
  EXPECT_EQ(rows[0].role.back(), TokenRole::filler);
}

// must-not-happen 5: a mask that is all zero or all one with a stock chat template.
TEST(Template, MustNotHappen5MasksComeFromRenderingTurnByTurn) {
  for (const char* source : {kChatMl, kThinking})
    for (const Rendered& r : jinja(source)->render(kTurns)) {
      const auto targets = std::accumulate(r.target.begin(), r.target.end(), 0);
      EXPECT_GT(targets, 0);
      EXPECT_LT(targets, static_cast<int>(r.ids.size()));
      EXPECT_EQ(r.target[0], 0);
    }
}

TEST(Template, AnswersBehindARewrittenPastAreRowsOfTheirOwn) {
  const auto tmpl = jinja(kThinking);
  const auto rows = tmpl->render(kTurns);
  ASSERT_EQ(rows.size(), 2u);
  const Tokenizer& t = tmpl->tokenizer();
  EXPECT_EQ(t.decode(learnt(rows[0]), false), "<think>\n\n</think>\n\neins<|im_end|>");
  EXPECT_EQ(t.decode(learnt(rows[1]), false), "<think>\n\n</think>\n\nzwei<|im_end|>");
  EXPECT_NE(t.decode(rows[1].ids, false).find("assistant\neins<|im_end|>"), std::string::npos);
}

// must-not-happen 6: what generation is given is what was trained on, at every turn.
TEST(Template, MustNotHappen6TrainingIdsAreGenerationIds) {
  const auto tokenizer = fixture("qwen2");
  for (const auto& tmpl : {Template::make("chatml", tokenizer), Template::make("human_assistant", tokenizer),
                           Template::make("alpaca", tokenizer), jinja(kChatMl), jinja(kThinking)}) {
    const Rendered last = tmpl->render(kTurns).back();
    const Conversation asked(kTurns.begin(), kTurns.end() - 1);
    EXPECT_EQ(tmpl->render_prompt(asked), Ids(last.ids.begin(), last.ids.begin() + last.last_answer))
        << tmpl->name();
    const Rendered first = tmpl->render(kTurns).front();
    const Conversation start(kTurns.begin(), kTurns.begin() + 2);
    EXPECT_EQ(tmpl->render_prompt(start), Ids(first.ids.begin(), first.ids.begin() + first.prompt_length))
        << tmpl->name();
    EXPECT_EQ(tmpl->golden_prompt_ids(), tmpl->golden_prompt_ids());
  }
  EXPECT_NE(jinja(kChatMl)->golden_prompt_ids(), Template::make("alpaca", tokenizer)->golden_prompt_ids());
}

// must-not-happen 7.
TEST(Template, MustNotHappen7BosOfAJinjaTemplateStandsThereOnce) {
  const auto llama = [](const std::string& source) {
    const ScratchFolder scratch;
    for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
      scratch.write(file, read_text_file(data_folder() / "llama3" / file));
    scratch.write("chat_template.jinja", source);
    return Template::make("tokenizer", Tokenizer::open(scratch.path()));
  };
  const std::string turns = "{% for m in messages %}{{ m.role + ': ' + m.content + eos_token }}{% endfor %}";
  for (const std::string& source : {"{{ bos_token }}" + turns, turns}) {
    const auto tmpl = llama(source);
    const int32_t bos = *tmpl->tokenizer().bos_id();
    const auto ids = tmpl->render(kTurns).at(0).ids;
    EXPECT_EQ(ids[0], bos);
    EXPECT_EQ(std::count(ids.begin(), ids.end(), bos), 1);
  }
  expect_bad_input([&] { llama("{{ bos_token + bos_token }}" + turns); }, {"more than once"});
}

TEST(Template, WhatATemplateRefusesIsTheRowsFault) {
  const auto strict = jinja(std::string("{% if messages[0].role == 'system' %}"
                                        "{{ raise_exception('System role not supported') }}{% endif %}") +
                            kChatMl);
  expect_bad_input([&] { strict->render(kTurns); }, {"System role not supported"});
  const auto other = jinja(
      "{% for m in messages %}{{ '<|im_start|>' + m.content + '<|im_end|>' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant <think>' }}{% endif %}");
  expect_bad_input([&] { other->render(kTurns); }, {"generation prompt", "another template"});
  const auto named = Template::make("alpaca", fixture("qwen2"));
  expect_bad_input([&] { named->render(Conversation{{"user", "a"}, {"tool", "b"}}); }, {"message 2", "tool"});
  expect_bad_input([&] { named->render(Conversation{{"assistant", "a"}}); }, {"message 1", "assistant"});
}

TEST(Template, MixturesDrawByKeyAndStopAtAnyEnd) {
  const auto tokenizer = fixture("qwen2");
  const InlineTemplate other{.prompt = "{instruction}", .completion_suffix = "<|endoftext|>"};
  const auto mixed =
      Template::mixture({Template::make("chatml", tokenizer), Template::make(other, tokenizer)});
  EXPECT_EQ(mixed->name(), "chatml | inline");
  EXPECT_EQ(mixed->stop_ids().size(), 2u);
  int first = 0;
  for (uint64_t key = 0; key < 1000; ++key) {
    first += mixed->drawn(key).name() == "chatml";
    EXPECT_EQ(&mixed->drawn(key), &mixed->drawn(key));
  }
  EXPECT_GT(first, 400);
  EXPECT_LT(first, 600);
  EXPECT_EQ(mixed->render_prompt(kPlain), Template::make("chatml", tokenizer)->render_prompt(kPlain));
}

TEST(Template, WhatDoesNotFitIsRefused) {
  expect_bad_input([&] { Template::make("chatml", fixture("gpt2")); }, {"chatml", "<|im_start|>"});
  expect_bad_input([&] { Template::make("tokenizer", fixture("gpt2")); },
                   {"chat_template", "human_assistant"});
  expect_bad_input([&] { Template::make("alpaca", fixture("bloom")); }, {"alpaca", "eos_token"});
  expect_bad_input([&] { Template::make("chatlm", fixture("gpt2")); }, {"chatlm", "chatml", "zh_instruct"});
  EXPECT_EQ(default_template(*fixture("gpt2")), "human_assistant");
}

}  // namespace
}  // namespace ft
