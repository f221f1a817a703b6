// A model from a Hugging Face folder or a GGUF file, strictly: every tensor of the file is used, every slot
// of the model is filled, shapes are equal; else an error that lists the names.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/core/stream.h"
#include "engine/nn/model.h"

namespace ft {

struct ModelLoadOptions {
  std::optional<DType> storage;  // of frozen matrices; default: float32 for folders, bfloat16 for GGUF files
  Device device = {};            // where the weights go
  DType compute = DType::f32;
  bool dropout = false;  // the base model's own dropout (embd_pdrop, resid_pdrop) is active in training
};

struct LoadedModel {
  std::unique_ptr<Model> model;
  DType storage = DType::f32;
  bool from_gguf = false;
  std::string fingerprint;  // of names, shapes and a sample of the values: what an adapter was made for
};

/// Throws ft::InputError for anything that is wrong with the files.
LoadedModel load_model(const std::filesystem::path& path, const ModelLoadOptions& options, CpuStream& stream);

/// Reads the weights of a Hugging Face folder into a model that exists (a checkpoint of full fine-tuning).
void reload_model(Model& model, const std::filesystem::path& folder, CpuStream& stream);

/// Writes a Hugging Face folder's config.json and model.safetensors from the model's slots, as `dtype`.
/// `value` gives the plain row-major float32 values of a slot (so that a merge can change them on the way).
/// Tied heads are written once. The folder must exist; both files are written atomically.
void save_model(Model& model, const std::filesystem::path& folder, DType dtype, bool tied,
                const std::function<std::vector<float>(const Slot&)>& value);

}  // namespace ft
