// Speed of encoding: bench_tokenize TOKENIZER FILE... prints MB a second of one core for each file as one
// text, and for its lines one by one; the ids must be the same number each time.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string_view>

#include "engine/core/check.h"
#include "engine/data/open_tokenizer.h"
#include "engine/io/text_file.h"

namespace {

/// The best of seven, in MB/s.
template <class Encode>
double speed(size_t bytes, Encode&& encode) {
  double best = 1e9;
  size_t ids = 0;
  for (int run = 0; run < 7; ++run) {
    const std::clock_t start = std::clock();  // the processor's time: others may be at work too
    const size_t count = encode();
    best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    if (run > 0 && count != ids) ft::fail("the same text gave {} and {} ids", ids, count);
    ids = count;
  }
  return static_cast<double>(bytes) / best / 1e6;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) ft::bad_input("usage: bench_tokenize TOKENIZER FILE...");
  const auto tokenizer = ft::open_tokenizer(argv[1]);
  for (int i = 2; i < argc; ++i) {
    const std::string text = ft::read_text_file(argv[i]);
    size_t ids = 0;
    const double whole = speed(text.size(), [&] { return ids = tokenizer->encode(text).size(); });
    const double lines = speed(text.size(), [&] {
      size_t count = 0;
      for (std::string_view rest = text; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n') + 1);
        const size_t size = line.empty() ? rest.size() : line.size();
        count += tokenizer->encode(rest.substr(0, size)).size();
        rest.remove_prefix(size);
      }
      return count;
    });
    fmt::print("{}: {} bytes, {} ids, {:.1f} MB/s whole, {:.1f} MB/s by lines\n", argv[i], text.size(), ids,
               whole, lines);
  }
} catch (const std::exception& e) {
  fmt::print(stderr, "error: {}\n", e.what());
  return 2;
}
