// safetensors files, the writing side: deterministic bytes, streamed, all or nothing.
//
// Tensors go into the file by element size (largest first) and then by name, as the reference writer orders
// them: with a header padded to 8 bytes that aligns every tensor, which PyTorch needs to map the file. The
// same tensors give the same bytes whatever order they are passed in. Memory: the header and what a callback
// holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace ft {

/// Takes the next `bytes` of the tensor that is being written.
using ByteSink = std::function<void(const void* data, size_t bytes)>;

struct SafetensorsEntry {
  std::string name;
  std::string dtype;  // "F32", "BF16", …
  std::vector<int64_t> shape;
  std::function<void(const ByteSink&)>
      write;  // hands over all bytes in row-major order, in pieces of any size
};

/// An entry of type F32 over memory that outlives the call of write_safetensors. data: product of shape.
SafetensorsEntry float32_entry(std::string name, std::vector<int64_t> shape, const float* data);

/// Replaces `path` by a file with these tensors (atomic_file.h). Each `write` is called once, in the order of
/// the file. Throws Error on a failed write, a name that appears twice, an unknown dtype, or a callback that
/// hands over more or fewer bytes than its shape takes; the previous file is then unchanged.
void write_safetensors(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace ft
