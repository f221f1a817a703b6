// The tokenizer that belongs to a model: in its folder, or in the GGUF file's metadata.
#pragma once

#include <filesystem>
#include <memory>

#include "engine/data/tokenizer.h"

namespace ft {

/// True if `model` carries a tokenizer: a folder with tokenizer.json or vocab.json, a tokenizer.json, a GGUF
/// file.
bool has_tokenizer(const std::filesystem::path& model);

/// `model`: a model or tokenizer folder, a tokenizer.json, or a .gguf file. Throws InputError where there is
/// none, or one that is broken or not supported.
std::shared_ptr<const Tokenizer> open_tokenizer(const std::filesystem::path& model);

}  // namespace ft
