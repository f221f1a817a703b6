// fuzz_TARGET [--inputs N] [--seconds S] [--seed N] [--write-seeds FOLDER] [FILE ...]
//
// A fuzzer without instrumentation: the same inputs every time, so that continuous integration can run it.
// Takes the seeds (the target's own and tests/fuzz/corpus/TARGET, where inputs that once broke something are
// kept), then mutations of them, N in all or as many as S seconds allow. FILE: runs just these. What breaks
// is left in ./TARGET.finding.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <typeinfo>

#include "engine/core/rng.h"
#include "tests/fuzz/fuzz.h"

#if defined(FT_SANITIZE)
extern "C" const char* __asan_default_options() {
  return "max_allocation_size_mb=256:hard_rss_limit_mb=2048:allocator_may_return_null=0:abort_on_error=1";
}
extern "C" const char* __ubsan_default_options() {
  return "print_stacktrace=1:abort_on_error=1";
}
#endif

namespace ft::fuzz {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLongest = 64 << 10;
constexpr unsigned kSeconds = 20;  // for one input

std::string current, target;

void leave_finding() {
  std::FILE* file = std::fopen((target + ".finding").c_str(), "wb");
  if (!file) return;
  std::fwrite(current.data(), 1, current.size(), file);
  std::fclose(file);
  std::fprintf(stderr, "fuzz_%s: the input is in %s.finding (%zu bytes)\n", target.c_str(), target.c_str(),
               current.size());
}

void on_signal(int signal) {
  std::fprintf(stderr, "fuzz_%s: signal %d%s\n", target.c_str(), signal,
               signal == SIGALRM ? ": this input takes too long" : "");
  leave_finding();
  ::_exit(1);
}

class Mutator {
 public:
  Mutator(uint64_t seed, std::vector<std::string> corpus)
      : rng_(seed, "fuzz"), corpus_(std::move(corpus)), words_(words()) {}

  std::string next() {
    std::string s = corpus_[below(corpus_.size())];
    const size_t edits = 1 + below(below(3) == 0 ? 12 : 3);
    for (size_t i = 0; i < edits; ++i) edit(s);
    if (s.size() > kLongest) s.resize(kLongest);
    return s;
  }

 private:
  size_t below(size_t n) { return n == 0 ? 0 : rng_.next() % n; }

  std::string number() {
    static constexpr uint64_t kEdges[] = {0,          1,          2,          7,          8,
                                          127,        128,        255,        256,        65535,
                                          65536,      0x7fffffff, 1u << 31,   0xffffffff, 1ull << 32,
                                          1ull << 40, 1ull << 62, 1ull << 63, ~0ull,      ~0ull - 7};
    const uint64_t v = below(3) ? kEdges[below(std::size(kEdges))] : rng_.next();
    return std::string(reinterpret_cast<const char*>(&v), sizeof v);
  }

  void edit(std::string& s) {
    const size_t at = below(s.size() + 1), length = std::min(s.size() - at, 1 + below(below(4) ? 8 : 200));
    switch (below(12)) {
      case 0:
        if (at < s.size()) s[at] = static_cast<char>(s[at] ^ (1 << below(8)));
        break;
      case 1:
        if (at < s.size()) s[at] = static_cast<char>(rng_.next());
        break;
      case 2:
        s.erase(at, length);
        break;
      case 3:
        s.insert(at, s.substr(at, length));
        break;
      case 4: {  // a whole number, as binary formats have them
        const std::string n = number().substr(0, below(2) ? 4 : 8);
        if (s.size() - at >= n.size()) s.replace(at, n.size(), n);
        break;
      }
      case 5: {  // a number in digits
        const size_t digit = s.find_first_of("0123456789", at);
        if (digit == s.npos) break;
        const size_t end = std::min(s.find_first_not_of("0123456789", digit), s.size());
        static constexpr const char* kNumbers[] = {
            "0",  "-1",  "1e999",      "99999999999999999999", "2147483648",
            "-0", "1.5", "4294967295", "9223372036854775807",  "NaN"};
        s.replace(digit, end - digit, kNumbers[below(std::size(kNumbers))]);
        break;
      }
      case 6:
      case 7:
        if (!words_.empty()) s.insert(at, words_[below(words_.size())]);
        break;
      case 8:
        if (!words_.empty()) s.replace(at, length, words_[below(words_.size())]);
        break;
      case 9: {  // a piece of another input
        const std::string& other = corpus_[below(corpus_.size())];
        const size_t from = below(other.size() + 1);
        s.insert(at, other, from, 1 + below(100));
        break;
      }
      case 10:
        s.resize(at);
        break;
      default: {  // the same thing many times
        const std::string piece = s.substr(at, std::max<size_t>(1, length / 4));
        for (size_t n = below(200); n > 0 && s.size() < kLongest; --n) s.insert(at, piece);
      }
    }
  }

  Rng rng_;
  std::vector<std::string> corpus_, words_;
};

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void run(std::string input) {
  current = std::move(input);
  ::alarm(kSeconds);
  try {
    // A copy of just this size, so that reading one byte past it is seen.
    const std::vector<uint8_t> bytes(current.begin(), current.end());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "fuzz_%s: %s: %s\n", target.c_str(), typeid(e).name(), e.what());
    leave_finding();
    std::exit(1);
  }
}

}  // namespace
}  // namespace ft::fuzz

int main(int argc, char** argv) {
  using namespace ft::fuzz;
  target = fs::path(argv[0]).filename().string().substr(std::strlen("fuzz_"));
  int64_t inputs = 2000;
  double seconds = 0;
  uint64_t seed = 1;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string_view a = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (a == "--inputs") {
      inputs = std::atoll(value), ++i;
    } else if (a == "--seconds") {
      seconds = std::atof(value), ++i;
    } else if (a == "--seed") {
      seed = std::strtoull(value, nullptr, 10), ++i;
    } else if (a == "--write-seeds") {
      fs::create_directories(value);
      int n = 0;
      for (const std::string& s : seeds())
        std::ofstream(fs::path(value) / ("seed-" + std::to_string(n++)), std::ios::binary) << s;
      return 0;
    } else {
      files.emplace_back(a);
    }
  }
  for (const int s : {SIGALRM, SIGABRT}) std::signal(s, on_signal);
  if (!files.empty()) {
    for (const std::string& f : files) run(read(f));
    return 0;
  }
  std::vector<std::string> corpus = seeds();
  const size_t good = corpus.size();
  std::error_code none;
  for (const auto& entry :
       fs::directory_iterator(fs::path(FT_SOURCE_DIR) / "tests/fuzz/corpus" / target, none))
    corpus.push_back(read(entry.path()));
  std::sort(corpus.begin() + static_cast<ptrdiff_t>(good), corpus.end());
  for (size_t i = 0; i < corpus.size(); ++i) {
    run(corpus[i]);
    if (i + 1 == good && accepted != static_cast<int64_t>(good)) {
      std::fprintf(stderr, "fuzz_%s: of %zu seeds %lld are taken: all must be\n", target.c_str(), good,
                   static_cast<long long>(accepted));
      return 1;
    }
  }
  Mutator mutator(seed, corpus);
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  auto done = static_cast<int64_t>(corpus.size());
  while (seconds > 0 ? elapsed() < seconds : done < inputs) {
    run(mutator.next());
    ++done;
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf("trust: fuzz_%s: %lld inputs in %.1f s, %lld taken, the others refused, %ld MB at most\n",
              target.c_str(), static_cast<long long>(done), elapsed(), static_cast<long long>(accepted),
              usage.ru_maxrss / 1024);
  return 0;
}
