// PTX that nvcc would not write: every oddity is an error that names itself, never undefined behaviour. The
// fuzz test is worth most under the sanitizers.
#include <gtest/gtest.h>

#include <random>

#include "engine/core/check.h"
#include "kernels/sim/launch.h"
#include "kernels/sim/sim.h"
#include "tests/sim/device_array.h"

namespace ft::sim::test {
namespace {

// `body` in a kernel k(out, n) with some registers of each width.
std::string module_with(const std::string& body, const std::string& before = "") {
  return ".version 9.0\n.target sm_80\n.address_size 64\n" + before +
         "\n.visible .entry k(.param .u64 out, .param .u32 n)\n{\n.reg .pred %p<9>;\n.reg .b16 %h<9>;\n.reg "
         ".b32 %r<9>;\n"
         ".reg .b64 %d<9>;\n.reg .f32 %f<9>;\n" +
         body + "\nret;\n}\n.file 1 \"odd.cu\"\n";
}

std::string error_of(const std::string& text) {
  try {
    load_ptx(text, "k");
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

struct Oddity {
  const char* body;
  const char* says;
};

TEST(HostilePtx, NamesWhatItDoesNotUnderstand) {
  const Oddity oddities[] = {
      {".loc 1 77 3\nfrobnicate.b32 %r1, %r2;", "odd.cu:77 (PTX line 13: frobnicate.b32): unknown opcode"},
      {"add.wild.s32 %r1, %r2, %r3;", "the modifier .wild is not known"},
      {"add.s32 %r1, %r2, %q3;", "the name %q3 is not declared"},
      {"add.s32 %r1, %r2, %d3;", "the width of %d3 does not fit"},
      {"add.s32 %r1, %r2;", "expected 3 to 3 operands, got 2"},
      {"add.s32 %r1, %r2, %r10;", "the name %r10 is not declared"},
      {"bra nowhere;", "the label nowhere does not exist"},
      {"ld.global.v4.f32 {%f1, %f2}, [%d1];", "the number of registers does not fit"},
      {"ld.global.f32 %f1, [%r1];", "a 32-bit global address"},
      {"@%r1 add.s32 %r1, %r2, %r3;", "expected a predicate"},
      {"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%r1,%r2}, {%r1,%r2,%r3,%r4}, {%r1,%r2}, "
       "{%r1,%r2,%r3,%r4};",
       "the number of registers does not fit"},
      {"mma.sync.aligned.m64n8k16.row.col.f32.bf16.bf16.f32 {%r1}, {%r1}, {%r1}, {%r1};", "unknown shape"},
      {"mov.b64 %d1, {%r1, %r2, %r3};", "this packing"},
      {"mov.u32 %r1, %envreg3;", "the name %envreg3 is not declared"},
      {"call.uni nobody, ();", "a call of nobody, which has no body here"},
      {"cp.async.cg.shared.global [%r1], [%d1], 12;", "a copy of 4, 8 or 16 bytes"},
      {"{", "expected }"},
      {"x: x: ret;", "the label x stands twice"},
      {"add.s32 %r1, %r2, 5", "expected"},
      {"mov.b64 %d1, {{%r1}, %r2};", "expected a flat list"},
      {"brx.idx %r1, table;", "the branch table stands nowhere before"},
      {"setp.weird.s32 %p1, %r1, %r2;", "expected a comparison"},
      {".local .b8 big[99999999]; ", "more than 1 MiB of local memory"},
  };
  for (const Oddity& o : oddities) {
    const std::string error = error_of(module_with(o.body));
    EXPECT_NE(error.find(o.says), error.npos) << o.body << "\n  gave: " << error;
  }
}

TEST(HostilePtx, RecursionIsAnError) {
  const std::string f = ".func f(.param .b32 x) { .param .b32 y; call.uni f, (y); ret; }";
  const std::string error = error_of(module_with("{ .param .b32 a; call.uni f, (a); }", f));
  EXPECT_NE(error.find("recursion through f"), error.npos) << error;
}

TEST(HostilePtx, ParametersCanBeReadThroughARegister) {
  // What nvcc writes for a struct by value that is passed on by reference.
  Kernel* kernel = load_ptx(module_with("ld.param.u64 %d1, [out]; mov.b64 %d2, out; add.s64 %d3, %d2, 4;\n"
                                        "ld.param.u32 %r1, [%d3+4]; st.global.u32 [%d1], %r1;"),
                            "k");
  DeviceArray<uint32_t> out(1);
  uint32_t* p = out.get();
  uint32_t n = 1234567;
  void* arguments[] = {&p, &n};
  run_kernel(*kernel, {1, 1, 1}, {1, 1, 1}, 0, arguments);
  EXPECT_EQ(out.host()[0], n);
}

TEST(HostilePtx, AnEndlessLoopIsEnded) {
  Kernel* kernel = load_ptx(module_with("again: add.s32 %r1, %r1, 1; bra again;"), "k");
  Settings s;
  s.most_instructions = 100000;
  set(s);
  void* out = nullptr;
  uint32_t n = 0;
  void* arguments[] = {&out, &n};
  EXPECT_THROW(run_kernel(*kernel, {1, 1, 1}, {32, 1, 1}, 0, arguments), Error);
  set(Settings{});
}

// A kernel with most kinds of operands; mutations of its text must be refused, or run, or fault, and nothing
// else.
const char* const seed_body = R"(
  .shared .align 16 .b8 tile[256]; .local .align 8 .b8 depot[32];
  .reg .b32 %x; mov.u32 %r1, %tid.x; ld.param.u64 %d1, [out]; ld.param.u32 %r2, [n]; cvta.to.global.u64 %d2, %d1;
  mul.wide.u32 %d3, %r1, 4; add.s64 %d4, %d2, %d3; ld.global.f32 %f1, [%d4+0]; shl.b32 %r3, %r1, 2; mov.u32 %r4, tile;
  add.s32 %r3, %r3, %r4; and.b32 %r3, %r3, 252; st.shared.f32 [%r3], %f1; bar.sync 0; ld.shared.f32 %f2, [%r3];
  setp.lt.s32 %p1, %r1, 16; @%p1 bra low; add.f32 %f2, %f2, 0f3F800000; bra.uni join;
low: fma.rn.f32 %f2, %f2, %f1, %f1;
join: shfl.sync.bfly.b32 %r5|%p2, %r1, 1, 31, -1; selp.b32 %r6, %r5, %r1, %p2; cvt.rn.f32.s32 %f3, %r6; add.f32 %f2, %f2, %f3;
  mov.b64 %d5, {%r5, %r6}; mov.b64 {%r7, %x}, %d5; mov.u64 %d6, depot; st.local.v2.u32 [%d6+8], {%r7, %x};
  ld.local.u16 %h1, [%d6+8]; cvt.u32.u16 %r8, %h1; atom.global.add.u32 %r7, [%d2], %r8; prmt.b32 %r8, %r7, %r6, 0x3210;
  mov.u32 %r4, 3;
loop: sub.s32 %r4, %r4, 1; setp.ne.s32 %p3, %r4, 0; @%p3 bra loop; st.global.f32 [%d4+4], %f2;)";

TEST(HostilePtx, MutatedTextIsRefusedOrRunsWithoutHarm) {
  const std::string text = module_with(seed_body);
  DeviceArray<float> out(std::vector<float>(64, 1.0f));
  Settings s = Settings::checked();
  s.most_instructions = 20000;
  set(s);
  std::mt19937 engine(7);
  const std::string_view alphabet = "%rdfph0123456789.,;:[]{}+-@!bsu ";
  int refused = 0, faulted = 0, ran = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string mutated = text;
    const size_t first = text.find(".shared");
    for (size_t k = 0, edits = 1 + engine() % 3; k < edits && i > 0; ++k) {
      size_t at = first + engine() % (mutated.size() - first);
      switch (engine() % 8) {
        case 0:
          mutated[at] = alphabet[engine() % alphabet.size()];
          break;
        case 1:
          mutated.erase(at, 1 + engine() % 6);
          break;
        default:  // another number or register: most of these still decode
          while (at < mutated.size() && (mutated[at] < '0' || mutated[at] > '9')) ++at;
          if (at < mutated.size()) mutated[at] = static_cast<char>('0' + engine() % 10);
          break;
        case 2:
          mutated.insert(at, mutated.substr(first + engine() % (mutated.size() - first), 1 + engine() % 20));
      }
    }
    void* p = out.get();
    uint32_t n = 32;
    void* arguments[] = {&p, &n, &n, &n, &n, &n};
    Kernel* kernel = nullptr;
    try {
      kernel = load_ptx(mutated, "k");
    } catch (const Error&) {
      ++refused;
      continue;
    }
    try {
      run_kernel(*kernel, {2, 1, 1}, {32, 1, 1}, 0, arguments);
      ++ran;
    } catch (const Error&) {
      ++faulted;
    }
    if (i == 0) {
      EXPECT_EQ(ran, 1) << last_fault();
    }
  }
  set(Settings{});
  clear_reports();
  EXPECT_GT(refused, 500);
  EXPECT_GT(faulted, 20);
  EXPECT_GT(ran, 200);
}

}  // namespace
}  // namespace ft::sim::test
