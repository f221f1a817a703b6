#include "engine/train/pass_recordings.h"

#include <algorithm>

#include "engine/autograd/tape.h"

namespace ft {
namespace {

// Each keeps the memory of a pass for itself, and rows of all lengths never repeat: few are worth it.
constexpr size_t kShapes = 4;

HeadLoss empty_losses(size_t targets, Device device) {
  const auto count = static_cast<int64_t>(targets);
  return {Tensor::empty({count}, DType::f64, MemoryClass::workspace, device),
          Tensor::empty({count}, DType::i32, MemoryClass::workspace, device)};
}
void copy(const HeadLoss& from, const HeadLoss& to) {
  copy_within(from.loss.device(), to.loss.raw(), from.loss.raw(), from.loss.bytes());
  copy_within(from.best.device(), to.best.raw(), from.best.raw(), from.best.bytes());
}

}  // namespace

/// A shape, and a batch of it whose addresses stay.
struct PassRecordings::Shape {
  Batch batch;
  double gradient_scale;
  bool recompute;
  int64_t times = 0;
  PlacedArrays placed;
  HeadLoss losses;
  std::optional<Recording> recording;

  bool fits(const Batch& b, double scale, bool again) const {
    return scale == gradient_scale && again == recompute && batch.same_shape(b);
  }
};

bool PassRecordings::possible(const Model& model, std::span<Adapter* const> adapters) {
  return !model.facts().dropout && std::all_of(adapters.begin(), adapters.end(), [](const Adapter* a) {
    return a->passes_repeat() && !a->has_dropout();
  });
}

PassRecordings::Shape& PassRecordings::find(Stream& stream, const Batch& b, double gradient_scale,
                                            bool recompute) {
  auto at = std::find_if(shapes_.begin(), shapes_.end(),
                         [&](const auto& s) { return s->fits(b, gradient_scale, recompute); });
  if (at == shapes_.end()) {
    if (shapes_.size() == kShapes) shapes_.pop_back();
    auto s = std::make_shared<Shape>();
    // Arrays of its own: a batch shares some of them.
    s->batch = b;
    s->batch.layout = std::make_shared<Layout>(*b.layout);
    s->batch.ids = std::make_shared<std::vector<int32_t>>(*b.ids);
    s->batch.predicting = std::make_shared<std::vector<int32_t>>(*b.predicting);
    s->gradient_scale = gradient_scale;
    s->recompute = recompute;
    s->placed.keeps = true;
    s->placed.place(s->batch.arrays(), stream.device());
    at = shapes_.insert(shapes_.end(), std::move(s));
  }
  std::rotate(shapes_.begin(), at, at + 1);
  return *shapes_.front();
}

HeadLoss PassRecordings::run(Stream& stream, DType compute, const Batch& b, double gradient_scale,
                             bool recompute, const Pass& pass) {
  Shape& s = find(stream, b, gradient_scale, recompute);
  s.placed.fill(b.arrays());

  const auto queue = [&] {
    s.placed.next = 0;
    Tape tape(stream, compute, s.batch.layout, true, &s.placed);
    return pass(tape, s.batch);
  };
  if (++s.times <= 2) return queue();  // what is made once (tables, scratch, further arrays) is made
  if (s.times == 3) {
    s.losses = empty_losses(b.targets.size(), stream.device());
    s.recording = Recording::of(stream, [&] { copy(queue(), s.losses); });
  }
  if (!s.recording) return queue();
  s.recording->run();
  const HeadLoss losses = empty_losses(b.targets.size(), stream.device());  // the next run writes over s's
  copy(s.losses, losses);
  return losses;
}

}  // namespace ft
