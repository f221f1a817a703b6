// A Hugging Face folder as one source of weights: one file, or an index that is held to its word.
#include "engine/io/weights.h"

#include <gtest/gtest.h>

#include "engine/io/safetensors_writer.h"
#include "tests/io/io_testing.h"

namespace ft {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using testing::write_bytes;

constexpr float kValues[] = {1, 2, 3, 4, 5, 6};

class Folder : public ::testing::Test {
 protected:
  void SetUp() override {
    write_safetensors(folder_ / "one.safetensors",
                      {float32_entry("a", {2, 3}, kValues), float32_entry("b", {1}, kValues)});
    write_safetensors(folder_ / "two.safetensors", {float32_entry("c", {3, 2}, kValues)});
  }
  void index(std::string_view weight_map) {
    write_bytes(folder_ / "model.safetensors.index.json",
                std::string("{\"weight_map\": ").append(weight_map) + "}");
  }
  void expect_refused(std::string_view message) {
    expect_error([&] { open_safetensors_weights(folder_.path()); }, message);
  }

  TemporaryFolder folder_;
};

TEST_F(Folder, ShardsAreOneSource) {
  index(R"({"a": "one.safetensors", "b": "one.safetensors", "c": "two.safetensors"})");
  for (const auto& path : {folder_.path(), folder_ / "model.safetensors.index.json"}) {
    const auto source = open_safetensors_weights(path);
    EXPECT_EQ(source->path(), path.string());
    ASSERT_EQ(source->tensors().size(), 3u);
    EXPECT_EQ(source->find("none"), nullptr);
    float row[2];
    source->read_rows(*source->find("c"), 1, 1, row);
    EXPECT_EQ(row[0], 3);
    EXPECT_EQ(row[1], 4);
    source->release(*source->find("a"));
    float all[6];
    source->read_all(*source->find("a"), all);
    EXPECT_EQ(all[5], 6);
  }
}

TEST_F(Folder, TheSingleFileComesFirst) {
  index("{}");
  write_safetensors(folder_ / "model.safetensors", {float32_entry("w", {6}, kValues)});
  EXPECT_NE(open_safetensors_weights(folder_.path())->find("w"), nullptr);
  EXPECT_NE(open_safetensors_weights(folder_ / "two.safetensors")->find("c"), nullptr);
}

TEST_F(Folder, TheIndexIsStrict) {
  index(R"({"a": "one.safetensors", "c": "two.safetensors"})");
  expect_refused("tensor 'b' is in one.safetensors, where the index does not have it");
  index(R"({"a": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors"})");
  expect_refused("index.json: tensor 'b' is ");
  index(
      R"({"a": "one.safetensors", "b": "one.safetensors", "c": "two.safetensors", "d": "two.safetensors"})");
  expect_refused("tensor 'd' is not in two.safetensors as the index says");
  index(R"({"a": "three.safetensors"})");
  expect_refused("three.safetensors: cannot open");
  index(R"({"a": 1})");
  expect_refused("the shard of tensor 'a' is not a string");
  index("[]");
  expect_refused("'weight_map' is missing or not an object");
}

TEST_F(Folder, TheIndexCannotLeaveItsFolder) {
  for (const char* shard :
       {"../one.safetensors", "/etc/passwd", "..", ".", "", "a/b", "a\\\\b", "a\\u0000b"}) {
    index(std::string("{\"a\": \"") + shard + "\"}");
    expect_refused("is not a plain file name");
  }
}

TEST_F(Folder, SaysWhatIsMissing) {
  expect_refused("has neither model.safetensors nor model.safetensors.index.json");
  write_bytes(folder_ / "pytorch_model.bin", "");
  expect_refused("pytorch_model.bin is not read");
  expect_error([&] { open_safetensors_weights(folder_ / "none"); }, "none: cannot open: No such file");
}

TEST(TensorInfo, RowsAndWidths) {
  EXPECT_EQ(row_count({"s", {}, "F32"}), 1);
  EXPECT_EQ(row_width({"s", {}, "F32"}), 1);
  EXPECT_EQ(row_count({"v", {5}, "F32"}), 5);
  EXPECT_EQ(row_width({"v", {5}, "F32"}), 1);
  EXPECT_EQ(row_count({"t", {2, 3, 4}, "F32"}), 2);
  EXPECT_EQ(row_width({"t", {2, 3, 4}, "F32"}), 12);
  EXPECT_EQ(shape_text({2, 3}), "[2, 3]");
}

}  // namespace
}  // namespace ft
