#include "engine/io/safetensors_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "engine/core/check.h"
#include "engine/io/atomic_file.h"
#include "engine/io/safetensors.h"
#include "engine/io/tensor_shape.h"

namespace ft {
namespace {

uint64_t byte_count(const SafetensorsEntry& entry) {
  const auto count = checked_element_count(entry.shape);
  const auto bytes = count ? checked_product(*count, safetensors_element_size(entry.dtype)) : std::nullopt;
  FT_CHECK(bytes.has_value(), "[write_safetensors] expected a shape that fits memory, got {} for '{}'",
           shape_text(entry.shape), entry.name);
  return *bytes;
}

/// The JSON header in the order of the entries, padded with spaces so that the data begins at a multiple
/// of 8.
std::string header_text(const std::vector<SafetensorsEntry>& entries,
                        const std::map<std::string, std::string>& metadata) {
  // ordered_json compares a new key with every old one; entries are unique, so they are appended unchecked.
  auto header = nlohmann::ordered_json::object();
  auto& members = header.get_ref<nlohmann::ordered_json::object_t&>();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const SafetensorsEntry& entry : entries) {
    const uint64_t end = offset + byte_count(entry);
    members.push_back(
        {entry.name, {{"dtype", entry.dtype}, {"shape", entry.shape}, {"data_offsets", {offset, end}}}});
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

SafetensorsEntry float32_entry(std::string name, std::vector<int64_t> shape, const float* data) {
  SafetensorsEntry entry{std::move(name), "F32", std::move(shape), nullptr};
  const uint64_t bytes = byte_count(entry);
  entry.write = [data, bytes](const ByteSink& sink) { sink(data, bytes); };
  return entry;
}

void write_safetensors(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata) {
  for (const SafetensorsEntry& entry : entries) {
    FT_CHECK(safetensors_element_size(entry.dtype) > 0,
             "[write_safetensors] expected a safetensors type, got '{}'", entry.dtype);
    FT_CHECK(entry.name != "__metadata__",
             "[write_safetensors] expected a tensor name, got the format's own {}", entry.name);
  }
  const auto order = [](const SafetensorsEntry& entry) {
    return std::tuple(-static_cast<int>(safetensors_element_size(entry.dtype)), std::string_view(entry.name));
  };
  std::sort(entries.begin(), entries.end(),
            [&](const SafetensorsEntry& a, const SafetensorsEntry& b) { return order(a) < order(b); });
  std::vector<std::string_view> names;
  for (const SafetensorsEntry& entry : entries) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  const auto twin = std::adjacent_find(names.begin(), names.end());
  FT_CHECK(twin == names.end(), "[write_safetensors] expected unique names, got '{}' twice", *twin);

  AtomicFile file(path);
  const std::string header = header_text(entries, metadata);
  const uint64_t header_bytes = header.size();
  file.write(&header_bytes, sizeof(header_bytes));
  file.write(header.data(), header.size());
  for (const SafetensorsEntry& entry : entries) {
    const uint64_t expected = byte_count(entry);
    uint64_t written = 0;
    entry.write([&](const void* data, size_t bytes) {
      FT_CHECK(bytes <= expected - written, "[write_safetensors] expected {} bytes for '{}', got more",
               expected, entry.name);
      file.write(data, bytes);
      written += bytes;
    });
    FT_CHECK(written == expected, "[write_safetensors] expected {} bytes for '{}', got {}", expected,
             entry.name, written);
  }
  file.commit();
}

}  // namespace ft
