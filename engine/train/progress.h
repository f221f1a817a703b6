// What a person sees while a run goes on, on stderr: one line that renews itself on a terminal, a line each
// logging step elsewhere. Colours only on a terminal (and not with NO_COLOR).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace ft {

class Progress {
 public:
  explicit Progress(int64_t total_steps);

  struct State {
    int64_t step = 0;  // finished
    double loss = 0, tokens_per_second = 0;
    bool logged = false;      // a logging step
    std::string device = {};  // DeviceWatch::text()
  };
  void update(const State& state);
  /// A line of its own: evaluation, checkpoint, warning.
  void note(const std::string& text);
  void finish();

  bool terminal() const { return terminal_; }

 private:
  void clear_line();
  bool terminal_, colour_;
  int64_t total_, first_ = -1;
  std::chrono::steady_clock::time_point start_, drawn_{};
  bool line_open_ = false;
};

/// "1.5 GB"; "3:07" or "1:02:03".
std::string human_bytes(double bytes);
std::string human_time(double seconds);
/// "2,442,240".
std::string with_commas(int64_t n);

}  // namespace ft
