#pragma once

namespace ft {
class Tape;
class Var;
struct Parameter;
struct Layout;
}  // namespace ft
