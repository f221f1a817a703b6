// Seeded bugs: each is one line of a kernel that is right without it.
#include "tests/sim/mutants.h"

#include <cuda_runtime.h>

namespace ft::sim::test {
namespace {

__device__ unsigned shared_address(const void* p) {
  return (unsigned)__cvta_generic_to_shared(p);
}

template <int bytes>
__device__ void copy_async(void* to, const void* from) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(shared_address(to)), "l"(from), "n"(bytes));
}

// Four warps, warp w rows 16 w ..; each 32 columns as four tiles of 8. Two stages of 32 along K.
template <Bug bug>
__global__ void __launch_bounds__(128) product_kernel(const uint16_t* a, const uint16_t* b, float* c, int k) {
  constexpr int pad = bug == Bug::unpadded_tile ? 0 : 8;
  __shared__ __align__(16) uint16_t tile_a[2][64][32 + pad], tile_b[2][32][32 + pad];
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  float acc[4][4] = {};
  const auto load = [&](int stage, int k0) {
    for (int i = thread; i < 64 * 4; i += 128) {
      const uint16_t* from = a + (i / 4) * k + k0 + i % 4 * 8;
      if (bug == Bug::short_copy) {
        copy_async<8>(&tile_a[stage][i / 4][i % 4 * 8], from);
      } else {
        copy_async<16>(&tile_a[stage][i / 4][i % 4 * 8], from);
      }
    }
    copy_async<16>(&tile_b[stage][thread / 4][thread % 4 * 8], b + (k0 + thread / 4) * 32 + thread % 4 * 8);
    if (bug != Bug::lost_commit) asm volatile("cp.async.commit_group;");
  };
  load(0, 0);
  for (int k0 = 0, stage = 0; k0 < k; k0 += 32, stage ^= 1) {
    if (bug == Bug::early_wait) {
      asm volatile("cp.async.wait_group 1;");
    } else if (bug != Bug::lost_wait) {
      asm volatile("cp.async.wait_group 0;");
    }
    if (bug != Bug::lost_barrier) __syncthreads();
    if (bug != Bug::lost_barrier_behind && k0 + 32 < k) load(stage ^ 1, k0 + 32);
    for (int step = 0; step < 32; step += 16) {
      unsigned fa[4], fb[2];
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3])
                   : "r"(shared_address(&tile_a[stage][warp * 16 + lane % 16][step + lane / 16 * 8])));
      if (bug == Bug::swapped_operands) {
        const unsigned t = fa[1];
        fa[1] = fa[2];
        fa[2] = t;
      }
      for (int j = 0; j < 4; ++j) {
        const unsigned from = shared_address(&tile_b[stage][step + lane % 16][j * 8]);
        if (bug == Bug::lost_trans) {
          asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
                       : "=r"(fb[0]), "=r"(fb[1])
                       : "r"(from));
        } else {
          asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                       : "=r"(fb[0]), "=r"(fb[1])
                       : "r"(from));
        }
        asm volatile(
            "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
            "{%0,%1,%2,%3};"
            : "+f"(acc[j][0]), "+f"(acc[j][1]), "+f"(acc[j][2]), "+f"(acc[j][3])
            : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
      }
    }
    // One stage for both: the tiles that others still read are overwritten.
    if (bug == Bug::lost_barrier_behind && k0 + 32 < k) {
      load(stage, k0 + 32);
      stage ^= 1;
    }
  }
  for (int j = 0; j < 4; ++j) {
    for (int i = 0; i < 4; ++i)
      c[(warp * 16 + lane / 4 + i / 2 * 8) * 32 + j * 8 + lane % 4 * 2 + i % 2] = acc[j][i];
  }
}

template <Bug bug>
__global__ void __launch_bounds__(128) row_sum_kernel(const float* x, float* out, int n) {
  __shared__ float partial[4], lanes[4][32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const float* row = x + blockIdx.x * n;
  float sum = 0;
  if (bug == Bug::misaligned_vector) {
    const float4 v = *reinterpret_cast<const float4*>(row + 1);
    sum = v.x + v.y + v.z + v.w;
  }
  const int end = bug == Bug::tail_beyond ? n + 1 : bug == Bug::tail_short ? n - 1 : n;
  for (int i = threadIdx.x; i < end; i += 128) sum += row[i];
  lanes[warp][lane] = sum;
  if (bug != Bug::lost_syncwarp) __syncwarp();
  sum += lanes[warp][lane ^ 16];
  if (bug == Bug::wrong_shuffle_mask) {
    sum += __shfl_xor_sync(0x0000ffffu, sum, 8);
  } else {
    sum += __shfl_xor_sync(0xffffffffu, sum, 8);
  }
  for (int offset = 4; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
  if (lane == 0 && !(bug == Bug::unwritten_shared && warp == 3)) partial[warp] = sum;
  if (bug == Bug::divergent_barrier && warp == 2) {
    asm volatile("bar.sync 0;");
  } else if (bug == Bug::hanging_barrier) {
    if (warp != 2) asm volatile("bar.sync 1, 128;");
  } else {
    __syncthreads();
  }
  if (threadIdx.x == 0)
    out[bug == Bug::shared_output ? blockIdx.x / 2 : blockIdx.x] =
        partial[0] + partial[1] + partial[2] + partial[3];
}

template <Bug bug>
void launch_product(const uint16_t* a, const uint16_t* b, float* c, int k) {
  product_kernel<bug><<<1, 128>>>(a, b, c, k);
}
template <Bug bug>
void launch_sums(const float* x, float* out, int rows, int n) {
  row_sum_kernel<bug><<<rows, 128>>>(x, out, n);
}

}  // namespace

void product(Bug bug, const uint16_t* a, const uint16_t* b, float* c, int k) {
  switch (bug) {
    case Bug::lost_barrier:
      return launch_product<Bug::lost_barrier>(a, b, c, k);
    case Bug::lost_barrier_behind:
      return launch_product<Bug::lost_barrier_behind>(a, b, c, k);
    case Bug::swapped_operands:
      return launch_product<Bug::swapped_operands>(a, b, c, k);
    case Bug::lost_trans:
      return launch_product<Bug::lost_trans>(a, b, c, k);
    case Bug::short_copy:
      return launch_product<Bug::short_copy>(a, b, c, k);
    case Bug::lost_wait:
      return launch_product<Bug::lost_wait>(a, b, c, k);
    case Bug::early_wait:
      return launch_product<Bug::early_wait>(a, b, c, k);
    case Bug::lost_commit:
      return launch_product<Bug::lost_commit>(a, b, c, k);
    case Bug::unpadded_tile:
      return launch_product<Bug::unpadded_tile>(a, b, c, k);
    default:
      return launch_product<Bug::none>(a, b, c, k);
  }
}

void row_sums(Bug bug, const float* x, float* out, int rows, int n) {
  switch (bug) {
    case Bug::tail_beyond:
      return launch_sums<Bug::tail_beyond>(x, out, rows, n);
    case Bug::tail_short:
      return launch_sums<Bug::tail_short>(x, out, rows, n);
    case Bug::lost_syncwarp:
      return launch_sums<Bug::lost_syncwarp>(x, out, rows, n);
    case Bug::divergent_barrier:
      return launch_sums<Bug::divergent_barrier>(x, out, rows, n);
    case Bug::hanging_barrier:
      return launch_sums<Bug::hanging_barrier>(x, out, rows, n);
    case Bug::unwritten_shared:
      return launch_sums<Bug::unwritten_shared>(x, out, rows, n);
    case Bug::shared_output:
      return launch_sums<Bug::shared_output>(x, out, rows, n);
    case Bug::misaligned_vector:
      return launch_sums<Bug::misaligned_vector>(x, out, rows, n);
    case Bug::wrong_shuffle_mask:
      return launch_sums<Bug::wrong_shuffle_mask>(x, out, rows, n);
    default:
      return launch_sums<Bug::none>(x, out, rows, n);
  }
}

}  // namespace ft::sim::test
