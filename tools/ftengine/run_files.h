// The files of a run's result, and the disk that they stand on.
#pragma once

#include <filesystem>

#include "engine/core/stream.h"
#include "engine/data/tokenizer.h"
#include "engine/io/atomic_file.h"
#include "tools/ftengine/run_report.h"

namespace ft {

/// What is trained, into a folder that exists: an adapter, or the whole model in float32; with it
/// ftengine.json, how prompts were rendered and what ended an answer.
/// `checkpoint`: and what training needs to go on.
void save_weights(const RunSubject& subject, const std::filesystem::path& folder, bool checkpoint);
/// The inverse, into the model and adapter in memory.
void load_weights(const RunSubject& subject, const std::filesystem::path& folder, CpuStream& host);
/// What makes the folder serve alone with its base: the tokenizer (may be null), and how to generate.
void save_companions(const RunSubject& subject, const Tokenizer* tokenizer,
                     const std::filesystem::path& folder);

/// Throws ft::InputError if the run, from `checkpoint` (empty: from the start) to its end, writes more than
/// the disk has free; `overwrite`: what the earlier run left there will go.
void check_disk(const RunSubject& subject, const std::filesystem::path& checkpoint, bool overwrite);

/// Throws ft::Error: what could not be written, and how the run goes on.
[[noreturn]] void explain(const WriteError& error, const std::filesystem::path& output_dir);

}  // namespace ft
