// One pass of some rows through model and loss. The rows of an optimizer step are taken in passes of about
// kPassTokens tokens, whatever the micro-batch size says: gradients are summed row by row in order, so the
// bits are those of any other grouping, and a pass of this size keeps activations small and products large.
// A GPU wants larger ones: there a micro-batch, of which the user says that it fits, is one pass.
#pragma once

#include <span>
#include <vector>

#include "engine/core/device_read_back.h"
#include "engine/data/dataset.h"
#include "engine/nn/adapter_step.h"
#include "engine/ops/head.h"
#include "engine/train/pass_recordings.h"

namespace ft {

constexpr int64_t kPassTokens = 256;
constexpr int64_t kMicroBatchTokens = 8192;  // on a GPU; more would gain nothing

struct PassSettings {
  DType compute = DType::f32;
  bool training = false;   // dropout, gradients
  bool recompute = false;  // training.gradient_checkpointing
  uint64_t dropout_key = 0;
  double gradient_scale = 1;              // 1 / targets of the optimizer step, times the loss scale
  const AdapterStep* adapters = nullptr;  // what the adapters made for this step
  PassRecordings* recordings = nullptr;   // on a device: of passes whose shape repeats
  int64_t pass_tokens = kPassTokens;
  int64_t micro_batch = 1;  // rows that a GPU takes in one pass, up to kMicroBatchTokens
};

struct LossSum {
  double loss = 0;  // Σ of token losses, one after the other in row order
  int64_t targets = 0, correct = 0, tokens = 0;
  double mean() const { return targets ? loss / static_cast<double>(targets) : 0; }
};

/// Does any row have a target that is its first token? (Its prediction stands at the end of a prompt, which
/// then leads each sample.)
bool any_first_target(std::span<const DataRow* const> rows);

/// The losses of passes that are queued on a stream.
class QueuedLosses {
 public:
  void add(HeadLoss losses, std::vector<int32_t> targets, int64_t tokens);
  /// What read_back() must fetch before count(); good until the next add().
  std::vector<HostCopy> copies();
  void count(LossSum& sum) const;

 private:
  struct Pass {
    HeadLoss losses;
    std::vector<int32_t> targets, best;
    std::vector<double> loss;
    int64_t tokens;
  };
  std::vector<Pass> passes_;
};

/// Queues the rows, in order, in as many passes as it takes; when training, adds to the gradients. On a
/// device it waits for nothing.
void queue_rows(Model& model, Stream& stream, std::span<const DataRow* const> rows,
                const PassSettings& settings, QueuedLosses& losses);

/// The same, waiting for the losses, which are added to `sum`.
void run_rows(Model& model, Stream& stream, std::span<const DataRow* const> rows,
              const PassSettings& settings, LossSum& sum);

}  // namespace ft
