// Event files: bytes that TensorBoard's own writer makes for the same events, and a reader that goes the
// other way for what a run writes.
#include "engine/train/tensorboard.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <map>

#include "tests/cli/program.h"

namespace ft::cli {
namespace {

std::string from_hex(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    while (text[i] == ' ') ++i;
    bytes += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

TEST(TensorBoard, TheChecksumIsCastagnolis) {
  // Check value of the CRC catalogues, and the vectors of RFC 3720, appendix B.4.
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

// Goldens: tensorboard 2.21's RecordWriter over its generated protobuf classes.
TEST(TensorBoard, RecordsAreTensorBoardsOwnBytes) {
  EXPECT_EQ(tf_record(version_event(1.5)),
            from_hex("18 00 00 00 00 00 00 00"                       // length: 24
                     "a3 7f 4b 22"                                   // its masked checksum
                     "09 00 00 00 00 00 00 f8 3f"                    // 1: wall_time, a double
                     "1a 0d 62 72 61 69 6e 2e 45 76 65 6e 74 3a 32"  // 3: file_version "brain.Event:2"
                     "2a 28 64 6c"));
  EXPECT_EQ(tf_record(session_start_event(2.25, 11)),
            from_hex("0f 00 00 00 00 00 00 00 6d 53 2b 09"
                     "09 00 00 00 00 00 00 02 40"
                     "10 0b"        // 2: step, a varint
                     "3a 02 08 01"  // 7: session_log {1: status = START}
                     "25 d3 88 58"));
  const Scalar scalars[] = {{"train/loss", 2.5}, {"eval/loss", -0.0}};
  EXPECT_EQ(tf_record(scalars_event(1700000000.125, 300, scalars)),
            from_hex("33 00 00 00 00 00 00 00 0c a7 20 56"
                     "09 00 00 08 40 fc 54 d9 41"
                     "10 ac 02"                                // step 300: two bytes
                     "2a 25"                                   // 5: summary of 37 bytes
                     "0a 11"                                   // 1: value of 17 bytes
                     "0a 0a 74 72 61 69 6e 2f 6c 6f 73 73"     // 1: tag "train/loss"
                     "15 00 00 20 40"                          // 2: simple_value, a float: 2.5
                     "0a 10 0a 09 65 76 61 6c 2f 6c 6f 73 73"  // "eval/loss"
                     "15 00 00 00 80"                          // −0
                     "1d 7e 5d 98"));
}

/// One message's fields in order: number and value (numbers as their bits, texts and messages as bytes).
struct Field {
  uint64_t number = 0, bits = 0;
  std::string bytes;
};

class Bytes {
 public:
  explicit Bytes(std::string_view text) : left_(text) {}
  bool done() const { return left_.empty(); }
  std::string_view take(size_t count) {
    EXPECT_LE(count, left_.size());
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(taken.size());
    return taken;
  }
  template <class T>
  T number() {
    T value{};
    const std::string_view bytes = take(sizeof value);
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !done(); shift += 7) {
      const auto byte = number<uint8_t>();
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) break;
    }
    return value;
  }

 private:
  std::string_view left_;
};

std::vector<Field> fields(std::string_view message) {
  std::vector<Field> all;
  for (Bytes in(message); !in.done();) {
    const uint64_t key = in.varint();
    Field f{.number = key >> 3, .bits = 0, .bytes = {}};
    switch (key & 7) {
      case 0:
        f.bits = in.varint();
        break;
      case 1:
        f.bits = in.number<uint64_t>();
        break;
      case 2:
        f.bytes = in.take(in.varint());
        break;
      case 5:
        f.bits = in.number<uint32_t>();
        break;
      default:
        ADD_FAILURE() << "wire type " << (key & 7);
        return all;
    }
    all.push_back(std::move(f));
  }
  return all;
}

struct EventLog {
  std::string version;
  std::vector<int64_t> session_starts;
  std::map<std::string, std::map<int64_t, float>> scalars;  // tag, step
};

EventLog read_events(const fs::path& file) {
  const auto masked = [](std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; };
  EventLog log;
  const std::string bytes = read_bytes(file);
  bool first = true;
  for (Bytes in(bytes); !in.done(); first = false) {
    const std::string_view length = in.take(8);
    EXPECT_EQ(in.number<uint32_t>(), masked(length));
    const std::string_view payload = in.take(Bytes(length).number<uint64_t>());
    EXPECT_EQ(in.number<uint32_t>(), masked(payload));
    int64_t step = 0;
    for (const Field& f : fields(payload)) {
      if (f.number == 1) {
        EXPECT_GT(std::bit_cast<double>(f.bits), 1.6e9);
      }
      if (f.number == 2) step = static_cast<int64_t>(f.bits);
      if (f.number == 3) {
        EXPECT_TRUE(first);
        log.version = f.bytes;
      }
      if (f.number == 7) log.session_starts.push_back(step);
      if (f.number != 5) continue;
      for (const Field& value : fields(f.bytes)) {
        std::string tag;
        for (const Field& part : fields(value.bytes)) {
          if (part.number == 1) tag = part.bytes;
          if (part.number == 2)
            log.scalars[tag][step] = std::bit_cast<float>(static_cast<uint32_t>(part.bits));
        }
      }
    }
  }
  return log;
}

std::vector<fs::path> event_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (is_event_file(entry.path())) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

TEST(TensorBoard, ARunWritesTheNumbersOfMetricsAndAResumedOneANewFile) {
  const TemporaryFolder folder;
  copy_fixture("llama_gqa_rslora", folder.path());
  const std::vector<std::string> run = {"run",   "exp.yaml",
                                        "--set", "training.max_steps=6",
                                        "--set", "training.save_strategy=steps",
                                        "--set", "training.save_steps=2",
                                        "--set", "training.eval_strategy=steps",
                                        "--set", "training.eval_steps=3",
                                        "--set", "data.eval={path: train.jsonl, format: tokenized}"};
  expect_success(ftengine(run, folder.path()));
  const fs::path out = folder / "out";
  ASSERT_EQ(event_files(out).size(), 1u);
  const EventLog log = read_events(event_files(out)[0]);
  EXPECT_EQ(log.version, "brain.Event:2");
  EXPECT_TRUE(log.session_starts.empty());
  EXPECT_EQ(log.scalars.size(), 5u);
  size_t evaluations = 0;
  for (const nlohmann::json& row : read_jsonl(out / "metrics.jsonl")) {
    const auto expect = [&](const std::string& tag, const char* key) {
      EXPECT_EQ(log.scalars.at(tag).at(row.at("step")), row.at(key).get<float>()) << tag;
    };
    if (row.contains("eval_loss")) {
      ++evaluations;
      expect("eval/loss", "eval_loss");
      continue;
    }
    expect("train/loss", "loss");
    expect("train/grad_norm", "grad_norm");
    expect("train/learning_rate", "learning_rate");
    expect("train/tokens_per_second", "tokens_per_second");
  }
  EXPECT_EQ(evaluations, 2u);
  EXPECT_EQ(log.scalars.at("train/loss").size(), 6u);

  // As if the run had been killed after step 4: what it said of steps 5 and 6 is taken back.
  const std::string before = read_bytes(event_files(out)[0]);
  fs::remove_all(out / "checkpoint-6");
  std::vector<std::string> resume = run;
  resume.push_back("--resume");
  expect_success(ftengine(resume, folder.path()));
  const auto files = event_files(out);
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(read_bytes(files[0]), before);
  const EventLog more = read_events(files[1]);
  EXPECT_EQ(more.version, "brain.Event:2");
  EXPECT_EQ(more.session_starts, std::vector<int64_t>{5});
  EXPECT_EQ(more.scalars.at("train/loss").size(), 2u);
  EXPECT_EQ(more.scalars.at("train/loss").at(5), log.scalars.at("train/loss").at(5));

  std::vector<std::string> again = run;
  again.push_back("--overwrite");
  expect_success(ftengine(again, folder.path()));
  EXPECT_EQ(event_files(out).size(), 1u);
}

}  // namespace
}  // namespace ft::cli
