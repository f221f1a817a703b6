// What several subcommands open alike: threads, device, model, adapter, tokenizer, template.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/config/experiment.h"
#include "engine/core/stream.h"
#include "engine/core/thread_pool.h"
#include "engine/data/template.h"
#include "engine/data/tokenizer.h"
#include "engine/nn/adapter.h"
#include "models/load.h"

namespace ft {

/// The device of a run: the host's threads, and the stream that kernels are queued on. `device`: auto, cpu,
/// cuda, cuda:N or cuda-sim; what this binary lacks is refused.
class Session {
 public:
  explicit Session(const std::string& device = "auto", int threads = 0);
  Stream& stream() { return stream_; }
  Device device() const { return stream_.device(); }
  /// The host's threads, whatever the device: files are read and packed there.
  CpuStream& host() { return host_; }
  int threads() const { return pool_.threads(); }
  /// What computes, for people: "cpu (avx2, 2 threads)", "cuda-sim (runtime …)".
  std::string describe() const;

 private:
  ThreadPool pool_;
  CpuStream host_;
  Stream stream_;
};

/// `node`: null (the default), a name, an inline mapping {prompt, completion_suffix}, or a list of these.
/// Throws ft::InputError.
std::shared_ptr<const Template> open_template(const ConfigNode& node,
                                              std::shared_ptr<const Tokenizer> tokenizer);

/// What ftengine.json of an adapter's or a merged model's folder says about how it was trained; empty where
/// there is none, or `folder` is a file.
struct RecordedText {
  ConfigNode prompt_template;  // null: none
  std::vector<int32_t> stop_ids, golden_prompt_ids;
  std::string source;  // the file
};
RecordedText recorded_text(const std::filesystem::path& folder);

/// Does `found` render the golden prompt as what was trained with did? Yes where none was recorded.
bool renders_as_recorded(const RecordedText& trained, const Template& found);
/// Does `found` render and end as what was trained with did? Prompts that differ are refused, or warned about
/// where the template was `chosen` by the user; end tokens that differ are warned about.
void check_recorded(const RecordedText& trained, const Template& found, bool chosen);

}  // namespace ft
