// VeRA (Kopiczko et al. 2024, "VeRA: Vector-based Random Matrix Adaptation"): h = W x + b ⊙ (B (d ⊙ (A x)))
// with A [r, in] and B [out, r] random, frozen and shared by all layers, and the vectors d [r] and b [out]
// trained; b starts at zero. A layer takes the first columns of A and the first rows of B. Field names, the
// numbers drawn from `projection_prng_key` and files are PEFT's (0.21).
#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <random>
#include <unordered_map>

#include "adapters/linear_choice.h"
#include "adapters/lora_config.h"
#include "adapters/modules_to_save.h"
#include "adapters/peft_fields.h"
#include "adapters/registry.h"
#include "engine/ops/column_scale.h"
#include "engine/ops/elementwise.h"

namespace ft {
namespace {

struct VeraConfig {
  int64_t r = 256;
  int64_t key = 0;  // projection_prng_key
  bool save_projection = true, init = true;
  double dropout = 0, d_initial = 0.1;
  LinearChoice choice;
};

VeraConfig read_config(const ConfigNode& node, const std::string& section, bool saved) {
  VeraConfig c;
  Fields f(node, section);
  ignore_file_fields(f);
  f.get("r", c.r, between(1, kMaxRank));
  f.get("projection_prng_key", c.key, at_least(0));
  f.get("save_projection", c.save_projection);
  f.get("vera_dropout", c.dropout, probability());
  f.get("d_initial", c.d_initial);
  f.get("init_weights", c.init);
  read_linear_choice(f, c.choice);
  f.accept_null_or_default("bias", ConfigNode("none"));
  finish_fields(f, saved);
  return c;
}

/// Kaiming's uniform numbers, drawn as PyTorch's generator on the CPU draws them: another program that was
/// given the same key has the same projection.
std::vector<float> draw(std::mt19937& generator, int64_t count, int64_t fan_in) {
  const auto bound = static_cast<float>(std::sqrt(3.0) * (std::sqrt(2.0) / std::sqrt(double(fan_in))));
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values)
    v = static_cast<float>(generator() & 0xffffffu) * 0x1p-24f * (bound - -bound) + -bound;
  return values;
}

class Vera : public Adapter, public LinearAdapter {
 public:
  explicit Vera(VeraConfig config) : config_(std::move(config)) {}

  std::string_view peft_type() const override { return "VERA"; }

  void attach(Model& model, const AttachOptions& options) override {
    saved_ = save_modules(model, config_.choice.modules_to_save, options, copies_);
    int64_t in = 0, out = 0;
    const std::vector<Linear*> targets = find_linears(model, config_.choice, options);
    for (const Linear* l : targets) {
      if (l->is_head)
        bad_input("{}: target_modules: VERA on the output head {} is not supported; take LORA there",
                  options.where, l->name);
      in = std::max(in, l->in());
      out = std::max(out, l->out());
    }
    std::mt19937 generator(static_cast<uint32_t>(config_.key));
    make_projection(a_, "vera_A", {config_.r, in}, draw(generator, config_.r * in, in));
    make_projection(b_, "vera_B", {out, config_.r}, draw(generator, out * config_.r, config_.r));
    for (Linear* l : targets) add_site(*l, dropout_site(model, *l, options), options);
  }

  std::vector<AdapterTensor> tensors() const override {
    std::vector<AdapterTensor> all;
    for (const Site& s : sites_) {
      const std::string name = "base_model.model." + s.linear->name;
      all.push_back({name + ".vera_lambda_b", s.b});
      all.push_back({name + ".vera_lambda_d", s.d});
    }
    if (config_.save_projection) {
      all.push_back({"base_model.vera_A", a_.whole});
      all.push_back({"base_model.vera_B", b_.whole});
    }
    all.insert(all.end(), saved_.begin(), saved_.end());
    return all;
  }
  std::vector<Parameter*> trainables() const override {
    std::vector<Parameter*> all;
    for (const Site& s : sites_) {
      all.push_back(s.b);
      all.push_back(s.d);
    }
    for (const AdapterTensor& t : saved_) all.push_back(t.parameter);
    return all;
  }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    nlohmann::ordered_json j = file_fields(peft_type(), base);
    j["r"] = config_.r;
    j["projection_prng_key"] = config_.key;
    j["save_projection"] = config_.save_projection;
    j["vera_dropout"] = config_.dropout;
    j["d_initial"] = config_.d_initial;
    j["init_weights"] = config_.init;
    j["bias"] = "none";
    LinearChoice choice = config_.choice;
    if (!choice.exclude_modules.empty() && !sites_.empty()) {  // PEFT's VeRA lacks the field
      choice.target_modules = {};
      for (const Site& s : sites_) choice.target_modules.names.push_back(s.linear->name);
    }
    write_linear_choice(choice, j);
    j.erase("exclude_modules");
    return j;
  }

  bool mergeable() const override { return true; }
  bool has_dropout() const override { return config_.dropout > 0; }
  void set_active(bool active) override {
    Adapter::set_active(active);
    enabled = active;
  }

  void merge(const Slot& slot, std::vector<float>& values) const override {
    for (const Site& s : sites_) {
      if (&s.linear->weight != &slot) continue;
      const std::vector<float> a = slice(*a_.whole, s.linear->in()), b = to_plain(*b_.whole);
      const std::vector<float> factors_b = to_plain(*s.b), factors_d = to_plain(*s.d);
      const int64_t out = s.linear->out(), r = config_.r;
      std::vector<float> b_t(static_cast<size_t>(r * out));
      for (int64_t i = 0; i < r; ++i)
        for (int64_t n = 0; n < out; ++n)
          b_t[static_cast<size_t>(i * out + n)] =
              b[static_cast<size_t>(n * r + i)] * factors_b[static_cast<size_t>(n)];
      add_low_rank(a, b_t, factors_d, r, 1, values);
    }
  }

  // A saved adapter's projection is read after attach(): the layers' slices of it are made here.
  void prepare(Forward&, VirtualParts&) override {
    if (!std::exchange(sliced_, true)) slice_all();
  }

  Var after(Forward& f, const Linear& linear_layer, const Var& x, const Var& y) override {
    const Site& s = sites_[by_linear_.at(&linear_layer)];
    Tape& tape = f.tape;
    const float p = f.training ? static_cast<float>(config_.dropout) : 0.f;
    const Var dropped = dropout(tape, x, p, f.dropout_key, s.dropout_site);
    const Var thin = column_scale(tape, linear(tape, dropped, {s.a, nullptr, {}}), *s.d);
    return add(tape, y, column_scale(tape, linear(tape, thin, {s.projection_b, nullptr, {}}), *s.b));
  }

 private:
  struct Projection {
    Parameter* whole = nullptr;             // plain, as large as the largest layer asks
    std::map<int64_t, Parameter*> of_size;  // as layers of a size multiply with it
  };
  struct Site {
    Linear* linear;
    Parameter *a, *projection_b;  // [r, in], [out, r], frozen, shared by layers of their size
    Parameter *d, *b;             // [r], [out], trained
    uint32_t dropout_site;
  };

  Parameter* keep(Parameter p) { return &parameters_.emplace_back(std::move(p)); }

  void make_projection(Projection& p, const char* name, Shape shape, const std::vector<float>& values) {
    p.whole = keep(Parameter::make(name, shape, Parameter::Layout::plain, DType::f32, MemoryClass::weights));
    from_plain(*p.whole, values);
  }

  void add_site(Linear& l, uint32_t place, const AttachOptions& options) {
    const auto vector = [&](const char* which, int64_t size) {
      return keep(Parameter::make(fmt::format("{}.{}", l.name, which), {size}, Parameter::Layout::plain,
                                  options.compute, MemoryClass::trainable, options.device));
    };
    const auto matrix = [&](Projection& p, int64_t size, int64_t rows, int64_t cols) {
      Parameter*& found = p.of_size[size];
      if (!found)
        found = keep(Parameter::make(p.whole->name, {rows, cols}, Parameter::Layout::packed, options.compute,
                                     MemoryClass::weights, options.device));
      return found;
    };
    Site s{&l,
           matrix(a_, l.in(), config_.r, l.in()),
           matrix(b_, l.out(), l.out(), config_.r),
           vector("vera_lambda_d", config_.r),
           vector("vera_lambda_b", l.out()),
           place};
    from_plain(*s.d,
               std::vector<float>(static_cast<size_t>(config_.r), static_cast<float>(config_.d_initial)));
    if (!config_.init) fill_normal(*s.d, 1, options.seed);
    from_plain(*s.b, std::vector<float>(static_cast<size_t>(l.out()), config_.init ? 0.f : 1.f));
    s.d->train(options.compute);
    s.b->train(options.compute);
    by_linear_[&l] = sites_.size();
    sites_.push_back(s);
    l.adapters.push_back(this);
  }

  /// The first `cols` columns of a plain matrix.
  static std::vector<float> slice(const Parameter& whole, int64_t cols) {
    const std::vector<float> all = to_plain(whole);
    std::vector<float> part;
    for (int64_t i = 0; i < whole.shape[0]; ++i)
      part.insert(part.end(), all.begin() + i * whole.shape[1], all.begin() + i * whole.shape[1] + cols);
    return part;
  }

  void slice_all() {
    for (const auto& [in, p] : a_.of_size) from_plain(*p, slice(*a_.whole, in));
    const std::vector<float> b = to_plain(*b_.whole);
    for (const auto& [out, p] : b_.of_size)
      from_plain(*p, std::span(b).first(static_cast<size_t>(out * config_.r)));
  }

  VeraConfig config_;
  Projection a_, b_;
  bool sliced_ = false;
  std::vector<Site> sites_;
  std::unordered_map<const Linear*, size_t> by_linear_;
  std::deque<Parameter> parameters_;
  std::vector<AdapterTensor> saved_;
};

}  // namespace

std::unique_ptr<Adapter> make_vera(const ConfigNode& config, const std::string& section, bool saved) {
  return std::make_unique<Vera>(read_config(config, section, saved));
}

}  // namespace ft
