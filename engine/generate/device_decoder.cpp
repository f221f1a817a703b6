#include "engine/generate/device_decoder.h"

#include <algorithm>
#include <type_traits>

#include "engine/core/device_read_back.h"
#include "engine/generate/sampler.h"
#include "engine/ops/head.h"

namespace ft {

/// What the kernel of the choice reads of each row.
struct DeviceDecoder::Rows {
  std::vector<int32_t> slot, length, key;  // [rows], [rows], [rows · 2]

  void assign(std::span<const TextRow> rows) {
    slot.clear();
    length.clear();
    key.clear();
    for (const TextRow& r : rows) {
      slot.push_back(r.slot);
      length.push_back(r.length);
      key.push_back(static_cast<int32_t>(r.key));
      key.push_back(static_cast<int32_t>(r.key >> 32));
    }
  }
};

/// The step for a number of rows: its arrays, whose addresses stay, on the host and in one block of the
/// device.
struct DeviceDecoder::Fixed {
  std::shared_ptr<Layout> layout = std::make_shared<Layout>();
  std::shared_ptr<std::vector<int32_t>> ids = std::make_shared<std::vector<int32_t>>();
  CachePlaces places;
  Rows rows;
  Tensor chosen;
  PlacedArrays placed;
  std::optional<Recording> recording;
  bool ran = false;

  /// What kernels read; `end` in the place of places.end, of which the host keeps the most of any step.
  std::vector<const std::vector<int32_t>*> arrays(const std::vector<int32_t>& end) const {
    return {&layout->bounds, &layout->row, &layout->position, ids.get(), &places.begin, &end,
            &places.to,      &rows.slot,   &rows.length,      &rows.key};
  }
};

DeviceDecoder::DeviceDecoder(Model& model, Stream& stream, DType compute, const GenerationOptions& options,
                             int64_t slots, int64_t longest)
    : model_(model), stream_(stream), compute_(compute), rule_(sampling_rule(options)) {
  if (rule_.penalty != 1)
    history_ = Tensor::empty({slots, longest}, DType::i32, MemoryClass::activations, stream.device());
}

DeviceDecoder::~DeviceDecoder() = default;

void DeviceDecoder::open(int32_t slot, std::span<const int32_t> ids) {
  if (!history_.defined()) return;
  const Tensor row = history_.rows(slot, slot + 1);
  copy_from_host(stream_.device(), row.raw(), ids.data(), std::min<size_t>(ids.size_bytes(), row.bytes()));
}

void DeviceDecoder::queue_choice(Forward& forward, const Tensor& hidden, const Rows& rows,
                                 const Tensor& chosen) {
  Tape& tape = forward.tape;
  const LinearWeights head = model_.head().weights(forward);
  const IndexView length = tape.upload(rows.length), slot = tape.upload(rows.slot),
                  key = tape.upload(rows.key);
  const int64_t most = head_chunk(stream_.device());
  for (int64_t begin = 0; begin < hidden.dim(0); begin += most) {
    const int64_t end = std::min(begin + most, hidden.dim(0));
    const Tensor logits = head_logits(tape, hidden.rows(begin, end), head, {});
    launch(stream_, logits.dtype(), [&]<class T>(auto& s) {
      if constexpr (std::is_same_v<decltype(s), CudaStream&>)
        next_token(s, NextTokenArgs<T>{.rows = end - begin,
                                       .vocab = logits.dim(1),
                                       .logits = logits.data<T>(),
                                       .rule = rule_,
                                       .length = length.from(begin),
                                       .key = key.from(2 * begin),
                                       .history = history_.defined() ? history_.data<int32_t>() : nullptr,
                                       .ld_history = history_.defined() ? history_.dim(1) : 0,
                                       .slot = slot.from(begin),
                                       .chosen = chosen.data<int32_t>() + begin});
    });
  }
}

std::vector<int32_t> DeviceDecoder::fetch(const Tensor& chosen) const {
  std::vector<int32_t> ids(static_cast<size_t>(chosen.numel()));
  const HostCopy copy{ids.data(), chosen.raw(), chosen.bytes()};
  read_back(chosen.device(), {&copy, 1});
  for (const int32_t id : ids) {
    if (id == INT32_MIN) fail("the model's output has no finite logit; its weights are broken");
    if (id < 0) fail("the model's output is not finite (token {}); its weights are broken", ~id);
  }
  return ids;
}

std::vector<int32_t> DeviceDecoder::choose(Forward& forward, const Tensor& hidden,
                                           std::span<const TextRow> rows) {
  Rows of;
  of.assign(rows);
  const Tensor chosen = Tensor::empty({hidden.dim(0)}, DType::i32, MemoryClass::workspace, stream_.device());
  queue_choice(forward, hidden, of, chosen);
  return fetch(chosen);
}

DeviceDecoder::Fixed& DeviceDecoder::fixed(int64_t rows) {
  std::unique_ptr<Fixed>& f = fixed_[rows];
  if (f) return *f;
  f = std::make_unique<Fixed>();
  const auto n = static_cast<size_t>(rows);
  for (int64_t r = 0; r < rows; ++r) f->layout->add_sample(1, 0);
  for (std::vector<int32_t>* a : {f->ids.get(), &f->places.begin, &f->places.end, &f->places.to})
    a->resize(n);
  f->rows.assign(std::vector<TextRow>(n));
  f->placed.place(f->arrays(f->places.end), stream_.device());
  f->chosen = Tensor::empty({rows}, DType::i32, MemoryClass::activations, stream_.device());
  return *f;
}

void DeviceDecoder::queue_step(KvCache& cache, Fixed& f) {
  Tape tape(stream_, compute_, f.layout, false, &f.placed);
  Forward forward{.tape = tape, .cache = &cache, .places = &f.places};
  const Var hidden = model_.hidden(forward, f.ids);
  queue_choice(forward, hidden.value(), f.rows, f.chosen);
}

std::vector<int32_t> DeviceDecoder::step(KvCache& cache, std::span<const TextRow> rows) {
  Fixed& f = fixed(static_cast<int64_t>(rows.size()));
  std::vector<int32_t> end;
  for (size_t r = 0; r < rows.size(); ++r) {
    const int32_t length = cache.length[static_cast<size_t>(rows[r].slot)]++,
                  begin = static_cast<int32_t>(rows[r].slot * cache.capacity);
    f.layout->row[r] = rows[r].slot;
    f.layout->position[r] = length;
    (*f.ids)[r] = rows[r].last;
    f.places.begin[r] = begin;
    f.places.to[r] = begin + length;
    f.places.end[r] = static_cast<int32_t>(begin + cache.capacity);  // of any step
    end.push_back(begin + length + 1);
  }
  f.rows.assign(rows);
  f.placed.fill(f.arrays(end));

  const auto queue = [&] { queue_step(cache, f); };
  // The first time for this number of rows they run one by one: what is made once (tables, scratch) is made.
  if (f.ran && records_ && !f.recording) {
    f.recording = Recording::of(stream_, queue);
    records_ = f.recording.has_value();
  }
  f.ran = true;
  if (f.recording)
    f.recording->run();
  else
    queue();
  return fetch(f.chosen);
}

void DeviceDecoder::forget() {
  fixed_.clear();
}

}  // namespace ft
