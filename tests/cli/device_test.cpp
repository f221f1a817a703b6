// How a run and its device show themselves to the people of a cluster: the process title, NVML's figures in
// metrics.jsonl, on stderr and in TensorBoard, the devices that --version names.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "engine/core/stream.h"
#include "tests/cli/program.h"

namespace ft::cli {
namespace {

std::string read_all(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Of a run too long to end before it has been looked at.
std::pair<std::string, std::string> title_and_name_of_a_run(const std::string& output) {
  const TemporaryFolder folder;
  copy_fixture("gpt2_c_attn", folder.path());
  const std::string program = std::string(FT_BINARY_DIR) + "/ftengine",
                    set = "training.output_dir=" + (folder / output).string(),
                    yaml = (folder / "exp.yaml").string();
  const pid_t child = ::fork();
  if (child == 0) {
    std::freopen("/dev/null", "w", stderr);
    ::execl(program.c_str(), program.c_str(), "run", yaml.c_str(), "--set", set.c_str(), "--set",
            "training.max_steps=1000000", nullptr);
    ::_exit(127);
  }
  const std::string proc = "/proc/" + std::to_string(child);
  std::string title;
  for (int i = 0; i < 2000 && !title.starts_with("ftengine:"); ++i) {
    ::usleep(10000);
    title = read_all(proc + "/cmdline");
  }
  std::string name = read_all(proc + "/comm");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return {title.substr(0, title.find('\0')), name};
}

TEST(ProcessTitle, TellsTheRun) {
  const auto [title, name] = title_and_name_of_a_run("tiny");
  EXPECT_EQ(title, "ftengine:run tiny");
  EXPECT_EQ(name, "ftengine:run ti\n");
}

TEST(ProcessTitle, MayBeLongerThanTheCommandLine) {
  const std::string output = std::string(80, 'x') + "/" + std::string(90, 'y');
  EXPECT_EQ(title_and_name_of_a_run(output).first, "ftengine:run " + std::string(90, 'y'));
}

/// The environment of programs that a test starts, for its time.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { ::unsetenv(name_); }

 private:
  const char* name_;
};

class Simulator : public testing::TestWithParam<std::string> {
 protected:
  struct Run {
    std::vector<nlohmann::json> metrics;
    std::string err, events;
  };
  static Run run() {
    const TemporaryFolder folder;
    copy_fixture("gpt2_c_attn", folder.path());
    const Outcome o = ftengine({"run", (folder / "exp.yaml").string(), "--set", "device=" + GetParam(),
                                "--set", "training.max_steps=1", "--set", "training.eval_strategy=no"});
    expect_success(o);
    Run r{read_jsonl(folder / "out/metrics.jsonl"), o.err, {}};
    for (const auto& entry : fs::directory_iterator(folder / "out"))
      if (entry.path().filename().string().starts_with("events.")) r.events += read_bytes(entry.path());
    return r;
  }
};

TEST_P(Simulator, FiguresOfTheManagementLibraryAreEverywhere) {
  const Environment path("LD_LIBRARY_PATH", std::string(FT_BINARY_DIR) + "/fake_nvml");
  const Run r = run();
  const nlohmann::json& row = r.metrics.at(0);
  EXPECT_EQ(row.at("device_memory_bytes"), 12'500'000'000);
  EXPECT_EQ(row.at("device_utilization"), 87);
  EXPECT_EQ(row.at("device_watts"), 250.5);
  EXPECT_EQ(row.at("device_celsius"), 61);
  EXPECT_NE(r.err.find("gpu 12.5 GB 87 % 250 W 61 °C"), std::string::npos) << r.err;
  for (const char* tag : {"device/memory_bytes", "device/utilization", "device/watts", "device/celsius"})
    EXPECT_NE(r.events.find(tag), std::string::npos) << tag;
}

TEST_P(Simulator, WhatTheLibraryDoesNotKnowIsAbsent) {
  const Environment path("LD_LIBRARY_PATH", std::string(FT_BINARY_DIR) + "/fake_nvml"),
      power("FAKE_NVML_NO_POWER", "1");
  const Run r = run();
  EXPECT_TRUE(r.metrics.at(0).contains("device_celsius"));
  EXPECT_FALSE(r.metrics.at(0).contains("device_watts"));
  EXPECT_NE(r.err.find("gpu 12.5 GB 87 % 61 °C"), std::string::npos) << r.err;
}

TEST_P(Simulator, WithoutTheLibraryNothingIsSaid) {
  const Run r = run();
  for (const auto& [key, value] : r.metrics.at(0).items()) EXPECT_FALSE(key.starts_with("device_")) << key;
  EXPECT_EQ(r.err.find("gpu "), std::string::npos) << r.err;
}

TEST_P(Simulator, VersionTellsWhatTheDeviceIs) {
  const std::string out = ftengine({"--version"}).out;
  for (const char* part :
       {"cuda:    runtime 13.", "driver 13.", "cuBLASLt ", "cuda:0   cuda-sim, compute capability 8.0, "})
    EXPECT_NE(out.find(part), std::string::npos) << out;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Simulator);
std::vector<std::string> simulators() {
  std::vector<std::string> names = device_names();
  std::erase_if(names, [](const std::string& name) { return name != "cuda-sim"; });
  return names;
}
INSTANTIATE_TEST_SUITE_P(Devices, Simulator, testing::ValuesIn(simulators()),
                         [](const auto&) { return "cuda_sim"; });

}  // namespace
}  // namespace ft::cli
