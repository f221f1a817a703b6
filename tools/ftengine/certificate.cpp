#include "tools/ftengine/certificate.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/io/text_file.h"
#include "engine/train/checkpoint.h"
#include "tools/ftengine/certificate_subject.h"
#include "tools/ftengine/version.h"

namespace ft {
namespace {

using nlohmann::ordered_json;

// In double the extrapolated difference is good to some 1e-8 of a tensor's gradient (its own error is h⁴ of
// a smooth loss, then rounding); what is left is a hundred times that. A float32 backward sums products of
// eight decimal digits over layers: over the fixtures it is off by at most 1.2e-5 of a tensor's gradient, and
// may be off by ten times that. A factor of 1.01 in one op of a layer is seen in both. Folding rounds each
// weight to float32 once.
constexpr double kDouble = 1e-6, kFloat = 1.2e-4, kMerged = 1e-5;

struct Tensors {
  std::vector<Derivative> differences;
  std::vector<Projection> in_double, in_run;
};

std::string first_wrong(const Tensors& t, const std::vector<Projection>& backward, double limit,
                        const std::string& what) {
  for (size_t i = 0; i < t.differences.size(); ++i)
    if (const double error = relative_error(t.differences[i], backward[i]);
        !agree(t.differences[i], backward[i], limit))
      return fmt::format(
          "the gradient of {} is wrong: {} says {:.6g} along a random direction, finite differences "
          "say {:.6g} (off by {:.2g}, allowed is {:.0e})",
          t.differences[i].name, what, backward[i].value, t.differences[i].value, error, limit);
  return "";
}

double worst(const Tensors& t, const std::vector<Projection>& backward) {
  double all = 0;
  for (size_t i = 0; i < t.differences.size(); ++i)
    all = std::max(all, relative_error(t.differences[i], backward[i]));
  return all;
}

ordered_json tensor_rows(const Tensors& t) {
  ordered_json rows = ordered_json::array();
  for (size_t i = 0; i < t.differences.size(); ++i) {
    const Derivative& d = t.differences[i];
    const auto dims = d.shape.dims();
    rows.push_back({{"name", d.name},
                    {"shape", std::vector<int64_t>(dims.begin(), dims.end())},
                    {"finite_difference", d.value},
                    {"step", d.step},
                    {"two_steps_differ_by", d.spread},
                    {"rounding", d.floor},
                    {"backward_float64", t.in_double[i].value},
                    {"error_float64", relative_error(d, t.in_double[i])},
                    {"backward_run", t.in_run[i].value},
                    {"error_run", relative_error(d, t.in_run[i])}});
  }
  return rows;
}

void check_supported(const Experiment& e) {
  if (e.adapters.empty())
    bad_input("{}: no adapter; write adapter: {{peft_type: LORA}} or another method", e.yaml.string());
  if (e.model.task_type != TaskType::causal_lm)
    bad_input("{}: model.task_type: {} is not supported; use CAUSAL_LM", e.yaml.string(),
              name_of(e.model.task_type));
}

}  // namespace

void certify_gradients(const CertificateOptions& options) {
  const Experiment e = load_experiment(options.yaml, options.overrides);
  check_supported(e);
  Tensors t;
  std::vector<DataRow> rows;
  ordered_json certificate = {{"ftengine", version_number()},
                              {"commit", commit()},
                              {"experiment", e.yaml.string()},
                              {"model", e.model.path.string()}};
  double loss = 0, run_loss = 0, merged_loss = 0, unmerged_loss = 0;
  bool merges = false;
  {
    Session session("cpu", options.threads);
    CertificateSubject subject(e, session, DType::f64);
    rows = certificate_rows(e, subject.model().facts());
    GradientSubject s = subject.on(rows);
    fmt::print(stderr, "gradients  {} tensors on {} rows, float64 on {}\n", s.trainables.size(), rows.size(),
               session.describe());
    loss = loss_of(s);
    t.in_double = backward_projections(s);
    t.differences = central_differences(s, t.in_double, [&](size_t done) {
      if (done % 50 == 0) fmt::print(stderr, "           {} of {} tensors\n", done, s.trainables.size());
    });
    certificate["base_fingerprint"] = subject.fingerprint();
    int64_t tokens = 0;
    for (const DataRow& row : rows) tokens += static_cast<int64_t>(row.ids.size());
    certificate["rows"] = rows.size();
    certificate["tokens"] = tokens;
    merges = subject.adapters().mergeable() && !subject.adapters().full();
    if (merges) {
      const auto plain_loss = [&] {
        LossSum sum;  // without dropout
        run_rows(subject.model(), session.stream(), s.rows, {.compute = DType::f64}, sum);
        return sum.mean();
      };
      unmerged_loss = plain_loss();
      subject.merge();
      merged_loss = plain_loss();
    }
  }
  Session session(e.device, options.threads);
  {
    CertificateSubject subject(e, session, DType::f32);
    GradientSubject s = subject.on(rows);
    fmt::print(stderr, "           float32 on {}\n", session.describe());
    run_loss = loss_of(s);
    t.in_run = backward_projections(s);
  }

  std::string wrong = first_wrong(t, t.in_double, kDouble, "the backward in float64");
  if (wrong.empty()) wrong = first_wrong(t, t.in_run, kFloat, fmt::format("the backward on {}", e.device));
  const auto differ = [](double a, double b) { return std::abs(a - b) / std::max(std::abs(a), std::abs(b)); };
  if (wrong.empty() && !(differ(loss, run_loss) <= kFloat))
    wrong = fmt::format("the loss on {} is {}, in float64 it is {}", e.device, run_loss, loss);
  if (wrong.empty() && merges && !(differ(unmerged_loss, merged_loss) <= kMerged))
    wrong = fmt::format("the loss with the adapter is {}, with it folded into the weights {}", unmerged_loss,
                        merged_loss);

  certificate["device"] = session.describe();
  certificate["instruction_set"] = instruction_set();
  certificate["loss_float64"] = loss;
  certificate["loss_run"] = run_loss;
  if (merges) certificate["composition"] = {{"loss_adapter", unmerged_loss}, {"loss_folded", merged_loss}};
  certificate["allowed"] = {{"float64", kDouble}, {"run", kFloat}, {"composition", kMerged}};
  certificate["worst"] = {{"float64", worst(t, t.in_double)}, {"run", worst(t, t.in_run)}};
  certificate["verdict"] = wrong.empty() ? "right" : wrong;
  certificate["tensors"] = tensor_rows(t);
  std::filesystem::path out = options.out;
  if (out.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(e.training.output_dir, ignored);
    out = e.training.output_dir / "certificate.json";
  }
  write_text_file(out, certificate.dump(2) + "\n");
  if (!wrong.empty()) fail("{}; see {}", wrong, out.string());
  fmt::print("gradients  right: {} tensors, worst error {:.0e} in float64, {:.0e} on {}\n",
             t.differences.size(), worst(t, t.in_double), worst(t, t.in_run), session.describe());
  fmt::print("written    {}\n", out.string());
}

}  // namespace ft
