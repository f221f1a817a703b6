#include "tools/ftengine/output_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "engine/core/check.h"
#include "engine/train/checkpoint.h"

namespace ft {
namespace {

constexpr const char* kFiles[] = {
    "metrics.jsonl",  "resolved.yaml",         "adapter_config.json", "adapter_model.safetensors",
    "ftengine.json",  "model.safetensors",     "config.json",         "generation_config.json",
    "tokenizer.json", "tokenizer_config.json", "samples.jsonl"};

bool holds_run(const std::filesystem::path& path) {
  for (const char* name : {"metrics.jsonl", "resolved.yaml", "adapter_config.json"})
    if (std::filesystem::exists(path / name)) return true;
  return !list_checkpoints(path).empty();
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
  if (resume) return;
  if (!holds_run(path)) return;
  if (!overwrite) {
    close(lock_);
    bad_input(
        "training.output_dir: {} already holds a run; add --resume to go on, --overwrite to replace it, or "
        "choose another folder",
        path.string());
  }
  for (const std::filesystem::path& c : list_checkpoints(path)) std::filesystem::remove_all(c, error);
  for (const char* name : kFiles) std::filesystem::remove(path / name, error);
}

OutputDir::~OutputDir() {
  if (lock_ >= 0) close(lock_);
}

}  // namespace ft
