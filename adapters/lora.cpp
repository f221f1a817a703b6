// LoRA (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"): h = W x + s · B A x, with W
// frozen, A [r, in] started at random and B [out, r] at zero; s = alpha / r, or alpha / √r for rsLoRA
// (Kalajdzievski 2023). Field names, matching rules, initial distributions and files are PEFT's (0.21).
//
// PiSSA and OLoRA start A and B from W. W stays as it is: what acts is s (B A − B₀ A₀), which starts at zero,
// and what is stored is that difference as one LoRA of twice the rank, [A; A₀] and [B, −B₀].
//
// A part of a fused projection ("c_attn.q") is a LoRA on the whole of it whose B has zeros in the other rows:
// they start at zero, and a mask takes their gradient away.
#include <algorithm>
#include <cmath>
#include <deque>
#include <unordered_map>

#include "adapters/dora.h"
#include "adapters/lora_config.h"
#include "adapters/lora_start.h"
#include "adapters/modules_to_save.h"
#include "adapters/registry.h"
#include "engine/ops/column_scale.h"

namespace ft {
namespace {

/// Rows [begin, end) of a parameter, sharing its value and gradient.
Parameter rows_of(const Parameter& whole, int64_t begin, int64_t end, bool trainable) {
  Parameter p;
  p.name = whole.name;
  p.shape = {end - begin, whole.shape[1]};
  p.value = whole.value.rows(begin, end);
  p.trainable = trainable;
  if (trainable) p.grad = whole.grad.rows(begin, end);
  return p;
}

class Lora : public Adapter, public LinearAdapter {
 public:
  explicit Lora(LoraConfig config) : config_(std::move(config)) {}

  std::string_view peft_type() const override { return "LORA"; }

  void attach(Model& model, const AttachOptions& options) override {
    // Copies first: a LoRA on a module that is saved whole would act on the copy, which PEFT refuses as well.
    saved_ = save_modules(model, config_.choice.modules_to_save, options, copies_);
    const std::vector<Linear*> targets = find_linears(model, config_.choice, options, true);
    train_biases(model, targets, options);
    for (Linear* l : targets) {
      add_site(*l, dropout_site(model, *l, options), options);
      if (l->is_head && model.facts().tied)
        saved_.push_back(
            {"base_model.model." + l->name + ".base_layer.weight", l->weight.parameter, false, true});
    }
    b_rate_ = options.b_rate;
  }

  std::vector<AdapterTensor> tensors() const override {
    std::vector<AdapterTensor> all;
    for (const Site& s : sites_) {
      const std::string name = "base_model.model." + s.linear->name;
      all.push_back({name + ".lora_A.weight", s.stored_a});
      all.push_back({name + ".lora_B.weight", s.stored_b, true});
      if (s.magnitude) all.push_back({name + ".lora_magnitude_vector", s.magnitude});
    }
    all.insert(all.end(), biases_.begin(), biases_.end());
    all.insert(all.end(), saved_.begin(), saved_.end());
    return all;
  }

  std::vector<Parameter*> trainables() const override {
    std::vector<Parameter*> all;
    for (const Site& s : sites_)
      for (Parameter* p : {s.a, s.b_t, s.magnitude})
        if (p) all.push_back(p);
    for (const auto* more : {&biases_, &saved_})
      for (const AdapterTensor& t : *more)
        if (!t.frozen) all.push_back(t.parameter);
    return all;
  }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    LoraConfig stored = config_.init.from_weight() ? difference_from_start(config_) : config_;
    if (parts_) stored.choice.target_modules = whole_modules();
    return to_json(stored, base);
  }
  nlohmann::ordered_json run_json() const override { return to_json(config_, ""); }
  // Which parts of the modules that PEFT's file names.
  nlohmann::ordered_json extra_json() const override {
    nlohmann::ordered_json j;
    if (parts_) j["target_modules"] = to_json(config_.choice.target_modules);
    return j;
  }

  bool mergeable() const override { return true; }
  bool has_dropout() const override { return config_.dropout > 0; }
  bool passes_repeat() const override { return !config_.use_dora; }
  void set_active(bool active) override {
    Adapter::set_active(active);
    enabled = active;
  }
  void set_scale(double scale) override {
    if (scale != 1 && (config_.use_dora || !(biases_.empty() && saved_.empty())))
      bad_input("an adapter with DoRA, trained biases or modules_to_save cannot be scaled");
    strength_ = scale;
  }

  // Trained biases and saved modules stand in the model's slots already; what is left to fold in is B A, and
  // DoRA's factors.
  void merge(const Slot& slot, std::vector<float>& values) const override {
    for (const Site& s : sites_) {
      if (&s.linear->weight != &slot) continue;
      add_low_rank(to_plain(*s.stored_a), to_plain(*s.stored_b), {}, s.stored_a->shape[0],
                   strength_ * s.scale, values);
      if (s.magnitude) dora_.merge(*s.linear, values);
    }
  }

  void prepare(Forward& f, VirtualParts&) override { dora_.prepare(f, config_.dropout); }

  // Nothing of its own in the loss: gradients that exist once a step.
  double extra_loss(Stream& stream, const StepInfo&) override {
    dora_.collect(stream);
    for (const Site& s : sites_)
      if (s.mask) mask_rows(stream, s.b_t->grad, *s.mask);
    return 0;
  }

  // LoRA+ (Hayou et al. 2024), in the groups of PEFT's create_loraplus_optimizer.
  double learning_rate_factor(const Parameter& p) const override {
    const bool is_b = std::any_of(sites_.begin(), sites_.end(), [&](const Site& s) { return s.b_t == &p; });
    return is_b || p.shape.rank() == 1 ? b_rate_ : 1;
  }

  void low_rank(Forward& f, const Linear& linear, std::vector<LowRankTerm>& terms) override {
    const Site& s = site(linear);
    terms.push_back(term(f, s));
    if (s.a0) terms.push_back({s.a0, s.b0_t, strength_ * s.scale});
  }

  Var after(Forward& f, const Linear& linear, const Var& x, const Var& y) override {
    const Site& s = site(linear);
    return s.magnitude ? dora_.after(f, linear, x, y, term(f, s)) : y;
  }

 private:
  struct Site {
    Linear* linear;
    Parameter *a, *b_t;                        // [r, in], [r, out]
    Parameter *stored_a, *stored_b;            // the same, or with the start's r rows below (B₀ negated)
    Parameter *a0 = nullptr, *b0_t = nullptr;  // those rows, frozen
    Parameter* magnitude = nullptr;            // DoRA's
    Parameter* mask = nullptr;                 // [out]: 1 where B may be other than zero
    double scale = 1;
    uint32_t dropout_site = 0;
  };

  const Site& site(const Linear& linear) const { return sites_[by_linear_.at(&linear)]; }
  LowRankTerm term(const Forward& f, const Site& s) const {
    const float p = f.training ? static_cast<float>(config_.dropout) : 0.f;
    return {s.a, s.b_t, strength_ * s.scale, p, f.dropout_key, s.dropout_site};
  }
  Parameter* keep(Parameter p) { return &parameters_.emplace_back(std::move(p)); }

  void add_site(Linear& l, uint32_t place, const AttachOptions& options) {
    const int64_t rank = config_.rank_of(l);
    const bool doubled = config_.init.from_weight();
    const auto matrix = [&](const char* which, int64_t cols) {
      return keep(Parameter::make(fmt::format("{}.{}", l.name, which), {doubled ? 2 * rank : rank, cols},
                                  Parameter::Layout::plain, options.compute, MemoryClass::trainable,
                                  options.device));
    };
    Site s{};
    s.linear = &l;
    s.scale = config_.scale_of(l);
    s.dropout_site = place;
    s.stored_a = matrix("lora_A", l.in());
    s.stored_b = matrix("lora_B", l.out());
    initialise(s, rank, options);
    s.stored_a->train(options.compute);
    s.stored_b->train(options.compute);
    s.a = doubled ? keep(rows_of(*s.stored_a, 0, rank, true)) : s.stored_a;
    s.b_t = doubled ? keep(rows_of(*s.stored_b, 0, rank, true)) : s.stored_b;
    if (doubled) {
      s.a0 = keep(rows_of(*s.stored_a, rank, 2 * rank, false));
      s.b0_t = keep(rows_of(*s.stored_b, rank, 2 * rank, false));
    }
    add_mask(s, options);
    by_linear_[&l] = sites_.size();
    l.adapters.push_back(this);
    if (config_.use_dora) {
      if (l.is_head || s.mask)
        bad_input("{}: use_dora on {} is not supported; {}", options.where, l.name,
                  s.mask ? "name the whole module" : "leave the output head out of target_modules");
      s.magnitude = &dora_.add(l, {s.a, s.b_t, s.scale}, options);
    }
    sites_.push_back(s);
  }

  void initialise(Site& s, int64_t rank, const AttachOptions& options) const {
    using Kind = LoraInit::Kind;
    Parameter &a = *s.stored_a, &b_t = *s.stored_b;
    const Linear& l = *s.linear;
    switch (config_.init.kind) {
      case Kind::pissa:
      case Kind::olora: {
        const LoraStart start =
            start_from_weight(l, config_.init, rank, s.scale, options.seed, options.where);
        std::vector<float> both_a = start.a, both_b = start.b_t;
        both_a.insert(both_a.end(), start.a.begin(), start.a.end());
        for (const float b : start.b_t) both_b.push_back(-b);
        from_plain(a, both_a);
        from_plain(b_t, both_b);
        return;
      }
      case Kind::orthogonal: {
        const LoraStart start = start_orthogonal(l, rank, options.seed);
        from_plain(a, start.a);
        from_plain(b_t, start.b_t);
        return;
      }
      case Kind::gaussian:
        fill_normal(a, 1.0 / static_cast<double>(rank), options.seed);
        return b_t.value.zero();
      case Kind::kaiming:
        fill_kaiming(a, l.in(), options.seed);
        return b_t.value.zero();
      case Kind::random:
        fill_kaiming(a, l.in(), options.seed);
        return fill_kaiming(b_t, rank, options.seed);
    }
  }

  void add_mask(Site& s, const AttachOptions& options) {
    const std::vector<const OutputPart*> parts = named_parts(config_.choice.target_modules, *s.linear);
    if (parts.empty()) return;
    const int64_t out = s.linear->out();
    std::vector<float> mask(static_cast<size_t>(out));
    for (const OutputPart* part : parts) {
      for (int64_t n = 0; n < out; ++n)
        if (part->holds(n)) mask[static_cast<size_t>(n)] = 1;
    }
    s.mask = keep(Parameter::make(s.linear->name + ".lora_mask", {out}, Parameter::Layout::plain,
                                  options.compute, MemoryClass::weights, options.device));
    from_plain(*s.mask, mask);
    parts_ = true;
    if (config_.init.from_weight())
      bad_input("{}: init_lora_weights pissa and olora start from a whole weight, not from {}.{}",
                options.where, s.linear->name, parts[0]->name);
    std::vector<float> b = to_plain(*s.stored_b);
    for (size_t i = 0; i < b.size(); ++i) b[i] *= mask[i % static_cast<size_t>(out)];
    from_plain(*s.stored_b, b);
  }

  static void mask_rows(Stream& stream, const Tensor& grad, const Parameter& mask) {
    launch_on_parameters(stream, grad.dtype(), [&]<class T>(auto& s) {
      column_scale(s, ColumnScaleArgs<T>{.rows = grad.dim(0),
                                         .cols = grad.dim(1),
                                         .x = grad.data<T>(),
                                         .scale = mask.value.data<T>(),
                                         .y = grad.data<T>()});
    });
  }

  // PEFT knows modules only.
  ModuleChoice whole_modules() const {
    ModuleChoice whole;
    for (const Site& s : sites_) whole.names.push_back(s.linear->name);
    return whole;
  }

  // bias: all trains every bias of the model, lora_only those of the targets. Copies: the base stays as it
  // is.
  void train_biases(Model& model, const std::vector<Linear*>& targets, const AttachOptions& options) {
    if (config_.bias == LoraBias::none) return;
    for (Slot* slot : model.slots()) {
      if (!slot->name.ends_with(".bias") || slot->parameter->trainable) continue;
      const bool targeted =
          std::any_of(targets.begin(), targets.end(), [&](const Linear* l) { return &l->bias == slot; });
      if (config_.bias == LoraBias::lora_only && !targeted) continue;
      const std::string module = slot->name.substr(0, slot->name.rfind('.'));
      biases_.push_back({"base_model.model." + module + (targeted ? ".base_layer.bias" : ".bias"),
                         &train_copy(model, *slot, options, copies_)});
    }
  }

  LoraConfig config_;
  double b_rate_ = 1;
  double strength_ = 1;  // set_scale()
  std::vector<Site> sites_;
  std::unordered_map<const Linear*, size_t> by_linear_;
  std::deque<Parameter> parameters_;
  std::vector<AdapterTensor> biases_, saved_;
  bool parts_ = false;  // of a fused projection, somewhere
  Dora dora_;
};

}  // namespace

std::unique_ptr<Adapter> make_lora(const ConfigNode& config, const std::string& section, bool saved) {
  return std::make_unique<Lora>(read_lora_config(config, section, saved));
}

}  // namespace ft
