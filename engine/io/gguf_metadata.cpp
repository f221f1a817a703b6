#include "engine/io/gguf_metadata.h"

#include <cstring>
#include <optional>
#include <utility>

#include "engine/io/printable.h"
#include "engine/io/tensor_shape.h"

namespace ft {
namespace {

constexpr uint64_t kMaxKeyBytes = 65535;           // the format's own limit
constexpr uint64_t kSmallestPair = 8 + 1 + 4 + 1;  // key length, key, type, value

template <class T>
T load(const std::byte* data, size_t i = 0) {
  T value;
  std::memcpy(&value, data + i * sizeof(T), sizeof(T));
  return value;
}

/// Bytes of one value of a fixed size; 0 for strings and arrays.
size_t fixed_size(GgufType type) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean:
      return 1;
    case GgufType::u16:
    case GgufType::i16:
      return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32:
      return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64:
      return 8;
    case GgufType::string:
    case GgufType::array:
      return 0;
  }
  return 0;
}

/// Element i of an array of integers as a sign and a magnitude, so that u64 and i64 both fit; nothing if the
/// type is not an integer.
struct Integer {
  bool negative;
  uint64_t magnitude;
};
std::optional<Integer> load_integer(GgufType type, const std::byte* data, size_t i) {
  const auto from_signed = [](int64_t v) {
    return Integer{v < 0, v < 0 ? ~static_cast<uint64_t>(v) + 1 : static_cast<uint64_t>(v)};
  };
  switch (type) {
    case GgufType::u8:
      return Integer{false, load<uint8_t>(data, i)};
    case GgufType::u16:
      return Integer{false, load<uint16_t>(data, i)};
    case GgufType::u32:
      return Integer{false, load<uint32_t>(data, i)};
    case GgufType::u64:
      return Integer{false, load<uint64_t>(data, i)};
    case GgufType::i8:
      return from_signed(load<int8_t>(data, i));
    case GgufType::i16:
      return from_signed(load<int16_t>(data, i));
    case GgufType::i32:
      return from_signed(load<int32_t>(data, i));
    case GgufType::i64:
      return from_signed(load<int64_t>(data, i));
    default:
      return std::nullopt;
  }
}

/// The string at `data`, and the place behind it.
std::pair<std::string_view, const std::byte*> load_string(const std::byte* data) {
  const auto length = load<uint64_t>(data);
  return {{reinterpret_cast<const char*>(data + 8), length}, data + 8 + length};
}

GgufType parse_type(GgufCursor& cursor, std::string_view key) {
  const auto id = cursor.number<uint32_t>("a metadata type");
  if (id > static_cast<uint32_t>(GgufType::f64)) {
    bad_input("{}: metadata '{}' has the unknown type {}", cursor.file(), printable(key), id);
  }
  return static_cast<GgufType>(id);
}

}  // namespace

std::string_view gguf_type_name(GgufType type) {
  static constexpr std::string_view kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                "bool", "string", "array", "u64", "i64", "f64"};
  return kNames[static_cast<size_t>(type)];
}

GgufMetadata::GgufMetadata(GgufCursor& cursor, uint64_t count) : file_(cursor.file()) {
  if (count > cursor.remaining() / kSmallestPair) {
    bad_input("{}: claims {} metadata keys, more than its {} bytes can hold", file_, count,
              cursor.remaining());
  }
  for (uint64_t i = 0; i < count; ++i) {
    const std::string_view key = cursor.string("a metadata key");
    if (key.empty() || key.size() > kMaxKeyBytes) {
      bad_input("{}: metadata key {} has {} bytes, the format allows 1 to {}", file_, i, key.size(),
                kMaxKeyBytes);
    }
    const Value value = parse_value(cursor, key);
    if (!values_.emplace(key, value).second) {
      bad_input("{}: metadata '{}' appears twice", file_, printable(key));
    }
  }
}

GgufMetadata::Value GgufMetadata::parse_value(GgufCursor& cursor, std::string_view key) {
  Value value{parse_type(cursor, key), false, 1, nullptr};
  if (value.type == GgufType::array) {
    value.is_array = true;
    value.type = parse_type(cursor, key);
    if (value.type == GgufType::array) {
      bad_input("{}: metadata '{}' is an array of arrays, which is not supported", cursor.file(),
                printable(key));
    }
    value.count = cursor.number<uint64_t>("an array length");
  }
  if (value.type == GgufType::string) {
    if (value.count > cursor.remaining() / sizeof(uint64_t)) {
      bad_input("{}: metadata '{}' claims {} strings, more than its {} bytes can hold", cursor.file(),
                printable(key), value.count, cursor.remaining());
    }
    value.data = cursor.take(0, "a string");
    for (uint64_t i = 0; i < value.count; ++i) cursor.string("a metadata string");
    return value;
  }
  const auto bytes = checked_product(value.count, fixed_size(value.type));
  if (!bytes) bad_input("{}: metadata '{}' claims {} elements", cursor.file(), printable(key), value.count);
  value.data = cursor.take(*bytes, "a metadata value");
  if (value.type == GgufType::boolean) {
    for (uint64_t i = 0; i < value.count; ++i) {
      if (load<uint8_t>(value.data, i) > 1) {
        bad_input("{}: metadata '{}' is a bool of value {}", cursor.file(), printable(key),
                  load<uint8_t>(value.data, i));
      }
    }
  }
  return value;
}

std::vector<std::string> GgufMetadata::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : values_) keys.emplace_back(key);
  return keys;
}

std::string GgufMetadata::describe(std::string_view key) const {
  const Value& value = at(key);
  if (value.is_array) return fmt::format("[{} × {}]", value.count, gguf_type_name(value.type));
  switch (value.type) {
    case GgufType::string:
      return fmt::format("\"{}\"", printable(load_string(value.data).first, 200));
    case GgufType::boolean:
      return get_bool(key) ? "true" : "false";
    case GgufType::f32:
      return fmt::format("{}", load<float>(value.data));
    case GgufType::f64:
      return fmt::format("{}", load<double>(value.data));
    default: {
      const Integer number = *load_integer(value.type, value.data, 0);
      return fmt::format("{}{}", number.negative ? "-" : "", number.magnitude);
    }
  }
}

const GgufMetadata::Value& GgufMetadata::at(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) bad_input("{}: metadata '{}' is missing", file_, key);
  return found->second;
}

void GgufMetadata::wrong_type(std::string_view key, std::string_view expected) const {
  const Value& value = at(key);
  bad_input("{}: metadata '{}' is {}{}, expected {}", file_, key,
            value.is_array ? "an array of " : "of type ", gguf_type_name(value.type), expected);
}

const GgufMetadata::Value& GgufMetadata::scalar(std::string_view key) const {
  const Value& value = at(key);
  if (value.is_array) wrong_type(key, "a single value");
  return value;
}

const GgufMetadata::Value& GgufMetadata::array(std::string_view key) const {
  const Value& value = at(key);
  if (!value.is_array) wrong_type(key, "an array");
  return value;
}

template <class T>
T GgufMetadata::integer(std::string_view key, const Value& value, size_t i) const {
  const auto number = load_integer(value.type, value.data, i);
  if (!number) wrong_type(key, "an integer type");
  const auto limit = static_cast<uint64_t>(std::numeric_limits<T>::max());
  const bool fits = number->negative ? std::numeric_limits<T>::is_signed && number->magnitude <= limit
                                     : number->magnitude <= limit;
  if (!fits) {
    bad_input("{}: metadata '{}' is {}{}, out of range", file_, key, number->negative ? "-" : "",
              number->magnitude);
  }
  const auto magnitude = static_cast<T>(number->magnitude);
  return number->negative ? static_cast<T>(-magnitude) : magnitude;
}

float GgufMetadata::real(std::string_view key, const Value& value, size_t i) const {
  if (value.type == GgufType::f32) return load<float>(value.data, i);
  if (value.type == GgufType::f64) return static_cast<float>(load<double>(value.data, i));
  wrong_type(key, "a float type");
}

std::string GgufMetadata::get_string(std::string_view key) const {
  const Value& value = scalar(key);
  if (value.type != GgufType::string) wrong_type(key, "string");
  return std::string(load_string(value.data).first);
}

uint32_t GgufMetadata::get_u32(std::string_view key) const {
  return integer<uint32_t>(key, scalar(key), 0);
}
uint64_t GgufMetadata::get_u64(std::string_view key) const {
  return integer<uint64_t>(key, scalar(key), 0);
}
float GgufMetadata::get_f32(std::string_view key) const {
  return real(key, scalar(key), 0);
}

bool GgufMetadata::get_bool(std::string_view key) const {
  const Value& value = scalar(key);
  if (value.type != GgufType::boolean) wrong_type(key, "bool");
  return load<uint8_t>(value.data) != 0;
}

std::vector<std::string> GgufMetadata::get_strings(std::string_view key) const {
  const Value& value = array(key);
  if (value.type != GgufType::string) wrong_type(key, "an array of string");
  std::vector<std::string> strings;
  strings.reserve(value.count);
  const std::byte* data = value.data;
  for (uint64_t i = 0; i < value.count; ++i) {
    const auto [text, behind] = load_string(data);
    strings.emplace_back(text);
    data = behind;
  }
  return strings;
}

std::vector<int64_t> GgufMetadata::get_ints(std::string_view key) const {
  const Value& value = array(key);
  std::vector<int64_t> ints(value.count);
  for (uint64_t i = 0; i < value.count; ++i) ints[i] = integer<int64_t>(key, value, i);
  return ints;
}

std::vector<float> GgufMetadata::get_floats(std::string_view key) const {
  const Value& value = array(key);
  std::vector<float> floats(value.count);
  for (uint64_t i = 0; i < value.count; ++i) floats[i] = real(key, value, i);
  return floats;
}

std::vector<bool> GgufMetadata::get_bools(std::string_view key) const {
  const Value& value = array(key);
  if (value.type != GgufType::boolean) wrong_type(key, "an array of bool");
  std::vector<bool> bools(value.count);
  for (uint64_t i = 0; i < value.count; ++i) bools[i] = load<uint8_t>(value.data, i) != 0;
  return bools;
}

std::string GgufMetadata::get_string(std::string_view key, std::string_view missing) const {
  return has(key) ? get_string(key) : std::string(missing);
}
uint32_t GgufMetadata::get_u32(std::string_view key, uint32_t missing) const {
  return has(key) ? get_u32(key) : missing;
}
float GgufMetadata::get_f32(std::string_view key, float missing) const {
  return has(key) ? get_f32(key) : missing;
}
bool GgufMetadata::get_bool(std::string_view key, bool missing) const {
  return has(key) ? get_bool(key) : missing;
}

}  // namespace ft
