// Generation's part on a CUDA device: tokens are chosen there, and the pass that generation repeats (one new
// token for every row alive) is recorded once for each number of rows and then queued as a whole.
//
// A step moves a few numbers a row: ids, positions and places of the cache go up in one copy, the chosen ids
// come back in another, which is its one wait. All that changes from step to step stands in arrays of the
// device, so running the recording gives the bits of queueing its kernels one by one. Where a model or
// adapter does something that cannot be recorded, every step queues them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/core/stream_recording.h"
#include "engine/generate/options.h"
#include "engine/nn/model.h"
#include "engine/ops/sampling.h"

namespace ft {

/// A row whose next token is wanted.
struct TextRow {
  int32_t slot = 0;    // of the cache
  int32_t last = 0;    // its last id
  int32_t length = 0;  // tokens so far
  uint64_t key = 0;    // random_key()
};

class DeviceDecoder {
 public:
  /// For rows of fewer than `longest` tokens in `slots` slots.
  DeviceDecoder(Model& model, Stream& stream, DType compute, const GenerationOptions& options, int64_t slots,
                int64_t longest);
  ~DeviceDecoder();

  /// A new row's text.
  void open(int32_t slot, std::span<const int32_t> ids);
  /// The next token of each row, from the hidden states [rows, C] of its last one.
  std::vector<int32_t> choose(Forward& forward, const Tensor& hidden, std::span<const TextRow> rows);
  /// Shows the model the last token of each row, the only one that it has not seen, and chooses the next.
  std::vector<int32_t> step(KvCache& cache, std::span<const TextRow> rows);
  /// The cache's tensors are others now.
  void forget();

 private:
  struct Rows;
  struct Fixed;
  Fixed& fixed(int64_t rows);
  void queue_choice(Forward& forward, const Tensor& hidden, const Rows& rows, const Tensor& chosen);
  void queue_step(KvCache& cache, Fixed& f);
  std::vector<int32_t> fetch(const Tensor& chosen) const;

  Model& model_;
  Stream& stream_;
  DType compute_;
  SamplingRule rule_;
  Tensor history_;  // int32 [slots, longest], where a repetition penalty reads it
  std::map<int64_t, std::unique_ptr<Fixed>> fixed_;  // by the number of rows
  bool records_ = true;
};

}  // namespace ft
