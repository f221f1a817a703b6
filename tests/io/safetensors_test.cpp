#include "engine/io/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "engine/core/dtype.h"
#include "engine/io/safetensors_writer.h"
#include "engine/io/widen.h"
#include "tests/io/io_testing.h"

namespace ft {
namespace {

using testing::as_bytes;
using testing::data_file;
using testing::expect_error;
using testing::read_bytes;
using testing::TemporaryFolder;
using testing::write_bytes;

std::vector<float> read_all(const WeightSource& source, std::string_view name) {
  const TensorInfo* tensor = source.find(name);
  EXPECT_NE(tensor, nullptr) << name;
  std::vector<float> values(static_cast<size_t>(element_count(*tensor)));
  source.read_all(*tensor, values.data());
  return values;
}

std::string with_header(std::string_view header, std::string_view data) {
  return as_bytes(uint64_t{header.size()}).append(header).append(data);
}

template <class T>
SafetensorsEntry entry_of(std::string name, std::string dtype, std::vector<int64_t> shape,
                          std::vector<T> values) {
  return {std::move(name), std::move(dtype), std::move(shape), [values](const ByteSink& sink) {
            for (const T& value : values) sink(&value, sizeof(T));
          }};
}

std::vector<SafetensorsEntry> reference_entries() {
  std::vector<SafetensorsEntry> entries;
  entries.push_back(entry_of<uint8_t>("mask", "BOOL", {2}, {1, 0}));
  entries.push_back(entry_of<float>("b.weight", "F32", {2, 3}, {0, 0.25f, 0.5f, 0.75f, 1, 1.25f}));
  entries.push_back(entry_of<int64_t>("step", "I64", {}, {7}));
  entries.push_back(entry_of<float>("empty", "F32", {0, 4}, {}));
  entries.push_back(entry_of<uint16_t>("a.bias", "F16", {3}, {0x3c00, 0xc000, 0x3800}));
  return entries;
}

TEST(Widen, AgreesWithTheDefinitionOnEveryHalf) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float expected = to_float(F16{static_cast<uint16_t>(bits)});
    const float value = half_to_float(static_cast<uint16_t>(bits));
    ASSERT_EQ(std::bit_cast<uint32_t>(value), std::bit_cast<uint32_t>(expected)) << bits;
  }
}

TEST(Safetensors, ReadsWhatTheReferenceWrote) {
  const SafetensorsFile file(data_file("reference.safetensors"));
  EXPECT_EQ(file.tensors().size(), 5u);
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  EXPECT_EQ(file.find("b.weight")->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(read_all(file, "b.weight"), (std::vector<float>{0, 0.25f, 0.5f, 0.75f, 1, 1.25f}));
  EXPECT_EQ(read_all(file, "a.bias"), (std::vector<float>{1, -2, 0.5f}));
  EXPECT_EQ(read_all(file, "empty"), std::vector<float>{});
  EXPECT_EQ(file.find("step")->shape, std::vector<int64_t>{});
  EXPECT_EQ(file.bytes(*file.find("step"))[0], std::byte{7});
  EXPECT_EQ(file.find("none"), nullptr);
  expect_error([&] { read_all(file, "mask"); }, "tensor 'mask' has type BOOL; weights can be read from F32");
}

TEST(Safetensors, WritesTheBytesOfTheReferenceInAnyOrder) {
  const TemporaryFolder folder;
  auto entries = reference_entries();
  std::mt19937 random(3);
  for (int round = 0; round < 5; ++round) {
    std::shuffle(entries.begin(), entries.end(), random);
    write_safetensors(folder / "a.safetensors", entries);
    EXPECT_EQ(read_bytes(folder / "a.safetensors"), read_bytes(data_file("reference.safetensors")));
  }
}

TEST(Safetensors, RoundTripsEveryFloatType) {
  const TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  std::vector<float> values(35);
  std::iota(values.begin(), values.end(), -17.0f);
  std::vector<uint16_t> halves, bfloats;
  for (const float v : values) {
    halves.push_back(to_f16(v).bits);
    bfloats.push_back(to_bf16(v).bits);
  }
  std::vector<SafetensorsEntry> entries;
  entries.push_back(float32_entry("f32", {5, 7}, values.data()));
  entries.push_back(entry_of<double>("f64", "F64", {5, 7}, {values.begin(), values.end()}));
  entries.push_back(entry_of<uint16_t>("f16", "F16", {7, 5}, halves));
  entries.push_back(entry_of<uint16_t>("bf16", "BF16", {35}, bfloats));
  write_safetensors(path, entries, {{"format", "pt"}, {"note", "\"quoted\" 中文"}});

  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata().at("note"), "\"quoted\" 中文");
  for (const char* name : {"f32", "f64", "f16", "bf16"}) EXPECT_EQ(read_all(file, name), values) << name;
  std::vector<float> part(14);
  file.read_rows(*file.find("f32"), 2, 2, part.data());
  EXPECT_EQ(part, std::vector<float>(values.begin() + 14, values.begin() + 28));
  file.read_rows(*file.find("bf16"), 30, 5, part.data());
  EXPECT_EQ(part[0], values[30]);
  file.release(*file.find("f32"));
  EXPECT_EQ(read_all(file, "f32"), values);
  expect_error<Error>([&] { file.read_rows(*file.find("f32"), 4, 2, part.data()); },
                      "[read_rows] expected rows");
  expect_error<Error>([&] { file.read_rows(*file.find("f32"), -1, 1, part.data()); },
                      "[read_rows] expected rows");
  expect_error<Error>([&] { file.read_rows({"other", {1}, "F32"}, 0, 1, part.data()); }, "got 'other'");
}

TEST(Safetensors, AFileWithoutTensorsIsFine) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {});
  EXPECT_TRUE(SafetensorsFile(folder / "a").tensors().empty());
  EXPECT_TRUE(SafetensorsFile(write_bytes(folder / "b", with_header("{}", ""))).tensors().empty());
}

TEST(Safetensors, AWriterThatLiesChangesNothing) {
  const TemporaryFolder folder;
  const auto path = write_bytes(folder / "a", "previous");
  const auto write = [&](SafetensorsEntry entry) { write_safetensors(path, {std::move(entry)}); };
  expect_error<Error>(
      [&] {
        write(entry_of<float>("w", "F32", {3}, {1, 2}));
      },
      "expected 12 bytes for 'w', got 8");
  expect_error<Error>(
      [&] {
        write(entry_of<float>("w", "F32", {1}, {1, 2}));
      },
      "expected 4 bytes for 'w', got more");
  expect_error<Error>([&] { write(entry_of<float>("w", "F31", {1}, {1})); }, "got 'F31'");
  expect_error<Error>([&] { write(entry_of<float>("w", "F32", {-1}, {})); }, "got [-1]");
  expect_error<Error>([&] { write(entry_of<float>("__metadata__", "F32", {1}, {1})); }, "__metadata__");
  expect_error<Error>(
      [&] {
        write_safetensors(path,
                          {entry_of<float>("w", "F32", {1}, {1}), entry_of<double>("w", "F64", {1}, {1})});
      },
      "got 'w' twice");
  EXPECT_EQ(read_bytes(path), "previous");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(SafetensorsHostile, TruncatedAnywhereIsAnInputError) {
  const TemporaryFolder folder;
  const std::string valid = read_bytes(data_file("reference.safetensors"));
  for (size_t size = 0; size < valid.size(); ++size) {
    const auto path = write_bytes(folder / "a", valid.substr(0, size));
    EXPECT_THROW(SafetensorsFile{path}, InputError) << size;
  }
  EXPECT_THROW(SafetensorsFile{write_bytes(folder / "a", valid + '\0')}, InputError);
}

TEST(SafetensorsHostile, FlippedBytesAreAnErrorOrAFileThatCanBeRead) {
  const TemporaryFolder folder;
  const std::string valid = read_bytes(data_file("reference.safetensors"));
  std::mt19937 random(5);
  int opened = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = valid;
    for (uint32_t flips = 1 + random() % 3; flips > 0; --flips) {
      const size_t at = round % 4 == 0 ? random() % 8 : random() % bytes.size();
      bytes[at] = static_cast<char>(random());
    }
    try {
      const SafetensorsFile file(write_bytes(folder / "a", bytes));
      ++opened;
      for (const TensorInfo& tensor : file.tensors()) {
        std::vector<float> values(static_cast<size_t>(element_count(tensor)));
        try {
          file.read_all(tensor, values.data());
        } catch (const InputError&) {  // a type that is known but not a float
        }
      }
    } catch (const InputError& error) {
      EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos);
    }
  }
  EXPECT_GT(opened, 0);  // flips in the data alone leave a valid file
}

struct Lie {
  const char* header;
  size_t data_bytes;
  const char* message;
};

TEST(SafetensorsHostile, EveryLieIsNamed) {
  const Lie lies[] = {
      {"[]", 0, "its header is no JSON object"},
      {"", 0, "its header is no JSON object"},
      {" {}", 0, "its header is no JSON object"},
      {"{\"w\":", 0, "not valid JSON"},
      {"{\"w\":{},\"w\":{}}", 0, "appears twice"},
      {"{\"w\":1}", 0, "tensor 'w': its header entry is not an object"},
      {R"({"w":{"dtype":"F32","shape":[1]}})", 4, "'data_offsets' is missing"},
      {R"({"w":{"dtype":7,"shape":[1],"data_offsets":[0,4]}})", 4, "'dtype' is not a string"},
      {R"({"w":{"dtype":"Q9","shape":[1],"data_offsets":[0,4]}})", 4, "unknown type 'Q9'"},
      {R"({"w":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", 4, "'shape' is not a list"},
      {R"({"w":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4,
       "'shape' is not a list of at most 8"},
      {R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "'shape' holds -1"},
      {R"({"w":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, "'shape' holds 1.0"},
      {R"({"w":{"dtype":"F32","shape":["\n"],"data_offsets":[0,4]}})", 4, "'shape' holds"},
      {R"({"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0, "absurdly large"},
      {R"({"w":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})", 0,
       "absurdly large"},
      {R"({"w":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", 0, "absurdly large"},
      {R"({"w":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,0]}})", 0, "which is no size"},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "takes 8 bytes, data_offsets span 4"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "before it begins"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "not a pair"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 4, "not a pair"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551615]}})", 4,
       "not a pair"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "leaving a hole"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8, "belongs to no tensor"},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4, "cut short"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8, "overlapping"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4, "overlapping"},
      {R"({"__metadata__":[]})", 0, "__metadata__ is not an object"},
      {R"({"__metadata__":{"a":1}})", 0, "__metadata__ 'a' is not a string"},
  };
  const TemporaryFolder folder;
  for (const Lie& lie : lies) {
    const auto path = write_bytes(folder / "a", with_header(lie.header, std::string(lie.data_bytes, '\0')));
    expect_error([&] { SafetensorsFile{path}; }, lie.message);
    expect_error([&] { SafetensorsFile{path}; }, path.string() + ":");
  }
}

TEST(SafetensorsHostile, HeaderLengthsAreChecked) {
  const TemporaryFolder folder;
  for (const uint64_t length :
       {uint64_t{3}, uint64_t{1} << 20, uint64_t{100'000'001}, UINT64_MAX, UINT64_MAX - 7}) {
    const auto path = write_bytes(folder / "a", as_bytes(length) + "{}");
    EXPECT_THROW(SafetensorsFile{path}, InputError) << length;
  }
}

}  // namespace
}  // namespace ft
