// ld and st of all widths and vectors, and what only hints: prefetch and the like.
#include "kernels/sim/lanes.h"

namespace ft::sim {
namespace {

using ptx::Type;

// T in memory, R in the register: a load extends by T's sign, a store truncates.
template <class T, class R>
void load(Warp& w, const Inst& in, Mask m) {
  Addresses addresses;
  resolve(w, in, m, sizeof(T), AccessKind::read, addresses);
  R* d = w.reg<R>(in.d);
  if (m == full_mask) {
    for (int i = 0; i < lane_count; ++i) d[i] = static_cast<R>(*reinterpret_cast<const T*>(addresses.at[i]));
    return;
  }
  for_lanes(m, [&](int i) { d[i] = static_cast<R>(*reinterpret_cast<const T*>(addresses.at[i])); });
}

template <class T, class R>
void store(Warp& w, const Inst& in, Mask m) {
  Addresses addresses;
  resolve(w, in, m, sizeof(T), AccessKind::write, addresses);
  const R* b = w.reg<R>(in.b);
  for_lanes(m, [&](int i) { *reinterpret_cast<T*>(addresses.at[i]) = static_cast<T>(b[i]); });
}

template <class T, class R>
void load_vector(Warp& w, const Inst& in, Mask m) {
  Addresses addresses;
  resolve(w, in, m, in.bytes, AccessKind::read, addresses);
  const Slot* slots = w.block->program->slots.data() + in.list;
  for (int k = 0; k < in.count; ++k) {
    R* d = w.reg<R>(slots[k]);
    if (m == full_mask) {
      for (int i = 0; i < lane_count; ++i)
        d[i] = static_cast<R>(reinterpret_cast<const T*>(addresses.at[i])[k]);
    } else {
      for_lanes(m, [&](int i) { d[i] = static_cast<R>(reinterpret_cast<const T*>(addresses.at[i])[k]); });
    }
  }
}

template <class T, class R>
void store_vector(Warp& w, const Inst& in, Mask m) {
  Addresses addresses;
  resolve(w, in, m, in.bytes, AccessKind::write, addresses);
  const Slot* slots = w.block->program->slots.data() + in.list;
  for (int k = 0; k < in.count; ++k) {
    const R* b = w.reg<R>(slots[k]);
    if (m == full_mask) {
      for (int i = 0; i < lane_count; ++i) reinterpret_cast<T*>(addresses.at[i])[k] = static_cast<T>(b[i]);
    } else {
      for_lanes(m, [&](int i) { reinterpret_cast<T*>(addresses.at[i])[k] = static_cast<T>(b[i]); });
    }
  }
}

// A parameter at a fixed offset: the same value for all lanes.
template <class T, class R>
void load_param(Warp& w, const Inst& in, Mask m) {
  const auto& parameters = w.block->launch->parameters;
  if (static_cast<uint64_t>(in.imm) + in.bytes > parameters.size()) {
    Addresses addresses;
    resolve(w, in, m, in.bytes, AccessKind::read, addresses);  // says what is wrong
  }
  const Slot* slots = in.count > 0 ? w.block->program->slots.data() + in.list : &in.d;
  for (int k = 0; k < std::max<int>(in.count, 1); ++k) {
    T value;
    std::memcpy(&value, parameters.data() + in.imm + k * static_cast<int>(sizeof(T)), sizeof(T));
    R* d = w.reg<R>(slots[k]);
    for_lanes(m, [&](int i) { d[i] = static_cast<R>(value); });
  }
}

enum class Kind { load, store, load_vector, store_vector, load_param };

template <class T, class R>
Handler pick_kind(Kind kind) {
  switch (kind) {
    case Kind::load:
      return load<T, R>;
    case Kind::store:
      return store<T, R>;
    case Kind::load_vector:
      return load_vector<T, R>;
    case Kind::store_vector:
      return store_vector<T, R>;
    default:
      return load_param<T, R>;
  }
}

template <class T>
Handler pick_register(Kind kind, int bytes) {
  // A signed T is extended by its sign: the register is seen as signed, then.
  switch (bytes) {
    case 2:
      if constexpr (sizeof(T) <= 2) return pick_kind<T, uint16_t>(kind);
      break;
    case 4:
      if constexpr (sizeof(T) <= 4) return pick_kind<T, uint32_t>(kind);
      break;
    case 8:
      return pick_kind<T, uint64_t>(kind);
    default:
      break;
  }
  return nullptr;
}

Handler pick(Kind kind, Type type, int bytes) {
  switch (type) {
    case Type::b8:
    case Type::u8:
      return pick_register<uint8_t>(kind, bytes);
    case Type::s8:
      return pick_register<int8_t>(kind, bytes);
    case Type::b16:
    case Type::u16:
    case Type::f16:
    case Type::bf16:
      return pick_register<uint16_t>(kind, bytes);
    case Type::s16:
      return pick_register<int16_t>(kind, bytes);
    case Type::b32:
    case Type::u32:
    case Type::f32:
    case Type::f16x2:
    case Type::bf16x2:
      return pick_register<uint32_t>(kind, bytes);
    case Type::s32:
      return pick_register<int32_t>(kind, bytes);
    case Type::b64:
    case Type::u64:
    case Type::f64:
    case Type::s64:
      return pick_register<uint64_t>(kind, bytes);
    default:
      return nullptr;
  }
}

MemorySpace take_space(Decoder& d, const ptx::Operand& address) {
  switch (d.take_one({".global", ".shared", ".local", ".param", ".const", ".shared::cta", ".param::entry",
                      ".param::func"})) {
    case 0:
    case 4:
      return MemorySpace::global;  // constants are variables with a host address too
    case 1:
    case 5:
      return MemorySpace::shared;
    case 2:
      return MemorySpace::local;
    case 3:
    case 6:
    case 7:
      return d.param_space(address);
    default:
      return MemorySpace::generic;
  }
}

InstClass class_of(const Decoder& d, bool loads) {
  switch (d.inst.space) {
    case MemorySpace::shared:
      return loads ? InstClass::load_shared : InstClass::store_shared;
    case MemorySpace::local:
      return loads ? InstClass::load_local : InstClass::store_local;
    case MemorySpace::param:
      return InstClass::load_const;
    default:
      return loads ? InstClass::load_global : InstClass::store_global;
  }
}

void decode_access(Decoder& d, bool loads) {
  d.expect_operands(2, 3);
  const bool constant = d.source->opcode.find(".const") != std::string_view::npos;
  const MemorySpace space = take_space(d, d.operand(loads ? 1 : 0));
  d.ignore_memory_modifiers();
  const int vector = d.take_one({".v2", ".v4", ".v8"});
  const Type type = d.take_type();
  const ptx::Operand& value = d.operand(loads ? 0 : 1);
  d.address(d.operand(loads ? 1 : 0), space);
  if (d.operand_count() == 3) {  // a cache policy, which changes nothing
    if (d.register_bytes(d.operand(2), 0) != 8) d.error("a cache policy is expected");
    d.take(".level::cache_hint");
  }
  d.inst.inst_class = constant ? InstClass::load_const : class_of(d, loads);
  const size_t count = d.list_size(value);
  if (count != (vector < 0 ? 1u : size_t{2} << vector)) d.error("the number of registers does not fit");
  const ptx::Operand& first = value.kind == ptx::Operand::Kind::vector ? value.elements[0] : value;
  const int memory = ptx::bytes_of(type);
  int width = d.register_bytes(first, std::max(memory, 2));
  if (value.kind == ptx::Operand::Kind::vector) {
    for (const ptx::Operand& element : value.elements) width = std::max(width, d.register_bytes(element, 2));
  }
  const Type register_type = width == 2 ? Type::b16 : width == 4 ? Type::b32 : Type::b64;
  d.inst.bytes = static_cast<uint8_t>(memory * static_cast<int>(count));
  const bool param = loads && space == MemorySpace::param && !d.has_base_register(d.operand(1));
  if (vector >= 0) {
    if (loads) {
      d.list_write(value, width);
    } else {
      d.list_read(value, register_type);
    }
    d.inst.run = pick(param ? Kind::load_param : loads ? Kind::load_vector : Kind::store_vector, type, width);
  } else {
    if (loads) {
      d.write(&Inst::d, value, width);
    } else {
      d.read(&Inst::b, value, register_type);
    }
    d.inst.run = pick(param ? Kind::load_param : loads ? Kind::load : Kind::store, type, width);
  }
  if (d.inst.run == nullptr) d.error("this type cannot be loaded or stored here");
}

void decode_hint(Decoder& d) {
  d.inst.inst_class = InstClass::control;
  d.ignore_memory_modifiers();
  d.take_one({".global", ".local"});
  d.take_one({".L1", ".L2", ".L2::evict_last", ".L2::evict_normal"});
  d.inst.run = [](Warp&, const Inst&, Mask) {};
}

}  // namespace

void add_memory_ops(OpTable& table) {
  table["ld"] = [](Decoder& d) { decode_access(d, true); };
  table["ldu"] = table["ld"];
  table["st"] = [](Decoder& d) { decode_access(d, false); };
  table["prefetch"] = decode_hint;
  table["prefetchu"] = decode_hint;
  table["applypriority"] = decode_hint;
  table["discard"] = decode_hint;
}

}  // namespace ft::sim
