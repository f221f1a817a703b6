// The adapters of one model in the order in which they act: those of a run (a hybrid has several), or those
// that a generation was given. One is stored in the folder itself, as PEFT does; several stand side by side
// in folders of their own, which ftengine.json names, each of them a PEFT adapter by itself.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "adapters/files.h"
#include "engine/nn/adapter.h"

namespace ft {

class AdapterStack {
 public:
  AdapterStack() = default;
  explicit AdapterStack(std::unique_ptr<Adapter> adapter) { add(std::move(adapter)); }

  /// `name`: its folder's; by default the method's in lower case, numbered where that is taken.
  void add(std::unique_ptr<Adapter> adapter, std::string name = {});

  size_t size() const { return adapters_.size(); }
  bool empty() const { return adapters_.empty(); }
  std::span<Adapter* const> all() const { return pointers_; }
  const std::vector<std::string>& names() const { return names_; }
  /// Full fine-tuning: the model is stored, not an adapter.
  bool full() const;
  /// "LORA + PREFIX_TUNING"
  std::string describe() const;

  /// Of all adapters, each once.
  std::vector<Parameter*> trainables() const;
  std::vector<AdapterTensor> tensors() const;
  bool mergeable() const;
  void merge(const Slot& slot, std::vector<float>& values) const;
  void settle(Stream& stream) const;

 private:
  std::vector<std::unique_ptr<Adapter>> adapters_;
  std::vector<Adapter*> pointers_;
  std::vector<std::string> names_;
};

/// `checkpoint`: with the methods' own state, so that training goes on from there.
void save_stack(const AdapterStack& stack, const std::filesystem::path& folder, const AdapterOrigin& origin,
                bool checkpoint = false);
/// Fills attached adapters from what save_stack wrote. Strict; throws ft::InputError.
void load_stack_tensors(const AdapterStack& stack, const std::filesystem::path& folder);

/// The adapter folders that `folder` stands for: itself, or those of a hybrid. Throws ft::InputError.
std::vector<std::filesystem::path> adapter_folders(const std::filesystem::path& folder);
/// All adapters of `folders` in place on `model`, the first one below the others.
AdapterStack load_stack(std::span<const std::filesystem::path> folders, Model& model,
                        const std::string& fingerprint, const AttachOptions& options);

}  // namespace ft
