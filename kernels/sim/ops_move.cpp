// mov with packing and unpacking, cvta, and special registers that are read by an instruction of their own.
#include "kernels/sim/lanes.h"

namespace ft::sim {
namespace {

using ptx::Type;

struct Same {
  template <class T>
  static T apply(T a) {
    return a;
  }
};

void move_predicate(Warp& w, const Inst& in, Mask m) {
  blend_predicate(w.pred(in.d), w.pred(in.a), m);
}

template <class Whole, class Part>
void pack(Warp& w, const Inst& in, Mask m) {
  constexpr int parts = sizeof(Whole) / sizeof(Part);
  const Slot* slots = w.block->program->slots.data() + in.list;
  auto* d = reinterpret_cast<Part*>(w.reg<Whole>(in.d));
  for (int k = 0; k < parts; ++k) {
    const Part* a = w.reg<Part>(slots[k]);
    for (int i = 0; i < lane_count; ++i) {
      if (m >> i & 1) d[i * parts + k] = a[i];
    }
  }
}
template <class Whole, class Part>
void unpack(Warp& w, const Inst& in, Mask m) {
  constexpr int parts = sizeof(Whole) / sizeof(Part);
  const Slot* slots = w.block->program->slots.data() + in.list;
  const auto* a = reinterpret_cast<const Part*>(w.reg<Whole>(in.a));
  for (int k = 0; k < parts; ++k) {
    Part* d = w.reg<Part>(slots[k]);
    for (int i = 0; i < lane_count; ++i) {
      if (m >> i & 1) d[i] = a[i * parts + k];
    }
  }
}

struct B128 {
  uint64_t half[2];
};

void decode_vector_move(Decoder& d, Type type, bool packing) {
  const size_t parts = d.list_size(d.operand(packing ? 1 : 0));
  const int whole = ptx::bytes_of(type);
  const int part = parts == 0 ? 0 : whole / static_cast<int>(parts);
  if (part * static_cast<int>(parts) != whole || (part != 2 && part != 4 && part != 8))
    d.error("this packing");
  const Type part_type = part == 2 ? Type::b16 : part == 4 ? Type::b32 : Type::b64;
  if (packing) {
    d.write(&Inst::d, d.operand(0), whole);
    d.list_read(d.operand(1), part_type);
    d.inst.run = whole == 4   ? pack<uint32_t, uint16_t>
                 : whole == 8 ? (part == 2 ? pack<uint64_t, uint16_t> : pack<uint64_t, uint32_t>)
                 : part == 4  ? pack<B128, uint32_t>
                 : part == 8  ? pack<B128, uint64_t>
                              : pack<B128, uint16_t>;
  } else {
    d.read(&Inst::a, d.operand(1), type);
    d.list_write(d.operand(0), part);
    d.inst.run = whole == 4   ? unpack<uint32_t, uint16_t>
                 : whole == 8 ? (part == 2 ? unpack<uint64_t, uint16_t> : unpack<uint64_t, uint32_t>)
                 : part == 4  ? unpack<B128, uint32_t>
                 : part == 8  ? unpack<B128, uint64_t>
                              : unpack<B128, uint16_t>;
  }
}

template <class T>
void read_clock(Warp& w, const Inst& in, Mask m) {  // deterministic: instructions of this warp so far
  const T now = static_cast<T>(w.executed);
  for_lanes(m, [&](int lane) { w.reg<T>(in.d)[lane] = now; });
}

void set_move(Decoder& d, int bytes) {
  switch (bytes) {
    case 2:
      d.inst.run = unary<Same, uint16_t, uint16_t>;
      break;
    case 4:
      d.inst.run = unary<Same, uint32_t, uint32_t>;
      break;
    case 8:
      d.inst.run = unary<Same, uint64_t, uint64_t>;
      break;
    case 16:
      d.inst.run = [](Warp& w, const Inst& in, Mask m) {
        for_lanes(m, [&](int lane) { w.reg<B128>(in.d)[lane] = w.reg<B128>(in.a)[lane]; });
      };
      break;
    default:
      d.error("this type cannot be moved");
  }
}

void decode_mov(Decoder& d) {
  d.inst.inst_class = InstClass::move;
  const Type type = d.take_type();
  d.expect_operands(2, 2);
  if (type == Type::pred) {
    d.write(&Inst::d, d.operand(0), 0);
    d.read_predicate(&Inst::a, d.operand(1));
    d.inst.run = move_predicate;
    return;
  }
  const ptx::Operand& from = d.operand(1);
  if (d.operand(0).kind == ptx::Operand::Kind::vector) return decode_vector_move(d, type, false);
  if (from.kind == ptx::Operand::Kind::vector) return decode_vector_move(d, type, true);
  d.write(&Inst::d, d.operand(0), ptx::bytes_of(type));
  if (from.name == "%clock" || from.name == "%clock_hi") {
    d.inst.run = read_clock<uint32_t>;
  } else if (from.name == "%clock64" || from.name == "%globaltimer") {
    if (ptx::bytes_of(type) != 8) d.error("a 64-bit clock");
    d.inst.run = read_clock<uint64_t>;
  } else {
    d.read(&Inst::a, from, type);
    set_move(d, ptx::bytes_of(type));
  }
}

// Shared and local addresses are offsets into the block's and the thread's own memory; generic ones are host
// addresses.
template <MemorySpace space, bool to>
void convert_address(Warp& w, const Inst& in, Mask m) {
  const Block& block = *w.block;
  const auto* a = w.reg<uint64_t>(in.a);
  auto* d = w.reg<uint64_t>(in.d);
  for_lanes(m, [&](int lane) {
    uint64_t base = 0;
    if (space == MemorySpace::shared) base = reinterpret_cast<uint64_t>(block.shared);
    if (space == MemorySpace::local)
      base = reinterpret_cast<uint64_t>(block.local) + block.local_stride * thread_of(w, lane);
    if (space == MemorySpace::param) base = reinterpret_cast<uint64_t>(block.launch->parameters.data());
    d[lane] = to ? a[lane] - base : a[lane] + base;
  });
}

void decode_cvta(Decoder& d) {
  d.inst.inst_class = InstClass::move;
  const bool to = d.take(".to");
  const int space = d.take_one({".global", ".const", ".shared", ".local", ".param"});
  if (d.take_type() != Type::u64) d.error("64-bit addresses are expected");
  plain_operands(d, Type::b64, Type::b64, 1);
  switch (space) {
    case 0:
    case 1:
      set_move(d, 8);
      break;
    case 2:
      d.inst.run =
          to ? convert_address<MemorySpace::shared, true> : convert_address<MemorySpace::shared, false>;
      break;
    case 3:
      d.inst.run =
          to ? convert_address<MemorySpace::local, true> : convert_address<MemorySpace::local, false>;
      break;
    case 4:
      d.inst.run =
          to ? convert_address<MemorySpace::param, true> : convert_address<MemorySpace::param, false>;
      break;
    default:
      d.error("unknown address space");
  }
}

template <MemorySpace space>
void test_space(Warp& w, const Inst& in, Mask m) {
  const Block& block = *w.block;
  const auto* a = w.reg<uint64_t>(in.a);
  Mask yes = 0;
  for_lanes(m, [&](int lane) {
    const bool shared = a[lane] - reinterpret_cast<uint64_t>(block.shared) < block.launch->shared_bytes;
    const bool local =
        a[lane] - reinterpret_cast<uint64_t>(block.local) < block.local_stride * block.launch->block_threads;
    const bool is = space == MemorySpace::shared  ? shared
                    : space == MemorySpace::local ? local
                                                  : !shared && !local;
    yes |= static_cast<Mask>(is) << lane;
  });
  blend_predicate(w.pred(in.d), yes, m);
}

void decode_isspacep(Decoder& d) {
  d.inst.inst_class = InstClass::predicate;
  const int space = d.take_one({".global", ".shared", ".local"});
  d.expect_operands(2, 2);
  d.write(&Inst::d, d.operand(0), 0);
  d.read(&Inst::a, d.operand(1), Type::u64);
  switch (space) {
    case 0:
      d.inst.run = test_space<MemorySpace::global>;
      break;
    case 1:
      d.inst.run = test_space<MemorySpace::shared>;
      break;
    case 2:
      d.inst.run = test_space<MemorySpace::local>;
      break;
    default:
      d.error("unknown address space");
  }
}

}  // namespace

void add_move_ops(OpTable& table) {
  table["mov"] = decode_mov;
  table["cvta"] = decode_cvta;
  table["isspacep"] = decode_isspacep;
}

}  // namespace ft::sim
