// ftengine check: shows what the model will see, says what is wrong with file and line, and changes nothing.
#include <cmath>
#include <cstring>
#include <sstream>

#include "tests/cli/program.h"
#include "tests/cli/terminal.h"

namespace ft::cli {
namespace {

using nlohmann::json;

constexpr const char* kRows =
    "{\"prompt\": \"one\", \"completion\": \"eins\"}\n{\"prompt\": \"two\", \"completion\": \"zwei\"}\n";

struct Home : TemporaryFolder {
  Home() {
    expect_success(ftengine({"make-tiny-model", "model"}, path()));
    write_bytes(*this / "train.jsonl", kRows);
    yaml("{train: {path: train.jsonl, format: prompt_completion}}");
  }
  void yaml(const std::string& data, const std::string& training = "") const {
    write_bytes(*this / "exp.yaml", "model: {path: model}\nadapter: {peft_type: LORA, r: 4}\ndata: " + data +
                                        "\ntraining: {output_dir: out, max_steps: 30, save_strategy: 'no'" +
                                        training + "}\n");
  }
  Outcome check(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"check", "exp.yaml"});
    return ftengine(more, path());
  }
};

void expect_says(const Outcome& o, const std::vector<std::string>& parts) {
  expect_success(o);
  for (const std::string& part : parts)
    EXPECT_NE(o.out.find(part), std::string::npos) << "no '" << part << "' in:\n" << o.out;
}

TEST(Check, ShowsTokensWithRoleAndWeightAndStatistics) {
  const Home home;
  const Outcome o = home.check();
  expect_says(
      o, {"train.jsonl:1: 28 tokens, 5 of them learnt, template human_assistant", "template       0   \"H\"",
          "user           0   \"o\"", "assistant      1   \"s\"", "end            1   \"<|endoftext|>\"",
          "roles: system = the system message, user = ", "weight 1: learnt, 0: only read",
          "rows             2", "targets          10", "steps            30", "effective batch  8 rows",
          "256 (<|endoftext|>)", "would differ in 0 of 2 rows",
          "hint: an optimizer step takes 8 rows, but there are 2", "everything fits"});
  EXPECT_EQ(o.out.find('\033'), std::string::npos);  // no colour but on a terminal
  EXPECT_FALSE(fs::exists(home / "out"));
  EXPECT_FALSE(fs::exists(home / ".ftengine-cache"));
}

TEST(Check, HelpNamesItsOptions) {
  const Outcome o = ftengine({"check", "--help"});
  expect_says(o, {"--samples", "--tokens", "--set"});
}

TEST(Check, FaultsAreOneLineWithTheirPlace) {
  const Home home;
  home.yaml("{train: {path: train.jsonl, format: prompt_completion}, trainon: all}");
  expect_bad_input(home.check(), {"exp.yaml:3:", "trainon", "train_on"});
  home.yaml("{train: {path: train.jsonl, format: alpaca}}");
  expect_bad_input(home.check(), {"train.jsonl:1:", "instruction"});
  home.yaml("{train: {path: train.jsonl, format: prompt_completion}, template: chatlm}");
  expect_bad_input(home.check(), {"exp.yaml:3:", "chatlm", "chatml"});
  home.yaml("{train: {path: train.jsonl, format: prompt_completion}, template: [chatml, 5]}");
  expect_bad_input(home.check(), {"exp.yaml:3:", "data.template"});
  home.yaml("{train: []}");
  expect_bad_input(home.check(), {"exp.yaml:3:", "data.train"});
  home.yaml("{train: {path: train.jsonl, format: classification}}");
  expect_bad_input(home.check(), {"train.jsonl", "SEQ_CLS"});
}

TEST(Check, HintsAndWarnings) {
  const Home home;
  home.yaml(
      "{train: {path: train.jsonl, format: prompt_completion}, eval: {path: train.jsonl, format: "
      "prompt_completion}, train_on: all, max_length: 25, shuffle: false}",
      ", learning_rate: 0.5, warmup_steps: 30");
  const json config = json::parse(read_bytes(home / "model/config.json"));
  json named = config;
  named["auto_map"] = {{"AutoModel", "modeling_x.Y"}};
  write_bytes(home / "model/config.json", named.dump());
  expect_says(home.check(),
              {"auto_map", "never run", "hint: training.learning_rate 0.5 is above what LORA usually takes",
               "never reaches its peak", "2 of 2 rows are cut", "train_on: all learns the prompts too",
               "2 of 2 evaluation rows are in the training data", "data.shuffle is off"});
}

// By method, smaller behind an encoder; a hybrid learns at the pace of its slowest part.
TEST(Check, TheDefaultLearningRateIsTheMethods) {
  const Home home;
  const auto rate = [&](const std::string& adapter) {
    const Outcome o = home.check({"--set", "adapter=" + adapter});
    const size_t at = o.out.find("learning rate");
    EXPECT_NE(at, std::string::npos) << o.err;
    return std::stod(o.out.substr(o.out.find_first_of("0123456789", at)));
  };
  const double prefix = rate("{peft_type: PREFIX_TUNING, num_virtual_tokens: 2}"),
               projected = rate("{peft_type: PREFIX_TUNING, num_virtual_tokens: 2, prefix_projection: true}"),
               lora = rate("{peft_type: LORA, r: 2}");
  EXPECT_LT(projected, prefix);
  EXPECT_LT(lora, projected);
  EXPECT_EQ(rate("[{peft_type: PREFIX_TUNING, num_virtual_tokens: 2}, {peft_type: LORA, r: 2}]"), lora);
}

TEST(Check, AJinjaTemplateIsTheDefaultAndRolesAreShown) {
  const Home home;
  write_bytes(
      home / "model/chat_template.jinja",
      "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + "
      "'<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif "
      "%}");
  expect_says(home.check(), {"template tokenizer", "end            1   \"<|im_end|>\"",
                             "template       0   \"\\n\"", "hint: the template writes today's date"});
  home.yaml("{train: {path: train.jsonl, format: prompt_completion}, template: [chatml, human_assistant]}");
  expect_says(home.check(), {"chatml | human_assistant", "258 (<|im_end|>), 256 (<|endoftext|>)"});
  write_bytes(home / "model/chat_template.jinja", "{{ messages|nofilter }}");
  home.yaml("{train: {path: train.jsonl, format: prompt_completion}}");
  expect_bad_input(home.check(), {"chat_template", "nofilter"});
}

/// The roles of the first sample that is shown, a letter a token.
std::string roles(const Outcome& o) {
  std::istringstream lines(o.out.substr(o.out.find("position")));
  std::string line, found;
  std::getline(lines, line);
  while (std::getline(lines, line) && !line.empty()) found += line.substr(20, 1);
  return found;
}

// A template of every kind tells who wrote what, though contents also stand in the template's own words.
TEST(Check, SystemUserAssistantAndTemplateAreToldApart) {
  const Home home;
  const json row = {{"messages",
                     {{{"role", "system"}, {"content", "s"}},
                      {{"role", "user"}, {"content", " u "}},
                      {{"role", "assistant"}, {"content", "aa"}},
                      {{"role", "user"}, {"content", "us"}},
                      {{"role", "assistant"}, {"content", "a"}}}}};
  write_bytes(home / "chat.jsonl", row.dump() + "\n");
  const auto told = [&](const std::string& name) {
    home.yaml("{train: {path: chat.jsonl, format: chat}, template: " + name + "}");
    const Outcome o = home.check();
    expect_success(o);
    return roles(o);
  };
  const auto t = [](const char* text) { return std::string(std::strlen(text), 't'); };
  EXPECT_EQ(told("human_assistant"), "s" + t("--Human: ") + "uuu" + t("--Assistant: ") + "aae" +
                                         t("--Human: ") + "uu" + t("--Assistant: ") + "ae");
  // <|im_start|> and <|im_end|> are a token each, roles are bytes.
  const std::string chatml = t("<system-") + "s" + t(">-<user-") + "uuu" + t(">-<assistant-") + "aae" +
                             t("-<user-") + "uu" + t(">-<assistant-") + "ae" + t("-");
  EXPECT_EQ(told("chatml"), chatml);
  write_bytes(
      home / "model/chat_template.jinja",
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content|trim + '<|im_end|>\n' }}{% "
      "endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}");
  std::string trimmed = chatml;
  trimmed.replace(trimmed.find("uuu"), 3, "u");
  EXPECT_EQ(told("tokenizer"), trimmed);
}

// On a terminal a role is a colour, and what is learnt from is bold and underlined; elsewhere there are no
// codes.
TEST(Check, RolesAndWeightsHaveColoursOnATerminal) {
  if (!has_terminals()) GTEST_SKIP() << "no terminals here";
  const Home home;
  home.yaml("{train: {path: train.jsonl, format: prompt_completion}, template: human_assistant}");
  OnTerminal t({"check", "exp.yaml"}, home.path());
  const auto line = [](const std::string& codes, int position, int id, const char* role, int weight,
                       const char* token) {
    char text[100];
    std::snprintf(text, sizeof text, "  %8d %7d  %-9s  %5d   \"%s\"", position, id, role, weight, token);
    return codes + text + "\033[0m";
  };
  t.expect("\033[36muser = what is asked\033[0m");
  t.expect(line("\033[2m", 0, 'H', "template", 0, "H"));
  t.expect(line("\033[36m", 7, 'o', "user", 0, "o"));
  t.expect(line("\033[32m\033[1;4m", 23, 'e', "assistant", 1, "e"));
  t.expect("\033[35m\033[1;4m");  // its end token, which is learnt
  t.expect("nothing was trained");
  EXPECT_EQ(t.exit_code(), 0);
  EXPECT_EQ(home.check().out.find('\033'), std::string::npos);
}

TEST(Check, SeveralFilesWithWeights) {
  const Home home;
  write_bytes(home / "more.csv", "prompt,completion\nthree,drei\nfour,vier\n");
  home.yaml(
      "{train: [{path: train.jsonl, format: prompt_completion, weight: 3}, {path: more.csv, format: "
      "prompt_completion}]}");
  expect_says(home.check(), {"train.jsonl:1:", "more.csv:2:", "rows             8"});
}

// must-not-happen 6: a prompt that is rendered otherwise than in training is refused, or warned about.
TEST(Serving, MustNotHappen6AnotherTemplateIsFoundOut) {
  const Home home;
  home.yaml("{train: {path: train.jsonl, format: prompt_completion}, template: [chatml, human_assistant]}",
            ", learning_rate: 1.0e-3, num_train_epochs: 1");
  expect_success(ftengine({"run", "exp.yaml", "--set", "training.max_steps=1"}, home.path()));
  const json about = json::parse(read_bytes(home / "out/ftengine.json"));
  EXPECT_EQ(about["template"], json::parse(R"(["chatml", "human_assistant"])"));
  EXPECT_EQ(about["stop_ids"], json::parse("[258, 256]"));
  EXPECT_GT(about["golden_prompt_ids"].size(), 20u);
  const std::vector<std::string> ask = {
      "generate", "--model", "model", "--adapter", "out", "--prompt", "one", "--max-new-tokens", "2"};
  const Outcome good = ftengine(ask, home.path());
  expect_success(good);
  EXPECT_EQ(good.err.find("rendered otherwise"), std::string::npos) << good.err;
  std::vector<std::string> other = ask;
  other.insert(other.end(), {"--template", "human_assistant"});
  const Outcome warned = ftengine(other, home.path());
  expect_success(warned);
  EXPECT_NE(warned.err.find("rendered otherwise"), std::string::npos) << warned.err;
  json spoilt = about;
  spoilt["template"] = "human_assistant";
  write_bytes(home / "out/ftengine.json", spoilt.dump());
  expect_bad_input(ftengine(ask, home.path()), {"ftengine.json", "rendered otherwise", "--template"});
}

// The whole way of raw text: blocks, perplexity, a prompt that is gone on with as it stands.
TEST(Text, ACorpusIsLearntAndItsPerplexityReported) {
  const Home home;
  std::string text;
  for (int i = 0; i < 40; ++i) text += "FERN:\nBring me a light!\n\n";
  write_bytes(home / "play.txt", text);
  home.yaml(
      "{train: {path: play.txt, format: text}, eval_fraction: 0.2, block_size: 32, cache_dir: cache, "
      "group_by_length: true}");
  for (int time = 0; time < 2; ++time) {
    const Outcome o = ftengine({"run", "exp.yaml", "--overwrite"}, home.path());
    expect_success(o);
    const json last = read_jsonl(home / "out/metrics.jsonl").back();
    ASSERT_TRUE(last.contains("eval_perplexity")) << last;
    EXPECT_NEAR(last["eval_perplexity"].get<double>(), std::exp(last["eval_loss"].get<double>()), 1e-9);
    EXPECT_NE(o.out.find("eval_perplexity"), std::string::npos) << o.out;
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(home / "cache"), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace ft::cli
