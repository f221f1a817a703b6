// What stands beside the weights of a merged folder, and when a folder may be replaced.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "engine/data/tokenizer.h"

namespace ft {

/// Throws ft::InputError unless `out` is free, an empty folder, or (with `overwrite`) a folder that holds
/// nothing but the files of a model: --overwrite on a wrong path must not cost anybody their data. `out` may
/// be none of `sources`.
void check_replaceable(const std::filesystem::path& out, bool overwrite,
                       const std::vector<std::filesystem::path>& sources);

/// Makes the folder in which `out` is to stand, with its parents. Throws ft::InputError.
void make_parents(const std::filesystem::path& out);

/// The base's tokenizer, or null with a note on stderr where it is of a kind that cannot be read: its files
/// are copied all the same.
std::shared_ptr<const Tokenizer> open_base_tokenizer(const std::filesystem::path& model);

struct Companions {
  std::filesystem::path base, adapter, out;
  const Tokenizer* tokenizer = nullptr;  // the base's
  int64_t vocab = 0;
};
/// Writes the tokenizer's files (copied from a folder, made from a GGUF file), generation_config.json with
/// the end tokens that the adapter was trained to stop at, and ftengine.json with the template that it was
/// trained in.
void write_companions(const Companions& c);

}  // namespace ft
