// One line an opcode: inline PTX that neither compiler can fold. The numbering is that of opcodes_test.cpp.
#include "tests/sim/opcodes.h"

#include <cuda_runtime.h>

namespace ft::sim::test {
namespace {

using U = uint32_t;

__global__ void integer_kernel(const U* pa, const U* pb, const U* pc, U* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const U a = pa[i], b = pb[i], c = pc[i];
  U* d = out + i * integer_opcodes;
  asm volatile("add.sat.s32 %0, %1, %2;" : "=r"(d[0]) : "r"(a), "r"(b));
  asm volatile("mul.hi.s32 %0, %1, %2;" : "=r"(d[1]) : "r"(a), "r"(b));
  asm volatile("mul.hi.u32 %0, %1, %2;" : "=r"(d[2]) : "r"(a), "r"(b));
  asm volatile("mad.lo.s32 %0, %1, %2, %3;" : "=r"(d[3]) : "r"(a), "r"(b), "r"(c));
  asm volatile("div.s32 %0, %1, %2;" : "=r"(d[4]) : "r"(a), "r"(b | 1));
  asm volatile("rem.s32 %0, %1, %2;" : "=r"(d[5]) : "r"(a), "r"(b | 1));
  asm volatile("div.u32 %0, %1, %2;" : "=r"(d[6]) : "r"(a), "r"(b | 1));
  asm volatile("min.s32 %0, %1, %2;" : "=r"(d[7]) : "r"(a), "r"(b));
  asm volatile("max.u32 %0, %1, %2;" : "=r"(d[8]) : "r"(a), "r"(b));
  asm volatile("abs.s32 %0, %1;" : "=r"(d[9]) : "r"(a));
  asm volatile("sad.u32 %0, %1, %2, %3;" : "=r"(d[10]) : "r"(a), "r"(b), "r"(c));
  asm volatile("shl.b32 %0, %1, %2;" : "=r"(d[11]) : "r"(a), "r"(c & 63));
  asm volatile("shr.u32 %0, %1, %2;" : "=r"(d[12]) : "r"(a), "r"(c & 63));
  asm volatile("shr.s32 %0, %1, %2;" : "=r"(d[13]) : "r"(a), "r"(c & 63));
  asm volatile("shf.l.wrap.b32 %0, %1, %2, %3;" : "=r"(d[14]) : "r"(a), "r"(b), "r"(c));
  asm volatile("shf.r.clamp.b32 %0, %1, %2, %3;" : "=r"(d[15]) : "r"(a), "r"(b), "r"(c & 63));
  asm volatile("prmt.b32 %0, %1, %2, %3;" : "=r"(d[16]) : "r"(a), "r"(b), "r"(c));
  asm volatile("bfe.u32 %0, %1, %2, %3;" : "=r"(d[17]) : "r"(a), "r"(b & 63), "r"(c & 63));
  asm volatile("bfe.s32 %0, %1, %2, %3;" : "=r"(d[18]) : "r"(a), "r"(b & 63), "r"(c & 63));
  asm volatile("bfi.b32 %0, %1, %2, %3, %4;" : "=r"(d[19]) : "r"(a), "r"(b), "r"(c & 63), "r"(c >> 8 & 63));
  asm volatile("popc.b32 %0, %1;" : "=r"(d[20]) : "r"(a));
  asm volatile("clz.b32 %0, %1;" : "=r"(d[21]) : "r"(a));
  asm volatile("brev.b32 %0, %1;" : "=r"(d[22]) : "r"(a));
  asm volatile("bfind.u32 %0, %1;" : "=r"(d[23]) : "r"(a));
  asm volatile("bfind.s32 %0, %1;" : "=r"(d[24]) : "r"(a));
  asm volatile("lop3.b32 %0, %1, %2, %3, 0xE2;" : "=r"(d[25]) : "r"(a), "r"(b), "r"(c));
  asm volatile("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(d[26]) : "r"(a), "r"(b), "r"(c));
  asm volatile("dp4a.u32.u32 %0, %1, %2, %3;" : "=r"(d[27]) : "r"(a), "r"(b), "r"(c));
  asm volatile("slct.u32.s32 %0, %1, %2, %3;" : "=r"(d[28]) : "r"(a), "r"(b), "r"(c));
  asm volatile("{ .reg .pred p, q; setp.lt.s32 p|q, %1, %2; selp.b32 %0, 1, 0, p; @q add.s32 %0, %0, 2; }"
               : "=r"(d[29])
               : "r"(a), "r"(b));
}

__global__ void float_kernel(const U* pa, const U* pb, const U* pc, U* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const U a = pa[i], b = pb[i], c = pc[i];
  U* d = out + i * float_opcodes;
  asm volatile("add.rn.f32 %0, %1, %2;" : "=r"(d[0]) : "r"(a), "r"(b));
  asm volatile("add.rz.f32 %0, %1, %2;" : "=r"(d[1]) : "r"(a), "r"(b));
  asm volatile("sub.rm.f32 %0, %1, %2;" : "=r"(d[2]) : "r"(a), "r"(b));
  asm volatile("mul.rp.f32 %0, %1, %2;" : "=r"(d[3]) : "r"(a), "r"(b));
  asm volatile("fma.rn.f32 %0, %1, %2, %3;" : "=r"(d[4]) : "r"(a), "r"(b), "r"(c));
  asm volatile("fma.rz.f32 %0, %1, %2, %3;" : "=r"(d[5]) : "r"(a), "r"(b), "r"(c));
  asm volatile("fma.rm.f32 %0, %1, %2, %3;" : "=r"(d[6]) : "r"(a), "r"(b), "r"(c));
  asm volatile("div.rn.f32 %0, %1, %2;" : "=r"(d[7]) : "r"(a), "r"(b));
  asm volatile("sqrt.rn.f32 %0, %1;" : "=r"(d[8]) : "r"(a));
  asm volatile("min.f32 %0, %1, %2;" : "=r"(d[9]) : "r"(a), "r"(b));
  asm volatile("max.f32 %0, %1, %2;" : "=r"(d[10]) : "r"(a), "r"(b));
  asm volatile("max.NaN.f32 %0, %1, %2;" : "=r"(d[11]) : "r"(a), "r"(b));
  asm volatile("add.ftz.f32 %0, %1, %2;" : "=r"(d[12]) : "r"(a), "r"(b));
  asm volatile("add.sat.f32 %0, %1, %2;" : "=r"(d[13]) : "r"(a), "r"(b));
  asm volatile("cvt.rzi.s32.f32 %0, %1;" : "=r"(d[14]) : "r"(a));
  asm volatile("cvt.rni.s32.f32 %0, %1;" : "=r"(d[15]) : "r"(a));
  asm volatile("cvt.rmi.u32.f32 %0, %1;" : "=r"(d[16]) : "r"(a));
  asm volatile("cvt.rpi.f32.f32 %0, %1;" : "=r"(d[17]) : "r"(a));
  asm volatile("cvt.rn.f32.s32 %0, %1;" : "=r"(d[18]) : "r"(a));
  asm volatile("cvt.rn.f32.u32 %0, %1;" : "=r"(d[19]) : "r"(a));
  asm volatile("cvt.rz.f32.u32 %0, %1;" : "=r"(d[20]) : "r"(a));
  asm volatile("{ .reg .b16 h; cvt.rn.f16.f32 h, %1; cvt.u32.u16 %0, h; }" : "=r"(d[21]) : "r"(a));
  asm volatile("{ .reg .b16 h; cvt.rn.bf16.f32 h, %1; cvt.u32.u16 %0, h; }" : "=r"(d[22]) : "r"(a));
  asm volatile("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d[23]) : "r"(a), "r"(b));
  asm volatile("cvt.rna.tf32.f32 %0, %1;" : "=r"(d[24]) : "r"(a));
  asm volatile("{ .reg .b16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, h; }" : "=r"(d[25]) : "r"(a));
  asm volatile("{ .reg .pred p; setp.equ.f32 p, %1, %2; selp.b32 %0, 1, 0, p; }"
               : "=r"(d[26])
               : "r"(a), "r"(b));
  asm volatile("{ .reg .pred p; setp.ne.f32 p, %1, %2; selp.b32 %0, 1, 0, p; }"
               : "=r"(d[27])
               : "r"(a), "r"(b));
  asm volatile("{ .reg .pred p; setp.ltu.f32 p, %1, %2; selp.b32 %0, 1, 0, p; }"
               : "=r"(d[28])
               : "r"(a), "r"(b));
  asm volatile("{ .reg .pred p; setp.nan.f32 p, %1, %2; selp.b32 %0, 1, 0, p; }"
               : "=r"(d[29])
               : "r"(a), "r"(b));
  asm volatile("copysign.f32 %0, %1, %2;" : "=r"(d[30]) : "r"(a), "r"(b));
  asm volatile("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(d[31]) : "r"(a), "r"(b), "r"(c));
  asm volatile("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d[32]) : "r"(a), "r"(b), "r"(c));
  asm volatile("ex2.approx.f32 %0, %1;" : "=r"(d[33]) : "r"(a));
}

__global__ void wide_kernel(const uint64_t* pa, const uint64_t* pb, uint64_t* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const uint64_t a = pa[i], b = pb[i];
  uint64_t* d = out + i * wide_opcodes;
  asm volatile("mul.hi.u64 %0, %1, %2;" : "=l"(d[0]) : "l"(a), "l"(b));
  asm volatile("mul.hi.s64 %0, %1, %2;" : "=l"(d[1]) : "l"(a), "l"(b));
  asm volatile("mul.wide.s32 %0, %1, %2;" : "=l"(d[2]) : "r"((U)a), "r"((U)b));
  asm volatile("mad.wide.u32 %0, %1, %2, %3;" : "=l"(d[3]) : "r"((U)a), "r"((U)b), "l"(b));
  asm volatile("div.s64 %0, %1, %2;" : "=l"(d[4]) : "l"(a), "l"(b | 1));
  asm volatile("shr.s64 %0, %1, %2;" : "=l"(d[5]) : "l"(a), "r"((U)b & 127));
  asm volatile("bfe.s64 %0, %1, %2, %3;" : "=l"(d[6]) : "l"(a), "r"((U)b & 63), "r"((U)(b >> 8) & 63));
  asm volatile("cvt.rn.f64.s64 %0, %1;" : "=l"(d[7]) : "l"(a));
  asm volatile("cvt.rzi.s64.f64 %0, %1;" : "=l"(d[8]) : "l"(a));
  asm volatile("fma.rn.f64 %0, %1, %2, %1;" : "=l"(d[9]) : "l"(a), "l"(b));
  asm volatile("{ .reg .f32 f; cvt.rm.f32.f64 f, %1; cvt.f64.f32 %0, f; }" : "=l"(d[10]) : "l"(a));
  asm volatile("{ .reg .b32 l, h; mov.b64 {l, h}, %1; mov.b64 %0, {h, l}; }" : "=l"(d[11]) : "l"(a));
}

}  // namespace

void run_integer_opcodes(const U* a, const U* b, const U* c, U* out, int n) {
  integer_kernel<<<(n + 63) / 64, 64>>>(a, b, c, out, n);
}
void run_float_opcodes(const U* a, const U* b, const U* c, U* out, int n) {
  float_kernel<<<(n + 63) / 64, 64>>>(a, b, c, out, n);
}
void run_wide_opcodes(const uint64_t* a, const uint64_t* b, uint64_t* out, int n) {
  wide_kernel<<<(n + 63) / 64, 64>>>(a, b, out, n);
}

}  // namespace ft::sim::test
