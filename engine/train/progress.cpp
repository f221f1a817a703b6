#include "engine/train/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "engine/core/memory.h"
#include "engine/io/terminal.h"

namespace ft {

std::string human_bytes(double bytes) {
  const char* units[] = {"B", "KB", "MB", "GB", "TB"};
  int u = 0;
  while (bytes >= 1000 && u < 4) {
    bytes /= 1000;
    ++u;
  }
  return fmt::format("{:.{}f} {}", bytes, bytes < 10 && u > 0 ? 2 : bytes < 100 && u > 0 ? 1 : 0, units[u]);
}

std::string human_time(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string with_commas(int64_t n) {
  std::string digits = std::to_string(n);
  for (int at = static_cast<int>(digits.size()) - 3; at > (n < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

Progress::Progress(int64_t total_steps)
    : terminal_(is_terminal(STDERR_FILENO)),
      colour_(takes_colour(STDERR_FILENO)),
      total_(total_steps),
      start_(std::chrono::steady_clock::now()) {}

void Progress::clear_line() {
  if (line_open_) std::fputs("\r\033[K", stderr);
  line_open_ = false;
}

void Progress::update(const State& s) {
  const auto now = std::chrono::steady_clock::now();
  if (first_ < 0) first_ = s.step - 1;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double left = elapsed / static_cast<double>(s.step - first_) * static_cast<double>(total_ - s.step);
  std::string facts =
      fmt::format("step {}/{}  loss {:.4f}  {:.0f} tokens/s  {}  {} left", s.step, total_, s.loss,
                  s.tokens_per_second, human_bytes(static_cast<double>(resident_bytes())), human_time(left));
  if (!s.device.empty()) facts += "  " + s.device;
  if (!terminal_) {
    if (s.logged) fmt::print(stderr, "{}\n", facts);
    return;
  }
  if (s.step < total_ && now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  constexpr int kWidth = 24;
  const int filled = total_ ? static_cast<int>(kWidth * s.step / total_) : kWidth;
  std::string bar;
  for (int i = 0; i < kWidth; ++i) bar += i < filled ? "━" : "╌";
  clear_line();
  fmt::print(stderr, "{}{}{} {}", colour_ ? "\033[36m" : "", bar, colour_ ? "\033[0m" : "", facts);
  std::fflush(stderr);
  line_open_ = true;
}

void Progress::note(const std::string& text) {
  clear_line();
  fmt::print(stderr, "{}\n", text);
}

void Progress::finish() {
  if (line_open_) std::fputc('\n', stderr);
  line_open_ = false;
}

}  // namespace ft
