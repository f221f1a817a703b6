#include "engine/core/memory.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>

#include "engine/core/check.h"

namespace ft {
namespace {

#ifdef FT_SANITIZE
constexpr bool kPlainMalloc = true;  // let the sanitizer see every tensor as a block of its own
#else
constexpr bool kPlainMalloc = false;
#endif
constexpr size_t kAlign = 64;
constexpr size_t kHugePage = size_t{1} << 21;
size_t round_up(size_t n, size_t to) {
  return (n + to - 1) / to * to;
}

struct Counter {
  std::atomic<size_t> live{0}, peak{0};
};
std::array<Counter, kMemoryClasses> counters;

// Best fit over free blocks of one address range of huge pages; neighbours merge when freed.
class Arena {
 public:
  /// `gives_back`: pages that nothing uses any more go back to the system.
  explicit Arena(bool gives_back) : gives_back_(gives_back) {}

  void* allocate(size_t bytes) {
    std::lock_guard lock(mutex_);
    if (!base_) reserve();
    auto fit = by_size_.lower_bound({bytes, 0});
    if (fit == by_size_.end()) return nullptr;
    const auto [size, offset] = *fit;
    by_size_.erase(fit);
    by_offset_.erase(offset);
    if (size > bytes) insert(offset + bytes, size - bytes);
    return base_ + offset;
  }

  void release(void* p, size_t bytes) {
    std::lock_guard lock(mutex_);
    size_t offset = static_cast<size_t>(static_cast<std::byte*>(p) - base_), size = bytes;
    auto next = by_offset_.lower_bound(offset);
    if (next != by_offset_.end() && next->first == offset + size) {
      size += next->second;
      by_size_.erase({next->second, next->first});
      next = by_offset_.erase(next);
    }
    if (next != by_offset_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == offset) {
        offset = before->first;
        size += before->second;
        by_size_.erase({before->second, before->first});
        by_offset_.erase(before);
      }
    }
    insert(offset, size);
    if (!gives_back_) return;
    // Pages that this block touched and nothing uses now, be the rest of them its neighbours'.
    const size_t begin = static_cast<size_t>(static_cast<std::byte*>(p) - base_);
    const size_t first = std::max(round_up(offset, kHugePage), begin / kHugePage * kHugePage),
                 end = std::min((offset + size) / kHugePage * kHugePage, round_up(begin + bytes, kHugePage));
    if (first < end) madvise(base_ + first, end - first, MADV_DONTNEED);
  }

 private:
  void reserve() {
    for (size_t bytes = size_t{1} << 40; bytes >= size_t{1} << 30; bytes >>= 1) {
      void* p =
          mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (p == MAP_FAILED) continue;
      madvise(p, bytes, MADV_HUGEPAGE);
      const size_t skip = round_up(reinterpret_cast<size_t>(p), kHugePage) - reinterpret_cast<size_t>(p);
      base_ = static_cast<std::byte*>(p) + skip;
      insert(0, bytes - skip);
      return;
    }
    fail(
        "[memory] the system refuses to reserve addresses for tensors; raise the limit on virtual memory "
        "(ulimit -v)");
  }
  void insert(size_t offset, size_t size) {
    by_offset_[offset] = size;
    by_size_.insert({size, offset});
  }

  const bool gives_back_;
  std::mutex mutex_;
  std::byte* base_ = nullptr;
  std::map<size_t, size_t> by_offset_;           // offset -> size of a free block
  std::set<std::pair<size_t, size_t>> by_size_;  // (size, offset): lower_bound is the best fit, lowest first
};

Arena& arena(MemoryClass c) {
  static Arena* long_lived = new Arena(true);  // both outlive every static tensor
  static Arena* short_lived = new Arena(false);
  return c == MemoryClass::activations || c == MemoryClass::workspace ? *short_lived : *long_lived;
}

}  // namespace

std::string_view memory_class_name(MemoryClass c) {
  constexpr std::array<std::string_view, kMemoryClasses> names = {"weights",   "trainable",   "gradients",
                                                                  "optimizer", "activations", "workspace"};
  return names[static_cast<size_t>(c)];
}

std::array<MemoryUse, kMemoryClasses> memory_use() {
  std::array<MemoryUse, kMemoryClasses> use;
  for (int i = 0; i < kMemoryClasses; ++i) use[i] = {counters[i].live.load(), counters[i].peak.load()};
  return use;
}

void reset_memory_peaks() {
  for (Counter& k : counters) k.peak.store(k.live.load());
}

size_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<size_t>(usage.ru_maxrss) * 1024;
}

size_t resident_bytes() {
  size_t pages = 0;
  if (FILE* f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%*s %zu", &pages) != 1) pages = 0;
    std::fclose(f);
  }
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

void count_allocated(MemoryClass c, size_t bytes) {
  Counter& k = counters[static_cast<size_t>(c)];
  const size_t now = k.live.fetch_add(bytes) + bytes;
  size_t seen = k.peak.load();
  while (seen < now && !k.peak.compare_exchange_weak(seen, now)) {
  }
}

void count_freed(MemoryClass c, size_t bytes) noexcept {
  counters[static_cast<size_t>(c)].live.fetch_sub(bytes);
}

void* allocate_host(size_t bytes, MemoryClass c) {
  const size_t size = round_up(bytes ? bytes : 1, kAlign);
  void* p = nullptr;
  if (kPlainMalloc)
    p = std::aligned_alloc(kAlign, size);
  else
    p = arena(c).allocate(size);
  if (!p) fail("[memory] no room for {} more bytes of {}", bytes, memory_class_name(c));
  count_allocated(c, size);
  return p;
}

void free_host(void* p, size_t bytes, MemoryClass c) noexcept {
  if (!p) return;
  const size_t size = round_up(bytes ? bytes : 1, kAlign);
  count_freed(c, size);
  if (kPlainMalloc)
    std::free(p);
  else
    arena(c).release(p, size);
}

}  // namespace ft
