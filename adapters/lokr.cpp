// LoKr (LyCORIS, Yeh et al. 2024, "Navigating Text-To-Image Customization"): h = W x + s · (W₁ ⊗ W₂) x with
// W₁ [l, m] and W₂ [k, n], out = l·k, in = m·n, s = alpha / r. W₂ is a product of rank r where r is below
// half its larger side, W₁ the same with decompose_both. W₁ starts at zero. Field names, how sizes are
// factored, initial distributions and files are PEFT's (0.21).
//
// The product is never formed: x is seen as a matrix [m, n] (engine/ops/pieces.h), and a row costs
// in · k + out · m operations at most, a fraction of W's in · out.
#include <cmath>
#include <deque>
#include <unordered_map>

#include "adapters/lycoris_config.h"
#include "adapters/modules_to_save.h"
#include "adapters/peft_fields.h"
#include "adapters/registry.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/pieces.h"

namespace ft {
namespace {

enum class LokrInit { usual, random, lycoris };

struct LokrConfig : LycorisConfig {
  bool decompose_both = false;
  int64_t decompose_factor = -1;
  bool rank_dropout_scale = false;
  LokrInit init = LokrInit::usual;
};

LokrConfig read_config(const ConfigNode& node, const std::string& section, bool saved) {
  LokrConfig c;
  Fields f(node, section);
  // No matrix is decomposed where r is as large as a side: a number above all of them says so.
  read_lycoris_fields(f, c, int64_t{1} << 30);
  f.get("decompose_both", c.decompose_both);
  f.get("decompose_factor", c.decompose_factor, between(-1, int64_t{1} << 30));
  if (c.decompose_factor == 0) f.fail("decompose_factor", "expected -1 or a number above 0, got 0");
  f.get("rank_dropout_scale", c.rank_dropout_scale);
  if (const ConfigNode* init = f.node("init_weights")) {
    if (init->kind() == ConfigNode::Kind::boolean)
      c.init = init->boolean() ? LokrInit::usual : LokrInit::random;
    else if (init->is_string() && init->string() == "lycoris")
      c.init = LokrInit::lycoris;
    else
      f.fail("init_weights", fmt::format("expected true, false or lycoris, got {}", init->describe()));
  }
  finish_fields(f, saved);
  return c;
}

/// size = first · second, first ≤ second unless `factor` divides size and is the larger one: that factor
/// where it divides, else the divisors nearest to each other with the first at most `factor` (−1: any).
std::pair<int64_t, int64_t> factorised(int64_t size, int64_t factor) {
  if (factor > 0 && size % factor == 0) return {factor, size / factor};
  int64_t first = 1;
  for (int64_t m = 2; m * m <= size && (factor < 0 || m <= factor); ++m)
    if (size % m == 0) first = m;
  return {first, size / first};
}

/// One of the two matrices: whole, or a product of two.
struct KroneckerFactor {
  Parameter *whole = nullptr, *a = nullptr, *b = nullptr;  // [rows, cols]; [rows, r], [r, cols]
  int64_t rows = 0, cols = 0;

  std::vector<Parameter*> parameters() const {
    return whole ? std::vector<Parameter*>{whole} : std::vector<Parameter*>{a, b};
  }
  std::vector<double> values() const {
    if (whole) {
      const std::vector<float> v = to_plain(*whole);
      return {v.begin(), v.end()};
    }
    const std::vector<float> left = to_plain(*a), right = to_plain(*b);
    const int64_t r = a->shape[1];
    std::vector<double> v(static_cast<size_t>(rows * cols));
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < r; ++j)
        for (int64_t c = 0; c < cols; ++c)
          v[i * cols + c] += static_cast<double>(left[i * r + j]) * right[j * cols + c];
    return v;
  }
};

class Lokr : public Adapter, public LinearAdapter {
 public:
  explicit Lokr(LokrConfig config) : config_(std::move(config)) {}

  std::string_view peft_type() const override { return "LOKR"; }

  void attach(Model& model, const AttachOptions& options) override {
    saved_ = save_modules(model, config_.choice.modules_to_save, options, copies_);
    for (Linear* l : find_lycoris_linears(model, config_, options, peft_type())) add_site(*l, options);
  }

  std::vector<AdapterTensor> tensors() const override {
    std::vector<AdapterTensor> all;
    for (const Site& s : sites_)
      for (const KroneckerFactor* k : {&s.w1, &s.w2})
        for (Parameter* p : k->parameters()) all.push_back({"base_model.model." + p->name, p});
    all.insert(all.end(), saved_.begin(), saved_.end());
    return all;
  }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    nlohmann::ordered_json j = file_fields(peft_type(), base);
    write_lycoris_fields(config_, j);
    j["decompose_both"] = config_.decompose_both;
    j["decompose_factor"] = config_.decompose_factor;
    j["rank_dropout_scale"] = config_.rank_dropout_scale;
    j["init_weights"] = config_.init == LokrInit::usual;
    if (config_.init == LokrInit::lycoris) j["init_weights"] = "lycoris";
    return j;
  }
  std::vector<std::string> notes() const override { return lycoris_notes(config_, peft_type()); }

  bool mergeable() const override { return true; }
  bool passes_repeat() const override { return true; }
  void set_active(bool active) override {
    Adapter::set_active(active);
    enabled = active;
  }
  void merge(const Slot& slot, std::vector<float>& values) const override {
    for (const Site& s : sites_) {
      if (&s.linear->weight != &slot) continue;
      const std::vector<double> w1 = s.w1.values(), w2 = s.w2.values();
      const int64_t k = s.w2.rows, n = s.w2.cols, m = s.w1.cols, in = m * n;
      for (size_t i = 0; i < values.size(); ++i) {
        const int64_t row = static_cast<int64_t>(i) / in, col = static_cast<int64_t>(i) % in;
        values[i] =
            static_cast<float>(values[i] + s.scale * w1[row / k * m + col / n] * w2[row % k * n + col % n]);
      }
    }
  }

  // W₁ works where the pieces are shortest: between the two matrices of W₂ where there are two.
  Var after(Forward& f, const Linear& linear, const Var& x, const Var& y) override {
    const Site& s = sites_[by_linear_.at(&linear)];
    Tape& tape = f.tape;
    Parameter& down = s.w2.whole ? *s.w2.whole : *s.w2.b;
    Var h = swap_axes(tape, linear_of_pieces(tape, x, down), s.w1.cols);
    if (!s.w1.whole) h = linear_of_pieces(tape, h, *s.w1.b);
    h = linear_of_pieces(tape, h, s.w1.whole ? *s.w1.whole : *s.w1.a);
    h = swap_axes(tape, scale(tape, h, s.scale), down.shape[0]);
    if (!s.w2.whole) h = linear_of_pieces(tape, h, *s.w2.a);
    return add(tape, y, h);
  }

 private:
  struct Site {
    Linear* linear;
    KroneckerFactor w1, w2;
    double scale;
  };

  KroneckerFactor make(const std::string& name, int64_t rows, int64_t cols, int64_t rank, bool decomposed,
                       const AttachOptions& options) {
    const auto matrix = [&](const std::string& which, int64_t out, int64_t in) {
      parameters_.push_back(Parameter::make(which, {out, in}, Parameter::Layout::packed, options.compute,
                                            MemoryClass::trainable, options.device));
      parameters_.back().train(options.compute);
      fill_kaiming(parameters_.back(), in, options.seed);
      return &parameters_.back();
    };
    KroneckerFactor k{.rows = rows, .cols = cols};
    if (decomposed) {
      k.a = matrix(name + "_a", rows, rank);
      k.b = matrix(name + "_b", rank, cols);
    } else {
      k.whole = matrix(name, rows, cols);
    }
    return k;
  }

  void add_site(Linear& l, const AttachOptions& options) {
    const int64_t rank = config_.rank_of(l);
    const auto [m, n] = factorised(l.in(), config_.decompose_factor);
    const auto [out_l, k] = factorised(l.out(), config_.decompose_factor);
    const auto below_half = [&](int64_t a, int64_t b) { return 2 * rank < std::max(a, b); };
    const Site s{
        &l,
        make(l.name + ".lokr_w1", out_l, m, rank, config_.decompose_both && below_half(out_l, m), options),
        make(l.name + ".lokr_w2", k, n, rank, below_half(k, n), options), config_.scale_of(l)};
    if (config_.init == LokrInit::usual) (s.w1.whole ? s.w1.whole : s.w1.a)->value.zero();
    if (config_.init == LokrInit::lycoris) (s.w2.whole ? s.w2.whole : s.w2.b)->value.zero();
    by_linear_[&l] = sites_.size();
    sites_.push_back(s);
    l.adapters.push_back(this);
  }

  LokrConfig config_;
  std::vector<Site> sites_;
  std::unordered_map<const Linear*, size_t> by_linear_;
  std::deque<Parameter> parameters_;
  std::vector<AdapterTensor> saved_;
};

}  // namespace

std::unique_ptr<Adapter> make_lokr(const ConfigNode& config, const std::string& section, bool saved) {
  return std::make_unique<Lokr>(read_config(config, section, saved));
}

}  // namespace ft
