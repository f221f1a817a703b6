#include "tools/ftengine/output_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "adapters/stack.h"
#include "engine/core/check.h"
#include "engine/data/open_tokenizer.h"
#include "engine/io/atomic_file.h"
#include "engine/io/atomic_folder.h"
#include "engine/train/checkpoint.h"
#include "engine/train/tensorboard.h"

namespace ft {
namespace {

constexpr const char* kFiles[] = {"metrics.jsonl",
                                  "resolved.yaml",
                                  "adapter_config.json",
                                  "adapter_model.safetensors",
                                  "ftengine.json",
                                  "model.safetensors",
                                  "config.json",
                                  "generation_config.json",
                                  "samples.jsonl",
                                  "report.html",
                                  "prompt_encoder.safetensors"};

bool holds_run(const std::filesystem::path& path) {
  for (const char* name : {"metrics.jsonl", "resolved.yaml", "adapter_config.json"})
    if (std::filesystem::exists(path / name)) return true;
  return !list_checkpoints(path).empty();
}

/// Files and folders that a run has written in `path`; none if there was no run: a file of such a name is
/// then somebody else's.
std::vector<std::filesystem::path> of_a_run(const std::filesystem::path& path) {
  if (!holds_run(path)) return {};
  std::vector<std::filesystem::path> all = list_checkpoints(path);
  std::error_code error;
  try {
    for (std::filesystem::path& p : adapter_folders(path))  // of a hybrid
      if (p != path && std::filesystem::exists(p, error)) all.push_back(std::move(p));
  } catch (const InputError&) {  // a damaged list: what it named stays
  }
  const auto add = [&](const char* name) {
    if (std::filesystem::exists(path / name, error)) all.push_back(path / name);
  };
  for (const char* name : kFiles) add(name);
  for (const char* name : tokenizer_file_names()) add(name);
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    if (is_event_file(it->path())) all.push_back(it->path());
  return all;
}

}  // namespace

OutputDir::OutputDir(const std::filesystem::path& path, bool resume, bool overwrite) : path_(path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error || !std::filesystem::is_directory(path))
    bad_input("training.output_dir: cannot make the folder {}: {}", path.string(),
              error ? error.message() : "a file is in the way");
  lock_ = open((path / ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (lock_ < 0)
    bad_input("training.output_dir: cannot write in {}: {}", path.string(), std::strerror(errno));
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    close(lock_);
    bad_input("training.output_dir: another run is writing {}; wait for it or choose another folder",
              path.string());
  }
  if (!resume && !overwrite && holds_run(path)) {
    close(lock_);
    bad_input(
        "training.output_dir: {} already holds a run; add --resume to go on, --overwrite to replace it, or "
        "choose another folder",
        path.string());
  }
  remove_stray_neighbours(path);
  for (const std::filesystem::path& c : list_checkpoints(path)) remove_stray_neighbours(c);
}

OutputDir::~OutputDir() {
  if (lock_ >= 0) close(lock_);
}

void OutputDir::clear() {
  std::error_code error;
  for (const std::filesystem::path& p : of_a_run(path_)) {
    if (std::filesystem::is_directory(p))
      error = discard_folder(p) ? std::error_code() : std::make_error_code(std::errc::io_error);
    else
      std::filesystem::remove_all(p, error);
    if (error) bad_input("training.output_dir: cannot remove {}: {}", p.string(), error.message());
  }
}

double clearable_bytes(const std::filesystem::path& output_dir) {
  namespace fs = std::filesystem;
  double bytes = 0;
  std::error_code error;
  const auto add = [&](const fs::path& file) {
    const auto size = fs::is_regular_file(fs::symlink_status(file, error)) ? fs::file_size(file, error) : 0;
    if (!error) bytes += static_cast<double>(size);
  };
  for (const fs::path& p : of_a_run(output_dir)) {
    add(p);
    for (fs::recursive_directory_iterator it(p, error), end; !error && it != end; it.increment(error))
      add(it->path());
  }
  return bytes;
}

}  // namespace ft
