// The tokenizer that belongs to a model: in its folder, or in the GGUF file's metadata.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "engine/data/tokenizer.h"

namespace ft {

/// The file that is a folder's tokenizer; empty where it has none.
std::filesystem::path find_tokenizer_file(const std::filesystem::path& folder);

/// True if `model` carries a tokenizer: a folder with one, or a file (whose kind is only known once opened).
bool has_tokenizer(const std::filesystem::path& model);

/// `model`: a model or tokenizer folder, a tokenizer file, or a .gguf file. Throws InputError where there is
/// none, or one that is broken or not supported.
std::shared_ptr<const Tokenizer> open_tokenizer(const std::filesystem::path& model);

/// Everything that may belong to a folder's tokenizer, for whoever copies it.
std::span<const char* const> tokenizer_file_names();

}  // namespace ft
