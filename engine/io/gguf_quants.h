// The element types of GGUF files: sizes of all, and float32 values of those that models are shipped in.
//
// A quantised row is a run of blocks; each block holds the codes of 32 (K types: 256) neighbouring numbers
// and the scales that turn them back. Products and sums are rounded one by one in float32 in the order the
// format's reference uses, so values equal the reference's bit for bit. Source: ggml, the block structures of
// ggml-common.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ft {

struct GgmlType {
  uint32_t id;  // as stored in the file
  std::string_view name;
  uint32_t block_elements;
  uint32_t block_bytes;
  /// `blocks` blocks at `source` (any alignment) into out[blocks * block_elements]; nullptr if not supported.
  void (*dequantize)(const std::byte* source, size_t blocks, float* out);
};

/// The type with this number, or nullptr if it is unknown.
const GgmlType* find_ggml_type(uint32_t id);

/// "F32, F16, BF16, Q4_0, …": the types that can be read.
std::string_view readable_ggml_types();

}  // namespace ft
