#include "models/decoder.h"

#include <cmath>

#include "engine/ops/elementwise.h"
#include "engine/ops/embedding.h"
#include "engine/ops/head_columns.h"
#include "engine/ops/rope.h"
#include "engine/ops/rows.h"
#include "models/alibi.h"

namespace ft {
namespace {

// Dropout places of the base model; adapters number theirs from 1 << 16 (engine/nn/sites.h).
constexpr uint32_t kEmbedPlace = 1, kLayerPlaces = 2;

}  // namespace

Decoder::Decoder(DecoderConfig config, DType storage, DType compute) : config_(std::move(config)) {
  const DecoderConfig& c = config_;
  const DecoderNames& n = c.names;
  facts_ = {.model_type = c.model_type,
            .vocab = c.vocab,
            .hidden = c.hidden,
            .layers = c.layers,
            .heads = c.heads,
            .kv_heads = c.kv_heads,
            .head_dim = c.head_dim,
            .max_positions = c.max_positions,
            .position_limit = c.positions == Positions::learned ? c.max_positions : 0,
            .tied = c.tied,
            .lora_targets = c.lora_targets,
            .layers_pattern = n.layers.substr(n.layers.rfind('.') + 1),
            .dropout = c.embed_dropout > 0 || c.residual_dropout > 0};
  const auto matrix = [&](const std::string& name, int64_t rows, int64_t cols) {
    return Slot{name, &own(Parameter::make(name, {rows, cols}, Parameter::Layout::packed, storage))};
  };
  const auto vector = [&](const std::string& name, int64_t size) {
    return Slot{name, &own(Parameter::make(name, {size}, Parameter::Layout::plain, compute))};
  };
  const auto norm_of = [&](const std::string& module, int64_t size) {
    return Norm{vector(module + ".weight", size), c.layer_norm ? vector(module + ".bias", size) : Slot{}};
  };

  embed_ = matrix(n.embed + ".weight", c.vocab, c.hidden);
  if (!n.embed_norm.empty()) embed_norm_ = norm_of(n.embed_norm, c.hidden);
  if (c.positions == Positions::learned)
    positions_ = matrix(n.positions + ".weight", c.max_positions, c.hidden);
  else if (c.positions == Positions::rotary)
    rope_ = RopeTable(c.rope, c.head_dim);
  const int64_t q_size = c.heads * c.head_dim, kv_size = c.kv_heads * c.head_dim;
  for (int i = 0; i < c.layers; ++i) {
    auto l = std::make_unique<Layer>();
    const std::string prefix = fmt::format("{}.{}.", n.layers, i);
    const auto linear_of = [&](const std::string& name, int64_t out, int64_t in, bool bias) {
      Linear x;
      x.name = prefix + name;
      x.layer = i;
      x.conv1d = c.conv1d;
      x.weight = matrix(x.name + ".weight", out, in);
      if (bias) x.bias = vector(x.name + ".bias", out);
      return x;
    };
    l->attn_norm = norm_of(prefix + n.attn_norm, c.hidden);
    if (c.fused_qkv) {
      const int64_t all = q_size + 2 * kv_size, d = c.head_dim;
      l->qkv = linear_of(n.qkv, all, c.hidden, c.qkv_bias);
      l->qkv.parts = {
          {"q", 0, q_size, all}, {"k", q_size, q_size + kv_size, all}, {"v", q_size + kv_size, all, all}};
      if (c.qkv_by_head)
        l->qkv.parts = {{"q", 0, d, 3 * d}, {"k", d, 2 * d, 3 * d}, {"v", 2 * d, 3 * d, 3 * d}};
    } else {
      l->q = linear_of(n.q, q_size, c.hidden, c.qkv_bias);
      l->k = linear_of(n.k, kv_size, c.hidden, c.qkv_bias);
      l->v = linear_of(n.v, kv_size, c.hidden, c.qkv_bias);
    }
    l->o = linear_of(n.o, c.hidden, q_size, c.o_bias);
    if (c.qk_norm) {
      l->q_norm = norm_of(prefix + n.q_norm, c.head_dim);
      l->k_norm = norm_of(prefix + n.k_norm, c.head_dim);
    }
    l->mlp_norm = norm_of(prefix + n.mlp_norm, c.hidden);
    if (c.gated) l->gate = linear_of(n.gate, c.ffn, c.hidden, c.mlp_bias);
    l->up = linear_of(n.up, c.ffn, c.hidden, c.mlp_bias);
    l->down = linear_of(n.down, c.hidden, c.ffn, c.mlp_bias);
    layers_.push_back(std::move(l));
  }
  final_norm_ = norm_of(n.final_norm, c.hidden);
  head_.name = n.head;
  head_.is_head = true;
  head_.weight =
      c.tied ? Slot{n.head + ".weight", embed_.parameter} : matrix(n.head + ".weight", c.vocab, c.hidden);
}

std::vector<Linear*> Decoder::linears() {
  std::vector<Linear*> all;
  for (const auto& l : layers_)
    for (Linear* x : {&l->qkv, &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down})
      if (x->weight) all.push_back(x);
  all.push_back(&head_);
  return all;
}

std::vector<Slot*> Decoder::slots() {
  std::vector<Slot*> all;
  const auto add = [&](Slot& s) {
    if (s) all.push_back(&s);
  };
  add(embed_);
  add(positions_);
  add(embed_norm_.weight);
  add(embed_norm_.bias);
  for (const auto& l : layers_) {
    for (Norm* n : {&l->attn_norm, &l->q_norm, &l->k_norm, &l->mlp_norm}) {
      add(n->weight);
      add(n->bias);
    }
    for (Linear* x : {&l->qkv, &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down}) {
      add(x->weight);
      add(x->bias);
    }
  }
  add(final_norm_.weight);
  add(final_norm_.bias);
  add(head_.weight);
  add(head_.bias);
  return all;
}

NormOptions Decoder::norm_options() const {
  return {.eps = config_.norm_eps, .center = config_.layer_norm};
}

Var Decoder::drop(Forward& f, const Var& x, double p, uint32_t place) const {
  return f.training && p > 0 ? dropout(f.tape, x, static_cast<float>(p), f.dropout_key, place) : x;
}

bool Decoder::trainable(const Forward& f, int index) const {
  const Layer& l = *layers_[static_cast<size_t>(index)];
  if (f.before)
    if (const KvRows* kv = f.before->at(index); kv && kv->requires_grad()) return true;
  for (const BlockAdapter* a : block_adapters_)
    if (a->enabled && a->acts_on(index)) return true;
  for (const Norm* n : {&l.attn_norm, &l.q_norm, &l.k_norm, &l.mlp_norm})
    for (const Slot* s : {&n->weight, &n->bias})
      if (*s && s->parameter->trainable) return true;
  for (const Linear* x : {&l.qkv, &l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down})
    if (x->weight &&
        (x->weight.parameter->trainable || (x->bias && x->bias.parameter->trainable) || !x->adapters.empty()))
      return true;
  return false;
}

Var Decoder::hidden(Forward& f, const Ids& ids) {
  const Layout& layout = f.tape.layout();
  for (const int32_t id : *ids)
    if (id < 0 || id >= config_.vocab)
      bad_input("token id {} is outside the model's vocabulary of {}", id, config_.vocab);
  Var h;
  if (!ids->empty()) h = embedding(f.tape, *embed_.parameter, ids);
  if (f.prompt.defined()) h = prepend_rows(f.tape, h, f.prompt);
  if (embed_norm_.weight)
    h = norm(f.tape, h, *embed_norm_.weight.parameter, embed_norm_.bias.parameter, norm_options());
  if (config_.positions == Positions::learned) {
    for (const int32_t p : layout.position)
      if (p >= config_.max_positions)
        bad_input("a sample has {} tokens or more, but the model has positions for {}; lower data.max_length",
                  p + 1, config_.max_positions);
    // The tape holds the layout.
    h = add_embedding(f.tape, h, *positions_.parameter, Ids(Ids(), &layout.position));
  }
  h = drop(f, h, config_.embed_dropout, kEmbedPlace);
  if (f.collect) f.collect->resize(static_cast<size_t>(config_.layers));
  const Shared of_pass = shared(f);
  for (int i = 0; i < config_.layers; ++i) {
    // The closure outlives this call: it holds what the layers share, and a Forward that lives through
    // backward.
    const auto run = [this, &f, i, of_pass](const Var& x) { return layer(f, i, x, of_pass); };
    h = f.recompute ? f.tape.checkpoint(h, trainable(f, i), run) : run(h);
  }
  if (f.cache && !f.places)
    for (int32_t s = 0; s < layout.samples(); ++s)
      f.cache->length[f.cache_rows[s]] += layout.bounds[s + 1] - layout.bounds[s];
  return norm(f.tape, h, *final_norm_.weight.parameter, final_norm_.bias.parameter, norm_options());
}

Decoder::Shared Decoder::shared(Forward& f) {
  const DecoderConfig& c = config_;
  Shared s;
  if (c.positions == Positions::rotary)
    std::tie(s.cos, s.sin) = rope_.angles(f.tape, f.cache ? f.cache->capacity : 0);
  if (c.positions == Positions::alibi) {
    // Made once: a recorded pass may be run again.
    if (!slopes_.defined() || slopes_.dtype() != f.tape.wide() || slopes_.device() != f.tape.device())
      slopes_ = alibi_slopes(c.heads, f.tape.wide(), f.tape.device());
    s.slopes = slopes_;
  }
  if (c.qkv_by_head) s.regroup = piece_order(f.tape);
  return s;
}

// The order for some tokens begins the order for more of them, so one serves every pass that is no longer.
// None is freed: a recorded pass may read it again.
const PieceOrder& Decoder::piece_order(Tape& tape) {
  const auto tokens = static_cast<size_t>(tape.layout().tokens()), heads = static_cast<size_t>(config_.heads);
  const bool away = tape.device() != Device();
  for (const auto& [order, copy] : orders_)
    if (order.to->size() >= 3 * tokens * heads &&
        (!away || (copy.defined() && copy.device() == tape.device())))
      return order;
  const size_t room = std::max<size_t>(256, 2 * tokens);
  auto to = std::make_shared<std::vector<int32_t>>();
  to->reserve(3 * room * heads);
  for (size_t t = 0; t < room; ++t)
    for (size_t head = 0; head < heads; ++head)
      for (size_t part = 0; part < 3; ++part)
        to->push_back(static_cast<int32_t>((3 * t + part) * heads + head));
  Tensor copy;
  if (away) {
    copy = Tensor::empty({static_cast<int64_t>(to->size())}, DType::i32, MemoryClass::weights, tape.device());
    copy_from_host(tape.device(), copy.raw(), to->data(), to->size() * sizeof(int32_t));
  }
  const IndexView view(to->data(), away ? copy.data<int32_t>() : nullptr);
  orders_.emplace_back(PieceOrder{std::move(to), view}, std::move(copy));
  return orders_.back().first;
}

Var Decoder::layer(Forward& f, int index, const Var& h, const Shared& shared) {
  Layer& l = *layers_[index];
  const uint32_t place = kLayerPlaces + 2 * static_cast<uint32_t>(index);
  const Var x = norm(f.tape, h, *l.attn_norm.weight.parameter, l.attn_norm.bias.parameter, norm_options());
  const bool after_norm = config_.residual_after_norm;
  const Var& residual = after_norm ? x : h;
  const Var attended =
      adapt_block(f, block_adapters_, index, Sublayer::attention,
                  drop(f, attend(f, index, x, shared), config_.residual_dropout, place), residual);
  const auto [middle, y] = residual_norm(f.tape, attended, residual, *l.mlp_norm.weight.parameter,
                                         l.mlp_norm.bias.parameter, norm_options());
  const Var& rest = after_norm ? y : middle;
  return add(f.tape, rest,
             adapt_block(f, block_adapters_, index, Sublayer::feed_forward,
                         drop(f, feed_forward(f, l, y), config_.residual_dropout, place + 1), rest));
}

Var Decoder::attend(Forward& f, int index, const Var& x, const Shared& shared) {
  Layer& l = *layers_[index];
  const DecoderConfig& c = config_;
  const int64_t q_size = c.heads * c.head_dim, kv_size = c.kv_heads * c.head_dim;
  HeadColumns q, k, v;
  if (c.fused_qkv) {
    Var all = l.qkv(f, x);
    if (c.qkv_by_head) all = move_pieces(f.tape, all, c.head_dim, shared.regroup);
    q = {all, 0};
    k = {all, q_size};
    v = {all, q_size + kv_size};
  } else {
    q.var = l.q(f, x);
    k.var = l.k(f, x);
    v.var = l.v(f, x);
    if (c.qk_norm) {
      NormOptions o = norm_options();
      o.rows_per_token = c.heads;
      q.var = norm(f.tape, q.var, *l.q_norm.weight.parameter, nullptr, o);
      o.rows_per_token = c.kv_heads;
      k.var = norm(f.tape, k.var, *l.k_norm.weight.parameter, nullptr, o);
    }
    if (shared.cos.defined()) {
      q.var = rope(f.tape, q.var, 0, c.heads, c.head_dim, shared.cos, shared.sin, false);
      k.var = rope(f.tape, k.var, 0, c.kv_heads, c.head_dim, shared.cos, shared.sin, false);
    }
  }
  const AttentionOptions options{.heads = c.heads,
                                 .kv_heads = c.kv_heads,
                                 .head_dim = c.head_dim,
                                 .scale = 1 / std::sqrt(static_cast<double>(c.head_dim)),
                                 .alibi_slopes = shared.slopes};
  if (f.collect) (*f.collect)[static_cast<size_t>(index)] = {k, v};
  if (f.cache) return l.o(f, attend_cached(f, index, q, k, v, options));
  const KvRows* before = f.before ? f.before->at(index) : nullptr;
  return l.o(
      f, attention(f.tape, q, k, v, before ? &before->k : nullptr, before ? &before->v : nullptr, options));
}

Var Decoder::attend_cached(Forward& f, int index, const HeadColumns& q, const HeadColumns& k,
                           const HeadColumns& v, const AttentionOptions& options) {
  const int64_t kv_size = config_.kv_heads * config_.head_dim;
  KvCache& cache = *f.cache;
  const Layout& layout = f.tape.layout();
  CachePlaces found;
  for (int32_t s = 0; !f.places && s < layout.samples(); ++s) {
    const int32_t row = f.cache_rows[s], length = cache.length[row],
                  count = layout.bounds[s + 1] - layout.bounds[s];
    FT_CHECK(length + count <= cache.capacity, "[cache] expected at most {} tokens a row, got {}",
             cache.capacity, length + count);
    const auto first = static_cast<int32_t>(row * cache.capacity);
    const VirtualTokens* before = cache.before.empty() ? nullptr : cache.before[static_cast<size_t>(row)];
    found.begin.push_back(first + (before ? static_cast<int32_t>(before->hidden_from(index)) : 0));
    found.end.push_back(first + length + count);
    for (int32_t t = 0; t < count; ++t) found.to.push_back(first + length + t);
  }
  const CachePlaces& places = f.places ? *f.places : found;
  const IndexView to = f.tape.upload(places.to);
  launch(f.tape.stream(), q.var.value().dtype(), [&]<class T>(auto& s) {
    for (const auto& [from, target] :
         {std::pair<const HeadColumns*, const Tensor*>(&k, &cache.k[index]), {&v, &cache.v[index]}}) {
      const Tensor& t = from->var.value();
      copy_rows(s, CopyRowsArgs<T>{.count = layout.tokens(),
                                   .cols = kv_size,
                                   .x = t.data<T>() + from->column,
                                   .ldx = t.dim(1),
                                   .y = target->template data<T>(),
                                   .ldy = kv_size,
                                   .from = {},
                                   .to = to});
    }
  });
  return Var(cached_attention(f.tape, q, cache.k[index], cache.v[index], places.begin, places.end, options));
}

Var Decoder::feed_forward(Forward& f, Layer& l, const Var& x) {
  if (!config_.gated) return l.down(f, activation(f.tape, config_.activation, l.up(f, x)));
  const Var gate = l.gate(f, x);
  return l.down(f, gated_activation(f.tape, config_.activation, gate, l.up(f, x)));
}

KvCache Decoder::make_cache(int64_t rows, int64_t capacity, DType compute) const {
  KvCache cache{.rows = rows,
                .capacity = capacity,
                .k = {},
                .v = {},
                .length = std::vector<int32_t>(static_cast<size_t>(rows))};
  for (int64_t i = 0; i < config_.layers; ++i)
    for (auto* side : {&cache.k, &cache.v})
      side->push_back(Tensor::empty({rows * capacity, config_.kv_heads * config_.head_dim}, compute,
                                    MemoryClass::activations, embed_.parameter->value.device()));
  return cache;
}

}  // namespace ft
