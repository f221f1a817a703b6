// Working memory of a kernel's task: one buffer a thread, kept between calls and grown when a task needs
// more, so that a task of a few microseconds does not pay for page faults. Counted as workspace.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/core/memory.h"

namespace ft {

/// Hands out 64-byte aligned pieces of the calling thread's buffer; they are valid until the next Scratch is
/// made on this thread, and not initialised. `bytes` is an upper bound of all pieces together: see piece().
class Scratch {
 public:
  explicit Scratch(size_t bytes) : next_(buffer(bytes)) {}
  template <class T>
  T* take(int64_t count) {
    T* p = reinterpret_cast<T*>(next_);
    next_ += piece<T>(count);
    return p;
  }
  /// Bytes that take<T>(count) uses up.
  template <class T>
  static constexpr size_t piece(int64_t count) {
    return (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;
  }

 private:
  static std::byte* buffer(size_t bytes) {
    struct Owner {
      void* p = nullptr;
      size_t bytes = 0;
      ~Owner() { free_host(p, bytes, MemoryClass::workspace); }
    };
    thread_local Owner owner;
    if (owner.bytes < bytes) {
      free_host(owner.p, owner.bytes, MemoryClass::workspace);
      owner = {};
      owner.p = allocate_host(bytes, MemoryClass::workspace);
      owner.bytes = bytes;
    }
    return static_cast<std::byte*>(owner.p);
  }

  std::byte* next_;
};

}  // namespace ft
