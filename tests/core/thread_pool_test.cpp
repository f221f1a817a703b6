#include "engine/core/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/core/stream.h"

namespace ft {
namespace {

class ThreadPoolTest : public ::testing::TestWithParam<int> {};

TEST_P(ThreadPoolTest, runs_every_task_once) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  for (const int64_t tasks : {0, 1, 2, 7, 1000, 50000}) {
    std::vector<std::atomic<int>> seen(static_cast<size_t>(tasks));
    std::atomic<bool> good{true};
    pool.run(tasks, [&](int64_t task, int thread) {
      if (thread < 0 || thread >= pool.threads()) good = false;
      ++seen[static_cast<size_t>(task)];
    });
    EXPECT_TRUE(good);
    for (const auto& s : seen) ASSERT_EQ(s.load(), 1);
  }
}

TEST_P(ThreadPoolTest, what_tasks_wrote_is_seen_by_the_caller_run_after_run) {
  ThreadPool pool(GetParam());
  std::vector<int64_t> values(64);
  for (int64_t round = 0; round < 3000; ++round) {
    pool.run(64, [&](int64_t task, int) { values[static_cast<size_t>(task)] += task + round; });
    if (round % 500 != 0) continue;
    int64_t sum = 0;
    for (const int64_t v : values) sum += v;
    ASSERT_EQ(sum, (round + 1) * 64 * 63 / 2 + 64 * round * (round + 1) / 2);
  }
}

TEST_P(ThreadPoolTest, rethrows_and_stays_usable) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 20; ++round) {
    try {
      pool.run(100, [](int64_t task, int) {
        if (task == 37) throw std::runtime_error("task 37");
      });
      FAIL();
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "task 37");
    }
    std::atomic<int> count{0};
    pool.run(100, [&](int64_t, int) { ++count; });
    EXPECT_EQ(count, 100);
  }
}

TEST_P(ThreadPoolTest, a_run_inside_a_task_runs_in_place) {
  ThreadPool pool(GetParam());
  std::vector<int64_t> sums(50);
  pool.run(50, [&](int64_t task, int) {
    const auto caller = std::this_thread::get_id();
    int64_t sum = 0;  // not atomic: in place means on this thread
    pool.run(20, [&](int64_t inner, int) {
      if (std::this_thread::get_id() == caller) sum += inner;
    });
    sums[static_cast<size_t>(task)] = sum;
  });
  for (const int64_t s : sums) EXPECT_EQ(s, 190);
}

TEST_P(ThreadPoolTest, stream_passes_the_task_and_if_asked_the_thread) {
  ThreadPool pool(GetParam());
  CpuStream stream(pool);
  EXPECT_EQ(stream.threads(), GetParam());
  std::atomic<int64_t> sum{0};
  stream.parallel(100, [&](int64_t task) { sum += task; });
  stream.parallel(100, [&](int64_t task, int thread) { sum += thread < GetParam() ? task : 1000000; });
  EXPECT_EQ(sum, 2 * 4950);
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, ::testing::Values(1, 2, 4, 9));

TEST(ThreadPool, starts_and_ends_without_work) {
  for (int i = 0; i < 50; ++i) ThreadPool pool(3);
}

TEST(ThreadPool, default_threads_reads_the_environment) {
  const char* names[] = {"FT_NUM_THREADS", "OMP_NUM_THREADS"};
  std::vector<std::unique_ptr<std::string>> kept;
  for (const char* n : names)
    kept.push_back(std::getenv(n) ? std::make_unique<std::string>(std::getenv(n)) : nullptr);
  setenv("OMP_NUM_THREADS", "5", 1);
  setenv("FT_NUM_THREADS", "3", 1);
  EXPECT_EQ(ThreadPool::default_threads(), 3);
  for (const char* nonsense : {"", "0", "-4", "many", "99999999"}) {
    setenv("FT_NUM_THREADS", nonsense, 1);
    EXPECT_EQ(ThreadPool::default_threads(), 5) << nonsense;
  }
  unsetenv("FT_NUM_THREADS");
  unsetenv("OMP_NUM_THREADS");
  EXPECT_GE(ThreadPool::default_threads(), 1);
  for (size_t i = 0; i < 2; ++i) {
    if (kept[i]) setenv(names[i], kept[i]->c_str(), 1);
  }
}

}  // namespace
}  // namespace ft
