// The performance budget of every kernel: on the launches of bench/kernel_shapes.h the simulator's counters,
// which depend on code and arguments alone, and ptxas' registers must stay within 2 % of what
// tests/cuda/budgets.json holds. A kernel that became cheaper keeps its old budget until the file is renewed:
//   FT_RENEW_BUDGETS=1 test_cuda --gtest_filter='budget.*'
#include <gtest/gtest.h>

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/sim/sim.h"
#include "tests/cuda/cubin.h"
#include "tests/cuda/kernel_cases.h"

namespace ft::test {
namespace {

using Counts = std::map<std::string, uint64_t>;
using Kernels = std::map<std::string, Counts>;   // by the kernel's name
using Budgets = std::map<std::string, Kernels>;  // by the case's

const std::string kFile = FT_SOURCE_DIR "/tests/cuda/budgets.json";
const std::string kCompiler = fmt::format("CUDA {}.{}", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);

/// What exceeds its budget by more than 2 %, or has none, or is no longer there: a line each.
std::vector<std::string> violations(const Kernels& counted, const Kernels& budget) {
  std::vector<std::string> found;
  for (const auto& [kernel, counts] : counted) {
    const auto known = budget.find(kernel);
    if (known == budget.end()) {
      found.push_back(fmt::format("{} has no budget", kernel));
      continue;
    }
    for (const auto& [counter, count] : counts) {
      const auto entry = known->second.find(counter);
      if (entry == known->second.end()) {
        found.push_back(fmt::format("{}: {} has no budget", kernel, counter));
        continue;
      }
      const uint64_t most = entry->second;
      if (count * 100 <= most * 102) continue;
      const double growth = 100 * (static_cast<double>(count) / static_cast<double>(most) - 1);
      found.push_back(
          fmt::format("{}: {} is {}, its budget {} (+{:.1f} %)", kernel, counter, count, most, growth));
    }
  }
  for (const auto& [kernel, counts] : budget)
    if (!counted.contains(kernel))
      found.push_back(fmt::format("{} has a budget but was not launched", kernel));
  return found;
}

class CountingOnly {
 public:
  CountingOnly() {
    sim::Settings settings;
    settings.seed = before_.seed;
    settings.count = true;
    sim::set(settings);
  }
  CountingOnly(const CountingOnly&) = delete;
  CountingOnly& operator=(const CountingOnly&) = delete;
  ~CountingOnly() { sim::set(before_); }

 private:
  sim::Settings before_ = sim::settings();
};

Kernels counted(const bench::KernelCase<CudaStream>& c, const std::vector<MachineKernel>& machine) {
  CudaStream stream(0);
  bench::Operands operands(stream.device());
  const auto launch = c.make(c.shape, operands);
  operands.wait();
  sim::clear_counters();
  launch.run(stream);
  operands.wait();
  Kernels kernels;
  for (const sim::KernelCounters& k : sim::counters()) {
    Counts& counts = kernels[k.kernel];
    counts = {{"launches", k.launches},        {"warp_instructions", k.warp_instructions},
              {"wavefronts", k.wavefronts},    {"wavefronts_ideal", k.ideal_wavefronts},
              {"sectors", k.sectors},          {"sectors_ideal", k.ideal_sectors},
              {"shared_bytes", k.shared_bytes}};
    for (const auto& [architecture, name] : {std::pair(80, "sm_80"), std::pair(90, "sm_90a")}) {
      const int registers = registers_of(machine, k.kernel, architecture);
      EXPECT_GT(registers, 0) << k.kernel << " has no machine code for " << name;
      counts[fmt::format("registers_{}", name)] = static_cast<uint64_t>(registers);
    }
  }
  return kernels;
}

struct BudgetFile {
  std::string compiler;
  Budgets budgets;
};

BudgetFile read_budgets() {
  std::ifstream in(kFile);
  FT_CHECK(in.good(), "[budgets] cannot read {}", kFile);
  const nlohmann::json file = nlohmann::json::parse(in);
  return {file.at("compiler"), file.at("budgets").get<Budgets>()};
}

/// A kernel a line, so that a change shows as what it is.
void write_budgets(const Budgets& budgets) {
  std::ofstream out(kFile);
  out << "{\"compiler\": " << nlohmann::json(kCompiler) << ",\n \"budgets\": {";
  const char* before_case = "\n";
  for (const auto& [name, kernels] : budgets) {
    out << before_case << "  " << nlohmann::json(name) << ": {";
    const char* before_kernel = "\n";
    for (const auto& [kernel, counts] : kernels) {
      out << before_kernel << "    " << nlohmann::json(kernel) << ": " << nlohmann::json(counts);
      before_kernel = ",\n";
    }
    out << "}";
    before_case = ",\n";
  }
  out << "}}\n";
  FT_CHECK(out.flush().good(), "[budgets] cannot write {}", kFile);
}

TEST(budget, is_kept_by_every_kernel) {
  const CountingOnly counting;
  const std::vector<MachineKernel> machine = machine_kernels();
  Budgets all;
  for (const auto& c : bench::kernel_cases<CudaStream>()) {
    Kernels kernels = counted(c, machine);
    if (!kernels.empty()) all[c.name()] = std::move(kernels);  // none: a library's product
  }
  if (std::getenv("FT_RENEW_BUDGETS")) write_budgets(all);
  const BudgetFile file = read_budgets();
  for (const auto& [name, kernels] : all) {
    const auto budget = file.budgets.find(name);
    for (const std::string& what :
         violations(kernels, budget == file.budgets.end() ? Kernels() : budget->second))
      ADD_FAILURE() << name << ": " << what;
  }
  for (const auto& [name, kernels] : file.budgets)
    EXPECT_TRUE(all.contains(name)) << name << " has a budget, but no launch in bench/kernel_shapes.h";
  if (HasFailure())
    FAIL() << "counted with " << kCompiler << ", the budgets with " << file.compiler
           << "; where the growth is meant: FT_RENEW_BUDGETS=1 test_cuda --gtest_filter='budget.*'";
}

TEST(budget, covers_every_kernel_of_the_program) {
  std::set<std::string> launched;
  for (const auto& [name, kernels] : read_budgets().budgets)
    for (const auto& [kernel, counts] : kernels) launched.insert(kernel.substr(0, kernel.find('<')));
  std::set<std::string> missing;
  for (const MachineKernel& k : machine_kernels())
    if (!launched.contains(k.base_name())) missing.insert(k.base_name());
  for (const std::string& kernel : missing)
    ADD_FAILURE() << kernel << " has no budget: bench/kernel_shapes.h has no launch of it";
}

TEST(budget, growth_is_told_by_kernel_and_counter) {
  const Kernels budget = {{"a", {{"sectors", 100}}}, {"b", {{"sectors", 0}}}};
  EXPECT_EQ(violations({{"a", {{"sectors", 102}}}, {"b", {{"sectors", 0}}}}, budget),
            std::vector<std::string>());
  EXPECT_EQ(violations({{"a", {{"sectors", 103}}}, {"b", {{"sectors", 0}}}}, budget),
            std::vector<std::string>{"a: sectors is 103, its budget 100 (+3.0 %)"});
  EXPECT_EQ(violations({{"a", {{"sectors", 1}}}, {"b", {{"sectors", 1}}}}, budget).size(), 1u);
  EXPECT_EQ(violations({{"a", {{"sectors", 1}}}}, budget),
            std::vector<std::string>{"b has a budget but was not launched"});
  EXPECT_EQ(violations({{"a", {}}, {"b", {}}, {"c", {}}}, budget),
            std::vector<std::string>{"c has no budget"});
  EXPECT_EQ(violations({{"a", {{"registers", 9}}}, {"b", {}}}, budget),
            std::vector<std::string>{"a: registers has no budget"});
}

}  // namespace
}  // namespace ft::test
