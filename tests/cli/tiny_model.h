// Small models made on the spot, for what no fixture has.
#pragma once

#include <filesystem>
#include <vector>

#include "engine/data/dataset.h"
#include "models/decoder.h"

namespace ft::cli {

/// A LLaMA with drawn weights in float32.
DecoderConfig tiny_config(int64_t vocab, int64_t max_positions);
std::unique_ptr<Decoder> tiny_model(const DecoderConfig& config);
/// The same as a Hugging Face folder.
void save_tiny_model(Decoder& model, const std::filesystem::path& folder);

/// `lengths.size()` rows of drawn ids; every position but the first is a target.
std::vector<DataRow> drawn_rows(const std::vector<int64_t>& lengths, int64_t vocab);

}  // namespace ft::cli
