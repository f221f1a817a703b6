// How accesses of a warp fall on the memory system of an NVIDIA GPU. Shared memory has 32 banks of 4 bytes; a
// request of up to 4 bytes a lane is served for the whole warp at once, of 8 bytes for half a warp, of 16 for
// a quarter; distinct words of one bank take a wavefront each. Global memory moves in sectors of 32 bytes.
#include "kernels/sim/counters.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "kernels/sim/lanes.h"

namespace ft::sim {
namespace {

struct Totals {
  std::mutex mutex;
  std::map<std::string, KernelCounters> kernels;
};

Totals& totals() {
  static Totals* instance = new Totals;
  return *instance;
}

struct Cost {
  uint64_t actual = 0, ideal = 0;
};

Cost wavefronts(Mask m, uint32_t bytes, const Addresses& at) {
  const int group = bytes <= 4 ? 32 : bytes == 8 ? 16 : 8;
  Cost cost;
  for (int first = 0; first < lane_count; first += group) {
    uint64_t words[32 * 4];
    int count = 0;
    for (int lane = first; lane < first + group; ++lane) {
      if (!(m >> lane & 1)) continue;
      const uint64_t begin = at.at[lane] / 4, end = (at.at[lane] + bytes + 3) / 4;
      for (uint64_t word = begin; word < end; ++word) words[count++] = word;
    }
    if (count == 0) continue;
    std::sort(words, words + count);
    count = static_cast<int>(std::unique(words, words + count) - words);
    int per_bank[32] = {};
    int most = 0;
    for (int i = 0; i < count; ++i) most = std::max(most, ++per_bank[words[i] % 32]);
    cost.actual += static_cast<uint64_t>(most);
    ++cost.ideal;
  }
  return cost;
}

// The ideal moves the distinct bytes in full sectors.
Cost sectors(Mask m, uint32_t bytes, const Addresses& at) {
  uint64_t begin[lane_count];
  int count = 0;
  for_lanes(m, [&](int lane) { begin[count++] = at.at[lane]; });
  std::sort(begin, begin + count);
  Cost cost;
  uint64_t covered = 0, distinct = 0, last_sector = UINT64_MAX;
  for (int i = 0; i < count; ++i) {
    const uint64_t from = std::max(begin[i], covered), to = begin[i] + bytes;
    if (to > from) distinct += to - from;
    covered = std::max(covered, to);
    for (uint64_t sector = begin[i] / 32; sector <= (to - 1) / 32; ++sector) {
      if (last_sector != UINT64_MAX && sector <= last_sector) continue;
      ++cost.actual;
      last_sector = sector;
    }
  }
  cost.ideal = (distinct + 31) / 32;
  return cost;
}

constexpr const char* class_names[] = {
    "integer",     "logic",        "float32",     "float64",      "half",       "conversion",
    "special",     "move",         "predicate",   "control",      "barrier",    "warp_exchange",
    "load_global", "store_global", "load_shared", "store_shared", "load_local", "store_local",
    "load_const",  "atomic",       "async_copy",  "load_matrix",  "tensor_core"};
static_assert(std::size(class_names) == static_cast<size_t>(InstClass::count_));

}  // namespace

const char* name_of(InstClass c) {
  return class_names[static_cast<size_t>(c)];
}

void count_access(Warp& w, const Inst& in, Mask m, uint32_t bytes, MemorySpace space, const Addresses& at) {
  Tally& tally = *w.block->tally;
  const uint32_t pc = pc_of(w, in);
  const auto lanes = static_cast<uint64_t>(std::popcount(m));
  if (space == MemorySpace::shared) {
    const Cost cost = wavefronts(m, bytes, at);
    tally.wavefronts[pc] += cost.actual;
    tally.ideal_wavefronts[pc] += cost.ideal;
    tally.shared_bytes[pc] += lanes * bytes;
  } else if (space == MemorySpace::global) {
    const Cost cost = sectors(m, bytes, at);
    tally.sectors[pc] += cost.actual;
    tally.ideal_sectors[pc] += cost.ideal;
    tally.global_bytes[pc] += lanes * bytes;
  }
}

void record_launch(const Launch& launch, const std::vector<Tally>& tallies) {
  const Program& program = *launch.program;
  std::lock_guard lock(totals().mutex);
  KernelCounters& k = totals().kernels[program.readable_name];
  k.kernel = program.readable_name;
  ++k.launches;
  k.blocks += uint64_t{launch.grid[0]} * launch.grid[1] * launch.grid[2];
  k.threads_per_block = launch.block_threads;
  k.live_registers = program.live_registers;
  k.local_bytes = program.local_bytes;
  k.shared_bytes = launch.shared_bytes;
  std::map<std::string, LineCounters> lines;
  for (LineCounters& line : k.lines) lines[line.place] = line;
  for (size_t pc = 0; pc < program.code.size(); ++pc) {
    const Inst& in = program.code[pc];
    const auto sum = [&](std::vector<uint64_t> Tally::*field) {
      uint64_t total = 0;
      for (const Tally& tally : tallies) total += (tally.*field)[pc];
      return total;
    };
    const uint64_t warps = sum(&Tally::warps), lanes = sum(&Tally::lanes);
    if (warps == 0) continue;
    k.warp_instructions += warps;
    k.thread_instructions += lanes;
    k.by_class[name_of(in.inst_class)] += warps;
    k.flops += in.inst_class == InstClass::tensor_core ? warps * in.flops * 256 : lanes * in.flops;
    const uint64_t global = sum(&Tally::global_bytes);
    const bool stores = in.inst_class == InstClass::store_global;
    (stores ? k.global_stored_bytes : k.global_loaded_bytes) += global;
    k.shared_moved_bytes += sum(&Tally::shared_bytes);
    LineCounters line{{},
                      warps,
                      sum(&Tally::wavefronts),
                      sum(&Tally::ideal_wavefronts),
                      sum(&Tally::sectors),
                      sum(&Tally::ideal_sectors)};
    k.wavefronts += line.wavefronts;
    k.ideal_wavefronts += line.ideal_wavefronts;
    k.sectors += line.sectors;
    k.ideal_sectors += line.ideal_sectors;
    LineCounters& place = lines[program.place_of(static_cast<uint32_t>(pc))];
    place.warp_instructions += warps;
    place.wavefronts += line.wavefronts;
    place.ideal_wavefronts += line.ideal_wavefronts;
    place.sectors += line.sectors;
    place.ideal_sectors += line.ideal_sectors;
  }
  k.lines.clear();
  for (auto& [place, line] : lines) {
    line.place = place;
    k.lines.push_back(line);
  }
}

std::vector<KernelCounters> counters() {
  std::lock_guard lock(totals().mutex);
  std::vector<KernelCounters> result;
  for (const auto& [name, k] : totals().kernels) result.push_back(k);
  return result;
}

void clear_counters() {
  std::lock_guard lock(totals().mutex);
  totals().kernels.clear();
}

std::string counters_json(bool with_lines) {
  std::string out = "[";
  const auto quoted = [](const std::string& text) {
    std::string q = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') q += '\\';
      q += c;
    }
    return q + "\"";
  };
  for (const KernelCounters& k : counters()) {
    out += out.size() > 1 ? ",\n" : "\n";
    out += fmt::format(
        " {{\"kernel\": {}, \"launches\": {}, \"blocks\": {}, \"threads_per_block\": {},\n"
        "  \"warp_instructions\": {}, \"thread_instructions\": {}, \"flops\": {},\n"
        "  \"global_loaded_bytes\": {}, \"global_stored_bytes\": {}, \"sectors\": {}, \"ideal_sectors\": "
        "{},\n"
        "  \"shared_moved_bytes\": {}, \"wavefronts\": {}, \"ideal_wavefronts\": {},\n"
        "  \"live_registers\": {}, \"local_bytes\": {}, \"shared_bytes\": {},\n  \"by_class\": {{",
        quoted(k.kernel), k.launches, k.blocks, k.threads_per_block, k.warp_instructions,
        k.thread_instructions, k.flops, k.global_loaded_bytes, k.global_stored_bytes, k.sectors,
        k.ideal_sectors, k.shared_moved_bytes, k.wavefronts, k.ideal_wavefronts, k.live_registers,
        k.local_bytes, k.shared_bytes);
    bool first = true;
    for (const auto& [name, count] : k.by_class) {
      out += fmt::format("{}\"{}\": {}", first ? "" : ", ", name, count);
      first = false;
    }
    out += "}";
    if (with_lines) {
      out += ",\n  \"lines\": [";
      first = true;
      for (const LineCounters& l : k.lines) {
        out += fmt::format(
            "{}\n   {{\"place\": {}, \"warp_instructions\": {}, \"wavefronts\": {}, \"ideal_wavefronts\": "
            "{}, "
            "\"sectors\": {}, \"ideal_sectors\": {}}}",
            first ? "" : ",", quoted(l.place), l.warp_instructions, l.wavefronts, l.ideal_wavefronts,
            l.sectors, l.ideal_sectors);
        first = false;
      }
      out += "]";
    }
    out += "}";
  }
  return out + "\n]\n";
}

}  // namespace ft::sim
