#include "kernels/sim/memory_table.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "kernels/sim/memory_shadow.h"
#include "kernels/sim/sim.h"

namespace ft::sim {
namespace {

constexpr size_t alignment = 512;
constexpr size_t most_freed = 256;

std::string describe(const Allocation& a, uint64_t address) {
  const char* kind = a.kind == MemoryKind::pinned ? "pinned host memory" : "device memory";
  std::string what = a.name.empty() ? fmt::format("allocation {} ({} bytes of {})", a.number, a.size, kind)
                                    : fmt::format("variable {} ({} bytes)", a.name, a.size);
  if (address < a.begin) return fmt::format("{} bytes before {}", a.begin - address, what);
  if (address >= a.end()) return fmt::format("{} bytes after the end of {}", address - a.end(), what);
  return fmt::format("byte {} of {}", address - a.begin, what);
}

}  // namespace

const Allocation* MemoryTable::Snapshot::find(uint64_t address) const {
  auto after = std::upper_bound(live.begin(), live.end(), address,
                                [](uint64_t at, const Allocation& a) { return at < a.begin; });
  if (after == live.begin()) return nullptr;
  --after;
  return address < after->end() ? &*after : nullptr;
}

std::string MemoryTable::Snapshot::nearest(uint64_t address) const {
  if (const Allocation* hit = find(address)) return describe(*hit, address);
  for (size_t i = freed.size(); i-- > 0;) {
    if (address >= freed[i].begin && address < freed[i].end()) {
      return fmt::format("{}, which is freed", describe(freed[i], address));
    }
  }
  if (address < 4096) return "a null pointer";
  const Allocation* best = nullptr;
  uint64_t distance = UINT64_MAX;
  for (const Allocation& a : live) {
    const uint64_t d = address < a.begin ? a.begin - address : address - a.end();
    if (d < distance) {
      distance = d;
      best = &a;
    }
  }
  if (best == nullptr || distance > (uint64_t{1} << 32)) return "near no allocation (a host pointer?)";
  return describe(*best, address);
}

MemoryTable& MemoryTable::get() {
  static MemoryTable* table = new MemoryTable;  // outlives every static destructor that frees memory
  return *table;
}

void* MemoryTable::allocate(size_t bytes, MemoryKind kind) {
  // At least one unused byte behind, so that an access past the end hits no neighbour.
  const size_t rounded = (bytes + alignment) / alignment * alignment;
  if (rounded < bytes) return nullptr;
  void* p = std::aligned_alloc(alignment, rounded);
  if (p == nullptr) return nullptr;
  std::memset(p, 0xff, rounded);
  std::lock_guard lock(mutex_);
  Allocation a;
  a.begin = reinterpret_cast<uint64_t>(p);
  a.size = bytes;
  a.kind = kind;
  a.number = ++number_;
  a.shadow = std::make_shared<Shadow>();
  // The host writes pinned memory unseen.
  a.shadow->initialised = kind == MemoryKind::pinned || !settings().check_initialised;
  live_[a.begin] = a;
  // Freed ranges that the host gave out again are no longer what an address in them is near to.
  std::erase_if(freed_,
                [&](const Allocation& f) { return f.begin < a.begin + rounded && a.begin < f.end(); });
  snapshot_.reset();
  if (kind == MemoryKind::device) peak_ = std::max(peak_, used_ += bytes);
  return p;
}

bool MemoryTable::release(void* p, MemoryKind kind) {
  std::lock_guard lock(mutex_);
  const auto found = live_.find(reinterpret_cast<uint64_t>(p));
  if (found == live_.end() || found->second.kind != kind) return false;
  if (kind == MemoryKind::device) used_ -= found->second.size;
  found->second.shadow.reset();
  if (freed_.size() >= most_freed) freed_.erase(freed_.begin());
  freed_.push_back(found->second);
  live_.erase(found);
  snapshot_.reset();
  std::free(p);
  return true;
}

void MemoryTable::add_variable(void* p, size_t bytes, MemoryKind kind, std::string name) {
  std::lock_guard lock(mutex_);
  Allocation a;
  a.begin = reinterpret_cast<uint64_t>(p);
  a.size = bytes;
  a.kind = kind;
  a.number = ++number_;
  a.name = std::move(name);
  a.shadow = std::make_shared<Shadow>();
  live_[a.begin] = std::move(a);
  snapshot_.reset();
}

std::shared_ptr<const MemoryTable::Snapshot> MemoryTable::snapshot() {
  std::lock_guard lock(mutex_);
  if (!snapshot_) {
    auto fresh = std::make_shared<Snapshot>();
    for (const auto& [begin, a] : live_) fresh->live.push_back(a);
    fresh->freed = freed_;
    snapshot_ = fresh;
  }
  return snapshot_;
}

}  // namespace ft::sim
