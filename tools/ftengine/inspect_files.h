// What each kind of file or folder says about itself, without loading weights into a model. Every function
// adds to the report and throws ft::InputError for what is broken.
#pragma once

#include <filesystem>

#include "tools/ftengine/inspect_report.h"

namespace ft {

/// config.json and *.safetensors, with the tokenizer beside them. A family that this program lacks is said,
/// not an error.
void describe_model_folder(const std::filesystem::path& folder, Report& report);
void describe_gguf(const std::filesystem::path& file, Report& report);
void describe_safetensors(const std::filesystem::path& file, Report& report);
/// A folder with tokenizer.json or vocab.json, or a GGUF file; says so where there is none.
void describe_tokenizer(const std::filesystem::path& path, Report& report);

/// adapter_config.json and adapter_model.safetensors.
void describe_adapter(const std::filesystem::path& folder, Report& report);
/// trainer_state.json of a checkpoint: ftengine's or Transformers'.
void describe_checkpoint(const std::filesystem::path& folder, Report& report);
/// metrics.jsonl and checkpoints of an output_dir.
void describe_run(const std::filesystem::path& folder, Report& report);

}  // namespace ft
