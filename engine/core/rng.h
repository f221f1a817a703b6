// Counter-based random numbers (Philox-4x32-10; Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011): a number is a function of (key, counter) alone, so it is the same on every device, for any number
// of threads, under recompute and after a resume.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace ft {

using Philox4 = std::array<uint32_t, 4>;

inline Philox4 philox(Philox4 counter, uint64_t key) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * counter[0], p1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return counter;
}

/// Mixes two words into a key (splitmix64's finaliser).
inline uint64_t mix_key(uint64_t a, uint64_t b) {
  uint64_t z = a + 0x9E3779B97F4A7C15ull * (b + 1);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

/// FNV-1a of a name: what makes the streams of two tensors differ.
inline uint64_t hash_name(std::string_view name) {
  uint64_t h = 0xCBF29CE484222325ull;
  for (const char c : name) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001B3ull;
  return h;
}

/// [0, 1) with 24 bits.
inline float unit_float(uint32_t bits) {
  return static_cast<float>(bits >> 8) * 0x1p-24f;
}

/// A sequence of numbers for initialisation, shuffling and sampling: stream (seed, name), one counter.
class Rng {
 public:
  Rng(uint64_t seed, std::string_view name) : key_(mix_key(seed, hash_name(name))) {}
  uint32_t next() {
    if (used_ == 4) {
      block_ = philox({static_cast<uint32_t>(count_), static_cast<uint32_t>(count_ >> 32), 0, 0}, key_);
      ++count_;
      used_ = 0;
    }
    return block_[used_++];
  }
  float uniform() { return unit_float(next()); }
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  /// Standard normal by Box and Muller.
  float normal() {
    const double u = (next() + 1.0) * 0x1p-32, v = next() * 0x1p-32;
    return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v));
  }
  /// Uniform in [0, n), without bias; n >= 1.
  uint32_t below(uint32_t n) {
    const uint32_t limit = static_cast<uint32_t>(-n) % n;  // 2^32 mod n
    uint32_t x = next();
    while (x < limit) x = next();
    return x % n;
  }

 private:
  uint64_t key_, count_ = 0;
  Philox4 block_{};
  int used_ = 4;
};

/// Key of all dropout of one optimizer step.
inline uint64_t dropout_key(uint64_t seed, uint64_t step) {
  return mix_key(mix_key(seed, 0x64726f70), step);
}

/// The four random words of elements 4*block … 4*block+3 of a token's feature vector at a dropout site.
inline Philox4 dropout_bits(uint64_t key, uint32_t site, uint32_t row, uint32_t position, uint32_t block) {
  return philox({block, position, row, site}, key);
}

}  // namespace ft
