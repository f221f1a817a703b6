#include "engine/ops/embedding.h"

#include "engine/autograd/tape.h"

namespace ft {
namespace {

using Ids = std::shared_ptr<const std::vector<int32_t>>;

void gather(Tape& tape, const Parameter& table, const Ids& ids, double factor, const Tensor& y,
            bool accumulate) {
  const IndexView index = tape.upload(*ids);
  launch(tape.stream(), y.dtype(), [&]<class T>(auto& s) {
    embedding(s, EmbeddingArgs<T>{.tokens = y.dim(0),
                                  .table = table.packed(),
                                  .ids = index,
                                  .scale = static_cast<Wide<T>>(factor),
                                  .y = y.data<T>(),
                                  .accumulate = accumulate});
  });
}

void scatter(Tape& tape, Parameter& table, const Ids& ids, double factor, const Tensor& dy) {
  const IndexView index = tape.upload(*ids);
  launch(tape.stream(), dy.dtype(), [&]<class T>(auto& s) {
    embedding_grad(s, EmbeddingGradArgs<T>{.tokens = dy.dim(0),
                                           .rows = table.shape[0],
                                           .cols = table.shape[1],
                                           .ids = index,
                                           .dy = dy.data<T>(),
                                           .scale = static_cast<Wide<T>>(factor),
                                           .dtable = table.grad.data<Wide<T>>()});
  });
}

}  // namespace

Var embedding(Tape& tape, Parameter& table, Ids ids, double factor) {
  const auto tokens = static_cast<int64_t>(ids->size());
  const Var y(
      Tensor::empty({tokens, table.shape[1]}, tape.compute(), MemoryClass::activations, table.value.device()),
      tape.wants(&table));
  gather(tape, table, ids, factor, y.value(), false);
  if (y.requires_grad())
    tape.record(y.gradient(), [&tape, &table, ids, factor, dy = y.gradient()] {
      scatter(tape, table, ids, factor, dy.sum());
    });
  return y;
}

Var add_embedding(Tape& tape, const Var& x, Parameter& table, Ids ids) {
  const Var y(x.value().clone(MemoryClass::activations), tape.wants(x, &table));
  gather(tape, table, ids, 1, y.value(), true);
  if (y.requires_grad())
    tape.record(y.gradient(), [&tape, &table, ids, dx = x.gradient(), dy = y.gradient()] {
      if (table.trainable) scatter(tape, table, ids, 1, dy.sum());
      if (dx) dx.add(tape.stream(), dy.sum());
    });
  return y;
}

}  // namespace ft
