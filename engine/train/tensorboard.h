// events.out.tfevents.*: scalars that TensorBoard reads.
//
// A file is a row of TFRecords, each flushed at once:
//   u64 length · u32 masked CRC-32C of those 8 bytes · payload · u32 masked CRC-32C of the payload
// (little endian). A payload is a protobuf message of type Event (tensorflow/core/util/event.proto): wall
// time and step, and either the format's version (always the first record), a session's start, or a Summary
// of tag-value pairs. Nothing of a file is ever changed: a resumed run writes a new one, whose session start
// tells readers to forget what an earlier file says from that step on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "engine/io/append_file.h"

namespace ft {

struct Scalar {
  std::string tag;
  double value;
};

/// Castagnoli's cyclic redundancy check (RFC 3720, appendix B.4).
uint32_t crc32c(std::string_view bytes);
/// One TFRecord.
std::string tf_record(std::string_view payload);

/// The messages, without framing. `time` in seconds since 1970.
std::string version_event(double time);
/// From `step` on, what files before this one say does not count.
std::string session_start_event(double time, int64_t step);
/// Values are stored as float32.
std::string scalars_event(double time, int64_t step, std::span<const Scalar> scalars);

class EventFile {
 public:
  /// A new file in `folder`; its name sorts behind those of earlier runs, the order in which TensorBoard
  /// reads. `first_step`: the step that will be written first; above 1 the run was resumed. Throws
  /// ft::WriteError, as write() does.
  EventFile(const std::filesystem::path& folder, int64_t first_step);
  void write(int64_t step, std::span<const Scalar> scalars);

 private:
  AppendFile file_;
};

/// Does a file of this name hold events?
bool is_event_file(const std::filesystem::path& path);

}  // namespace ft
