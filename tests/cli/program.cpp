#include "tests/cli/program.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace ft::cli {
namespace {

int open_for_output(const fs::path& file) {
  return ::open(file.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
}

}  // namespace

Outcome ftengine(const std::vector<std::string>& arguments, const fs::path& folder,
                 const Hardship& hardship) {
  const TemporaryFolder outputs;  // files, so that no pipe can fill up
  const fs::path out = outputs / "out", err = outputs / "err";
  const std::string program = std::string(FT_BINARY_DIR) + "/ftengine";
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);

  const int output = open_for_output(out), errors = open_for_output(err);  // there, however soon it is killed
  if (hardship.input) write_bytes(outputs / "in", *hardship.input);
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = ::fork();
  if (child == 0) {
    if (hardship.input) ::dup2(::open((outputs / "in").c_str(), O_RDONLY), STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(errors, STDERR_FILENO);
    const rlimit limit{hardship.most_bytes.value_or(RLIM_INFINITY), RLIM_INFINITY};
    if (hardship.most_bytes && ::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(126);
    if (!hardship.fault.empty()) ::setenv("FT_FAULT", hardship.fault.c_str(), 1);
    if (!hardship.backward_fault.empty()) ::setenv("FT_FAULT_BACKWARD", hardship.backward_fault.c_str(), 1);
    if (!folder.empty() && ::chdir(folder.c_str()) != 0) ::_exit(126);
    ::execv(program.c_str(), argv.data());
    ::_exit(127);
  }
  ::close(output);
  ::close(errors);
  int status = 0;
  if (hardship.kill_after) {
    ::usleep(static_cast<useconds_t>(*hardship.kill_after * 1e6));
    ::kill(child,
           SIGKILL);  // of a process that ended meanwhile nobody has asked yet: its number is still its own
  }
  for (std::error_code none; !hardship.interrupt_when.empty();) {
    siginfo_t ended{};
    ::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid == child) break;
    if (const auto size = fs::file_size(hardship.interrupt_when, none); !none && size > 0) {
      ::kill(child, SIGINT);
      break;
    }
    ::usleep(1000);
  }
  rusage usage{};
  EXPECT_EQ(::wait4(child, &status, 0, &usage), child);
  Outcome o;
  o.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  o.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  o.out = read_bytes(out);
  o.err = read_bytes(err);
  o.peak_bytes = int64_t{usage.ru_maxrss} * 1024;
  return o;
}

TemporaryFolder::TemporaryFolder(bool in_memory) {
  const auto make = [&](const fs::path& parent) {
    std::string name = (parent / "ftengine-test-XXXXXX").string();
    if (const char* made = ::mkdtemp(name.data())) path_ = made;
    return !path_.empty();
  };
  if (!in_memory || !make("/dev/shm")) make(fs::temp_directory_path());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path fixture(const std::string& name) {
  return fs::path(FT_SOURCE_DIR) / "tests/fixtures/models" / name;
}

void copy_fixture(const std::string& name, const fs::path& folder) {
  fs::create_directories(folder);
  for (const auto& entry : fs::directory_iterator(fixture(name)))
    if (entry.path().filename() != "expected.safetensors")
      fs::copy(entry.path(), folder / entry.path().filename(), fs::copy_options::recursive);
}

std::string read_bytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  EXPECT_TRUE(in) << file;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_bytes(const fs::path& file, const std::string& bytes) {
  fs::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  out << bytes;
  ASSERT_TRUE(out.flush()) << file;
}

void edit(const fs::path& file, const std::string& from, const std::string& to) {
  std::string text = read_bytes(file);
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from << " is not in " << file;
  ASSERT_EQ(text.find(from, at + 1), std::string::npos) << from << " is in " << file << " twice";
  write_bytes(file, text.replace(at, from.size(), to));
}

std::vector<nlohmann::json> read_jsonl(const fs::path& file) {
  std::vector<nlohmann::json> rows;
  std::istringstream text(read_bytes(file));
  for (std::string line; std::getline(text, line);) rows.push_back(nlohmann::json::parse(line));
  return rows;
}

void expect_success(const Outcome& o) {
  EXPECT_EQ(o.code, 0) << o.out << o.err;
}

void expect_bad_input(const Outcome& o, const std::vector<std::string>& fragments) {
  EXPECT_EQ(o.code, 2) << o.out << o.err;
  EXPECT_TRUE(o.err.starts_with("error: ")) << o.err;
  EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
  EXPECT_TRUE(o.err.ends_with("\n")) << o.err;
  for (const std::string& f : fragments)
    EXPECT_NE(o.err.find(f), std::string::npos) << "no '" << f << "' in: " << o.err;
}

}  // namespace ft::cli
