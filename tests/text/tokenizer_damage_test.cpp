// Tokenizer files with damage of every kind: an InputError or a tokenizer, never a crash nor endless memory.
#include "tests/text/text_test.h"

namespace ft {
namespace {

using namespace ft::testing;

struct Victim {
  const char* folder;
  const char* file;
  const char* worth;  // damage goes before this; empty: anywhere
};

class Damage : public ::testing::TestWithParam<Victim> {};

void damage(std::string& text, size_t head, TestRandom& random) {
  const std::string original = text;
  for (size_t n = 1 + random.below(3); n > 0; --n) {
    const size_t at = random.below(random.below(4) == 0 ? text.size() : std::min(head, text.size()));
    switch (random.below(6)) {
      case 0:
        text[at] = static_cast<char>(random.next());
        break;
      case 1:
        text.erase(at, 1 + random.below(20));
        break;
      case 2:
        text.insert(at, std::to_string(random.next()));
        break;
      case 3:
        text.insert(at, original.substr(random.below(head), 1 + random.below(30)));
        break;
      case 4:
        text[at] = static_cast<char>(text[at] ^ (1 << random.below(8)));
        break;
      default:
        text[at] = "{}[]\",:0-ntf"[random.below(12)];
        break;
    }
    if (text.empty()) text = " ";
  }
}

TEST_P(Damage, IsAnErrorOrATokenizerNeverACrash) {
  const Victim& victim = GetParam();
  const ScratchFolder scratch;
  for (const auto& entry : std::filesystem::directory_iterator(data_folder() / victim.folder)) {
    if (entry.path().filename() == "golden.json") continue;
    scratch.write(entry.path().filename().string(), read_text_file(entry.path()));
  }
  const std::string original = read_text_file(data_folder() / victim.folder / victim.file);
  const size_t worth = *victim.worth ? original.find(victim.worth) : original.size();
  ASSERT_NE(worth, std::string::npos);
  TestRandom random(4);
  int loaded = 0, refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string text = original;
    damage(text, worth, random);
    scratch.write(victim.file, text);
    try {
      const auto tokenizer = Tokenizer::open(scratch.path());
      const auto ids = tokenizer->encode("the lamp <word> [MASK]  <strip> café 123\n\t你好 ﬁ１ \xFF …",
                                         {.add_special = true});
      tokenizer->decode(ids);
      tokenizer->decode(ids, false);
      ++loaded;
    } catch (const InputError& e) {
      EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
      ++refused;
    }
  }
  EXPECT_GT(loaded, 0);
  EXPECT_GT(refused, 20);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Damage,
    ::testing::Values(Victim{"flags", "tokenizer.json", "\"vocab\""},
                      Victim{"llama", "tokenizer.json", "\"vocab\""},
                      Victim{"t5", "tokenizer.json", "\"vocab\""},
                      Victim{"unigram-bytes", "tokenizer.json", "\"vocab\""},
                      Victim{"bert", "tokenizer.json", "\"vocab\""},
                      Victim{"bert-txt", "tokenizer_config.json", ""}, Victim{"gpt2-files", "merges.txt", ""},
                      Victim{"ranks", "tokenizer.model", ""}, Victim{"spm-bpe", "tokenizer.model", ""},
                      Victim{"spm-unigram", "spiece.model", ""}, Victim{"chatglm", "ice_text.model", ""}),
    [](const auto& info) {
      std::string name = info.param.folder;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

}  // namespace
}  // namespace ft
