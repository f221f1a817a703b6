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

/// The device of a run: threads and a stream on them. `device`: auto or cpu; what this binary lacks is
/// refused.
class Session {
 public:
  explicit Session(const std::string& device = "auto", int threads = 0);
  Stream& stream() { return stream_; }
  int threads() const { return pool_.threads(); }

 private:
  ThreadPool pool_;
  Stream stream_;
};

/// `node`: null (the default), a name, or an inline mapping {prompt, completion_suffix}. Throws
/// ft::InputError.
std::shared_ptr<const Template> open_template(const ConfigNode& node,
                                              std::shared_ptr<const Tokenizer> tokenizer);

/// The template that an adapter folder's ftengine.json records; null if there is none.
ConfigNode recorded_template(const std::filesystem::path& adapter);

}  // namespace ft
