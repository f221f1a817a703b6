#include "engine/core/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <thread>
#include <vector>

#include "engine/core/check.h"
#include "engine/core/rng.h"

namespace ft {
namespace {

constexpr MemoryClass kArena = MemoryClass::activations;
constexpr size_t kMega = size_t{1} << 20;

std::byte* take(size_t bytes, MemoryClass c = kArena) {
  return static_cast<std::byte*>(allocate_host(bytes, c));
}
MemoryUse use_of(MemoryClass c) {
  return memory_use()[static_cast<size_t>(c)];
}

TEST(MemoryUse, live_and_peak_are_exact_by_class) {
  for (int i = 0; i < kMemoryClasses; ++i) {
    const auto c = static_cast<MemoryClass>(i);
    reset_memory_peaks();
    const MemoryUse before = use_of(c);
    EXPECT_EQ(before.peak, before.live);
    void* a = take(6400, c);
    void* b = take(640, c);
    EXPECT_EQ(use_of(c).live, before.live + 7040);
    free_host(a, 6400, c);
    void* d = take(64, c);
    EXPECT_EQ(use_of(c).live, before.live + 704);
    EXPECT_EQ(use_of(c).peak, before.live + 7040);
    reset_memory_peaks();
    EXPECT_EQ(use_of(c).peak, before.live + 704);
    free_host(b, 640, c);
    free_host(d, 64, c);
    EXPECT_EQ(use_of(c).live, before.live);
    EXPECT_FALSE(memory_class_name(c).empty());
  }
}

TEST(MemoryUse, other_classes_are_not_touched) {
  const auto before = memory_use();
  void* p = take(1000, MemoryClass::optimizer);
  const auto after = memory_use();
  for (int i = 0; i < kMemoryClasses; ++i) {
    const bool own = i == static_cast<int>(MemoryClass::optimizer);
    EXPECT_EQ(after[static_cast<size_t>(i)].live - before[static_cast<size_t>(i)].live, own ? 1024u : 0u);
  }
  free_host(p, 1000, MemoryClass::optimizer);
}

TEST(Allocation, is_aligned_for_every_size_and_null_may_be_freed) {
  for (int i = 0; i < kMemoryClasses; ++i) {
    const auto c = static_cast<MemoryClass>(i);
    std::vector<std::pair<std::byte*, size_t>> blocks;
    for (const size_t bytes : {0, 1, 63, 64, 65, 4097, 1 << 22}) {
      std::byte* p = take(bytes, c);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u);
      std::memset(p, 7, bytes);
      blocks.emplace_back(p, bytes);
    }
    for (const auto& [p, bytes] : blocks) free_host(p, bytes, c);
    free_host(nullptr, 100, c);
  }
}

// AddressSanitizer gives each tensor a block of its own, so that it sees its ends: there is no arena to look
// at, and it aborts on a request that cannot be met.
#ifndef FT_SANITIZE

TEST(Allocation, more_than_there_is_throws) {
  EXPECT_THROW(allocate_host(size_t{1} << 45, kArena), Error);
  EXPECT_THROW(allocate_host(size_t{1} << 60, MemoryClass::weights), Error);
}

TEST(Arena, neighbours_merge_in_whatever_order_they_are_freed) {
  std::vector<int> order = {0, 1, 2, 3};
  do {
    std::byte* blocks[4];
    for (std::byte*& b : blocks) b = take(kMega);
    for (int i = 1; i < 4; ++i) ASSERT_EQ(blocks[i], blocks[0] + static_cast<size_t>(i) * kMega);
    for (const int i : order) free_host(blocks[i], kMega, kArena);
    std::byte* whole = take(4 * kMega);
    EXPECT_EQ(whole, blocks[0]);
    free_host(whole, 4 * kMega, kArena);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Arena, takes_the_hole_that_fits_best) {
  std::byte* large = take(3 * kMega);
  std::byte* wall = take(64);
  std::byte* small = take(kMega);
  std::byte* end = take(64);
  free_host(large, 3 * kMega, kArena);
  free_host(small, kMega, kArena);
  EXPECT_EQ(take(kMega), small);
  EXPECT_EQ(take(2 * kMega), large);  // from the low end; the rest stays a hole
  EXPECT_EQ(take(kMega), large + 2 * kMega);
  for (const auto& [p, bytes] : std::map<std::byte*, size_t>{
           {large, 2 * kMega}, {large + 2 * kMega, kMega}, {wall, 64}, {small, kMega}, {end, 64}}) {
    free_host(p, bytes, kArena);
  }
}

TEST(Arena, weights_that_are_freed_go_back_to_the_system) {
  constexpr size_t kBytes = 100'000, kCount = 640;  // none fills a page of 2 MB, all of them 30
  std::vector<std::byte*> blocks;
  for (size_t i = 0; i < kCount; ++i) {
    blocks.push_back(take(kBytes, MemoryClass::weights));
    std::memset(blocks.back(), 1, kBytes);
  }
  const size_t before = resident_bytes();
  for (size_t i = 0; i < kCount; i += 2) free_host(blocks[i], kBytes, MemoryClass::weights);
  for (size_t i = 1; i < kCount; i += 2) free_host(blocks[i], kBytes, MemoryClass::weights);
  EXPECT_LT(resident_bytes() + kBytes * kCount * 3 / 4, before);
}

TEST(Arena, workspace_and_activations_share_it) {
  std::byte* a = take(kMega);
  free_host(a, kMega, kArena);
  std::byte* b = take(kMega, MemoryClass::workspace);
  EXPECT_EQ(a, b);
  free_host(b, kMega, MemoryClass::workspace);
}

TEST(Arena, ragged_shapes_do_not_hoard) {
  // Tensors come and go like the layers of passes of different lengths: the addresses in use stay near the
  // peak.
  Rng rng(9, "arena");
  reset_memory_peaks();
  const size_t start = use_of(kArena).live;
  std::byte *low = nullptr, *high = nullptr;
  for (int pass = 0; pass < 300; ++pass) {
    const size_t tokens = 10 + rng.below(500);
    std::vector<std::pair<std::byte*, size_t>> saved;
    for (int layer = 0; layer < 8; ++layer) {
      const size_t wide = tokens * 6000, narrow = tokens * 2304;
      std::byte* temporary = take(wide);
      saved.emplace_back(take(narrow), narrow);
      free_host(temporary, wide, kArena);
      for (std::byte* p : {temporary, saved.back().first}) {
        low = low ? std::min(low, p) : p;
        high = std::max(high, p + wide);
      }
    }
    for (; !saved.empty(); saved.pop_back()) free_host(saved.back().first, saved.back().second, kArena);
  }
  EXPECT_LE(static_cast<size_t>(high - low), 2 * (use_of(kArena).peak - start));
}

TEST(Arena, resident_memory_follows_what_was_touched) {
  const size_t before = resident_bytes();
  std::byte* p = take(64 * kMega);
  EXPECT_LE(resident_bytes(), before + 40 * kMega);  // reserving costs nothing
  std::memset(p, 1, 64 * kMega);
  EXPECT_GE(resident_bytes(), before + 24 * kMega);
  EXPECT_GE(peak_resident_bytes() + kMega, resident_bytes());
  free_host(p, 64 * kMega, kArena);
}

#endif

TEST(Allocation, is_safe_from_many_threads) {
  const auto before = memory_use();
  std::vector<std::thread> threads;
  std::atomic<int> broken{0};
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([t, &broken] {
      Rng rng(t, "threads");
      for (int i = 0; i < 2000; ++i) {
        const auto c = static_cast<MemoryClass>(rng.below(kMemoryClasses));
        const size_t bytes = 1 + rng.below(5000);
        auto* p = static_cast<uint8_t*>(allocate_host(bytes, c));
        std::memset(p, static_cast<int>(t), bytes);
        if (i % 16 == 0) std::this_thread::yield();
        for (size_t b = 0; b < bytes; b += 97) broken += p[b] != t;
        free_host(p, bytes, c);
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(broken, 0);
  const auto after = memory_use();
  for (size_t i = 0; i < kMemoryClasses; ++i) EXPECT_EQ(after[i].live, before[i].live);
}

}  // namespace
}  // namespace ft
