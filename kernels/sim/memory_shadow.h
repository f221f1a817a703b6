// What the checkers know of each byte of device memory: whether it was ever written, and which blocks of the
// current launch touched it. Kept in pages that exist once something was noted there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace ft::sim {

struct ShadowPage {
  static constexpr uint64_t bytes = 4096;
  std::array<uint8_t, bytes> written{};
  std::array<uint8_t, bytes> atomic{};             // the writer of this launch used an atomic
  std::array<uint32_t, bytes> writer{}, reader{};  // block + 1 of launch `launch`, 0: none
  uint64_t launch = 0;
};
constexpr uint32_t several_blocks = UINT32_MAX;

struct Shadow {
  bool initialised = true;  // what pages that do not exist yet say; false: memory fresh from cudaMalloc
  std::vector<std::unique_ptr<ShadowPage>> pages;

  ShadowPage& page(uint64_t offset) {
    const uint64_t index = offset / ShadowPage::bytes;
    if (index >= pages.size()) pages.resize(index + 1);
    if (!pages[index]) {
      pages[index] = std::make_unique<ShadowPage>();
      pages[index]->written.fill(initialised);
    }
    return *pages[index];
  }
};

/// The host or a copy wrote these bytes: they are initialised, if they are device memory at all.
void mark_written(const void* p, size_t bytes);
/// These bytes are as fresh from an allocation: filled with NaN patterns and, where that is checked, not
/// initialised.
void mark_fresh(void* p, size_t bytes);
/// Reports bytes that a library call `who` reads before anyone wrote them, when that is checked.
void check_read(const char* who, const void* p, size_t bytes);
/// A copy: device to device takes the marks along.
void mark_copied(const void* to, const void* from, size_t bytes);

}  // namespace ft::sim
