// Types, the cursor over tokens, and literals.
#include <array>
#include <charconv>
#include <cstring>

#include "engine/core/check.h"
#include "kernels/sim/ptx_parser.h"

namespace ft::sim::ptx {
namespace {

constexpr std::array<std::pair<std::string_view, Type>, 22> type_names{{
    {".pred", Type::pred}, {".b8", Type::b8},         {".b16", Type::b16}, {".b32", Type::b32},
    {".b64", Type::b64},   {".b128", Type::b128},     {".u8", Type::u8},   {".u16", Type::u16},
    {".u32", Type::u32},   {".u64", Type::u64},       {".s8", Type::s8},   {".s16", Type::s16},
    {".s32", Type::s32},   {".s64", Type::s64},       {".f16", Type::f16}, {".f16x2", Type::f16x2},
    {".bf16", Type::bf16}, {".bf16x2", Type::bf16x2}, {".f32", Type::f32}, {".f64", Type::f64},
    {".tf32", Type::tf32}, {"", Type::none},
}};

template <class T>
T parse_digits(std::string_view digits, int base, const Cursor& cursor) {
  T value{};
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (code != std::errc{} || end != digits.data() + digits.size()) cursor.error("a number");
  return value;
}

}  // namespace

int bytes_of(Type type) {
  switch (type) {
    case Type::none:
    case Type::pred:
      return 0;
    case Type::b8:
    case Type::u8:
    case Type::s8:
      return 1;
    case Type::b16:
    case Type::u16:
    case Type::s16:
    case Type::f16:
    case Type::bf16:
      return 2;
    case Type::b64:
    case Type::u64:
    case Type::s64:
    case Type::f64:
      return 8;
    case Type::b128:
      return 16;
    default:
      return 4;
  }
}

bool is_signed(Type type) {
  return type == Type::s8 || type == Type::s16 || type == Type::s32 || type == Type::s64;
}

Type type_of(std::string_view name) {
  for (const auto& [text, type] : type_names) {
    if (text == name) return type;
  }
  return Type::none;
}

bool Cursor::accept(std::string_view text) {
  if (!is(text)) return false;
  next();
  return true;
}

void Cursor::expect(std::string_view text) {
  if (!accept(text)) error(text);
}

std::string_view Cursor::word() {
  if (peek().kind != TokenKind::word) error("a name");
  return next().text;
}

uint64_t Cursor::integer() {
  const bool negative = accept("-");
  const Operand literal = parse_literal(*this);
  if (literal.kind != Operand::Kind::integer) error("an integer");
  return negative ? 0 - literal.bits : literal.bits;
}

void Cursor::skip_braces() {
  for (int depth = 1; depth > 0;) {
    if (at_end()) error("}");
    const Token& token = next();
    if (token.kind != TokenKind::punctuation) continue;
    depth += token.text == "{" ? 1 : token.text == "}" ? -1 : 0;
  }
}

void Cursor::error(std::string_view expected) const {
  fail("[ptx] line {}: expected {}, got '{}'", peek().line, expected, at_end() ? "end of text" : peek().text);
}

Operand parse_literal(Cursor& cursor) {
  Operand operand;
  const bool negative = cursor.accept("-");
  if (cursor.peek().kind != TokenKind::number) cursor.error("a number");
  std::string_view text = cursor.peek().text;
  if (text.size() == 10 && text.substr(0, 2) == "0f") {
    operand.kind = Operand::Kind::float32;
    operand.bits = parse_digits<uint32_t>(text.substr(2), 16, cursor) ^ (negative ? 0x80000000u : 0u);
  } else if (text.size() == 18 && text.substr(0, 2) == "0d") {
    operand.kind = Operand::Kind::float64;
    operand.bits = parse_digits<uint64_t>(text.substr(2), 16, cursor) ^ (negative ? uint64_t{1} << 63 : 0);
  } else if (text.find('.') != text.npos) {
    operand.kind = Operand::Kind::float64;
    double value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || end != text.data() + text.size()) cursor.error("a number");
    if (negative) value = -value;
    std::memcpy(&operand.bits, &value, 8);
  } else {
    operand.kind = Operand::Kind::integer;
    if (text.back() == 'U' || text.back() == 'u') text.remove_suffix(1);
    const bool hex = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    operand.bits = parse_digits<uint64_t>(hex ? text.substr(2) : text, hex ? 16 : 10, cursor);
    if (negative) operand.bits = 0 - operand.bits;
  }
  cursor.next();
  return operand;
}

}  // namespace ft::sim::ptx
