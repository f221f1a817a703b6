#include "engine/train/tensorboard.h"

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <concepts>

#include "engine/io/atomic_file.h"

namespace ft {
namespace {

constexpr std::string_view kName = "events.out.tfevents.";

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
    table[i] = crc;
  }
  return table;
}

// TFRecord's own guard against data that holds its checksum: rotated by 15 bits, plus a constant.
uint32_t masked_crc(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8u;
}

template <std::unsigned_integral T>
std::string little_endian(T value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(T); ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

// ---- protobuf's wire format: a key (field number · 8 + wire type), then the value

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes += static_cast<char>(value);
}

std::string key(uint32_t field, uint32_t wire_type) {
  return varint(field << 3 | wire_type);
}

std::string field(uint32_t number, uint64_t value) {
  return key(number, 0) + varint(value);
}
std::string field(uint32_t number, double value) {
  return key(number, 1) + little_endian(std::bit_cast<uint64_t>(value));
}
std::string field(uint32_t number, std::string_view bytes) {
  return key(number, 2) + varint(bytes.size()) + std::string(bytes);
}
std::string field(uint32_t number, float value) {
  return key(number, 5) + little_endian(std::bit_cast<uint32_t>(value));
}

// ---- the messages' fields, by the numbers of event.proto and summary.proto

constexpr uint32_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
constexpr uint32_t kSummaryValue = 1, kTag = 1, kSimpleValue = 2;
constexpr uint32_t kStatus = 1;
constexpr uint64_t kStart = 1;

std::string moment(double time, int64_t step) {
  return field(kWallTime, time) + field(kStep, static_cast<uint64_t>(step));
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Behind those of earlier runs in the order of names.
AppendFile new_file(const std::filesystem::path& folder) {
  constexpr int kAttempts = 1000;  // files of one second
  const auto second = static_cast<int64_t>(now());
  for (int i = 0; i < kAttempts; ++i)
    if (auto file = AppendFile::make_new(folder / fmt::format("{}{:010}.ftengine.{:03}", kName, second, i)))
      return *std::move(file);
  throw WriteError(folder / kName, EEXIST);
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = crc_table();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return ~crc;
}

std::string tf_record(std::string_view payload) {
  const std::string length = little_endian(static_cast<uint64_t>(payload.size()));
  return length + little_endian(masked_crc(length)) + std::string(payload) +
         little_endian(masked_crc(payload));
}

std::string version_event(double time) {
  return field(kWallTime, time) + field(kFileVersion, std::string_view("brain.Event:2"));
}

std::string session_start_event(double time, int64_t step) {
  return moment(time, step) + field(kSessionLog, std::string_view(field(kStatus, kStart)));
}

std::string scalars_event(double time, int64_t step, std::span<const Scalar> scalars) {
  std::string summary;
  for (const Scalar& s : scalars)
    summary += field(kSummaryValue, std::string_view(field(kTag, std::string_view(s.tag)) +
                                                     field(kSimpleValue, static_cast<float>(s.value))));
  return moment(time, step) + field(kSummary, std::string_view(summary));
}

EventFile::EventFile(const std::filesystem::path& folder, int64_t first_step) : file_(new_file(folder)) {
  file_.append(tf_record(version_event(now())));
  if (first_step > 1) file_.append(tf_record(session_start_event(now(), first_step)));
}

void EventFile::write(int64_t step, std::span<const Scalar> scalars) {
  file_.append(tf_record(scalars_event(now(), step, scalars)));
}

bool is_event_file(const std::filesystem::path& path) {
  return path.filename().string().starts_with(kName);
}

}  // namespace ft
