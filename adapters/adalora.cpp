// AdaLoRA (Zhang et al. 2023, "Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning"): a change in
// the form of a singular value decomposition, h = W x + s · B (E ⊙ (A x)), E [r] started at zero, with A and
// B held near orthonormal rows by a term of the loss. Singular values that the loss would miss least
// (engine/ops/importance.h) are set to zero as the budget of all layers falls from init_r to target_r each.
// Field names, schedule, scale and files are PEFT's (0.21); a stored adapter has only what is left.
//
// E ⊙ A is formed once a step, and its gradient taken apart after the passes.
#include <algorithm>
#include <cmath>
#include <deque>
#include <unordered_map>

#include "adapters/adalora_budget.h"
#include "adapters/adalora_config.h"
#include "adapters/modules_to_save.h"
#include "adapters/orthogonal_loss.h"
#include "adapters/registry.h"

namespace ft {
namespace {

class AdaLora : public Adapter, public LinearAdapter {
 public:
  explicit AdaLora(AdaLoraConfig config) : config_(std::move(config)) {}

  std::string_view peft_type() const override { return "ADALORA"; }

  void attach(Model& model, const AttachOptions& options) override {
    saved_ = save_modules(model, config_.choice.modules_to_save, options, copies_);
    training_ = options.training;
    b_rate_ = options.b_rate;
    for (Linear* l : find_linears(model, config_.choice, options)) {
      if (l->is_head)
        bad_input("{}: target_modules: ADALORA on the output head {} is not supported; take LORA there",
                  options.where, l->name);
      add_site(*l, dropout_site(model, *l, options), options);
    }
  }

  std::vector<AdapterTensor> tensors() const override {
    const bool cut = ever_cut();
    std::vector<AdapterTensor> all;
    for (const Site& s : sites_) {
      std::optional<std::vector<int64_t>> rows;
      if (cut) rows = rows_left(s);
      const std::string name = "base_model.model." + s.linear->name;
      all.push_back({name + ".lora_A", &s.a(), false, false, rows});
      all.push_back({name + ".lora_B", &s.b_t(), true, false, rows});
      all.push_back({name + ".lora_E", &s.e(), false, false, rows});
    }
    all.insert(all.end(), saved_.begin(), saved_.end());
    return all;
  }
  std::vector<Parameter*> trainables() const override {
    std::vector<Parameter*> all;
    for (const Site& s : sites_)
      for (const AdaLoraFactor* f : s.triplets.factors()) all.push_back(f->value);
    for (const AdapterTensor& t : saved_) all.push_back(t.parameter);
    return all;
  }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    AdaLoraConfig c = config_;
    if (c.total_step == 0) c.total_step = std::max<int64_t>(1, steps_of_run_);
    c.rank_pattern.clear();
    const bool whole = std::all_of(sites_.begin(), sites_.end(), [&](const Site& s) {
      return static_cast<int64_t>(s.place.size()) == config_.init_r;
    });
    if (ever_cut() || !whole)
      for (const Site& s : sites_) {
        std::vector<bool> left(static_cast<size_t>(config_.init_r));
        for (const int64_t row : ever_cut() ? rows_left(s) : all_rows(s))
          left[static_cast<size_t>(s.place[static_cast<size_t>(row)])] = true;
        c.rank_pattern.emplace_back(s.linear->name + ".lora_E", std::move(left));
      }
    return to_json(c, base);
  }
  nlohmann::ordered_json run_json() const override { return to_json(config_, ""); }

  /// All that is trained, pruned or not, and what decides on pruning.
  std::vector<AdapterTensor> state_tensors() const override {
    std::vector<AdapterTensor> all;
    if (!training_) return all;
    for (const Site& s : sites_) {
      all.push_back({s.triplets.mask->name, s.triplets.mask});
      for (const AdaLoraFactor* f : s.triplets.factors()) {
        all.push_back({f->value->name, f->value});
        all.push_back({f->average->name, f->average});
        all.push_back({f->uncertainty->name, f->uncertainty});
      }
    }
    return all;
  }

  bool mergeable() const override { return true; }
  bool has_dropout() const override { return config_.dropout > 0; }
  void set_active(bool active) override {
    Adapter::set_active(active);
    enabled = active;
  }
  void merge(const Slot& slot, std::vector<float>& values) const override {
    for (const Site& s : sites_)
      if (&s.linear->weight == &slot)
        add_low_rank(to_plain(s.a()), to_plain(s.b_t()), to_plain(s.e()), s.rank(), config_.scale(), values);
  }
  double learning_rate_factor(const Parameter& p) const override {
    return std::any_of(sites_.begin(), sites_.end(), [&](const Site& s) { return &s.b_t() == &p; }) ? b_rate_
                                                                                                    : 1;
  }

  void prepare(Forward& f, VirtualParts&) override {
    for (const Site& s : sites_) scale_rows(f.tape.stream(), s.a().value, s.e().value, s.scaled->value);
  }

  void low_rank(Forward& f, const Linear& linear, std::vector<LowRankTerm>& terms) override {
    const Site& s = sites_[by_linear_.at(&linear)];
    const float p = f.training ? static_cast<float>(config_.dropout) : 0.f;
    if (s.rank() > 0)
      terms.push_back({s.scaled, &s.b_t(), config_.scale(), p, f.dropout_key, s.dropout_site});
  }

  double extra_loss(Stream& stream, const StepInfo& info) override {
    check_schedule(info);
    std::vector<Parameter*> held;
    for (const Site& s : sites_) {
      Tensor& gradient = s.scaled->grad;
      dot_rows(stream, gradient, s.a().value, 1, s.e().grad, true);
      scale_rows(stream, gradient, s.e().value, s.a().grad, true);
      gradient.zero();
      held.push_back(&s.a());
      held.push_back(&s.b_t());
    }
    return orthogonal_loss(stream, held, config_.orth_reg_weight, info.loss_scale);
  }

  void after_update(Stream& stream, const StepInfo& info) override {
    AdaLoraConfig c = config_;
    if (c.total_step == 0) c.total_step = info.total_steps;
    if (info.step < c.total_step - c.tfinal)
      for (const Site& s : sites_)
        measure_importance(stream, s.triplets, c.beta1, c.beta2, info.gradient_scale);
    const AdaLoraConfig::Budget budget =
        c.budget(info.step, values_at_start_, static_cast<int64_t>(sites_.size()));
    std::vector<const AdaLoraTriplets*> modules;
    for (const Site& s : sites_) modules.push_back(&s.triplets);
    if (budget.cut)
      cut_to_budget(stream, modules, budget.values);
    else if (info.step > c.total_step - c.tfinal)
      for (const AdaLoraTriplets* m : modules) apply_mask(stream, *m);
  }

 private:
  struct Site {
    Linear* linear;
    std::vector<int64_t> place;  // [r] of the rows among init_r: a saved adapter has some of them
    AdaLoraTriplets triplets;
    Parameter* scaled;  // [r, in] E ⊙ A
    uint32_t dropout_site;
    Parameter& a() const { return *triplets.a.value; }
    Parameter& e() const { return *triplets.e.value; }
    Parameter& b_t() const { return *triplets.b_t.value; }
    int64_t rank() const { return static_cast<int64_t>(place.size()); }
  };

  void add_site(Linear& l, uint32_t place, const AttachOptions& options) {
    Site s{};
    s.linear = &l;
    s.dropout_site = place;
    const auto pattern = std::find_if(config_.rank_pattern.begin(), config_.rank_pattern.end(),
                                      [&](const auto& entry) { return entry.first == l.name + ".lora_E"; });
    if (pattern == config_.rank_pattern.end() && !config_.rank_pattern.empty())
      bad_input("{}: rank_pattern says nothing of {}", options.where, l.name);
    for (int64_t i = 0; i < config_.init_r; ++i)
      if (config_.rank_pattern.empty() || pattern->second[static_cast<size_t>(i)]) s.place.push_back(i);
    const auto make = [&](const std::string& which, int64_t cols, MemoryClass c) {
      parameters_.push_back(Parameter::make(fmt::format("{}.{}", l.name, which), {s.rank(), cols},
                                            Parameter::Layout::plain, options.compute, c, options.device));
      parameters_.back().value.zero();
      return &parameters_.back();
    };
    const auto factor = [&](const std::string& which, int64_t cols) {
      AdaLoraFactor f{make(which, cols, MemoryClass::trainable)};
      f.value->train(options.compute);
      if (training_) {
        f.average = make(which + ".average", cols, MemoryClass::optimizer);
        f.uncertainty = make(which + ".uncertainty", cols, MemoryClass::optimizer);
      }
      return f;
    };
    s.triplets.a = factor("lora_A", l.in());
    s.triplets.e = factor("lora_E", 1);
    s.triplets.b_t = factor("lora_B", l.out());
    s.scaled = make("lora_EA", l.in(), MemoryClass::weights);
    s.scaled->train(options.compute);
    s.triplets.mask = make("mask", 1, MemoryClass::optimizer);
    from_plain(*s.triplets.mask, std::vector<float>(s.place.size(), 1.f));
    fill_normal(s.a(), config_.init ? 0.02 : 1, options.seed);
    fill_normal(s.b_t(), config_.init ? 0.02 : 1, options.seed);
    if (!config_.init) fill_normal(s.e(), 1, options.seed);
    values_at_start_ += s.rank();
    by_linear_[&l] = sites_.size();
    sites_.push_back(std::move(s));
    l.adapters.push_back(this);
  }

  void check_schedule(const StepInfo& info) {
    steps_of_run_ = info.total_steps;
    const int64_t total = config_.total_step > 0 ? config_.total_step : info.total_steps;
    if (config_.tinit >= total - config_.tfinal)
      bad_input(
          "adapter: ADALORA: of {} steps tinit takes {} and tfinal {}: none are left in which the budget "
          "could "
          "fall; lower them, or train longer",
          total, config_.tinit, config_.tfinal);
  }

  bool ever_cut() const {
    return std::any_of(sites_.begin(), sites_.end(), [](const Site& s) {
      const std::vector<float> mask = to_plain(*s.triplets.mask);
      return std::find(mask.begin(), mask.end(), 0.f) != mask.end();
    });
  }
  /// Those that act: what was taken away may have come back by training since the last cut.
  static std::vector<int64_t> rows_left(const Site& s) {
    const std::vector<float> e = to_plain(s.e());
    std::vector<int64_t> rows;
    for (size_t i = 0; i < e.size(); ++i)
      if (e[i] != 0) rows.push_back(static_cast<int64_t>(i));
    return rows;
  }
  static std::vector<int64_t> all_rows(const Site& s) {
    std::vector<int64_t> rows(s.place.size());
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
    return rows;
  }

  AdaLoraConfig config_;
  bool training_ = false;
  double b_rate_ = 1;
  int64_t values_at_start_ = 0, steps_of_run_ = 0;
  std::vector<Site> sites_;
  std::unordered_map<const Linear*, size_t> by_linear_;
  std::deque<Parameter> parameters_;
  std::vector<AdapterTensor> saved_;
};

}  // namespace

std::unique_ptr<Adapter> make_adalora(const ConfigNode& config, const std::string& section, bool saved) {
  return std::make_unique<AdaLora>(read_adalora_config(config, section, saved));
}

}  // namespace ft
