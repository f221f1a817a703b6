// The key-value part of a GGUF file, with typed access.
//
// Invariant: every value was bounds-checked when it was parsed, so reading one needs no check and parsing
// allocates nothing that a file can inflate: strings and arrays stay where they are in the mapped file until
// they are asked for. Missing keys and wrong types are InputErrors "FILE: metadata 'KEY' …". Source: ggml
// docs/gguf.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/gguf_cursor.h"

namespace ft {

enum class GgufType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

std::string_view gguf_type_name(GgufType type);

class GgufMetadata {
 public:
  GgufMetadata() = default;
  /// Parses `count` pairs. The bytes under the cursor outlive this object.
  GgufMetadata(GgufCursor& cursor, uint64_t count);

  bool has(std::string_view key) const { return values_.contains(key); }
  /// In alphabetical order.
  std::vector<std::string> keys() const;
  /// A value for people to read: `"llama"`, `576`, `[49152 × string]`.
  std::string describe(std::string_view key) const;

  std::string get_string(std::string_view key) const;
  uint32_t get_u32(std::string_view key) const;  // from any integer type whose value fits
  uint64_t get_u64(std::string_view key) const;
  float get_f32(std::string_view key) const;  // from f32 or f64
  bool get_bool(std::string_view key) const;
  std::vector<std::string> get_strings(std::string_view key) const;
  std::vector<int64_t> get_ints(std::string_view key) const;  // from any integer type whose values fit
  std::vector<float> get_floats(std::string_view key) const;  // from f32 or f64
  std::vector<bool> get_bools(std::string_view key) const;

  /// The same with a value for a missing key; a key of the wrong type is still an error.
  std::string get_string(std::string_view key, std::string_view missing) const;
  uint32_t get_u32(std::string_view key, uint32_t missing) const;
  float get_f32(std::string_view key, float missing) const;
  bool get_bool(std::string_view key, bool missing) const;

 private:
  struct Value {
    GgufType type;  // of the value, or of an array's elements
    bool is_array;
    uint64_t count;         // 1, or elements of the array
    const std::byte* data;  // numbers side by side; strings as u64 length and bytes
  };
  static Value parse_value(GgufCursor& cursor, std::string_view key);
  const Value& at(std::string_view key) const;
  const Value& scalar(std::string_view key) const;
  const Value& array(std::string_view key) const;
  [[noreturn]] void wrong_type(std::string_view key, std::string_view expected) const;
  template <class T>
  T integer(std::string_view key, const Value& value, size_t i) const;
  float real(std::string_view key, const Value& value, size_t i) const;

  std::string file_;
  std::map<std::string_view, Value> values_;
};

}  // namespace ft
