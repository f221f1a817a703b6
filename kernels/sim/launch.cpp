#include "kernels/sim/launch.h"

#include <driver_types.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <numeric>

#include "engine/core/check.h"
#include "engine/core/thread_pool.h"
#include "kernels/sim/checker.h"
#include "kernels/sim/counters.h"
#include "kernels/sim/scheduler.h"
#include "kernels/sim/warp.h"

namespace ft::sim {
namespace {

std::shared_ptr<char> aligned_bytes(uint64_t bytes) {
  const uint64_t rounded = std::max<uint64_t>((bytes + 511) / 512 * 512, 512);
  auto* p = static_cast<char*>(std::aligned_alloc(512, rounded));
  FT_CHECK(p != nullptr, "[cuda-sim] the host has no {} bytes for a block", bytes);
  return {p, std::free};
}

// Memory and warps of one worker thread, reused from block to block.
class Worker {
 public:
  Worker(const Launch& launch, bool counted, LaunchChecks& checks) : launch_(launch), checks_(checks) {
    const Program& program = *launch.program;
    const uint32_t warps = (launch.block_threads + lane_count - 1) / lane_count;
    registers_ = aligned_bytes(program.register_bytes * warps);
    std::memset(registers_.get(), 0, program.register_bytes * warps);
    shared_ = aligned_bytes(launch.shared_bytes);
    block_.local_stride = (program.local_bytes + 15) / 16 * 16;
    local_ = aligned_bytes(block_.local_stride * warps * lane_count);
    block_.launch = &launch;
    block_.program = &program;
    block_.shared = shared_.get();
    block_.local = local_.get();
    block_.warps.resize(warps);
    block_.ranges.resize(program.code.size());
    if (counted) {
      tally.resize(program.code.size());
      block_.tally = &tally;
    }
  }

  void run(uint64_t linear) {
    block_.linear_id = linear;
    block_.id = {static_cast<uint32_t>(linear % launch_.grid[0]),
                 static_cast<uint32_t>(linear / launch_.grid[0] % launch_.grid[1]),
                 static_cast<uint32_t>(linear / launch_.grid[0] / launch_.grid[1])};
    block_.live_threads = launch_.block_threads;
    block_.barrier_epoch = 0;
    std::memset(shared_.get(), 0xff, launch_.shared_bytes);  // NaN in every float format
    std::memset(local_.get(), 0xff, block_.local_stride * block_.warps.size() * lane_count);
    for (uint32_t i = 0; i < block_.warps.size(); ++i) start_warp(i);
    std::unique_ptr<BlockChecker> checker;
    const Settings& s = launch_.settings;
    if (s.check_races || s.check_initialised) checker = std::make_unique<BlockChecker>(block_, checks_);
    block_.checker = checker.get();
    run_block(block_);
    block_.checker = nullptr;
    for (const Warp& w : block_.warps) executed_ += w.executed;
  }

  uint64_t executed() const { return executed_; }

  Tally tally;

 private:
  void start_warp(uint32_t index) {
    Warp& w = block_.warps[index];
    const Program& program = *launch_.program;
    const uint32_t first = index * lane_count;
    const uint32_t lanes = std::min<uint32_t>(lane_count, launch_.block_threads - first);
    w.base[0] = registers_.get() + program.register_bytes * index;
    w.base[1] = program.constants.get();
    w.block = &block_;
    w.index = index;
    w.lanes = lanes == lane_count ? full_mask : (Mask{1} << lanes) - 1;
    w.exited = 0;
    w.active = 0;
    w.executed = 0;
    w.spinning = false;
    w.epoch = 0;
    w.copies.clear();
    w.committed.fill(0);
    w.groups.assign(1, Group{0, w.lanes});
    for (const auto& [slot, bytes] : program.zeroed) std::memset(w.base[0] + slot, 0, bytes);
    for (const SpecialUse& use : program.specials) {
      auto* d = w.reg<uint32_t>(use.slot);
      for (uint32_t lane = 0; lane < lane_count; ++lane) d[lane] = special(use.special, index, lane);
    }
  }

  uint32_t special(Special which, uint32_t warp, uint32_t lane) const {
    const auto& t = launch_.threads;
    const uint32_t thread = warp * lane_count + lane;
    switch (which) {
      case Special::tid_x:
        return thread % t[0];
      case Special::tid_y:
        return thread / t[0] % t[1];
      case Special::tid_z:
        return thread / (t[0] * t[1]);
      case Special::ntid_x:
        return t[0];
      case Special::ntid_y:
        return t[1];
      case Special::ntid_z:
        return t[2];
      case Special::ctaid_x:
        return block_.id[0];
      case Special::ctaid_y:
        return block_.id[1];
      case Special::ctaid_z:
        return block_.id[2];
      case Special::nctaid_x:
        return launch_.grid[0];
      case Special::nctaid_y:
        return launch_.grid[1];
      case Special::nctaid_z:
        return launch_.grid[2];
      case Special::laneid:
        return lane;
      case Special::warpid:
        return warp;
      case Special::nwarpid:
        return static_cast<uint32_t>(block_.warps.size());
      case Special::smid:
        return static_cast<uint32_t>(block_.linear_id % DeviceLimits::multiprocessors);
      case Special::nsmid:
        return DeviceLimits::multiprocessors;
      case Special::gridid:
        return static_cast<uint32_t>(launch_.number);
      case Special::lanemask_eq:
        return 1u << lane;
      case Special::lanemask_le:
        return (2u << lane) - 1;
      case Special::lanemask_lt:
        return (1u << lane) - 1;
      case Special::lanemask_ge:
        return ~((1u << lane) - 1);
      case Special::lanemask_gt:
        return ~((2u << lane) - 1);
      case Special::dynamic_smem:
        return static_cast<uint32_t>(launch_.dynamic_shared);
      default:
        return static_cast<uint32_t>(launch_.shared_bytes);
    }
  }

  const Launch& launch_;
  LaunchChecks& checks_;
  Block block_;
  uint64_t executed_ = 0;
  std::shared_ptr<char> registers_, shared_, local_;
};

void check_configuration(Kernel& kernel, const Launch& launch) {
  const Program& program = *launch.program;
  const auto reject = [&](int code, const std::string& text) {
    throw KernelFault(code, fmt::format("kernel {}: {}", program.readable_name, text));
  };
  const auto& g = launch.grid;
  const auto& t = launch.threads;
  if (g[0] == 0 || g[1] == 0 || g[2] == 0 || g[0] > DeviceLimits::grid_x || g[1] > DeviceLimits::grid_yz ||
      g[2] > DeviceLimits::grid_yz) {
    reject(cudaErrorInvalidConfiguration, fmt::format("a grid of {} x {} x {} blocks", g[0], g[1], g[2]));
  }
  const uint64_t threads = uint64_t{t[0]} * t[1] * t[2];
  if (threads == 0 || threads > DeviceLimits::threads_per_block || t[2] > DeviceLimits::block_z) {
    reject(cudaErrorInvalidConfiguration, fmt::format("a block of {} x {} x {} threads", t[0], t[1], t[2]));
  }
  if (program.max_threads != 0 && threads > program.max_threads) {
    reject(cudaErrorInvalidConfiguration,
           fmt::format("{} threads, where __launch_bounds__ allows {}", threads, program.max_threads));
  }
  const auto allowed = static_cast<uint64_t>(attributes_of(kernel).max_dynamic_shared);
  if (launch.dynamic_shared > allowed || launch.shared_bytes > DeviceLimits::opt_in_shared ||
      (launch.shared_bytes > DeviceLimits::default_shared && allowed <= DeviceLimits::default_shared)) {
    reject(cudaErrorInvalidValue,
           fmt::format("{} bytes of dynamic shared memory ({} in all), where {} are allowed "
                       "(cudaFuncAttributeMaxDynamicSharedMemorySize)",
                       launch.dynamic_shared, launch.shared_bytes, allowed));
  }
}

std::atomic<uint64_t> launches{0}, executed{0};

}  // namespace

uint64_t executed_instructions() {
  return executed;
}

void run_kernel(Kernel& kernel, std::array<uint32_t, 3> grid, std::array<uint32_t, 3> threads,
                uint64_t dynamic_shared, void** arguments) {
#if defined(__x86_64__) && defined(__AVX2__)
  FT_CHECK(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"),
           "[cuda-sim] expected a processor with AVX2 and FMA");
#endif
  const Program& program = program_of(kernel);
  Launch launch;
  launch.program = &program;
  launch.grid = grid;
  launch.threads = threads;
  launch.block_threads = threads[0] * threads[1] * threads[2];
  launch.dynamic_shared = dynamic_shared;
  launch.shared_bytes =
      dynamic_shared > 0 ? program.dynamic_shared_offset + dynamic_shared : program.static_shared;
  launch.parameters.resize(program.parameter_bytes);
  for (size_t i = 0; i < program.parameters.size(); ++i) {
    std::memcpy(launch.parameters.data() + program.parameters[i].offset, arguments[i],
                program.parameters[i].bytes);
  }
  launch.settings = settings();
  launch.number = ++launches;
  launch.memory = MemoryTable::get().snapshot();
  check_configuration(kernel, launch);

  const uint64_t blocks = uint64_t{grid[0]} * grid[1] * grid[2];
  const Settings& s = launch.settings;
  const bool checked = s.check_races || s.check_initialised;
  const bool one_by_one = checked || s.seed != 0;
  static std::mutex one_launch;  // of those that share the pool or the shadows
  std::unique_lock lock(one_launch, std::defer_lock);
  if (checked) lock.lock();
  LaunchChecks checks;
  if (checked) checks.published.resize(blocks);
  const int wanted = s.threads > 0 ? s.threads : ThreadPool::default_threads();
  const int workers =
      one_by_one ? 1 : static_cast<int>(std::min<uint64_t>(blocks, static_cast<uint64_t>(wanted)));
  std::vector<std::unique_ptr<Worker>> pool;
  for (int i = 0; i < workers; ++i) pool.push_back(std::make_unique<Worker>(launch, s.count, checks));

  if (workers == 1) {
    std::vector<uint64_t> order;
    if (s.seed != 0) {
      order.resize(blocks);
      std::iota(order.begin(), order.end(), uint64_t{0});
      Random random(s.seed, launch.number);
      for (uint64_t i = blocks; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    }
    for (uint64_t i = 0; i < blocks; ++i) pool[0]->run(order.empty() ? i : order[i]);
  } else {
    static ThreadPool* threads_pool = new ThreadPool(ThreadPool::default_threads());
    lock.lock();
    std::atomic<uint64_t> next{0};
    threads_pool->run(workers, [&](int64_t task, int) {
      for (uint64_t i = next++; i < blocks; i = next++) pool[static_cast<size_t>(task)]->run(i);
    });
  }
  for (const auto& worker : pool) executed += worker->executed();
  if (s.count) {
    std::vector<Tally> tallies;
    for (auto& worker : pool) tallies.push_back(std::move(worker->tally));
    record_launch(launch, tallies);
  }
}

}  // namespace ft::sim
