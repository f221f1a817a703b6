// adapter_config.json and adapter_model.safetensors, PEFT's own format, both ways; ftengine.json beside them
// holds what PEFT has no field for: which base the adapter was made for.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "engine/nn/adapter.h"

namespace ft {

struct AdapterOrigin {
  std::string base;                  // base_model_name_or_path
  std::string fingerprint;           // of the base, models/load.h
  nlohmann::ordered_json rendering;  // further keys of ftengine.json: template, stop_ids
};

/// Writes the files into `folder`, which exists; each atomically: the three above, prompt_encoder.safetensors
/// where there is an encoder, and for a `checkpoint` the method's own state. Reads the tensors back and
/// compares them bit for bit (an adapter that was saved wrong is an error now, not on the day it is needed).
void save_adapter(const Adapter& adapter, const std::filesystem::path& folder, const AdapterOrigin& origin,
                  bool checkpoint = false);

/// Fills an attached adapter's tensors from the files of a folder: every tensor of a file used, every one of
/// the adapter filled, shapes equal; else ft::InputError that names up to three of those that are not.
/// `state`: that of the method too, where it is stored, and first: what tensors a file has may follow from
/// it. Without it training starts anew from what was learned.
void load_adapter_tensors(const Adapter& adapter, const std::filesystem::path& folder, bool state = true);

/// Is a saved adapter without any effect on whatever base? All it holds are low-rank pairs with a factor that
/// is zero throughout, or factors that are one, as untrained ones are. Reads its tensors; throws
/// ft::InputError for a broken file.
bool changes_nothing(const std::filesystem::path& folder);

/// A saved adapter in place on `model`: configuration, sites, tensors. Refuses one that was made for another
/// base, and for training one that nothing could train.
std::unique_ptr<Adapter> load_adapter(const std::filesystem::path& folder, Model& model,
                                      const std::string& fingerprint, const AttachOptions& options);

}  // namespace ft
