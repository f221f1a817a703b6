#include "engine/nn/sites.h"

#include <algorithm>

#include "engine/ops/rows.h"

namespace ft {
namespace {

template <class A>
bool holds(const std::vector<const A*>& set, const A* adapter) {
  return std::find(set.begin(), set.end(), adapter) != set.end();
}

void put_rows(Tape& tape, const Tensor& from, const Tensor& to) {
  launch(tape.stream(), from.dtype(), [&]<class T>(auto& s) {
    copy_rows(s, CopyRowsArgs<T>{.count = from.dim(0),
                                 .cols = from.dim(1),
                                 .x = from.data<T>(),
                                 .ldx = from.dim(1),
                                 .y = to.data<T>(),
                                 .ldy = to.dim(1),
                                 .from = {},
                                 .to = {}});
  });
}

/// x with the rows of each group as change(group, rows) makes them; x itself where nothing is changed.
template <class F>
Var change_by_group(Forward& f, const Var& x, F&& change) {
  Tensor all;
  for (const TokenGroup& group : f.groups) {
    if (!group.set) continue;
    const Tensor rows = x.value().rows(group.begin, group.end);
    const Var changed = change(group, Var(rows));
    if (changed.value().raw() == rows.raw()) continue;
    if (!all.defined()) {
      all = Tensor::empty(x.value().shape(), rows.dtype(), MemoryClass::activations, rows.device());
      put_rows(f.tape, x.value(), all);
    }
    put_rows(f.tape, changed.value(), all.rows(group.begin, group.end));
  }
  return all.defined() ? Var(all) : x;
}

}  // namespace

LinearWeights Linear::weights(Forward& f) const {
  LinearWeights w{weight.parameter, bias.parameter, {}};
  if (f.groups.empty()) {
    for (LinearAdapter* a : adapters)
      if (a->enabled) a->low_rank(f, *this, w.low_rank);
    return w;
  }
  for (const TokenGroup& group : f.groups)
    for (LinearAdapter* a : adapters) {
      if (!group.set || !holds<LinearAdapter>(group.set->linear, a)) continue;
      const size_t first = w.low_rank.size();
      a->low_rank(f, *this, w.low_rank);
      for (size_t i = first; i < w.low_rank.size(); ++i) {
        w.low_rank[i].begin = group.begin;
        w.low_rank[i].end = group.end;
      }
    }
  return w;
}

Var Linear::operator()(Forward& f, Var x) const {
  if (f.groups.empty()) {
    for (LinearAdapter* a : adapters)
      if (a->enabled) x = a->before(f, *this, x);
    Var y = linear(f.tape, x, weights(f));
    for (LinearAdapter* a : adapters)
      if (a->enabled) y = a->after(f, *this, x, y);
    return y;
  }
  // One product for the rows of all adapters, between what each does to its own.
  x = change_by_group(f, x, [&](const TokenGroup& group, Var rows) {
    for (LinearAdapter* a : adapters)
      if (holds<LinearAdapter>(group.set->linear, a)) rows = a->before(f, *this, rows);
    return rows;
  });
  return change_by_group(f, linear(f.tape, x, weights(f)), [&](const TokenGroup& group, Var rows) {
    const Var in(x.value().rows(group.begin, group.end));
    for (LinearAdapter* a : adapters)
      if (holds<LinearAdapter>(group.set->linear, a)) rows = a->after(f, *this, in, rows);
    return rows;
  });
}

Var adapt_block(Forward& f, std::span<BlockAdapter* const> adapters, int layer, Sublayer sublayer, Var x,
                const Var& residual) {
  if (f.groups.empty()) {
    for (BlockAdapter* a : adapters)
      if (a->enabled) x = a->block(f, layer, sublayer, x, residual);
    return x;
  }
  return change_by_group(f, x, [&](const TokenGroup& group, Var rows) {
    const Var rest(residual.value().rows(group.begin, group.end));
    for (BlockAdapter* a : adapters)
      if (holds<BlockAdapter>(group.set->block, a)) rows = a->block(f, layer, sublayer, rows, rest);
    return rows;
  });
}

}  // namespace ft
