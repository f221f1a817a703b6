// mma.sync, ldmatrix and movmatrix: how fragments of matrices lie over the registers of a warp.
//
// With g = lane / 4 and t = lane % 4 (PTX ISA, "Matrix fragments"): a 32-bit register of A or B holds two
// neighbouring 16-bit elements along K, or one tf32 element; of C and D registers 0, 1 are row g and 2, 3 row
// g + 8, columns 2t and 2t + 1.
#include "kernels/sim/float_format.h"
#include "kernels/sim/lanes.h"
#include "kernels/sim/mma.h"

namespace ft::sim {
namespace {

using ptx::Type;

enum Input : uint8_t { bf16, f16, tf32 };

// N elements that lie side by side in the registers of neighbouring lanes.
template <Input type, int n>
void widen(const uint32_t* words, float* out) {
  if constexpr (type == tf32) {
    for (int i = 0; i < n; ++i)
      out[i] = std::bit_cast<float>(words[i] & 0xffffe000u);  // hardware ignores 13 low bits
  } else {
    uint16_t halves[n];
    std::memcpy(halves, words, sizeof halves);
    for (int i = 0; i < n; ++i) out[i] = type == bf16 ? bf16_to_float(halves[i]) : half_to_float(halves[i]);
  }
}

// Register r of A holds rows g + 8 (r % 2), a chunk of columns that the four lanes of a g share; register r
// of B the same of its transpose. So both are filled chunk by chunk: a[16][k], b[8][k].
template <Input type>
void load_fragments(Warp& w, const Slot* slots, int k, float* a, float* b) {
  constexpr int chunk = type == tf32 ? 4 : 8;
  const int registers_a = 2 * k / chunk, registers_b = k / chunk;
  for (int r = 0; r < registers_a; ++r) {
    const auto* words = w.reg<uint32_t>(slots[r]);
    for (int g = 0; g < 8; ++g) widen<type, chunk>(words + 4 * g, a + (g + r % 2 * 8) * k + r / 2 * chunk);
  }
  for (int r = 0; r < registers_b; ++r) {
    const auto* words = w.reg<uint32_t>(slots[registers_a + r]);
    for (int g = 0; g < 8; ++g) widen<type, chunk>(words + 4 * g, b + g * k + r * chunk);
  }
}

// Operand list: A, B, C, D. in.mode: K; in.flags 1: C and D are f16. Element 2 lane + p of rows 8q.. is in
// register 2q + p, because row g and column 2t lie at 8g + 2t = 2 lane.
template <Input type>
void multiply(Warp& w, const Inst& in, Mask m) {
  const Slot* slots = w.block->program->slots.data() + in.list;
  const int k = in.mode;
  alignas(64) float a[16 * 16], b[8 * 16], c[16 * 8], d[16 * 8];
  load_fragments<type>(w, slots, k, a, b);
  const bool half = in.flags != 0;
  const int results = half ? 2 : 4;
  const Slot* from = slots + in.count - 2 * results;
  const Slot* to = slots + in.count - results;
  for (int r = 0; r < results; ++r) {
    if (half) {
      const auto* words = w.reg<uint32_t>(from[r]);
      for (int i = 0; i < lane_count; ++i) {
        c[64 * r + 2 * i] = half_to_float(static_cast<uint16_t>(words[i]));
        c[64 * r + 2 * i + 1] = half_to_float(static_cast<uint16_t>(words[i] >> 16));
      }
    } else {
      const float* values = w.reg<float>(from[r]);
      for (int i = 0; i < lane_count; ++i) c[64 * (r / 2) + 2 * i + r % 2] = values[i];
    }
  }
  mma_tile(w.block->launch->settings.rounding, k, a, b, c, d);
  for (int r = 0; r < results; ++r) {
    if (half) {
      for_lanes(m, [&](int i) {
        const float* pair = d + 64 * r + 2 * i;
        w.reg<uint32_t>(to[r])[i] = float_to_half(pair[0]) | uint32_t{float_to_half(pair[1])} << 16;
      });
    } else {
      float* values = w.reg<float>(to[r]);
      const float* source = d + 64 * (r / 2) + r % 2;
      for (int i = 0; i < lane_count; ++i) values[i] = (m >> i & 1) ? source[2 * i] : values[i];
    }
  }
}

void whole_warp(Decoder& d) {
  d.inst.flow = Flow::warp_sync;
  d.inst.e = d.constant(full_mask, 4);
}

void decode_mma(Decoder& d) {
  d.inst.inst_class = InstClass::tensor_core;
  if (!d.take(".sync") || !d.take(".aligned")) d.error("expected .sync.aligned");
  const int shape = d.take_one({".m16n8k4", ".m16n8k8", ".m16n8k16"});
  if (shape < 0) d.error("unknown shape");
  const int k = 4 << shape;
  if (!d.take(".row") || !d.take(".col")) d.error("expected .row.col");
  const Type to = d.take_type(), type_a = d.take_type(), type_b = d.take_type(), from = d.take_type();
  if (type_a != type_b || to != from) d.error("mixed types");
  const bool half = to == Type::f16;
  const bool wide = type_a == Type::tf32;
  if (!half && to != Type::f32) d.error("a float32 or float16 accumulator is expected");
  if ((half && type_a != Type::f16) || (wide ? k > 8 : k < 8)) d.error("this shape with these types");
  if (!wide && type_a != Type::bf16 && type_a != Type::f16)
    d.error("bf16, f16 or tf32 operands are expected");
  const size_t registers_a = static_cast<size_t>(wide ? k / 2 : k / 4), results = half ? 2 : 4;
  d.expect_operands(4, 4);
  if (d.list_size(d.operand(0)) != results || d.list_size(d.operand(3)) != results ||
      d.list_size(d.operand(1)) != registers_a || d.list_size(d.operand(2)) != registers_a / 2) {
    d.error("the number of registers does not fit");
  }
  d.list_read(d.operand(1), Type::b32);
  d.list_read(d.operand(2), Type::b32);
  d.list_read(d.operand(3), Type::b32);
  d.list_write(d.operand(0), 4);
  whole_warp(d);
  d.inst.mode = static_cast<uint8_t>(k);
  d.inst.flags = half;
  d.inst.flops = static_cast<uint8_t>(k);  // 16 x 8 x K products of 2: K units of 256
  d.inst.run = wide ? multiply<tf32> : type_a == Type::bf16 ? multiply<bf16> : multiply<f16>;
}

// Lane 8i + r gives the address of row r of matrix i; a lane receives elements (g, 2t) and (g, 2t + 1) of
// each matrix, or of its transpose.
void load_matrix(Warp& w, const Inst& in, Mask m) {
  const Slot* slots = w.block->program->slots.data() + in.list;
  Addresses rows;
  const Mask givers = in.count == 4 ? full_mask : (Mask{1} << (8 * in.count)) - 1;
  if ((givers & ~m) != 0) {
    fault(w, in, std::countr_zero(m), 715, "ldmatrix without all lanes that give its row addresses");
  }
  resolve(w, in, givers, 16, AccessKind::read, rows);
  for (int i = 0; i < in.count; ++i) {
    auto* d = w.reg<uint32_t>(slots[i]);
    const uint64_t* row = rows.at + 8 * i;
    uint32_t result[lane_count];
    for (int g = 0; g < 8; ++g) {
      if (in.flags == 0) {
        std::memcpy(result + 4 * g, reinterpret_cast<const void*>(row[g]), 16);
      } else {
        uint16_t column[8];
        for (int k = 0; k < 8; ++k) column[k] = reinterpret_cast<const uint16_t*>(row[k])[g];
        std::memcpy(result + 4 * g, column, 16);
      }
    }
    for (int lane = 0; lane < lane_count; ++lane) d[lane] = (m >> lane & 1) ? result[lane] : d[lane];
  }
}

void decode_ldmatrix(Decoder& d) {
  d.inst.inst_class = InstClass::load_matrix;
  if (!d.take(".sync") || !d.take(".aligned") || !d.take(".m8n8")) d.error("expected .sync.aligned.m8n8");
  const int count = d.take_one({".x1", ".x2", ".x4"});
  if (count < 0) d.error("expected .x1, .x2 or .x4");
  d.inst.flags = d.take(".trans");
  const bool shared = d.take_one({".shared", ".shared::cta"}) >= 0;
  if (d.take_type() != Type::b16) d.error("expected .b16");
  d.expect_operands(2, 2);
  d.address(d.operand(1), shared ? MemorySpace::shared : MemorySpace::generic);
  if (d.list_size(d.operand(0)) != size_t{1} << count) d.error("the number of registers does not fit");
  d.list_write(d.operand(0), 4);
  d.inst.bytes = 16;
  whole_warp(d);
  d.inst.run = load_matrix;
}

void transpose_matrix(Warp& w, const Inst& in, Mask m) {
  uint32_t result[lane_count];
  const auto* a = w.reg<uint32_t>(in.a);
  for (int lane = 0; lane < lane_count; ++lane) {
    const int g = lane / 4, t = lane % 4;
    const auto at = [&](int row, int column) {
      return a[row * 4 + column / 2] >> (16 * (column % 2)) & 0xffff;
    };
    result[lane] = at(2 * t, g) | at(2 * t + 1, g) << 16;
  }
  for_lanes(m, [&](int lane) { w.reg<uint32_t>(in.d)[lane] = result[lane]; });
}

void decode_movmatrix(Decoder& d) {
  d.inst.inst_class = InstClass::warp_exchange;
  if (!d.take(".sync") || !d.take(".aligned") || !d.take(".m8n8") || !d.take(".trans"))
    d.error("unknown form");
  if (d.take_type() != Type::b16) d.error("expected .b16");
  plain_operands(d, Type::b32, Type::b32, 1);
  whole_warp(d);
  d.inst.run = transpose_matrix;
}

}  // namespace

void add_mma_ops(OpTable& table) {
  table["mma"] = decode_mma;
  table["ldmatrix"] = decode_ldmatrix;
  table["movmatrix"] = decode_movmatrix;
}

}  // namespace ft::sim
