// GGUF files: values against the reference package's (tools/fixtures/make_gguf.py), metadata of every type.
#include "engine/io/gguf.h"

#include <gtest/gtest.h>

#include <bit>

#include "engine/io/safetensors.h"
#include "tests/io/gguf_builder.h"
#include "tests/io/io_testing.h"

namespace ft {
namespace {

using testing::data_file;
using testing::expect_error;
using testing::read_everything;
using testing::TemporaryFolder;
using testing::TestGguf;
using testing::write_bytes;

TEST(Gguf, DequantizesBitForBitAsTheReference) {
  const GgufFile file(data_file("quants.gguf"));
  const SafetensorsFile expected(data_file("quants_expected.safetensors"));
  ASSERT_EQ(file.tensors().size(), 12u);
  ASSERT_EQ(expected.tensors().size(), file.tensors().size());
  for (const TensorInfo& tensor : file.tensors()) {
    const TensorInfo* twin = expected.find(tensor.name);
    ASSERT_NE(twin, nullptr) << tensor.name;
    EXPECT_EQ(tensor.shape, twin->shape) << tensor.name;
    const auto count = static_cast<size_t>(element_count(tensor));
    std::vector<float> values(count), wanted(count), by_rows(count);
    file.read_all(tensor, values.data());
    expected.read_all(*twin, wanted.data());
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(wanted[i]))
          << tensor.name << " " << i;
    }
    for (int64_t row = 0; row < row_count(tensor); ++row) {
      file.read_rows(tensor, row, 1, by_rows.data() + row * row_width(tensor));
    }
    EXPECT_EQ(by_rows, values) << tensor.name;
  }
}

TEST(Gguf, ReadsEveryKindOfMetadata) {
  const GgufFile file(data_file("quants.gguf"));
  const GgufMetadata& m = file.metadata();
  EXPECT_EQ(m.get_string("general.architecture"), "llama");
  EXPECT_EQ(m.get_u32("t.u8"), 200u);
  EXPECT_EQ(m.get_u32("t.u16"), 60000u);
  EXPECT_EQ(m.get_u32("t.u32"), 4'000'000'000u);
  EXPECT_EQ(m.get_u64("t.u64"), UINT64_MAX);
  EXPECT_EQ(m.get_f32("t.f32"), 1.5f);
  EXPECT_EQ(m.get_f32("t.f64"), 0.1f);
  EXPECT_TRUE(m.get_bool("t.bool"));
  EXPECT_EQ(m.get_string("t.string"), "héllo 中文");
  EXPECT_EQ(m.get_strings("t.strings"), (std::vector<std::string>{"a", "", "Ġthe"}));
  EXPECT_EQ(m.get_ints("t.ints"), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(m.get_floats("t.floats"), (std::vector<float>{0.5f, -1.25f}));
  EXPECT_EQ(m.get_bools("t.bools"), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(m.describe("t.i8"), "-100");
  EXPECT_EQ(m.describe("t.i64"), "-9223372036854775808");
  EXPECT_EQ(m.describe("t.u64"), "18446744073709551615");
  EXPECT_EQ(m.describe("t.strings"), "[3 × string]");
  EXPECT_EQ(m.describe("t.string"), "\"héllo 中文\"");
  EXPECT_EQ(m.get_u32("none", 5u), 5u);
  EXPECT_EQ(m.get_f32("none", 2.5f), 2.5f);
  EXPECT_EQ(m.get_string("none", "x"), "x");
  EXPECT_TRUE(m.get_bool("none", true));
}

TEST(Gguf, MetadataOfTheWrongKindIsNamed) {
  const GgufFile file(data_file("quants.gguf"));
  const GgufMetadata& m = file.metadata();
  expect_error([&] { m.get_u32("none"); }, "quants.gguf: metadata 'none' is missing");
  expect_error([&] { m.get_u32("t.i8"); }, "metadata 't.i8' is -100, out of range");
  expect_error([&] { m.get_u32("t.u64"); }, "metadata 't.u64' is 18446744073709551615, out of range");
  expect_error([&] { m.get_u32("t.f32"); }, "metadata 't.f32' is of type f32, expected an integer type");
  expect_error([&] { m.get_u32("t.ints"); }, "metadata 't.ints' is an array of i32, expected a single value");
  expect_error([&] { m.get_f32("t.u8", 1.0f); }, "expected a float type");
  expect_error([&] { m.get_string("t.bool"); }, "expected string");
  expect_error([&] { m.get_bool("t.u8"); }, "expected bool");
  expect_error([&] { m.get_strings("t.string"); },
               "metadata 't.string' is of type string, expected an array");
  expect_error([&] { m.get_strings("t.ints"); }, "expected an array of string");
  expect_error([&] { m.get_ints("t.floats"); }, "expected an integer type");
  expect_error([&] { m.get_floats("t.bools"); }, "expected a float type");
  expect_error([&] { m.get_bools("t.ints"); }, "expected an array of bool");
}

TEST(Gguf, VersionTwoReadsTheSame) {
  const TemporaryFolder folder;
  TestGguf gguf;
  gguf.version = 2;
  EXPECT_NO_THROW(read_everything(write_bytes(folder / "a", gguf.bytes())));
}

TEST(Gguf, TypesWithoutADequantiserFailWhenRead) {
  const TemporaryFolder folder;
  TestGguf gguf;
  gguf.tensors = {{"w", {256}, 23, 0}};
  gguf.data_bytes = 136;
  const GgufFile file(write_bytes(folder / "a", gguf.bytes()));
  std::vector<float> values(256);
  expect_error([&] { file.read_all(file.tensors()[0], values.data()); },
               "tensor 'w' has type IQ4_XS, which is not supported");
}

TEST(Gguf, AVectorOfBlocksIsReadInWholeBlocks) {
  const TemporaryFolder folder;
  TestGguf gguf;
  gguf.tensors = {{"w", {64}, 8, 0}};
  gguf.data_bytes = 68;
  const GgufFile file(write_bytes(folder / "a", gguf.bytes()));
  std::vector<float> values(64);
  file.read_rows(file.tensors()[0], 32, 32, values.data());
  expect_error<Error>([&] { file.read_rows(file.tensors()[0], 1, 32, values.data()); },
                      "expected whole blocks of 32");
}

TEST(Gguf, FilesWithoutTensorsOrWithEmptyOnesAreFine) {
  const TemporaryFolder folder;
  TestGguf gguf;
  gguf.tensors.clear();
  EXPECT_NO_THROW(read_everything(write_bytes(folder / "a", gguf.bytes().substr(0, 24))));
  gguf.tensors = {{"empty", {0, 3}, 0, 0}, {"scalar", {}, 0, 0}};
  gguf.data_bytes = 4;
  EXPECT_NO_THROW(read_everything(write_bytes(folder / "a", gguf.bytes())));
}

}  // namespace
}  // namespace ft
