// Launchers of tests/sim/kernels.cu. All pointers are device memory unless named host_.
#pragma once

#include <cstdint>

namespace ft::sim::test {

void add(const float* a, const float* b, float* out, int n);
void reduce(const float* x, float* out, int rows, int n);  // out[rows] = sums of x[rows, n]
void doubles(const double* x, double* out, int n);
void dynamic_shared(const int* x, int* out, int n);                     // reversal
void constant(const float* host_table, float* out, int* host_counter);  // out[64]
void divergence(int* out, int n);
void atomics(const int* keys, int* histogram, float* sum, unsigned long long* most, int n);
void halves(const float* x, float* out, int n);  // out[n, 4]
void math(const float* x, float* out, int n);    // out[n, 8]
void mma(const uint16_t* a, const uint16_t* b, float* c, int m, int n, int k,
         bool half = false);         // of f16 or bf16, b is [N, K]
void votes(const int* x, int* out);  // x[32], out[32, 5]
struct Weights {
  double unused;
  float scale[4];
  float offset;
};
void structs(const Weights& w, float* out);  // out[32]
void out_of_bounds(float* out, int n);       // writes out[n .. n+31]

}  // namespace ft::sim::test
