// All device memory of the simulator, by address. Device pointers are host addresses; an address that lies in
// no live allocation is an error that names the nearest one. Freed ranges are remembered for the message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace ft::sim {

enum class MemoryKind : uint8_t { device, pinned, constant, global };

/// Shadow bytes of one allocation: what the checkers know of each byte. Empty when nothing is checked.
struct Shadow;

struct Allocation {
  uint64_t begin = 0;
  uint64_t size = 0;
  MemoryKind kind = MemoryKind::device;
  uint64_t number = 0;  // order of allocation, from 1
  std::string name;     // of a variable
  std::shared_ptr<Shadow> shadow;
  uint64_t end() const { return begin + size; }
};

class MemoryTable {
 public:
  /// Sorted by address; immutable, so that running blocks need no lock.
  struct Snapshot {
    std::vector<Allocation> live;
    std::vector<Allocation> freed;  // latest last, some hundred
    const Allocation* find(uint64_t address) const;
    std::string nearest(uint64_t address) const;
  };

  static MemoryTable& get();

  /// 512-byte aligned memory, filled with 0xff (NaN in every float format). Null when the host has no more.
  void* allocate(size_t bytes, MemoryKind kind);
  /// False if p is not the start of a live allocation of that kind.
  bool release(void* p, MemoryKind kind);
  void add_variable(void* p, size_t bytes, MemoryKind kind, std::string name);
  std::shared_ptr<const Snapshot> snapshot();
  uint64_t used_bytes() const { return used_; }
  uint64_t peak_bytes() const { return peak_; }

 private:
  std::mutex mutex_;
  std::map<uint64_t, Allocation> live_;
  std::vector<Allocation> freed_;
  std::shared_ptr<const Snapshot> snapshot_;
  uint64_t number_ = 0, used_ = 0, peak_ = 0;
};

}  // namespace ft::sim
