// GGUF files made from their parts, for tests that change one of them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/io/gguf.h"
#include "tests/io/io_testing.h"

namespace ft::testing {

inline std::string text_bytes(std::string_view text) {
  return as_bytes(uint64_t{text.size()}).append(text);
}

struct TestTensor {
  std::string name = "w";
  std::vector<uint64_t> sizes = {2};  // fastest first, as in the file
  uint32_t type = 0;
  uint64_t offset = 0;
};

/// A file from its parts, right by default, so that a test states only the lie.
struct TestGguf {
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::vector<std::pair<std::string, std::string>> pairs;  // key, type and value as bytes
  std::vector<TestTensor> tensors = {{}};
  uint64_t extra_tensors = 0, extra_pairs = 0;
  size_t data_bytes = 8;

  std::string bytes() const {
    std::string out = magic + as_bytes(version) + as_bytes(uint64_t{tensors.size()} + extra_tensors) +
                      as_bytes(uint64_t{pairs.size()} + extra_pairs);
    for (const auto& [key, value] : pairs) out += text_bytes(key) + value;
    for (const TestTensor& t : tensors) {
      out += text_bytes(t.name) + as_bytes(static_cast<uint32_t>(t.sizes.size()));
      for (const uint64_t size : t.sizes) out += as_bytes(size);
      out += as_bytes(t.type) + as_bytes(t.offset);
    }
    out.resize((out.size() + 31) / 32 * 32, '\0');
    return out + std::string(data_bytes, '\1');
  }
};

inline std::string u32_value(uint32_t value) {
  return as_bytes(uint32_t{4}) + as_bytes(value);
}
inline std::string array_value(uint32_t type, uint64_t count, std::string_view data) {
  return (as_bytes(uint32_t{9}) + as_bytes(type) + as_bytes(count)).append(data);
}

/// Opens the file and reads all of it; what a loader would do to a stranger's file.
inline void read_everything(const std::filesystem::path& path) {
  const GgufFile file(path);
  for (const std::string& key : file.metadata().keys()) file.metadata().describe(key);
  for (const TensorInfo& tensor : file.tensors()) {
    if (!file.type(tensor).dequantize) continue;
    std::vector<float> values(static_cast<size_t>(element_count(tensor)));
    file.read_all(tensor, values.data());
    file.release(tensor);
  }
}

}  // namespace ft::testing
