// Controls of the device cuda-sim, beside the CUDA runtime that it answers: settings, findings, counters.
//
// Invariant: settings are read when a kernel is launched. Results do not depend on them, except where a
// kernel is wrong or uses atomics, and except for `rounding`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ft::sim {

/// How mma sums: `exact` adds exact products and the accumulator in double, rounded once; the others follow
/// what is known of the hardware (Fasi et al. 2021; Khattak and Mikaitis, arXiv 2512.07004): addends aligned
/// to the largest exponent and cut off, `a100` with 8 products a step and 1 extra bit, `h100` with 16 and 2.
enum class Rounding : uint8_t { exact, a100, h100 };

struct Settings {
  uint64_t seed = 0;  // 0: warps and blocks in order; else their order is drawn from the seed
  Rounding rounding = Rounding::exact;
  bool check_races = false;  // shared memory, and global memory between blocks; blocks then run one by one
  bool check_initialised = false;
  bool check_barriers = true;                      // lanes of a warp at different barriers
  bool count = false;                              // performance counters
  int threads = 0;                                 // that run blocks; 0: as many as the processor has
  uint64_t most_instructions = uint64_t{1} << 32;  // warp instructions of a block, then it counts as hung
  /// All checkers on.
  static Settings checked(uint64_t seed = 0);
};

/// Settings as words: "check", "seed=N", "rounding=exact|a100|h100", "count",
/// "threads=N", joined by commas.
/// Throws ft::InputError for any other word.
Settings parse_settings(const std::string& words);

/// Until the first set(), settings are those of the environment variable FT_SIM. Where it holds "check",
/// findings that are left at the end of the process are printed to stderr.
void set(const Settings& settings);
Settings settings();

/// One thing that a checker found. Equal findings of one source line are counted, not repeated.
struct Finding {
  std::string kind;    // "race", "uninitialised", "bounds", "barrier", "async", "assert", ...
  std::string kernel;  // readable name
  std::string place;   // file:line
  std::string text;    // threads, addresses, the other side of a race
  uint64_t count = 1;
};

/// Findings since the last clear_reports(), in the order they were made.
std::vector<Finding> reports();
void clear_reports();

/// Of one source line, over all launches. A wavefront is one pass over the 32 banks of shared memory, a
/// sector 32 bytes of global memory; the ideal is what the same bytes would take without conflicts, in full
/// sectors.
struct LineCounters {
  std::string place;
  uint64_t warp_instructions = 0, wavefronts = 0, ideal_wavefronts = 0, sectors = 0, ideal_sectors = 0;
};

/// Totals of a kernel over its launches with Settings::count on. They depend on code and arguments alone.
struct KernelCounters {
  std::string kernel;
  uint64_t launches = 0, blocks = 0, threads_per_block = 0;
  uint64_t warp_instructions = 0, thread_instructions = 0;
  uint64_t flops = 0;  // fma counts 2, an mma 2 M N K
  uint64_t global_loaded_bytes = 0, global_stored_bytes = 0, sectors = 0, ideal_sectors = 0;
  uint64_t shared_moved_bytes = 0, wavefronts = 0, ideal_wavefronts = 0;
  uint64_t live_registers = 0, local_bytes = 0,
           shared_bytes = 0;                 // a thread's (before ptxas), a thread's, a block's
  std::map<std::string, uint64_t> by_class;  // warp instructions
  std::vector<LineCounters> lines;
};

std::vector<KernelCounters> counters();  // sorted by kernel
void clear_counters();
/// The same as a JSON array.
std::string counters_json(bool with_lines = false);

/// Warp instructions that all launches of this process have executed.
uint64_t executed_instructions();

/// Decodes every registered kernel; the errors, each naming kernel, line and opcode. `count`: how many there
/// are.
std::vector<std::string> decode_all_kernels(size_t* count = nullptr);

/// Calls since the last clear_host_waits() that make the host wait for the device, or may: synchronisations,
/// copies that are not asynchronous (of pageable memory too), allocations outside the pool. By name.
std::map<std::string, uint64_t> host_waits();
void clear_host_waits();
/// Graphs launched by this process so far.
uint64_t graph_launches();

/// Text of the last fault on this thread, empty if there was none.
std::string last_fault();

}  // namespace ft::sim
