// Memory by purpose. Two kinds of life:
//   long  - weights, trainables, gradients, optimizer state: as long as the model;
//   short - activations and workspace.
// Each kind has one arena: best fit with coalescing inside one reserved range of addresses on huge pages (a
// product that streams weights would miss the TLB all the time on small ones), so that the resident size is
// the arena's high-water mark and ragged shapes do not hoard. The long one gives freed pages back.
// Every byte is counted by class; peaks are exact (they do not depend on the operating system).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ft {

enum class MemoryClass : uint8_t { weights, trainable, gradients, optimizer, activations, workspace };
constexpr int kMemoryClasses = 6;
std::string_view memory_class_name(MemoryClass c);

struct MemoryUse {
  size_t live = 0, peak = 0;
};

/// Bytes in use now and at most so far, by class. Thread-safe.
std::array<MemoryUse, kMemoryClasses> memory_use();
/// Forgets the peaks (live bytes stay).
void reset_memory_peaks();
/// Highest resident set size of this process so far, in bytes.
size_t peak_resident_bytes();
/// Resident set size of this process now, in bytes.
size_t resident_bytes();

/// For allocators of other memories: counts a block that came or went. Thread-safe.
void count_allocated(MemoryClass c, size_t bytes);
void count_freed(MemoryClass c, size_t bytes) noexcept;

/// 64-byte aligned host memory, not initialised. Throws ft::Error when there is none. Thread-safe.
void* allocate_host(size_t bytes, MemoryClass c);
void free_host(void* p, size_t bytes, MemoryClass c) noexcept;

}  // namespace ft
