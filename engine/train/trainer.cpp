#include "engine/train/trainer.h"

#include <chrono>
#include <cmath>
#include <ctime>

#include "engine/core/memory.h"
#include "engine/core/rng.h"
#include "engine/train/checkpoint.h"
#include "engine/train/device_watch.h"
#include "engine/train/gradient_watch.h"
#include "engine/train/metrics.h"
#include "engine/train/optimizer.h"
#include "engine/train/pass.h"
#include "engine/train/plan.h"
#include "engine/train/progress.h"
#include "engine/train/schedule.h"
#include "engine/train/tensorboard.h"

namespace ft {
namespace {

constexpr int64_t kSkippedSteps = 5;  // non-finite ones in a row that end a run

double seconds_since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

class Trainer {
 public:
  Trainer(TrainJob& job, Stream& stream, DType compute)
      : job_(job),
        t_(job.experiment.training),
        stream_(stream),
        compute_(compute),
        plan_(job.train.rows, t_, job.experiment.data.shuffle, job.experiment.data.group_by_length),
        optimizer_(t_, job.trainables, job.adapters),
        gradients_(t_, plan_.total_steps()),
        identity_{job.resolved, job.base_fingerprint, data_fingerprint(job.train), instruction_set()},
        progress_(plan_.total_steps()),
        watch_(stream.device()) {
    if (stream.device().kind == DeviceKind::cuda && PassRecordings::possible(job.model, job.adapters))
      recordings_.emplace();
    if (compute == DType::f16) state_.loss_scale.factor = LossScale::kInitial;
  }

  ~Trainer() { progress_.finish(); }  // an error's line stands below the progress bar, not behind it

  TrainResult run() {
    if (!job_.resume_from.empty()) resume();
    MetricsFile metrics(t_.output_dir / "metrics.jsonl", state_.metrics_bytes);
    metrics_ = &metrics;
    EventFile events(t_.output_dir, state_.step + 1);
    events_ = &events;
    const int64_t total = plan_.total_steps();
    const auto start = std::chrono::steady_clock::now();
    while (state_.step < total && !stopped_early_) {
      if (job_.interrupted && job_.interrupted->load()) return interrupt(start);
      if (!step()) continue;
      const int64_t done = state_.step;
      const bool last = done == total;
      const bool epoch_ends = plan_.ends_epoch(done - 1) || last;
      if (wants(t_.eval_strategy == EvalStrategy::steps, t_.eval_strategy == EvalStrategy::epoch,
                t_.eval_steps, done, epoch_ends))
        evaluate_all();
      const bool save = wants(t_.save_strategy == SaveStrategy::steps,
                              t_.save_strategy == SaveStrategy::epoch, t_.save_steps, done, epoch_ends) ||
                        (last && t_.save_strategy != SaveStrategy::no);
      if (save) checkpoint();
    }
    if (stopped_early_ && result_.checkpoint != checkpoint_path(t_.output_dir, state_.step)) checkpoint();
    if (t_.load_best_model_at_end && state_.best && state_.best_step != state_.step) {
      job_.weights.load(checkpoint_path(t_.output_dir, state_.best_step));
      result_.last_eval_step = -1;
      progress_.note(fmt::format("loaded the best checkpoint: step {}, {} {:.4f}", state_.best_step,
                                 t_.metric_for_best_model, *state_.best));
    }
    return finish(start);
  }

 private:
  static bool wants(bool by_steps, bool by_epoch, const std::optional<int64_t>& every, int64_t done,
                    bool epoch_ends) {
    return (by_steps && every && done % *every == 0) || (by_epoch && epoch_ends);
  }

  void resume() {
    const auto warnings =
        load_checkpoint(job_.resume_from, state_, optimizer_, job_.weights, identity_, job_.resume_anyway);
    progress_.note(fmt::format("resumed from {} at step {}", job_.resume_from.string(), state_.step));
    for (const std::string& w : warnings) progress_.note("warning: " + w);
    if (const int64_t n = forget_checkpoints_behind(t_.output_dir, state_.step))
      progress_.note(fmt::format("removed {} checkpoints behind that step: the run goes on from here", n));
    result_.checkpoint = job_.resume_from;
    stopped_early_ = out_of_patience();  // it was, when the checkpoint was written
  }

  // One optimizer step. False if an interrupt came before it was complete: then nothing has changed.
  bool step() {
    const auto start = std::chrono::steady_clock::now();
    const std::vector<const DataRow*> rows = plan_.rows(state_.step);
    const bool prompted = has_prompt(job_.adapters);
    int64_t targets = 0;
    for (const DataRow* r : rows) targets += r->targets(prompted);
    StepInfo info{
        .training = true,
        .dropout_key = dropout_key(static_cast<uint64_t>(t_.seed), static_cast<uint64_t>(state_.step)),
        .step = state_.step,
        .total_steps = plan_.total_steps(),
        .loss_scale = state_.loss_scale.factor};
    AdapterStep adapters(job_.model, job_.adapters, stream_, compute_, info,
                         shares_prompt(job_.model, job_.adapters, true, any_first_target(rows)));
    QueuedLosses losses;
    queue_rows(job_.model, stream_, rows,
               {.compute = compute_,
                .training = true,
                .recompute = t_.gradient_checkpointing,
                .dropout_key = info.dropout_key,
                .gradient_scale = info.loss_scale / static_cast<double>(targets),
                .adapters = &adapters,
                .recordings = recordings_ ? &*recordings_ : nullptr,
                .micro_batch = t_.per_device_train_batch_size},
               losses);
    const double extra = adapters.finish();
    if (job_.interrupted && job_.interrupted->load()) {
      optimizer_.clear_gradients(stream_);
      return false;
    }
    const double norm =
        optimizer_.gradient_norm(stream_, losses.copies()) / info.loss_scale;  // the step's one wait
    LossSum sum;
    losses.count(sum);
    const double loss = sum.mean() + extra;
    const double rate = job_.learning_rate * schedule_factor(t_.lr_scheduler_type, state_.step,
                                                             t_.warmup(plan_.total_steps()),
                                                             plan_.total_steps(), job_.learning_rate);
    if (update(loss, norm, rate, info.gradient_scale))
      for (Adapter* a : job_.adapters)
        if (a->active()) a->after_update(stream_, info);
    optimizer_.clear_gradients(stream_);
    ++state_.step;
    state_.tokens += sum.tokens;
    state_.targets += targets;
    if (std::isfinite(loss)) {
      state_.log_loss += loss;
      ++state_.log_steps;
    }
    const double seconds = seconds_since(start);
    log(norm, rate, static_cast<double>(sum.tokens) / seconds, loss);
    run_tokens_ += sum.tokens;
    run_seconds_ += seconds;
    return true;
  }

  // False for a step that is skipped. `gradient_scale` tells what the gradients were multiplied with.
  bool update(double loss, double norm, double rate, double& gradient_scale) {
    if (std::isfinite(loss) && std::isfinite(norm)) {
      state_.skipped_in_a_row = 0;
      gradients_.see(optimizer_, state_.step, rate);
      const double clip = t_.max_grad_norm > 0 ? std::min(1.0, t_.max_grad_norm / (norm + 1e-6)) : 1.0;
      gradient_scale = clip / state_.loss_scale.factor;
      optimizer_.step(stream_, rate, gradient_scale);
      if (scales_loss() && state_.loss_scale.grow())
        progress_.note(
            fmt::format("step {}: the loss scale grows to {}", state_.step + 1, state_.loss_scale.factor));
      return true;
    }
    const Parameter* bad = optimizer_.non_finite();
    const std::string what =
        bad ? fmt::format("the gradient of {}", bad->name) : fmt::format("the loss ({})", loss);
    ++state_.skipped;
    const bool smaller = scales_loss() && state_.loss_scale.back_off();
    progress_.note(
        fmt::format("warning: step {} skipped: {} is not finite{}", state_.step + 1, what,
                    smaller ? fmt::format("; the loss scale falls to {}", state_.loss_scale.factor) : ""));
    // A smaller scale helps against gradients that are too large, not against a loss.
    if (smaller && std::isfinite(loss)) return false;
    if (++state_.skipped_in_a_row >= kSkippedSteps)
      fail(
          "{} steps in a row were not finite, last {}; lower training.learning_rate; the last good "
          "checkpoint is {}",
          kSkippedSteps, what, result_.checkpoint.empty() ? "none" : result_.checkpoint.string());
    return false;
  }

  bool scales_loss() const { return compute_ == DType::f16; }

  void log(double norm, double rate, double tokens_per_second, double loss) {
    const int64_t every = t_.logging_interval(plan_.total_steps());
    const bool due = state_.step % every == 0 || state_.step == plan_.total_steps() ||
                     (t_.logging_first_step && state_.step == 1);
    watch_.look(due);
    progress_.update({.step = state_.step,
                      .loss = loss,
                      .tokens_per_second = tokens_per_second,
                      .logged = due,
                      .device = watch_.text()});
    if (!due) return;
    const double mean_loss = state_.log_loss / static_cast<double>(state_.log_steps);
    nlohmann::ordered_json row = {{"step", state_.step},
                                  {"epoch", plan_.epoch_after(state_.step)},
                                  {"loss", mean_loss},
                                  {"grad_norm", norm},
                                  {"learning_rate", rate},
                                  {"tokens", {{"input", state_.tokens}, {"target", state_.targets}}},
                                  {"tokens_per_second", tokens_per_second},
                                  {"skipped_steps", state_.skipped},
                                  {"peak_memory_bytes", peak_resident_bytes()}};
    std::vector<Scalar> scalars = {{"train/loss", mean_loss},
                                   {"train/grad_norm", norm},
                                   {"train/learning_rate", rate},
                                   {"train/tokens_per_second", tokens_per_second}};
    if (scales_loss()) {
      row["loss_scale"] = state_.loss_scale.factor;
      scalars.push_back({"train/loss_scale", state_.loss_scale.factor});
    }
    watch_.add_to(row, scalars);
    row["time"] = static_cast<int64_t>(std::time(nullptr));
    metrics_->write(row);
    events_->write(state_.step, scalars);
    state_.log_loss = 0;
    state_.log_steps = 0;
  }

  void evaluate_all() {
    if (job_.eval.empty()) return;
    nlohmann::ordered_json row = {{"step", state_.step}, {"epoch", plan_.epoch_after(state_.step)}};
    std::string text;
    std::vector<Scalar> scalars;
    result_.last_eval.clear();
    result_.last_eval_step = state_.step;
    for (const EvalSet& set : job_.eval) {
      const double loss =
          evaluate(job_.model, job_.adapters, stream_, compute_, *set.data, t_.per_device_eval_batch_size);
      row[set.metric] = loss;
      text += fmt::format("  {} {:.4f}", set.metric, loss);
      result_.last_eval.emplace_back(set.metric, loss);
      scalars.push_back({"eval/" + set.metric.substr(set.metric.starts_with("eval_") ? 5 : 0), loss});
      if (set.metric == t_.metric_for_best_model) judge(loss);
      if (!set.data->corpus) continue;
      const std::string perplexity = set.metric.substr(0, set.metric.size() - 4) + "perplexity";  // for loss
      row[perplexity] = std::exp(loss);
      text += fmt::format("  {} {:.2f}", perplexity, std::exp(loss));
      result_.last_eval.emplace_back(perplexity, std::exp(loss));
    }
    row["time"] = static_cast<int64_t>(std::time(nullptr));
    metrics_->write(row);
    events_->write(state_.step, scalars);
    progress_.note(fmt::format("evaluation after step {}:{}", state_.step, text));
  }

  void judge(double value) {
    const bool greater = t_.greater_is_better.value_or(false);
    const double gain = !state_.best ? INFINITY : greater ? value - *state_.best : *state_.best - value;
    if (gain > 0) {
      state_.best = value;
      state_.best_step = state_.step;
    }
    state_.evals_without_gain = gain > t_.early_stopping_threshold ? 0 : state_.evals_without_gain + 1;
    if (out_of_patience()) {
      stopped_early_ = true;
      progress_.note(fmt::format("stopped early: {} has not improved for {} evaluations",
                                 t_.metric_for_best_model, state_.evals_without_gain));
    }
  }

  bool out_of_patience() const {
    return t_.early_stopping_patience && state_.evals_without_gain >= *t_.early_stopping_patience;
  }

  void checkpoint() {
    metrics_->sync();
    state_.metrics_bytes = metrics_->bytes();
    for (Adapter* a : job_.adapters) a->settle(stream_);
    const std::filesystem::path folder = checkpoint_path(t_.output_dir, state_.step);
    save_checkpoint(folder, state_, optimizer_, job_.weights, identity_);
    result_.checkpoint = folder;
    if (t_.save_total_limit)
      prune_checkpoints(t_.output_dir, *t_.save_total_limit, state_.step,
                        state_.best ? state_.best_step : state_.step);
  }

  TrainResult interrupt(std::chrono::steady_clock::time_point start) {
    progress_.finish();
    if (result_.checkpoint != checkpoint_path(t_.output_dir, state_.step)) checkpoint();
    result_.interrupted = true;
    return finish(start);
  }

  TrainResult finish(std::chrono::steady_clock::time_point start) {
    progress_.finish();
    result_.steps = state_.step;
    result_.seconds = seconds_since(start);
    result_.tokens_per_second = run_seconds_ > 0 ? static_cast<double>(run_tokens_) / run_seconds_ : 0;
    return result_;
  }

  TrainJob& job_;
  const TrainingSection& t_;
  Stream& stream_;
  DType compute_;
  std::optional<PassRecordings> recordings_;
  StepPlan plan_;
  OptimizerState optimizer_;
  GradientWatch gradients_;
  RunIdentity identity_;
  Progress progress_;
  DeviceWatch watch_;
  TrainerState state_;
  TrainResult result_;
  MetricsFile* metrics_ = nullptr;
  EventFile* events_ = nullptr;
  bool stopped_early_ = false;
  int64_t run_tokens_ = 0;
  double run_seconds_ = 0;
};

}  // namespace

double evaluate(Model& model, std::span<Adapter* const> adapters, Stream& stream, DType compute,
                const Dataset& data, int64_t batch) {
  std::vector<const DataRow*> rows;
  for (const DataRow& r : data.rows) rows.push_back(&r);
  const AdapterStep step(model, adapters, stream, compute, {},
                         shares_prompt(model, adapters, false, any_first_target(rows)));
  LossSum sum;
  run_rows(model, stream, rows, {.compute = compute, .adapters = &step, .micro_batch = batch}, sum);
  return sum.mean();
}

TrainResult train(TrainJob& job, Stream& stream, DType compute) {
  return Trainer(job, stream, compute).run();
}

}  // namespace ft
