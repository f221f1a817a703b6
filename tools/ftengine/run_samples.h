// samples.jsonl: what the model answers to generation.prompts before and after training, a row a prompt. The
// answers before are on disk as soon as they are there, so a resumed run has them too.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/train/report.h"

namespace ft {

/// The answers before training that the file in `folder` has for these prompts; the file may be missing.
/// Throws ft::InputError for a broken one.
void recall_samples(const std::filesystem::path& folder, std::vector<SampleAnswers>& samples);
/// Throws ft::WriteError.
void write_samples(const std::filesystem::path& folder, const std::vector<SampleAnswers>& samples);

/// To stdout: question, answers before and after.
void print_samples(const std::vector<SampleAnswers>& samples);

}  // namespace ft
