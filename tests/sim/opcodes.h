// Single PTX instructions on arrays of bit patterns; see opcodes_test.cpp.
#pragma once

#include <cstdint>

namespace ft::sim::test {

constexpr int integer_opcodes = 30, float_opcodes = 34, wide_opcodes = 12;

/// out[n, integer_opcodes] from 32-bit operands.
void run_integer_opcodes(const uint32_t* a, const uint32_t* b, const uint32_t* c, uint32_t* out, int n);
/// out[n, float_opcodes]; a, b, c hold float32 bits.
void run_float_opcodes(const uint32_t* a, const uint32_t* b, const uint32_t* c, uint32_t* out, int n);
/// out[n, wide_opcodes] from 64-bit operands.
void run_wide_opcodes(const uint64_t* a, const uint64_t* b, uint64_t* out, int n);

}  // namespace ft::sim::test
