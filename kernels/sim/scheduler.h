// Small things that the scheduler shares with the opcode tables and the checkers.
#pragma once

#include <cstdint>

namespace ft::sim {

enum BarrierMode : uint8_t { barrier_sync, barrier_arrive, barrier_popc, barrier_and, barrier_or };

/// splitmix64: the order of warps and blocks from a seed.
class Random {
 public:
  Random(uint64_t seed, uint64_t stream)
      : state_(seed * 0x9e3779b97f4a7c15ull + stream * 0xd1342543de82ef95ull + 1) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  /// In [0, n); n > 0.
  uint64_t below(uint64_t n) { return next() % n; }

 private:
  uint64_t state_;
};

}  // namespace ft::sim
