#include "adapters/lora_config.h"

#include <charconv>
#include <cmath>

#include "adapters/peft_fields.h"

namespace ft {
namespace {

constexpr std::string_view kIterations = "pissa_niter_";

std::optional<LoraInit> parse_init(const ConfigNode& node) {
  using Kind = LoraInit::Kind;
  if (node.kind() == ConfigNode::Kind::boolean)
    return LoraInit{node.boolean() ? Kind::kaiming : Kind::random};
  if (!node.is_string()) return std::nullopt;
  const std::string& text = node.string();
  if (text == "gaussian") return LoraInit{Kind::gaussian};
  if (text == "orthogonal") return LoraInit{Kind::orthogonal};
  if (text == "olora") return LoraInit{Kind::olora};
  if (text == "pissa") return LoraInit{Kind::pissa};
  if (!text.starts_with(kIterations)) return std::nullopt;
  int n = -1;
  const char *first = text.data() + kIterations.size(), *last = text.data() + text.size();
  const auto [end, error] = std::from_chars(first, last, n);
  if (error != std::errc() || end != last || n < 0 || n > 1000) return std::nullopt;
  return LoraInit{Kind::pissa, n};
}

nlohmann::ordered_json init_json(const LoraInit& init) {
  switch (init.kind) {
    case LoraInit::Kind::kaiming:
      return true;
    case LoraInit::Kind::gaussian:
      return "gaussian";
    case LoraInit::Kind::random:
      return false;
    case LoraInit::Kind::orthogonal:
      return "orthogonal";
    case LoraInit::Kind::olora:
      return "olora";
    case LoraInit::Kind::pissa:
      return init.iterations < 0 ? "pissa" : fmt::format("{}{}", kIterations, init.iterations);
  }
  return true;
}

void check(Fields& f, const LoraConfig& c) {
  if (c.init.kind == LoraInit::Kind::orthogonal) {
    bool odd = c.r % 2 != 0;
    for (const auto& [key, rank] : c.rank_pattern) odd |= rank % 2 != 0;
    if (odd) f.fail("init_lora_weights", "orthogonal needs even ranks: A and B take half of them each");
  }
  if (c.init.from_weight() && c.use_dora)
    f.fail("use_dora", "is not supported together with init_lora_weights pissa or olora; take one of them");
}

}  // namespace

int64_t LoraConfig::rank_of(const Linear& l) const {
  const int64_t* pattern = find_pattern(rank_pattern, l.name);
  return pattern ? *pattern : r;
}

double LoraConfig::scale_of(const Linear& l) const {
  const double* pattern = find_pattern(alpha_pattern, l.name);
  const auto rank = static_cast<double>(rank_of(l));
  return (pattern ? *pattern : alpha) / (use_rslora ? std::sqrt(rank) : rank);
}

LoraConfig read_lora_config(const ConfigNode& node, const std::string& section, bool saved) {
  LoraConfig c;
  Fields f(node, section);
  ignore_file_fields(f);
  f.get("r", c.r, between(1, kMaxRank));
  f.get("lora_alpha", c.alpha, positive());
  f.get("lora_dropout", c.dropout, probability());
  read_linear_choice(f, c.choice);
  f.get("bias", c.bias);
  f.get("use_rslora", c.use_rslora);
  f.get("use_dora", c.use_dora);
  f.get("rank_pattern", c.rank_pattern, between(1, kMaxRank));
  f.get("alpha_pattern", c.alpha_pattern, positive());
  if (const ConfigNode* init = f.node("init_lora_weights")) {
    const std::optional<LoraInit> parsed = parse_init(*init);
    if (!parsed)
      f.fail("init_lora_weights",
             fmt::format("expected true, false, gaussian, orthogonal, olora, pissa or pissa_niter_N, got {}",
                         init->describe()));
    c.init = *parsed;
  }
  // A saved adapter of PEFT may name the start that it had: its tensors say where it is now. One that started
  // from W lies beside a base that PEFT changed.
  if (saved && c.init.from_weight())
    f.fail("init_lora_weights",
           fmt::format("this adapter of PEFT belongs to a base that {} changed, not to the model itself; "
                       "save it with path_initial_model_for_weight_conversion to get one that does",
                       init_json(c.init).dump()));
  if (!saved) check(f, c);
  f.renamed("rank", "r");
  f.renamed("lora_r", "r");
  f.renamed("alpha", "lora_alpha");
  f.renamed("dropout", "lora_dropout");
  accept_unsupported_lora_fields(f);
  finish_fields(f, saved);
  return c;
}

nlohmann::ordered_json to_json(const LoraConfig& c, const std::string& base) {
  nlohmann::ordered_json j = file_fields("LORA", base);
  j["r"] = c.r;
  j["lora_alpha"] = json_number(c.alpha);
  j["lora_dropout"] = c.dropout;
  write_linear_choice(c.choice, j);
  j["bias"] = name_of(c.bias);
  j["use_rslora"] = c.use_rslora;
  j["use_dora"] = c.use_dora;
  j["init_lora_weights"] = init_json(c.init);
  j["rank_pattern"] = j["alpha_pattern"] = nlohmann::ordered_json::object();
  for (const auto& [key, rank] : c.rank_pattern) j["rank_pattern"][key] = rank;
  for (const auto& [key, alpha] : c.alpha_pattern) j["alpha_pattern"][key] = json_number(alpha);
  return j;
}

LoraConfig difference_from_start(LoraConfig c) {
  const double factor = c.use_rslora ? std::sqrt(2.0) : 2.0;
  c.r *= 2;
  c.alpha *= factor;
  for (auto& [key, rank] : c.rank_pattern) rank *= 2;
  for (auto& [key, alpha] : c.alpha_pattern) alpha *= factor;
  c.init = {};
  return c;
}

}  // namespace ft
