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

TEST(Template, TheTokenizersOwnChatMlIsRecognised) {
  const auto tokenizer = fixture("qwen2");
  EXPECT_EQ(default_template(*tokenizer), "tokenizer");
  const auto tmpl = Template::make("tokenizer", tokenizer);
  EXPECT_EQ(tmpl->prompt_text(kPlain),
            "<|im_start|>system\nYou work in a lamp shop<|im_end|>\n<|im_start|>user\nWhere is the "
            "lamp?<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_TRUE(tmpl->prompt_text(kFull).starts_with("<|im_start|>system\nBe brief.<|im_end|>\n"));
}

TEST(Template, OneCharacterMoreOrLessIsNotRecognised) {
  const std::string jinja = fixture("qwen2")->chat_template();
  EXPECT_NO_THROW(Template::make("tokenizer", with_chat_template(jinja)));
  EXPECT_NO_THROW(Template::make("tokenizer", with_chat_template(jinja + "\n")));
  for (size_t at = 0; at < jinja.size(); at += 7) {
    std::string changed = jinja;
    changed[at] = changed[at] == 'q' ? 'r' : 'q';
    const auto known = recognize_chat_template(changed);
    // Inside the default system message a change is a change of that message.
    if (known) {
      EXPECT_NE(known->prompt(kPlain).find('q'), std::string::npos) << changed;
    }
  }
  expect_bad_input([&] { Template::make("tokenizer", with_chat_template("{{ messages }}")); },
                   {"needs Jinja", "human_assistant | chatml | alpaca | zh_instruct"});
}

TEST(Template, ReasoningBlockOfQwen3) {
  const auto layout = chatml_layout("", true);
  const auto completion = [&](const char* output) {
    return layout.completion({.system = "", .instruction = "q", .input = "", .output = output});
  };
  EXPECT_EQ(completion("\nfine"), "<think>\n\n</think>\n\nfine");
  EXPECT_EQ(completion("<think>\nwhy\n</think>\n\nfine"), "<think>\nwhy\n</think>\n\nfine");
  EXPECT_EQ(
      layout.completion(
          {.system = "", .instruction = "<tool_response>1</tool_response>", .input = "", .output = "fine"}),
      "fine");
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
