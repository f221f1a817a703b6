// ftengine chat, by pipe and on a terminal: turns are kept and rendered as in training, and Ctrl-C does what
// it says.
#include <sstream>

#include "tests/cli/program.h"
#include "tests/cli/terminal.h"

namespace ft::cli {
namespace {

using nlohmann::json;

struct Home : TemporaryFolder {
  Home() { expect_success(ftengine({"make-tiny-model", "model"}, path())); }
  Outcome chat(const std::string& input, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"chat", "--model", "model", "--max-new-tokens", "6", "--show-ids"});
    return ftengine(more, path(), {.input = input});
  }
};

/// What stands behind `key` on each line that begins with it.
std::vector<std::string> behind(const Outcome& o, const std::string& key) {
  std::vector<std::string> found;
  std::istringstream text(o.err);
  for (std::string line; std::getline(text, line);)
    if (line.starts_with(key)) found.push_back(line.substr(key.size()));
  return found;
}

std::string ids_of(const Home& home, const std::string& text) {
  const Outcome o = ftengine({"tokenize", "--model", "model", "--text", text}, home.path());
  expect_success(o);
  return o.out.substr(0, o.out.size() - 1);
}

TEST(Chat, TurnsAreKeptAndAnsweredAsGenerateDoes) {
  const Home home;
  const Outcome o = home.chat("Hello\r\n\nthere\n/new\nHello\n/what\n", {"--template", "chatml"});
  expect_success(o);
  const auto prompts = behind(o, "prompt ids: "), answers = behind(o, "answer ids: ");
  ASSERT_EQ(prompts.size(), 3u) << o.err;
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_TRUE(prompts[1].starts_with(prompts[0])) << prompts[1];
  EXPECT_TRUE(prompts[1].ends_with(ids_of(home, "there<|im_end|>\n<|im_start|>assistant\n"))) << prompts[1];
  EXPECT_EQ(prompts[2], prompts[0]);  // after /new
  for (size_t i = 0; i < 2; ++i) {
    const Outcome same = ftengine({"generate", "--model", "model", "--input-ids", prompts[i],
                                   "--max-new-tokens", "6", "--output-ids", "--template", "chatml"},
                                  home.path());
    EXPECT_EQ(same.out, answers[i] + "\n") << same.err;
  }
  const Outcome first = ftengine(
      {"generate", "--model", "model", "--prompt", "Hello", "--max-new-tokens", "6", "--template", "chatml"},
      home.path());
  EXPECT_TRUE(o.out.starts_with(first.out)) << o.out;
  EXPECT_TRUE(o.out.ends_with(first.out));
  EXPECT_EQ(o.err.find('\033'), std::string::npos);  // no colour but on a terminal
  EXPECT_NE(o.err.find("/what is no command"), std::string::npos);
}

TEST(Chat, TheSystemMessageStaysWhenTheOldestTurnsGo) {
  const Home home;
  edit(home / "model/config.json", "\"max_position_embeddings\": 1024", "\"max_position_embeddings\": 160");
  std::string input;
  for (int i = 0; i < 4; ++i) input += "message " + std::to_string(i) + std::string(30, '.') + "\n";
  const Outcome o = home.chat(input, {"--template", "chatml", "--system", "Be brief."});
  expect_success(o);
  const auto prompts = behind(o, "prompt ids: ");
  ASSERT_EQ(prompts.size(), 4u) << o.err;
  const std::string system = ids_of(home, "<|im_start|>system\nBe brief.<|im_end|>\n");
  for (const std::string& p : prompts) EXPECT_TRUE(p.starts_with(system)) << p;
  EXPECT_NE(prompts[1].find(ids_of(home, "message 0")), std::string::npos);
  EXPECT_EQ(prompts[3].find(ids_of(home, "message 0")), std::string::npos);
  EXPECT_NE(o.err.find("outgrew the model's 160 positions; its oldest"), std::string::npos) << o.err;
}

TEST(Chat, WithoutPlaceForTurnsEachMessageStandsAlone) {
  const Home home;
  const Outcome plain = home.chat("one\ntwo\n", {"--template", "none"});
  expect_success(plain);
  EXPECT_NE(plain.err.find("each message is answered on its own"), std::string::npos) << plain.err;
  EXPECT_EQ(behind(plain, "prompt ids: "), (std::vector{ids_of(home, "one"), ids_of(home, "two")}));
  write_bytes(home / "model/chat_template.jinja",
              "{% if messages|length > 2 %}{{ raise_exception('once') }}{% endif %}{% for m in messages %}{{ "
              "'<|im_start|>' + m.content + '<|im_end|>' }}{% endfor %}");
  const Outcome once = home.chat("one\ntwo\n");
  expect_success(once);
  EXPECT_NE(once.err.find("takes one exchange only"), std::string::npos) << once.err;
  EXPECT_EQ(behind(once, "prompt ids: ").at(1), ids_of(home, "<|im_start|>two<|im_end|>"));
}

TEST(Chat, BadInput) {
  const Home home;
  const Outcome bytes = home.chat("one\n\xff\xfe\n", {"--template", "chatml"});
  EXPECT_EQ(bytes.code, 2);
  EXPECT_NE(bytes.err.find("error: standard input:2: the message is not UTF-8"), std::string::npos);
  EXPECT_NE(home.chat(std::string(5000, 'x') + "\n").err.find("standard input:1: the message"),
            std::string::npos);
  expect_bad_input(ftengine({"chat", "--model", "nowhere"}, home.path(), {.input = ""}), {"no such model"});
  const Outcome help = ftengine({"chat", "--help"});
  for (const char* part : {"--adapter", "--system", "--temperature", "/new", "ftengine chat --model"})
    EXPECT_NE(help.out.find(part), std::string::npos) << part;
  EXPECT_NE(ftengine({"--help"}).out.find("chat "), std::string::npos);
}

constexpr const char* kPrompt = "\033[1;36m> \033[0m";

TEST(Chat, CtrlCStopsTheAnswerAndOneMoreLeaves) {
  if (!has_terminals()) GTEST_SKIP() << "no terminals here";
  const Home home;
  edit(home / "model/config.json", "\"max_position_embeddings\": 1024",
       "\"max_position_embeddings\": 1000000");
  OnTerminal t({"chat", "--model", "model", "--device", "cpu", "--ignore-eos", "--max-new-tokens", "500000"},
               home.path());
  t.expect("/help");
  t.expect(kPrompt);
  t.type("hello\n");
  t.expect("hello\r\n");
  ::usleep(100'000);  // somewhere in its answer
  t.type("\x03");
  t.expect("stopped");
  t.expect(kPrompt);
  t.type("\x03");
  EXPECT_EQ(t.exit_code(), 130);
}

TEST(Chat, CtrlDAndExitLeave) {
  if (!has_terminals()) GTEST_SKIP() << "no terminals here";
  const Home home;
  for (const char* keys : {"\x04", "/exit\n"}) {
    OnTerminal t({"chat", "--model", "model"}, home.path());
    t.expect(kPrompt);
    t.type(keys);
    EXPECT_EQ(t.exit_code(), 0);
  }
}

}  // namespace
}  // namespace ft::cli
