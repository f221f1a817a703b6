#include "engine/io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "engine/core/check.h"
#include "engine/io/json.h"
#include "engine/io/printable.h"
#include "engine/io/tensor_shape.h"
#include "engine/io/widen.h"

static_assert(std::endian::native == std::endian::little, "the file formats are little endian");

namespace ft {
namespace {

struct Entry {
  TensorInfo info;
  uint64_t begin, end;  // in the buffer
};

/// One tensor of the header, checked in itself: known type, sane shape, and an extent of the size they imply.
Entry parse_entry(const std::string& file, const std::string& name, const Json& json) {
  const auto bad = [&](std::string_view what) {
    bad_input("{}: tensor '{}': {}", file, printable(name), what);
  };
  if (!json.is_object()) bad("its header entry is not an object");
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    if (!json.contains(key)) bad(fmt::format("'{}' is missing from its header entry", key));
  }

  Entry entry;
  entry.info.name = name;
  const Json& dtype = json["dtype"];
  if (!dtype.is_string()) bad("'dtype' is not a string");
  entry.info.type = dtype.get<std::string>();
  const size_t element_size = safetensors_element_size(entry.info.type);
  if (element_size == 0) bad(fmt::format("unknown type '{}'", printable(entry.info.type)));

  const Json& shape = json["shape"];
  if (!shape.is_array() || shape.size() > kMaxDimensions) {
    bad(fmt::format("'shape' is not a list of at most {} sizes", kMaxDimensions));
  }
  for (const Json& dimension : shape) {
    const auto size = whole_number(dimension);
    if (!size) bad(fmt::format("'shape' holds {}, which is no size", printable(dimension.dump())));
    entry.info.shape.push_back(*size);
  }
  const auto count = checked_element_count(entry.info.shape);
  const auto bytes = count ? checked_product(*count, element_size) : std::nullopt;
  if (!bytes) bad(fmt::format("the shape {} is absurdly large", shape_text(entry.info.shape)));

  const Json& offsets = json["data_offsets"];
  const bool pair = offsets.is_array() && offsets.size() == 2;
  const auto begin = pair ? whole_number(offsets[0]) : std::nullopt,
             end = pair ? whole_number(offsets[1]) : std::nullopt;
  if (!begin || !end) bad("'data_offsets' is not a pair of offsets");
  if (*begin > *end) bad(fmt::format("it ends at {}, before it begins at {}", *end, *begin));
  entry.begin = static_cast<uint64_t>(*begin);
  entry.end = static_cast<uint64_t>(*end);
  if (entry.end - entry.begin != *bytes) {
    bad(fmt::format("{} of shape {} takes {} bytes, data_offsets span {}", entry.info.type,
                    shape_text(entry.info.shape), *bytes, entry.end - entry.begin));
  }
  return entry;
}

std::map<std::string, std::string> parse_metadata(const std::string& file, const Json& json) {
  if (!json.is_object()) bad_input("{}: __metadata__ is not an object", file);
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) bad_input("{}: __metadata__ '{}' is not a string", file, printable(key));
    metadata.emplace(key, value.get<std::string>());
  }
  return metadata;
}

/// Entries in the order of the buffer must meet end to end and fill it.
void check_tiling(const std::string& file, const std::vector<Entry>& entries, uint64_t buffer_bytes) {
  uint64_t expected = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != expected) {
      bad_input("{}: tensor '{}' begins at byte {} of the data, {} the end of the one before it at {}", file,
                printable(entry.info.name), entry.begin,
                entry.begin < expected ? "overlapping" : "leaving a hole after", expected);
    }
    expected = entry.end;
  }
  if (expected != buffer_bytes) {
    bad_input("{}: the header describes {} bytes of data, the file has {}; {}", file, expected, buffer_bytes,
              expected > buffer_bytes ? "it is cut short, fetch it again" : "the rest belongs to no tensor");
  }
}

}  // namespace

size_t safetensors_element_size(std::string_view dtype) {
  static constexpr std::pair<std::string_view, size_t> kSizes[] = {
      {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I64", 8}, {"I32", 4},
      {"I16", 2}, {"I8", 1},  {"U64", 8}, {"U32", 4},  {"U16", 2},     {"U8", 1},      {"BOOL", 1}};
  for (const auto& [name, size] : kSizes) {
    if (name == dtype) return size;
  }
  return 0;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  const std::string name = path.string();
  const std::string_view text = file_.text();
  uint64_t header_bytes = 0;
  if (text.size() < sizeof(header_bytes)) {
    bad_input("{}: not a safetensors file: {} bytes are too few for one", name, text.size());
  }
  std::memcpy(&header_bytes, text.data(), sizeof(header_bytes));
  if (header_bytes > kMaxSafetensorsHeader) {
    bad_input("{}: not a safetensors file: its header would take {} bytes, the limit is {}", name,
              header_bytes, kMaxSafetensorsHeader);
  }
  if (header_bytes > text.size() - sizeof(header_bytes)) {
    bad_input("{}: the header takes {} bytes, the file has {} left; it is cut short, fetch it again", name,
              header_bytes, text.size() - sizeof(header_bytes));
  }
  const uint64_t data_begin = sizeof(header_bytes) + header_bytes;
  const std::string_view header = text.substr(sizeof(header_bytes), header_bytes);
  if (!header.starts_with('{')) bad_input("{}: not a safetensors file: its header is no JSON object", name);
  const Json json = parse_json(header, name);

  std::vector<Entry> entries;
  for (const auto& [key, value] : json.items()) {
    if (key == "__metadata__") {
      metadata_ = parse_metadata(name, value);
    } else {
      entries.push_back(parse_entry(name, key, value));
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_tiling(name, entries, text.size() - data_begin);

  std::vector<TensorInfo> infos;
  for (Entry& entry : entries) {
    extents_.push_back({data_begin + entry.begin, data_begin + entry.end});
    infos.push_back(std::move(entry.info));
  }
  table_ = std::make_unique<TensorTable>(std::move(infos));
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorInfo& tensor) const {
  const Extent& extent = extents_[table_->position(tensor)];
  return file_.bytes().subspan(extent.begin, extent.end - extent.begin);
}

void SafetensorsFile::read_rows(const TensorInfo& tensor, int64_t row, int64_t rows, float* out) const {
  check_row_range(tensor, row, rows);
  const std::span<const std::byte> stored = bytes(tensor);
  const auto width = static_cast<size_t>(row_width(tensor));
  const size_t count = static_cast<size_t>(rows) * width;
  const std::byte* source =
      stored.data() + static_cast<size_t>(row) * width * safetensors_element_size(tensor.type);
  if (tensor.type == "F32") return widen_f32(source, count, out);
  if (tensor.type == "BF16") return widen_bf16(source, count, out);
  if (tensor.type == "F16") return widen_f16(source, count, out);
  if (tensor.type == "F64") return widen_f64(source, count, out);
  bad_input("{}: tensor '{}' has type {}; weights can be read from F32, F16, BF16 and F64", path(),
            printable(tensor.name), tensor.type);
}

void SafetensorsFile::release(const TensorInfo& tensor) const {
  const Extent& extent = extents_[table_->position(tensor)];
  file_.release(extent.begin, extent.end - extent.begin);
}

}  // namespace ft
