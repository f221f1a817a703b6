// Embedding lookups from tables of every storage type, and their scatter gradient.
#include "bench/gpu_conformance/checks.h"
#include "engine/ops/embedding.h"
#include "tests/ops/embedding_cases.h"

namespace ft::bench {
namespace {

template <class T>
void check(Checks& checks) {
  for (const EmbeddingCase& c : embedding_cases()) {
    // The device has no float64: that case runs with a float32 table.
    const DType storage = c.storage == DType::f64 ? DType::f32 : c.storage;
    Rng rng(3, "ids");
    std::vector<int32_t> tokens;
    for (int64_t t = 0; t < c.tokens; ++t)
      tokens.push_back(static_cast<int32_t>(rng.below(static_cast<uint32_t>(c.rows))));
    const DeviceIndex ids(tokens);
    const auto values = random_vector<float>(c.rows * c.cols, "table"),
               start_table = random_vector<float>(c.rows * c.cols, "dtable"),
               start = random_inputs<T>(c.tokens * c.cols, "start"),
               dy = random_inputs<T>(c.tokens * c.cols, "dy");
    checks.run<T>("embedding", c.name, [&]<class A>(auto place) {
      const auto scale = static_cast<Wide<A>>(c.scale);
      const auto table = place.weight(storage, c.rows, c.cols, values);
      Results r;
      for (const bool accumulate : {false, true}) {
        auto y = place.template buffer<A>(start);
        embedding(place.stream(),
                  EmbeddingArgs<A>{c.tokens, table.view, ids.view(), scale, y.data(), accumulate});
        r.add("embedding", accumulate ? "added" : "y", y.host(), {2});
      }
      auto from = place.template buffer<A>(dy);
      auto dtable = place.template buffer<Wide<A>>(place.packed(c.rows, c.cols, start_table));
      embedding_grad(place.stream(), EmbeddingGradArgs<A>{c.tokens, c.rows, c.cols, ids.view(), from.data(),
                                                          scale, dtable.data()});
      r.add("embedding_grad", "dtable", place.unpacked(c.rows, c.cols, dtable.host()), {4});
      return r;
    });
  }
}

}  // namespace

void check_embeddings(Checks& checks) {
  check<float>(checks);
  check<BF16>(checks);
  check<F16>(checks);
}

}  // namespace ft::bench
