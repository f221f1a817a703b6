// GGUF files from a stranger: cut short, damaged, or lying in any field, they are one clear InputError.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "engine/io/gguf.h"
#include "tests/io/gguf_builder.h"
#include "tests/io/io_testing.h"

namespace ft {
namespace {

using testing::array_value;
using testing::as_bytes;
using testing::data_file;
using testing::expect_error;
using testing::read_bytes;
using testing::read_everything;
using testing::TemporaryFolder;
using testing::TestGguf;
using testing::text_bytes;
using testing::u32_value;
using testing::write_bytes;

TEST(GgufHostile, TruncatedAnywhereIsAnInputError) {
  const TemporaryFolder folder;
  TestGguf gguf;
  gguf.pairs = {{"a", u32_value(1)},
                {"s", as_bytes(uint32_t{8}) + text_bytes("text")},
                {"l", array_value(8, 2, text_bytes("x") + text_bytes("yz"))},
                {"i", array_value(5, 3, std::string(12, '\2'))}};
  gguf.tensors = {{"q", {256, 2}, 12, 0}, {"v", {3}, 0, 288}};
  gguf.data_bytes = 300;
  const std::string valid = gguf.bytes();
  EXPECT_NO_THROW(read_everything(write_bytes(folder / "a", valid)));
  for (size_t size = 0; size < valid.size(); ++size) {
    const auto path = write_bytes(folder / "a", valid.substr(0, size));
    EXPECT_THROW(GgufFile{path}, InputError) << size;
  }
}

TEST(GgufHostile, FlippedBytesAreAnErrorOrAFileThatCanBeRead) {
  const TemporaryFolder folder;
  TestGguf gguf;
  gguf.pairs = {{"general.alignment", u32_value(32)},
                {"s", as_bytes(uint32_t{8}) + text_bytes("text")},
                {"l", array_value(8, 2, text_bytes("x") + text_bytes("yz"))},
                {"b", array_value(7, 3, std::string(3, '\1'))}};
  gguf.tensors = {{"q", {256, 2}, 12, 0}, {"v", {3}, 0, 288}};
  gguf.data_bytes = 300;
  const std::string small = gguf.bytes(), large = read_bytes(data_file("quants.gguf"));
  std::mt19937 random(11);
  int opened = 0;
  for (int round = 0; round < 6000; ++round) {
    const bool is_small = round % 4 != 0;
    std::string bytes = is_small ? small : large;
    const size_t head = is_small ? small.size() - gguf.data_bytes : 2000;
    for (uint32_t flips = 1 + random() % 3; flips > 0; --flips) {
      // Mostly one bit or a small value: a wild byte fails the first check, a near miss reaches the later
      // ones.
      char& byte = bytes[random() % head];
      byte = static_cast<char>(random() % 2 ? byte ^ (1 << random() % 8) : random() % 16);
    }
    try {
      read_everything(write_bytes(folder / "a", bytes));
      ++opened;
    } catch (const InputError& error) {
      EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos);
    }
  }
  EXPECT_GT(opened, 100);
}

TEST(GgufHostile, EveryLieIsNamed) {
  constexpr uint64_t kHuge = uint64_t{1} << 62;
  const std::pair<const char*, std::function<void(TestGguf&)>> lies[] = {
      {"does not begin with \"GGUF\"", [](TestGguf& g) { g.magic = "GGML"; }},
      {"GGUF version 1;", [](TestGguf& g) { g.version = 1; }},
      {"GGUF version 4;", [](TestGguf& g) { g.version = 4; }},
      {"big-endian", [](TestGguf& g) { g.version = 0x03000000; }},
      {"tensors, more than", [](TestGguf& g) { g.extra_tensors = kHuge; }},
      {"metadata keys, more than", [](TestGguf& g) { g.extra_pairs = kHuge; }},
      {"metadata key 0 has 0 bytes",
       [](TestGguf& g) {
         g.pairs = {{"", u32_value(1)}};
       }},
      {"has 65536 bytes",
       [](TestGguf& g) {
         g.pairs = {{std::string(65536, 'k'), u32_value(1)}};
       }},
      {"metadata 'k' appears twice",
       [](TestGguf& g) {
         g.pairs = {{"k", u32_value(1)}, {"k", u32_value(1)}};
       }},
      {"metadata 'k' has the unknown type 13",
       [](TestGguf& g) {
         g.pairs = {{"k", as_bytes(uint32_t{13})}};
       }},
      {"metadata 'k' is a bool of value 2",
       [](TestGguf& g) {
         g.pairs = {{"k", as_bytes(uint32_t{7}) + "\2"}};
       }},
      {"metadata 'k' is an array of arrays",
       [](TestGguf& g) {
         g.pairs = {{"k", array_value(9, 1, "")}};
       }},
      {"a metadata value at byte",
       [](TestGguf& g) {
         g.pairs = {{"k", array_value(0, kHuge, "")}};
       }},
      {"metadata 'k' claims",
       [](TestGguf& g) {
         g.pairs = {{"k", array_value(12, kHuge, "")}};
       }},
      {"strings, more than",
       [](TestGguf& g) {
         g.pairs = {{"k", array_value(8, kHuge, "")}};
       }},
      {"a metadata string at byte",
       [](TestGguf& g) {
         g.pairs = {{"k", as_bytes(uint32_t{8}) + as_bytes(UINT64_MAX)}};
       }},
      {"'general.alignment' is 0",
       [](TestGguf& g) {
         g.pairs = {{"general.alignment", u32_value(0)}};
       }},
      {"'general.alignment' is 48",
       [](TestGguf& g) {
         g.pairs = {{"general.alignment", u32_value(48)}};
       }},
      {"'general.alignment' is 2147483648",
       [](TestGguf& g) {
         g.pairs = {{"general.alignment", u32_value(uint32_t{1} << 31)}};
       }},
      {"'general.alignment' is of type string",
       [](TestGguf& g) {
         g.pairs = {{"general.alignment", as_bytes(uint32_t{8}) + text_bytes("32")}};
       }},
      {"its name is empty", [](TestGguf& g) { g.tensors[0].name = ""; }},
      {"tensor 'w' appears twice",
       [](TestGguf& g) {
         g.tensors = {{"w", {1}, 0, 0}, {"w", {1}, 0, 32}};
       }},
      {"tensor 'a?b'",
       [](TestGguf& g) {
         g.tensors = {{"a\nb", {1}, 0, 4}};
       }},
      {"it has 5 dimensions",
       [](TestGguf& g) {
         g.tensors[0].sizes = {1, 1, 1, 1, 1};
       }},
      {"dimension 1 is",
       [](TestGguf& g) {
         g.tensors[0].sizes = {2, UINT64_MAX};
       }},
      {"absurdly large",
       [](TestGguf& g) {
         g.tensors[0].sizes = {uint64_t{1} << 32, uint64_t{1} << 32};
       }},
      {"absurdly large", [](TestGguf& g) { g.tensors[0].sizes = {kHuge}; }},
      {"absurdly large",
       [](TestGguf& g) {
         g.tensors[0].sizes = {uint64_t{1} << 40, 0, uint64_t{1} << 40};
       }},
      {"its type 4 is unknown", [](TestGguf& g) { g.tensors[0].type = 4; }},
      {"its type 4294967295 is unknown", [](TestGguf& g) { g.tensors[0].type = UINT32_MAX; }},
      {"rows of 2 are no multiple of the 32", [](TestGguf& g) { g.tensors[0].type = 8; }},
      {"rows of 128 are no multiple of the 256",
       [](TestGguf& g) {
         g.tensors[0] = {"w", {128, 2}, 12, 0};
       }},
      {"its offset 4 is no multiple", [](TestGguf& g) { g.tensors[0].offset = 4; }},
      {"takes 8 bytes at offset 32", [](TestGguf& g) { g.tensors[0].offset = 32; }},
      {"takes 8 bytes at offset", [](TestGguf& g) { g.tensors[0].offset = UINT64_MAX - 31; }},
      {"takes 12 bytes at offset 0", [](TestGguf& g) { g.tensors[0].sizes = {3}; }},
      {"overlaps the one before it",
       [](TestGguf& g) {
         g.tensors = {{"a", {16}, 0, 0}, {"b", {8}, 0, 32}};
         g.data_bytes = 64;
       }},
      {"overlaps the one before it",
       [](TestGguf& g) {
         g.tensors = {{"a", {2}, 0, 0}, {"b", {2}, 0, 0}};
       }},
  };
  const TemporaryFolder folder;
  for (const auto& [message, lie] : lies) {
    TestGguf gguf;
    lie(gguf);
    const auto path = write_bytes(folder / "a", gguf.bytes());
    expect_error([&] { GgufFile{path}; }, message);
    expect_error([&] { GgufFile{path}; }, path.string() + ": ");
  }
}

}  // namespace
}  // namespace ft
