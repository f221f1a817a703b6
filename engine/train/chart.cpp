#include "engine/train/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/io/printable.h"

namespace ft {
namespace {

using Points = std::vector<std::pair<double, double>>;

// The picture's own units; the page scales it.
constexpr double kWidth = 640, kHeight = 240, kLeft = 64, kRight = 12, kTop = 10, kBottom = 34;
constexpr size_t kMostPoints = 1500, kMostDots = 200;
constexpr int kColours = 6;

struct Axis {
  double low, high, from, to;  // values, and where they lie
  double operator()(double v) const { return from + (v - low) / (high - low) * (to - from); }
};

/// [low, high], widened where it is a point or so narrow that every tick would read the same.
std::pair<double, double> range(double low, double high) {
  const double size = std::max(std::abs(low), std::abs(high));
  if (high - low > size * 1e-3) return {low, high};
  const double margin = size == 0 ? 1 : size * 0.1;
  return {low - margin, high + margin};
}

Points finite(const Points& points) {
  Points kept;
  for (const auto& p : points)
    if (std::isfinite(p.first) && std::isfinite(p.second)) kept.push_back(p);
  return kept;
}

std::string legend(const std::vector<Series>& series) {
  std::string html = "<p class=\"legend\">";
  for (size_t i = 0; i < series.size(); ++i)
    html += fmt::format("<span><i class=\"s{}\"></i>{}</span>", i % kColours, escape_html(series[i].name));
  return html + "</p>\n";
}

std::string grid(const Chart& c, const Axis& x, const Axis& y) {
  std::string svg;
  for (const double v : axis_ticks(y.low, y.high, 5))
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{:g}\" x2=\"{:g}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text class=\"label\" x=\"{:g}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
        kLeft, kWidth - kRight, y(v), y(v), kLeft - 8, y(v) + 4, escape_html(c.format(v)));
  for (const double v : axis_ticks(x.low, x.high, 7))
    svg +=
        fmt::format("<text class=\"label\" x=\"{:.1f}\" y=\"{:g}\" text-anchor=\"middle\">{:.10g}</text>\n",
                    x(v), kHeight - kBottom + 16, v);
  return svg + fmt::format(
                   "<line class=\"axis\" x1=\"{0:g}\" x2=\"{1:g}\" y1=\"{2:g}\" y2=\"{2:g}\"/>"
                   "<text class=\"label\" x=\"{1:g}\" y=\"{3:g}\" text-anchor=\"end\">{4}</text>\n",
                   kLeft, kWidth - kRight, kHeight - kBottom, kHeight - 4, escape_html(c.x_name));
}

std::string line(const Chart& c, size_t index, const Points& points, const Axis& x, const Axis& y) {
  const Series& series = c.series[index];
  const size_t colour = index % kColours;
  std::string path;
  for (const auto& [px, py] : points) path += fmt::format("{:.1f},{:.1f} ", x(px), y(py));
  std::string svg = fmt::format("<polyline class=\"s{}\" points=\"{}\"/>\n", colour, path);
  if ((series.marked && points.size() <= kMostDots) || points.size() == 1)
    for (const auto& [px, py] : points)
      svg += fmt::format(
          "<circle class=\"s{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"><title>{}, {} {:.10g}: "
          "{}</title></circle>\n",
          colour, x(px), y(py), escape_html(series.name), escape_html(c.x_name), px,
          escape_html(c.format(py)));
  return svg;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (size_t begin = 0;;) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    for (const char c : printable(text.substr(begin, end - begin), std::string::npos)) {
      switch (c) {
        case '&':
          out += "&amp;";
          break;
        case '<':
          out += "&lt;";
          break;
        case '>':
          out += "&gt;";
          break;
        case '"':
          out += "&quot;";
          break;
        case '\'':
          out += "&#39;";
          break;
        default:
          out += c;
      }
    }
    if (end == text.size()) return out;
    out += '\n';
    begin = end + 1;
  }
}

std::vector<double> axis_ticks(double low, double high, int count) {
  const double rough = (high - low) / count;
  if (!(rough > 0) || !std::isfinite(rough)) return {low};
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double lead = rough / power;
  const double step = power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
  std::vector<double> ticks;
  // Multiples, not sums, so that 0 is 0 (and not −0); a little slack for what division rounds. The count is
  // bounded by itself, since a double far from 0 may be its own successor.
  const double first = std::ceil(low / step - 1e-9);
  for (int i = 0; i <= 2 * count; ++i)
    if (const double tick = (first + i) * step + 0.0; tick <= high + step * 1e-9) ticks.push_back(tick);
  return ticks;
}

Points thin_points(const Points& points, size_t limit) {
  if (points.size() <= limit) return points;
  const size_t stretches = std::max<size_t>(limit / 3, 1);
  Points kept;
  for (size_t i = 0; i < stretches; ++i) {
    const size_t begin = i * points.size() / stretches, end = (i + 1) * points.size() / stretches;
    const auto below = [&](size_t a, size_t b) { return points[a].second < points[b].second; };
    size_t low = begin, high = begin;
    for (size_t k = begin; k < end; ++k) {
      if (below(k, low)) low = k;
      if (below(high, k)) high = k;
    }
    for (const size_t k : std::set<size_t>{begin, low, high}) kept.push_back(points[k]);
  }
  if (kept.back() != points.back()) kept.push_back(points.back());
  return kept;
}

std::string render(const Chart& c) {
  std::vector<Points> all;
  double left = INFINITY, right = -INFINITY, low = INFINITY, high = -INFINITY;
  for (const Series& s : c.series) {
    all.push_back(finite(s.points));
    for (const auto& [px, py] : all.back()) {
      left = std::min(left, px);
      right = std::max(right, px);
      low = std::min(low, py);
      high = std::max(high, py);
    }
  }
  if (!(left <= right)) return "";
  if (c.from_zero) low = std::min(low, 0.0);
  const auto [x_low, x_high] = range(left, right);
  const auto [y_low, y_high] = range(low, high);
  const double air = (y_high - y_low) * 0.05;
  const Axis x{x_low, x_high, kLeft, kWidth - kRight};
  const Axis y{c.from_zero && low == 0 ? 0 : y_low - air, y_high + air, kHeight - kBottom, kTop};

  std::string html = fmt::format("<figure>\n<figcaption>{}</figcaption>\n", escape_html(c.title));
  if (c.series.size() > 1) html += legend(c.series);
  html += fmt::format("<svg viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-label=\"{}\">\n", kWidth, kHeight,
                      escape_html(c.title));
  html += grid(c, x, y);
  for (size_t i = 0; i < all.size(); ++i)
    if (!all[i].empty()) html += line(c, i, thin_points(all[i], kMostPoints), x, y);
  return html + "</svg>\n</figure>\n";
}

}  // namespace ft
