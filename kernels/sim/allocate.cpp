// Linear-scan register allocation over live intervals. Widths have their own pools of slots. A register that
// is written by an instruction never shares a slot with one that the instruction reads, so handlers may write
// results before they have read all operands, except of a register that is named on both sides.
#include <algorithm>
#include <map>
#include <queue>

#include "engine/core/check.h"
#include "kernels/sim/decode.h"

namespace ft::sim {
namespace {

struct Block {
  uint32_t begin = 0, end = 0;
  std::vector<uint32_t> next;
  std::vector<uint64_t> uses, kills, live_in;
};

struct Interval {
  int64_t begin = INT64_MAX, end = -2;
  void cover(int64_t at) {
    begin = std::min(begin, at);
    end = std::max(end, at);
  }
};

std::vector<Block> find_blocks(const Program& program) {
  const auto& code = program.code;
  std::vector<char> leader(code.size() + 1, 0);
  leader[0] = 1;
  for (size_t i = 0; i < code.size(); ++i) {
    if (code[i].flow == Flow::branch) leader[static_cast<size_t>(code[i].imm)] = 1;
    if (code[i].flow == Flow::branch_table) {
      for (const uint32_t target : program.tables[static_cast<size_t>(code[i].imm)]) leader[target] = 1;
    }
    if (code[i].flow == Flow::branch || code[i].flow == Flow::branch_table || code[i].flow == Flow::exit)
      leader[i + 1] = 1;
  }
  std::vector<Block> blocks;
  std::vector<uint32_t> block_of(code.size() + 1, 0);
  for (uint32_t i = 0; i < code.size(); ++i) {
    if (leader[i]) {
      if (!blocks.empty()) blocks.back().end = i;
      blocks.emplace_back().begin = i;
    }
    block_of[i] = static_cast<uint32_t>(blocks.size()) - 1;
  }
  if (!blocks.empty()) blocks.back().end = static_cast<uint32_t>(code.size());
  for (Block& block : blocks) {
    const Inst& last = code[block.end - 1];
    const bool jumps =
        last.flow == Flow::branch || last.flow == Flow::branch_table || last.flow == Flow::exit;
    if (last.flow == Flow::branch && static_cast<size_t>(last.imm) < code.size()) {
      block.next.push_back(block_of[static_cast<size_t>(last.imm)]);
    }
    if (last.flow == Flow::branch_table) {
      for (const uint32_t target : program.tables[static_cast<size_t>(last.imm)])
        block.next.push_back(block_of[target]);
    }
    if ((!jumps || last.guarded) && block.end < code.size()) block.next.push_back(block_of[block.end]);
  }
  return blocks;
}

bool has(const std::vector<uint64_t>& set, uint32_t i) {
  return set[i / 64] >> (i % 64) & 1;
}
void add(std::vector<uint64_t>& set, uint32_t i) {
  set[i / 64] |= uint64_t{1} << (i % 64);
}

uint32_t slot_bytes(uint8_t bytes) {
  return bytes == 0 ? 4u : bytes * 32u;
}

}  // namespace

void allocate_registers(Program& program, const std::vector<VirtualRegister>& registers,
                        const std::vector<RegisterAccess>& accesses) {
  auto blocks = find_blocks(program);
  std::vector<uint32_t> first_access(program.code.size() + 1, 0);
  for (const RegisterAccess& access : accesses) ++first_access[access.inst + 1];
  for (size_t i = 1; i < first_access.size(); ++i) first_access[i] += first_access[i - 1];

  const size_t words = registers.size() / 64 + 1;
  for (Block& block : blocks) {
    block.uses.assign(words, 0);
    block.kills.assign(words, 0);
    for (uint32_t i = block.begin; i < block.end; ++i) {
      const bool partial = program.code[i].guarded;
      for (const bool writes : {false, true}) {  // reads come before writes within an instruction
        for (uint32_t k = first_access[i]; k < first_access[i + 1]; ++k) {
          const RegisterAccess& access = accesses[k];
          if (access.write != writes || has(block.kills, access.reg)) continue;
          if (access.write && !partial) {
            add(block.kills, access.reg);
          } else {
            add(block.uses, access.reg);  // a guarded write keeps the old value of some lanes
          }
        }
      }
    }
    block.live_in = block.uses;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t b = blocks.size(); b-- > 0;) {
      Block& block = blocks[b];
      for (const uint32_t next : block.next) {
        for (size_t w = 0; w < words; ++w) {
          const uint64_t more = blocks[next].live_in[w] & ~block.kills[w] & ~block.live_in[w];
          block.live_in[w] |= more;
          changed |= more != 0;
        }
      }
    }
  }

  // Times: instruction i reads at 2i and writes at 2i+1; what it reads stays occupied until 2i+1.
  std::vector<Interval> intervals(registers.size());
  for (const RegisterAccess& access : accesses) intervals[access.reg].cover(2 * int64_t{access.inst} + 1);
  const auto cover_set = [&](const std::vector<uint64_t>& set, int64_t at) {
    for (size_t w = 0; w < words; ++w) {
      for (uint64_t bits = set[w]; bits != 0; bits &= bits - 1) {
        intervals[w * 64 + static_cast<size_t>(__builtin_ctzll(bits))].cover(at);
      }
    }
  };
  if (!blocks.empty()) cover_set(blocks[0].live_in, -1);
  for (const Block& block : blocks) {
    cover_set(block.live_in, 2 * int64_t{block.begin});
    for (const uint32_t next : block.next) cover_set(blocks[next].live_in, 2 * int64_t{block.end} - 1);
  }

  std::vector<uint32_t> order;
  for (uint32_t r = 0; r < registers.size(); ++r) {
    if (intervals[r].end >= -1) order.push_back(r);
    if (registers[r].special && intervals[r].end >= -1) intervals[r].cover(-1);
  }
  std::sort(order.begin(), order.end(), [&](uint32_t x, uint32_t y) {
    return std::pair(intervals[x].begin, x) < std::pair(intervals[y].begin, y);
  });

  std::map<uint8_t, std::vector<uint32_t>> free_slots;  // per width, indices
  std::map<uint8_t, uint32_t> pool_size;
  std::vector<uint32_t> index(registers.size(), 0);
  using Ending = std::pair<int64_t, uint32_t>;
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> active;
  uint32_t live = 0;
  for (const uint32_t r : order) {
    while (!active.empty() && active.top().first < intervals[r].begin) {
      const uint32_t old = active.top().second;
      active.pop();
      free_slots[registers[old].bytes].push_back(index[old]);
      live -= (registers[old].bytes + 3u) / 4u;
    }
    auto& pool = free_slots[registers[r].bytes];
    if (pool.empty()) {
      index[r] = pool_size[registers[r].bytes]++;
    } else {
      index[r] = pool.back();
      pool.pop_back();
    }
    live += (registers[r].bytes + 3u) / 4u;
    program.live_registers = std::max(program.live_registers, live);
    active.emplace(intervals[r].end, r);
  }
  std::map<uint8_t, uint64_t> pool_offset;
  uint64_t offset = 0;
  for (const auto& [bytes, size] : pool_size) {
    pool_offset[bytes] = offset;
    offset = (offset + uint64_t{size} * slot_bytes(bytes) + 63) / 64 * 64;
  }
  FT_CHECK(offset < (1u << 30), "[cuda-sim] kernel {}: {} bytes of registers a warp", program.readable_name,
           offset);
  program.register_bytes = offset;
  const auto slot_of = [&](uint32_t reg) {
    const uint8_t bytes = registers[reg].bytes;
    return static_cast<Slot>(pool_offset[bytes] + uint64_t{index[reg]} * slot_bytes(bytes));
  };
  // What is live on entry is read before it is written on some path: zero there, so that every run does the
  // same.
  for (uint32_t r = 0; !blocks.empty() && r < registers.size(); ++r) {
    if (has(blocks[0].live_in, r) && !registers[r].special)
      program.zeroed.emplace_back(slot_of(r), slot_bytes(registers[r].bytes));
  }
  for (const RegisterAccess& access : accesses) {
    const Slot slot = slot_of(access.reg);
    if (access.field != nullptr) {
      program.code[access.inst].*access.field = slot;
    } else {
      program.slots[access.list_index] = slot;
    }
  }
}

}  // namespace ft::sim
