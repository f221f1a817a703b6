#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

#include "kernels/sim/checker.h"

namespace ft::sim {
namespace {

constexpr size_t most_findings = 10000;

struct State {
  std::mutex mutex;
  Settings settings;
  std::vector<Finding> findings;
  std::map<std::string, size_t> known;  // kind, kernel and place -> index
};

void print_findings() {
  for (const Finding& f : reports()) {
    fmt::print(stderr, "cuda-sim: {} ({} x) in {}, {}: {}\n", f.kind, f.count, f.kernel, f.place, f.text);
  }
}

State& state() {
  static State* instance = [] {
    auto* fresh = new State;
    if (const char* words = std::getenv("FT_SIM")) {
      fresh->settings = parse_settings(words);
      if (fresh->settings.check_races) std::atexit(print_findings);
    }
    return fresh;
  }();
  return *instance;
}

}  // namespace

Settings Settings::checked(uint64_t seed) {
  Settings s;
  s.seed = seed;
  s.check_races = s.check_initialised = s.check_barriers = true;
  return s;
}

Settings parse_settings(const std::string& words) {
  Settings s;
  for (size_t begin = 0; begin <= words.size();) {
    const size_t end = std::min(words.find(',', begin), words.size());
    const std::string word = words.substr(begin, end - begin);
    begin = end + 1;
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals),
                      value = equals == word.npos ? "" : word.substr(equals + 1);
    uint64_t number = 0;
    const auto [last, code] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool numeric = !value.empty() && code == std::errc{} && last == value.data() + value.size();
    if (word == "check") {
      s.check_races = s.check_initialised = s.check_barriers = true;
    } else if (word == "count") {
      s.count = true;
    } else if (name == "seed" && numeric) {
      s.seed = number;
    } else if (name == "threads" && numeric && number <= 1024) {
      s.threads = static_cast<int>(number);
    } else if (name == "rounding" && (value == "exact" || value == "a100" || value == "h100")) {
      s.rounding = value == "exact" ? Rounding::exact : value == "a100" ? Rounding::a100 : Rounding::h100;
    } else if (!word.empty()) {
      bad_input("FT_SIM: unknown word '{}'; known: check, count, seed=N, threads=N, rounding=exact|a100|h100",
                word);
    }
  }
  return s;
}

void set(const Settings& settings) {
  std::lock_guard lock(state().mutex);
  state().settings = settings;
}

Settings settings() {
  std::lock_guard lock(state().mutex);
  return state().settings;
}

std::vector<Finding> reports() {
  std::lock_guard lock(state().mutex);
  return state().findings;
}

void clear_reports() {
  std::lock_guard lock(state().mutex);
  state().findings.clear();
  state().known.clear();
}

void report(std::string kind, std::string kernel, std::string place, std::string text) {
  State& s = state();
  std::lock_guard lock(s.mutex);
  const auto [entry, fresh] = s.known.emplace(kind + '\n' + kernel + '\n' + place, s.findings.size());
  if (!fresh) {
    if (entry->second < s.findings.size()) ++s.findings[entry->second].count;
    return;
  }
  if (s.findings.size() < most_findings) {
    s.findings.push_back({std::move(kind), std::move(kernel), std::move(place), std::move(text), 1});
  }
}

void report_divergent_barrier(const Warp& first_warp, const Group& first, const Warp& warp,
                              const Group& group) {
  const Block& block = *warp.block;
  const Program& program = *block.program;
  report("barrier", program.readable_name, program.place_of(group.parked_at),
         fmt::format("block ({},{},{}): warp {} lanes {:#x} wait at {}, warp {} lanes {:#x} at {}: one "
                     "barrier, two places",
                     block.id[0], block.id[1], block.id[2], first_warp.index, first.mask,
                     program.place_of(first.parked_at), warp.index, group.mask,
                     program.place_of(group.parked_at)));
}

}  // namespace ft::sim
