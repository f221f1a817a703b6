#include "models/tensor_names.h"

#include <algorithm>
#include <regex>
#include <unordered_set>

namespace ft {
namespace {

// GGUF's names by Hugging Face's name within a layer or the model (llama.cpp, gguf constants).
std::string gguf_name(const DecoderNames& n, const std::string& slot) {
  const size_t dot = slot.rfind('.');
  const std::string module = slot.substr(0, dot), ending = slot.substr(dot);
  if (module == n.embed) return "token_embd" + ending;
  if (module == n.positions) return "position_embd" + ending;
  if (module == n.embed_norm) return "token_embd_norm" + ending;
  if (module == n.final_norm) return "output_norm" + ending;
  if (module == n.head) return "output" + ending;
  const size_t number = n.layers.size() + 1, after = module.find('.', number);
  const std::string part = module.substr(after + 1);
  const std::vector<std::pair<std::string, std::string>> parts = {
      {n.attn_norm, "attn_norm"}, {n.q, "attn_q"},      {n.k, "attn_k"},           {n.v, "attn_v"},
      {n.qkv, "attn_qkv"},        {n.o, "attn_output"}, {n.q_norm, "attn_q_norm"}, {n.k_norm, "attn_k_norm"},
      {n.mlp_norm, "ffn_norm"},   {n.gate, "ffn_gate"}, {n.up, "ffn_up"},          {n.down, "ffn_down"}};
  for (const auto& [hf, gguf] : parts)
    if (part == hf) return fmt::format("blk.{}.{}{}", module.substr(number, after - number), gguf, ending);
  fail("[gguf] no name for {}", slot);
}

std::string list(const std::vector<std::string>& names) {
  constexpr size_t kShown = 12;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

// Files of base models ("GPT2Model") lack the prefix of the module that a language model wraps them in.
const TensorInfo* find_tensor(const WeightSource& source, const std::string& name,
                              const std::string& prefix) {
  if (const TensorInfo* t = source.find(name)) return t;
  return name.starts_with(prefix) ? source.find(name.substr(prefix.size())) : nullptr;
}

}  // namespace

std::vector<TensorUse> match_tensors(Decoder& model, const WeightSource& source, const Family& family,
                                     bool gguf) {
  const DecoderConfig& c = model.config();
  const std::string prefix =
      c.names.embed.substr(0, c.names.embed.find('.') + 1);  // "model.", "transformer."
  std::unordered_set<std::string> conv1d;
  for (const Linear* l : model.linears())
    if (l->conv1d) conv1d.insert(l->weight.name);

  std::vector<TensorUse> uses;
  std::vector<std::string> missing, wrong, left;
  std::unordered_set<const TensorInfo*> used;
  for (Slot* slot : model.slots()) {
    const TensorInfo* t =
        gguf ? source.find(gguf_name(c.names, slot->name)) : find_tensor(source, slot->name, prefix);
    const bool tied_head = c.tied && slot->name == c.names.head + ".weight";
    if (tied_head) {  // files may hold the tied head a second time; the embedding fills both
      if (t) used.insert(t);
      continue;
    }
    if (!t) {
      missing.push_back(slot->name);
      continue;
    }
    used.insert(t);
    TensorUse use{slot, t, !gguf && conv1d.contains(slot->name)};
    std::vector<int64_t> shape = t->shape;
    if (use.transposed) std::reverse(shape.begin(), shape.end());
    const auto want = slot->parameter->shape.dims();
    if (!std::equal(shape.begin(), shape.end(), want.begin(), want.end()))
      wrong.push_back(
          fmt::format("{} is {}, expected {}", t->name, shape_text(t->shape), slot->parameter->shape.str()));
    if (gguf && family.gguf_permutes_qk && !c.fused_qkv) {
      if (t->name.find(".attn_q.") != std::string::npos) use.permuted_heads = c.heads;
      if (t->name.find(".attn_k.") != std::string::npos) use.permuted_heads = c.kv_heads;
    }
    if (gguf && c.qkv_by_head && t->name.find(".attn_qkv.") != std::string::npos)
      use.regrouped_heads = c.heads;
    uses.push_back(use);
  }
  std::vector<std::regex> ignored;
  for (const std::string& pattern : c.ignored) ignored.emplace_back(pattern);
  for (const TensorInfo& t : source.tensors()) {
    if (used.contains(&t)) continue;
    if (std::none_of(ignored.begin(), ignored.end(),
                     [&](const std::regex& r) { return std::regex_match(t.name, r); }))
      left.push_back(t.name);
  }
  if (!missing.empty())
    bad_input("{}: {} of the model's tensors are missing: {}{}", source.path(), missing.size(), list(missing),
              left.empty() ? "" : fmt::format("; not used: {}", list(left)));
  if (!left.empty())
    bad_input("{}: {} tensors have no place in a {} model: {}", source.path(), left.size(), c.model_type,
              list(left));
  if (!wrong.empty()) bad_input("{}: wrong shapes: {}", source.path(), list(wrong));
  return uses;
}

}  // namespace ft
