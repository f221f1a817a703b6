#include "engine/io/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "engine/core/check.h"
#include "engine/io/printable.h"
#include "engine/io/tensor_shape.h"

static_assert(std::endian::native == std::endian::little, "the file format is little endian");

namespace ft {
namespace {

constexpr uint32_t kMaxGgufDimensions = 4;
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kMaxAlignment = 1 << 20;
constexpr uint64_t kSmallestInfo = 8 + 1 + 4 + 4 + 8;  // name length, name, dimensions, type, offset

struct Entry {
  TensorInfo info;
  const GgmlType* type;
  uint64_t offset, bytes;  // in the data
};

uint32_t parse_version(GgufCursor& cursor) {
  if (cursor.remaining() < 4 || std::memcmp(cursor.take(4, "the magic"), "GGUF", 4) != 0) {
    bad_input("{}: not a GGUF file: it does not begin with \"GGUF\"", cursor.file());
  }
  const auto version = cursor.number<uint32_t>("the version");
  if (version == __builtin_bswap32(2) || version == __builtin_bswap32(3)) {
    bad_input("{}: is a big-endian GGUF file; only little-endian ones are supported", cursor.file());
  }
  if (version != 2 && version != 3) {
    bad_input("{}: is GGUF version {}; versions 2 and 3 are supported", cursor.file(), version);
  }
  return version;
}

uint64_t parse_alignment(const GgufMetadata& metadata, const std::string& file) {
  const uint64_t alignment = metadata.get_u32("general.alignment", kDefaultAlignment);
  if (!std::has_single_bit(alignment) || alignment < 8 || alignment > kMaxAlignment) {
    bad_input("{}: metadata 'general.alignment' is {}, expected a power of two from 8 to {}", file, alignment,
              kMaxAlignment);
  }
  return alignment;
}

/// One tensor's info, checked in itself: a known type, a sane shape of whole blocks, an aligned offset.
Entry parse_info(GgufCursor& cursor, uint64_t alignment) {
  Entry entry;
  const std::string_view name = cursor.string("a tensor's name");
  const auto bad = [&](std::string_view what) {
    bad_input("{}: tensor '{}': {}", cursor.file(), printable(name), what);
  };
  if (name.empty()) bad("its name is empty");
  entry.info.name = name;

  const auto dimensions = cursor.number<uint32_t>("a tensor's dimensions");
  if (dimensions > kMaxGgufDimensions) {
    bad(fmt::format("it has {} dimensions, the format allows {}", dimensions, kMaxGgufDimensions));
  }
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto size = cursor.number<uint64_t>("a tensor's shape");
    if (size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      bad(fmt::format("dimension {} is {}, absurdly large", i, size));
    }
    entry.info.shape.push_back(static_cast<int64_t>(size));
  }
  const int64_t fastest = dimensions == 0 ? 1 : entry.info.shape.front();
  std::reverse(entry.info.shape.begin(), entry.info.shape.end());

  const auto type_id = cursor.number<uint32_t>("a tensor's type");
  entry.type = find_ggml_type(type_id);
  if (!entry.type) bad(fmt::format("its type {} is unknown", type_id));
  entry.info.type = entry.type->name;
  if (fastest % entry.type->block_elements != 0) {
    bad(fmt::format("rows of {} are no multiple of the {} elements in a {} block", fastest,
                    entry.type->block_elements, entry.type->name));
  }
  const auto count = checked_element_count(entry.info.shape);
  const auto bytes =
      count ? checked_product(*count / entry.type->block_elements, entry.type->block_bytes) : std::nullopt;
  if (!bytes) bad(fmt::format("the shape {} is absurdly large", shape_text(entry.info.shape)));
  entry.bytes = *bytes;

  entry.offset = cursor.number<uint64_t>("a tensor's offset");
  if (entry.offset % alignment != 0) {
    bad(fmt::format("its offset {} is no multiple of the alignment {}", entry.offset, alignment));
  }
  return entry;
}

std::vector<Entry> parse_infos(GgufCursor& cursor, uint64_t count, uint64_t alignment) {
  if (count > cursor.remaining() / kSmallestInfo) {
    bad_input("{}: claims {} tensors, more than its {} bytes can hold", cursor.file(), count,
              cursor.remaining());
  }
  std::vector<Entry> entries;
  for (uint64_t i = 0; i < count; ++i) entries.push_back(parse_info(cursor, alignment));
  std::unordered_set<std::string_view> names;
  for (const Entry& entry : entries) {
    if (!names.insert(entry.info.name).second) {
      bad_input("{}: tensor '{}' appears twice", cursor.file(), printable(entry.info.name));
    }
  }
  return entries;
}

/// Tensors, in the order of the data, must lie inside it and apart from each other; padding may be between
/// them.
void check_placement(const std::string& file, const std::vector<Entry>& entries, uint64_t data_bytes) {
  uint64_t end = 0;
  for (const Entry& entry : entries) {
    const auto entry_end = checked_sum(entry.offset, entry.bytes);
    if (!entry_end || *entry_end > data_bytes) {
      bad_input(
          "{}: tensor '{}' takes {} bytes at offset {}, the file has {} bytes of data; it is damaged or cut "
          "short, fetch it again",
          file, printable(entry.info.name), entry.bytes, entry.offset, data_bytes);
    }
    if (entry.bytes > 0 && entry.offset < end) {
      bad_input("{}: tensor '{}' at offset {} overlaps the one before it, which ends at {}", file,
                printable(entry.info.name), entry.offset, end);
    }
    end = std::max(end, *entry_end);
  }
}

}  // namespace

GgufFile::GgufFile(const std::filesystem::path& path) : file_(path) {
  GgufCursor cursor(file_.bytes(), path.string());
  parse_version(cursor);
  const auto tensor_count = cursor.number<uint64_t>("the number of tensors");
  const auto key_count = cursor.number<uint64_t>("the number of metadata keys");
  metadata_ = GgufMetadata(cursor, key_count);
  const uint64_t alignment = parse_alignment(metadata_, path.string());
  std::vector<Entry> entries = parse_infos(cursor, tensor_count, alignment);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
  });
  const uint64_t data_begin = (cursor.offset() + alignment - 1) / alignment * alignment;
  const uint64_t file_bytes = file_.bytes().size();
  check_placement(path.string(), entries, file_bytes > data_begin ? file_bytes - data_begin : 0);

  std::vector<TensorInfo> infos;
  for (Entry& entry : entries) {
    // A tensor without bytes may sit at the very end, behind padding that the file does not have.
    const uint64_t begin = std::min(data_begin + entry.offset, file_bytes);
    extents_.push_back({entry.type, begin, entry.bytes});
    infos.push_back(std::move(entry.info));
  }
  table_ = std::make_unique<TensorTable>(std::move(infos));
}

std::span<const std::byte> GgufFile::bytes(const TensorInfo& tensor) const {
  const Extent& extent = extents_[table_->position(tensor)];
  return file_.bytes().subspan(extent.begin, extent.bytes);
}

const GgmlType& GgufFile::type(const TensorInfo& tensor) const {
  return *extents_[table_->position(tensor)].type;
}

void GgufFile::read_rows(const TensorInfo& tensor, int64_t row, int64_t rows, float* out) const {
  check_row_range(tensor, row, rows);
  const GgmlType& type = this->type(tensor);
  if (!type.dequantize) {
    bad_input("{}: tensor '{}' has type {}, which is not supported; use a file of {}", path(),
              printable(tensor.name), type.name, readable_ggml_types());
  }
  const auto width = static_cast<uint64_t>(row_width(tensor));
  const uint64_t first = static_cast<uint64_t>(row) * width, count = static_cast<uint64_t>(rows) * width;
  FT_CHECK(first % type.block_elements == 0 && count % type.block_elements == 0,
           "[read_rows] expected whole blocks of {} from '{}', got {} elements from {}", type.block_elements,
           tensor.name, count, first);
  const std::byte* source = bytes(tensor).data() + first / type.block_elements * type.block_bytes;
  type.dequantize(source, count / type.block_elements, out);
}

void GgufFile::release(const TensorInfo& tensor) const {
  const Extent& extent = extents_[table_->position(tensor)];
  file_.release(extent.begin, extent.bytes);
}

}  // namespace ft
