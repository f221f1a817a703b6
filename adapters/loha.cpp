// LoHa (Hyeon-Woo et al. 2022, "FedPara"; the method of LyCORIS): h = W x + s · (A₁ B₁ ∘ A₂ B₂) x, with A₁,
// A₂ [out, r] and B₁, B₂ [r, in], s = alpha / r; B₂ starts at zero. Field names, initial distributions and
// files are PEFT's (0.21).
//
// The element-wise product of two matrices of rank r is one of rank r²: its factors' rows are the products
// of all pairs of rows, P[i·r + j] = B₁[i] ∘ B₂[j]. So it acts as a low-rank term whose pair is formed once a
// step, of r² · (in + out) elements, and whose gradient is taken apart after the passes; no change of the
// size of W exists but in a merge.
#include <deque>
#include <unordered_map>

#include "adapters/lycoris_config.h"
#include "adapters/modules_to_save.h"
#include "adapters/peft_fields.h"
#include "adapters/registry.h"
#include "engine/ops/column_scale.h"

namespace ft {
namespace {

constexpr int64_t kMostRank = 64;  // its square is the largest rank of a low-rank term

struct LohaConfig : LycorisConfig {
  bool init = true;
};

LohaConfig read_config(const ConfigNode& node, const std::string& section, bool saved) {
  LohaConfig c;
  Fields f(node, section);
  read_lycoris_fields(f, c, kMostRank);
  f.get("init_weights", c.init);
  finish_fields(f, saved);
  return c;
}

/// Two matrices [r, cols] and the products of their rows, [r · r, cols].
struct RowProducts {
  Parameter *first, *second, *all;

  void form(Stream& stream) const {
    const int64_t r = first->shape[0], cols = first->shape[1];
    launch_on_parameters(stream, all->value.dtype(), [&]<class T>(auto& s) {
      for (int64_t i = 0; i < r; ++i)
        column_scale(s, ColumnScaleArgs<T>{.rows = r,
                                           .cols = cols,
                                           .x = second->value.data<T>(),
                                           .scale = first->value.data<T>() + i * cols,
                                           .y = all->value.data<T>() + i * r * cols});
    });
  }
  /// Adds to the gradients of the two what the products' says, and forgets that.
  void collect(Stream& stream, const Segments& rows) const {
    const int64_t r = first->shape[0], cols = first->shape[1];
    launch_on_parameters(stream, all->value.dtype(), [&]<class T>(auto& s) {
      for (int64_t i = 0; i < r; ++i)
        column_scale_grad(s, ColumnScaleGradArgs<T>{.segments = rows,
                                                    .cols = cols,
                                                    .dy = all->grad.data<T>() + i * r * cols,
                                                    .x = second->value.data<T>(),
                                                    .scale = first->value.data<T>() + i * cols,
                                                    .dx = second->grad.data<T>(),
                                                    .accumulate = true,
                                                    .dscale = first->grad.data<T>() + i * cols});
    });
    all->grad.zero();
  }
  std::vector<float> products() const {
    const auto r = static_cast<size_t>(first->shape[0]), cols = static_cast<size_t>(first->shape[1]);
    const std::vector<float> a = to_plain(*first), b = to_plain(*second);
    std::vector<float> both;
    both.reserve(r * r * cols);
    for (size_t i = 0; i < r * r; ++i)
      for (size_t c = 0; c < cols; ++c) both.push_back(a[i / r * cols + c] * b[i % r * cols + c]);
    return both;
  }
};

class Loha : public Adapter, public LinearAdapter {
 public:
  explicit Loha(LohaConfig config) : config_(std::move(config)) {}

  std::string_view peft_type() const override { return "LOHA"; }

  void attach(Model& model, const AttachOptions& options) override {
    saved_ = save_modules(model, config_.choice.modules_to_save, options, copies_);
    for (Linear* l : find_lycoris_linears(model, config_, options, peft_type())) add_site(*l, options);
  }

  std::vector<AdapterTensor> tensors() const override {
    std::vector<AdapterTensor> all;
    for (const Site& s : sites_) {
      const std::string name = "base_model.model." + s.linear->name;
      all.push_back({name + ".hada_w1_a", s.out.first, true});
      all.push_back({name + ".hada_w1_b", s.in.first});
      all.push_back({name + ".hada_w2_a", s.out.second, true});
      all.push_back({name + ".hada_w2_b", s.in.second});
    }
    all.insert(all.end(), saved_.begin(), saved_.end());
    return all;
  }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    nlohmann::ordered_json j = file_fields(peft_type(), base);
    write_lycoris_fields(config_, j);
    j["init_weights"] = config_.init;
    return j;
  }
  std::vector<std::string> notes() const override { return lycoris_notes(config_, peft_type()); }

  bool mergeable() const override { return true; }
  void set_active(bool active) override {
    Adapter::set_active(active);
    enabled = active;
  }
  void merge(const Slot& slot, std::vector<float>& values) const override {
    for (const Site& s : sites_)
      if (&s.linear->weight == &slot)
        add_low_rank(s.in.products(), s.out.products(), {}, s.in.all->shape[0], s.scale, values);
  }

  void prepare(Forward& f, VirtualParts&) override {
    for (const Site& s : sites_) {
      s.in.form(f.tape.stream());
      s.out.form(f.tape.stream());
    }
  }

  void low_rank(Forward&, const Linear& linear, std::vector<LowRankTerm>& terms) override {
    const Site& s = sites_[by_linear_.at(&linear)];
    terms.push_back({s.in.all, s.out.all, s.scale});
  }

  // Nothing of its own in the loss: gradients that exist once a step.
  double extra_loss(Stream& stream, const StepInfo&) override {
    for (const Site& s : sites_) {
      // The rows of a matrix are one sample; its bounds wait for the device as long as the call lasts.
      Tape bounds(stream, s.in.all->value.dtype(), s.rows, false);
      s.in.collect(stream, bounds.index().segments);
      s.out.collect(stream, bounds.index().segments);
    }
    return 0;
  }

 private:
  struct Site {
    Linear* linear;
    RowProducts in, out;  // B₁, B₂ [r, in]; A₁ᵀ, A₂ᵀ [r, out]
    double scale;
    LayoutPtr rows;  // r of one sample
  };

  void add_site(Linear& l, const AttachOptions& options) {
    const int64_t r = config_.rank_of(l);
    const auto make = [&](const char* which, int64_t rows, int64_t cols, MemoryClass memory) {
      parameters_.push_back(Parameter::make(fmt::format("{}.{}", l.name, which), {rows, cols},
                                            Parameter::Layout::plain, options.compute, memory,
                                            options.device));
      return &parameters_.back();
    };
    const auto factors = [&](const char* first, const char* second, const char* all, int64_t cols) {
      const RowProducts p{make(first, r, cols, MemoryClass::trainable),
                          make(second, r, cols, MemoryClass::trainable),
                          make(all, r * r, cols, MemoryClass::weights)};
      p.all->value.zero();  // until prepare() has been called
      for (Parameter* each : {p.first, p.second, p.all}) each->train(options.compute);
      return p;
    };
    auto rows = std::make_shared<Layout>();
    rows->add_sample(r, 0);
    const Site s{&l, factors("hada_w1_b", "hada_w2_b", "hada_b", l.in()),
                 factors("hada_w1_a", "hada_w2_a", "hada_a", l.out()), config_.scale_of(l), std::move(rows)};
    fill_kaiming(*s.out.first, r, options.seed);
    fill_kaiming(*s.in.first, l.in(), options.seed);
    fill_kaiming(*s.out.second, r, options.seed);
    fill_kaiming(*s.in.second, l.in(), options.seed);
    if (config_.init) s.in.second->value.zero();
    by_linear_[&l] = sites_.size();
    sites_.push_back(s);
    l.adapters.push_back(this);
  }

  LohaConfig config_;
  std::vector<Site> sites_;
  std::unordered_map<const Linear*, size_t> by_linear_;
  std::deque<Parameter> parameters_;
  std::vector<AdapterTensor> saved_;
};

}  // namespace

std::unique_ptr<Adapter> make_loha(const ConfigNode& config, const std::string& section, bool saved) {
  return std::make_unique<Loha>(read_config(config, section, saved));
}

}  // namespace ft
