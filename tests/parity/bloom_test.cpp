// What is BLOOM's alone: its slopes for any number of heads, and its q|k|v in the order of GGUF files.
#include <gtest/gtest.h>

#include <fstream>

#include "models/alibi.h"
#include "tests/io/gguf_builder.h"
#include "tests/parity/fixture.h"

namespace ft::test {
namespace {

TEST(Bloom, SlopesOfAnyNumberOfHeads) {
  const auto expect = [](int64_t heads, const std::vector<std::pair<int64_t, double>>& want) {
    const Tensor slopes = alibi_slopes(heads, DType::f32, Device());
    ASSERT_EQ(slopes.numel(), heads);
    for (const auto& [head, slope] : want)
      EXPECT_NEAR(slopes.data<float>()[head], slope, 2e-7 * slope) << heads << " heads, head " << head;
  };
  // Transformers' own values.
  expect(1, {{0, 0.00390625}});
  expect(3, {{0, 0.0625}, {1, 0.00390625}, {2, 0.25}});
  expect(12, {{0, 0.5}, {2, 0.125}, {6, 0.0078125}, {8, 0.707106769}, {10, 0.176776677}});
  expect(112,
         {{0, 0.917004049}, {18, 0.192776382}, {54, 0.00851959456}, {72, 0.478801608}, {108, 0.0211602338}});
}

std::string f32_value(float value) {
  return testing::as_bytes(uint32_t{6}) + testing::as_bytes(value);
}

// The fixture's weights as a GGUF file: other names, and q|k|v as all q, all k, all v.
void write_gguf(const std::filesystem::path& path, Fixture& f) {
  const ModelFacts& facts = f.model().facts();
  testing::TestGguf file;
  file.tensors.clear();
  file.data_bytes = 0;
  file.pairs = {{"general.architecture", testing::as_bytes(uint32_t{8}) + testing::text_bytes("bloom")},
                {"bloom.attention.layer_norm_epsilon", f32_value(1e-5f)}};
  for (const auto& [key, value] : {std::pair<const char*, int64_t>{"block_count", facts.layers},
                                   {"embedding_length", facts.hidden},
                                   {"attention.head_count", facts.heads},
                                   {"context_length", 2048}})
    file.pairs.emplace_back(std::string("bloom.") + key, testing::u32_value(static_cast<uint32_t>(value)));

  std::string data;
  for (Slot* slot : f.model().slots()) {
    if (slot == &f.model().head().weight) continue;
    std::string name = slot->name;
    for (const auto& [hf, gguf] : {std::pair<const char*, const char*>{"transformer.h.", "blk."},
                                   {"transformer.word_embeddings_layernorm", "token_embd_norm"},
                                   {"transformer.word_embeddings", "token_embd"},
                                   {"transformer.ln_f", "output_norm"},
                                   {"post_attention_layernorm", "ffn_norm"},
                                   {"input_layernorm", "attn_norm"},
                                   {"self_attention.query_key_value", "attn_qkv"},
                                   {"self_attention.dense", "attn_output"},
                                   {"mlp.dense_h_to_4h", "ffn_up"},
                                   {"mlp.dense_4h_to_h", "ffn_down"}})
      if (const size_t at = name.find(hf); at != std::string::npos)
        name.replace(at, std::string(hf).size(), gguf);
    std::vector<float> values = to_plain(*slot->parameter);
    for (const Linear* l : f.model().linears()) {
      if (l->parts.empty() || (slot != &l->weight && slot != &l->bias)) continue;
      const std::vector<float> by_head = values;
      const int64_t width = static_cast<int64_t>(values.size()) / l->out();
      auto out = values.begin();
      for (const OutputPart& part : l->parts)
        for (int64_t n = 0; n < l->out(); ++n)
          if (part.holds(n)) out = std::copy_n(by_head.begin() + n * width, width, out);
    }
    const auto dims = slot->parameter->shape.dims();
    file.tensors.push_back({name, {dims.rbegin(), dims.rend()}, 0, data.size()});
    data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    data.resize((data.size() + 31) / 32 * 32, '\0');
  }
  std::ofstream(path, std::ios::binary) << file.bytes() << data;
}

TEST(Bloom, GgufFileIsTheSameModel) {
  Fixture f("bloom_full");
  const TemporaryFolder folder;
  write_gguf(folder.path() / "model.gguf", f);
  const std::vector<double> want = f.logits(f.train_rows.rows[0]);
  f.loaded = load_model(folder.path() / "model.gguf", {.storage = DType::f32}, f.host);
  EXPECT_TRUE(f.loaded.from_gguf);
  EXPECT_EQ(f.logits(f.train_rows.rows[0]), want);
}

}  // namespace
}  // namespace ft::test
