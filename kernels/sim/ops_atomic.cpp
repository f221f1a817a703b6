// atom and red. Lanes update memory one after the other, each with a host atomic, so blocks may run in
// parallel.
#include <algorithm>
#include <atomic>

#include "kernels/sim/float_format.h"
#include "kernels/sim/lanes.h"

namespace ft::sim {
namespace {

using ptx::Type;

struct Add {
  template <class T>
  static T apply(T old, T b, T) {
    return static_cast<T>(old + b);
  }
};
struct MinOp {
  template <class T>
  static T apply(T old, T b, T) {
    return std::min(old, b);
  }
};
struct MaxOp {
  template <class T>
  static T apply(T old, T b, T) {
    return std::max(old, b);
  }
};
struct And {
  template <class T>
  static T apply(T old, T b, T) {
    return old & b;
  }
};
struct Or {
  template <class T>
  static T apply(T old, T b, T) {
    return old | b;
  }
};
struct Xor {
  template <class T>
  static T apply(T old, T b, T) {
    return old ^ b;
  }
};
struct Exchange {
  template <class T>
  static T apply(T, T b, T) {
    return b;
  }
};
struct CompareSwap {
  template <class T>
  static T apply(T old, T b, T c) {
    return old == b ? c : old;
  }
};
struct Increment {
  template <class T>
  static T apply(T old, T b, T) {
    return old >= b ? T{0} : static_cast<T>(old + 1);
  }
};
struct Decrement {
  template <class T>
  static T apply(T old, T b, T) {
    return old == 0 || old > b ? b : static_cast<T>(old - 1);
  }
};

/// Addition of floats held as bits.
template <class F>
struct AddFloat {
  template <class T>
  static T apply(T old, T b, T) {
    return std::bit_cast<T>(std::bit_cast<F>(old) + std::bit_cast<F>(b));
  }
};
template <float (*widen)(uint16_t), uint16_t (*narrow)(float)>
struct AddHalf {
  template <class T>
  static T apply(T old, T b, T) {
    T result = 0;
    for (size_t i = 0; i < 8 * sizeof(T); i += 16) {
      const float sum = widen(static_cast<uint16_t>(old >> i)) + widen(static_cast<uint16_t>(b >> i));
      result |= static_cast<T>(static_cast<T>(narrow(sum)) << i);
    }
    return result;
  }
};

template <class T, class Op>
void update(Warp& w, const Inst& in, Mask m) {
  Addresses addresses;
  resolve(w, in, m, sizeof(T), AccessKind::atomic, addresses);
  T* d = w.reg<T>(in.d);
  const T *b = w.reg<T>(in.b), *c = w.reg<T>(in.c);
  for_lanes(m, [&](int i) {
    std::atomic_ref<T> cell(*reinterpret_cast<T*>(addresses.at[i]));
    T old = cell.load();
    while (!cell.compare_exchange_weak(old, Op::apply(old, b[i], c[i]))) {
    }
    d[i] = old;
  });
}

Handler pick_add(Decoder& d, Type type) {
  switch (type) {
    case Type::u32:
    case Type::s32:
      return update<uint32_t, Add>;
    case Type::u64:
    case Type::s64:
      return update<uint64_t, Add>;
    case Type::f32:
      return update<uint32_t, AddFloat<float>>;
    case Type::f64:
      return update<uint64_t, AddFloat<double>>;
    case Type::f16:
      return update<uint16_t, AddHalf<half_to_float, float_to_half>>;
    case Type::f16x2:
      return update<uint32_t, AddHalf<half_to_float, float_to_half>>;
    case Type::bf16:
      return update<uint16_t, AddHalf<bf16_to_float, float_to_bf16>>;
    case Type::bf16x2:
      return update<uint32_t, AddHalf<bf16_to_float, float_to_bf16>>;
    default:
      d.error("no atomic addition of this type");
  }
}

template <class Op>
Handler pick_order(Decoder& d, Type type) {
  switch (type) {
    case Type::u32:
      return update<uint32_t, Op>;
    case Type::s32:
      return update<int32_t, Op>;
    case Type::u64:
      return update<uint64_t, Op>;
    case Type::s64:
      return update<int64_t, Op>;
    default:
      d.error("no atomic of this type");
  }
}

template <class Op>
Handler pick_bits(Decoder& d, Type type) {
  switch (ptx::bytes_of(type)) {
    case 2:
      return update<uint16_t, Op>;
    case 4:
      return update<uint32_t, Op>;
    case 8:
      return update<uint64_t, Op>;
    default:
      d.error("no atomic of this type");
  }
}

void decode_atomic(Decoder& d, bool result) {
  d.inst.inst_class = InstClass::atomic;
  const int space = d.take_one({".global", ".shared", ".shared::cta"});
  d.ignore_memory_modifiers();
  d.take(".noftz");
  const int op = d.take_one({".add", ".min", ".max", ".and", ".or", ".xor", ".exch", ".cas", ".inc", ".dec"});
  const Type type = d.take_type();
  const size_t first = result ? 1 : 0;
  const bool swap = op == 7;
  d.expect_operands(first + (swap ? 3 : 2), first + (swap ? 3 : 2));
  d.address(d.operand(first), space == 0  ? MemorySpace::global
                              : space > 0 ? MemorySpace::shared
                                          : MemorySpace::generic);
  const int bytes = ptx::bytes_of(type);
  d.inst.bytes = static_cast<uint8_t>(bytes);
  d.write(&Inst::d, result ? d.operand(0) : ptx::Operand{}, bytes);
  d.read(&Inst::b, d.operand(first + 1), type);
  d.inst.c = d.constant(0, bytes);
  if (swap) d.read(&Inst::c, d.operand(first + 2), type);
  switch (op) {
    case 0:
      d.inst.run = pick_add(d, type);
      break;
    case 1:
      d.inst.run = pick_order<MinOp>(d, type);
      break;
    case 2:
      d.inst.run = pick_order<MaxOp>(d, type);
      break;
    case 3:
      d.inst.run = pick_bits<And>(d, type);
      break;
    case 4:
      d.inst.run = pick_bits<Or>(d, type);
      break;
    case 5:
      d.inst.run = pick_bits<Xor>(d, type);
      break;
    case 6:
      d.inst.run = pick_bits<Exchange>(d, type);
      break;
    case 7:
      d.inst.run = pick_bits<CompareSwap>(d, type);
      break;
    case 8:
      d.inst.run = pick_order<Increment>(d, type);
      break;
    case 9:
      d.inst.run = pick_order<Decrement>(d, type);
      break;
    default:
      d.error("unknown atomic operation");
  }
}

}  // namespace

void add_atomic_ops(OpTable& table) {
  table["atom"] = [](Decoder& d) { decode_atomic(d, true); };
  table["red"] = [](Decoder& d) { decode_atomic(d, false); };
}

}  // namespace ft::sim
