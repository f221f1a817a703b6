// Host-side marks. They are one flag test for memory that was allocated while initialisation was not checked.
#include "kernels/sim/memory_shadow.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "kernels/sim/checker.h"

namespace ft::sim {
namespace {

// Calls f(shadow, offset, bytes) for the part of [p, p + bytes) that lies in an allocation with marks of its
// own.
template <class F>
void in_shadow(const void* p, size_t bytes, F f) {
  const auto table = MemoryTable::get().snapshot();
  const auto at = reinterpret_cast<uint64_t>(p);
  const Allocation* hit = table->find(at);
  if (hit == nullptr || !hit->shadow || hit->shadow->initialised) return;
  f(*hit->shadow, at - hit->begin, std::min<uint64_t>(bytes, hit->end() - at));
}

void mark(Shadow& shadow, uint64_t offset, uint64_t bytes, bool written) {
  while (bytes > 0) {
    const uint64_t first = offset % ShadowPage::bytes, count = std::min(bytes, ShadowPage::bytes - first);
    auto& page = shadow.page(offset);
    std::fill_n(page.written.begin() + static_cast<std::ptrdiff_t>(first), count, written);
    offset += count;
    bytes -= count;
  }
}

// Offset of the first unwritten byte, or `bytes`.
uint64_t first_unwritten(Shadow& shadow, uint64_t offset, uint64_t bytes) {
  for (uint64_t i = 0; i < bytes; ++i) {
    if (!shadow.page(offset + i).written[(offset + i) % ShadowPage::bytes]) return i;
  }
  return bytes;
}

}  // namespace

void mark_written(const void* p, size_t bytes) {
  in_shadow(p, bytes, [](Shadow& shadow, uint64_t offset, uint64_t n) { mark(shadow, offset, n, true); });
}

void mark_fresh(void* p, size_t bytes) {
  std::memset(p, 0xff, bytes);
  in_shadow(p, bytes, [](Shadow& shadow, uint64_t offset, uint64_t n) { mark(shadow, offset, n, false); });
}

void check_read(const char* who, const void* p, size_t bytes) {
  if (!settings().check_initialised) return;
  in_shadow(p, bytes, [&](Shadow& shadow, uint64_t offset, uint64_t n) {
    const uint64_t at = first_unwritten(shadow, offset, n);
    if (at == n) return;
    report("uninitialised", who, "reads", fmt::format("byte {} of {} was never written", at, n));
  });
}

void mark_copied(const void* to, const void* from, size_t bytes) {
  in_shadow(to, bytes, [&](Shadow& shadow, uint64_t offset, uint64_t n) {
    mark(shadow, offset, n, true);
    in_shadow(from, n, [&](Shadow& source, uint64_t source_offset, uint64_t m) {
      for (uint64_t i = 0; i < m; ++i) {
        const uint64_t s = source_offset + i, d = offset + i;
        shadow.page(d).written[d % ShadowPage::bytes] = source.page(s).written[s % ShadowPage::bytes];
      }
    });
  });
}

}  // namespace ft::sim
